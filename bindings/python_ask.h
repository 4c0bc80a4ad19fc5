/* Requests: a copal.Request is told its response and its end from here. Part of
 * python_bridge.h. */

/* The callback of a request: a cell whose fn is the Request. */
struct asked {
    struct cell cell;
    bool is_plain; /* no piece of a body comes or goes, nor is progress told */
    bool answered; /* it knows its first response                            */
};

static PyObject *name_result, *name_done, *name_event;

static bool name_all(void)
{
    struct {
        PyObject **name;
        const char *text;
    } const all[] = {
        {&name_result, "set_result"},
        {&name_done, "done"},
        {&name_event, "_on_event"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i].name = PyUnicode_InternFromString(all[i].text);
        if (*all[i].name == NULL)
            return false;
    }
    return true;
}

/* copal.Request, and where its instances have what is told from here: of slots the
 * place is known, and asked for by name they cost more than the rest. */
static PyTypeObject *request_class;
static Py_ssize_t at_response, at_queue, at_x;

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

/* set_request(class) */
static PyObject *py_set_request(PyObject *self, PyObject *cls)
{
    (void)self;
    if (!PyType_Check(cls))
        return wrong_type("a class", cls);
    if (!find_slot(cls, "_response", &at_response) ||
        !find_slot(cls, "_queue", &at_queue) || !find_slot(cls, "_x", &at_x))
        return NULL;
    Py_XSETREF(request_class, (PyTypeObject *)Py_NewRef(cls));
    return Py_NewRef(Py_None);
}

static bool check_asker(PyObject *request)
{
    return (request_class != NULL &&
            PyObject_TypeCheck(request, request_class)) ||
           wrong_type("a Request", request) != NULL;
}

static PyObject **slot_of(PyObject *request, Py_ssize_t at)
{
    return (PyObject **)(void *)((char *)request + at);
}

static void set_slot(PyObject *request, Py_ssize_t at, PyObject *value)
{
    Py_XSETREF(*slot_of(request, at), Py_NewRef(value));
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
static bool has_queue(PyObject *request)
{
    const PyObject *queue = *slot_of(request, at_queue);

    return queue != NULL && queue != Py_None;
}

static bool tell_response(struct asked *a, PyObject *request,
                          const copal_event *ev)
{
    bool is_first = !a->answered;
    PyObject *m;

    a->answered = true;
    if (has_queue(request))
        return tell_request(request, ev);
    if (!is_first)
        return true;
    m = show_message(ev->msg);
    if (m == NULL)
        return false;
    set_slot(request, at_response, m);
    Py_DECREF(m);
    return true;
}

/* Who cancels a request has it done before its end. */
static bool set_result(PyObject *request, PyObject *value)
{
    PyObject *set = PyObject_CallMethodOneArg(request, name_result, value);
    PyObject *type, *e, *traceback, *done;
    bool is_done;

    if (set != NULL) {
        Py_DECREF(set);
        return true;
    }
    PyErr_Fetch(&type, &e, &traceback);
    done = PyObject_CallMethodNoArgs(request, name_done);
    is_done = done == Py_True;
    Py_XDECREF(done);
    if (!is_done) {
        PyErr_Restore(type, e, traceback);
        return false;
    }
    Py_XDECREF(type);
    Py_XDECREF(e);
    Py_XDECREF(traceback);
    PyErr_Clear();
    return true;
}

static bool tell_end(PyObject *request, const copal_event *ev)
{
    PyObject *response;
    bool is_well;

    if (ev->status != 0 || has_queue(request))
        return tell_request(request, ev);
    set_slot(request, at_x, Py_None);
    response = *slot_of(request, at_response);
    response = Py_NewRef(response == NULL ? Py_None : response);
    is_well = set_result(request, response);
    Py_DECREF(response);
    return is_well;
}

static void on_asked(const copal_event *ev, void *user)
{
    struct asked *a = user;
    copal_event instead;
    PyObject *request;
    bool is_well;

    if (mute > 0)
        return;
    delivered++;
    request = Py_NewRef(a->cell.fn);
    ev = truthful(&a->cell, ev, &instead);
    if (a->is_plain && ev->kind == COPAL_RESPONSE)
        is_well = tell_response(a, request, ev);
    else if (a->is_plain && ev->kind == COPAL_END)
        is_well = tell_end(request, ev);
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

/* Takes the reference to m. */
static PyObject *send_request(PyObject *owner, copal *c, copal_msg *m,
                              PyObject *request, bool is_plain)
{
    struct asked *a = (struct asked *)new_cell(owner, request, sizeof(*a));
    copal_exchange *x;
    PyObject *shown;

    if (a == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    a->cell.is_asked = true;
    a->is_plain = is_plain;
    a->answered = false;
    x = copal_request(c, m, (copal_cb){on_asked, a, drop_cell});
    copal_msg_unref(m);
    shown = show_exchange(x);
    bury();
    return shown;
}

static bool has_args(Py_ssize_t given, Py_ssize_t wanted)
{
    if (given != wanted)
        PyErr_Format(PyExc_TypeError, "%zd arguments expected, got %zd", wanted,
                     given);
    return given == wanted;
}

/* ask(endpoint, message, request, is_plain) -> exchange */
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
    return send_request(args[0], c, copal_msg_ref(m), args[2], is_plain > 0);
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

/* ask_for(endpoint, code, uri, body, request) -> exchange; body is None, bytes or
 * text. A URI that is not understood is told by END. */
static PyObject *py_ask_for(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    const char *uri;
    copal_msg *m;
    int64_t code;
    copal *c;

    (void)self;
    if (!has_args(n, 5) || (c = check_endpoint(args[0])) == NULL ||
        !check_integer(args[1], 0, 255, &code) ||
        (uri = check_text(args[2])) == NULL || !check_asker(args[4]))
        return NULL;
    if (args[3] == Py_None) {
        m = repeat_request(&((struct endpoint_box *)args[0])->last, c,
                           (int)code, uri);
        return m == NULL ? PyErr_NoMemory()
                         : send_request(args[0], c, m, args[4], true);
    }
    m = copal_msg_new(c, (int)code);
    if (m == NULL || copal_msg_set_uri(m, uri) == COPAL_ENOMEM) {
        copal_msg_unref(m);
        return PyErr_NoMemory();
    }
    if (!set_body(m, args[3])) {
        copal_msg_unref(m);
        return NULL;
    }
    return send_request(args[0], c, m, args[4], true);
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
    {"ask", (PyCFunction)(void (*)(void))py_ask, METH_FASTCALL, NULL},
    {"ask_for", (PyCFunction)(void (*)(void))py_ask_for, METH_FASTCALL, NULL},
    {"asked", py_asked, METH_O, NULL},
    {"set_request", py_set_request, METH_O, NULL},
    {NULL, NULL, 0, NULL}};
/* clang-format on */
