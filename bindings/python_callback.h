/* Callbacks, and the functions that run the core. Part of python_bridge.h. */

/* ---- Events ------------------------------------------------------------- */

enum {
    MAX_ARGS = 6
};

static PyObject *to_name(int status)
{
    return status == 0 ? Py_NewRef(Py_None) : to_text(copal_errname(status));
}

static PyObject *to_sentence(const copal_event *ev)
{
    const char *text = ev->text;

    if (ev->status != 0 && (text == NULL || *text == '\0'))
        text = copal_strerror(ev->status);
    return to_text(text);
}

/* The arguments after kind, by kind. Many objects may stand for one exchange:
 * where it is to be known again its address comes along as a key. */
static size_t fill_args(const copal_event *ev, PyObject **args)
{
    switch (ev->kind) {
    case COPAL_REQUEST:
        args[0] = show_message(ev->msg);
        args[1] = show_exchange(ev->exchange);
        args[2] = PyLong_FromVoidPtr(ev->exchange);
        args[3] = to_text(ev->text);
        return 4;
    case COPAL_RESPONSE:
    case COPAL_STRAY: args[0] = show_message(ev->msg); return 1;
    case COPAL_CHUNK:
        args[0] = show_message(ev->msg);
        args[1] = PyLong_FromVoidPtr(ev->exchange);
        args[2] = PyLong_FromUnsignedLongLong(ev->offset);
        args[3] = PyBool_FromLong(ev->last);
        return 4;
    case COPAL_PULL:
        args[0] = show_exchange(ev->exchange);
        args[1] = PyLong_FromVoidPtr(ev->exchange);
        args[2] = PyLong_FromUnsignedLongLong(ev->offset);
        args[3] = PyLong_FromSize_t(ev->want);
        return 4;
    case COPAL_PROGRESS:
        args[0] = PyLong_FromUnsignedLongLong(ev->offset);
        args[1] = PyLong_FromUnsignedLongLong(ev->total);
        return 2;
    case COPAL_SILENT:
    case COPAL_END:
        args[0] = to_name(ev->status);
        args[1] = to_sentence(ev);
        args[2] = PyLong_FromVoidPtr(ev->exchange);
        return 3;
    case COPAL_TRACE: args[0] = to_text(ev->text); return 1;
    case COPAL_RESUMED:
    case COPAL_TIMER: return 0;
    }
    return 0;
}

/* What the package could not handle itself. */
static void report(PyObject *fn)
{
    PyObject *type, *value, *traceback;

    if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) &&
        !PyErr_ExceptionMatches(PyExc_SystemExit)) {
        PyErr_WriteUnraisable(fn);
        return;
    }
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        (void)PyException_SetTraceback(value, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (parked == NULL)
        parked = value;
    else
        Py_XDECREF(value);
}

static bool call(PyObject *fn, const copal_event *ev)
{
    PyObject *args[1 + MAX_ARGS] = {NULL};
    PyObject *result = NULL;
    size_t n = 1;
    bool complete = true;

    args[1] = PyLong_FromLong(ev->kind);
    n += fill_args(ev, args + 2);
    for (size_t i = 1; i <= n; i++)
        complete = complete && args[i] != NULL;
    if (complete)
        result = PyObject_Vectorcall(fn, args + 1,
                                     n | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    for (size_t i = 1; i <= n; i++)
        Py_XDECREF(args[i]);
    Py_XDECREF(result);
    return result != NULL;
}

/* What was lost for want of memory is missing: an END that says that all went
 * well would be a lie. */
static const copal_event *truthful(const struct cell *cell,
                                   const copal_event *ev, copal_event *instead)
{
    if (ev->kind != COPAL_END || ev->status != 0 || !cell->lost)
        return ev;
    *instead = *ev;
    instead->status = COPAL_ENOMEM;
    instead->text = "there was no memory for the response when it came";
    return instead;
}

/* Of what was just raised as ev was told. */
static void note_loss(struct cell *cell, const copal_event *ev)
{
    if ((ev->kind == COPAL_RESPONSE || ev->kind == COPAL_CHUNK) &&
        PyErr_ExceptionMatches(PyExc_MemoryError))
        cell->lost = true;
}

static void on_event(const copal_event *ev, void *user)
{
    struct cell *cell = user;
    copal_event instead;
    PyObject *fn;

    if (mute > 0)
        return;
    delivered++;
    fn = Py_NewRef(cell->fn);
    ev = truthful(cell, ev, &instead);
    if (!call(fn, ev)) {
        note_loss(cell, ev);
        /* Whoever asked learns it now, not when the exchange is collected. */
        if (ev->kind == COPAL_REQUEST && ev->exchange != NULL)
            copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                        (copal_bytes){NULL, 0});
        report(fn);
        /* Nothing comes after END: who waits for it would wait for ever. */
        if (ev->kind == COPAL_END && !call(fn, ev))
            report(fn);
    }
    Py_DECREF(fn);
}

/* owner: the endpoint that will drop it. */
static void set_up_cell(struct cell *cell, PyObject *owner, PyObject *fn)
{
    struct endpoint_box *box = (struct endpoint_box *)owner;

    *cell = (struct cell){.fn = Py_NewRef(fn),
                          .box = box,
                          .next = box->cells,
                          .link = &box->cells};
    if (cell->next != NULL)
        cell->next->link = &cell->next;
    box->cells = cell;
    alive.cells++;
}

/* A cell, or what begins with one, of size bytes. NULL: raised. */
static struct cell *new_cell(PyObject *owner, PyObject *fn, size_t size)
{
    struct cell *cell = PyMem_RawMalloc(size);

    if (cell == NULL)
        PyErr_NoMemory();
    else
        set_up_cell(cell, owner, fn);
    return cell;
}

/* None: nobody wants to be told. */
static bool check_callback(PyObject *owner, PyObject *fn, copal_cb *cb)
{
    struct cell *cell;

    *cb = (copal_cb){NULL, NULL, NULL};
    if (fn == Py_None)
        return true;
    if (!PyCallable_Check(fn))
        return wrong_type("callable", fn) != NULL;
    cell = new_cell(owner, fn, sizeof(*cell));
    if (cell == NULL)
        return false;
    *cb = (copal_cb){on_event, cell, drop_cell};
    return true;
}

/* ---- Running ------------------------------------------------------------ */

enum {
    MOST_IN_A_TURN = 256 /* who ask what a cache answers would never end */
};

/* The turn that is run in this thread, by whom it returns to. */
struct turn {
    PyObject *loop; /* NULL: none, or the loop has older calls to make */
    int left;
};

static _Thread_local struct turn turn;
static uint64_t turns; /* so far */

/* loop: or None. Returns what end_turn() takes. */
static struct turn begin_turn(PyObject *loop)
{
    struct turn before = turn;

    turns++;
    turn = (struct turn){loop == Py_None ? NULL : loop, MOST_IN_A_TURN};
    return before;
}

static void end_turn(struct turn before)
{
    turn = before;
}

/* Nobody overtakes who was left to the loop. */
static void leave_to_loop(void)
{
    turn.left = 0;
}

static PyObject *new_endpoint(copal *c)
{
    struct endpoint_box *box;

    if (c == NULL)
        return PyErr_NoMemory();
    box = (struct endpoint_box *)endpoint_type->tp_alloc(endpoint_type, 0);
    if (box == NULL) {
        copal_free(c);
        return NULL;
    }
    box->ptr = c;
    box->generation = generation;
    alive.endpoints++;
    return (PyObject *)box;
}

/* endpoint() -> Endpoint */
static PyObject *py_endpoint(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    return new_endpoint(copal_new(NULL));
}

/* free(endpoint): END reaches the callbacks, unlike when it is collected.
 * Freeing twice is no mistake. */
static PyObject *py_free(PyObject *self, PyObject *args)
{
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    if (Py_TYPE(o) != endpoint_type)
        return wrong_type("endpoint", o);
    close_endpoint((struct endpoint_box *)o);
    return let_pass() ? Py_NewRef(Py_None) : NULL;
}

/* post(endpoint, fn), from any thread: fn(TIMER) on the endpoint's own. */
static PyObject *py_post(PyObject *self, PyObject *args)
{
    PyObject *o, *fn;
    copal_cb cb;
    copal *c;
    int err;

    (void)self;
    if (!PyArg_ParseTuple(args, "OO", &o, &fn))
        return NULL;
    c = check_endpoint(o);
    if (c == NULL || !check_callback(o, fn, &cb))
        return NULL;
    err = copal_post(c, cb);
    if (err < 0) {
        raise_error(err, NULL);
        return NULL;
    }
    return Py_NewRef(Py_None);
}

/* is_alive(endpoint) -> bool, of anything at all. */
static PyObject *py_is_alive(PyObject *self, PyObject *args)
{
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    return PyBool_FromLong(Py_TYPE(o) == endpoint_type &&
                           ((struct endpoint_box *)o)->ptr != NULL &&
                           ((struct endpoint_box *)o)->generation ==
                               generation);
}

/* set_classes(message class, failure, codes): the class derives from Message, with
 * nothing of its own in its objects, and is what every message is shown as; failure(NAME, text) makes the exception that
 * is raised; codes are 256 objects of one class derived from int. */
static PyObject *py_set_classes(PyObject *self, PyObject *args)
{
    PyObject *cls, *fn, *list;

    (void)self;
    if (!PyArg_ParseTuple(args, "O!OO!", &PyType_Type, &cls, &fn, &PyList_Type,
                          &list))
        return NULL;
    if (!PyType_IsSubtype((PyTypeObject *)cls, message_type) ||
        ((PyTypeObject *)cls)->tp_basicsize != message_type->tp_basicsize)
        return wrong_type("a class derived from Message", cls);
    if (PyList_GET_SIZE(list) != 256)
        return wrong_type("256 codes", list);
    ((PyTypeObject *)cls)->tp_dealloc = message_dealloc;
    Py_SETREF(message_class, (PyTypeObject *)Py_NewRef(cls));
    Py_XSETREF(failure, Py_NewRef(fn));
    Py_XSETREF(codes, PyList_AsTuple(list));
    code_class = codes == NULL ? NULL : Py_TYPE(PyTuple_GET_ITEM(codes, 0));
    return codes == NULL ? NULL : Py_NewRef(Py_None);
}
