/* Observers, to measure how a server tells many of a change: how fast, whom it
 * leaves out, and, where a payload has the time in it, how late. */
#include "bench/load.h"

#include <stdio.h>
#include <time.h>

enum {
    SECONDS_DIGITS = 10 /* of a time since 1970, until the year 2286 */
};

/* ---- When the payload was made ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Digits, and what follows a decimal point: ns since 1970, 0 if it is none. By
 * their number they are seconds, milliseconds, microseconds, nanoseconds. */
static uint64_t time_of(const uint8_t *digits, size_t len, size_t rest)
{
    static const uint64_t units[] = {1000000000, 1000000, 1000, 1};
    uint64_t ns = 0, unit;

    if (len < SECONDS_DIGITS || len > SECONDS_DIGITS + 9 ||
        (len - SECONDS_DIGITS) % 3 != 0)
        return 0;
    unit = units[(len - SECONDS_DIGITS) / 3];
    for (size_t i = 0; i < len; i++)
        ns = ns * 10 + digits[i] - '0';
    ns *= unit;
    if (rest < 2 || digits[len] != '.')
        return ns;
    for (size_t i = len + 1; i < len + rest && is_digit(digits[i]); i++) {
        unit /= 10;
        ns += unit * (uint64_t)(digits[i] - '0');
    }
    return ns;
}

/* The first number in body that can be a time of this day. ns since 1970; 0. */
static uint64_t made_at(copal_bytes body, uint64_t now)
{
    const uint64_t day = UINT64_C(86400) * 1000000000;

    for (size_t i = 0, len; i < body.len; i += len) {
        uint64_t ns;

        for (len = 0; i + len < body.len && is_digit(body.data[i + len]);)
            len++;
        ns = time_of(body.data + i, len, body.len - i - len);
        if (ns != 0 && ns + day > now && ns < now + day)
            return ns;
        len += len == 0;
    }
    return 0;
}

static void measure(struct bench_load *l, copal_bytes body)
{
    struct timespec t;
    uint64_t now, made;

    clock_gettime(CLOCK_REALTIME, &t);
    now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    made = made_at(body, now);
    if (made == 0)
        return;
    bench_histogram_add(&l->lane[BENCH_DOWN].took, now > made ? now - made : 0);
    if (l->plan->interval != 0)
        bench_histogram_add(&l->recent, now > made ? now - made : 0);
}

/* ---- Who was left out ---- */

static uint64_t hash_of(copal_bytes body) /* FNV-1a */
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < body.len; i++)
        hash = (hash ^ body.data[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The state with that payload: one that others were told of and this observer
 * was not yet, or else a new one. */
static uint64_t state_of(struct bench_states *s, uint64_t after, uint64_t hash)
{
    uint64_t oldest =
        s->newest < BENCH_STATES ? 1 : s->newest - BENCH_STATES + 1;

    for (uint64_t i = after < oldest ? oldest : after + 1; i <= s->newest; i++)
        if (s->hash[i % BENCH_STATES] == hash)
            return i;
    s->newest++;
    s->hash[s->newest % BENCH_STATES] = hash;
    return s->newest;
}

/* The first value is what is there already. */
static void compare(struct bench_slot *slot, copal_bytes body)
{
    struct bench_load *l = slot->load;
    uint64_t state;

    if (slot->state == 0) {
        slot->state = l->states.newest;
        if (l->states.newest == 0 ||
            l->states.hash[l->states.newest % BENCH_STATES] != hash_of(body))
            slot->state = state_of(&l->states, slot->state, hash_of(body));
        return;
    }
    state = state_of(&l->states, slot->state, hash_of(body));
    l->gaps += state - slot->state - 1;
    slot->state = state;
}

/* ---- Events ---- */

/* Registered, or not: the next one's turn. Not all at once, for a burst that
 * overflows the server's buffer says nothing of what follows. */
static void register_next(struct bench_load *l)
{
    struct bench_slot *slot = l->idle;

    if (slot == NULL || l->is_ending)
        return;
    l->idle = slot->next_idle;
    bench_observe_start(slot);
}

static void hear(struct bench_slot *slot, const copal_msg *m)
{
    struct bench_load *l = slot->load;
    bool is_first = slot->heard == 0;

    slot->heard = bench_now();
    slot->code = copal_msg_code(m);
    if (l->remote[0] == '\0')
        snprintf(l->remote, sizeof(l->remote), "%s", copal_msg_remote(m));
    if (copal_msg_value(m, COPAL_OPT_OBSERVE, 0, NULL) == 0)
        compare(slot, copal_msg_payload(m));
    if (is_first) {
        slot->was_registered = slot->code >> 5 == 2;
        if (slot->was_registered)
            bench_ask_count(l, 0, slot->code);
        register_next(l);
        return;
    }
    if (slot->code >> 5 != 2) /* the last one; END follows */
        return;
    l->notifications++;
    measure(l, copal_msg_payload(m));
    if (l->plan->count != 0 && l->notifications >= l->plan->count)
        bench_load_finish(l);
}

/* What registered counts as ok, unless the server ended it. */
static void finish(struct bench_slot *slot, int status, const char *text)
{
    struct bench_load *l = slot->load;

    slot->x = NULL;
    l->busy--;
    if (slot->was_registered && status != COPAL_ECANCEL)
        l->counts.ok--;
    if (!slot->was_registered || status != COPAL_ECANCEL)
        bench_ask_count(l, status, slot->code);
    if (bench_ask_is_hopeless(status))
        bench_load_fail(l, status, text);
    else if (slot->heard == 0)
        register_next(l);
    bench_load_check(l);
}

static void on_event(const copal_event *ev, void *user)
{
    if (ev->kind == COPAL_RESPONSE)
        hear(user, ev->msg);
    else if (ev->kind == COPAL_END)
        finish(user, ev->status, ev->text);
}

/* The library registers once for all that an endpoint asks alike, and here each
 * is to be registered: by SILENCE, which is a watch's and does nothing here, no
 * two of them are alike. */
void bench_observe_start(struct bench_slot *slot)
{
    struct bench_load *l = slot->load;
    int err = COPAL_ENOMEM;
    copal_msg *m = bench_source_copy(l, slot->source, l->plan->model[0],
                                     l->plan->flags, &err);

    l->counts.sent++;
    l->busy++;
    l->given++;
    if (m != NULL)
        err = copal_msg_tune(m, COPAL_P_SILENCE, slot - l->slots + 1);
    if (m != NULL && err == 0) {
        slot->x = copal_request(slot->source->c, m, COPAL_CB(on_event, slot));
        err = slot->x == NULL ? COPAL_ENOMEM : 0;
    }
    copal_msg_unref(m);
    if (err == 0)
        return;
    l->busy--;
    bench_ask_count(l, err, 0);
    bench_load_fail(l, err, copal_strerror(err));
}
