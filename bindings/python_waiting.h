/* Who waits for a Request: the functions of add_done_callback(). Part of
 * python_bridge.h.
 *
 * asyncio.Future hands each to the loop, as an object of its own that the loop's
 * next round calls. A response comes to us in a round of the loop, with no call
 * of the program's below: there they are called at once, and what they ask leaves
 * with the same turn. Whatever else ends a request may have been called by the
 * program itself, so the loop calls them then. */

static PyTypeObject *request_class; /* copal.Request */

static bool check_asker(PyObject *request)
{
    return (request_class != NULL &&
            PyObject_TypeCheck(request, request_class)) ||
           wrong_type("a Request", request) != NULL;
}

/* Of a Request the places of its slots, and of its base the functions: the
 * callback added first, its context, and a list of pairs of the others. */
static Py_ssize_t at_then, at_within, at_others;
static PyObject *future_done, *future_result, *future_loop;

static PyObject **slot_of(PyObject *request, Py_ssize_t at)
{
    return (PyObject **)(void *)((char *)request + at);
}

static PyObject *take_slot(PyObject *request, Py_ssize_t at)
{
    PyObject **slot = slot_of(request, at), *value = *slot;

    *slot = NULL;
    if (value != Py_None)
        return value;
    Py_DECREF(value);
    return NULL;
}

static bool is_empty(PyObject *request, Py_ssize_t at)
{
    const PyObject *value = *slot_of(request, at);

    return value == NULL || value == Py_None;
}

/* ---- Called by the loop ------------------------------------------------- */

static PyObject *name_call_soon, *name_failed, *context_names;

static bool call_soon(PyObject *request, PyObject *fn, PyObject *context)
{
    PyObject *loop = PyObject_CallOneArg(future_loop, request);
    PyObject *args[] = {loop, fn, request, context};
    PyObject *handle = NULL;

    leave_to_loop();
    if (loop != NULL)
        handle =
            PyObject_VectorcallMethod(name_call_soon, args, 3, context_names);
    Py_XDECREF(loop);
    Py_XDECREF(handle);
    return handle != NULL;
}

/* ---- Called at once ----------------------------------------------------- */

/* What a callback raised is told as the loop would; what is to end the program
 * goes to whoever runs the loop. */
static void tell_failure(PyObject *request, PyObject *fn)
{
    PyObject *type, *value, *traceback, *result;

    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ||
        PyErr_ExceptionMatches(PyExc_SystemExit)) {
        leave_to_loop();
        report(fn);
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        (void)PyException_SetTraceback(value, traceback);
    result = PyObject_CallMethodObjArgs(request, name_failed, fn, value, NULL);
    if (result == NULL)
        report(fn);
    Py_XDECREF(result);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static void call_now(PyObject *request, PyObject *fn, PyObject *context)
{
    PyObject *result = NULL, *type, *value, *traceback;

    turn.left--;
    if (PyContext_Enter(context) == 0) {
        result = PyObject_CallOneArg(fn, request);
        if (result == NULL) {
            PyErr_Fetch(&type, &value, &traceback);
            (void)PyContext_Exit(context);
            PyErr_Restore(type, value, traceback);
        } else if (PyContext_Exit(context) != 0) {
            Py_CLEAR(result);
        }
    }
    if (result == NULL)
        tell_failure(request, fn);
    Py_XDECREF(result);
}

/* ---- Either ------------------------------------------------------------- */

static bool call_waiting(PyObject *request, PyObject *fn, PyObject *context,
                         PyObject *loop)
{
    if (loop == NULL || loop != turn.loop || turn.left == 0)
        return call_soon(request, fn, context);
    call_now(request, fn, context);
    return true;
}

/* Calls all that wait; loop: the request's, if it ends in a turn of that, or NULL.
 * False: raised, of those that the loop did not take. */
static bool call_all(PyObject *request, PyObject *loop)
{
    PyObject *fn = take_slot(request, at_then);
    PyObject *context = take_slot(request, at_within);
    PyObject *others = take_slot(request, at_others);
    bool is_well = fn == NULL || call_waiting(request, fn, context, loop);

    for (Py_ssize_t i = 0;
         is_well && others != NULL && i < PyList_GET_SIZE(others); i++) {
        PyObject *pair = PyList_GET_ITEM(others, i);

        is_well = call_waiting(request, PyTuple_GET_ITEM(pair, 0),
                               PyTuple_GET_ITEM(pair, 1), loop);
    }
    Py_XDECREF(fn);
    Py_XDECREF(context);
    Py_XDECREF(others);
    return is_well;
}

/* call_waiting(request): it is over */
static PyObject *py_call_waiting(PyObject *self, PyObject *request)
{
    (void)self;
    if (!check_asker(request) || !call_all(request, NULL))
        return NULL;
    return Py_NewRef(Py_None);
}

/* ---- Adding ------------------------------------------------------------- */

static bool add_other(PyObject *request, PyObject *fn, PyObject *context)
{
    PyObject **others = slot_of(request, at_others);
    PyObject *pair = PyTuple_Pack(2, fn, context);
    bool is_well = pair != NULL;

    if (is_well && is_empty(request, at_others))
        Py_XSETREF(*others, PyList_New(0));
    is_well = is_well && *others != NULL && PyList_Append(*others, pair) == 0;
    Py_XDECREF(pair);
    return is_well;
}

static bool add_waiting(PyObject *request, PyObject *fn, PyObject *context)
{
    PyObject *done = PyObject_CallOneArg(future_done, request);
    bool is_done = done == Py_True;

    if (done == NULL)
        return false;
    Py_DECREF(done);
    if (is_done)
        return call_soon(request, fn, context);
    if (!is_empty(request, at_then) || !is_empty(request, at_others))
        return add_other(request, fn, context);
    Py_XSETREF(*slot_of(request, at_then), Py_NewRef(fn));
    Py_XSETREF(*slot_of(request, at_within), Py_NewRef(context));
    return true;
}

/* request.add_done_callback(fn, *, context=None) */
static PyObject *request_add(PyObject *self, PyObject *const *args,
                             Py_ssize_t n, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    PyObject *context;
    bool is_well;

    if (n != 1 || named > 1 ||
        (named == 1 && PyUnicode_CompareWithASCIIString(
                           PyTuple_GET_ITEM(names, 0), "context") != 0)) {
        PyErr_SetString(PyExc_TypeError,
                        "add_done_callback: a function expected, and context");
        return NULL;
    }
    context = named == 1 && args[1] != Py_None ? Py_NewRef(args[1])
                                               : PyContext_CopyCurrent();
    is_well = context != NULL && add_waiting(self, args[0], context);
    Py_XDECREF(context);
    return is_well ? Py_NewRef(Py_None) : NULL;
}

/* clang-format off */
static PyMethodDef request_methods[] = {
    {"add_done_callback", (PyCFunction)(void (*)(void))request_add,
     METH_FASTCALL | METH_KEYWORDS,
     "Calls fn(request) once it is over, in context or that of now. Soon, and\n"
     "never from within the call that ends it: cancel(), close()."},
    {NULL, NULL, 0, NULL}};
/* clang-format on */

static bool find_slot(PyObject *cls, const char *name, Py_ssize_t *at)
{
    PyObject *slot = PyObject_GetAttrString(cls, name);
    bool is_slot = slot != NULL && Py_TYPE(slot) == &PyMemberDescr_Type;

    if (is_slot)
        *at = ((PyMemberDescrObject *)slot)->d_member->offset;
    else if (slot != NULL)
        PyErr_Format(PyExc_TypeError, "%s: a slot expected", name);
    Py_XDECREF(slot);
    return is_slot;
}

static bool find_function(PyObject *cls, const char *name, PyObject **fn)
{
    Py_XSETREF(*fn, PyObject_GetAttrString(cls, name));
    return *fn != NULL;
}

/* Gives Request its method, and finds what it has of asyncio.Future. */
static bool join_waiting(PyTypeObject *cls)
{
    PyObject *base = (PyObject *)cls->tp_base;
    PyObject *add = PyDescr_NewMethod(cls, request_methods);
    bool is_well = add != NULL &&
                   PyObject_SetAttrString(
                       (PyObject *)cls, request_methods[0].ml_name, add) == 0 &&
                   find_function(base, "done", &future_done) &&
                   find_function(base, "set_result", &future_result) &&
                   find_function(base, "get_loop", &future_loop) &&
                   find_slot((PyObject *)cls, "_then", &at_then) &&
                   find_slot((PyObject *)cls, "_within", &at_within) &&
                   find_slot((PyObject *)cls, "_others", &at_others);

    Py_XDECREF(add);
    return is_well;
}
