/* The user of a replay: calls come from the recording, callbacks only say when. */
#include "replay.h"
#include "wire/message.h"

/* What one callback is of. */
struct hook {
    struct cp_replay *replay;
    uint64_t id; /* of an exchange or timer; 0: of whichever comes */
};

/* An exchange or a timer under its recorded number. */
struct known {
    struct cp_map_node node;
    uint64_t id;
    copal_exchange *x; /* ref'd; NULL: abandoned */
    int64_t timer;     /* its id now */
};

/* ---- What is known ---- */

static struct known *find(const struct cp_map *map, uint64_t id)
{
    struct cp_map_node *n =
        cp_map_first(map, cp_map_hash(map, &id, sizeof(id)));

    for (; n != NULL; n = cp_map_next(n))
        if (cp_container_of(n, struct known, node)->id == id)
            return cp_container_of(n, struct known, node);
    return NULL;
}

/* x is ref'd. */
static void remember(struct cp_replay *r, struct cp_map *map, uint64_t id,
                     copal_exchange *x, int64_t timer)
{
    struct known *k = find(map, id);
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
        struct known *k = cp_container_of(node, struct known, node);

        copal_exchange_unref(k->x);
        cp_free(r->mem, k);
    }
    cp_map_clear(map);
}

void cp_replay_calls_init(struct cp_replay *r)
{
    struct cp_random random;

    cp_random_init(&random, 1);
    cp_map_init(&r->exchanges, r->mem, &random);
    cp_map_init(&r->timers, r->mem, &random);
}

void cp_replay_calls_clear(struct cp_replay *r)
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
    struct known *k;

    if (kind != cp_record_kind_of(ev))
        return false;
    if (ev->kind == COPAL_TIMER)
        return hook->id == id;
    if (ev->exchange == NULL)
        return true;
    k = find(&r->exchanges, id);
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

/* The record of this callback is taken. False: there is none. */
static bool take_callback(struct cp_replay *r, const struct hook *hook,
                          const copal_event *ev)
{
    struct cp_record_head h;

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
                remember(r, &r->exchanges, id, ev->exchange, 0);
            return true;
        }
        if (!r->is_late)
            break;
        cp_replay_leftover(r); /* of before: its calls are made all the same */
    }
    if (r->is_late)
        cp_replay_past_unasked(r);
    else if (cp_replay_peek(r, &h))
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

/* is_heard false: there was no callback. */
static copal_cb hook_of(struct cp_replay *r, bool is_heard, uint64_t id)
{
    struct hook *hook = is_heard ? cp_zalloc(r->mem, sizeof(*hook)) : NULL;

    if (hook == NULL)
        return (copal_cb){0};
    *hook = (struct hook){r, id};
    return COPAL_CB_OWN(on_event, hook, on_drop);
}

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
    struct known *k = find(&r->exchanges, call->a);

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
    x = copal_request(r->c, m, hook_of(r, call->b != 0, call->a));
    if (x != NULL)
        remember(r, &r->exchanges, call->a, x, 0);
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
                             hook_of(r, is_heard, call->a));

    if (id > 0)
        remember(r, &r->timers, call->a, NULL, id);
}

static void cancel_timer(struct cp_replay *r, struct call *call)
{
    struct known *k = find(&r->timers, call->a);

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
                    hook_of(r, (call->b & CP_RECORD_HEARD) != 0, 0));
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
        copal_strays(r->c, hook_of(r, call->a != 0, 0));
        break;
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
           type == CP_RECORD_TUNE;
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

void cp_replay_abandon(struct cp_replay *r, const struct cp_record_head *h)
{
    struct cp_cursor c = cp_cursor_of(h->body);
    struct known *k = find(&r->exchanges, cp_record_take_64(&c));
    copal_exchange *x = k == NULL ? NULL : k->x;

    if (k != NULL)
        k->x = NULL;
    copal_exchange_unref(x);
}
