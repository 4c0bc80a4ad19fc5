/* Requests: a copal.Request is told its response and its end from here. Part of
 * python_bridge.h. */

static PyObject *name_event, *name_closed, *name_debug;

static bool name_all(void)
{
    struct {
        PyObject **name;
        const char *text;
    } const all[] = {
        {&name_event, "_on_event"},
        {&name_closed, "is_closed"},
        {&name_debug, "get_debug"},
        {&name_call_soon, "call_soon"},
        {&name_failed, "_report_waiting"},
        {&name_ready, "_ready"},
        {&name_scheduled, "_scheduled"},
        {&name_stopping, "_stopping"},
        {&name_is_debug, "_debug"},
        {&name_when, "_when"},
        {&name_wake, "_wake"},
        {&name_report, "_report_turn"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i].name = PyUnicode_InternFromString(all[i].text);
        if (*all[i].name == NULL)
            return false;
    }
    context_names = Py_BuildValue("(s)", "context");
    return context_names != NULL;
}

/* set_request(class): derived from Asked, with nothing of its own in its objects,
 * which are let go of from here therefore. */
static PyObject *py_set_request(PyObject *self, PyObject *cls)
{
    PyTypeObject *type = (PyTypeObject *)cls;

    (void)self;
    if (!PyType_Check(cls) || !PyType_IsSubtype(type, asked_type) ||
        type->tp_basicsize != asked_type->tp_basicsize)
        return wrong_type("a class derived from Asked", cls);
    type->tp_dealloc = request_dealloc;
    Py_XSETREF(request_class, (PyTypeObject *)Py_NewRef(cls));
    return Py_NewRef(Py_None);
}

/* The callback of a Request for all that is seldom. */
static bool tell_request(PyObject *request, const copal_event *ev)
{
    PyObject *fn = PyObject_GetAttr(request, name_event);
    bool is_well = fn != NULL && call(fn, ev);

    Py_XDECREF(fn);
    return is_well;
}

/* Do several answer, and somebody takes one after the other? */
static bool has_queue(const struct asked *a)
{
    return !is_none(a->queue);
}

static bool tell_response(struct asked *a, PyObject *request,
                          const copal_event *ev)
{
    bool is_first = !a->answered;
    PyObject *m;

    a->answered = true;
    if (has_queue(a))
        return tell_request(request, ev);
    if (!is_first)
        return true;
    m = show_message(ev->msg);
    if (m != NULL)
        Py_XSETREF(a->response, m);
    return m != NULL;
}

/* Who cancels a request has it done before its end. */
static bool tell_end(struct asked *a, PyObject *request, const copal_event *ev)
{
    if (ev->status != 0 || has_queue(a))
        return tell_request(request, ev);
    let_go_of_exchange(a);
    if (a->state != ASKED_WAITS)
        return true;
    a->result = Py_NewRef(a->response == NULL ? Py_None : a->response);
    a->state = ASKED_FINISHED;
    return call_all(request, a->loop);
}

static void on_asked(const copal_event *ev, void *user)
{
    struct asked *a = user; /* it begins with the cell */
    copal_event instead;
    PyObject *request;
    bool is_well;

    if (mute > 0)
        return;
    delivered++;
    request = Py_NewRef(a->cell.fn);
    a->cell.is_asked = a->cell.is_asked && ev->kind != COPAL_END;
    ev = truthful(&a->cell, ev, &instead);
    if (a->is_plain && ev->kind == COPAL_RESPONSE)
        is_well = tell_response(a, request, ev);
    else if (a->is_plain && ev->kind == COPAL_END)
        is_well = tell_end(a, request, ev);
    else
        is_well = tell_request(request, ev);
    if (!is_well) {
        note_loss(&a->cell, ev);
        report(request);
        /* Nothing comes after END: who waits for it would wait for ever. */
        if (ev->kind == COPAL_END && !tell_request(request, ev))
            report(request);
    }
    Py_DECREF(request);
}

/* ---- Asking ------------------------------------------------------------- */

/* Takes the reference to m. False: raised. */
static bool send_request(PyObject *owner, copal *c, copal_msg *m,
                         PyObject *request, bool is_plain)
{
    struct asked *a = asked_of(request);
    copal_exchange *x;

    set_up_cell(&a->cell, owner, request);
    a->cell.is_part = true;
    a->cell.is_asked = true;
    a->is_plain = is_plain;
    x = copal_request(c, m, (copal_cb){on_asked, a, drop_cell});
    copal_msg_unref(m);
    if (x != NULL)
        hold_exchange(a, x);
    else
        (void)PyErr_NoMemory();
    bury();
    return x != NULL;
}

static bool has_args(Py_ssize_t given, Py_ssize_t wanted)
{
    if (given != wanted)
        PyErr_Format(PyExc_TypeError, "%zd arguments expected, got %zd", wanted,
                     given);
    return given == wanted;
}

/* ask(endpoint, message, request, is_plain): sends it, once */
static PyObject *py_ask(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    copal_msg *m;
    copal *c;
    int is_plain;

    (void)self;
    if (!has_args(n, 4) || (c = check_endpoint(args[0])) == NULL ||
        (m = check_message(args[1])) == NULL || !check_asker(args[2]) ||
        (is_plain = PyObject_IsTrue(args[3])) < 0)
        return NULL;
    if (asked_of(args[2])->cell.fn != NULL)
        return wrong_type("a Request not sent yet", args[2]);
    return send_request(args[0], c, copal_msg_ref(m), args[2], is_plain > 0)
               ? Py_NewRef(Py_None)
               : NULL;
}

/* None, bytes or text. False: raised. */
static bool set_body(copal_msg *m, PyObject *body)
{
    copal_bytes bytes = {NULL, 0};
    Py_ssize_t len = 0;
    int err;

    if (body == Py_None)
        return true;
    if (PyBytes_Check(body)) {
        bytes.data = (const uint8_t *)PyBytes_AS_STRING(body);
        len = PyBytes_GET_SIZE(body);
    } else if (PyUnicode_Check(body)) {
        bytes.data = (const uint8_t *)PyUnicode_AsUTF8AndSize(body, &len);
        if (bytes.data == NULL)
            return false;
    } else {
        return wrong_type("None, bytes or str", body) != NULL;
    }
    bytes.len = (size_t)len;
    err = copal_msg_set_payload(m, PyBytes_Check(body) ? COPAL_NO_FORMAT : 0,
                                bytes);
    if (err < 0)
        raise_error(err, copal_msg_why(m));
    return err >= 0;
}

/* 1: we are on that loop, or on none at all and it is not closed; 0: neither; -1:
 * raised. */
static int is_ours(PyObject *loop)
{
    PyObject *now, *closed;
    int is_open;

    if (loop == turn.loop)
        return 1;
    now = PyObject_CallNoArgs(running_loop);
    if (now == NULL)
        return -1;
    Py_DECREF(now);
    if (now != Py_None)
        return now == loop;
    closed = PyObject_CallMethodNoArgs(loop, name_closed);
    if (closed == NULL)
        return -1;
    is_open = closed == Py_False;
    Py_DECREF(closed);
    return is_open;
}

/* Does the loop want to know where futures are made? Asked once a turn: to ask
 * costs half as much as a request. -1: raised. */
static int is_debugged(PyObject *loop)
{
    static PyObject *asked_last;
    static uint64_t asked_in;
    static int is_debugged;
    PyObject *answer;

    if (loop == asked_last && asked_in == turns)
        return is_debugged;
    answer = PyObject_CallMethodNoArgs(loop, name_debug);
    is_debugged = answer == NULL ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    asked_last = is_debugged < 0 ? NULL : loop;
    asked_in = turns;
    return is_debugged;
}

/* Where in the program we are, as asyncio notes it; NULL: raised. */
static PyObject *note_place(void)
{
    PyObject *helpers = PyImport_ImportModule("asyncio.format_helpers");
    PyObject *place = helpers == NULL
                          ? NULL
                          : PyObject_CallMethod(helpers, "extract_stack", NULL);

    Py_XDECREF(helpers);
    return place;
}

static PyObject *new_request(PyObject *loop, PyObject *coap, int code,
                             PyObject *uri)
{
    int debugged = is_debugged(loop);
    PyObject *request =
        debugged < 0 ? NULL : request_class->tp_alloc(request_class, 0);
    struct asked *a;

    if (request == NULL)
        return NULL;
    a = asked_of(request);
    a->loop = Py_NewRef(loop);
    a->coap = Py_NewRef(coap);
    a->uri = Py_NewRef(uri);
    a->code = code;
    if (debugged > 0 && (a->made = note_place()) == NULL)
        Py_CLEAR(request);
    return request;
}

/* new_request(coap, loop, code, uri) -> Request that is not sent yet */
static PyObject *py_new_request(PyObject *self, PyObject *const *args,
                                Py_ssize_t n)
{
    int64_t code;

    (void)self;
    if (!has_args(n, 4) || !check_integer(args[2], 0, 255, &code))
        return NULL;
    if (request_class == NULL)
        return wrong_type("a class set by set_request()", Py_None);
    return new_request(args[1], args[0], (int)code, args[3]);
}

/* NULL: raised. A URI that is not understood is told by END. */
static copal_msg *new_message(struct endpoint_box *box, int code,
                              const char *uri, PyObject *body)
{
    copal_msg *m;

    if (body == Py_None) {
        m = repeat_request(&box->last, box->ptr, code, uri);
        if (m == NULL)
            (void)PyErr_NoMemory();
        return m;
    }
    m = copal_msg_new(box->ptr, code);
    if (m == NULL || copal_msg_set_uri(m, uri) == COPAL_ENOMEM)
        (void)PyErr_NoMemory();
    else if (set_body(m, body))
        return m;
    copal_msg_unref(m);
    return NULL;
}

/* ---- Asking plainly ----------------------------------------------------- */

/* A method of Endpoint that asks, in front of the one in Python: a request with a
 * body of text or bytes, or none, and without options is sent from here. What has
 * more to it, or does not fit, goes to Python, which says what is wrong. */
struct asking {
    PyObject_HEAD vectorcallfunc call;
    PyObject *in_python;
    int code;
};

static PyTypeObject *asking_type;

static bool is_plain_body(PyObject *o)
{
    return o == Py_None || PyBytes_CheckExact(o) || PyUnicode_CheckExact(o);
}

/* The handle of coap, if it may be asked by here and now. */
static struct endpoint_box *plain_handle(PyObject *coap)
{
    struct rider *r = (struct rider *)coap;
    struct endpoint_box *box;

    if (!PyObject_TypeCheck(coap, rider_type) || is_none(r->handle) ||
        is_none(r->loop))
        return NULL;
    box = (struct endpoint_box *)r->handle;
    return Py_TYPE(box) == endpoint_type && box->ptr != NULL &&
                   box->generation == generation && is_ours(r->loop) > 0
               ? box
               : NULL;
}

/* NULL and nothing raised: it is for Python to do. */
static PyObject *ask_plainly(int code, PyObject *coap, PyObject *uri,
                             PyObject *body)
{
    struct endpoint_box *box;
    PyObject *request;
    const char *text;
    copal_msg *m;

    if (!PyUnicode_CheckExact(uri) || !is_plain_body(body) ||
        request_class == NULL || (box = plain_handle(coap)) == NULL ||
        (text = check_text(uri)) == NULL)
        return NULL;
    request = new_request(((struct rider *)coap)->loop, coap, code, uri);
    if (request == NULL)
        return NULL;
    m = new_message(box, code, text, body);
    if (m == NULL || !send_request((PyObject *)box, box->ptr, m, request, true))
        Py_CLEAR(request);
    return request;
}

static PyObject *asking_call(PyObject *self, PyObject *const *args, size_t nf,
                             PyObject *names)
{
    struct asking *s = (struct asking *)self;
    size_t n = (size_t)PyVectorcall_NARGS(nf);
    bool has_body = s->code != COPAL_GET && s->code != COPAL_DELETE;

    if ((n == 2 || (n == 3 && has_body)) &&
        (names == NULL || PyTuple_GET_SIZE(names) == 0)) {
        PyObject *request =
            ask_plainly(s->code, args[0], args[1], n == 3 ? args[2] : Py_None);

        if (request != NULL || PyErr_Occurred())
            return request;
    }
    return PyObject_Vectorcall(s->in_python, args, nf, names);
}

static PyObject *asking_get(PyObject *self, PyObject *coap, PyObject *unused)
{
    (void)unused;
    return is_none(coap) ? Py_NewRef(self) : PyMethod_New(self, coap);
}

static PyObject *asking_getattr(PyObject *self, void *name)
{
    return PyObject_GetAttrString(((struct asking *)self)->in_python, name);
}

static PyObject *asking_repr(PyObject *self)
{
    return PyObject_Repr(((struct asking *)self)->in_python);
}

static int asking_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((struct asking *)self)->in_python);
    return 0;
}

static int asking_clear(PyObject *self)
{
    Py_CLEAR(((struct asking *)self)->in_python);
    return 0;
}

static void asking_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    asking_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* clang-format off */
static PyMemberDef asking_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(struct asking, in_python), READONLY,
     NULL},
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(struct asking, call),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyGetSetDef asking_fields[] = {
    {"__doc__", asking_getattr, NULL, NULL, "__doc__"},
    {"__name__", asking_getattr, NULL, NULL, "__name__"},
    {"__qualname__", asking_getattr, NULL, NULL, "__qualname__"},
    {NULL, NULL, NULL, NULL, NULL}};
static PyType_Slot asking_slots[] = {
    {Py_tp_dealloc, asking_dealloc}, {Py_tp_traverse, asking_traverse},
    {Py_tp_clear, asking_clear}, {Py_tp_members, asking_members},
    {Py_tp_getset, asking_fields}, {Py_tp_repr, asking_repr},
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_descr_get, asking_get}, {0, NULL}};
static PyType_Spec asking_spec = {"copal._copal.Asking", sizeof(struct asking),
    0, CLOSED_TYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
    Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_IMMUTABLETYPE, asking_slots};
/* clang-format on */

/* asking(code, fn): the method fn(self, uri, body, **options), or of GET and DELETE
 * fn(self, uri, **options), with this in front of it */
static PyObject *py_asking(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct asking *s;
    int64_t code;

    (void)self;
    if (!has_args(n, 2) || !check_integer(args[0], 0, 255, &code))
        return NULL;
    if (!PyCallable_Check(args[1]))
        return wrong_type("callable", args[1]);
    s = (struct asking *)asking_type->tp_alloc(asking_type, 0);
    if (s == NULL)
        return NULL;
    s->call = asking_call;
    s->in_python = Py_NewRef(args[1]);
    s->code = (int)code;
    return (PyObject *)s;
}

/* asked(endpoint) -> the Requests that are not over */
static PyObject *py_asked(PyObject *self, PyObject *o)
{
    PyObject *list;

    (void)self;
    if (check_endpoint(o) == NULL)
        return NULL;
    list = PyList_New(0);
    for (struct cell *cell = ((struct endpoint_box *)o)->cells;
         list != NULL && cell != NULL; cell = cell->next)
        if (cell->is_asked && PyList_Append(list, cell->fn) < 0)
            Py_CLEAR(list);
    return list;
}

/* clang-format off */
static PyMethodDef fast_methods[] = {
    {"new_request", (PyCFunction)(void (*)(void))py_new_request, METH_FASTCALL,
     NULL},
    {"ask", (PyCFunction)(void (*)(void))py_ask, METH_FASTCALL, NULL},
    {"asking", (PyCFunction)(void (*)(void))py_asking, METH_FASTCALL, NULL},
    {"asked", py_asked, METH_O, NULL},
    {"set_request", py_set_request, METH_O, NULL},
    {NULL, NULL, 0, NULL}};
/* clang-format on */
