#include "engine/record.h"
#include "engine/driver.h"
#include "engine/record_put.h"
#include "engine/trace.h"

/* ---- The ring ---- */

static void open_part(struct cp_record *r, unsigned i)
{
    r->now = i;
    r->at = r->data + i * r->part_size;
    r->end = r->at + r->part_size;
    r->parts[i] = (struct cp_record_part){.is_used = true};
}

static void close_part(struct cp_record *r)
{
    r->parts[r->now].used = (size_t)(r->at - (r->data + r->now * r->part_size));
}

static void forget_all(struct cp_record *r)
{
    memset(r->parts, 0, sizeof(r->parts));
    open_part(r, 0);
    r->needs_start = true;
}

/* What is longer than a part leaves a gap: it begins anew behind that. */
bool cp_record_next_part(struct cp_record *r, size_t size)
{
    if (size > r->part_size) {
        forget_all(r);
        cp_trace_state(r->engine, "record_gap", "record_memory is too small");
        return false;
    }
    close_part(r);
    open_part(r, (r->now + 1) % CP_RECORD_PARTS);
    r->needs_start = true;
    return true;
}

size_t cp_record_parts(const struct cp_engine *e,
                       copal_bytes out[CP_RECORD_PARTS])
{
    struct cp_record *r = e->record != NULL ? e->record : e->frozen;
    size_t count = 0;

    if (r == NULL)
        return 0;
    close_part(r);
    for (unsigned i = 1; i <= CP_RECORD_PARTS; i++) {
        unsigned which = (r->now + i) % CP_RECORD_PARTS;

        if (r->parts[which].is_used)
            out[count++] =
                cp_bytes(r->data + which * r->part_size, r->parts[which].used);
    }
    return count;
}

/* ---- Where it begins ---- */

static bool is_fresh(const struct cp_engine *e)
{
    return e->serial == 0 && e->events.last_id == 0 &&
           e->stats.datagrams_in == 0 && e->stats.datagrams_out == 0;
}

/* To whom something is owed, as far as there is room. */
static void put_owed(const struct cp_engine *e, struct cp_buf *out)
{
    uint8_t bytes[CP_RECORD_ADDRESS];

    cp_record_le32(bytes, (uint32_t)e->peers.count);
    cp_put_bytes(out, cp_bytes(bytes, 4));
    map_each (node, after, &e->peers) {
        const struct cp_peer *p = cp_container_of(node, struct cp_peer, node);

        cp_record_address(bytes, &p->path.remote);
        cp_put_bytes(out, cp_bytes(bytes, sizeof(bytes)));
    }
}

static void put_start(struct cp_record *r, struct cp_buf *out)
{
    const struct cp_engine *e = r->engine;
    uint8_t fixed[40], *p = fixed;

    p = cp_record_le64(p, e->now);
    p = cp_record_le64(p, e->birth);
    p = cp_record_le32(p, is_fresh(e) ? CP_START_FRESH : 0);
    p = cp_record_bytes(p,
                        cp_bytes(e->freshness.key, sizeof(e->freshness.key)));
    cp_record_le32(p, e->qblocks.tag);
    cp_put_bytes(out, cp_bytes(fixed, sizeof(fixed)));
    put_owed(e, out);
    r->set_up(r->user, out);
}

/* What would take more than half a part is tried again in the next one: by then
 * less may be owed. */
static void start(struct cp_record *r)
{
    struct cp_buf body = cp_buf_new(r->engine->mem);
    copal_bytes all;
    uint8_t *p;

    r->needs_start = false;
    put_start(r, &body);
    if (cp_buf_finish(&body, &all) != 0) {
        r->needs_start = true; /* there may be memory later */
    } else if (all.len > r->part_size / 2) {
        cp_trace_state(r->engine, "record_gap", "record_memory is too small");
    } else {
        p = cp_record_room(r, CP_RECORD_START, all.len);
        if (p != NULL)
            cp_record_bytes(p, all);
        r->told = r->engine->now;
        r->needs_start = false;
    }
    cp_buf_free(&body);
}

void cp_record_do_turned(struct cp_engine *e)
{
    if (e->record->needs_start)
        start(e->record);
}

/* ---- Randomness ---- */

static bool on_random(void *user, uint8_t *bytes, size_t n, bool before)
{
    struct cp_record *r = user;
    uint8_t *p;

    if (before)
        return false;
    p = cp_record_room(r, CP_RECORD_RANDOM, n);
    if (p != NULL)
        cp_record_bytes(p, cp_bytes(bytes, n));
    return false;
}

/* ---- Its life ---- */

void cp_record_freeze(struct cp_engine *e)
{
    if (e->record == NULL)
        return;
    e->frozen = e->record;
    e->record = NULL;
    e->random.tap = NULL;
}

void cp_record_end(struct cp_engine *e)
{
    cp_record_freeze(e);
    cp_free(e->mem, e->frozen);
    e->frozen = NULL;
}

int cp_record_begin(struct cp_engine *e, uint64_t bytes,
                    void (*set_up)(void *user, struct cp_buf *out), void *user)
{
    size_t part_size = (size_t)bytes / CP_RECORD_PARTS;
    struct cp_record *r = NULL;

    if (bytes > 0)
        r = cp_alloc(e->mem, sizeof(*r) + part_size * CP_RECORD_PARTS);
    if (bytes > 0 && r == NULL)
        return cp_why(e->mem, COPAL_ENOMEM,
                      "record_memory: no memory for %llu bytes, so that "
                      "nothing more is recorded than before",
                      (unsigned long long)bytes);
    cp_record_end(e);
    if (r == NULL)
        return 0;
    *r = (struct cp_record){
        .engine = e, .set_up = set_up, .user = user, .part_size = part_size};
    forget_all(r);
    e->record = r;
    e->random.tap = on_random;
    e->random.tap_user = r;
    if (!e->in_turn) /* else at its end, which is a good place */
        start(r);
    return 0;
}

/* ---- Records ---- */

void cp_record_do_time(struct cp_engine *e, bool is_asked)
{
    struct cp_record *r = e->record;
    uint8_t *p;

    if (r->told == e->now)
        return;
    r->told = e->now;
    p = cp_record_room(r, CP_RECORD_TIME | (is_asked ? CP_RECORD_NESTED : 0),
                       8);
    if (p != NULL)
        cp_record_le64(p, e->now);
}

void cp_record_do_datagram(struct cp_record *r, int type,
                           const struct cp_link *link,
                           const struct cp_path *path, copal_bytes datagram)
{
    uint8_t *p =
        cp_record_room(r, type & UINT8_MAX, CP_RECORD_PATH + datagram.len);

    if (p == NULL)
        return;
    p = cp_record_path(p, link, path, type > UINT8_MAX);
    cp_record_bytes(p, datagram);
}

void cp_record_do_lost(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_path *path, copal_bytes quoted,
                       int status)
{
    uint8_t *p = cp_record_room(e->record, CP_RECORD_LOST,
                                4 + CP_RECORD_PATH + quoted.len);

    if (p == NULL)
        return;
    p = cp_record_le32(p, (uint32_t)status);
    p = cp_record_path(p, link, path, false);
    cp_record_bytes(p, quoted);
}

void cp_record_do_stream(struct cp_engine *e, int type, uint32_t a, int b,
                         const struct cp_link *link, const struct cp_path *path,
                         copal_bytes bytes)
{
    uint8_t *p =
        cp_record_room(e->record, type, 8 + CP_RECORD_PATH + bytes.len);

    if (p == NULL)
        return;
    p = cp_record_le32(cp_record_le32(p, a), (uint32_t)b);
    cp_record_bytes(cp_record_path(p, link, path, false), bytes);
}

void cp_record_do_route(struct cp_engine *e, int type, struct cp_route *route,
                        int status, const char *why)
{
    struct cp_record *r = e->record;
    size_t count = status == 0 ? route->count : 0;
    uint8_t *p;

    if (type == CP_RECORD_ROUTE)
        route->number = ++r->routes;
    p = cp_record_room(
        r, type, 8 + cp_record_text_size(why) + 4 + count * CP_RECORD_PATH);
    if (p == NULL)
        return;
    p = cp_record_le32(p, route->number);
    p = cp_record_le32(p, (uint32_t)status);
    p = cp_record_text(p, why);
    p = cp_record_le32(p, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        p = cp_record_path(p, route->ways[i].link, &route->ways[i].path, false);
}

/* ---- Calls ---- */

static int call_type(const struct cp_engine *e, int type)
{
    return e->whose == CP_WHOSE_ENGINE ? type | CP_RECORD_NESTED : type;
}

void cp_record_do_call(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                       size_t count, const char *const *texts)
{
    size_t size = 16;
    uint8_t *p;

    for (size_t i = 0; i < count; i++)
        size += cp_record_text_size(texts[i]);
    p = cp_record_room(e->record, call_type(e, type), size);
    if (p == NULL)
        return;
    p = cp_record_le64(cp_record_le64(p, a), b);
    for (size_t i = 0; i < count; i++)
        p = cp_record_text(p, texts[i]);
}

void cp_record_do_write(struct cp_engine *e, uint64_t exchange, bool last,
                        copal_bytes piece)
{
    uint8_t *p = cp_record_room(e->record, call_type(e, CP_RECORD_WRITE),
                                20 + piece.len);

    if (p == NULL)
        return;
    p = cp_record_le64(cp_record_le64(p, exchange), last);
    cp_record_bytes(cp_record_le32(p, (uint32_t)piece.len), piece);
}

/* An answer: what cp_record_message() would put, at less expense. */
static void put_plain(struct cp_record *r, int type, uint64_t a, uint64_t b,
                      const copal_msg *m)
{
    size_t most = 36 + 6 * (size_t)m->option_count + m->data_len;
    uint8_t *body = cp_record_room(r, type, most + m->payload.len), *p;

    if (body == NULL)
        return;
    p = cp_record_le32(cp_record_le64(cp_record_le64(body, a), b), UINT32_MAX);
    p = cp_record_le32(cp_record_le32(p, m->code), m->flags);
    p = cp_record_le32(p, (uint32_t)m->option_count << 16);
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        p = cp_record_le32(cp_record_le16(p, o->number), o->len);
        for (uint32_t k = 0; k < o->len; k++) /* mostly few */
            *p++ = m->data[o->at + k];
    }
    p = cp_record_le32(p, (uint32_t)m->payload.len);
    r->at = cp_record_bytes(p, m->payload);
    cp_record_le32(body - 4, (uint32_t)(r->at - body));
}

static bool is_plain(const copal_msg *m)
{
    return m->target == NULL && m->tuned == NULL && !m->resumed &&
           m->from.family == CP_NO_ADDRESS;
}

void cp_record_do_message(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                          const char *to, const copal_msg *m)
{
    struct cp_record *r = e->record;
    uint8_t *body, *p;

    type = call_type(e, type);
    if (to == NULL && is_plain(m)) {
        put_plain(r, type, a, b, m);
        return;
    }
    body = cp_record_room(
        r, type, 16 + cp_record_text_size(to) + cp_record_message_size(m));
    if (body == NULL)
        return;
    p = cp_record_le64(cp_record_le64(body, a), b);
    r->at = cp_record_message(cp_record_text(p, to), m);
    cp_record_le32(body - 4, (uint32_t)(r->at - body));
}

void cp_record_put_call(struct cp_buf *out, int type, uint64_t a, uint64_t b,
                        size_t count, const char *const *texts)
{
    uint8_t head[CP_RECORD_HEAD + 16], length[4];
    size_t size = 16;

    for (size_t i = 0; i < count; i++)
        size += cp_record_text_size(texts[i]);
    head[0] = (uint8_t)type;
    cp_record_le32(head + 1, (uint32_t)size);
    cp_record_le64(cp_record_le64(head + CP_RECORD_HEAD, a), b);
    cp_put_bytes(out, cp_bytes(head, sizeof(head)));
    for (size_t i = 0; i < count; i++) {
        size_t len = texts[i] == NULL ? 0 : strlen(texts[i]);

        cp_record_le32(length, texts[i] == NULL ? UINT32_MAX : (uint32_t)len);
        cp_put_bytes(out, cp_bytes(length, sizeof(length)));
        cp_put_bytes(out, cp_bytes(texts[i], len));
    }
}
