/* The Python side of the bindings: checked handles, callbacks, errors. Part of
 * the generated module (python_bridge.i), so everything is static.
 *
 * The core is entered with the GIL held, always: what runs it here waits in
 * Python's own event loop. So the lock of all of this is the GIL. */
#ifndef COPAL_PYTHON_BRIDGE_H
#define COPAL_PYTHON_BRIDGE_H

#include "repeated.h"
#include <copal_sim.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <structmember.h>
#include <time.h>

typedef int64_t copal_count; /* a number, or a negative COPAL_E* */

/* ---- State -------------------------------------------------------------- */

static PyTypeObject *endpoint_type, *message_type, *exchange_type, *sim_type;
static PyTypeObject *message_class; /* what messages are shown as */
static PyObject *failure;           /* (NAME, text) -> exception  */
static PyObject *codes;             /* what codes are shown as    */
static PyTypeObject *code_class;    /* of them, or NULL           */

/* A KeyboardInterrupt or SystemExit of a callback, on its way through the core
 * to whoever runs it. */
static PyObject *parked;

/* An endpoint is being collected: its callbacks are let go of, not called. */
static _Thread_local int mute;

static uint64_t delivered; /* callbacks called so far */

/* What is inherited through fork() is not touched any more: descriptors are
 * shared with the parent, closing would unregister its sockets. */
static unsigned generation;

static struct {
    long long endpoints, messages, exchanges, cells;
} alive;

static void on_fork(void)
{
    generation++;
}

/* ---- Handles ------------------------------------------------------------ */

struct cell;
struct sim_box;

struct endpoint_box {
    PyObject_HEAD copal *ptr; /* NULL: closed or collected */
    struct cell *cells;
    struct sim_box *sim; /* it lives in, or NULL */
    struct endpoint_box *next_in_sim;
    unsigned generation;
    struct repeated last;
};

struct sim_box {
    PyObject_HEAD copal_sim *ptr;
    struct endpoint_box *endpoints; /* not owned: they own us */
    bool running;
};

struct box { /* of a message or an exchange */
    PyObject_HEAD void *ptr;
    unsigned generation;
};

struct message_box {
    struct box box;
    PyObject *exchange, *names,
        *chunks; /* of a request that is served, or NULL */
    PyObject *weak;
};

/* A registered function. */
struct cell {
    PyObject *fn;
    PyObject *also;           /* another, or NULL           */
    struct endpoint_box *box; /* NULL: that is gone already */
    struct cell *next, **link;
    bool is_asked; /* fn is a Request that is not over */
    bool is_part;  /* of fn, which is freed with it    */
    bool lost;     /* a response, or a part of one, for want of memory */
};

static struct cell *graves; /* dropped, not yet let go of */

/* The core drops callbacks where no user code may run; what a collected
 * function takes along may be a good deal of that. */
static void bury(void)
{
    PyObject *type, *value, *traceback;

    if (graves == NULL)
        return;
    PyErr_Fetch(&type, &value, &traceback);
    while (graves != NULL) {
        struct cell *cell = graves;

        PyObject *fn = cell->fn;

        graves = cell->next;
        Py_XDECREF(cell->also);
        if (!cell->is_part)
            PyMem_RawFree(cell);
        Py_DECREF(fn);
        alive.cells--;
    }
    PyErr_Restore(type, value, traceback);
}

static void unlink_cell(struct cell *cell)
{
    if (cell->link != NULL) {
        *cell->link = cell->next;
        if (cell->next != NULL)
            cell->next->link = cell->link;
    }
    cell->link = NULL;
}

static void drop_cell(void *user)
{
    struct cell *cell = user;

    unlink_cell(cell);
    cell->next = graves;
    graves = cell;
}

/* Returns false with an exception if one came out of a callback. */
static bool let_pass(void)
{
    PyObject *e = parked;

    bury();
    if (e == NULL)
        return true;
    parked = NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_DECREF(e);
    return false;
}

static void leave_sim(struct endpoint_box *box)
{
    struct sim_box *sim = box->sim;
    struct endpoint_box **link;

    if (sim == NULL)
        return;
    for (link = &sim->endpoints; *link != NULL; link = &(*link)->next_in_sim) {
        if (*link == box) {
            *link = box->next_in_sim;
            break;
        }
    }
    box->sim = NULL;
    Py_DECREF(sim);
}

/* Only the process that made it closes it. */
static void close_endpoint(struct endpoint_box *box)
{
    copal *c = box->ptr;

    box->ptr = NULL;
    if (c != NULL && box->generation == generation) {
        forget_repeated(&box->last);
        copal_free(c);
    }
    leave_sim(box);
}

static int endpoint_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct endpoint_box *box = (struct endpoint_box *)self;

    Py_VISIT(Py_TYPE(self));
    for (struct cell *cell = box->cells; cell != NULL; cell = cell->next) {
        Py_VISIT(cell->fn);
        Py_VISIT(cell->also);
    }
    return 0;
}

static int endpoint_clear(PyObject *self)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    mute++;
    close_endpoint((struct endpoint_box *)self);
    mute--;
    bury();
    PyErr_Restore(type, value, traceback);
    return 0;
}

static void endpoint_dealloc(PyObject *self)
{
    struct endpoint_box *box = (struct endpoint_box *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    endpoint_clear(self);
    while (box->cells != NULL) { /* of a copal_free() yet to take effect */
        struct cell *cell = box->cells;
        unlink_cell(cell);
        cell->box = NULL;
    }
    alive.endpoints--;
    type->tp_free(self);
    Py_DECREF(type);
}

static int message_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct message_box *m = (struct message_box *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(m->exchange);
    Py_VISIT(m->names);
    Py_VISIT(m->chunks);
    return 0;
}

static int message_clear(PyObject *self)
{
    struct message_box *m = (struct message_box *)self;

    Py_CLEAR(m->exchange);
    Py_CLEAR(m->names);
    Py_CLEAR(m->chunks);
    return 0;
}

static void message_dealloc(PyObject *self)
{
    struct message_box *m = (struct message_box *)self;
    PyTypeObject *type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    if (m->weak != NULL)
        PyObject_ClearWeakRefs(self);
    message_clear(self);
    if (m->box.ptr != NULL) {
        alive.messages--;
        if (m->box.generation == generation)
            copal_msg_unref(m->box.ptr);
    }
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* Of what it has nothing else leads back to a message: only with that the
 * collector has to know of it. */
static int assign_chunks(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    Py_XSETREF(((struct message_box *)self)->chunks, Py_XNewRef(value));
    if (!PyObject_GC_IsTracked(self))
        PyObject_GC_Track(self);
    return 0;
}

static PyObject *message_chunks(PyObject *self, void *unused)
{
    PyObject *chunks = ((struct message_box *)self)->chunks;

    (void)unused;
    return Py_NewRef(chunks == NULL ? Py_None : chunks);
}

static void exchange_dealloc(PyObject *self)
{
    struct box *box = (struct box *)self;
    PyTypeObject *type = Py_TYPE(self);

    if (box->ptr != NULL) {
        alive.exchanges--;
        if (box->generation == generation)
            copal_exchange_unref(box->ptr);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static void sim_dealloc(PyObject *self)
{
    struct sim_box *box = (struct sim_box *)self;
    PyTypeObject *type = Py_TYPE(self);

    copal_sim_free(box->ptr); /* its endpoints are gone: they held us */
    type->tp_free(self);
    Py_DECREF(type);
}

/* memoryview(message): the payload where it lies, kept by the view. */
static int message_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    struct box *box = (struct box *)self;
    copal_bytes body = {NULL, 0};

    if (box->ptr != NULL)
        body = copal_msg_payload(box->ptr);
    return PyBuffer_FillInfo(view, self,
                             body.len == 0 ? (void *)"" : (void *)body.data,
                             (Py_ssize_t)body.len, 1, flags);
}

static PyObject *message_code(PyObject *self, void *unused);
static PyObject *message_path(PyObject *self, void *unused);
static PyObject *message_payload(PyObject *self, void *unused);
static PyObject *message_text(PyObject *self, void *unused);
static int assign_message(PyObject *self, PyObject *value, void *setter);

/* clang-format off */
static PyType_Slot endpoint_slots[] = {
    {Py_tp_dealloc, endpoint_dealloc}, {Py_tp_traverse, endpoint_traverse},
    {Py_tp_clear, endpoint_clear}, {0, NULL}};
/* What nearly every handler reads. */
static PyGetSetDef message_fields[] = {
    {"code", message_code, NULL,
     "What is asked or answered; prints as ``2.05 Content``.", NULL},
    {"payload", message_payload, assign_message,
     "The body, whole: blocks are put together before you see them.",
     "_set_payload"},
    {"text", message_text, NULL,
     "The payload as UTF-8; what is not is shown as U+FFFD.", NULL},
    {"path", message_path, assign_message,
     "``('other', 'separate')``; a trailing slash is an empty last segment.\n"
     "May be assigned a tuple or ``\"/other/separate\"``.", "_set_path"},
    {"_chunks", message_chunks, assign_chunks, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL}};
static PyMemberDef message_members[] = {
    {"_exchange", T_OBJECT_EX, offsetof(struct message_box, exchange), 0, NULL},
    {"_names", T_OBJECT_EX, offsetof(struct message_box, names), 0, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct message_box, weak),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL}};
static PyType_Slot message_slots[] = {
    {Py_tp_dealloc, message_dealloc}, {Py_bf_getbuffer, message_getbuffer},
    {Py_tp_traverse, message_traverse}, {Py_tp_clear, message_clear},
    {Py_tp_getset, message_fields}, {Py_tp_members, message_members},
    {0, NULL}};
static PyType_Slot exchange_slots[] = {
    {Py_tp_dealloc, exchange_dealloc}, {0, NULL}};
static PyType_Slot sim_slots[] = {{Py_tp_dealloc, sim_dealloc}, {0, NULL}};

enum { CLOSED_TYPE = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION };
static PyType_Spec endpoint_spec = {"copal._copal.Endpoint",
    sizeof(struct endpoint_box), 0, CLOSED_TYPE | Py_TPFLAGS_HAVE_GC,
    endpoint_slots};
static PyType_Spec message_spec = {"copal._copal.Message",
    sizeof(struct message_box), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    message_slots};
static PyType_Spec exchange_spec = {"copal._copal.Exchange",
    sizeof(struct box), 0, CLOSED_TYPE, exchange_slots};
static PyType_Spec sim_spec = {"copal._copal.Sim", sizeof(struct sim_box), 0,
    CLOSED_TYPE, sim_slots};
/* clang-format on */

/* ---- Errors ------------------------------------------------------------- */

static void raise_error(int error, const char *text)
{
    PyObject *e;

    if (text == NULL || *text == '\0')
        text = copal_strerror(error);
    if (failure == NULL) {
        PyErr_Format(PyExc_RuntimeError, "%s: %s", copal_errname(error), text);
        return;
    }
    e = PyObject_CallFunction(failure, "ss", copal_errname(error), text);
    if (e != NULL)
        PyErr_SetObject((PyObject *)Py_TYPE(e), e);
    Py_XDECREF(e);
}

/* The sentence about the call that just failed is where its first argument
 * leads to. */
static void fail(int error, PyObject *first)
{
    const copal *c = NULL;
    PyTypeObject *type = Py_TYPE(first);

    if (type == endpoint_type)
        c = ((struct endpoint_box *)first)->ptr;
    else if (type == exchange_type && ((struct box *)first)->ptr != NULL)
        c = copal_exchange_endpoint(((struct box *)first)->ptr);
    if (error == COPAL_ENOMEM) /* it leaves the sentence of the one before */
        raise_error(error, NULL);
    else if (PyObject_TypeCheck(first, message_type) &&
             ((struct box *)first)->ptr != NULL)
        raise_error(error, copal_msg_why(((struct box *)first)->ptr));
    else
        raise_error(error, c != NULL ? copal_why(c) : NULL);
}

/* ---- Arguments ---------------------------------------------------------- */

static bool of_this_process(unsigned born)
{
    if (born == generation)
        return true;
    raise_error(COPAL_ESTATE, "made before fork(): it belongs to the parent "
                              "process; make a new endpoint here");
    return false;
}

static void *wrong_type(const char *wanted, PyObject *got)
{
    PyErr_Format(PyExc_TypeError, "%s expected, got %s", wanted,
                 Py_TYPE(got)->tp_name);
    return NULL;
}

static copal *check_endpoint(PyObject *o)
{
    struct endpoint_box *box = (struct endpoint_box *)o;

    if (Py_TYPE(o) != endpoint_type)
        return wrong_type("endpoint", o);
    if (box->ptr == NULL) {
        raise_error(COPAL_ECLOSED, "the endpoint is closed");
        return NULL;
    }
    return of_this_process(box->generation) ? box->ptr : NULL;
}

static copal_msg *check_message(PyObject *o)
{
    if (Py_TYPE(o) != message_class && !PyObject_TypeCheck(o, message_type))
        return wrong_type("message", o);
    if (((struct box *)o)->ptr == NULL)
        return wrong_type("a message made by copal", o);
    return ((struct box *)o)->ptr;
}

static copal_exchange *check_exchange(PyObject *o)
{
    struct box *box = (struct box *)o;

    if (Py_TYPE(o) != exchange_type)
        return wrong_type("exchange", o);
    return of_this_process(box->generation) ? box->ptr : NULL;
}

static bool check_integer(PyObject *o, int64_t min, int64_t max, int64_t *n)
{
    int overflow = 0;

    if (!PyLong_Check(o))
        return wrong_type("int", o) != NULL;
    *n = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow != 0 || *n < min || *n > max) {
        PyErr_SetString(PyExc_ValueError, "number out of range");
        return false;
    }
    return true;
}

/* C ends text at a zero: text with one inside would be cut in silence. */
static const char *check_text(PyObject *o)
{
    Py_ssize_t len;
    const char *text;

    if (!PyUnicode_Check(o))
        return wrong_type("str", o);
    text = PyUnicode_AsUTF8AndSize(o, &len);
    if (text != NULL && strlen(text) != (size_t)len) {
        PyErr_SetString(PyExc_ValueError, "text contains a zero byte");
        return NULL;
    }
    return text;
}

static PyObject *to_text(const char *text)
{
    if (text == NULL)
        return Py_NewRef(Py_None);
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *to_bytes(copal_bytes bytes)
{
    return PyBytes_FromStringAndSize(
        bytes.len == 0 ? "" : (const char *)bytes.data, (Py_ssize_t)bytes.len);
}

/* ---- Results ------------------------------------------------------------ */

/* Takes the reference that comes with m. */
static PyObject *own_message(copal_msg *m)
{
    struct message_box *shown;

    if (m == NULL)
        return PyErr_NoMemory();
    shown = PyObject_GC_New(struct message_box, message_class);
    if (shown == NULL) {
        copal_msg_unref(m);
        return NULL;
    }
    shown->box.ptr = m;
    shown->box.generation = generation;
    shown->exchange = shown->names = shown->chunks = shown->weak = NULL;
    alive.messages++;
    return (PyObject *)shown;
}

static PyObject *show_message(const copal_msg *m)
{
    return m == NULL ? Py_NewRef(Py_None) : own_message(copal_msg_ref(m));
}

static PyObject *show_exchange(copal_exchange *x)
{
    struct box *box;

    if (x == NULL)
        return PyErr_NoMemory();
    box = (struct box *)exchange_type->tp_alloc(exchange_type, 0);
    if (box == NULL)
        return NULL;
    box->ptr = copal_exchange_ref(x);
    box->generation = generation;
    alive.exchanges++;
    return (PyObject *)box;
}

#include "python_callback.h"
#include "python_serve.h"
#include "python_waiting.h"
#include "python_future.h"
#include "python_ride.h"
#include "python_ask.h"
#include "python_inspect.h"
#include "python_sim.h"

/* ---- Opening ------------------------------------------------------------ */

static bool add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    *type = (PyTypeObject *)PyType_FromSpec(spec);
    return *type != NULL && PyModule_AddType(module, *type) == 0;
}

static bool init_bridge(PyObject *module)
{
    if (!add_type(module, &endpoint_spec, &endpoint_type) ||
        !add_type(module, &message_spec, &message_type) ||
        !add_type(module, &exchange_spec, &exchange_type) ||
        !add_type(module, &sim_spec, &sim_type) ||
        !add_type(module, &in_place_spec, &in_place_type) ||
        !add_type(module, &rider_spec, &rider_type) ||
        !add_type(module, &asking_spec, &asking_type) ||
        !add_type(module, &awaiting_spec, &awaiting_type) ||
        !make_asked_type(module) || !name_all() ||
        PyModule_AddFunctions(module, fast_methods) != 0)
        return false;
    message_class = (PyTypeObject *)Py_NewRef(message_type);
    pthread_atfork(NULL, NULL, on_fork);
    return true;
}

#endif
