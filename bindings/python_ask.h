/* Requests: a copal.Request is told its response and its end from here. Part of
 * python_bridge.h. */

/* The callback of a request: a cell whose fn is the Request. */
struct asked {
    struct cell cell;
    const PyObject
        *loop;     /* of the Request, which holds it                    */
    bool is_plain; /* no piece of a body comes or goes, nor is progress told */
    bool answered; /* it knows its first response                            */
};

static PyObject *name_event, *name_loop, *name_closed;

static PyObject *nothing; /* arguments */

static bool name_all(void)
{
    struct {
        PyObject **name;
        const char *text;
    } const all[] = {
        {&name_event, "_on_event"},        {&name_loop, "loop"},
        {&name_closed, "is_closed"},       {&name_call_soon, "call_soon"},
        {&name_failed, "_report_waiting"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i].name = PyUnicode_InternFromString(all[i].text);
        if (*all[i].name == NULL)
            return false;
    }
    context_names = Py_BuildValue("(s)", "context");
    nothing = PyTuple_New(0);
    return context_names != NULL && nothing != NULL;
}

/* Where a Request has what is told from here: of slots the place is known, and
 * asked for by name they cost more than the rest. */
static Py_ssize_t at_coap, at_uri, at_code, at_response, at_queue, at_x;

/* set_request(class) */
static PyObject *py_set_request(PyObject *self, PyObject *cls)
{
    (void)self;
    if (!PyType_Check(cls))
        return wrong_type("a class", cls);
    if (!find_slot(cls, "_coap", &at_coap) ||
        !find_slot(cls, "_uri", &at_uri) ||
        !find_slot(cls, "_code", &at_code) ||
        !find_slot(cls, "_response", &at_response) ||
        !find_slot(cls, "_queue", &at_queue) || !find_slot(cls, "_x", &at_x) ||
        !join_waiting((PyTypeObject *)cls))
        return NULL;
    Py_XSETREF(request_class, (PyTypeObject *)Py_NewRef(cls));
    return Py_NewRef(Py_None);
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
    return !is_empty(request, at_queue);
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
static bool is_done(PyObject *request)
{
    PyObject *done = PyObject_CallOneArg(future_done, request);

    Py_XDECREF(done);
    return done == Py_True;
}

/* 1: set; 0: it was over before; -1: raised. */
static int set_result(PyObject *request, PyObject *value)
{
    PyObject *args[] = {NULL, request, value};
    PyObject *set = PyObject_Vectorcall(
        future_result, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    PyObject *type, *e, *traceback;

    if (set != NULL) {
        Py_DECREF(set);
        return 1;
    }
    PyErr_Fetch(&type, &e, &traceback);
    if (!is_done(request)) {
        PyErr_Restore(type, e, traceback);
        return -1;
    }
    Py_XDECREF(type);
    Py_XDECREF(e);
    Py_XDECREF(traceback);
    PyErr_Clear();
    return 0;
}

static bool tell_end(const struct asked *a, PyObject *request,
                     const copal_event *ev)
{
    PyObject *loop = (PyObject *)a->loop;
    PyObject *response;
    int done;

    if (ev->status != 0 || has_queue(request))
        return tell_request(request, ev);
    set_slot(request, at_x, Py_None);
    response = *slot_of(request, at_response);
    response = Py_NewRef(response == NULL ? Py_None : response);
    done = set_result(request, response);
    Py_DECREF(response);
    return done > 0 ? call_all(request, loop) : done == 0;
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

/* Takes the reference to m. */
static PyObject *send_request(PyObject *owner, copal *c, copal_msg *m,
                              PyObject *request, PyObject *loop, bool is_plain)
{
    struct asked *a = (struct asked *)new_cell(owner, request, sizeof(*a));
    copal_exchange *x;
    PyObject *shown;

    if (a == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    a->cell.is_asked = true;
    a->loop = loop;
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
    PyObject *loop, *shown;
    copal_msg *m;
    copal *c;
    int is_plain;

    (void)self;
    if (!has_args(n, 4) || (c = check_endpoint(args[0])) == NULL ||
        (m = check_message(args[1])) == NULL || !check_asker(args[2]) ||
        (is_plain = PyObject_IsTrue(args[3])) < 0)
        return NULL;
    loop = PyObject_CallOneArg(future_loop, args[2]);
    if (loop == NULL)
        return NULL;
    shown =
        send_request(args[0], c, copal_msg_ref(m), args[2], loop, is_plain > 0);
    Py_DECREF(loop); /* the Request holds it */
    return shown;
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

static bool is_set_up(void)
{
    if (request_class != NULL && running_loop != NULL)
        return true;
    PyErr_SetString(PyExc_TypeError, "set_request() and set_tasks() first");
    return false;
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

/* To name the loop costs less than to have asyncio look for it. */
static PyObject *keywords_for(struct endpoint_box *box, PyObject *loop)
{
    PyObject *kept = box->for_requests;

    if (kept != NULL && PyDict_GetItemWithError(kept, name_loop) == loop)
        return kept;
    kept = PyDict_New();
    if (kept != NULL && PyDict_SetItem(kept, name_loop, loop) != 0)
        Py_CLEAR(kept);
    if (kept != NULL)
        Py_XSETREF(box->for_requests, kept);
    return kept;
}

/* As Request(loop=loop), with its slots filled. */
static PyObject *new_request(PyObject *owner, PyObject *loop, PyObject *coap,
                             PyObject *code, PyObject *uri)
{
    PyObject *keywords = keywords_for((struct endpoint_box *)owner, loop);
    PyObject *request;

    if (keywords == NULL)
        return NULL;
    request = request_class->tp_new(request_class, nothing, NULL);
    if (request == NULL)
        return NULL;
    if (request_class->tp_init(request, nothing, keywords) != 0) {
        Py_DECREF(request);
        return NULL;
    }
    set_slot(request, at_coap, coap);
    set_slot(request, at_uri, uri);
    set_slot(request, at_code, code);
    set_slot(request, at_response, Py_None);
    set_slot(request, at_queue, Py_None);
    set_slot(request, at_x, Py_None);
    return request;
}

/* new_request(coap, endpoint, loop, code, uri) -> Request that is not sent yet */
static PyObject *py_new_request(PyObject *self, PyObject *const *args,
                                Py_ssize_t n)
{
    (void)self;
    if (!has_args(n, 5) || check_endpoint(args[1]) == NULL || !is_set_up())
        return NULL;
    return new_request(args[1], args[2], args[0], args[3], args[4]);
}

static const char *check_uri(PyObject *o)
{
    return PyUnicode_Check(o) ? check_text(o) : wrong_type("a URI", o);
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

/* ask_for(coap, endpoint, loop, code, uri, body) -> Request, sent; None: this is
 * not the loop to ask on, or the endpoint has none yet; it is for Python to say.
 * body is None, bytes or text. */
static PyObject *py_ask_for(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    PyObject *request, *shown;
    const char *uri;
    copal_msg *m;
    int64_t code;
    copal *c;
    int ours;

    (void)self;
    if (!has_args(n, 6) || !is_set_up())
        return NULL;
    if (args[1] == Py_None || args[2] == Py_None)
        return Py_NewRef(Py_None);
    if ((c = check_endpoint(args[1])) == NULL ||
        !check_integer(args[3], 0, 255, &code) ||
        (uri = check_uri(args[4])) == NULL || (ours = is_ours(args[2])) < 0)
        return NULL;
    if (ours == 0)
        return Py_NewRef(Py_None);
    m = new_message((struct endpoint_box *)args[1], (int)code, uri, args[5]);
    if (m == NULL)
        return NULL;
    request = new_request(args[1], args[2], args[0], args[3], args[4]);
    if (request == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    shown = send_request(args[1], c, m, request, args[2], true);
    if (shown == NULL) {
        Py_DECREF(request);
        return NULL;
    }
    Py_SETREF(*slot_of(request, at_x), shown);
    return request;
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
    {"call_waiting", py_call_waiting, METH_O, NULL},
    {"ask", (PyCFunction)(void (*)(void))py_ask, METH_FASTCALL, NULL},
    {"ask_for", (PyCFunction)(void (*)(void))py_ask_for, METH_FASTCALL, NULL},
    {"asked", py_asked, METH_O, NULL},
    {"set_request", py_set_request, METH_O, NULL},
    {NULL, NULL, 0, NULL}};
/* clang-format on */
