/* A recording run again: the file, its head and sum, the walk through its
 * records. */
#include "replay.h"
#include "base/callback.h"
#include "base/siphash.h"
#include "engine/answer_core.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    HEAD = 24,
    MOST = 1 << 30, /* bytes: what RECORD_MEMORY can be */
    SUM = CP_RECORD_HEAD + 8
};

/* The clock of a recording stays where deadlines counted from it fit. */
#define LAST_TIME (UINT64_MAX / 16 * 15)

/* ---- Its end ---- */

static void end_with(struct cp_replay *r, int status, const char *format,
                     va_list list)
{
    char where[80];
    size_t len;

    if (r->is_over)
        return;
    r->is_over = true;
    r->status = status;
    len = (size_t)snprintf(where, sizeof(where), "record %llu, at %llu ms: ",
                           (unsigned long long)r->number,
                           (unsigned long long)r->clock);
    memcpy(r->why, where, len);
    vsnprintf(r->why + len, sizeof(r->why) - len, format, list);
}

void cp_replay_differs(struct cp_replay *r, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    end_with(r, COPAL_ECHANGED, format, list);
    va_end(list);
}

static void end_malformed(struct cp_replay *r, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    end_with(r, COPAL_EFORMAT, format, list);
    va_end(list);
}

void cp_replay_malformed(struct cp_replay *r, const char *what)
{
    end_malformed(r, "%s is malformed; the recording is damaged", what);
}

void cp_replay_note(struct cp_replay *r, const char *format, ...)
{
    struct cp_buf b = cp_buf_new(r->mem);
    char text[256];
    va_list list;
    const char *line;

    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    cp_put_format(&b, "{\"t\":%llu,\"ev\":\"replay\",\"what\":\"",
                  (unsigned long long)r->clock);
    cp_put_json(&b, cp_bytes_of_text(text));
    cp_put_text(&b, "\"}");
    line = cp_buf_text(&b);
    if (line != NULL && r->user.fn != NULL)
        r->user.fn(&(copal_event){.kind = COPAL_TRACE, .text = line},
                   r->user.user);
    cp_buf_free(&b);
}

/* ---- Records ---- */

bool cp_replay_peek(struct cp_replay *r, struct cp_record_head *out)
{
    struct cp_cursor c = r->records;

    if (r->is_over || !cp_record_take(&c, out) || out->type == CP_RECORD_SUM)
        return false;
    return true;
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
    case CP_RECORD_BLOCKED:
    case CP_RECORD_ROUTE:
    case CP_RECORD_RETURN:
        if (!r->is_late)
            cp_replay_differs(r, "something is not asked of the system that "
                                 "was asked then");
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

static bool on_random(void *user, uint8_t *bytes, size_t n, bool before)
{
    struct cp_replay *r = user;
    struct cp_record_head h;

    if (!before || r->is_over || !cp_replay_peek(r, &h))
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

/* ---- What comes in ---- */

static void hear(struct cp_replay *r, struct cp_record_head *h)
{
    struct cp_engine *e = r->c->engine;
    struct cp_cursor c = cp_cursor_of(h->body);
    bool is_lost = h->type == CP_RECORD_LOST;
    int status = is_lost ? (int)(int32_t)cp_record_take_32(&c) : 0;
    struct cp_record_way way;
    struct cp_link *link;
    copal_bytes datagram;

    if (!cp_record_take_way(&c, &way) || (is_lost && status >= 0)) {
        cp_replay_malformed(r, "a datagram");
        return;
    }
    datagram = cp_take(&c, cp_cursor_left(&c));
    link = cp_replay_link(r, &way);
    if (link == NULL) {
        cp_replay_malformed(r, "no memory for a socket");
        return;
    }
    cp_engine_enter(e, r->clock);
    if (is_lost) {
        cp_engine_undelivered(e, link, &way.path, datagram, status);
        return;
    }
    if (r->is_late)
        cp_replay_past_note(r, &way.path, datagram, false);
    cp_engine_count_datagram(e, false, datagram.len);
    cp_engine_datagram(e, link, &way.path, datagram);
}

/* Of a connection. */
static void hear_stream(struct cp_replay *r, struct cp_record_head *h)
{
    struct cp_engine *e = r->c->engine;
    struct cp_cursor c = cp_cursor_of(h->body);
    uint32_t a = cp_record_take_32(&c);
    int b = (int)(int32_t)cp_record_take_32(&c);
    struct cp_record_way way;
    struct cp_link *link = NULL;

    if (r->is_bare) {
        end_malformed(r, "what connections carried was left out with the "
                         "payloads; it cannot be run again");
        return;
    }
    if (cp_record_take_way(&c, &way))
        link = cp_replay_link(r, &way);
    if (link == NULL || a > CP_FRAMED ||
        (h->type == CP_RECORD_CONNECTED && link->connection != NULL)) {
        cp_replay_malformed(r, "a connection");
        return;
    }
    cp_engine_enter(e, r->clock);
    switch (h->type) {
    case CP_RECORD_CONNECTED:
        cp_engine_connected(e, link, &way.path, (enum cp_framing)a, b != 0);
        break;
    case CP_RECORD_STREAM_IN:
        cp_engine_bytes(e, link, cp_take(&c, cp_cursor_left(&c)));
        break;
    case CP_RECORD_CLOSED:
        cp_engine_closed(e, link, b > 0 ? COPAL_EIO : b);
        break;
    default: cp_engine_drained(e, link); break;
    }
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
        cp_replay_take(r, &h);
        hear(r, &h);
        break;
    case CP_RECORD_CONNECTED:
    case CP_RECORD_STREAM_IN:
    case CP_RECORD_CLOSED:
    case CP_RECORD_DRAINED:
        cp_replay_take(r, &h);
        hear_stream(r, &h);
        break;
    case CP_RECORD_TURN:
        cp_replay_take(r, &h);
        cp_engine_turn(r->c->engine, r->clock);
        break;
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
        if (cp_replay_is_call(&h))
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
    r->c->engine->random.tap = on_random;
    r->c->engine->random.tap_user = r;
    r->is_late = (flags & CP_START_FRESH) == 0;
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
        end_malformed(r, "there is no place to begin from; record with more "
                         "record_memory");
}

static void walk(struct cp_replay *r)
{
    skip_to_start(r);
    while (!r->is_over && cp_replay_peek(r, &(struct cp_record_head){0}))
        step(r);
    if (!r->is_over)
        cp_replay_note(r,
                       "%llu datagrams were sent as they were; %llu of what "
                       "began before",
                       (unsigned long long)r->sent,
                       (unsigned long long)r->untold);
    r->is_over = true;
}

static bool has_good_sum(copal_bytes all)
{
    static const uint8_t key[16] = {0};
    struct cp_cursor c = cp_cursor_of(cp_bytes(all.data + all.len - SUM, SUM));

    return cp_take_u8(&c) == CP_RECORD_SUM && cp_record_take_32(&c) == 8 &&
           cp_record_take_64(&c) == cp_siphash(key, all.data, all.len - 8);
}

/* NULL, or what is wrong with it. */
static const char *read_head(struct cp_replay *r, copal_bytes all,
                             bool check_sum)
{
    static const char magic[] = CP_RECORDING_MAGIC;
    struct cp_cursor c = cp_cursor_of(all);
    copal_bytes mark = cp_take(&c, sizeof(magic) - 1);
    uint32_t version = cp_record_take_32(&c), flags = cp_record_take_32(&c);

    cp_record_take_64(&c);
    if (c.failed || !cp_bytes_is_text(mark, magic))
        return "this is not a recording of copal's";
    if (version != CP_RECORDING_VERSION)
        return "the recording is of a version that this copal does not know";
    if (all.len < HEAD + SUM || (check_sum && !has_good_sum(all)))
        return "the recording is not whole, or was changed: its sum is wrong";
    r->is_bare = (flags & CP_RECORDING_BARE) != 0;
    r->records = c;
    return NULL;
}

static void clear(struct cp_replay *r)
{
    r->is_over = true;
    cp_replay_calls_clear(r);
    cp_replay_past_clear(r);
    if (r->c != NULL) {
        r->c->engine->random.tap = NULL;
        r->c->engine->in_turn = false;
        copal_free(r->c); /* which lets go of the memory, too */
        cp_replay_world_clear(r);
    } else {
        cp_replay_world_clear(r);
        cp_mem_release(r->mem);
    }
}

static void tell_end(copal_cb cb, int status, const char *why)
{
    if (cb.fn != NULL)
        cb.fn(&(copal_event){.kind = COPAL_END, .status = status, .text = why},
              cb.user);
}

int cp_replay_bytes(copal_bytes recording, bool check_sum, copal_cb cb)
{
    struct cp_replay r = {.user = cb};
    const char *wrong;

    r.mem = cp_mem_new(NULL, NULL);
    if (r.mem == NULL) {
        tell_end(cb, COPAL_ENOMEM, copal_strerror(COPAL_ENOMEM));
        return COPAL_ENOMEM;
    }
    cp_replay_world_init(&r);
    cp_replay_calls_init(&r);
    cp_replay_past_init(&r);
    wrong = read_head(&r, recording, check_sum);
    if (wrong == NULL) {
        walk(&r);
    } else {
        r.status = COPAL_EFORMAT;
        snprintf(r.why, sizeof(r.why), "%s", wrong);
    }
    clear(&r);
    tell_end(cb, r.status, r.why);
    return r.status;
}

static int read_file(const char *path, uint8_t **out, size_t *len)
{
    FILE *f = path == NULL ? NULL : fopen(path, "rbe");
    long size = -1;
    int err = 0;

    *out = NULL;
    if (f != NULL && fseek(f, 0, SEEK_END) == 0)
        size = ftell(f);
    if (size > MOST) { /* or a folder */
        size = -1;
        errno = EFBIG;
    }
    if (size >= 0)
        *out = malloc((size_t)size + 1);
    if (f == NULL || size < 0)
        err = errno == ENOENT   ? COPAL_ENOENT
              : errno == EACCES ? COPAL_EPERM
                                : COPAL_EIO;
    else if (*out == NULL)
        err = COPAL_ENOMEM;
    else if (fseek(f, 0, SEEK_SET) != 0 ||
             fread(*out, 1, (size_t)size, f) != (size_t)size)
        err = COPAL_EIO;
    *len = err == 0 ? (size_t)size : 0;
    if (f != NULL)
        fclose(f);
    return err;
}

int copal_replay(const char *path, copal_cb cb)
{
    uint8_t *data;
    size_t len;
    char why[CP_REPLAY_SENTENCE];
    int err;

    errno = ENOENT; /* of no path */
    err = read_file(path, &data, &len);
    if (err == 0) {
        err = cp_replay_bytes(cp_bytes(data, len), true, cb);
    } else {
        snprintf(why, sizeof(why), "%s: cannot be read: %s",
                 path == NULL ? "" : path, copal_strerror(err));
        tell_end(cb, err, why);
    }
    free(data);
    cp_cb_drop(cb);
    return err;
}
