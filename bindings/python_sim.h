/* The simulator. Part of python_bridge.h. */

static struct sim_box *check_sim(PyObject *o)
{
    struct sim_box *box = (struct sim_box *)o;

    if (Py_TYPE(o) != sim_type)
        return wrong_type("sim", o);
    if (box->ptr == NULL) {
        raise_error(COPAL_ECLOSED, "the simulator is closed");
        return NULL;
    }
    return box;
}

static PyObject *done(int err)
{
    if (err >= 0)
        return Py_NewRef(Py_None);
    raise_error(err, NULL);
    return NULL;
}

/* sim_new(seed) -> Sim */
static PyObject *py_sim_new(PyObject *self, PyObject *args)
{
    unsigned long long seed;
    struct sim_box *box;

    (void)self;
    if (!PyArg_ParseTuple(args, "K", &seed))
        return NULL;
    box = (struct sim_box *)sim_type->tp_alloc(sim_type, 0);
    if (box == NULL)
        return NULL;
    box->ptr = copal_sim_new(seed);
    if (box->ptr == NULL) {
        Py_DECREF(box);
        return PyErr_NoMemory();
    }
    return (PyObject *)box;
}

/* sim_free(sim): its endpoints first, whose callbacks see END. */
static PyObject *py_sim_free(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    PyObject *o;
    copal_sim *s;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    if (Py_TYPE(o) != sim_type)
        return wrong_type("sim", o);
    box = (struct sim_box *)o;
    if (box->running) {
        raise_error(COPAL_ESTATE, "the simulator runs; close it afterwards");
        return NULL;
    }
    while (box->endpoints != NULL) {
        struct endpoint_box *endpoint = box->endpoints;

        Py_INCREF(endpoint);
        close_endpoint(endpoint);
        Py_DECREF(endpoint);
    }
    s = box->ptr;
    box->ptr = NULL;
    copal_sim_free(s);
    return let_pass() ? Py_NewRef(Py_None) : NULL;
}

/* sim_endpoint(sim, host) -> Endpoint */
static PyObject *py_sim_endpoint(PyObject *self, PyObject *args)
{
    struct endpoint_box *endpoint;
    struct sim_box *box;
    const char *host;
    PyObject *o;
    copal *c;

    (void)self;
    if (!PyArg_ParseTuple(args, "Os", &o, &host))
        return NULL;
    box = check_sim(o);
    if (box == NULL)
        return NULL;
    c = copal_sim_endpoint(box->ptr, host, NULL);
    if (c == NULL) {
        raise_error(COPAL_EEXIST,
                    "no such host can be made: it is up already, or its name "
                    "is not one");
        return NULL;
    }
    endpoint = (struct endpoint_box *)new_endpoint(c);
    if (endpoint == NULL)
        return NULL;
    endpoint->sim = (struct sim_box *)Py_NewRef(o);
    endpoint->next_in_sim = box->endpoints;
    box->endpoints = endpoint;
    return (PyObject *)endpoint;
}

static bool start_running(struct sim_box *box)
{
    if (!box->running)
        return box->running = true;
    raise_error(COPAL_ESTATE, "called from a callback: the simulator runs "
                              "already");
    return false;
}

/* sim_run(sim, ms) -> datagrams still on their way */
static PyObject *py_sim_run(PyObject *self, PyObject *args)
{
    unsigned long long ms;
    struct sim_box *box;
    PyObject *o;
    int underway;

    (void)self;
    if (!PyArg_ParseTuple(args, "OK", &o, &ms))
        return NULL;
    box = check_sim(o);
    if (box == NULL || !start_running(box))
        return NULL;
    underway = copal_sim_run(box->ptr, ms);
    box->running = false;
    return let_pass() ? PyLong_FromLong(underway) : NULL;
}

/* sim_until(sim, ms, loop) -> bool: lets at most ms pass, in steps of one, and stops
 * when something was told to a callback. Returns whether it was. loop: None, unless
 * this is a turn of one that has no older calls to make. */
static PyObject *py_sim_until(PyObject *self, PyObject *args)
{
    uint64_t before = delivered;
    PyObject *o, *loop = Py_None;
    unsigned long long ms;
    struct sim_box *box;
    struct turn outer;
    bool is_well = true;

    (void)self;
    if (!PyArg_ParseTuple(args, "OK|O", &o, &ms, &loop))
        return NULL;
    box = check_sim(o);
    if (box == NULL || !start_running(box))
        return NULL;
    outer = begin_turn(loop);
    copal_sim_run(box->ptr, 0);
    for (unsigned long long i = 0; is_well && i < ms && delivered == before;
         i++) {
        copal_sim_run(box->ptr, 1);
        is_well = i % 65536 != 0 || PyErr_CheckSignals() == 0;
    }
    end_turn(outer);
    box->running = false;
    return is_well && let_pass() ? PyBool_FromLong(delivered != before) : NULL;
}

/* sim_now(sim) -> ms */
static PyObject *py_sim_now(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    box = check_sim(o);
    return box == NULL ? NULL
                       : PyLong_FromUnsignedLongLong(copal_sim_now(box->ptr));
}

/* sim_set_path(sim, from, to, delay, jitter, loss, duplication, reordering):
 * ms and percent; from and to may be None: any. */
static PyObject *py_sim_set_path(PyObject *self, PyObject *args)
{
    unsigned delay, jitter, loss, duplication, reordering;
    const char *from, *to;
    struct sim_box *box;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "OzzIIIII", &o, &from, &to, &delay, &jitter,
                          &loss, &duplication, &reordering))
        return NULL;
    box = check_sim(o);
    if (box == NULL)
        return NULL;
    return done(copal_sim_set_path(
        box->ptr, from, to,
        (copal_sim_path){delay, jitter, loss, duplication, reordering}));
}

/* sim_lose(sim, host, count) */
static PyObject *py_sim_lose(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    const char *host;
    unsigned count;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "OsI", &o, &host, &count))
        return NULL;
    box = check_sim(o);
    return box == NULL ? NULL : done(copal_sim_lose(box->ptr, host, count));
}

/* sim_move(sim, host) */
static PyObject *py_sim_move(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    const char *host;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "Os", &o, &host))
        return NULL;
    box = check_sim(o);
    return box == NULL ? NULL : done(copal_sim_move(box->ptr, host));
}

/* sim_refuse(sim, host, refuses) */
static PyObject *py_sim_refuse(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    const char *host;
    int refuses;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "Osp", &o, &host, &refuses))
        return NULL;
    box = check_sim(o);
    return box == NULL ? NULL : done(copal_sim_refuse(box->ptr, host, refuses));
}

/* sim_inject(sim, from, host, datagram) */
static PyObject *py_sim_inject(PyObject *self, PyObject *args)
{
    const char *from, *host;
    struct sim_box *box;
    Py_buffer datagram;
    PyObject *o, *result = NULL;

    (void)self;
    if (!PyArg_ParseTuple(args, "Ossy*", &o, &from, &host, &datagram))
        return NULL;
    box = check_sim(o);
    if (box != NULL)
        result = done(copal_sim_inject(
            box->ptr, from, host,
            (copal_bytes){datagram.buf, (size_t)datagram.len}));
    PyBuffer_Release(&datagram);
    return result;
}

/* sim_transcript(sim) -> str */
static PyObject *py_sim_transcript(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "O", &o))
        return NULL;
    box = check_sim(o);
    return box == NULL ? NULL : to_text(copal_sim_transcript(box->ptr));
}

/* sim_keep(sim, bytes) of transcript */
static PyObject *py_sim_keep(PyObject *self, PyObject *args)
{
    struct sim_box *box;
    Py_ssize_t bytes;
    PyObject *o;

    (void)self;
    if (!PyArg_ParseTuple(args, "On", &o, &bytes))
        return NULL;
    box = check_sim(o);
    if (box == NULL)
        return NULL;
    return done(copal_sim_keep(box->ptr, bytes < 0 ? 0 : (size_t)bytes));
}
