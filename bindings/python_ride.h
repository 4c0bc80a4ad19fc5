/* How an endpoint rides on an asyncio loop: its turns, and when it wants the next.
 * Part of python_bridge.h; copal._passenger has the rest.
 *
 * A round of asyncio's loop in Python costs as much as several requests. So where
 * a turn was busy and the loop has nothing else to do we wait ourselves, where it
 * would: for all of its descriptors and no longer than for the first of its
 * timers. Whatever comes that is not ours is its own to find. */

#ifdef __linux__
#include <sys/epoll.h>
#endif

enum {
    BUSY_TURN = 4,   /* callbacks: more will come soon                   */
    MOST_TURNS = 64, /* then the loop has a look itself                   */
    RIDE_MS = 1      /* who is not busy any more has the loop wait for it */
};

/* What an Endpoint has for us to see. */
struct rider {
    PyObject_HEAD PyObject *handle, *loop;
    PyObject *timer;     /* of the loop, or None                            */
    uint64_t due;        /* when, at the latest, by copal_now()             */
    unsigned long steps; /* turns so far                                    */
    int fd;              /* in the loop's selector, if not -1               */
    int epoll;           /* that selector, if it is one that we know, or -1 */
};

static PyTypeObject *rider_type;

static PyObject *name_ready, *name_scheduled, *name_stopping, *name_is_debug,
    *name_when, *name_wake, *name_report;

static int rider_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct rider *r = (struct rider *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(r->handle);
    Py_VISIT(r->loop);
    Py_VISIT(r->timer);
    return 0;
}

static int rider_clear(PyObject *self)
{
    struct rider *r = (struct rider *)self;

    Py_CLEAR(r->handle);
    Py_CLEAR(r->loop);
    Py_CLEAR(r->timer);
    return 0;
}

static void rider_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    rider_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- Riding on ---------------------------------------------------------- */

#ifdef __linux__
/* 1: it is false, or empty; 0: not; -1: raised, or there is no such field. */
static int is_false(PyObject *o, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(o, name);
    int is_true = value == NULL ? -1 : PyObject_IsTrue(value);

    Py_XDECREF(value);
    return is_true < 0 ? -1 : !is_true;
}

/* Milliseconds until the first timer of the loop is due, at most RIDE_MS; -1:
 * raised, or it is not as we know it. */
static int until_timer(PyObject *loop)
{
    PyObject *all = PyObject_GetAttr(loop, name_scheduled), *when = NULL;
    struct timespec now;
    double ms = RIDE_MS;

    if (all != NULL && PyList_CheckExact(all) && PyList_GET_SIZE(all) > 0) {
        when = PyObject_GetAttr(PyList_GET_ITEM(all, 0), name_when);
        clock_gettime(CLOCK_MONOTONIC, &now);
        ms = when == NULL
                 ? -1
                 : (PyFloat_AsDouble(when) - (double)now.tv_sec) * 1e3 -
                       (double)now.tv_nsec / 1e6;
    }
    if (all == NULL || !PyList_CheckExact(all) || PyErr_Occurred())
        ms = -1;
    Py_XDECREF(when);
    Py_XDECREF(all);
    return ms < 0 ? -1 : ms < RIDE_MS ? (int)ms : RIDE_MS;
}

/* Has the loop nothing to do but wait? How long, at most; 0: no. */
static int may_wait(PyObject *loop)
{
    int ms;

    if (is_false(loop, name_ready) > 0 && is_false(loop, name_stopping) > 0 &&
        is_false(loop, name_is_debug) > 0 && (ms = until_timer(loop)) > 0)
        return ms;
    PyErr_Clear();
    return 0;
}

/* Waits where the loop would. Is it for us, and for nobody else? */
static bool is_for_us(const struct rider *r, int ms)
{
    struct epoll_event events[2];
    int n;

    Py_BEGIN_ALLOW_THREADS n = epoll_wait(r->epoll, events, 2, ms);
    Py_END_ALLOW_THREADS return n == 1 && events[0].data.fd == r->fd;
}

static bool rides_on(const struct rider *r)
{
    int ms = r->epoll < 0 || r->fd < 0 ? 0 : may_wait(r->loop);

    return ms > 0 && is_for_us(r, ms);
}
#else
static bool rides_on(const struct rider *r)
{
    (void)r;
    return false;
}
#endif

/* ---- A turn ------------------------------------------------------------- */

/* What kept a turn from being made; false: it is to go on to who runs the loop. */
static bool report_turn(PyObject *self)
{
    PyObject *type, *value, *traceback, *done;

    if (!PyErr_ExceptionMatches(PyExc_Exception))
        return false;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    done = PyObject_CallMethodOneArg(self, name_report, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(done);
    return done != NULL;
}

/* One turn, in a round of the loop; wait: ms until the next; -1: for ever, COPAL_ECLOSED:
 * there is none. False: raised. */
static bool make_turn(struct rider *r, int *wait)
{
    PyObject *handle = Py_NewRef(r->handle);
    struct endpoint_box *box = (struct endpoint_box *)handle;
    struct turn before;
    copal *c = check_endpoint(handle);
    int err;

    r->steps++;
    if (c == NULL) {
        Py_DECREF(handle);
        return false;
    }
    before = begin_turn(r->loop);
    err = copal_step(c);
    end_turn(before);
    if (!let_pass()) {
        Py_DECREF(handle);
        return false;
    }
    if (err < 0)
        fail(err, handle);
    *wait = box->ptr == NULL || r->handle != handle ? COPAL_ECLOSED
                                                    : copal_timeout(box->ptr);
    Py_DECREF(handle);
    return err >= 0;
}

/* Tells the loop when to come back. A deadline that moved away is left to fire: to
 * move it each time would cost more than to wake once too often. False: raised. */
static bool set_alarm(PyObject *self, int wait)
{
    struct rider *r = (struct rider *)self;
    uint64_t now = copal_now(((struct endpoint_box *)r->handle)->ptr);
    PyObject *number, *done;

    if (is_none(r->timer) ? wait < 0
                          : wait > 0 && r->due <= now + (uint64_t)wait)
        return true;
    r->due = now + (uint64_t)(wait > 0 ? wait : 0);
    number = PyLong_FromLong(wait);
    done = number == NULL ? NULL
                          : PyObject_CallMethodOneArg(self, name_wake, number);
    Py_XDECREF(number);
    Py_XDECREF(done);
    return done != NULL;
}

/* A turn, or as long as they are busy some more; wait as of make_turn(). */
static bool make_turns(PyObject *self, int *wait)
{
    struct rider *r = (struct rider *)self;

    for (int i = 0; i < MOST_TURNS; i++) {
        uint64_t before = delivered;

        if (!make_turn(r, wait))
            return false;
        if (*wait == COPAL_ECLOSED)
            return true;
        if (!set_alarm(self, *wait))
            return false;
        if (delivered - before < BUSY_TURN || *wait == 0 || !rides_on(r))
            return true;
    }
    return true;
}

/* rider._pump(): what the loop calls when there is something to do */
static PyObject *rider_pump(PyObject *self, PyObject *unused)
{
    struct rider *r = (struct rider *)self;
    int wait;

    (void)unused;
    if (is_none(r->handle) || is_none(r->loop))
        return Py_NewRef(Py_None);
    if (!make_turns(self, &wait) && !report_turn(self))
        return NULL;
    return Py_NewRef(Py_None);
}

/* clang-format off */
static PyMethodDef rider_methods[] = {
    {"_pump", rider_pump, METH_NOARGS, NULL}, {NULL, NULL, 0, NULL}};
static PyMemberDef rider_members[] = {
    {"_handle", T_OBJECT_EX, offsetof(struct rider, handle), 0, NULL},
    {"_loop", T_OBJECT_EX, offsetof(struct rider, loop), 0, NULL},
    {"_timer", T_OBJECT, offsetof(struct rider, timer), 0, NULL},
    {"_steps", T_ULONG, offsetof(struct rider, steps), READONLY, NULL},
    {"_fd", T_INT, offsetof(struct rider, fd), 0, NULL},
    {"_epoll", T_INT, offsetof(struct rider, epoll), 0, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot rider_slots[] = {
    {Py_tp_dealloc, rider_dealloc}, {Py_tp_traverse, rider_traverse},
    {Py_tp_clear, rider_clear}, {Py_tp_members, rider_members},
    {Py_tp_methods, rider_methods}, {0, NULL}};
static PyType_Spec rider_spec = {"copal._copal.Rider", sizeof(struct rider), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE, rider_slots};
/* clang-format on */
