/* The walk through a recording's records, from where it begins. */
#include "replay.h"
#include "engine/core.h"

/* The clock of a recording stays where deadlines counted from it fit. */
#define LAST_TIME (UINT64_MAX / 16 * 15)

/* ---- Records ---- */

bool cp_replay_peek(struct cp_replay *r, struct cp_record_head *out)
{
    struct cp_cursor c = r->records;

    while (!r->is_over && cp_record_take(&c, out)) {
        if (out->type != CP_RECORD_KEYED)
            return out->type != CP_RECORD_SUM;
        r->is_keyed = true; /* nothing is to be done, wherever it stands */
        r->records = c;
        r->number++;
    }
    return false;
}

bool cp_replay_take(struct cp_replay *r, struct cp_record_head *out)
{
    if (!cp_replay_peek(r, out))
        return false;
    cp_record_take(&r->records, out);
    r->number++;
    return true;
}

static void set_clock(struct cp_replay *r, copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    uint64_t ms = cp_record_take_64(&c);

    if (c.failed || ms > LAST_TIME || ms < r->clock)
        cp_replay_malformed(r, "a time");
    else
        r->clock = ms;
}

void cp_replay_leftover(struct cp_replay *r)
{
    struct cp_record_head h;

    if (!cp_replay_take(r, &h))
        return;
    if (cp_replay_is_call(&h)) {
        cp_replay_call(r, &h);
        return;
    }
    switch (h.type) {
    case CP_RECORD_TIME:
    case CP_RECORD_TIME | CP_RECORD_NESTED: set_clock(r, h.body); break;
    case CP_RECORD_IN:
    case CP_RECORD_LOST:
    case CP_RECORD_OVER: cp_replay_hear(r, &h); break;
    case CP_RECORD_LOOK_UP: cp_replay_look_up(r, &h); break;
    case CP_RECORD_OUT: cp_replay_unsent(r, &h); break;
    case CP_RECORD_ROUTED: cp_replay_routed(r, h.body); break;
    case CP_RECORD_STREAM_OUT:
        if (!r->is_late)
            cp_replay_differs(r, "by a connection nothing is sent that was "
                                 "sent then");
        break;
    case CP_RECORD_ABANDONED:
    case CP_RECORD_ABANDONED | CP_RECORD_NESTED:
        cp_replay_abandon(r, &h);
        break;
    case CP_RECORD_RANDOM:
        if (r->is_keyed) /* where keys were given, say */
            break;
        /* fall through */
    case CP_RECORD_BLOCKED:
    case CP_RECORD_ROUTE:
    case CP_RECORD_RETURN:
        if (!r->is_late)
            cp_replay_differs(r, "something is not asked of the system that "
                                 "was asked then");
        else if (h.type == CP_RECORD_ROUTE)
            cp_replay_past_route(r, h.body);
        break;
    case CP_RECORD_CALLBACK:
        if (!r->is_late)
            cp_replay_differs(r, "a callback is not called that was called "
                                 "then");
        cp_replay_callback(r);
        break;
    default: break;
    }
}

static bool give_random(void *user, uint8_t *bytes, size_t n)
{
    struct cp_replay *r = user;
    struct cp_record_head h;

    if (r->is_over || !cp_replay_peek(r, &h))
        return false;
    if (h.type == CP_RECORD_RANDOM && h.body.len == n) {
        cp_replay_take(r, &h);
        if (n > 0)
            memcpy(bytes, h.body.data, n);
        return true;
    }
    if (!r->is_late)
        cp_replay_differs(r, "%zu random bytes are drawn that were not then",
                          n);
    return false;
}

/* ---- What the world does ---- */

/* What the timers of handshakes found out, which there are none of here. That
 * another association took over was found out by what came. */
static bool is_found_out(const struct cp_record_head *h)
{
    return h->type == CP_RECORD_ROUTED ||
           (h->type == CP_RECORD_OVER && h->body.len <= 4 + CP_RECORD_PATH);
}

static void turn(struct cp_replay *r)
{
    struct cp_record_head h;

    cp_engine_enter(r->c->engine, r->clock);
    while (cp_replay_peek(r, &h) && is_found_out(&h))
        cp_replay_leftover(r);
    cp_engine_turn(r->c->engine, r->clock);
    r->turned_at = r->number;
}

/* What was found out behind other timers follows the turn here, and only now
 * somebody can be told of it. */
static void be_told(struct cp_replay *r)
{
    if (r->turned_at == r->number)
        cp_replay_leftover(r);
    else
        turn(r);
}

/* From the top: what the world does. */
static void step(struct cp_replay *r)
{
    struct cp_record_head h;

    if (!cp_replay_peek(r, &h))
        return;
    switch (h.type) {
    case CP_RECORD_IN:
    case CP_RECORD_LOST:
    case CP_RECORD_OVER:
    case CP_RECORD_LOOK_UP:
        cp_engine_enter(r->c->engine, r->clock);
        cp_replay_leftover(r);
        break;
    case CP_RECORD_CONNECTED:
    case CP_RECORD_STREAM_IN:
    case CP_RECORD_CLOSED:
    case CP_RECORD_DRAINED:
        cp_replay_take(r, &h);
        cp_replay_hear_stream(r, &h);
        break;
    case CP_RECORD_TURN:
        cp_replay_take(r, &h);
        turn(r);
        break;
    case CP_RECORD_CALLBACK: be_told(r); break;
    case CP_RECORD_ROUTED:
        cp_replay_take(r, &h);
        cp_replay_routed(r, h.body);
        break;
    default: cp_replay_leftover(r); break;
    }
}

/* ---- Its beginning ---- */

static void on_trace(const copal_event *ev, void *user)
{
    struct cp_replay *r = user;

    if (!r->is_over && r->user.fn != NULL)
        r->user.fn(&(copal_event){.kind = COPAL_TRACE, .text = ev->text},
                   r->user.user);
    cp_replay_nested(r);
}

static int make_endpoint(struct cp_replay *r, uint64_t birth)
{
    int err =
        cp_endpoint_new(r->mem, &r->driver, birth == 0 ? 1 : birth, &r->c);

    if (err != 0)
        return err;
    copal_trace(r->c, COPAL_TRACE_WIRE | COPAL_TRACE_STATE,
                COPAL_CB(on_trace, r));
    return 0;
}

static void set_up(struct cp_replay *r, struct cp_cursor *c)
{
    struct cp_record_head h;

    while (!r->is_over && cp_record_take(c, &h))
        if (h.type == CP_RECORD_KEYED)
            r->is_keyed = true;
        else if (cp_replay_is_call(&h))
            cp_replay_call(r, &h);
}

static void take_owed(struct cp_replay *r, struct cp_cursor *c)
{
    uint32_t count = cp_record_take_32(c);

    for (uint32_t i = 0; i < count && !c->failed; i++) {
        struct cp_address remote;

        if (cp_record_take_address(c, &remote))
            cp_replay_past_owed(r, &remote);
    }
}

static void begin(struct cp_replay *r, copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    uint64_t now = cp_record_take_64(&c), birth = cp_record_take_64(&c);
    uint32_t flags = cp_record_take_32(&c), tag;
    copal_bytes key = cp_take(&c, 16);

    tag = cp_record_take_32(&c);
    r->clock = now;
    if (c.failed || now > LAST_TIME) {
        cp_replay_malformed(r, "where it begins");
        return;
    }
    if (make_endpoint(r, birth) != 0) {
        cp_replay_malformed(r, "no memory for an endpoint");
        return;
    }
    memcpy(r->c->engine->freshness.key, key.data, key.len);
    r->c->engine->qblocks.tag = tag;
    r->c->engine->random.give = give_random;
    r->c->engine->random.tap_user = r;
    r->is_late = (flags & CP_START_FRESH) == 0;
    r->lives = flags;
    take_owed(r, &c);
    set_up(r, &c);
    r->is_begun = true;
    if (r->is_late)
        cp_replay_note(r, "the recording begins here, amid things: what began "
                          "before is not compared");
}

/* ---- All of it ---- */

static void skip_to_start(struct cp_replay *r)
{
    struct cp_record_head h;

    while (cp_replay_take(r, &h))
        if (h.type == CP_RECORD_START) {
            begin(r, h.body);
            return;
        }
    if (!r->is_over)
        cp_replay_damaged(r,
                          "there is no place to begin from; record with more "
                          "record_memory");
}

void cp_replay_walk(struct cp_replay *r)
{
    skip_to_start(r);
    while (!r->is_over && cp_replay_peek(r, &(struct cp_record_head){0}))
        step(r);
    if (!r->is_over && r->is_keyed)
        cp_replay_note(r, "OSCORE or EDHOC had keys, which no recording holds: "
                          "what they sealed, if anything, is not compared");
    if (!r->is_over)
        cp_replay_note(r,
                       "%llu datagrams were sent as they were; %llu of what "
                       "began before",
                       (unsigned long long)r->sent,
                       (unsigned long long)r->untold);
    r->is_over = true;
}
