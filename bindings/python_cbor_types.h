/* Tag and Simple: what CBOR has and Python has no type for. Part of
 * python_bridge.i, after python_bridge.h. */
#ifndef COPAL_PYTHON_CBOR_TYPES_H
#define COPAL_PYTHON_CBOR_TYPES_H

static PyTypeObject *tag_type, *simple_type;

static bool init_cbor(PyObject *module)
{
    static PyStructSequence_Field tag_fields[] = {
        {"tag", "the tag's number"}, {"value", "what it is about"}, {0}};
    static PyStructSequence_Field simple_fields[] = {
        {"simple", "0 to 23 or 32 to 255"}, {0}};
    static PyStructSequence_Desc tag = {
        .name = "copal.cbor.Tag",
        .doc = "Tag((number, value)): a CBOR item with a tag.",
        .fields = tag_fields,
        .n_in_sequence = 2,
    };
    static PyStructSequence_Desc simple = {
        .name = "copal.cbor.Simple",
        .doc = "Simple((number,)): a CBOR simple value that Python has no word "
               "for.",
        .fields = simple_fields,
        .n_in_sequence = 1,
    };

    tag_type = PyStructSequence_NewType(&tag);
    simple_type = PyStructSequence_NewType(&simple);
    return tag_type != NULL && simple_type != NULL &&
           PyModule_AddObjectRef(module, "Tag", (PyObject *)tag_type) == 0 &&
           PyModule_AddObjectRef(module, "Simple", (PyObject *)simple_type) ==
               0;
}

/* A struct sequence of one or two; takes both references, NULL is passed up. */
static PyObject *new_sequence(PyTypeObject *type, PyObject *first,
                              PyObject *second)
{
    PyObject *made = NULL;

    if (first != NULL && (second != NULL || type == simple_type))
        made = PyStructSequence_New(type);
    if (made == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
    }
    PyStructSequence_SetItem(made, 0, first);
    if (second != NULL)
        PyStructSequence_SetItem(made, 1, second);
    return made;
}

#endif
