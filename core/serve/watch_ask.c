/* When a watch registers, and how: RFC 7641 3.3.1, and the waits between
 * attempts that fail. */
#include "serve/watch_core.h"
#include "wire/message.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    /* s. A server confirms at least once a day that its observers are there
     * (RFC 7641 4.5), so a longer Max-Age says nothing of its own health. */
    LONGEST_MAX_AGE = 86400,

    /* ms past Max-Age, so that not all clients ask at once: RFC 7641 3.3.1. */
    REFRESH_AFTER = 5000,
    REFRESH_SPREAD = 10000,

    /* ms. A server that acknowledged and then forgot us answers no more:
     * EXCHANGE_LIFETIME, RFC 7252 4.8.2. */
    ASK_LIMIT = 247000,

    FIRST_WAIT = 1000, /* ms between failing attempts; doubles */
    LONGEST_WAIT = 60000,
    SPREAD = 5000 /* ms more where the server said how long to wait */
};

static uint64_t below(struct cp_watch *w, uint64_t most)
{
    return w->face.random(w->face.user, most);
}

/* ---- The clock ---- */

static void on_timer(const copal_event *ev, void *user);

/* The timer runs for the earliest thing to do. One that is early does no
 * harm, so a notification need not move it. */
static int arm(struct cp_watch *w)
{
    uint64_t now = copal_now(w->endpoint), at = w->act_at;

    if (!w->is_silent && w->silent_at < at)
        at = w->silent_at;
    if (w->is_timer_on && w->timer_at <= at)
        return 0;
    if (w->is_timer_on)
        copal_cancel_timer(w->endpoint, w->timer);
    w->timer_at = at;
    w->timer =
        copal_after(w->endpoint, at > now ? at - now : 0,
                    COPAL_CB_OWN(on_timer, cp_watch_hold(w), cp_watch_let_go));
    w->is_timer_on = w->timer >= 0;
    return w->is_timer_on ? 0 : COPAL_ENOMEM;
}

/* ---- Asking ---- */

/* The request, with the ETag of what we have unless the user sees to that
 * alone. NULL: out of memory. */
static copal_msg *next_request(struct cp_watch *w)
{
    copal_bytes etag;
    copal_msg *m;

    copal_msg_unref(w->offered);
    w->offered = NULL;
    if (w->latest == NULL || copal_msg_code(w->latest) != COPAL_CONTENT ||
        cp_msg_has(w->request, COPAL_OPT_ETAG) ||
        copal_msg_value(w->latest, COPAL_OPT_ETAG, 0, &etag) != 0)
        return copal_msg_ref(w->request);
    m = copal_msg_copy(w->request);
    if (copal_msg_add(m, COPAL_OPT_ETAG, etag) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    w->offered = copal_msg_ref(w->latest);
    return m;
}

/* The old observation is given up second, so that its leave does not stand
 * before the new request in the queue to the peer. */
static int begin(struct cp_watch *w, copal_msg *m)
{
    copal_exchange *old = w->x;
    copal_exchange *x = copal_request(
        w->endpoint, m,
        COPAL_CB_OWN(cp_watch_on_event, cp_watch_hold(w), cp_watch_let_go));

    if (x == NULL)
        return COPAL_ENOMEM;
    w->x = x;
    if (old != NULL)
        copal_cancel(old);
    w->state = CP_WATCH_ASKING;
    w->act_at = copal_now(w->endpoint) + ASK_LIMIT;
    return 0;
}

/* Under the token it has; where that gets no answer in time, anew, for which
 * the name is resolved again. */
static int ask(struct cp_watch *w, bool may_renew)
{
    copal_msg *m = next_request(w);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (w->wait == 0)
        w->wait = FIRST_WAIT;
    if (err == 0 && may_renew && w->x != NULL && w->face.again(w->x, m) == 0) {
        w->state = CP_WATCH_RENEWING;
        w->act_at = copal_now(w->endpoint) + w->terms.patience;
    } else if (err == 0) {
        err = begin(w, m);
    }
    copal_msg_unref(m);
    return err == 0 ? arm(w) : err;
}

int cp_watch_ask(struct cp_watch *w)
{
    return ask(w, false);
}

/* Nothing came when it should. */
static void fall_silent(struct cp_watch *w)
{
    uint64_t quiet = copal_now(w->endpoint) - w->heard_at;
    char text[CP_WATCH_SENTENCE];

    snprintf(text, sizeof(text),
             "%.400s: nothing heard for %" PRIu64 " s; goes on asking",
             copal_msg_uri(w->request), quiet / 1000);
    cp_watch_tell_silent(w, COPAL_ETIMEOUT, text);
}

static void on_timer(const copal_event *ev, void *user)
{
    struct cp_watch *w = cp_watch_hold(user);
    uint64_t now = copal_now(w->endpoint);
    bool acts = now >= w->act_at;
    int err = 0;

    (void)ev;
    w->is_timer_on = false;
    if (w->state != CP_WATCH_OVER && !w->is_silent && now >= w->silent_at)
        fall_silent(w);
    if (w->state != CP_WATCH_OVER)
        err = acts ? ask(w, w->state == CP_WATCH_HEARING) : arm(w);
    if (w->state != CP_WATCH_OVER && err != 0)
        cp_watch_out_of_memory(w);
    cp_watch_let_go(w);
}

/* ---- What came of it ---- */

/* By Max-Age: asks some time after it and, unless answered with patience, is
 * silent. Who wants to hear of silence sooner has it asked so much sooner, or
 * each resource that does not change would be taken for one that is gone. */
int cp_watch_heard(struct cp_watch *w, const copal_msg *msg)
{
    uint64_t max_age = cp_msg_max_age(msg);
    uint64_t now = copal_now(w->endpoint), lead;

    if (max_age > LONGEST_MAX_AGE)
        max_age = LONGEST_MAX_AGE;
    w->state = CP_WATCH_HEARING;
    w->wait = FIRST_WAIT;
    w->heard_at = now;
    w->act_at = now + 1000 * max_age + REFRESH_AFTER + below(w, REFRESH_SPREAD);
    w->silent_at = w->act_at + w->terms.patience;
    if (w->terms.silence == 0)
        return arm(w);

    lead = w->terms.silence / 2;
    if (lead > w->terms.patience)
        lead = w->terms.patience;
    lead -= below(w, lead / 4);
    w->silent_at = now + w->terms.silence;
    if (w->silent_at - lead < w->act_at)
        w->act_at = w->silent_at - lead;
    return arm(w);
}

/* Between half the wait and all of it: those who lost the same server do not
 * come back to it together. */
static uint64_t next_wait(struct cp_watch *w, uint64_t at_least)
{
    uint64_t wait = w->wait - below(w, w->wait / 2);

    w->wait = w->wait * 2 < LONGEST_WAIT ? w->wait * 2 : LONGEST_WAIT;
    if (wait < at_least)
        wait =
            at_least + below(w, at_least / 4 < SPREAD ? at_least / 4 : SPREAD);
    return wait;
}

void cp_watch_fail(struct cp_watch *w, int status, uint64_t at_least,
                   const char *reason)
{
    uint64_t wait = next_wait(w, at_least);
    bool was_silent = w->is_silent;
    char text[CP_WATCH_SENTENCE];
    int err;

    w->state = CP_WATCH_WAITING;
    w->act_at = copal_now(w->endpoint) + wait;
    w->is_silent = true; /* as the timer is to see it */
    err = arm(w);
    w->is_silent = was_silent;
    if (err != 0) {
        cp_watch_out_of_memory(w);
        return;
    }
    snprintf(text, sizeof(text), "%.400s; asks again in %" PRIu64 " s", reason,
             (wait + 500) / 1000);
    cp_watch_tell_silent(w, status, text);
}
