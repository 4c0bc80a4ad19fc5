/* Calls as a recording has them, made again: messages, requests, answers; and
 * the questions for keys that handshakes asked the user. */
#include "replay.h"
#include "engine/answer.h"
#include "wire/message.h"

enum {
    MOST_KIND = 32 /* bytes of what kind of key is looked up */
};

/* ---- Messages ---- */

static int add_option(copal_msg *m, uint32_t number, copal_bytes value)
{
    int err = number > UINT16_MAX ? COPAL_EINVAL
                                  : copal_msg_add(m, (int)number, value);

    /* Those that came from elsewhere may be what no user may set. */
    if (err == COPAL_EINVAL && number == COPAL_OPT_URI_PATH && value.len < 256)
        err = cp_msg_add(m, number, value);
    return err;
}

static int add_options(copal_msg *m, struct cp_record_message *made)
{
    int err = 0;

    while (m->option_count > 0)
        cp_msg_remove(m, m->options[0].number);
    for (uint32_t i = 0; err == 0 && i < made->option_count; i++) {
        uint32_t number;
        copal_bytes value = cp_record_take_option(&made->options, &number);

        err = add_option(m, number, value);
    }
    return err;
}

static int set_uri(struct cp_replay *r, copal_msg *m, copal_bytes uri)
{
    char *text;
    int err;

    if (uri.data == NULL)
        return 0;
    text = cp_copy_text(r->mem, (const char *)uri.data, uri.len);
    err = text == NULL ? COPAL_ENOMEM : copal_msg_set_uri(m, text);
    cp_free(r->mem, text);
    return err == COPAL_EURI || err == COPAL_ENOTSUP ? 0 : err;
}

static int fill(struct cp_replay *r, copal_msg *m,
                struct cp_record_message *made)
{
    int err = set_uri(r, m, made->uri);

    if (err == 0)
        err = add_options(m, made);
    if (err == 0)
        err = copal_msg_set_flags(m, made->flags);
    for (uint32_t i = 0; err == 0 && i < made->tuned_count; i++) {
        uint32_t p = cp_record_take_32(&made->tuned);
        int64_t value = (int64_t)cp_record_take_64(&made->tuned);

        err = copal_msg_tune(m, (copal_param)p, value);
    }
    if (err == 0 && made->payload.len > 0)
        err = cp_msg_copy_payload(m, made->payload);
    if (err == 0 && made->resumed)
        err = copal_msg_resume(m, made->resume_at, made->resume_etag);
    m->from = made->from;
    return err;
}

/* NULL: malformed, which is noted. */
static copal_msg *take_message(struct cp_replay *r, struct cp_cursor *c)
{
    struct cp_record_message made;
    copal_msg *m = NULL;

    if (cp_record_take_message(c, &made))
        m = copal_msg_new(r->c, made.code);
    if (m == NULL || fill(r, m, &made) != 0) {
        copal_msg_unref(m);
        cp_replay_malformed(r, "a message");
        return NULL;
    }
    return m;
}

/* ---- Calls ---- */

enum {
    MOST_TEXTS = 3
};

struct call {
    unsigned type;
    uint64_t a, b;
    struct cp_cursor rest;
    char *texts[MOST_TEXTS];
};

static void call_on_exchange(struct cp_replay *r, struct call *call,
                             copal_exchange *x)
{
    copal_msg *m;

    switch (call->type) {
    case CP_RECORD_RESPOND:
        cp_record_take_text(&call->rest);
        m = take_message(r, &call->rest);
        if (m != NULL)
            copal_respond(x, m);
        copal_msg_unref(m);
        break;
    case CP_RECORD_WRITE:
        copal_write(x, cp_record_take_text(&call->rest), call->b != 0);
        break;
    case CP_RECORD_CANCEL: copal_cancel(x); break;
    case CP_RECORD_PAUSE: copal_pause(x); break;
    default: copal_resume(x); break;
    }
}

static void find_exchange(struct cp_replay *r, struct call *call)
{
    struct cp_replay_known *k = cp_replay_find(&r->exchanges, call->a);

    if (k != NULL && k->x != NULL)
        call_on_exchange(r, call, k->x);
    else if (k == NULL && !r->is_late)
        cp_replay_malformed(r, "a call on an exchange that there is not");
}

static void request(struct cp_replay *r, struct call *call)
{
    copal_msg *m;
    copal_exchange *x;

    cp_record_take_text(&call->rest);
    m = take_message(r, &call->rest);
    if (m == NULL)
        return;
    x = copal_request(r->c, m, cp_replay_hook(r, call->b != 0, call->a));
    if (x != NULL)
        cp_replay_remember(r, &r->exchanges, call->a, x, 0);
    copal_msg_unref(m);
}

static void send_raw(struct cp_replay *r, struct call *call)
{
    copal_bytes to = cp_record_take_text(&call->rest);
    copal_msg *m = take_message(r, &call->rest);
    char *text = to.data == NULL
                     ? NULL
                     : cp_copy_text(r->mem, (const char *)to.data, to.len);

    if (m != NULL)
        copal_send(r->c, m, text);
    copal_msg_unref(m);
    cp_free(r->mem, text);
}

static void after(struct cp_replay *r, struct call *call)
{
    bool is_heard = (call->b & CP_RECORD_MUTE) == 0;
    int64_t id = copal_after(r->c, call->b & ~CP_RECORD_MUTE,
                             cp_replay_hook(r, is_heard, call->a));

    if (id > 0)
        cp_replay_remember(r, &r->timers, call->a, NULL, id);
}

static void cancel_timer(struct cp_replay *r, struct call *call)
{
    struct cp_replay_known *k = cp_replay_find(&r->timers, call->a);

    if (k != NULL)
        copal_cancel_timer(r->c, k->timer);
}

/* What memory there is is nothing of the recording's. */
static void tune(struct cp_replay *r, struct call *call)
{
    if (call->a != COPAL_P_RECORD_MEMORY && call->a != COPAL_P_MAX_MEMORY &&
        call->a < INT32_MAX)
        copal_tune(r->c, call->texts[0], (copal_param)call->a,
                   (int64_t)call->b);
}

static void call_with_path(struct cp_replay *r, struct call *call)
{
    const char *path = call->texts[0];

    if (path == NULL) {
        cp_replay_malformed(r, "a call without a path");
        return;
    }
    switch (call->type) {
    case CP_RECORD_SERVE:
        copal_serve(r->c, (int)(call->a & INT32_MAX), path,
                    (unsigned)(call->b & UINT32_MAX),
                    cp_replay_hook(r, (call->b & CP_RECORD_HEARD) != 0, 0));
        break;
    case CP_RECORD_UNSERVE: copal_unserve(r->c, path); break;
    case CP_RECORD_NOTIFY: copal_notify(r->c, path); break;
    default: copal_describe(r->c, path, call->texts[1], call->texts[2]); break;
    }
}

static void make(struct cp_replay *r, struct call *call)
{
    switch (call->type) {
    case CP_RECORD_REQUEST: request(r, call); break;
    case CP_RECORD_SEND: send_raw(r, call); break;
    case CP_RECORD_RESPOND:
    case CP_RECORD_WRITE:
    case CP_RECORD_CANCEL:
    case CP_RECORD_PAUSE:
    case CP_RECORD_RESUME: find_exchange(r, call); break;
    case CP_RECORD_AFTER: after(r, call); break;
    case CP_RECORD_CANCEL_TIMER: cancel_timer(r, call); break;
    case CP_RECORD_TUNE: tune(r, call); break;
    case CP_RECORD_CLOSE: copal_close(r->c, call->a); break;
    case CP_RECORD_STRAYS:
        copal_strays(r->c, cp_replay_hook(r, call->a != 0, 0));
        break;
    case CP_RECORD_DISCONNECT: copal_disconnect(r->c, call->texts[0]); break;
    case CP_RECORD_UNDERSTAND:
        copal_understand(r->c, (int)(call->a & UINT32_MAX));
        break;
    default: call_with_path(r, call); break;
    }
}

static bool has_texts(unsigned type)
{
    return type == CP_RECORD_SERVE || type == CP_RECORD_UNSERVE ||
           type == CP_RECORD_DESCRIBE || type == CP_RECORD_NOTIFY ||
           type == CP_RECORD_TUNE || type == CP_RECORD_DISCONNECT;
}

void cp_replay_call(struct cp_replay *r, const struct cp_record_head *h)
{
    struct call call = {.type = h->type & ~(unsigned)CP_RECORD_NESTED,
                        .rest = cp_cursor_of(h->body)};

    call.a = cp_record_take_64(&call.rest);
    call.b = cp_record_take_64(&call.rest);
    for (size_t i = 0; has_texts(call.type) && i < MOST_TEXTS &&
                       cp_cursor_left(&call.rest) > 0;
         i++) {
        copal_bytes text = cp_record_take_text(&call.rest);

        if (text.data != NULL)
            call.texts[i] =
                cp_copy_text(r->mem, (const char *)text.data, text.len);
    }
    if (call.rest.failed)
        cp_replay_malformed(r, "a call");
    else
        make(r, &call);
    for (size_t i = 0; i < MOST_TEXTS; i++)
        cp_free(r->mem, call.texts[i]);
}

/* ---- Look-ups ---- */

/* The key went to a handshake, of which there is none here. */
static void use_no_key(void *user, const copal_msg *answer)
{
    (void)user, (void)answer;
}

/* As core/secure asks for one. */
static copal_msg *question_of(struct cp_replay *r, copal_bytes kind,
                              copal_bytes whose)
{
    copal_msg *m = cp_msg_new(r->mem, COPAL_FETCH, 0);

    if (m == NULL || cp_msg_add(m, COPAL_OPT_URI_PATH, kind) != 0 ||
        cp_msg_copy_payload(m, whose) != 0) {
        copal_msg_unref(m);
        return NULL;
    }
    m->frozen = true;
    return m;
}

void cp_replay_look_up(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_cursor c = cp_cursor_of(h->body);
    struct cp_handler *handler;
    copal_bytes kind, whose;
    copal_msg *m;

    cp_take(&c, 16);
    kind = cp_record_take_text(&c);
    whose = cp_record_take_text(&c);
    if (c.failed || kind.len > MOST_KIND) {
        cp_replay_malformed(r, "a look-up");
        return;
    }
    handler = cp_handler_new(r->mem, 0, cp_replay_hook(r, true, 0));
    m = question_of(r, kind, whose);
    if (handler != NULL && m != NULL)
        cp_answer_look_up(r->c->engine, handler, "key", m, use_no_key, NULL);
    copal_msg_unref(m);
    cp_handler_unref(handler);
}
