/* Requests and transfers: from one's beginning to its end, and what follows. */
#include "bench/load.h"

#include <stdio.h>

enum {
    STAY = 256 /* requests: to move costs the next endpoint a wake-up */
};

static void on_event(const copal_event *ev, void *user);

/* ---- How it ended ---- */

bool bench_ask_is_hopeless(int status)
{
    switch (status) {
    case COPAL_ETIMEOUT:
    case COPAL_ERESET:
    case COPAL_ECANCEL:
    case COPAL_EFORMAT:
    case COPAL_ECHANGED: return false;
    default: return status != 0;
    }
}

static uint64_t *counter_of(struct bench_counts *n, int status, int code)
{
    switch (status) {
    case 0:
        return code >> 5 == 4   ? &n->client_error
               : code >> 5 == 5 ? &n->server_error
                                : &n->ok;
    case COPAL_ETIMEOUT: return &n->timeout;
    case COPAL_ERESET: return &n->reset;
    case COPAL_ECANCEL: return &n->unanswered;
    default: return &n->failed;
    }
}

void bench_ask_count(struct bench_load *l, int status, int code)
{
    ++*counter_of(&l->counts, status, code);
    if (l->first_bad == 0 && (status != 0 || code >> 5 > 2))
        l->first_bad = status == COPAL_ECANCEL ? COPAL_ETIMEOUT
                       : status != 0           ? status
                                               : code;
}

static void count_time(struct bench_slot *slot, uint64_t end)
{
    struct bench_load *l = slot->load;
    uint64_t ns = end > slot->due ? end - slot->due : 0;

    bench_histogram_add(&l->lane[slot->lane].took, ns);
    if (l->plan->interval != 0)
        bench_histogram_add(&l->recent, ns);
}

/* Where requests come one after another the next begins at once; else whatever
 * is due takes this place. */
static void go_on(struct bench_slot *slot, uint64_t now)
{
    struct bench_load *l = slot->load;

    if (l->plan->rate == 0 && !l->is_ending) {
        bench_ask_start(slot, now);
        return;
    }
    slot->next_idle = l->idle;
    l->idle = slot;
    if (l->plan->rate != 0)
        bench_pace_go_on(l);
}

static void finish(struct bench_slot *slot, int status, const char *text)
{
    struct bench_load *l = slot->load;
    const struct bench_hooks *hooks = &l->plan->hooks;
    uint64_t now = slot->heard;

    if (now == 0 || l->plan->mode == BENCH_TRANSFER)
        now = bench_now();
    slot->x = NULL;
    l->busy--;
    bench_ask_count(l, status, slot->code);
    if (status == 0 && slot->heard != 0)
        count_time(slot, now);
    if (status == 0 && slot->code >> 5 == 2) {
        l->lane[slot->lane].done++;
        if (slot->lane == BENCH_UP)
            l->lane[BENCH_UP].bytes += l->plan->body.len;
    }
    if (status != 0 && hooks->response != NULL)
        hooks->response(hooks->user, NULL, now - slot->due, status, text);
    if (bench_ask_is_hopeless(status))
        bench_load_fail(l, status, text);
    go_on(slot, now);
    bench_load_check(l);
}

/* ---- Events ---- */

static void hear(struct bench_slot *slot, const copal_msg *m)
{
    struct bench_load *l = slot->load;
    const struct bench_hooks *hooks = &l->plan->hooks;

    slot->heard = bench_now();
    slot->code = copal_msg_code(m);
    if (l->remote[0] == '\0')
        snprintf(l->remote, sizeof(l->remote), "%s", copal_msg_remote(m));
    if (hooks->response != NULL)
        hooks->response(hooks->user, m, slot->heard - slot->due, 0, "");
}

/* A piece of the body that goes up; it may be one that was lost. */
static void give(struct bench_slot *slot, const copal_event *ev)
{
    copal_bytes body = slot->load->plan->body;
    size_t at = ev->offset < body.len ? (size_t)ev->offset : body.len;
    size_t len = body.len - at < ev->want ? body.len - at : ev->want;

    slot->load->lane[BENCH_UP].blocks++;
    bench_source_count(slot->load, slot->source, bench_now());
    copal_write(ev->exchange, (copal_bytes){body.data + at, len},
                at + len == body.len);
}

static void take(struct bench_slot *slot, const copal_event *ev)
{
    struct bench_lane *lane = &slot->load->lane[BENCH_DOWN];

    lane->blocks++;
    lane->bytes += copal_msg_payload(ev->msg).len;
    bench_source_count(slot->load, slot->source, bench_now());
}

static void on_event(const copal_event *ev, void *user)
{
    struct bench_slot *slot = user;

    switch (ev->kind) {
    case COPAL_RESPONSE: hear(slot, ev->msg); break;
    case COPAL_CHUNK: take(slot, ev); break;
    case COPAL_PULL: give(slot, ev); break;
    case COPAL_END: finish(slot, ev->status, ev->text); break;
    default: break;
    }
}

/* ---- The next one ---- */

/* With more endpoints than slots each is used in its turn. */
static void move(struct bench_slot *slot)
{
    struct bench_load *l = slot->load;
    unsigned all = l->plan->endpoints;

    if (l->plan->rate != 0 || all <= l->plan->window)
        return;
    if (slot->stay-- == 0) {
        size_t i = (size_t)(slot->source - l->sources) + l->plan->window;

        slot->source = &l->sources[i % all];
        slot->stay = STAY - 1;
    }
}

/* Up and down in turns, where both are wanted. */
static void turn(struct bench_slot *slot)
{
    const struct bench_plan *plan = slot->load->plan;
    uint8_t other = slot->lane == BENCH_UP ? BENCH_DOWN : BENCH_UP;

    if (plan->model[other] != NULL)
        slot->lane = other;
}

/* A new reference to what is to be sent; NULL: nothing is. */
static copal_msg *choose(struct bench_slot *slot)
{
    struct bench_load *l = slot->load;
    const struct bench_hooks *hooks = &l->plan->hooks;
    const copal_msg *model = NULL;
    unsigned flags = l->plan->flags;
    copal_msg *m;
    int err = COPAL_ENOMEM;

    if (hooks->request != NULL &&
        !hooks->request(hooks->user, l->given + 1, &model, &flags)) {
        bench_load_finish(l);
        return NULL;
    }
    if (model == NULL)
        return copal_msg_ref(slot->source->request[slot->lane]);
    m = bench_source_copy(l, slot->source, model, flags, &err);
    if (m == NULL)
        bench_load_fail(l, err, l->why);
    return m;
}

void bench_ask_start(struct bench_slot *slot, uint64_t due)
{
    struct bench_load *l = slot->load;
    copal_msg *m = NULL;

    if (l->plan->count != 0 && l->given >= l->plan->count)
        bench_load_finish(l);
    if (!l->is_ending) {
        move(slot);
        turn(slot);
        m = choose(slot);
    }
    if (m == NULL) {
        slot->next_idle = l->idle;
        l->idle = slot;
        return;
    }
    l->given++;
    l->counts.sent++;
    l->busy++;
    slot->due = due;
    slot->heard = 0;
    slot->code = 0;
    if (l->plan->mode == BENCH_REQUESTS)
        bench_source_count(l, slot->source, due);
    slot->x = copal_request(slot->source->c, m, COPAL_CB(on_event, slot));
    copal_msg_unref(m);
    if (slot->x != NULL)
        return;
    l->busy--;
    bench_ask_count(l, COPAL_ENOMEM, 0);
    bench_load_fail(l, COPAL_ENOMEM, copal_strerror(COPAL_ENOMEM));
}
