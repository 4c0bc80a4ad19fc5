#include "serve/watch_core.h"
#include "wire/message.h"
#include <stdio.h>

enum {
    DEFAULT_RETRY = 60,   /* s, of a 4.29: RFC 8516 3 */
    LONGEST_RETRY = 86400 /* s: whatever a server says */
};

/* ---- Life ---- */

struct cp_watch *cp_watch_hold(struct cp_watch *w)
{
    w->refs++;
    return w;
}

void cp_watch_let_go(void *watch)
{
    struct cp_watch *w = watch;

    if (--w->refs > 0)
        return;
    copal_msg_unref(w->request);
    cp_watch_forget_told(w);
    cp_free(w->mem, w);
}

static void stop(struct cp_watch *w)
{
    copal_exchange *x = w->x;

    w->state = CP_WATCH_OVER;
    w->x = NULL;
    if (x != NULL)
        copal_cancel(x);
    if (w->is_timer_on) {
        w->is_timer_on = false;
        copal_cancel_timer(w->endpoint, w->timer);
    }
}

void cp_watch_finish(struct cp_watch *w, int status, const char *text)
{
    stop(w);
    w->face.over(w->face.user, status, text);
}

void cp_watch_out_of_memory(struct cp_watch *w)
{
    char text[CP_WATCH_SENTENCE];

    snprintf(text, sizeof(text), "%.400s: out of memory while watching it",
             copal_msg_uri(w->request));
    cp_watch_finish(w, COPAL_ENOMEM, text);
}

/* ---- What the observation brings ---- */

static void on_notification(struct cp_watch *w, const copal_msg *msg)
{
    bool was_silent = w->is_silent;
    bool is_answer = w->state != CP_WATCH_HEARING;
    int err;

    w->was_answered = true;
    w->is_silent = false; /* as the timer is to see it */
    err = cp_watch_heard(w, msg);
    w->is_silent = was_silent;
    cp_watch_tell_value(w, msg, !is_answer);
    if (err != 0)
        cp_watch_out_of_memory(w);
}

/* What the server says will pass, also as the first answer; how long to wait
 * for it, in ms. RFC 7252 5.9.3.4, RFC 8516 3. */
static bool passes(const copal_msg *msg, uint64_t *wait)
{
    int64_t max_age = copal_msg_uint(msg, COPAL_OPT_MAX_AGE);

    *wait = 0;
    switch (copal_msg_code(msg)) {
    case COPAL_TOO_MANY_REQUESTS:
        if (max_age < 0)
            max_age = DEFAULT_RETRY;
        break;
    case COPAL_UNAVAILABLE: break;
    case COPAL_INTERNAL_ERROR:
    case COPAL_BAD_GATEWAY:
    case COPAL_GATEWAY_TIMEOUT: return true;
    default: return false;
    }
    if (max_age > LONGEST_RETRY)
        max_age = LONGEST_RETRY;
    if (max_age > 0)
        *wait = 1000 * (uint64_t)max_age;
    return true;
}

/* An answer after which nothing follows: an error, or a success without
 * Observe. The first one ever ends the watch unless it says that it will pass,
 * since waiting promises nothing; later ones may pass. */
static void on_last(struct cp_watch *w, const copal_msg *msg)
{
    int code = copal_msg_code(msg);
    bool is_value = cp_code_class(code) == 2;
    uint64_t wait = 0;
    bool is_vain = !passes(msg, &wait) && !w->was_answered;
    copal_exchange *x = w->x;
    char text[CP_WATCH_SENTENCE];

    w->x = NULL;
    copal_cancel(x); /* ESTATE if it is over, which is as well */
    cp_watch_tell_last(w, msg);
    snprintf(text, sizeof(text), "%.300s: answered %s%s",
             copal_msg_uri(w->request), cp_code_name(code),
             !is_value ? ""
             : is_vain ? ", but cannot be observed; ask for it with GET"
                       : ", but does not observe any more");
    if (is_vain)
        cp_watch_finish(w, COPAL_ENOTOBS, text);
    else
        cp_watch_fail(w, COPAL_ENOTOBS, wait, text);
}

/* ECLOSED is of a connection: an endpoint that ends ends the watch first. */
static bool heals(int status)
{
    switch (status) {
    case COPAL_ENOMEM:
    case COPAL_EINVAL:
    case COPAL_EURI:
    case COPAL_ESTATE:
    case COPAL_ECANCEL:
    case COPAL_ENOTSUP: return false;
    default: return true;
    }
}

static void on_end(struct cp_watch *w, int status, const char *text)
{
    char own[CP_WATCH_SENTENCE];

    w->x = NULL;
    if (text == NULL || *text == '\0') {
        snprintf(own, sizeof(own), "%.300s: %s", copal_msg_uri(w->request),
                 status == 0 ? "the observation ended"
                             : copal_strerror(status));
        text = own;
    }
    if (heals(status))
        cp_watch_fail(w, status == 0 ? COPAL_ENOTOBS : status, 0, text);
    else
        cp_watch_finish(w, status, text);
}

void cp_watch_on_event(const copal_event *ev, void *user)
{
    struct cp_watch *w = cp_watch_hold(user);
    bool is_ours = w->state != CP_WATCH_OVER && ev->exchange == w->x;

    if (is_ours && ev->kind == COPAL_END) {
        on_end(w, ev->status, ev->text);
    } else if (is_ours && ev->kind == COPAL_RESPONSE) {
        if (cp_code_class(copal_msg_code(ev->msg)) == 2 &&
            copal_msg_uint(ev->msg, COPAL_OPT_OBSERVE) >= 0)
            on_notification(w, ev->msg);
        else
            on_last(w, ev->msg);
    }
    cp_watch_let_go(w);
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
    mine->flags |= CP_FLAG_APART; /* it sees by it whether it is registered */
    return mine;
}

struct cp_watch *cp_watch_new(struct cp_mem *mem, copal *c, copal_msg *m,
                              struct cp_watch_terms terms,
                              struct cp_watch_face face)
{
    struct cp_watch *w = cp_zalloc(mem, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->mem = mem;
    w->refs = 1;
    w->endpoint = c;
    w->face = face;
    w->terms = terms;
    w->heard_at = copal_now(c);
    w->silent_at = terms.silence != 0 ? w->heard_at + terms.silence
                                      : w->heard_at + terms.patience;
    w->request = observing(m);
    if (w->request == NULL || cp_watch_ask(w) != 0) {
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
    cp_watch_let_go(w);
}
