#include "serve/watch.h"
#include "wire/message.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    SENTENCE = 512,
    DEFAULT_MAX_AGE = 60, /* s, RFC 7252 5.10.5 */

    /* ms past Max-Age. A server need not repeat what has not changed, so the
     * first is for asking it and only the second, with time for two lost
     * datagrams between them, is silence. RFC 7641 3.3.1. */
    REFRESH_AFTER = 2000,
    SILENT_AFTER = 10000,

    /* ms. A server that acknowledged and then forgot us answers no more:
     * EXCHANGE_LIFETIME, RFC 7252 4.8.2. */
    ASK_LIMIT = 247000,

    FIRST_WAIT = 1000, /* ms between failing attempts; doubles */
    LONGEST_WAIT = 60000
};

enum state {
    ASKING,  /* registering; no answer yet    */
    HEARING, /* registered and answered       */
    WAITING, /* the last attempt failed       */
    OVER     /* nothing is told from here on  */
};

struct cp_watch {
    struct cp_mem *mem;
    unsigned refs; /* the owner, callbacks given away, and those at work */
    copal *endpoint;
    struct cp_watch_face face;
    copal_msg *request; /* as the user's, with Observe */
    uint64_t silence;   /* ms; 0: by Max-Age */

    enum state state;
    copal_exchange *x;  /* the observation; NULL: none */
    bool was_answered;  /* at any time */
    uint64_t act_at;    /* asks again then, whatever the state */
    uint64_t heard_at;  /* or begun */
    uint64_t silent_at; /* silent then, unless it is already */
    uint64_t wait;      /* ms, of the next failure */

    bool is_timer_on;
    int64_t timer;
    uint64_t timer_at;

    bool is_silent;
    int told_status, told_code; /* the reason of the last SILENT */

    /* Representations with an ETag: the newest, and the one whose ETag the
     * server has from us and may answer with 2.03. RFC 7641 3.3.2. */
    const copal_msg *latest, *offered;
};

/* ---- Life ---- */

static struct cp_watch *hold(struct cp_watch *w)
{
    w->refs++;
    return w;
}

static void let_go(void *user)
{
    struct cp_watch *w = user;

    if (--w->refs > 0)
        return;
    copal_msg_unref(w->request);
    copal_msg_unref(w->latest);
    copal_msg_unref(w->offered);
    cp_free(w->mem, w);
}

static void stop(struct cp_watch *w)
{
    copal_exchange *x = w->x;

    w->state = OVER;
    w->x = NULL;
    if (x != NULL)
        copal_cancel(x);
    if (w->is_timer_on) {
        w->is_timer_on = false;
        copal_cancel_timer(w->endpoint, w->timer);
    }
}

static void finish(struct cp_watch *w, int status, const char *text)
{
    stop(w);
    w->face.over(w->face.user, status, text);
}

static void out_of_memory(struct cp_watch *w)
{
    char text[SENTENCE];

    snprintf(text, sizeof(text), "%s: out of memory while watching it",
             copal_msg_uri(w->request));
    finish(w, COPAL_ENOMEM, text);
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
    w->timer = copal_after(w->endpoint, at > now ? at - now : 0,
                           COPAL_CB_OWN(on_timer, hold(w), let_go));
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
    if (w->latest == NULL || cp_msg_has(w->request, COPAL_OPT_ETAG) ||
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

static void on_event(const copal_event *ev, void *user);

/* Registers anew. The old observation is given up second, so that its leave
 * does not stand before the new request in the queue to the peer. */
static int ask(struct cp_watch *w)
{
    copal_msg *m = next_request(w);
    copal_exchange *x, *old = w->x;

    if (m == NULL)
        return COPAL_ENOMEM;
    x = copal_request(w->endpoint, m, COPAL_CB_OWN(on_event, hold(w), let_go));
    copal_msg_unref(m);
    if (x == NULL)
        return COPAL_ENOMEM;
    w->x = x;
    if (old != NULL)
        copal_cancel(old);
    w->state = ASKING;
    w->act_at = copal_now(w->endpoint) + ASK_LIMIT;
    return arm(w);
}

/* ---- Silence ---- */

static void tell_silent(struct cp_watch *w, int status, int code,
                        const char *text)
{
    w->is_silent = true;
    w->told_status = status;
    w->told_code = code;
    w->face.tell(w->face.user, COPAL_SILENT, status, text, NULL);
}

/* Nothing came when it should. */
static void fall_silent(struct cp_watch *w)
{
    uint64_t quiet = copal_now(w->endpoint) - w->heard_at;
    char text[SENTENCE];

    snprintf(text, sizeof(text), "%s: nothing heard for %" PRIu64 " s; %s",
             copal_msg_uri(w->request), quiet / 1000,
             w->state == ASKING ? "goes on asking" : "asks again now");
    tell_silent(w, COPAL_ETIMEOUT, 0, text);
}

static bool heals(int status)
{
    switch (status) {
    case COPAL_ENOMEM:
    case COPAL_EINVAL:
    case COPAL_EURI:
    case COPAL_ESTATE:
    case COPAL_ECANCEL:
    case COPAL_ECLOSED:
    case COPAL_ENOTSUP: return false;
    default: return true;
    }
}

/* Does the server wish to be asked again, in *ms? RFC 8516 4, which takes a
 * Max-Age that is not there for 60; RFC 7252 5.9.3.4. */
static bool invites(const copal_msg *msg, uint64_t *ms)
{
    int code = copal_msg_code(msg);
    int64_t max_age = copal_msg_uint(msg, COPAL_OPT_MAX_AGE);

    if (code != COPAL_TOO_MANY_REQUESTS &&
        (code != COPAL_UNAVAILABLE || max_age < 0))
        return false;
    *ms = 1000 * (max_age < 0 ? DEFAULT_MAX_AGE : (uint64_t)max_age);
    return true;
}

/* The observation failed: waits, wished ms if that is longer, then tries again.
 * A reason is told once, not with every attempt. code: of the response that was
 * the reason; or 0. */
static void fail(struct cp_watch *w, int status, int code, uint64_t wished,
                 const char *reason)
{
    bool is_news =
        !w->is_silent || status != w->told_status || code != w->told_code;
    uint64_t wait = wished > w->wait ? wished : w->wait;
    char text[SENTENCE];

    w->state = WAITING;
    w->act_at = copal_now(w->endpoint) + wait;
    w->wait = w->wait * 2 < LONGEST_WAIT ? w->wait * 2 : LONGEST_WAIT;
    w->is_silent = true;
    if (arm(w) != 0) {
        out_of_memory(w);
        return;
    }
    snprintf(text, sizeof(text), "%.400s; asks again in %" PRIu64 " s", reason,
             wait / 1000);
    if (is_news)
        tell_silent(w, status, code, text);
}

static void on_timer(const copal_event *ev, void *user)
{
    struct cp_watch *w = hold(user);
    uint64_t now = copal_now(w->endpoint);
    bool again = now >= w->act_at;
    int err = 0;

    (void)ev;
    w->is_timer_on = false;
    if (w->state != OVER && !w->is_silent && now >= w->silent_at) {
        again |= w->state == HEARING;
        fall_silent(w);
    }
    if (w->state != OVER)
        err = again ? ask(w) : arm(w);
    if (w->state != OVER && err != 0)
        out_of_memory(w);
    let_go(w);
}

/* ---- What the observation brings ---- */

static bool has_same_etag(const copal_msg *kept, copal_bytes etag)
{
    copal_bytes its;

    return kept != NULL &&
           copal_msg_value(kept, COPAL_OPT_ETAG, 0, &its) == 0 &&
           cp_bytes_equal(its, etag);
}

/* What the user is to see of msg: itself, or what a 2.03 says is valid. Keeps
 * a representation that has a name. */
static const copal_msg *meant_by(struct cp_watch *w, const copal_msg *msg)
{
    copal_bytes etag;
    const copal_msg *meant = msg;

    if (copal_msg_value(msg, COPAL_OPT_ETAG, 0, &etag) != 0)
        return msg;
    if (copal_msg_code(msg) == COPAL_VALID) {
        if (has_same_etag(w->offered, etag))
            meant = w->offered;
        else if (has_same_etag(w->latest, etag))
            meant = w->latest;
    }
    if (meant != w->latest && copal_msg_code(meant) == COPAL_CONTENT) {
        copal_msg_unref(w->latest);
        w->latest = copal_msg_ref(meant);
    }
    return meant;
}

static void note_heard(struct cp_watch *w, const copal_msg *msg)
{
    int64_t max_age = copal_msg_uint(msg, COPAL_OPT_MAX_AGE);
    uint64_t fresh = 1000 * (max_age < 0 ? DEFAULT_MAX_AGE : (uint64_t)max_age);

    w->heard_at = copal_now(w->endpoint);
    w->act_at = w->heard_at + fresh + REFRESH_AFTER;
    w->silent_at =
        w->heard_at + (w->silence != 0 ? w->silence : fresh + SILENT_AFTER);
}

static void tell_heard(struct cp_watch *w, const copal_msg *msg)
{
    const copal_msg *meant = copal_msg_ref(meant_by(w, msg));

    if (w->is_silent) {
        w->is_silent = false;
        w->face.tell(w->face.user, COPAL_RESUMED, 0, NULL, NULL);
    }
    if (w->state != OVER)
        w->face.tell(w->face.user, COPAL_RESPONSE, 0, NULL, meant);
    copal_msg_unref(meant);
}

static void on_notification(struct cp_watch *w, const copal_msg *msg)
{
    bool was_silent = w->is_silent;
    int err;

    note_heard(w, msg);
    w->state = HEARING;
    w->wait = FIRST_WAIT;
    w->is_silent = false; /* as the timer is to see it */
    err = arm(w);
    w->is_silent = was_silent;
    tell_heard(w, msg);
    if (err != 0 && w->state != OVER)
        out_of_memory(w);
}

/* An answer after which nothing follows: an error, or a success without
 * Observe. The first one ever ends the watch, since waiting promises nothing,
 * unless the server itself promises; later ones may pass. */
static void on_other(struct cp_watch *w, const copal_msg *msg)
{
    uint64_t wished = 0;
    bool invited = invites(msg, &wished);
    bool is_first = !w->was_answered && !invited;
    int code = copal_msg_code(msg);
    bool is_value = cp_code_class(code) == 2;
    copal_exchange *x = w->x;
    char text[SENTENCE];

    w->x = NULL;
    copal_cancel(x); /* ESTATE if it is over, which is as well */
    w->was_answered = w->was_answered || !invited;
    if (is_value || !w->is_silent)
        tell_heard(w, msg);
    if (w->state == OVER)
        return;
    snprintf(text, sizeof(text), "%.300s: answered %s%s",
             copal_msg_uri(w->request), cp_code_name(code),
             !is_value  ? ""
             : is_first ? ", but cannot be observed; ask for it with GET"
                        : ", but does not observe any more");
    if (is_first)
        finish(w, COPAL_ENOTOBS, text);
    else
        fail(w, COPAL_ENOTOBS, is_value ? 0 : code, wished, text);
}

static void on_end(struct cp_watch *w, int status, const char *text)
{
    char own[SENTENCE];

    w->x = NULL;
    if (text == NULL || *text == '\0') {
        snprintf(own, sizeof(own), "%.300s: %s", copal_msg_uri(w->request),
                 status == 0 ? "the observation ended"
                             : copal_strerror(status));
        text = own;
    }
    if (!heals(status) || (status == COPAL_ENOTOBS && !w->was_answered))
        finish(w, status, text);
    else
        fail(w, status == 0 ? COPAL_ENOTOBS : status, 0, 0, text);
}

static void on_event(const copal_event *ev, void *user)
{
    struct cp_watch *w = hold(user);
    bool is_ours = w->state != OVER && ev->exchange == w->x;

    if (is_ours && ev->kind == COPAL_END) {
        on_end(w, ev->status, ev->text);
    } else if (is_ours && ev->kind == COPAL_RESPONSE) {
        if (cp_code_class(copal_msg_code(ev->msg)) == 2 &&
            copal_msg_uint(ev->msg, COPAL_OPT_OBSERVE) >= 0) {
            w->was_answered = true;
            on_notification(w, ev->msg);
        } else {
            on_other(w, ev->msg);
        }
    }
    let_go(w);
}

/* ---- From outside ---- */

/* Streams are not for a watch: what it keeps and tells is one message. */
static copal_msg *observing(const copal_msg *m)
{
    copal_msg *mine = copal_msg_copy(m);
    unsigned not_ours =
        COPAL_WATCH | COPAL_STREAM_IN | COPAL_STREAM_OUT | COPAL_TELL_PROGRESS;

    copal_msg_set_flags(mine, m->flags & ~not_ours);
    copal_msg_remove(mine, COPAL_OPT_OBSERVE);
    if (copal_msg_add_uint(mine, COPAL_OPT_OBSERVE, 0) != 0) {
        copal_msg_unref(mine);
        return NULL;
    }
    return mine;
}

struct cp_watch *cp_watch_new(struct cp_mem *mem, copal *c, copal_msg *m,
                              uint64_t silence_ms, struct cp_watch_face face)
{
    struct cp_watch *w = cp_zalloc(mem, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->mem = mem;
    w->refs = 1;
    w->endpoint = c;
    w->face = face;
    w->silence = silence_ms;
    w->wait = FIRST_WAIT;
    w->heard_at = copal_now(c);
    w->silent_at = w->heard_at + (silence_ms != 0 ? silence_ms : ASK_LIMIT);
    w->request = observing(m);
    if (w->request == NULL || ask(w) != 0) {
        cp_watch_free(w);
        return NULL;
    }
    return w;
}

void cp_watch_free(struct cp_watch *w)
{
    if (w == NULL)
        return;
    stop(w);
    let_go(w);
}
