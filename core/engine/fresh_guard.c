#include "engine/fresh_guard.h"
#include "base/secret.h"
#include "engine/observe_core.h"
#include "engine/trace.h"

enum {
    /* An Echo value is good until the end of the slot of time after its own. */
    ECHO_SLOT_MS = 60000,
    /* Who still comes then is asked again before the proof is too old. */
    RENEW_AFTER_MS = CP_PROVEN_FOR_MS / 2,

    /* Bytes that may be added to an answer on its way out. */
    ADDED_ECHO = 3 + CP_ECHO_LEN,
    ADDED_BLOCK = 5,               /* Block1 or Block2: 2 + 3 */
    ADDED_BODY = ADDED_BLOCK + 11, /* with ETag 5, Size2 6 */
    ADDED_OBSERVE = 4,
    LEAST_BLOCK = 16,
    EMPTY_ACK = 4
};

/* ---- Echo values ---- */

/* Made of who and when, and kept nowhere. The slot need not stand in it: there
 * are only two that count. RFC 9175 appendix A, item 2. */
static uint64_t echo_value(const struct cp_engine *e,
                           const struct cp_address *remote, uint64_t slot)
{
    struct {
        uint64_t slot;
        struct cp_address remote;
        uint32_t zero; /* no padding: all of it is hashed */
    } made_of = {slot, *remote, 0};

    return cp_siphash_mac(e->freshness.key, &made_of, sizeof(made_of));
}

/* All of it is looked at in any case, so that the time it takes tells nothing
 * of how much was right. */
static bool is_ours(const struct cp_engine *e, const struct cp_address *remote,
                    copal_bytes value)
{
    uint64_t slot = e->now / ECHO_SLOT_MS;
    uint64_t now = echo_value(e, remote, slot);
    uint64_t before = echo_value(e, remote, slot - 1);

    if (value.len != sizeof(now))
        return false;
    return cp_secret_equal(value.data, &now, sizeof(now)) |
           cp_secret_equal(value.data, &before, sizeof(before));
}

/* ---- Proofs ---- */

bool cp_fresh_doubts(struct cp_engine *e, const struct cp_link *link,
                     const struct cp_address *remote)
{
    return cp_fresh_guards(e, link, remote) &&
           cp_known_find(&e->freshness.proven, NULL, remote) == NULL;
}

static void prove(struct cp_engine *e, const struct cp_address *remote)
{
    cp_known_put(&e->freshness.proven, NULL, remote, (copal_bytes){0});
}

void cp_fresh_request(copal_exchange *x, const copal_msg *m)
{
    const struct cp_option *o = cp_fresh_option(m);
    const struct cp_address *remote = &m->path.remote;

    if (o != NULL &&
        cp_fresh_guards(x->engine, cp_answer_of(x)->link, remote) &&
        is_ours(x->engine, remote, cp_msg_option_value(m, o)))
        prove(x->engine, remote);
}

void cp_fresh_acked(struct cp_engine *e, const struct cp_flight *f)
{
    const struct cp_peer *p = f->peer;

    if (!f->is_request && !p->was_missed &&
        cp_fresh_guards(e, p->link, &p->path.remote))
        prove(e, &p->path.remote);
}

void cp_fresh_missed(struct cp_engine *e, struct cp_link *link,
                     const struct cp_path *path)
{
    struct cp_peer *p;

    if (e->peers.count == 0 || !cp_fresh_guards(e, link, &path->remote))
        return;
    p = cp_peer_find(e, link, path);
    if (p != NULL)
        p->was_missed = true;
}

/* ---- Answers ---- */

/* What a request of size bytes brings at most. */
static size_t room_for(const struct cp_engine *e, size_t size)
{
    size_t room = size * (size_t)e->params.value[COPAL_P_ECHO_FACTOR];

    return room < CP_FRESH_FREE ? CP_FRESH_FREE : room;
}

/* What is sealed grows by this. */
static size_t sealing(const struct cp_answer *a)
{
    return a->wire->guard == NULL ? 0 : CP_GUARD_MORE;
}

/* What may be sent now. The empty ACK before it counts, too, and what is to be
 * told later. */
static size_t room_of(const struct cp_answer *a)
{
    size_t size = cp_datagram_size(a->wire, a->wire->token);
    size_t spent = (size_t)(a->acked ? EMPTY_ACK : 0) + a->reserve;
    size_t room = room_for(a->x.engine, size);

    return room < spent ? 0 : room - spent;
}

static bool is_doubted(const struct cp_answer *a)
{
    return cp_fresh_doubts(a->x.engine, a->link, &a->wire->path.remote);
}

bool cp_fresh_allows(const struct cp_answer *a, size_t size)
{
    return a->is_proven || !is_doubted(a) || size <= room_of(a);
}

bool cp_fresh_allows_again(struct cp_engine *e, const struct cp_link *link,
                           const struct cp_address *remote, size_t size,
                           size_t request)
{
    return size <= CP_FRESH_FREE || size <= room_for(e, request) ||
           !cp_fresh_doubts(e, link, remote);
}

bool cp_fresh_may_repeat(const struct cp_answer *a)
{
    return !is_doubted(a);
}

/* What joins m on its way out, when it goes in one piece. */
static size_t added_to(const struct cp_answer *a)
{
    return (size_t)(a->wants_block ? ADDED_BODY : 0) +
           (size_t)(a->echoes_block ? ADDED_BLOCK : 0) +
           (size_t)(a->registers ? ADDED_OBSERVE : 0);
}

/* The size of blocks such that with head bytes before the payload, the marker
 * included, and all that may be added they fit in room; 0: there is none. */
static uint16_t block_within(size_t room, size_t head)
{
    size_t all = head + ADDED_BODY + ADDED_BLOCK + ADDED_OBSERVE + ADDED_ECHO;

    return room < all + LEAST_BLOCK ? 0 : cp_block_fit(room - all);
}

/* A block of a notification with head bytes before it. */
static size_t least_notification(size_t head)
{
    return head + ADDED_BODY + ADDED_OBSERVE + LEAST_BLOCK;
}

static bool registers(const struct cp_answer *a, const copal_msg *m)
{
    return a->registers && !cp_observer_is_last(m) && a->handler != NULL &&
           (a->handler->flags & COPAL_OBSERVABLE) != 0;
}

void cp_fresh_limit_blocks(struct cp_answer *a, const copal_msg *m)
{
    struct cp_engine *e = a->x.engine;
    bool is_pulled = (m->flags & COPAL_STREAM_OUT) != 0;
    bool is_first = registers(a, m);
    const struct cp_known_entry *proof;
    size_t size, room;

    a->most_block = a->reserve = 0;
    a->gives_echo = a->is_proven = false;
    if ((m->payload.len <= LEAST_BLOCK && !is_pulled && !is_first) ||
        a->link == NULL || !cp_fresh_guards(e, a->link, &a->wire->path.remote))
        return;
    size = cp_datagram_size(m, a->wire->token) + sealing(a);
    if (!is_pulled && !is_first && size + added_to(a) <= CP_FRESH_FREE)
        return;
    proof = cp_known_find(&e->freshness.proven, NULL, &a->wire->path.remote);
    if (proof != NULL) {
        a->is_proven = true;
        a->gives_echo = e->now - proof->at >= RENEW_AFTER_MS;
        return;
    }
    if (is_first)
        a->reserve = (uint16_t)least_notification(size - m->payload.len + 1);
    room = room_of(a);
    if (!is_pulled && size + added_to(a) <= room)
        return;
    a->most_block = block_within(room, size - m->payload.len + 1);
    a->gives_echo =
        !a->wants_block || a->want.num == 0 || a->want.size > a->most_block;
}

static copal_bytes echo_for(const struct cp_answer *a,
                            uint8_t storage[CP_ECHO_LEN])
{
    struct cp_engine *e = a->x.engine;
    uint64_t value =
        echo_value(e, &a->wire->path.remote, e->now / ECHO_SLOT_MS);

    memcpy(storage, &value, CP_ECHO_LEN);
    return cp_bytes(storage, CP_ECHO_LEN);
}

/* 2.31 asks for more, and what comes at its end may be answered at length: the
 * first of them brings an Echo. One that the user gave is for purposes of his
 * own. */
copal_msg *cp_fresh_echoing(const struct cp_answer *a, copal_msg *m)
{
    uint8_t storage[CP_ECHO_LEN];
    bool begins = m->code == COPAL_CONTINUE && a->echoes_block &&
                  a->echo.num == 0 && a->link != NULL && is_doubted(a);

    if (cp_fresh_option(m) != NULL || (!a->gives_echo && !begins))
        return copal_msg_ref(m);
    return cp_fresh_with(m, echo_for(a, storage));
}

copal_msg *cp_fresh_demand(const struct cp_answer *a)
{
    uint8_t storage[CP_ECHO_LEN];
    copal_msg *m = cp_msg_new(a->x.mem, COPAL_UNAUTHORIZED, 2 * CP_ECHO_LEN);

    if (m != NULL && cp_msg_add(m, COPAL_OPT_ECHO, echo_for(a, storage)) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    cp_trace_state(a->x.engine, "unproven", "asked for an Echo");
    return m;
}

copal_msg *cp_fresh_instead(const struct cp_answer *a, const copal_msg *m)
{
    struct cp_engine *e = a->x.engine;
    const struct cp_option *block1 = cp_msg_find(m, COPAL_OPT_BLOCK1);
    struct cp_observer *o = cp_msg_has(m, COPAL_OPT_OBSERVE)
                                ? cp_observer_find(e, a->link, a->wire)
                                : NULL;
    bool again = cp_code_is_safe(a->wire->code);
    uint8_t storage[CP_ECHO_LEN];
    copal_msg *n = cp_msg_new(m->mem, again ? COPAL_UNAUTHORIZED : m->code,
                              2 * CP_ECHO_LEN);

    if (n == NULL)
        return NULL;
    if (o != NULL) /* it registers with the request that is to come */
        cp_observer_free(o);
    n->flags = COPAL_NON;
    if ((!again && block1 != NULL &&
         cp_msg_add(n, COPAL_OPT_BLOCK1, cp_msg_option_value(m, block1)) !=
             0) ||
        cp_msg_add(n, COPAL_OPT_ECHO, echo_for(a, storage)) != 0) {
        copal_msg_unref(n);
        return NULL;
    }
    cp_trace_state(e, "unproven", again ? "asked for an Echo" : "cut short");
    return n;
}

/* ---- Notifications ---- */

void cp_fresh_begin_observer(struct cp_answer *a, struct cp_observer *o)
{
    if (!o->is_unproven)
        return;
    if (a->reserve == 0) /* whose blocks are the user's own business */
        a->reserve = LEAST_BLOCK + CP_FRESH_FREE / 4;
    o->delivery->room = a->reserve;
}

void cp_fresh_registered(struct cp_answer *a, const copal_msg *m)
{
    size_t size = cp_datagram_size(m, a->wire->token) + sealing(a),
           room = room_of(a);
    struct cp_observer *o = cp_observer_find(a->x.engine, a->link, a->wire);

    if (o != NULL && o->delivery != NULL && size < room)
        o->delivery->room += (uint32_t)(room - size);
    a->reserve = 0;
}

uint16_t cp_fresh_notification_block(const copal_msg *whole, copal_bytes token,
                                     uint32_t room)
{
    size_t most = least_notification(cp_datagram_size(whole, token) -
                                     whole->payload.len + 1);

    return room <= most ? LEAST_BLOCK : cp_block_fit(room - most + LEAST_BLOCK);
}
