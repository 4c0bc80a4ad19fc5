#include "engine/observe.h"
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/transfer.h"

/* ---- The client's side ---- */

/* RFC 7641 3.4: newer by its number, or so much later that the numbers may
 * have come round. */
static bool is_fresher(const struct cp_ask *a, uint32_t number, uint64_t now)
{
    uint32_t v1 = a->observe_number, v2 = number;

    return (v1 < v2 && v2 - v1 < 1u << 23) || (v1 > v2 && v1 - v2 > 1u << 23) ||
           now > a->observe_at + 128000;
}

static int notification_in(copal_exchange *x, const copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_OBSERVE);
    uint32_t number;

    if (!a->wants_observe || a->came_by == &a->sub)
        return CP_PASS;
    if (o == NULL || cp_code_class(m->code) != 2) {
        a->is_observed = false; /* this is the last one: RFC 7641 3.2 */
        return CP_PASS;
    }
    number = (uint32_t)cp_bytes_uint(cp_msg_option_value(m, o));
    if (a->is_observed && !is_fresher(a, number, x->engine->now))
        return CP_KEPT;
    a->is_observed = true;
    a->observe_number = number;
    a->observe_at = x->engine->now;
    return CP_PASS;
}

/* ---- Observers of our resources ---- */

enum {
    CON_EVERY = 20,         /* one notification in so many is confirmable */
    CON_AFTER_MS = 86400000 /* and one in 24 hours: RFC 7641 4.5 */
};

/* Content-Formats are 16 bits; beyond them is what none has. */
enum {
    NO_FORMAT = 65536,
    UNKNOWN_FORMAT
};

/* Observers who may share one representation: the same handler, cache key and
 * identity. */
struct interest {
    struct cp_map_node node;     /* in interests */
    struct cp_map_node of_topic; /* in topics */
    struct cp_engine *engine;
    struct cp_handler *handler;
    copal_msg *request; /* what the handler is asked */
    struct cp_list observers;
    bool asking; /* the handler owes an answer */
    bool dirty;  /* it changed again meanwhile */
};

struct observer {
    struct cp_map_node node;    /* in observers */
    struct cp_map_node of_peer; /* in by_peer */
    struct cp_list place;       /* in interest->observers */
    struct interest *interest;
    struct cp_link *link;
    copal_msg *request; /* the registration: its token, its path */
    struct cp_flight flight;
    copal_msg *next; /* the newest state, while an older one is under way */
    uint64_t con_at;
    unsigned since_con;
    uint64_t format; /* of the first state; NO_FORMAT, or UNKNOWN after 2.03 */
    bool ends;       /* what is under way is an error: its last notification */
};

static uint64_t observer_hash(struct cp_engine *e,
                              const struct cp_address *remote,
                              copal_bytes token)
{
    uint64_t part[2] = {
        cp_map_hash(&e->observing.observers, remote, sizeof(*remote)),
        cp_map_hash(&e->observing.observers, token.data, token.len)};

    return cp_map_hash(&e->observing.observers, part, sizeof(part));
}

static struct observer *observer_find(struct cp_engine *e, struct cp_link *link,
                                      const copal_msg *request)
{
    struct cp_map_node *n =
        cp_map_first(&e->observing.observers,
                     observer_hash(e, &request->path.remote, request->token));

    for (; n != NULL; n = cp_map_next(n)) {
        struct observer *o = cp_container_of(n, struct observer, node);

        if (o->link == link &&
            cp_address_equal(&o->request->path.remote, &request->path.remote) &&
            cp_bytes_equal(o->request->token, request->token))
            return o;
    }
    return NULL;
}

static void interest_free(struct interest *i)
{
    struct cp_engine *e = i->engine;
    struct cp_handler *h = i->handler;

    cp_map_remove(&e->observing.interests, &i->node);
    cp_map_remove(&e->observing.topics, &i->of_topic);
    copal_msg_unref(i->request);
    cp_free(e->mem, i);
    cp_handler_unref(h);
}

static void observer_free(struct observer *o)
{
    struct interest *i = o->interest;
    struct cp_engine *e = i->engine;

    cp_flight_stop(&o->flight);
    cp_map_remove(&e->observing.observers, &o->node);
    cp_map_remove(&e->observing.by_peer, &o->of_peer);
    cp_list_remove(&o->place);
    copal_msg_unref(o->next);
    copal_msg_unref(o->request);
    cp_free(e->mem, o);
    if (cp_list_empty(&i->observers) && !i->asking)
        interest_free(i);
}

static bool is_error(const copal_msg *m)
{
    return cp_code_class(m->code) != 2;
}

static bool must_confirm(const struct observer *o, const copal_msg *m)
{
    return (m->flags & COPAL_NON) == 0 || is_error(m) ||
           o->since_con + 1 >= CON_EVERY ||
           o->interest->engine->now >= o->con_at + CON_AFTER_MS;
}

/* At most one confirmable notification is under way to an observer; of those
 * that come meanwhile the newest waits. RFC 7641 4.5.1, 4.5.2. */
static void observer_tell(struct observer *o, copal_msg *m)
{
    struct cp_engine *e = o->interest->engine;
    const int64_t *p = e->params.value;
    struct cp_flight_plan plan = {
        .link = o->link,
        .path = &o->request->path,
        .token = o->request->token,
        .is_con = must_confirm(o, m),
        .ack_timeout = (uint32_t)p[COPAL_P_ACK_TIMEOUT],
        .ack_random = (uint32_t)p[COPAL_P_ACK_RANDOM],
        .max_retransmit = (uint32_t)p[COPAL_P_MAX_RETRANSMIT],
        .nstart = (uint32_t)p[COPAL_P_NSTART],
    };

    if (o->ends)
        return;
    if (o->flight.state == CP_OPEN || o->flight.state == CP_QUEUED) {
        if (o->next == NULL || !is_error(o->next)) { /* which is the last */
            copal_msg_unref(o->next);
            o->next = copal_msg_ref(m);
        }
        return;
    }
    if (cp_flight_start(&o->flight, &plan, m) != 0) {
        observer_free(o); /* it could miss a state for ever */
        return;
    }
    o->ends = is_error(m); /* which is always confirmable */
    o->since_con = plan.is_con ? 0 : o->since_con + 1;
    if (plan.is_con)
        o->con_at = e->now;
}

static void on_flight_over(struct cp_flight *f, int status)
{
    struct observer *o = cp_container_of(f, struct observer, flight);
    copal_msg *next = o->next;

    o->next = NULL;
    if (status != 0 || o->ends) /* rejected, gone, or told: RFC 7641 4.5 */
        observer_free(o);
    else if (next != NULL)
        observer_tell(o, next);
    copal_msg_unref(next);
}

/* ---- Registering ---- */

static uint64_t interest_key(struct cp_engine *e, struct cp_handler *h,
                             const copal_msg *request, bool *failed)
{
    struct cp_buf key = cp_buf_new(e->mem);
    uint64_t hash;

    cp_put_bytes(&key, cp_bytes(&h, sizeof(h)));
    cp_msg_put_cache_key(request, &key);
    if (request->code == COPAL_FETCH)
        cp_put_bytes(&key, request->payload);
    if (request->identity != NULL)
        cp_put_text(&key, request->identity);
    if ((h->flags & COPAL_PER_PEER) != 0) {
        cp_put_bytes(&key, cp_bytes(&request->path.remote,
                                    sizeof(request->path.remote)));
        cp_put_bytes(&key, request->token);
    }
    *failed = key.failed;
    hash = cp_map_hash(&e->observing.interests, key.data,
                       key.failed ? 0 : key.len);
    cp_buf_free(&key);
    return hash;
}

static uint64_t topic_hash(struct cp_engine *e, struct cp_handler *h,
                           const char *path)
{
    uint64_t part[2] = {(uint64_t)(uintptr_t)h,
                        cp_map_hash(&e->observing.topics, path, strlen(path))};

    return cp_map_hash(&e->observing.topics, part, sizeof(part));
}

/* What the handler is asked when it is for many: nobody's address, ETags or
 * wish for a size of blocks. */
static copal_msg *shared_request(struct cp_handler *h, copal_msg *request)
{
    copal_msg *m = cp_msg_derive(request);

    if (m != NULL && (h->flags & COPAL_PER_PEER) == 0)
        m->path.remote = (struct cp_address){0};
    if (m != NULL) {
        cp_msg_remove(m, COPAL_OPT_ETAG);
        cp_msg_remove(m, COPAL_OPT_BLOCK2);
        m->frozen = true;
    }
    return m;
}

static struct interest *interest_get(struct cp_engine *e, struct cp_handler *h,
                                     copal_msg *request)
{
    bool failed;
    uint64_t key = interest_key(e, h, request, &failed);
    struct cp_map_node *n = cp_map_first(&e->observing.interests, key);
    struct interest *i;

    if (failed)
        return NULL;
    if (n != NULL)
        return cp_container_of(n, struct interest, node);
    i = cp_zalloc(e->mem, sizeof(*i));
    if (i == NULL)
        return NULL;
    i->request = shared_request(h, request);
    if (i->request == NULL) {
        cp_free(e->mem, i);
        return NULL;
    }
    i->engine = e;
    i->handler = cp_handler_ref(h);
    cp_list_init(&i->observers);
    cp_map_put(&e->observing.interests, &i->node, key);
    cp_map_put(&e->observing.topics, &i->of_topic,
               topic_hash(e, h, copal_msg_path(request)));
    return i;
}

/* The chain is as long as the limit on one peer at most. */
static bool has_room(struct cp_answer *a, uint64_t peer_hash)
{
    struct cp_engine *e = a->x.engine;
    const copal_msg *request = a->wire;
    struct cp_map_node *n = cp_map_first(&e->observing.by_peer, peer_hash);
    int64_t count = 0;

    for (; n != NULL; n = cp_map_next(n))
        count += cp_address_equal(
            &cp_container_of(n, struct observer, of_peer)->request->path.remote,
            &request->path.remote);
    if (count < cp_exchange_param(&a->x, COPAL_P_PEER_OBSERVERS) &&
        (int64_t)e->observing.observers.count <
            e->params.value[COPAL_P_MAX_OBSERVERS])
        return true;
    cp_engine_limited(e, "observers");
    return false;
}

static uint64_t format_of(const copal_msg *m)
{
    return m->code != COPAL_CONTENT
               ? UNKNOWN_FORMAT
               : cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, NO_FORMAT);
}

/* No room is no error: the answer then goes without Observe. RFC 7641 4.1. */
static bool add_observer(struct cp_answer *a, const copal_msg *first)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_address *remote = &a->wire->path.remote;
    uint64_t peer_hash =
        cp_map_hash(&e->observing.by_peer, remote, sizeof(*remote));
    struct interest *i;
    struct observer *o;

    if (!has_room(a, peer_hash))
        return false;
    i = interest_get(e, a->handler, a->x.request);
    o = i == NULL ? NULL : cp_zalloc(e->mem, sizeof(*o));
    if (o == NULL) {
        if (i != NULL && cp_list_empty(&i->observers) && !i->asking)
            interest_free(i);
        return false;
    }
    o->interest = i;
    o->link = a->link;
    o->request = copal_msg_ref(a->wire);
    o->con_at = e->now;
    o->format = format_of(first);
    cp_flight_init(&o->flight, e, on_flight_over);
    cp_list_init(&o->place);
    cp_list_append(&i->observers, &o->place);
    cp_map_put(&e->observing.observers, &o->node,
               observer_hash(e, remote, a->wire->token));
    cp_map_put(&e->observing.by_peer, &o->of_peer, peer_hash);
    return true;
}

/* A copy of m that carries the next number. */
static copal_msg *numbered(struct cp_engine *e, const copal_msg *m)
{
    copal_msg *copy = cp_msg_derive(m);

    e->observing.number = (e->observing.number + 1) & 0xffffff;
    if (copy == NULL)
        return NULL;
    cp_msg_remove(copy, COPAL_OPT_OBSERVE);
    if (cp_msg_add_uint(copy, COPAL_OPT_OBSERVE, e->observing.number) != 0) {
        copal_msg_unref(copy);
        return NULL;
    }
    copy->frozen = true;
    return copy;
}

static int answer_out(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct observer *before;
    copal_msg *copy;

    if (a->link == NULL || (!a->registers && !a->deregisters))
        return CP_PASS;
    before = observer_find(x->engine, a->link, a->wire);
    if (before != NULL) /* left, or replaced: RFC 7641 4.1 */
        observer_free(before);
    if (!a->registers || is_error(*m) || a->handler == NULL ||
        (a->handler->flags & COPAL_OBSERVABLE) == 0 || !add_observer(a, *m))
        return CP_PASS;
    a->registers = false;
    copy = numbered(x->engine, *m);
    if (copy == NULL)
        return COPAL_ENOMEM;
    copal_msg_unref(*m);
    *m = copy;
    return CP_PASS;
}

static void request_in(copal_exchange *x, const copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    const struct cp_option *block = cp_msg_find(m, COPAL_OPT_BLOCK2);
    struct cp_block b;
    uint64_t value;

    if (block != NULL &&
        cp_block_decode(cp_msg_option_value(m, block), &b) == 0 && b.num > 0)
        return; /* only a whole state can be registered for: RFC 7959 2.6 */
    if (m->code != COPAL_GET && m->code != COPAL_FETCH)
        return;
    value = cp_msg_uint_or(m, COPAL_OPT_OBSERVE, UINT64_MAX);
    a->registers = value == 0;
    a->deregisters = value == 1;
}

/* ---- Notifying ---- */

static void on_answer(void *user, const copal_msg *answer);

static void ask(struct interest *i)
{
    i->asking = true;
    i->dirty = false;
    cp_answer_ask(i->engine, i->handler, i->request, on_answer, i);
}

/* One state as different observers are told of it: its first block in each
 * size, and that it is one they have already. Made when first needed. */
struct telling {
    copal_msg *whole; /* numbered; an error as it is */
    copal_msg *first[7];
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
        *first = cp_block_first(t->whole, size);
    if (*first != NULL)
        (*first)->frozen = true;
    return *first;
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
static bool is_of_other_format(struct observer *o, const copal_msg *m)
{
    uint64_t format = format_of(m);

    if (o->format == UNKNOWN_FORMAT)
        o->format = format;
    return format != UNKNOWN_FORMAT && o->format != format;
}

static copal_msg *unacceptable_of(struct telling *t)
{
    if (t->unacceptable == NULL)
        t->unacceptable = cp_msg_new(t->whole->mem, COPAL_NOT_ACCEPTABLE, 0);
    if (t->unacceptable != NULL)
        t->unacceptable->frozen = true;
    return t->unacceptable;
}

static bool has_already(const struct observer *o, const copal_msg *m)
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
static void tell(struct telling *t, struct observer *o)
{
    struct cp_engine *e = o->interest->engine;
    copal_msg *m = t->whole;

    cp_block_forget_kept(e, o->link, o->request);
    if (is_of_other_format(o, m))
        m = unacceptable_of(t);
    else if (has_already(o, m))
        m = valid_of(t);
    else if (!is_error(m))
        m = first_of(t, cp_block_preferred(e, o->request));
    if (m != NULL)
        observer_tell(o, m);
}

/* The interest stays, whoever comes and goes meanwhile. */
static void tell_all(struct interest *i, const copal_msg *answer)
{
    struct telling t = {.whole = is_error(answer)
                                     ? copal_msg_ref(answer)
                                     : numbered(i->engine, answer)};
    bool asking = i->asking;

    i->asking = true;
    if (t.whole != NULL)
        list_each (place, after, &i->observers)
            tell(&t, cp_container_of(place, struct observer, place));
    i->asking = asking;
    copal_msg_unref(t.whole);
    copal_msg_unref(t.valid);
    copal_msg_unref(t.unacceptable);
    for (size_t k = 0; k < sizeof(t.first) / sizeof(t.first[0]); k++)
        copal_msg_unref(t.first[k]);
}

static void free_if_idle(struct interest *i)
{
    if (cp_list_empty(&i->observers) && !i->asking)
        interest_free(i);
}

static void on_answer(void *user, const copal_msg *answer)
{
    struct interest *i = user;

    if (answer != NULL)
        tell_all(i, answer);
    i->asking = false;
    if (i->dirty && !i->engine->ending && !cp_list_empty(&i->observers))
        ask(i);
    else
        free_if_idle(i);
}

int cp_observe_notify(struct cp_engine *e, struct cp_handler *h,
                      const char *path)
{
    struct cp_map_node *n, *after;
    int count = 0;

    n = cp_map_first(&e->observing.topics, topic_hash(e, h, path));
    for (; n != NULL; n = after) {
        struct interest *i = cp_container_of(n, struct interest, of_topic);

        after = cp_map_next(n);
        if (i->handler != h || strcmp(copal_msg_path(i->request), path) != 0)
            continue;
        list_each (place, next, &i->observers)
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
        struct interest *i = cp_container_of(node, struct interest, node);

        if (i->handler != h || last == NULL)
            continue;
        tell_all(i, last);
        free_if_idle(i);
    }
    copal_msg_unref(last);
}

/* ---- The stage ---- */

static int in(copal_exchange *x, copal_msg **m)
{
    if (x->is_ask)
        return notification_in(x, *m);
    if (cp_msg_has(*m, COPAL_OPT_OBSERVE))
        request_in(x, *m);
    return CP_PASS;
}

static int out(copal_exchange *x, copal_msg **m)
{
    if (!x->is_ask)
        return answer_out(x, m);
    if (!cp_ask_of(x)->is_farewell)
        cp_ask_of(x)->wants_observe =
            cp_ask_of(x)->wants_observe ||
            cp_msg_uint_or(*m, COPAL_OPT_OBSERVE, UINT64_MAX) == 0;
    return CP_PASS;
}

const struct cp_stage cp_observe = {.name = "observe", .in = in, .out = out};

void cp_observing_init(struct cp_engine *e)
{
    cp_map_init(&e->observing.observers, e->mem, &e->random);
    cp_map_init(&e->observing.by_peer, e->mem, &e->random);
    cp_map_init(&e->observing.interests, e->mem, &e->random);
    cp_map_init(&e->observing.topics, e->mem, &e->random);
}

void cp_observing_clear(struct cp_engine *e)
{
    map_each (node, after, &e->observing.observers)
        observer_free(cp_container_of(node, struct observer, node));
    cp_map_clear(&e->observing.observers);
    cp_map_clear(&e->observing.by_peer);
    cp_map_clear(&e->observing.interests);
    cp_map_clear(&e->observing.topics);
}
