#include "engine/connection.h"

#include <stdio.h>
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/block_partial.h"
#include "engine/core.h"
#include "engine/observe_core.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "wire/block.h"
#include "wire/uri.h"

enum {
    FIRST_NUMBER = 1024,    /* of a connection's link */
    CSM_WITHIN = 10000,     /* ms: the peer's first message */
    MESSAGE_WITHIN = 30000, /* ms: all of one, from its first byte */
    IDLE = 600000,          /* ms: of one that the peer opened */
    PONG_WITHIN = 30000,    /* ms */
    INLINE_MESSAGE = 1280,
    BERT_MOST = 32768, /* bytes of a block: fair to others by that connection */
    BLOCK_OPTIONS = 32 /* bytes that Block, Size, ETag and Echo may add */
};

void cp_connections_init(struct cp_engine *e)
{
    cp_list_init(&e->connections.all);
    cp_map_init(&e->connections.by_address, e->mem, &e->random);
}

/* ---- Who may connect ---- */

static uint64_t address_hash(struct cp_engine *e, const struct cp_address *from)
{
    struct cp_address host = *from;

    host.port = 0;
    return cp_map_hash(&e->connections.by_address, &host, sizeof(host));
}

/* The chain is as long as the limit at most. */
bool cp_engine_may_accept(struct cp_engine *e, const struct cp_address *from,
                          struct cp_unfinished unfinished)
{
    const int64_t *p = e->params.value;
    struct cp_map_node *n =
        cp_map_first(&e->connections.by_address, address_hash(e, from));
    int64_t count = (int64_t)unfinished.of_address;

    if (unfinished.all >= (size_t)p[COPAL_P_MAX_HANDSHAKES]) {
        cp_engine_limited(e, "max_handshakes");
        return false;
    }
    if (e->connections.accepted + unfinished.all >=
        (size_t)p[COPAL_P_MAX_CONNECTIONS]) {
        cp_engine_limited(e, "max_connections");
        return false;
    }
    for (; n != NULL; n = cp_map_next(n))
        count++;
    if (count < p[COPAL_P_ADDR_CONNECTIONS])
        return true;
    cp_engine_limited(e, "addr_connections");
    return false;
}

/* ---- Life ---- */

/* Those of sockets stay as long as the endpoint, of connections there may be
 * very many: they begin again. */
static void number(struct cp_engine *e, struct cp_link *link)
{
    uint32_t span = UINT16_MAX - FIRST_NUMBER;

    link->number = (uint16_t)(FIRST_NUMBER + e->connections.opened++ % span);
    link->mark = cp_record_mark(link);
}

int cp_engine_connected(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, enum cp_framing framing,
                        bool is_ours)
{
    struct cp_connection *c;

    if (link->number == 0)
        number(e, link);
    cp_record_stream(e, CP_RECORD_CONNECTED, framing, is_ours, link, path,
                     (copal_bytes){0});
    if (e->ending || (e->closing && !is_ours))
        return COPAL_ECLOSED;
    if (!is_ours &&
        !cp_engine_may_accept(e, &path->remote, (struct cp_unfinished){0}))
        return COPAL_ELIMIT;
    c = cp_zalloc(e->mem, sizeof(*c));
    if (c == NULL)
        return COPAL_ENOMEM;
    c->engine = e;
    c->link = link;
    c->path = *path;
    c->framing = framing;
    c->is_ours = is_ours;
    c->in = cp_buf_new(e->mem);
    c->opened_at = c->heard_at = e->now;
    c->peer = (struct cp_capabilities){.max_message = 1152, .max_token = 8};
    cp_list_init(&c->exchanges);
    cp_list_append(&e->connections.all, &c->node);
    if (!is_ours) {
        e->connections.accepted++;
        cp_map_put(&e->connections.by_address, &c->of_address,
                   address_hash(e, &path->remote));
    }
    link->connection = c;
    cp_connection_schedule(c);
    return cp_signal_csm(c);
}

void cp_connection_close(struct cp_connection *c)
{
    if (c->is_closing)
        return;
    c->is_closing = c->is_released = true;
    cp_buf_free(&c->in);
    cp_timer_stop(&c->engine->timers, &c->timer);
    c->link->ops->close(c->link);
}

/* The newest first: each that ends may let others of the same observation
 * begin anew, and these find another way. */
static void end_exchanges(struct cp_connection *c, int status)
{
    char where[CP_ADDRESS_TEXT];

    cp_address_print(&c->path.remote, 0, where);
    while (!cp_list_empty(&c->exchanges)) {
        copal_exchange *x =
            cp_container_of(c->exchanges.prev, copal_exchange, of_connection);

        cp_exchange_hold(x);
        cp_list_remove(&x->of_connection);
        x->connection = NULL;
        cp_exchange_fail(x, status,
                         x->is_ask ? "%s: the connection to %s ended before "
                                     "the answer came; try again"
                                   : "%s: the connection from %s ended",
                         copal_msg_uri(x->request), where);
        if (x->is_ask)
            cp_ask_of(x)->way.link = NULL;
        else
            cp_answer_of(x)->link = NULL;
        cp_exchange_let_go(x);
    }
}

void cp_engine_closed(struct cp_engine *e, struct cp_link *link, int status)
{
    struct cp_connection *c = link->connection;

    if (c == NULL)
        return;
    cp_record_stream(e, CP_RECORD_CLOSED, 0, status, link, &c->path,
                     (copal_bytes){0});
    c->is_closing = c->is_released = true;
    cp_timer_stop(&e->timers, &c->timer);
    end_exchanges(c, status == 0 ? COPAL_ECLOSED : status);
    cp_observer_link_gone(e, link, &c->path.remote);
    cp_block_partial_link_gone(e, link, &c->path.remote);
    cp_buf_free(&c->in);
    cp_list_remove(&c->node);
    if (!c->is_ours) {
        e->connections.accepted--;
        cp_map_remove(&e->connections.by_address, &c->of_address);
    }
    link->connection = NULL;
    cp_free(e->mem, c);
}

void cp_engine_shut_out(struct cp_engine *e, const struct cp_address *peer,
                        const char *why)
{
    char text[400], where[CP_ADDRESS_TEXT];

    cp_address_print(peer, 0, where);
    snprintf(text, sizeof(text), "%s: %s", where, why);
    cp_trace_security(e, "handshake_failed", text);
}

bool cp_engine_may_ask(const struct cp_link *link)
{
    return link->connection != NULL && !link->connection->is_released;
}

void cp_connections_release(struct cp_engine *e)
{
    list_each (node, after, &e->connections.all) {
        struct cp_connection *c =
            cp_container_of(node, struct cp_connection, node);

        if (!c->is_released)
            cp_signal_release(c);
        if (cp_list_empty(&c->exchanges))
            cp_connection_close(c);
    }
}

static bool is_under(const struct cp_connection *c, const char *prefix)
{
    int scheme = c->link->scheme;
    char base[400], where[CP_ADDRESS_TEXT];
    struct cp_buf b = cp_buf_fixed(base, sizeof(base));

    cp_address_print(&c->path.remote, cp_scheme_port(scheme), where);
    cp_put_format(&b, "%s://%s/", cp_scheme_name(scheme), where);
    if (!b.failed && strncmp(base, prefix, strlen(prefix)) == 0)
        return true;
    if (c->link->host == NULL)
        return false;
    b = cp_buf_fixed(base, sizeof(base));
    cp_uri_put_base(&b, scheme, c->link->host, c->path.remote.port);
    cp_put_text(&b, "/");
    return cp_buf_text(&b) != NULL &&
           strncmp(base, prefix, strlen(prefix)) == 0;
}

int cp_connections_close(struct cp_engine *e, const char *prefix)
{
    int count = 0;

    list_each (node, after, &e->connections.all) {
        struct cp_connection *c =
            cp_container_of(node, struct cp_connection, node);

        if (c->is_closing || !is_under(c, prefix))
            continue;
        cp_signal_release(c);
        cp_connection_close(c);
        count++;
    }
    return count;
}

void cp_connections_clear(struct cp_engine *e)
{
    list_each (node, after, &e->connections.all)
        cp_engine_closed(
            e, cp_container_of(node, struct cp_connection, node)->link, 0);
    cp_map_clear(&e->connections.by_address);
}

/* ---- Time ---- */

static bool is_needed(const struct cp_connection *c)
{
    return !cp_list_empty(&c->exchanges) ||
           cp_observer_of_link(c->engine, c->link, &c->path.remote);
}

/* Silent for so long, a peer is asked whether it is there. */
static uint64_t silence_of(const struct cp_connection *c)
{
    uint64_t keepalive = (uint64_t)c->engine->params.value[COPAL_P_KEEPALIVE];

    if (keepalive > 0)
        return keepalive;
    return c->is_ours ? UINT64_MAX : IDLE;
}

static uint64_t next_deadline(const struct cp_connection *c)
{
    uint64_t at = UINT64_MAX, silence = silence_of(c);

    if (!c->heard_csm)
        at = c->opened_at + CSM_WITHIN;
    if (c->in.len > 0 && c->begun_at + MESSAGE_WITHIN < at)
        at = c->begun_at + MESSAGE_WITHIN;
    if (c->pinged_at != 0 && c->pinged_at + PONG_WITHIN < at)
        at = c->pinged_at + PONG_WITHIN;
    if (c->pinged_at == 0 && silence != UINT64_MAX &&
        c->heard_at + silence < at)
        at = c->heard_at + silence;
    return at;
}

/* One that nobody needs is given up; of another it must be known whether the
 * peer is still there. */
static void on_silence(struct cp_connection *c)
{
    if (!c->is_ours && !is_needed(c) &&
        c->engine->params.value[COPAL_P_KEEPALIVE] == 0) {
        cp_signal_release(c);
        cp_connection_close(c);
        return;
    }
    c->pinged_at = c->engine->now;
    cp_signal_ping(c, (copal_bytes){0});
    cp_connection_schedule(c);
}

static void on_time(struct cp_timer *t)
{
    struct cp_connection *c = cp_container_of(t, struct cp_connection, timer);
    uint64_t now = c->engine->now;

    if (next_deadline(c) > now) /* something came meanwhile */
        cp_connection_schedule(c);
    else if (!c->heard_csm)
        cp_signal_abort(c, 0, "no CSM came");
    else if (c->in.len > 0 && now >= c->begun_at + MESSAGE_WITHIN)
        cp_signal_abort(c, 0, "a message took too long");
    else if (c->pinged_at != 0)
        cp_connection_close(c);
    else
        on_silence(c);
}

/* The timer may be early, never late: it looks again when it comes due. */
void cp_connection_schedule(struct cp_connection *c)
{
    uint64_t at = next_deadline(c);

    if (c->is_closing || at == UINT64_MAX ||
        (cp_timer_is_on(&c->timer) && c->timer.at <= at))
        return;
    cp_timer_start(&c->engine->timers, &c->timer, at, on_time);
}

/* ---- What comes ---- */

static bool name_sender(const struct cp_connection *c, copal_msg *m)
{
    const char *identity = c->link->identity;

    if (identity != NULL)
        m->identity = cp_copy_text(m->mem, identity, strlen(identity));
    return identity == NULL || m->identity != NULL;
}

static void on_message(struct cp_connection *c, const struct cp_frame *f,
                       copal_bytes bytes)
{
    struct cp_engine *e = c->engine;
    copal_msg *m = NULL;
    int err;

    c->heard_at = e->now;
    e->stats.datagrams_in++;
    e->stats.bytes_in += bytes.len;
    cp_trace_message(e, CP_TRACE_IN, c, bytes);
    if (f->token.len > (size_t)e->params.value[COPAL_P_MAX_TOKEN])
        err = COPAL_EFORMAT; /* longer than we announced: RFC 8974 2.2.1 */
    else
        err = cp_frame_decode(e->mem, f, &m);
    if (err == COPAL_ENOMEM || err == COPAL_ELIMIT) {
        cp_signal_abort(c, 0, "out of memory");
    } else if (err != 0) {
        e->stats.malformed++;
        cp_signal_abort(c, 0, "malformed message");
    } else if (!c->heard_csm && m->code != COPAL_CODE(7, 1)) {
        e->stats.malformed++; /* RFC 8323 5.3 */
        cp_signal_abort(c, 0, "the first message is to be a CSM");
    } else if (!name_sender(c, m)) {
        cp_signal_abort(c, 0, "out of memory");
    } else {
        m->path = c->path;
        m->scheme = (uint8_t)c->link->scheme;
        if (cp_code_class(m->code) == 7)
            cp_signal_hear(c, m);
        else if (cp_code_is_request(m->code))
            cp_engine_request(e, c->link, &m, NULL);
        else if (cp_code_is_response(m->code))
            cp_ask_hear(e, c->link, &m, NULL);
        else if (m->code != COPAL_EMPTY) /* which is ignored: RFC 8323 3.4 */
            e->stats.rejected++;
    }
    copal_msg_unref(m);
}

/* The messages at the beginning of bytes. How much of them that was. */
static size_t take_messages(struct cp_connection *c, copal_bytes bytes)
{
    uint64_t most = (uint64_t)c->engine->params.value[COPAL_P_MAX_MESSAGE];
    size_t taken = 0;

    while (!c->is_closing && taken < bytes.len) {
        copal_bytes left = cp_bytes(bytes.data + taken, bytes.len - taken);
        struct cp_frame f;
        int err = cp_frame_read(left, c->framing, &f);

        if (f.size > most) { /* known before any of it is kept */
            cp_engine_limited(c->engine, "max_message");
            cp_signal_abort(c, 0, "longer than Max-Message-Size");
        } else if (err == COPAL_EFORMAT) {
            c->engine->stats.malformed++;
            cp_signal_abort(c, 0, "malformed message");
        } else if (err == COPAL_ESTATE) {
            break;
        } else {
            on_message(c, &f, cp_bytes(left.data, (size_t)f.size));
            taken += (size_t)f.size;
        }
    }
    return c->is_closing ? bytes.len : taken;
}

static void keep(struct cp_connection *c, copal_bytes rest)
{
    if (rest.len == 0)
        return;
    if (c->in.len == 0)
        c->begun_at = c->engine->now;
    cp_put_bytes(&c->in, rest);
    if (c->in.failed)
        cp_signal_abort(c, 0, "out of memory");
}

/* Bytes are kept only where a message is not all there; then what comes next is
 * put behind it, and read again once there may be enough. */
void cp_engine_bytes(struct cp_engine *e, struct cp_link *link,
                     copal_bytes bytes)
{
    struct cp_connection *c = link->connection;
    size_t taken;

    if (c == NULL || c->is_closing)
        return;
    cp_record_stream(e, CP_RECORD_STREAM_IN, 0, 0, link, &c->path, bytes);
    if (c->in.len == 0) {
        taken = take_messages(c, bytes);
        keep(c, cp_bytes(bytes.data + taken, bytes.len - taken));
    } else {
        cp_put_bytes(&c->in, bytes);
        if (c->in.failed) {
            cp_signal_abort(c, 0, "out of memory");
            return;
        }
        taken = take_messages(c, cp_bytes(c->in.data, c->in.len));
        if (c->is_closing)
            return;
        if (taken > 0) {
            memmove(c->in.data, c->in.data + taken, c->in.len - taken);
            c->in.len -= taken;
            c->begun_at = c->engine->now;
        }
        if (c->in.len == 0)
            cp_buf_free(&c->in);
    }
    cp_connection_schedule(c);
}

/* ---- What goes ---- */

bool cp_connection_takes(const struct cp_link *link, const copal_msg *m,
                         size_t token_len)
{
    const struct cp_connection *c = link->connection;

    return c == NULL ||
           cp_frame_size(m, cp_bytes(NULL, token_len), c->framing) +
                   BLOCK_OPTIONS <=
               c->peer.max_message;
}

uint16_t cp_connection_block(const struct cp_link *link, const copal_msg *m)
{
    const struct cp_connection *c = link->connection;
    uint64_t head, room;

    if (c == NULL)
        return CP_BLOCK_MAX_SIZE;
    if (!c->peer.block_wise)
        return 0;
    head = cp_frame_size(m, cp_bytes(NULL, 8), c->framing) - m->payload.len +
           BLOCK_OPTIONS;
    room = c->peer.max_message > head ? c->peer.max_message - head : 0;
    if (room > BERT_MOST)
        room = BERT_MOST;
    if (c->peer.max_message > 1152 && room > CP_BLOCK_MAX_SIZE)
        return (uint16_t)(room / CP_BLOCK_MAX_SIZE * CP_BLOCK_MAX_SIZE);
    return cp_block_fit(room);
}

static int send_by(struct cp_connection *c, copal_bytes bytes)
{
    int err = cp_link_send(c->link, &c->path, bytes);

    cp_record_stream(c->engine, CP_RECORD_STREAM_OUT, 0, err, c->link, &c->path,
                     bytes);
    return err;
}

int cp_connection_send(struct cp_link *link, const copal_msg *m,
                       copal_bytes token)
{
    struct cp_connection *c = link->connection;
    uint8_t storage[INLINE_MESSAGE];
    struct cp_buf out;
    copal_bytes bytes;
    size_t size;
    int err;

    if (c == NULL || c->is_closing)
        return COPAL_ECLOSED;
    size = cp_frame_size(m, token, c->framing);
    if (size > c->peer.max_message || token.len > c->peer.max_token)
        return COPAL_ELIMIT;
    out = size <= sizeof(storage) ? cp_buf_fixed(storage, sizeof(storage))
                                  : cp_buf_new(c->engine->mem);
    err = cp_frame_encode(m, token, c->framing, &out);
    if (err == 0)
        err = cp_buf_finish(&out, &bytes);
    if (err == 0)
        err = send_by(c, bytes);
    if (err == 0) {
        cp_engine_count_datagram(c->engine, true, bytes.len);
        cp_trace_message(c->engine, CP_TRACE_OUT, c, bytes);
    }
    if (out.data != storage)
        cp_buf_free(&out);
    return err;
}

/* ---- Who goes by it ---- */

void cp_connection_join(copal_exchange *x, struct cp_link *link)
{
    struct cp_connection *c = link == NULL ? NULL : link->connection;

    if (x->connection == c)
        return;
    cp_connection_part(x);
    x->connection = c;
    if (c != NULL)
        cp_list_append(&c->exchanges, &x->of_connection);
}

void cp_connection_part(copal_exchange *x)
{
    struct cp_connection *c = x->connection;

    if (c == NULL)
        return;
    x->connection = NULL;
    cp_list_remove(&x->of_connection);
    if (c->is_closing)
        return;
    cp_signal_settle(c);
    if (c->is_released && cp_list_empty(&c->exchanges))
        cp_connection_close(c);
}
