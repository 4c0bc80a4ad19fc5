/* Who waits for a Request: the functions of add_done_callback(). Part of
 * python_bridge.h.
 *
 * asyncio.Future hands each to the loop, as an object of its own that the loop's
 * next round calls. A response comes to us in a round of the loop, with no call
 * of the program's below: there they are called at once, and what they ask leaves
 * with the same turn. Whatever else ends a request may have been called by the
 * program itself, so the loop calls them then. */

static PyTypeObject *future_class;  /* asyncio.Future                        */
static PyTypeObject *asked_type;    /* what it is and what is below          */
static PyTypeObject *request_class; /* copal.Request                         */
static Py_ssize_t at_asked;         /* where that begins in one of the class */

enum asked_state {
    ASKED_WAITS,
    ASKED_CANCELLED,
    ASKED_FINISHED
};

/* A Request, behind what is asyncio.Future's, which is left empty: all that a
 * future does and has is done and had here. */
struct asked {
    struct cell cell;  /* of its exchange; fn is the Request        */
    copal_exchange *x; /* while it is not over; of process born     */
    unsigned born;
    PyObject *loop, *coap, *uri;
    PyObject *response; /* the first, or NULL                        */
    PyObject *queue;    /* several answer, and somebody takes each   */
    PyObject *result, *error, *traceback;
    PyObject *why;  /* of a cancellation, or NULL                */
    PyObject *made; /* where, if the loop debugs                 */
    PyObject *fn;   /* who waits: the first, or NULL,            */
    PyObject *context;
    PyObject *others; /* and of all others a list of pairs, or NULL */
    int code;
    enum asked_state state;
    char is_yielded; /* to a task, which says that it has seen that */
    char is_untold;  /* nobody has seen the error yet               */
    bool is_plain; /* no piece of a body comes or goes, nor is progress told */
    bool answered; /* it knows its first response                 */
};

static struct asked *asked_of(PyObject *request)
{
    return (struct asked *)(void *)((char *)request + at_asked);
}

static bool check_asker(PyObject *request)
{
    return (request_class != NULL &&
            PyObject_TypeCheck(request, request_class)) ||
           wrong_type("a Request", request) != NULL;
}

static bool is_none(const PyObject *o)
{
    return o == NULL || o == Py_None;
}

/* ---- Called by the loop ------------------------------------------------- */

static PyObject *name_call_soon, *name_failed, *context_names;

static bool call_soon(PyObject *request, PyObject *fn, PyObject *context)
{
    PyObject *args[] = {asked_of(request)->loop, fn, request, context};
    PyObject *handle;

    leave_to_loop();
    handle = PyObject_VectorcallMethod(name_call_soon, args, 3, context_names);
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
    struct asked *a = asked_of(request);
    PyObject *fn = a->fn, *context = a->context, *others = a->others;
    bool is_well;

    a->fn = a->context = a->others = NULL;
    is_well = fn == NULL || call_waiting(request, fn, context, loop);
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

/* ---- Added and removed -------------------------------------------------- */

/* Takes the reference to pair; NULL: raised. */
static bool put_pair(PyObject *list, PyObject *pair)
{
    bool is_well =
        list != NULL && pair != NULL && PyList_Append(list, pair) == 0;

    Py_XDECREF(pair);
    return is_well;
}

static bool add_waiting(PyObject *request, PyObject *fn, PyObject *context)
{
    struct asked *a = asked_of(request);

    if (a->state != ASKED_WAITS)
        return call_soon(request, fn, context);
    if (a->fn == NULL && a->others == NULL) {
        a->fn = Py_NewRef(fn);
        a->context = Py_NewRef(context);
        return true;
    }
    if (a->others == NULL)
        a->others = PyList_New(0);
    return put_pair(a->others, PyTuple_Pack(2, fn, context));
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

/* A new list of pairs (function, context); NULL: raised. */
static PyObject *list_waiting(const struct asked *a)
{
    PyObject *all = PyList_New(0);

    if (a->fn != NULL && !put_pair(all, PyTuple_Pack(2, a->fn, a->context)))
        Py_CLEAR(all);
    for (Py_ssize_t i = 0;
         all != NULL && a->others != NULL && i < PyList_GET_SIZE(a->others);
         i++)
        if (PyList_Append(all, PyList_GET_ITEM(a->others, i)) != 0)
            Py_CLEAR(all);
    return all;
}

/* request.remove_done_callback(fn) -> how often it was to be called */
static PyObject *request_remove(PyObject *self, PyObject *fn)
{
    struct asked *a = asked_of(self);
    PyObject *all = list_waiting(a);
    Py_ssize_t removed = 0;

    for (Py_ssize_t i = all == NULL ? 0 : PyList_GET_SIZE(all); i-- > 0;) {
        int same = PyObject_RichCompareBool(
            PyTuple_GET_ITEM(PyList_GET_ITEM(all, i), 0), fn, Py_EQ);

        if (same == 0)
            continue;
        if (same < 0 || PyList_SetSlice(all, i, i + 1, NULL) != 0) {
            Py_DECREF(all);
            return NULL;
        }
        removed++;
    }
    if (all == NULL)
        return NULL;
    Py_CLEAR(a->fn);
    Py_CLEAR(a->context);
    Py_XSETREF(a->others, all);
    return PyLong_FromSsize_t(removed);
}
