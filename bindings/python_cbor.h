/* CBOR to Python objects and back; bindings/python/copal/cbor.py says what
 * becomes what. Part of python_bridge.i, after python_bridge.h. */
#ifndef COPAL_PYTHON_CBOR_H
#define COPAL_PYTHON_CBOR_H

#include "base/buf.h"
#include "wire/cbor_print.h"

/* ---- Tag and Simple ----------------------------------------------------- */

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

/* ---- Reading ------------------------------------------------------------ */

struct decoding {
    struct cp_cbor_reader r;
    copal_bytes in;
    bool as_key; /* arrays are tuples */
};

static PyObject *refuse_cbor(const struct decoding *d, const char *why)
{
    size_t at = cp_cbor_offset(&d->r, d->in);
    char text[120];

    if (why == NULL && d->r.error == COPAL_ELIMIT)
        why = "nested too deeply";
    else if (why == NULL && at >= d->in.len)
        why = "incomplete";
    else if (why == NULL)
        why = "not well-formed, or longer than what there is";
    snprintf(text, sizeof(text), "CBOR: %s at byte %zu", why, at + 1);
    raise_error(COPAL_EFORMAT, text);
    return NULL;
}

/* The next item; false: there is none, why not is an exception. END does not
 * count as one, and gives no exception. */
static bool next_item(struct decoding *d, struct cp_cbor_item *item)
{
    if (cp_cbor_next(&d->r, item) == 1)
        return item->kind != CP_CBOR_END;
    refuse_cbor(d, NULL);
    return false;
}

static PyObject *read_value(struct decoding *d,
                            const struct cp_cbor_item *item);

static PyObject *read_integer(uint64_t n, bool is_negative)
{
    PyObject *number = PyLong_FromUnsignedLongLong(n), *inverted;

    if (number == NULL || !is_negative)
        return number;
    inverted = PyNumber_Invert(number); /* -1 - n */
    Py_DECREF(number);
    return inverted;
}

/* The chunks up to the END, put together. The sum is known before anything is
 * copied: appending piece by piece would take the square of their number. */
static PyObject *read_chunks(struct decoding *d)
{
    struct cp_cbor_reader ahead = d->r;
    struct cp_cbor_item chunk;
    PyObject *whole;
    char *at;
    size_t len = 0;

    while (cp_cbor_next(&ahead, &chunk) == 1 && chunk.kind != CP_CBOR_END)
        len += chunk.bytes.len;
    whole = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    if (whole == NULL)
        return NULL;
    at = PyBytes_AS_STRING(whole);
    while (next_item(d, &chunk)) {
        if (chunk.bytes.len > 0)
            memcpy(at, chunk.bytes.data, chunk.bytes.len);
        at += chunk.bytes.len;
    }
    if (PyErr_Occurred())
        Py_CLEAR(whole);
    return whole;
}

static PyObject *to_str(const char *text, Py_ssize_t len)
{
    return PyUnicode_DecodeUTF8(len == 0 ? "" : text, len, NULL);
}

static PyObject *read_string(struct decoding *d,
                             const struct cp_cbor_item *item)
{
    bool is_text = item->kind == CP_CBOR_TEXT;
    PyObject *whole;

    if (!item->indefinite)
        return is_text ? to_str((const char *)item->bytes.data,
                                (Py_ssize_t)item->bytes.len)
                       : to_bytes(item->bytes);
    whole = read_chunks(d);
    if (whole != NULL && is_text)
        Py_SETREF(whole,
                  to_str(PyBytes_AS_STRING(whole), PyBytes_GET_SIZE(whole)));
    return whole;
}

static PyObject *read_array(struct decoding *d)
{
    PyObject *list = PyList_New(0);
    struct cp_cbor_item item;

    while (list != NULL && next_item(d, &item)) {
        PyObject *value = read_value(d, &item);

        if (value == NULL || PyList_Append(list, value) < 0)
            Py_CLEAR(list);
        Py_XDECREF(value);
    }
    if (list != NULL && PyErr_Occurred())
        Py_CLEAR(list);
    if (list != NULL && d->as_key)
        Py_SETREF(list, PyList_AsTuple(list));
    return list;
}

/* A key that can be one in Python and is none yet. RFC 8949 5.6. */
static PyObject *read_key(struct decoding *d, const struct cp_cbor_item *item,
                          PyObject *map)
{
    bool outer = d->as_key;
    PyObject *key;
    int found;

    d->as_key = true;
    key = read_value(d, item);
    d->as_key = outer;
    if (key == NULL)
        return NULL;
    found = PyDict_Contains(map, key);
    if (found < 0 && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        refuse_cbor(d, "a map as a key");
    } else if (found > 0) {
        refuse_cbor(d, "a map with the same key twice");
    }
    if (found != 0)
        Py_CLEAR(key);
    return key;
}

static PyObject *read_map(struct decoding *d)
{
    PyObject *map = PyDict_New();
    struct cp_cbor_item item;

    while (map != NULL && next_item(d, &item)) {
        PyObject *key = read_key(d, &item, map), *value = NULL;

        if (key != NULL && next_item(d, &item))
            value = read_value(d, &item);
        if (value == NULL || PyDict_SetItem(map, key, value) < 0)
            Py_CLEAR(map);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    if (map != NULL && PyErr_Occurred())
        Py_CLEAR(map);
    return map;
}

/* Bignums are integers. RFC 8949 3.4.3. */
static PyObject *read_bignum(PyObject *bytes, bool is_negative)
{
    PyObject *n = PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes",
                                      "Os", bytes, "big");

    Py_DECREF(bytes);
    if (n != NULL && is_negative)
        Py_SETREF(n, PyNumber_Invert(n));
    return n;
}

static PyObject *read_tag(struct decoding *d, uint64_t number)
{
    struct cp_cbor_item item;
    PyObject *value = NULL;

    if (next_item(d, &item))
        value = read_value(d, &item);
    if (value == NULL)
        return NULL;
    if (cp_cbor_next(&d->r, &item) != 1) { /* the tag's END */
        Py_DECREF(value);
        return refuse_cbor(d, NULL);
    }
    if ((number == 2 || number == 3) && PyBytes_Check(value))
        return read_bignum(value, number == 3);
    return new_sequence(tag_type, PyLong_FromUnsignedLongLong(number), value);
}

static PyObject *read_simple(uint64_t n)
{
    switch (n) {
    case CP_CBOR_FALSE: return Py_NewRef(Py_False);
    case CP_CBOR_TRUE: return Py_NewRef(Py_True);
    case CP_CBOR_NULL: return Py_NewRef(Py_None);
    default:
        return new_sequence(simple_type, PyLong_FromUnsignedLongLong(n), NULL);
    }
}

/* Never deeper than the reader allows. */
static PyObject *read_value(struct decoding *d, const struct cp_cbor_item *item)
{
    switch (item->kind) {
    case CP_CBOR_UNSIGNED: return read_integer(item->n, false);
    case CP_CBOR_NEGATIVE: return read_integer(item->n, true);
    case CP_CBOR_BYTES:
    case CP_CBOR_TEXT: return read_string(d, item);
    case CP_CBOR_ARRAY: return read_array(d);
    case CP_CBOR_MAP: return read_map(d);
    case CP_CBOR_TAG: return read_tag(d, item->n);
    case CP_CBOR_SIMPLE: return read_simple(item->n);
    case CP_CBOR_FLOAT: return PyFloat_FromDouble(item->number);
    default: return refuse_cbor(d, NULL);
    }
}

/* The one item that data holds; NULL with an exception. */
static PyObject *copal_python_cbor_decode(const uint8_t *data, size_t len)
{
    struct decoding d = {.in = cp_bytes(data, len)};
    struct cp_cbor_item item;
    PyObject *value;

    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    if (!next_item(&d, &item))
        return NULL;
    value = read_value(&d, &item);
    if (value != NULL && cp_cbor_next(&d.r, &item) != 0) {
        Py_DECREF(value);
        return refuse_cbor(&d, NULL);
    }
    return value;
}

/* ---- Writing ------------------------------------------------------------ */

static int write_value(PyObject *o, struct cp_buf *out, int depth);

static int write_big(PyObject *o, struct cp_buf *out, bool is_negative)
{
    PyObject *n = is_negative ? PyNumber_Invert(o) : Py_NewRef(o);
    PyObject *bits = NULL, *bytes = NULL;

    if (n != NULL)
        bits = PyObject_CallMethod(n, "bit_length", NULL);
    if (bits != NULL)
        bytes = PyObject_CallMethod(n, "to_bytes", "ns",
                                    PyLong_AsSsize_t(bits) / 8 + 1, "big");
    if (bytes != NULL)
        cp_cbor_put_bignum(
            out,
            cp_bytes(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)),
            is_negative);
    Py_XDECREF(n);
    Py_XDECREF(bits);
    Py_XDECREF(bytes);
    return bytes == NULL ? -1 : 0;
}

static int write_integer(PyObject *o, struct cp_buf *out)
{
    int overflow;
    long long n = PyLong_AsLongLongAndOverflow(o, &overflow);

    if (overflow != 0)
        return write_big(o, out, overflow < 0);
    if (n == -1 && PyErr_Occurred())
        return -1;
    cp_cbor_put_int(out, n);
    return 0;
}

static int write_buffer(PyObject *o, struct cp_buf *out)
{
    Py_buffer view;

    if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE) < 0)
        return -1;
    cp_cbor_put_bytes(out, cp_bytes(view.buf, (size_t)view.len));
    PyBuffer_Release(&view);
    return 0;
}

static int write_text(PyObject *o, struct cp_buf *out)
{
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(o, &len);

    if (text == NULL)
        return -1;
    cp_cbor_put_text(out, cp_bytes(text, (size_t)len));
    return 0;
}

/* Whatever an item's conversion runs (an int may be of a class of the user's)
 * must not take it away from under us. */
static int write_held(PyObject *o, struct cp_buf *out, int depth)
{
    int result;

    Py_INCREF(o);
    result = write_value(o, out, depth);
    Py_DECREF(o);
    return result;
}

static int changed(void)
{
    PyErr_SetString(PyExc_RuntimeError, "CBOR: changed while it was written");
    return -1;
}

static int write_list(PyObject *o, struct cp_buf *out, int depth)
{
    Py_ssize_t count = PySequence_Fast_GET_SIZE(o);

    cp_cbor_put_array(out, (uint64_t)count);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i >= PySequence_Fast_GET_SIZE(o))
            return changed();
        if (write_held(PySequence_Fast_GET_ITEM(o, i), out, depth) < 0)
            return -1;
    }
    return 0;
}

static int write_pair(PyObject *key, PyObject *value, struct cp_buf *out,
                      int depth)
{
    int result;

    Py_INCREF(value);
    result = write_held(key, out, depth);
    if (result == 0)
        result = write_value(value, out, depth);
    Py_DECREF(value);
    return result;
}

static int write_map(PyObject *o, struct cp_buf *out, int depth)
{
    Py_ssize_t at = 0, count = PyDict_GET_SIZE(o), seen = 0;
    PyObject *key, *value;
    size_t begin;
    int err;

    cp_cbor_put_map(out, (uint64_t)count);
    begin = out->len;
    for (; PyDict_Next(o, &at, &key, &value); seen++)
        if (write_pair(key, value, out, depth) < 0)
            return -1;
    if (seen != count)
        return changed();
    err = cp_cbor_sort_map(out, begin, (size_t)count);
    if (err == COPAL_EINVAL)
        PyErr_SetString(PyExc_ValueError, "CBOR: the same key twice");
    else if (err != 0)
        PyErr_NoMemory();
    return err != 0 ? -1 : 0;
}

static int write_tag(PyObject *o, struct cp_buf *out, int depth)
{
    PyObject *number = PyStructSequence_GET_ITEM(o, 0);
    unsigned long long tag;

    if (!PyLong_Check(number)) {
        PyErr_SetString(PyExc_TypeError, "CBOR: a tag's number is an int");
        return -1;
    }
    tag = PyLong_AsUnsignedLongLong(number);
    if (PyErr_Occurred())
        return -1;
    cp_cbor_put_tag(out, tag);
    return write_value(PyStructSequence_GET_ITEM(o, 1), out, depth);
}

static int write_simple(PyObject *o, struct cp_buf *out)
{
    long n = PyLong_AsLong(PyStructSequence_GET_ITEM(o, 0));

    if (PyErr_Occurred())
        return -1;
    if (n < 0 || n > 255 || (n >= 24 && n < 32)) {
        PyErr_SetString(PyExc_ValueError,
                        "CBOR: a simple value is 0 to 23 or 32 to 255");
        return -1;
    }
    cp_cbor_put_simple(out, (uint8_t)n);
    return 0;
}

static int write_nested(PyObject *o, struct cp_buf *out, int depth)
{
    /* What contains itself ends here, too. */
    if (depth >= CP_CBOR_DEPTH) {
        PyErr_SetString(PyExc_ValueError, "CBOR: nested too deeply");
        return -1;
    }
    if (Py_TYPE(o) == tag_type)
        return write_tag(o, out, depth + 1);
    if (PyDict_Check(o))
        return write_map(o, out, depth + 1);
    return write_list(o, out, depth + 1);
}

static int write_value(PyObject *o, struct cp_buf *out, int depth)
{
    if (o == Py_None)
        cp_cbor_put_simple(out, CP_CBOR_NULL);
    else if (PyBool_Check(o))
        cp_cbor_put_simple(out, o == Py_True ? CP_CBOR_TRUE : CP_CBOR_FALSE);
    else if (PyLong_Check(o))
        return write_integer(o, out);
    else if (PyFloat_Check(o))
        cp_cbor_put_float(out, PyFloat_AS_DOUBLE(o));
    else if (PyUnicode_Check(o))
        return write_text(o, out);
    else if (Py_TYPE(o) == simple_type)
        return write_simple(o, out);
    else if (PyDict_Check(o) || PyList_Check(o) || PyTuple_Check(o))
        return write_nested(o, out, depth);
    else if (PyBytes_Check(o) || PyByteArray_Check(o) || PyMemoryView_Check(o))
        return write_buffer(o, out);
    else {
        PyErr_Format(PyExc_TypeError, "CBOR has no %s", Py_TYPE(o)->tp_name);
        return -1;
    }
    return 0;
}

/* Appends o to out. 0, or -1 with an exception. */
static int copal_python_cbor_encode(PyObject *o, struct cp_buf *out)
{
    if (write_value(o, out, 0) < 0)
        return -1;
    if (out->failed) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* ---- Functions of the module -------------------------------------------- */

/* cbor_decode(buffer) -> object */
static PyObject *py_cbor_decode(PyObject *self, PyObject *args)
{
    Py_buffer view;
    PyObject *value;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &view))
        return NULL;
    value = copal_python_cbor_decode(view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return value;
}

/* cbor_encode(object) -> bytes */
static PyObject *py_cbor_encode(PyObject *self, PyObject *args)
{
    struct cp_mem *mem;
    struct cp_buf out;
    PyObject *o, *bytes = NULL;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    mem = cp_mem_new(NULL, NULL);
    if (mem == NULL)
        return PyErr_NoMemory();
    out = cp_buf_new(mem);
    if (copal_python_cbor_encode(o, &out) == 0)
        bytes = to_bytes(cp_bytes(out.data, out.len));
    cp_buf_free(&out);
    cp_mem_release(mem);
    return bytes;
}

/* cbor_diagnostic(buffer, indented, is_sequence) -> str */
static PyObject *py_cbor_diagnostic(PyObject *self, PyObject *args)
{
    struct decoding d = {.as_key = false};
    struct cp_mem *mem;
    struct cp_buf out;
    Py_buffer view;
    PyObject *text = NULL;
    int indented, is_sequence;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*pp", &view, &indented, &is_sequence))
        return NULL;
    mem = cp_mem_new(NULL, NULL);
    out = cp_buf_new(mem);
    d.in = cp_bytes(view.buf, (size_t)view.len);
    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    d.r.is_sequence = is_sequence;
    if (mem == NULL)
        PyErr_NoMemory();
    else if (cp_cbor_print(&d.r,
                           indented ? CP_CBOR_INDENTED : CP_CBOR_ON_ONE_LINE,
                           &out) < 0)
        refuse_cbor(&d, NULL);
    else if (out.failed)
        PyErr_NoMemory();
    else
        text = PyUnicode_DecodeUTF8((const char *)out.data, (Py_ssize_t)out.len,
                                    NULL);
    if (mem != NULL) {
        cp_buf_free(&out);
        cp_mem_release(mem);
    }
    PyBuffer_Release(&view);
    return text;
}

/* cbor_items(buffer) -> [bytes, ...]: the items of a sequence, RFC 8742 */
static PyObject *py_cbor_items(PyObject *self, PyObject *args)
{
    struct decoding d = {.as_key = false};
    struct cp_cbor_item item;
    Py_buffer view;
    PyObject *list;
    int result = 1;

    (void)self;
    if (!PyArg_ParseTuple(args, "y*", &view))
        return NULL;
    d.in = cp_bytes(view.buf, (size_t)view.len);
    d.r = cp_cbor_read(d.in, CP_CBOR_DEPTH);
    d.r.is_sequence = true;
    list = PyList_New(0);
    while (list != NULL && result == 1) {
        const uint8_t *begin = d.r.in.at;
        PyObject *bytes;

        result = cp_cbor_next(&d.r, &item);
        if (result != 1 || cp_cbor_skip(&d.r, &item) != 0)
            break;
        bytes = to_bytes(cp_bytes(begin, (size_t)(d.r.in.at - begin)));
        if (bytes == NULL || PyList_Append(list, bytes) < 0)
            Py_CLEAR(list);
        Py_XDECREF(bytes);
    }
    if (list != NULL && d.r.error != 0) {
        Py_CLEAR(list);
        refuse_cbor(&d, NULL);
    }
    PyBuffer_Release(&view);
    return list;
}

#endif
