/* What has no shape in Python that a map could give it: options, what the wire
 * showed, counters, the tables of names. Part of python_bridge.h. */

/* ---- Fields ------------------------------------------------------------- */

static PyObject *message_code(PyObject *self, void *unused)
{
    const copal_msg *m = check_message(self);

    (void)unused;
    if (m == NULL)
        return NULL;
    return codes == NULL
               ? PyLong_FromLong(copal_msg_code(m))
               : Py_NewRef(PyTuple_GET_ITEM(codes, copal_msg_code(m)));
}

static PyObject *message_payload(PyObject *self, void *unused)
{
    const copal_msg *m = check_message(self);

    (void)unused;
    return m == NULL ? NULL : to_bytes(copal_msg_payload(m));
}

static PyObject *decode_text(copal_bytes bytes)
{
    return PyUnicode_DecodeUTF8((const char *)bytes.data, (Py_ssize_t)bytes.len,
                                "replace");
}

static PyObject *message_text(PyObject *self, void *unused)
{
    const copal_msg *m = check_message(self);

    (void)unused;
    return m == NULL ? NULL : decode_text(copal_msg_payload(m));
}

static bool is_segment(PyObject *text, copal_bytes bytes)
{
    return PyUnicode_IS_COMPACT_ASCII(text) &&
           (size_t)PyUnicode_GET_LENGTH(text) == bytes.len &&
           (bytes.len == 0 ||
            memcmp(PyUnicode_1BYTE_DATA(text), bytes.data, bytes.len) == 0);
}

static bool is_path(PyObject *path, const copal_msg *m)
{
    Py_ssize_t n = PyTuple_GET_SIZE(path);
    copal_bytes value;

    for (Py_ssize_t i = 0; i < n; i++)
        if (copal_msg_value(m, COPAL_OPT_URI_PATH, (size_t)i, &value) < 0 ||
            !is_segment(PyTuple_GET_ITEM(path, i), value))
            return false;
    return copal_msg_value(m, COPAL_OPT_URI_PATH, (size_t)n, &value) < 0;
}

static PyObject *read_path(const copal_msg *m)
{
    copal_bytes value;
    PyObject *path;
    size_t n = 0;

    while (copal_msg_value(m, COPAL_OPT_URI_PATH, n, &value) >= 0)
        n++;
    path = PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; path != NULL && i < n; i++) {
        PyObject *segment;

        copal_msg_value(m, COPAL_OPT_URI_PATH, i, &value);
        segment = decode_text(value);
        if (segment == NULL)
            Py_CLEAR(path);
        else
            PyTuple_SET_ITEM(path, (Py_ssize_t)i, segment);
    }
    return path;
}

/* One handler's requests have one path mostly: what was read last is shown again. */
static PyObject *message_path(PyObject *self, void *unused)
{
    static PyObject *last;
    const copal_msg *m = check_message(self);
    PyObject *path;

    (void)unused;
    if (m == NULL)
        return NULL;
    if (last != NULL && is_path(last, m))
        return Py_NewRef(last);
    path = read_path(m);
    if (path != NULL)
        Py_XSETREF(last, Py_NewRef(path));
    return path;
}

/* setter: the name of the method of the class that does it. */
static int assign_message(PyObject *self, PyObject *value, void *setter)
{
    PyObject *result;

    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot be deleted");
        return -1;
    }
    result = PyObject_CallMethod(self, setter, "(O)", value);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* ---- More of a message -------------------------------------------------- */

/* options(message) -> [(number, value), ...] in wire order */
static PyObject *py_options(PyObject *self, PyObject *args)
{
    PyObject *o, *list;
    const copal_msg *m;
    copal_bytes value;
    int number;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    m = check_message(o);
    list = m == NULL ? NULL : PyList_New(0);
    for (size_t i = 0;
         list != NULL && (number = copal_msg_option(m, i, &value)) >= 0; i++) {
        PyObject *pair = Py_BuildValue("(iN)", number, to_bytes(value));

        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

/* msg_value(message, option, i) -> bytes; None past the last */
static PyObject *py_msg_value(PyObject *self, PyObject *args)
{
    PyObject *o;
    copal_bytes value;
    const copal_msg *m;
    Py_ssize_t i;
    int option;

    (void)self;
    if (!PyArg_ParseTuple(args, "Oin", &o, &option, &i))
        return NULL;
    m = check_message(o);
    if (m == NULL)
        return NULL;
    if (i < 0 || copal_msg_value(m, option, (size_t)i, &value) < 0)
        return Py_NewRef(Py_None);
    return to_bytes(value);
}

/* msg_uint(message, option) -> int; None: not there */
static PyObject *py_msg_uint(PyObject *self, PyObject *args)
{
    PyObject *o;
    const copal_msg *m;
    int64_t n;
    int option;

    (void)self;
    if (!PyArg_ParseTuple(args, "Oi", &o, &option))
        return NULL;
    m = check_message(o);
    if (m == NULL)
        return NULL;
    n = copal_msg_uint(m, option);
    return n < 0 ? Py_NewRef(Py_None) : PyLong_FromLongLong(n);
}

/* msg_decode(endpoint, datagram) -> message */
static PyObject *py_msg_decode(PyObject *self, PyObject *args)
{
    PyObject *o, *result = NULL;
    Py_buffer view;
    copal_msg *m;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "Oy*", &o, &view))
        return NULL;
    c = check_endpoint(o);
    if (c != NULL) {
        int err =
            copal_msg_decode(c, (copal_bytes){view.buf, (size_t)view.len}, &m);

        if (err < 0)
            fail(err, o);
        else
            result = own_message(m);
    }
    PyBuffer_Release(&view);
    return result;
}

/* msg_wire(message) -> (type, mid, multicast, interface, token) or None */
static PyObject *py_msg_wire(PyObject *self, PyObject *args)
{
    copal_wire wire = {.size = sizeof(wire)};
    PyObject *o;
    const copal_msg *m;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    m = check_message(o);
    if (m == NULL)
        return NULL;
    if (copal_msg_wire(m, &wire) < 0)
        return Py_NewRef(Py_None);
    return Py_BuildValue("(iiOIN)", wire.type, wire.mid,
                         wire.multicast ? Py_True : Py_False, wire.if_index,
                         to_bytes(wire.token));
}

/* why(endpoint) -> str: about the last call that failed */
static PyObject *py_why(PyObject *self, PyObject *args)
{
    PyObject *o;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    c = check_endpoint(o);
    return c == NULL ? NULL : to_text(copal_why(c));
}

/* key(exchange) -> int: the same for every object that stands for it */
static PyObject *py_key(PyObject *self, PyObject *args)
{
    PyObject *o;
    copal_exchange *x;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    x = check_exchange(o);
    return x == NULL ? NULL : PyLong_FromVoidPtr(x);
}

/* stats(endpoint) -> {name: count} */
static PyObject *py_stats(PyObject *self, PyObject *args)
{
    copal_stats s = {.size = sizeof(s)};
    PyObject *o;
    copal *c;
    int err;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    c = check_endpoint(o);
    if (c == NULL)
        return NULL;
    err = copal_get_stats(c, &s);
    if (err < 0) {
        fail(err, o);
        return NULL;
    }
#define COUNT(name) #name, (unsigned long long)s.name
    return Py_BuildValue(
        "{sKsKsKsKsKsKsKsKsKsKsKsKsKsK}", COUNT(datagrams_in),
        COUNT(datagrams_out), COUNT(bytes_in), COUNT(bytes_out),
        COUNT(retransmissions), COUNT(duplicates), COUNT(malformed),
        COUNT(rejected), COUNT(limited), COUNT(exchanges),
        COUNT(exchanges_open), COUNT(peers), COUNT(observers), COUNT(memory));
#undef COUNT
}

/* interfaces(endpoint) -> [(name, index), ...], those that reach groups */
static PyObject *py_interfaces(PyObject *self, PyObject *args)
{
    PyObject *o, *list;
    const char *name;
    unsigned index;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    c = check_endpoint(o);
    list = c == NULL ? NULL : PyList_New(0);
    for (size_t i = 0;
         list != NULL && (name = copal_interface(c, i, &index)) != NULL; i++) {
        PyObject *row = Py_BuildValue("(sI)", name, index);

        if (row == NULL || PyList_Append(list, row) != 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

static const struct param_row {
    int number;
    long long value;
    const char *where, *what;
} param_rows[] = {
#define X(name, number, value, where, what) {number, value, where, what},
    COPAL_PARAMS(X)
#undef X
};

/* params() -> [(name, number, default, where, what), ...] in C's units */
static PyObject *py_params(PyObject *self, PyObject *args)
{
    const size_t count = sizeof(param_rows) / sizeof(param_rows[0]);
    PyObject *list = PyList_New((Py_ssize_t)count);

    (void)self;
    (void)args;
    for (size_t i = 0; list != NULL && i < count; i++) {
        const struct param_row *p = &param_rows[i];
        PyObject *row =
            Py_BuildValue("(siLss)", copal_name(COPAL_PARAMETERS, p->number),
                          p->number, p->value, p->where, p->what);

        if (row == NULL)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, (Py_ssize_t)i, row);
    }
    return list;
}

static bool put_integer(PyObject *dict, const char *name, long n)
{
    PyObject *number = PyLong_FromLong(n);
    bool ok = number != NULL && PyDict_SetItemString(dict, name, number) == 0;

    Py_XDECREF(number);
    return ok;
}

/* errors() -> {"ETIMEOUT": -9, ...} */
static PyObject *py_errors(PyObject *self, PyObject *args)
{
    PyObject *all = PyDict_New();

    (void)self;
    (void)args;
#define X(name, number, text) \
    if (all != NULL && !put_integer(all, #name, -(number))) \
        Py_CLEAR(all);
    COPAL_ERRORS(X)
#undef X
    return all;
}

/* live() -> (endpoints, messages, exchanges, callbacks) not yet collected */
static PyObject *py_live(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    return Py_BuildValue("(LLLL)", alive.endpoints, alive.messages,
                         alive.exchanges, alive.cells);
}

/* ---- Recordings --------------------------------------------------------- */

struct replaying {
    PyObject *fn;
    bool failed; /* fn raised */
    char why[1024];
};

static void on_replay(const copal_event *ev, void *user)
{
    struct replaying *r = user;
    PyObject *result;

    if (ev->kind == COPAL_END) {
        snprintf(r->why, sizeof(r->why), "%s", ev->text);
        return;
    }
    if (ev->kind != COPAL_TRACE || r->failed)
        return;
    result = PyObject_CallFunction(r->fn, "s", ev->text);
    r->failed = result == NULL;
    Py_XDECREF(result);
}

/* replay(path, fn): runs a recording again; fn sees each line of trace. What it
 * raises is raised when that is over. */
static PyObject *py_replay(PyObject *self, PyObject *args)
{
    struct replaying r = {0};
    const char *path;
    int err;

    (void)self;
    if (!PyArg_ParseTuple(args, "sO", &path, &r.fn))
        return NULL;
    err = copal_replay(path, COPAL_CB(on_replay, &r));
    if (r.failed)
        return NULL;
    if (err < 0) {
        raise_error(err, r.why);
        return NULL;
    }
    return Py_NewRef(Py_None);
}
