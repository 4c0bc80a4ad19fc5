/* A representation changed: its observers are told. RFC 7641 4.2 to 4.5. */
#include "engine/observe_core.h"
#include "engine/block_kept.h"
#include "engine/core.h"
#include "engine/transfer.h"

static void on_answer(void *user, const copal_msg *answer);

static void ask(struct cp_interest *i)
{
    i->asking = true;
    i->dirty = false;
    cp_answer_ask(i->engine, i->handler, i->request, on_answer, i);
}

/* One state as different observers are told of it: its first block in each
 * size, and that it is one they have already. Made when first needed. */
struct telling {
    copal_msg *whole; /* cp_observe_numbered; an error as it is */
    copal_msg *first[7], *qfirst[7];
    copal_msg *valid;
    copal_msg *unacceptable;
};

static size_t index_of_size(uint16_t size)
{
    return cp_block_encode((struct cp_block){0, size, false});
}

static copal_msg *first_of(struct telling *t, uint16_t size)
{
    copal_msg **first = &t->first[index_of_size(size)];

    if (*first == NULL)
        *first = cp_block_answer_first(t->whole, size);
    if (*first != NULL)
        (*first)->frozen = true;
    return *first;
}

/* The first part by Q-Block2, or NULL where that is not wanted or needed. */
static copal_msg *qfirst_of(struct telling *t, uint16_t size)
{
    copal_msg **first;

    if (size == 0 || t->whole->payload.len <= size)
        return NULL;
    first = &t->qfirst[index_of_size(size)];
    if (*first == NULL)
        *first = cp_qblock_notify_first(t->whole, size);
    return *first;
}

static copal_msg *part_of(struct telling *t, struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    copal_msg *m = qfirst_of(t, cp_qblock_notify_size(e, o->link, o->request));

    return m != NULL ? m : first_of(t, cp_observer_block_size(o, t->whole));
}

/* 2.03 instead of a representation. RFC 7641 4.3.2. */
static copal_msg *valid_of(struct telling *t)
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
    uint64_t format = cp_observer_format_of(m);

    if (o->format == CP_UNKNOWN_FORMAT)
        o->format = format;
    return format != CP_UNKNOWN_FORMAT && o->format != format;
}

static copal_msg *unacceptable_of(struct telling *t)
{
    if (t->unacceptable == NULL)
        t->unacceptable = cp_msg_new(t->whole->mem, COPAL_NOT_ACCEPTABLE, 0);
    if (t->unacceptable != NULL)
        t->unacceptable->frozen = true;
    return t->unacceptable;
}

static bool has_already(const struct cp_observer *o, const copal_msg *m)
{
    const copal_msg *request = o->request;
    const struct cp_option *etag = cp_msg_find(m, COPAL_OPT_ETAG);

    if (etag == NULL || !cp_msg_has(request, COPAL_OPT_ETAG) ||
        m->code != COPAL_CONTENT)
        return false;
    for (size_t i = 0; i < request->option_count; i++)
        if (request->options[i].number == COPAL_OPT_ETAG &&
            cp_bytes_equal(cp_msg_option_value(request, &request->options[i]),
                           cp_msg_option_value(m, etag)))
            return true;
    return false;
}

/* Out of memory: as if the network had lost it. */
static void tell(struct telling *t, struct cp_observer *o)
{
    struct cp_engine *e = o->interest->engine;
    copal_msg *m = t->whole;

    cp_block_kept_forget(e, o->link, o->request);
    if (is_of_other_format(o, m))
        m = unacceptable_of(t);
    else if (has_already(o, m))
        m = valid_of(t);
    else if (!cp_observer_is_last(m))
        m = part_of(t, o);
    if (m != NULL)
        cp_observer_tell(o, m);
}

/* The interest stays, whoever comes and goes meanwhile. */
static void tell_all(struct cp_interest *i, const copal_msg *answer)
{
    struct telling t = {.whole = cp_observer_is_last(answer)
                                     ? copal_msg_ref(answer)
                                     : cp_observe_numbered(i->engine, answer)};
    bool asking = i->asking;

    i->asking = true;
    if (t.whole != NULL)
        list_each (place, after, &i->observers)
            tell(&t, cp_container_of(place, struct cp_observer, place));
    i->asking = asking;
    copal_msg_unref(t.whole);
    copal_msg_unref(t.valid);
    copal_msg_unref(t.unacceptable);
    for (size_t k = 0; k < sizeof(t.first) / sizeof(t.first[0]); k++) {
        copal_msg_unref(t.first[k]);
        copal_msg_unref(t.qfirst[k]);
    }
}

static void on_answer(void *user, const copal_msg *answer)
{
    struct cp_interest *i = user;

    if (answer != NULL)
        tell_all(i, answer);
    i->asking = false;
    if (i->dirty && !i->engine->ending && !cp_list_empty(&i->observers))
        ask(i);
    else
        cp_interest_free_idle(i);
}

int cp_observe_notify(struct cp_engine *e, struct cp_handler *h,
                      const char *path)
{
    struct cp_topic *t = cp_interest_topic(e, h, path);
    int count = 0;

    if (t == NULL)
        return 0;
    list_each (place, after, &t->interests) {
        struct cp_interest *i =
            cp_container_of(place, struct cp_interest, place);

        list_each (observer, next, &i->observers)
            count++;
        if (i->asking)
            i->dirty = true;
        else
            ask(i);
    }
    cp_engine_wake(e);
    return count;
}

void cp_observe_end(struct cp_engine *e, struct cp_handler *h, int code)
{
    copal_msg *last = cp_msg_new(e->mem, code, 0);

    if (last != NULL)
        last->frozen = true;
    map_each (node, after, &e->observing.interests) {
        struct cp_interest *i = cp_container_of(node, struct cp_interest, node);

        if (i->handler != h || last == NULL)
            continue;
        tell_all(i, last);
        cp_interest_free_idle(i);
    }
    copal_msg_unref(last);
}
