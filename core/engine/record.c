#include "engine/record.h"
#include "engine/ask.h"
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

void cp_record_plain_in_next_part(struct cp_record *r, int type)
{
    if (cp_record_next_part(r, CP_RECORD_HEAD))
        cp_record_open(r, r->at, type, 0);
}

void cp_record_pair_in_next_part(struct cp_record *r, int type, uint64_t a,
                                 uint64_t b)
{
    if (cp_record_next_part(r, CP_RECORD_HEAD + 16))
        cp_record_le64(cp_record_le64(cp_record_open(r, r->at, type, 16), a),
                       b);
}

const copal_event *cp_record_call_in_next_part(struct cp_record *r,
                                               const copal_event *ev)
{
    cp_record_pair_in_next_part(r, CP_RECORD_CALLBACK, cp_record_kind_of(ev),
                                ev->exchange->serial);
    return ev;
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

static uint32_t start_flags(const struct cp_engine *e)
{
    bool has_uploads = e->bodies.in.count > 0 || e->qblocks.done.count > 0;

    return (is_fresh(e) ? CP_START_FRESH : 0u) |
           (e->observing.observers.count > 0 ? CP_START_OBSERVED : 0u) |
           (has_uploads ? CP_START_UPLOADS : 0u);
}

/* Addresses as they are put, or only counted. */
struct owed {
    struct cp_buf *out; /* NULL: they are counted */
    uint32_t count;
    const struct cp_address *last;
};

static void owe(struct owed *o, const struct cp_address *remote)
{
    uint8_t bytes[CP_RECORD_ADDRESS];

    if (o->last != NULL && cp_address_equal(o->last, remote))
        return; /* of many asks one server is the peer, mostly */
    o->last = remote;
    o->count++;
    if (o->out == NULL)
        return;
    cp_record_address(bytes, remote);
    cp_put_bytes(o->out, cp_bytes(bytes, sizeof(bytes)));
}

/* Whom it asks; and where it would turn if nobody is there. */
static void owe_ask(struct owed *o, const struct cp_ask *a)
{
    if (a->way.link != NULL)
        owe(o, &a->way.path.remote);
    if (a->route == NULL || a->routing)
        return;
    for (size_t i = a->way_index; i < a->route->count; i++)
        owe(o, &a->route->ways[i].path.remote);
}

static uint32_t owe_all(const struct cp_engine *e, struct cp_buf *out)
{
    struct owed o = {.out = out};

    map_each (node, after, &e->peers)
        owe(&o, &cp_container_of(node, struct cp_peer, node)->path.remote);
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        if (x->is_ask && !x->over)
            owe_ask(&o, cp_ask_of(x));
    }
    return o.count;
}

/* What is kept of answers, and known of who speaks Q-Block, decides what is asked
 * and how, whoever it is. */
static bool is_anybody(const struct cp_record *r, uint32_t count)
{
    const struct cp_caching *c = &r->engine->caching;

    return c->by_key.count > 0 || c->held_back.count > 0 ||
           r->engine->qblocks.peers.count > 0 ||
           count > r->part_size / 8 / CP_RECORD_ADDRESS;
}

/* Who is owed something or was asked, where that is known yet. */
static void put_owed(const struct cp_record *r, struct cp_buf *out)
{
    static const struct cp_address anybody = {0};
    uint32_t count = owe_all(r->engine, NULL);
    bool is_all = is_anybody(r, count);
    uint8_t bytes[4 + CP_RECORD_ADDRESS];

    cp_record_address(cp_record_le32(bytes, is_all ? 1 : count), &anybody);
    cp_put_bytes(out, cp_bytes(bytes, is_all ? sizeof(bytes) : 4));
    if (!is_all)
        owe_all(r->engine, out);
}

static void put_start(struct cp_record *r, struct cp_buf *out)
{
    const struct cp_engine *e = r->engine;
    uint8_t fixed[40], *p = fixed;

    p = cp_record_le64(p, e->now);
    p = cp_record_le64(p, e->birth);
    p = cp_record_le32(p, start_flags(e));
    p = cp_record_bytes(p,
                        cp_bytes(e->freshness.key, sizeof(e->freshness.key)));
    cp_record_le32(p, e->qblocks.tag);
    cp_put_bytes(out, cp_bytes(fixed, sizeof(fixed)));
    put_owed(r, out);
    r->set_up(r->user, out);
}

static void begin_with(struct cp_record *r, copal_bytes start)
{
    uint8_t *p = cp_record_room(r, CP_RECORD_START, start.len);

    if (p != NULL && p != start.data)
        cp_record_bytes(p, start);
    r->told = r->engine->now;
    r->needs_start = false;
}

/* At once where it goes, if it is not too long. */
static bool start_in_place(struct cp_record *r)
{
    size_t room = (size_t)(r->end - r->at);
    struct cp_buf body;
    copal_bytes all;

    if (room < r->part_size / 2 + CP_RECORD_HEAD)
        return false;
    body = cp_buf_fixed(r->at + CP_RECORD_HEAD, r->part_size / 2);
    put_start(r, &body);
    if (cp_buf_finish(&body, &all) != 0)
        return false;
    begin_with(r, all);
    return true;
}

/* What would take more than half a part is tried again in the next one: by then
 * less may be owed. */
static void start(struct cp_record *r)
{
    struct cp_buf body;
    copal_bytes all;

    r->needs_start = false; /* what it takes is no event to begin at */
    if (start_in_place(r))
        return;
    body = cp_buf_new(r->engine->mem);
    put_start(r, &body);
    if (cp_buf_finish(&body, &all) != 0)
        r->needs_start = true; /* there may be memory later */
    else if (all.len > r->part_size / 2)
        cp_trace_state(r->engine, "record_gap", "record_memory is too small");
    else
        begin_with(r, all);
    cp_buf_free(&body);
}

void cp_record_do_turned(struct cp_engine *e)
{
    if (e->record->needs_start)
        start(e->record);
}

/* ---- Randomness ---- */

static void note_random(struct cp_record *r, const void *bytes, size_t n)
{
    uint8_t *p = cp_record_room(r, CP_RECORD_RANDOM, n);

    if (p != NULL)
        cp_record_bytes(p, cp_bytes(bytes, n));
}

uint16_t cp_record_mid_in_next_part(struct cp_record *r, uint16_t mid)
{
    note_random(r, &mid, sizeof(mid));
    return mid;
}

static __attribute__((noinline)) void draw_others(struct cp_random *random,
                                                  uint8_t *out, size_t n)
{
    cp_random_untapped(random, out, n);
    note_random(random->tap_user, out, n);
}

/* Tokens and what timers are spread by, mostly, are seen before they are drawn:
 * nothing has to be kept meanwhile. */
static void draw(struct cp_random *random, uint8_t *out, size_t n)
{
    struct cp_record *r = random->tap_user;
    const uint8_t *next = cp_random_next_eight(random);
    uint8_t *p = r->at;

    if (n != 8 || next == NULL || !cp_record_fits(r, p, CP_RECORD_HEAD + 8)) {
        draw_others(random, out, n);
        return;
    }
    memcpy(cp_record_open(r, p, CP_RECORD_RANDOM, 8), next, 8);
    cp_random_untapped(random, out, 8);
}

/* ---- Its life ---- */

void cp_record_freeze(struct cp_engine *e)
{
    if (e->record == NULL)
        return;
    e->frozen = e->record;
    e->record = NULL;
    e->random.tap_user = NULL;
    e->random.draw = NULL;
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
    e->random.draw = draw;
    e->random.tap_user = r;
    if (!e->in_turn) /* else at its end, which is a good place */
        start(r);
    return 0;
}

/* ---- Records ---- */

static void put_time(struct cp_record *r, int type)
{
    uint64_t now = r->engine->now;
    uint8_t *p;

    r->told = now;
    p = cp_record_room(r, type, 8);
    if (p != NULL)
        cp_record_le64(p, now);
}

void cp_record_do_time(struct cp_engine *e, bool is_asked)
{
    if (e->record->told != e->now)
        put_time(e->record, CP_RECORD_TIME | (is_asked ? CP_RECORD_NESTED : 0));
}

/* What timers find out stands right behind TURN, and those who wait are told in
 * the same turn; what a datagram brings within the same ms, in the next. What
 * else ends as TURN looks is followed by a TIME for nothing, which does no
 * harm. */
static CP_RECORD_RARE void keep_apart(struct cp_record *r)
{
    static const uint8_t turn[CP_RECORD_HEAD] = {CP_RECORD_TURN};
    const uint8_t *part = r->data + r->now * r->part_size;

    if (r->engine->in_turn != CP_IN_TIMERS && r->at >= part + sizeof(turn) &&
        memcmp(r->at - sizeof(turn), turn, sizeof(turn)) == 0)
        put_time(r, CP_RECORD_TIME);
}

/* What every message pays for: nothing is kept across a call, the last of which
 * is the copy, in whose order the arguments are. */
static CP_RECORD_RARE void datagram_in_next_part(struct cp_record *r,
                                                 copal_bytes datagram,
                                                 const struct cp_path *path,
                                                 uint32_t mark, int type)
{
    if (cp_record_next_part(r, CP_RECORD_HEAD + CP_RECORD_PATH + datagram.len))
        cp_record_do_datagram(r, datagram, path, mark, type);
}

void cp_record_do_datagram(struct cp_record *r, copal_bytes datagram,
                           const struct cp_path *path, uint32_t mark, int type)
{
    size_t n = CP_RECORD_PATH + datagram.len;
    uint8_t *p = r->at;

    if (!cp_record_fits(r, p, CP_RECORD_HEAD + n)) {
        datagram_in_next_part(r, datagram, path, mark, type);
        return;
    }
    p = cp_record_path(cp_record_open(r, p, type, n), path);
    cp_record_bytes(cp_record_le32(p, mark), datagram);
}

void cp_record_do_lost(struct cp_engine *e, int type,
                       const struct cp_link *link, const struct cp_path *path,
                       copal_bytes quoted, int status)
{
    uint8_t *p;

    if (type == CP_RECORD_OVER)
        keep_apart(e->record);
    p = cp_record_room(e->record, type, 4 + CP_RECORD_PATH + quoted.len);
    if (p == NULL)
        return;
    p = cp_record_le32(p, (uint32_t)status);
    p = cp_record_le32(cp_record_path(p, path), link->mark);
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
    p = cp_record_le32(cp_record_path(p, path), link->mark);
    cp_record_bytes(p, bytes);
}

static __attribute__((noinline)) void put_route(struct cp_record *r, int type,
                                                const struct cp_route *route,
                                                int status, const char *text)
{
    copal_bytes why = {0};
    size_t count = status == 0 ? route->count : 0;
    uint8_t *p;

    if (text != NULL)
        why = cp_bytes_of_text(text);
    p = cp_record_room(r, type, 16 + why.len + count * CP_RECORD_PATH);
    if (p == NULL)
        return;
    p = cp_record_le32(p, route->number);
    p = cp_record_le32(p, (uint32_t)status);
    p = cp_record_le32(p, why.data == NULL ? UINT32_MAX : (uint32_t)why.len);
    p = cp_record_bytes(p, why);
    p = cp_record_le32(p, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        p = cp_record_le32(cp_record_path(p, &route->ways[i].path),
                           route->ways[i].link->mark);
}

void cp_record_do_named(struct cp_engine *e, const char *identity)
{
    copal_bytes text = cp_bytes_of_text(identity);
    uint8_t *p = cp_record_room(e->record, CP_RECORD_NAMED, text.len);

    if (p != NULL)
        cp_record_bytes(p, text);
}

void cp_record_do_look_up(struct cp_engine *e, const char *kind,
                          copal_bytes whose)
{
    uint8_t *p = cp_record_room(e->record, CP_RECORD_LOOK_UP,
                                16 + cp_record_text_size(kind) + 4 + whose.len);

    if (p == NULL)
        return;
    p = cp_record_le64(cp_record_le64(p, e->serial), 0);
    p = cp_record_le32(cp_record_text(p, kind), (uint32_t)whose.len);
    cp_record_bytes(p, whose);
}

void cp_record_do_route(struct cp_engine *e, int type, struct cp_route *route,
                        int status, const char *why)
{
    struct cp_record *r = e->record;
    uint8_t *p;

    if (type == CP_RECORD_ROUTE)
        route->number = ++r->routes;
    else
        keep_apart(r);
    p = r->at;
    if (status == 0 && route->count == 1 &&
        cp_record_fits(r, p, CP_RECORD_HEAD + 16 + CP_RECORD_PATH)) {
        p = cp_record_open(r, p, type, 16 + CP_RECORD_PATH);
        p = cp_record_le32(cp_record_le32(p, route->number), 0);
        p = cp_record_le32(cp_record_le32(p, UINT32_MAX), 1);
        cp_record_le32(cp_record_path(p, &route->ways[0].path),
                       route->ways[0].link->mark);
        return;
    }
    put_route(r, type, route, status, why);
}

/* ---- Calls ---- */

void cp_record_do_call(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                       size_t count, const char *const *texts)
{
    size_t size = 16;
    uint8_t *p;

    for (size_t i = 0; i < count; i++)
        size += cp_record_text_size(texts[i]);
    p = cp_record_room(e->record, cp_record_call_type(e, type), size);
    if (p == NULL)
        return;
    p = cp_record_le64(cp_record_le64(p, a), b);
    for (size_t i = 0; i < count; i++)
        p = cp_record_text(p, texts[i]);
}

void cp_record_do_write(struct cp_engine *e, uint64_t exchange, bool last,
                        copal_bytes piece)
{
    uint8_t *p = cp_record_room(
        e->record, cp_record_call_type(e, CP_RECORD_WRITE), 20 + piece.len);

    if (p == NULL)
        return;
    p = cp_record_le64(cp_record_le64(p, exchange), last);
    cp_record_bytes(cp_record_le32(p, (uint32_t)piece.len), piece);
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
