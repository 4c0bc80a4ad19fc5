/* Handlers: a request calls the program's function at once, and what that returns
 * is the answer. Part of python_bridge.h.
 *
 * What is short is answered from here: bytes, text, nothing, a code, a code with
 * one of these. Everything else is left to copal._serve, as is what went wrong. A
 * coroutine runs in place, and only one that waits costs a task. */

/* ---- Coroutines in place ------------------------------------------------ */

/* Stands for the current task while a coroutine runs in place: one that asks for
 * more than that there is one (asyncio.timeout(), TaskGroup) gets a real task at
 * that moment, one that does not never pays for it. */
struct in_place {
    PyObject_HEAD PyObject *loop, *coro, *context;
    PyObject *first; /* what it waits for, until the task is told  */
    PyObject *real;  /* the task, or NULL                          */
    PyObject *weak;
    char is_over;
};

static PyTypeObject *in_place_type;

/* What set_tasks() was given: asyncio's functions, and copal._serve's. */
static PyObject *enter_task, *leave_task, *current_task, *running_loop,
    *make_task;
static PyObject *current_tasks; /* the dict behind the first three, or None */

static int in_place_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct in_place *p = (struct in_place *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(p->loop);
    Py_VISIT(p->coro);
    Py_VISIT(p->context);
    Py_VISIT(p->first);
    Py_VISIT(p->real);
    return 0;
}

static int in_place_clear(PyObject *self)
{
    struct in_place *p = (struct in_place *)self;

    Py_CLEAR(p->loop);
    Py_CLEAR(p->coro);
    Py_CLEAR(p->context);
    Py_CLEAR(p->first);
    Py_CLEAR(p->real);
    return 0;
}

static void in_place_dealloc(PyObject *self)
{
    struct in_place *p = (struct in_place *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (p->weak != NULL)
        PyObject_ClearWeakRefs(self);
    in_place_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* A borrowed reference to the task. */
static PyObject *in_place_task(struct in_place *p)
{
    if (p->real == NULL)
        p->real = PyObject_CallOneArg(make_task, (PyObject *)p);
    return p->real;
}

static PyObject *in_place_getattr(PyObject *self, PyObject *name)
{
    PyObject *found = PyObject_GenericGetAttr(self, name), *task;

    if (found != NULL || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return found;
    PyErr_Clear();
    task = in_place_task((struct in_place *)self);
    return task == NULL ? NULL : PyObject_GetAttr(task, name);
}

/* clang-format off */
static PyMemberDef in_place_members[] = {
    {"_in_loop", T_OBJECT_EX, offsetof(struct in_place, loop), READONLY, NULL},
    {"_in_coro", T_OBJECT_EX, offsetof(struct in_place, coro), READONLY, NULL},
    {"_in_context", T_OBJECT_EX, offsetof(struct in_place, context), READONLY,
     NULL},
    {"_in_first", T_OBJECT, offsetof(struct in_place, first), 0, NULL},
    {"_in_is_over", T_BOOL, offsetof(struct in_place, is_over), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct in_place, weak),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot in_place_slots[] = {
    {Py_tp_dealloc, in_place_dealloc}, {Py_tp_traverse, in_place_traverse},
    {Py_tp_clear, in_place_clear}, {Py_tp_getattro, in_place_getattr},
    {Py_tp_members, in_place_members}, {0, NULL}};
static PyType_Spec in_place_spec = {"copal._copal.InPlace",
    sizeof(struct in_place), 0, CLOSED_TYPE | Py_TPFLAGS_HAVE_GC,
    in_place_slots};
/* clang-format on */

/* One that nobody holds any more, for the next coroutine. */
static struct in_place *spare;

static struct in_place *new_in_place(PyObject *loop, PyObject *coro)
{
    struct in_place *p = spare;

    spare = NULL;
    if (p == NULL)
        p = (struct in_place *)in_place_type->tp_alloc(in_place_type, 0);
    if (p == NULL)
        return NULL;
    p->is_over = 0;
    p->loop = Py_NewRef(loop);
    p->coro = Py_NewRef(coro);
    p->context = PyContext_CopyCurrent();
    if (p->context == NULL)
        Py_CLEAR(p);
    return p;
}

/* Takes the reference to p. */
static void let_go_of_place(struct in_place *p)
{
    if (spare != NULL || Py_REFCNT(p) != 1 || p->weak != NULL) {
        Py_DECREF(p);
        return;
    }
    in_place_clear((PyObject *)p);
    if (spare == NULL) /* as it was, unless what was let go of ran one */
        spare = p;
    else
        Py_DECREF(p);
}

static bool call_with(PyObject *fn, PyObject *loop, PyObject *task)
{
    PyObject *args[] = {NULL, loop, task};
    PyObject *result = PyObject_Vectorcall(
        fn, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);

    Py_XDECREF(result);
    return result != NULL;
}

/* Makes p the current task. *before: the one that was, or NULL. */
static bool enter_by_dict(struct in_place *p, PyObject **before)
{
    PyObject *now = PyDict_SetDefault(current_tasks, p->loop, (PyObject *)p);

    *before = NULL;
    if (now == NULL || now == (PyObject *)p)
        return now != NULL;
    *before = Py_NewRef(now);
    if (PyDict_SetItem(current_tasks, p->loop, (PyObject *)p) == 0)
        return true;
    Py_CLEAR(*before);
    return false;
}

/* Where asyncio keeps it elsewhere. */
static bool enter_by_calls(struct in_place *p, PyObject **before)
{
    *before = NULL;
    if (call_with(enter_task, p->loop, (PyObject *)p))
        return true;
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError))
        return false;
    PyErr_Clear();
    *before = PyObject_CallOneArg(current_task, p->loop);
    if (*before == NULL)
        return false;
    if (call_with(leave_task, p->loop, *before)) {
        if (call_with(enter_task, p->loop, (PyObject *)p))
            return true;
    }
    Py_CLEAR(*before);
    return false;
}

static bool enter(struct in_place *p, PyObject **before)
{
    return PyDict_CheckExact(current_tasks) ? enter_by_dict(p, before)
                                            : enter_by_calls(p, before);
}

/* before: or NULL */
static bool put_back(struct in_place *p, PyObject *before)
{
    if (!PyDict_CheckExact(current_tasks))
        return call_with(leave_task, p->loop, (PyObject *)p) &&
               (before == NULL || call_with(enter_task, p->loop, before));
    return before == NULL ? PyDict_DelItem(current_tasks, p->loop) == 0
                          : PyDict_SetItem(current_tasks, p->loop, before) == 0;
}

/* Whatever is being raised goes on being raised. Takes before. */
static bool leave(struct in_place *p, PyObject *before)
{
    PyObject *type, *value, *traceback;
    bool is_well;

    PyErr_Fetch(&type, &value, &traceback);
    is_well = put_back(p, before);
    Py_XDECREF(before);
    if (type != NULL) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback);
    }
    return is_well;
}

/* Runs coro up to where it really waits. PYGEN_RETURN: *value is what it returned;
 * PYGEN_NEXT: *value is the task that goes on from there. */
static PySendResult run_in_place(PyObject *loop, PyObject *coro,
                                 PyObject **value)
{
    struct in_place *p = new_in_place(loop, coro);
    PySendResult how = PYGEN_ERROR;
    PyObject *before, *first = NULL;

    *value = NULL;
    if (p == NULL)
        return PYGEN_ERROR;
    if (!enter(p, &before)) {
        Py_DECREF(p);
        return PYGEN_ERROR;
    }
    if (PyContext_Enter(p->context) == 0) {
        PyObject *type, *error, *traceback;

        how = PyIter_Send(coro, Py_None, &first);
        PyErr_Fetch(&type, &error, &traceback);
        (void)PyContext_Exit(p->context);
        PyErr_Restore(type, error, traceback);
    }
    p->is_over = how != PYGEN_NEXT;
    if (!leave(p, before)) {
        Py_CLEAR(first);
        how = PYGEN_ERROR;
    }
    if (how == PYGEN_NEXT) {
        Py_XSETREF(p->first, first);
        first = Py_XNewRef(in_place_task(p));
        if (first == NULL)
            how = PYGEN_ERROR;
    }
    let_go_of_place(p);
    *value = first;
    return how;
}

/* run_in_place(loop, coroutine) -> (task that goes on, None), or (None, what it
 * returned) if it never waited. */
static PyObject *py_run_in_place(PyObject *self, PyObject *args)
{
    PyObject *loop, *coro, *value;

    (void)self;
    if (!PyArg_ParseTuple(args, "OO!", &loop, &PyCoro_Type, &coro))
        return NULL;
    switch (run_in_place(loop, coro, &value)) {
    case PYGEN_RETURN: return Py_BuildValue("(ON)", Py_None, value);
    case PYGEN_NEXT: return Py_BuildValue("(NO)", value, Py_None);
    case PYGEN_ERROR: break;
    }
    return NULL;
}

/* set_tasks(enter, leave, current, tasks, running_loop, make): of asyncio the
 * functions of these names, and the dict in which the first three keep the current
 * task of each loop, or None; make(in_place) gives the task that goes on with one. */
static PyObject *py_set_tasks(PyObject *self, PyObject *args)
{
    PyObject **const kept[] = {&enter_task,    &leave_task,   &current_task,
                               &current_tasks, &running_loop, &make_task};
    PyObject *given[6];

    (void)self;
    if (!PyArg_ParseTuple(args, "OOOOOO", &given[0], &given[1], &given[2],
                          &given[3], &given[4], &given[5]))
        return NULL;
    for (int i = 0; i < 6; i++)
        Py_XSETREF(*kept[i], Py_NewRef(given[i]));
    return Py_NewRef(Py_None);
}

/* ---- Answers ------------------------------------------------------------ */

/* The callback of a handler: a cell whose fn is the Resource, which takes all
 * other events, and whose also is the handler. */
struct served {
    struct cell cell;
    int method;
    bool prepares; /* the Resource is to see requests first */
};

/* A request on its way through its handler. */
struct handling {
    copal_exchange *x;
    PyObject *resource;
    int code;        /* of an answer that names none           */
    unsigned born;   /* a handler may fork()                   */
    PyObject *shown; /* the exchange as an object, once needed */
};

static int default_code(int method, const copal_msg *request)
{
    static const uint8_t codes[] = {69, 69, 68, 68, 66, 69, 68, 68};

    if (method == 0)
        method = copal_msg_code(request);
    return method < 8 ? codes[method] : codes[0];
}

/* 1: answered; 0: body is no short one; -1: raised. That an asker has left is none
 * of the handler's business. */
static int reply_short(const struct handling *h, int code, PyObject *body)
{
    copal_bytes bytes = {NULL, 0};
    int format = COPAL_NO_FORMAT, err;
    Py_ssize_t len = 0;

    if (PyBytes_CheckExact(body)) {
        bytes.data = (const uint8_t *)PyBytes_AS_STRING(body);
        len = PyBytes_GET_SIZE(body);
        format = len > 0 ? 42 : COPAL_NO_FORMAT;
    } else if (PyUnicode_CheckExact(body)) {
        bytes.data = (const uint8_t *)PyUnicode_AsUTF8AndSize(body, &len);
        if (bytes.data == NULL)
            return -1;
        format = len > 0 ? 0 : COPAL_NO_FORMAT;
    } else if (body != Py_None) {
        return 0;
    }
    if (!of_this_process(h->born))
        return -1;
    bytes.len = (size_t)len;
    err = copal_reply(h->x, code, format, bytes);
    if (err == 0 || err == COPAL_ESTATE || err == COPAL_ECLOSED)
        return 1;
    raise_error(err, err == COPAL_ENOMEM
                         ? NULL
                         : copal_why(copal_exchange_endpoint(h->x)));
    return -1;
}

static bool is_code(PyObject *o)
{
    return code_class != NULL && Py_TYPE(o) == code_class;
}

static int answer_short(const struct handling *h, PyObject *result)
{
    PyObject *code, *body;

    if (is_code(result))
        return reply_short(h, (int)PyLong_AsLong(result), Py_None);
    if (!PyTuple_CheckExact(result))
        return reply_short(h, h->code, result);
    if (PyTuple_GET_SIZE(result) != 2)
        return 0;
    code = PyTuple_GET_ITEM(result, 0);
    body = PyTuple_GET_ITEM(result, 1);
    if (!is_code(code))
        return 0;
    return reply_short(h, (int)PyLong_AsLong(code), body);
}

/* resource.NAME(exchange, key, code, what) */
static bool tell_resource(struct handling *h, const char *name, PyObject *what)
{
    PyObject *result;

    if (h->shown == NULL) {
        h->shown = show_exchange(h->x);
        if (h->shown == NULL)
            return false;
        ((struct box *)h->shown)->generation = h->born;
    }
    result = PyObject_CallMethod(h->resource, name, "ONiO", h->shown,
                                 PyLong_FromVoidPtr(h->x), h->code, what);
    Py_XDECREF(result);
    return result != NULL;
}

static bool answer(struct handling *h, PyObject *result)
{
    int done = answer_short(h, result);

    return done != 0 ? done > 0 : tell_resource(h, "_take", result);
}

/* The loop that runs, or the endpoint's own. A child of fork() runs none. */
static PyObject *loop_of(const struct handling *h)
{
    PyObject *loop;

    if (turn.loop != NULL && h->born == generation)
        return Py_NewRef(turn.loop);
    loop = PyObject_CallNoArgs(running_loop);
    if (loop != Py_None)
        return loop;
    Py_DECREF(loop);
    return PyObject_CallMethod(h->resource, "_loop", NULL);
}

static bool go_on(struct handling *h, PyObject *coro)
{
    PyObject *loop = loop_of(h), *value = NULL;
    PySendResult how;
    bool is_well = false;

    if (loop == NULL)
        return false;
    how = run_in_place(loop, coro, &value);
    Py_DECREF(loop);
    if (how == PYGEN_RETURN)
        is_well = answer(h, value);
    else if (how == PYGEN_NEXT)
        is_well = tell_resource(h, "_wait", value);
    Py_XDECREF(value);
    return is_well;
}

/* ---- Requests ----------------------------------------------------------- */

static bool prepare(struct handling *h, PyObject *request)
{
    return tell_resource(h, "_prepare", request);
}

/* What was raised, unless it is to end the program. */
static bool fail_handler(struct handling *h)
{
    PyObject *type, *value, *traceback;
    bool is_well;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return false;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        (void)PyException_SetTraceback(value, traceback);
    is_well = tell_resource(h, "_fail", value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return is_well;
}

static bool handle(struct handling *h, PyObject *handler, bool prepares,
                   const copal_msg *m)
{
    PyObject *request = show_message(m), *result = NULL;
    bool is_well = false;

    if (request != NULL && (!prepares || prepare(h, request)))
        result = PyObject_CallOneArg(handler, request);
    if (result != NULL)
        is_well =
            PyCoro_CheckExact(result) ? go_on(h, result) : answer(h, result);
    Py_XDECREF(result);
    Py_XDECREF(request);
    return is_well || fail_handler(h);
}

static void on_request(const copal_event *ev, const struct served *s)
{
    struct handling h = {ev->exchange, Py_NewRef(s->cell.fn),
                         default_code(s->method, ev->msg), generation, NULL};
    PyObject *handler = Py_NewRef(s->cell.also);

    delivered++;
    if (!handle(&h, handler, s->prepares, ev->msg)) {
        /* Whoever asked learns it now, not when the exchange is collected. */
        if (h.born == generation)
            copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                        (copal_bytes){NULL, 0});
        report(handler);
    }
    Py_XDECREF(h.shown);
    Py_DECREF(handler);
    Py_DECREF(h.resource);
}

static void on_served(const copal_event *ev, void *user)
{
    if (ev->kind != COPAL_REQUEST)
        on_event(ev, user);
    else if (mute == 0)
        on_request(ev, user);
}

/* NULL: raised. */
static struct served *new_served(PyObject *owner, PyObject *resource,
                                 PyObject *handler, int method, bool prepares,
                                 copal_cb *cb)
{
    struct served *s;

    if (!PyCallable_Check(resource) || !PyCallable_Check(handler))
        return wrong_type("callable", handler);
    s = (struct served *)new_cell(owner, resource, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->cell.also = Py_NewRef(handler);
    s->method = method;
    s->prepares = prepares;
    *cb = (copal_cb){on_served, s, drop_cell};
    return s;
}

static PyObject *served(int err, PyObject *owner)
{
    bury();
    if (err < 0) {
        fail(err, owner);
        return NULL;
    }
    return Py_NewRef(Py_None);
}

/* serve_handler(endpoint, method, path, flags, resource, handler, prepares) */
static PyObject *py_serve_handler(PyObject *self, PyObject *args)
{
    PyObject *o, *path, *resource, *handler;
    int method, prepares;
    unsigned flags;
    const char *text;
    copal_cb cb;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "OiOIOOp", &o, &method, &path, &flags,
                          &resource, &handler, &prepares))
        return NULL;
    c = check_endpoint(o);
    text = c == NULL ? NULL : check_text(path);
    if (text == NULL ||
        new_served(o, resource, handler, method, prepares != 0, &cb) == NULL)
        return NULL;
    return served(copal_serve(c, method, text, flags, cb), o);
}

/* lookup_handler(endpoint, scope, resource, handler) */
static PyObject *py_lookup_handler(PyObject *self, PyObject *args)
{
    PyObject *o, *scope, *resource, *handler;
    const char *text;
    copal_cb cb;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "OOOO", &o, &scope, &resource, &handler))
        return NULL;
    c = check_endpoint(o);
    text = c == NULL ? NULL : check_text(scope);
    if (text == NULL ||
        new_served(o, resource, handler, COPAL_FETCH, false, &cb) == NULL)
        return NULL;
    return served(copal_use_lookup(c, text, cb), o);
}

/* store_handler(endpoint, resource, handler) */
static PyObject *py_store_handler(PyObject *self, PyObject *args)
{
    PyObject *o, *resource, *handler;
    copal_cb cb;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "OOO", &o, &resource, &handler))
        return NULL;
    c = check_endpoint(o);
    if (c == NULL ||
        new_served(o, resource, handler, COPAL_GET, false, &cb) == NULL)
        return NULL;
    return served(copal_store(c, NULL, cb), o);
}
