/* A representation changed: its observers are told. RFC 7641 4.2 to 4.5. */
#include "engine/observe_core.h"
#include "engine/block_kept.h"
#include "engine/core.h"
#include "engine/transfer.h"
#include "wire/datagram.h"
#include <limits.h>

/* One state as different observers are told of it: its first block in each
 * size, and that it is one they have already. Made when first needed. */
struct cp_telling {
    copal_msg *whole; /* cp_observe_numbered; an error as it is */
    copal_msg *first[7], *qfirst[7];
    copal_msg *valid;
    copal_msg *unacceptable;
};

enum {
    MOST_WIRED = 1024 /* bytes of a payload: more goes in blocks */
};

/* m, which goes to many, and may be NULL, is encoded once. */
static void wire(copal_msg *m)
{
    if (m == NULL)
        return;
    m->frozen = true;
    if (m->payload.len <= MOST_WIRED)
        (void)cp_datagram_wire(m); /* or each time, where memory is short */
}

static size_t index_of_size(uint16_t size)
{
    return cp_block_encode((struct cp_block){.size = size});
}

static copal_msg *first_of(struct cp_telling *t, uint16_t size)
{
    copal_msg **first = &t->first[index_of_size(size)];

    if (*first != NULL)
        return *first;
    *first = cp_block_answer_first(t->whole, size);
    wire(*first);
    return *first;
}

/* The first part by Q-Block2, or NULL where that is not wanted or needed. */
static copal_msg *qfirst_of(struct cp_telling *t, uint16_t size)
{
    copal_msg **first;

    if (size == 0 || t->whole->payload.len <= size)
        return NULL;
    first = &t->qfirst[index_of_size(size)];
    if (*first == NULL)
        *first = cp_qblock_notify_first(t->whole, size);
    return *first;
}

static copal_msg *part_of(struct cp_telling *t, struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    struct cp_link *link = cp_observer_link(o);
    copal_msg *m = NULL;
    uint16_t size;

    if (link->connection != NULL &&
        (cp_observer_guard(o) == NULL ||
         t->whole->payload.len <= CP_GUARD_MOST) &&
        cp_connection_takes(link, t->whole, cp_observer_token(o).len))
        return t->whole;
    if (o->keeps_all)
        m = qfirst_of(t, cp_qblock_notify_size(e, link, o->request));
    if (m != NULL)
        return m;
    size = cp_observer_block_size(o, t->whole);
    return t->whole->payload.len <= size ? t->whole : first_of(t, size);
}

/* 2.03 instead of a representation. RFC 7641 4.3.2. */
static copal_msg *valid_of(struct cp_telling *t)
{
    static const unsigned others[] = {COPAL_OPT_CONTENT_FORMAT,
                                      COPAL_OPT_BLOCK2, COPAL_OPT_SIZE2};

    if (t->valid != NULL)
        return t->valid;
    t->valid = cp_msg_derive(t->whole);
    if (t->valid == NULL)
        return NULL;
    t->valid->code = COPAL_VALID;
    cp_msg_borrow_payload(t->valid, NULL, (copal_bytes){0});
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cp_msg_remove(t->valid, others[i]);
    t->valid->frozen = true;
    return t->valid;
}

/* The format may not change while it is observed. RFC 7641 4.2. */
static bool is_of_other_format(struct cp_observer *o, const copal_msg *m)
{
    uint32_t format = cp_observer_format_of(m);

    if (o->format == CP_UNKNOWN_FORMAT)
        o->format = format & 0x1ffff;
    return format != CP_UNKNOWN_FORMAT && o->format != format;
}

static copal_msg *unacceptable_of(struct cp_telling *t)
{
    if (t->unacceptable == NULL)
        t->unacceptable = cp_msg_new(t->whole->mem, COPAL_NOT_ACCEPTABLE, 0);
    if (t->unacceptable != NULL)
        t->unacceptable->frozen = true;
    return t->unacceptable;
}

static bool has_already(const struct cp_observer *o, const copal_msg *m)
{
    return o->keeps_all && m->code == COPAL_CONTENT &&
           cp_msg_has_etag(o->request, cp_msg_etag(m));
}

/* What is left to fetch of the state before. */
static void forget_body(struct cp_observer *o)
{
    struct cp_address remote = cp_observer_remote(o);

    cp_block_kept_forget(o->interest->engine, cp_observer_link(o), &remote,
                         cp_observer_form(o));
}

/* Out of memory: as if the network had lost it. */
void cp_observe_tell(struct cp_observer *o)
{
    struct cp_telling *t = o->interest->telling;
    struct cp_engine *e = o->interest->engine;
    copal_msg *m = t->whole;

    if (e->bodies.out.count > 0)
        forget_body(o);
    if (is_of_other_format(o, m))
        m = unacceptable_of(t);
    else if (has_already(o, m))
        m = valid_of(t);
    else if (!cp_observer_is_last(m))
        m = part_of(t, o);
    if (m != NULL)
        cp_observer_tell(o, m);
}

static void telling_free(struct cp_engine *e, struct cp_telling *t)
{
    if (t == NULL)
        return;
    copal_msg_unref(t->whole);
    copal_msg_unref(t->valid);
    copal_msg_unref(t->unacceptable);
    for (size_t k = 0; k < sizeof(t->first) / sizeof(t->first[0]); k++) {
        copal_msg_unref(t->first[k]);
        copal_msg_unref(t->qfirst[k]);
    }
    cp_free(e->mem, t);
}

static struct cp_telling *telling_new(struct cp_interest *i,
                                      const copal_msg *answer)
{
    struct cp_telling *t = cp_zalloc(i->engine->mem, sizeof(*t));

    if (t == NULL)
        return NULL;
    i->number = cp_observe_number(i->engine, i->number);
    t->whole = cp_observer_is_last(answer)
                   ? copal_msg_ref(answer)
                   : cp_observe_numbered(answer, i->number);
    if (t->whole == NULL) {
        telling_free(i->engine, t);
        return NULL;
    }
    if (t->whole != answer)
        wire(t->whole);
    return t;
}

/* In place of what some have not yet heard of. */
static void tell_all(struct cp_interest *i, const copal_msg *answer)
{
    struct cp_telling *t = telling_new(i, answer);

    if (t == NULL)
        return;
    telling_free(i->engine, i->telling);
    i->telling = t;
    cp_observe_round_tell(i);
}

static void go_on(struct cp_interest *i)
{
    if (i->dirty && !i->asking && !i->ended && !i->engine->ending &&
        i->observers.first != 0)
        cp_observe_ask(i);
    else
        cp_interest_free_idle(i);
}

void cp_observe_told(struct cp_interest *i)
{
    cp_list_remove(&i->work);
    telling_free(i->engine, i->telling);
    i->telling = NULL;
    go_on(i);
}

static void on_answer(void *user, const copal_msg *answer)
{
    struct cp_interest *i = user;

    i->asking = false;
    if (answer != NULL && !i->ended)
        tell_all(i, answer);
    else
        go_on(i);
}

void cp_observe_ask(struct cp_interest *i)
{
    i->dirty = i->asking || i->telling != NULL;
    if (i->dirty || i->ended)
        return;
    i->asking = true;
    cp_answer_ask(i->engine, i->handler, i->request, on_answer, i);
}

int cp_observe_notify(struct cp_engine *e, struct cp_handler *h,
                      const char *path)
{
    struct cp_topic *t = cp_interest_topic(e, h, path);

    if (t == NULL)
        return 0;
    cp_engine_tell_time(e);
    cp_observe_round_ask(e, t);
    cp_engine_wake(e);
    return t->observers > INT_MAX ? INT_MAX : (int)t->observers;
}

void cp_observe_end(struct cp_engine *e, struct cp_handler *h, int code)
{
    copal_msg *last = cp_msg_new(e->mem, code, 0);

    if (last != NULL)
        last->frozen = true;
    map_each (node, after, &e->observing.interests) {
        struct cp_interest *i = cp_container_of(node, struct cp_interest, node);

        if (h != NULL && i->handler != h)
            continue;
        i->ended = true;
        if (last != NULL)
            tell_all(i, last);
    }
    if (h != NULL)
        h->flags &= ~(unsigned)COPAL_OBSERVABLE; /* nor will anybody come */
    copal_msg_unref(last);
    cp_engine_wake(e);
}
