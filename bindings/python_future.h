/* What a Request is of asyncio.Future: its states, its result, who awaits it. Part
 * of python_bridge.h.
 *
 * It derives from asyncio.Future, so that it is one to whoever asks, but nothing
 * of that is used: to make one costs more than a request does in C, and each look
 * at it is a call. What asyncio does with a future that is not exactly of its own
 * class it does by the methods and fields that are here. */

static PyObject *invalid_state, *cancelled_error; /* of asyncio */

/* ---- Its exchange ------------------------------------------------------- */

static void hold_exchange(struct asked *a, copal_exchange *x)
{
    a->x = copal_exchange_ref(x);
    a->born = generation;
    alive.exchanges++;
}

static void let_go_of_exchange(struct asked *a)
{
    copal_exchange *x = a->x;

    if (x == NULL)
        return;
    a->x = NULL;
    alive.exchanges--;
    if (a->born == generation)
        copal_exchange_unref(x);
}

/* That it is over already, or the endpoint gone, is no fault. */
static void cancel_exchange(struct asked *a)
{
    if (a->x != NULL && a->born == generation) {
        (void)copal_cancel(a->x);
        bury();
    }
}

/* request._cancel_exchange() */
static PyObject *request_cancel_exchange(PyObject *self, PyObject *unused)
{
    (void)unused;
    cancel_exchange(asked_of(self));
    return Py_NewRef(Py_None);
}

/* request._let_go(): the exchange is over */
static PyObject *request_let_go(PyObject *self, PyObject *unused)
{
    (void)unused;
    let_go_of_exchange(asked_of(self));
    return Py_NewRef(Py_None);
}

/* ---- Over --------------------------------------------------------------- */

static bool is_waiting(const struct asked *a)
{
    if (a->state != ASKED_WAITS)
        PyErr_SetString(invalid_state, "invalid state");
    return a->state == ASKED_WAITS;
}

/* NULL: raised. */
static PyObject *make_cancelled(const struct asked *a)
{
    return is_none(a->why) ? PyObject_CallNoArgs(cancelled_error)
                           : PyObject_CallOneArg(cancelled_error, a->why);
}

static void raise_cancelled(const struct asked *a)
{
    PyObject *e = make_cancelled(a);

    if (e != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
}

static PyObject *get_result(struct asked *a)
{
    if (a->state == ASKED_CANCELLED)
        raise_cancelled(a);
    else if (a->state == ASKED_WAITS)
        PyErr_SetString(invalid_state, "Result is not set.");
    else if (a->error == NULL)
        return Py_NewRef(a->result);
    else {
        /* Else each look at it would make its traceback longer. */
        (void)PyException_SetTraceback(
            a->error, a->traceback == NULL ? Py_None : a->traceback);
        PyErr_SetObject((PyObject *)Py_TYPE(a->error), a->error);
    }
    a->is_untold = 0;
    return NULL;
}

static PyObject *request_result(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get_result(asked_of(self));
}

static PyObject *request_exception(PyObject *self, PyObject *unused)
{
    struct asked *a = asked_of(self);

    (void)unused;
    if (a->state == ASKED_CANCELLED)
        raise_cancelled(a);
    else if (a->state == ASKED_WAITS)
        PyErr_SetString(invalid_state, "Exception is not set.");
    else {
        a->is_untold = 0;
        return Py_NewRef(a->error == NULL ? Py_None : a->error);
    }
    return NULL;
}

static PyObject *request_done(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(asked_of(self)->state != ASKED_WAITS);
}

static PyObject *request_cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(asked_of(self)->state == ASKED_CANCELLED);
}

static PyObject *request_get_loop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(asked_of(self)->loop);
}

static PyObject *request_make_cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return make_cancelled(asked_of(self));
}

/* ---- Ended -------------------------------------------------------------- */

static PyObject *request_set_result(PyObject *self, PyObject *value)
{
    struct asked *a = asked_of(self);

    if (!is_waiting(a))
        return NULL;
    a->result = Py_NewRef(value);
    a->state = ASKED_FINISHED;
    return call_all(self, NULL) ? Py_NewRef(Py_None) : NULL;
}

/* An exception, from one or from its class; NULL: raised. */
static PyObject *make_exception(PyObject *e)
{
    PyObject *made =
        PyExceptionClass_Check(e) ? PyObject_CallNoArgs(e) : Py_NewRef(e);

    if (made != NULL && !PyExceptionInstance_Check(made)) {
        PyErr_SetString(PyExc_TypeError, "invalid exception object");
        Py_CLEAR(made);
    } else if (made != NULL &&
               (PyObject *)Py_TYPE(made) == PyExc_StopIteration) {
        PyErr_SetString(PyExc_TypeError,
                        "StopIteration interacts badly with generators and "
                        "cannot be raised into a Future");
        Py_CLEAR(made);
    }
    return made;
}

static PyObject *request_set_exception(PyObject *self, PyObject *e)
{
    struct asked *a = asked_of(self);
    PyObject *made = is_waiting(a) ? make_exception(e) : NULL;

    if (made == NULL)
        return NULL;
    if (!is_waiting(a)) { /* by what the class of e ran */
        Py_DECREF(made);
        return NULL;
    }
    a->error = made;
    a->traceback = PyException_GetTraceback(made);
    a->state = ASKED_FINISHED;
    a->is_untold = 1;
    return call_all(self, NULL) ? Py_NewRef(Py_None) : NULL;
}

/* request.cancel(msg=None) -> bool */
static PyObject *request_cancel(PyObject *self, PyObject *args, PyObject *names)
{
    static char *const known[] = {"msg", NULL};
    struct asked *a = asked_of(self);
    PyObject *why = Py_None;

    if (!PyArg_ParseTupleAndKeywords(args, names, "|O:cancel", (char **)known,
                                     &why))
        return NULL;
    a->is_untold = 0;
    if (a->state != ASKED_WAITS)
        return Py_NewRef(Py_False);
    a->state = ASKED_CANCELLED;
    Py_XSETREF(a->why, Py_NewRef(why));
    cancel_exchange(a);
    return call_all(self, NULL) ? Py_NewRef(Py_True) : NULL;
}

/* ---- Awaited ------------------------------------------------------------ */

/* What stands where a Request is awaited. */
struct awaiting {
    PyObject_HEAD PyObject *request;
};

static PyTypeObject *awaiting_type;

/* Request's __await__ and __iter__ */
static PyObject *request_await(PyObject *self)
{
    struct awaiting *w =
        (struct awaiting *)awaiting_type->tp_alloc(awaiting_type, 0);

    if (w != NULL)
        w->request = Py_NewRef(self);
    return (PyObject *)w;
}

static PySendResult awaiting_am_send(PyObject *self, PyObject *unused,
                                     PyObject **value)
{
    PyObject *request = ((struct awaiting *)self)->request;
    struct asked *a = asked_of(request);

    (void)unused;
    *value = NULL;
    if (a->state != ASKED_WAITS) {
        *value = get_result(a);
        return *value == NULL ? PYGEN_ERROR : PYGEN_RETURN;
    }
    if (a->is_yielded) {
        PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
        return PYGEN_ERROR;
    }
    a->is_yielded = 1;
    *value = Py_NewRef(request);
    return PYGEN_NEXT;
}

static PyObject *awaiting_next(PyObject *self)
{
    PyObject *value, *stop;
    PySendResult how = awaiting_am_send(self, Py_None, &value);

    if (how != PYGEN_RETURN)
        return value;
    stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    Py_DECREF(value);
    if (stop != NULL)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    return NULL;
}

static PyObject *awaiting_send(PyObject *self, PyObject *unused)
{
    (void)unused;
    return awaiting_next(self);
}

/* What throw() is given: one, its class, or as of old that and what it is made of.
 * NULL: raised. */
static PyObject *make_thrown(PyObject *type, PyObject *value)
{
    if (PyExceptionInstance_Check(value))
        return make_exception(value);
    if (value == Py_None || !PyExceptionClass_Check(type))
        return make_exception(type);
    return PyTuple_Check(value) ? PyObject_CallObject(type, value)
                                : PyObject_CallOneArg(type, value);
}

/* throw(value), or as of old throw(type, value, traceback) */
static PyObject *awaiting_throw(PyObject *self, PyObject *args)
{
    PyObject *type, *value = Py_None, *traceback = Py_None, *e;

    (void)self;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback))
        return NULL;
    e = make_thrown(type, value);
    if (e == NULL)
        return NULL;
    if (traceback == Py_None || PyException_SetTraceback(e, traceback) == 0)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_DECREF(e);
    return NULL;
}

static PyObject *awaiting_close(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    return Py_NewRef(Py_None);
}

static int awaiting_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct awaiting *)self)->request);
    return 0;
}

static void awaiting_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    Py_DECREF(((struct awaiting *)self)->request);
    type->tp_free(self);
    Py_DECREF(type);
}

/* clang-format off */
static PyMethodDef awaiting_methods[] = {
    {"send", awaiting_send, METH_O, NULL},
    {"throw", awaiting_throw, METH_VARARGS, NULL},
    {"close", awaiting_close, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyType_Slot awaiting_slots[] = {
    {Py_tp_dealloc, awaiting_dealloc}, {Py_tp_traverse, awaiting_traverse},
    {Py_tp_methods, awaiting_methods}, {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, awaiting_next}, {Py_am_send, awaiting_am_send}, {0, NULL}};
static PyType_Spec awaiting_spec = {"copal._copal.Awaiting",
    sizeof(struct awaiting), 0, CLOSED_TYPE | Py_TPFLAGS_HAVE_GC,
    awaiting_slots};
/* clang-format on */

/* ---- Fields ------------------------------------------------------------- */

static PyObject *request_get_state(PyObject *self, void *unused)
{
    static const char *const names[] = {"PENDING", "CANCELLED", "FINISHED"};

    (void)unused;
    return PyUnicode_FromString(names[asked_of(self)->state]);
}

static PyObject *request_get_yielded(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(asked_of(self)->is_yielded);
}

static int request_set_yielded(PyObject *self, PyObject *value, void *unused)
{
    int is_true = value == NULL ? 0 : PyObject_IsTrue(value);

    (void)unused;
    if (is_true >= 0)
        asked_of(self)->is_yielded = (char)is_true;
    return is_true < 0 ? -1 : 0;
}

static PyObject *request_get_untold(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(asked_of(self)->is_untold);
}

static int request_set_untold(PyObject *self, PyObject *value, void *unused)
{
    int is_true = value == NULL ? 0 : PyObject_IsTrue(value);

    (void)unused;
    if (is_true > 0)
        PyErr_SetString(PyExc_ValueError,
                        "_log_traceback can only be set to False");
    else if (is_true == 0)
        asked_of(self)->is_untold = 0;
    return is_true == 0 ? 0 : -1;
}

static PyObject *request_get_waiting(PyObject *self, void *unused)
{
    PyObject *all = list_waiting(asked_of(self));

    (void)unused;
    if (all != NULL && PyList_GET_SIZE(all) == 0)
        Py_SETREF(all, Py_NewRef(Py_None));
    return all;
}

static PyObject *request_get_code(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromLong(asked_of(self)->code);
}

/* ---- The type ----------------------------------------------------------- */

/* Of an error that nobody has seen. */
static void tell_loop(PyObject *self, const struct asked *a)
{
    PyObject *text = PyUnicode_FromFormat("%s exception was never retrieved",
                                          Py_TYPE(self)->tp_name);
    PyObject *context = Py_BuildValue("{sNsOsO}", "message", text, "exception",
                                      a->error, "future", self);
    PyObject *done = NULL;

    if (context != NULL &&
        (a->made == NULL ||
         PyDict_SetItemString(context, "source_traceback", a->made) == 0))
        done = PyObject_CallMethod(a->loop, "call_exception_handler", "O",
                                   context);
    if (done == NULL)
        PyErr_WriteUnraisable(self);
    Py_XDECREF(done);
    Py_XDECREF(context);
}

static void request_finalize(PyObject *self)
{
    struct asked *a = asked_of(self);
    PyObject *type, *value, *traceback;

    if (!a->is_untold || a->error == NULL)
        return;
    a->is_untold = 0;
    PyErr_Fetch(&type, &value, &traceback);
    tell_loop(self, a);
    PyErr_Restore(type, value, traceback);
}

/* What may lead back to it. */
static int request_clear(PyObject *self)
{
    struct asked *a = asked_of(self);

    Py_CLEAR(a->coap);
    Py_CLEAR(a->response);
    Py_CLEAR(a->queue);
    Py_CLEAR(a->result);
    Py_CLEAR(a->error);
    Py_CLEAR(a->traceback);
    Py_CLEAR(a->why);
    Py_CLEAR(a->made);
    Py_CLEAR(a->fn);
    Py_CLEAR(a->context);
    Py_CLEAR(a->others);
    return future_class->tp_clear(self);
}

static int request_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct asked *a = asked_of(self);

    /* A base that is on the heap visits it. */
    if (!(future_class->tp_flags & Py_TPFLAGS_HEAPTYPE))
        Py_VISIT(Py_TYPE(self));
    Py_VISIT(a->loop);
    Py_VISIT(a->coap);
    Py_VISIT(a->response);
    Py_VISIT(a->queue);
    Py_VISIT(a->result);
    Py_VISIT(a->error);
    Py_VISIT(a->traceback);
    Py_VISIT(a->why);
    Py_VISIT(a->made);
    Py_VISIT(a->fn);
    Py_VISIT(a->context);
    Py_VISIT(a->others);
    return future_class->tp_traverse(self, visit, arg);
}

static void request_dealloc(PyObject *self)
{
    struct asked *a = asked_of(self);
    PyTypeObject *type = Py_TYPE(self);

    if ((a->is_untold || type != request_class) &&
        PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* somebody holds it again */
    PyObject_GC_UnTrack(self);
    let_go_of_exchange(a);
    (void)request_clear(self);
    Py_CLEAR(a->uri);
    Py_CLEAR(a->loop);
    future_class->tp_dealloc(self);
    if (!(future_class->tp_flags & Py_TPFLAGS_HEAPTYPE))
        Py_DECREF(type);
}

/* clang-format off */
static PyMethodDef request_methods[] = {
    {"add_done_callback", (PyCFunction)(void (*)(void))request_add,
     METH_FASTCALL | METH_KEYWORDS,
     "Calls fn(request) once it is over, in context or that of now. Soon, and\n"
     "never from within the call that ends it: cancel(), close()."},
    {"remove_done_callback", request_remove, METH_O,
     "Does not call it. Returns how often it was to be called."},
    {"cancel", (PyCFunction)(void (*)(void))request_cancel,
     METH_VARARGS | METH_KEYWORDS,
     "Gives up: nothing is sent again, nobody waits any more. False: it was\n"
     "over already."},
    {"result", request_result, METH_NOARGS,
     "The response. Raises what went wrong."},
    {"exception", request_exception, METH_NOARGS,
     "What went wrong, or None."},
    {"done", request_done, METH_NOARGS, "Whether it is over."},
    {"cancelled", request_cancelled, METH_NOARGS, "Whether it was given up."},
    {"set_result", request_set_result, METH_O,
     "As of any Future; what comes after all is let fall."},
    {"set_exception", request_set_exception, METH_O,
     "As of any Future; what comes after all is let fall."},
    {"get_loop", request_get_loop, METH_NOARGS, "The loop it belongs to."},
    {"_make_cancelled_error", request_make_cancelled, METH_NOARGS, NULL},
    {"_cancel_exchange", request_cancel_exchange, METH_NOARGS, NULL},
    {"_let_go", request_let_go, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};
static PyGetSetDef request_fields[] = {
    {"_asyncio_future_blocking", request_get_yielded, request_set_yielded, NULL,
     NULL},
    {"_log_traceback", request_get_untold, request_set_untold, NULL, NULL},
    {"_state", request_get_state, NULL, NULL, NULL},
    {"_callbacks", request_get_waiting, NULL, NULL, NULL},
    {"_code", request_get_code, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
/* Their places are counted from where a struct asked begins. */
#define FIELD(name, field, flags) \
    {name, T_OBJECT, offsetof(struct asked, field), flags, NULL}
static PyMemberDef request_members[] = {
    FIELD("_loop", loop, READONLY), FIELD("_coap", coap, READONLY),
    FIELD("_uri", uri, READONLY), FIELD("_response", response, 0),
    FIELD("_queue", queue, 0), FIELD("_result", result, READONLY),
    FIELD("_exception", error, READONLY),
    FIELD("_cancel_message", why, 0), FIELD("_source_traceback", made, READONLY),
    {NULL, 0, 0, 0, NULL}};
#undef FIELD
static PyType_Slot asked_slots[] = {
    {Py_tp_dealloc, request_dealloc}, {Py_tp_traverse, request_traverse},
    {Py_tp_clear, request_clear}, {Py_tp_finalize, request_finalize},
    {Py_tp_methods, request_methods}, {Py_tp_members, request_members},
    {Py_tp_getset, request_fields}, {Py_tp_iter, request_await},
    {Py_am_await, request_await}, {0, NULL}};
static PyType_Spec asked_spec = {"copal._copal.Asked", 0, 0,
    CLOSED_TYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE, asked_slots};
/* clang-format on */

static bool find_in_asyncio(const char *name, PyObject **found)
{
    PyObject *module = PyImport_ImportModule("asyncio");

    *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return *found != NULL;
}

/* Makes the type, whose size depends on Python's. */
static bool make_asked_type(PyObject *module)
{
    PyObject *bases;

    if (!find_in_asyncio("Future", (PyObject **)&future_class) ||
        !find_in_asyncio("InvalidStateError", &invalid_state) ||
        !find_in_asyncio("CancelledError", &cancelled_error))
        return false;
    at_asked = (future_class->tp_basicsize + 15) & ~(Py_ssize_t)15;
    asked_spec.basicsize = (int)(at_asked + (Py_ssize_t)sizeof(struct asked));
    for (PyMemberDef *m = request_members; m->name != NULL; m++)
        m->offset += at_asked;
    bases = PyTuple_Pack(1, future_class);
    asked_type =
        bases == NULL
            ? NULL
            : (PyTypeObject *)PyType_FromSpecWithBases(&asked_spec, bases);
    Py_XDECREF(bases);
    return asked_type != NULL && PyModule_AddType(module, asked_type) == 0;
}
