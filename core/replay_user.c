/* The user of a replay, as far as he is called: which callback it is, and when. */
#include "replay.h"
#include "wire/message.h"

/* What one callback is of. */
struct hook {
    struct cp_replay *replay;
    uint64_t id; /* of an exchange or timer; 0: of whichever comes */
};

/* ---- What is known ---- */

struct cp_replay_known *cp_replay_find(const struct cp_map *map, uint64_t id)
{
    struct cp_map_node *n =
        cp_map_first(map, cp_map_hash(map, &id, sizeof(id)));

    for (; n != NULL; n = cp_map_next(n))
        if (cp_container_of(n, struct cp_replay_known, node)->id == id)
            return cp_container_of(n, struct cp_replay_known, node);
    return NULL;
}

void cp_replay_remember(struct cp_replay *r, struct cp_map *map, uint64_t id,
                        copal_exchange *x, int64_t timer)
{
    struct cp_replay_known *k = cp_replay_find(map, id);
    copal_exchange *before;

    if (k == NULL) {
        k = cp_zalloc(r->mem, sizeof(*k));
        if (k == NULL) {
            cp_replay_malformed(r, "no memory for what it is about");
            return;
        }
        k->id = id;
        cp_map_put(map, &k->node, cp_map_hash(map, &id, sizeof(id)));
    }
    before = k->x;
    k->x = copal_exchange_ref(x);
    k->timer = timer;
    copal_exchange_unref(before);
}

static void forget_all(struct cp_replay *r, struct cp_map *map)
{
    map_each (node, after, map) {
        struct cp_replay_known *k =
            cp_container_of(node, struct cp_replay_known, node);

        copal_exchange_unref(k->x);
        cp_free(r->mem, k);
    }
    cp_map_clear(map);
}

void cp_replay_user_init(struct cp_replay *r)
{
    struct cp_random random;

    cp_random_init(&random, 1);
    cp_map_init(&r->exchanges, r->mem, &random);
    cp_map_init(&r->timers, r->mem, &random);
}

void cp_replay_user_clear(struct cp_replay *r)
{
    forget_all(r, &r->exchanges);
    forget_all(r, &r->timers);
}

/* ---- Callbacks ---- */

static void abandon_next(struct cp_replay *r)
{
    struct cp_record_head h;

    while (cp_replay_peek(r, &h) &&
           h.type == (CP_RECORD_ABANDONED | CP_RECORD_NESTED)) {
        cp_replay_take(r, &h);
        cp_replay_abandon(r, &h);
    }
}

void cp_replay_callback(struct cp_replay *r)
{
    struct cp_record_head h;

    while (cp_replay_peek(r, &h)) {
        if (h.type == CP_RECORD_RETURN) {
            cp_replay_take(r, &h);
            abandon_next(r); /* what let go of it has no record */
            return;
        }
        if (h.type == CP_RECORD_IN || h.type == CP_RECORD_TURN ||
            h.type == CP_RECORD_STREAM_IN || h.type == CP_RECORD_CALLBACK) {
            cp_replay_malformed(r, "a callback that does not return");
            return;
        }
        if (cp_replay_is_call(&h)) {
            cp_replay_take(r, &h);
            cp_replay_call(r, &h);
        } else {
            cp_replay_leftover(r);
        }
    }
}

static bool is_of(struct cp_replay *r, const struct hook *hook,
                  const copal_event *ev, uint64_t kind, uint64_t id)
{
    struct cp_replay_known *k;

    if (kind != cp_record_kind_of(ev))
        return false;
    if (ev->kind == COPAL_TIMER)
        return hook->id == id;
    if (ev->exchange == NULL)
        return true;
    k = cp_replay_find(&r->exchanges, id);
    if (ev->kind == COPAL_REQUEST)
        return k == NULL;
    return k != NULL && k->x == ev->exchange;
}

static bool is_input(const struct cp_record_head *h)
{
    return h->type == CP_RECORD_IN || h->type == CP_RECORD_LOST ||
           h->type == CP_RECORD_TURN || h->type == CP_RECORD_TIME ||
           h->type == CP_RECORD_ROUTED ||
           (cp_record_is_stream(h->type) && h->type != CP_RECORD_STREAM_OUT) ||
           (cp_replay_is_call(h) && (h->type & CP_RECORD_NESTED) == 0);
}

/* Of a late recording: is it called before anything else comes in? If not,
 * others' callbacks are none of its business. */
static bool is_called(struct cp_replay *r, const struct hook *hook,
                      const copal_event *ev)
{
    struct cp_cursor ahead = r->records;
    struct cp_record_head h;
    bool is_inside = false; /* another's, of before */

    while (cp_record_take(&ahead, &h)) {
        struct cp_cursor c = cp_cursor_of(h.body);
        uint64_t kind = cp_record_take_64(&c), id = cp_record_take_64(&c);

        if (is_inside) {
            is_inside = h.type != CP_RECORD_RETURN;
            continue;
        }
        if (is_input(&h))
            return false;
        is_inside = h.type == CP_RECORD_CALLBACK;
        if (is_inside && is_of(r, hook, ev, kind, id))
            return true;
    }
    return false;
}

/* The record of this callback is taken. False: there is none. */
static bool take_callback(struct cp_replay *r, const struct hook *hook,
                          const copal_event *ev)
{
    struct cp_record_head h;

    if (r->is_late && !is_called(r, hook, ev)) {
        cp_replay_past_unasked(r, ev->kind == COPAL_REQUEST ? ev->msg : NULL);
        return false;
    }
    while (cp_replay_peek(r, &h) && !is_input(&h)) {
        struct cp_cursor c = cp_cursor_of(h.body);
        uint64_t kind = cp_record_take_64(&c), id = cp_record_take_64(&c);

        if (h.type != CP_RECORD_CALLBACK) {
            cp_replay_leftover(r);
            continue;
        }
        if (is_of(r, hook, ev, kind, id)) {
            cp_replay_take(r, &h);
            if (ev->kind == COPAL_REQUEST)
                cp_replay_remember(r, &r->exchanges, id, ev->exchange, 0);
            return true;
        }
        if (!r->is_late)
            break;
        cp_replay_leftover(r); /* of before: its calls are made all the same */
    }
    if (!r->is_late && cp_replay_peek(r, &h))
        cp_replay_differs(
            r, "a callback is called (kind %d) that was not called then",
            (int)ev->kind);
    return false;
}

static void on_event(const copal_event *ev, void *user)
{
    struct hook *hook = user;
    struct cp_replay *r = hook->replay;

    if (!r->is_over && take_callback(r, hook, ev))
        cp_replay_callback(r);
}

/* What a drop called. */
static void on_drop(void *user)
{
    struct hook *hook = user;
    struct cp_replay *r = hook->replay;

    cp_free(r->mem, hook);
    cp_replay_nested(r);
}

void cp_replay_nested(struct cp_replay *r)
{
    struct cp_record_head h;

    while (cp_replay_peek(r, &h) && cp_replay_is_call(&h) &&
           (h.type & CP_RECORD_NESTED) != 0) {
        cp_replay_take(r, &h);
        cp_replay_call(r, &h);
    }
    abandon_next(r);
}

copal_cb cp_replay_hook(struct cp_replay *r, bool is_heard, uint64_t id)
{
    struct hook *hook = is_heard ? cp_zalloc(r->mem, sizeof(*hook)) : NULL;

    if (hook == NULL)
        return (copal_cb){0};
    *hook = (struct hook){r, id};
    return COPAL_CB_OWN(on_event, hook, on_drop);
}

void cp_replay_abandon(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_cursor c = cp_cursor_of(h->body);
    struct cp_replay_known *k =
        cp_replay_find(&r->exchanges, cp_record_take_64(&c));
    copal_exchange *x = k == NULL ? NULL : k->x;

    if (k != NULL)
        k->x = NULL;
    if (x != NULL) /* by more than its references, where it was paused */
        cp_exchange_abandon(x);
    copal_exchange_unref(x);
}
