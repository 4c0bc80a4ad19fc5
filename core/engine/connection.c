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
    SMALLEST = 2, /* bytes of a message without token: RFC 8323 3.2 */
    ABORT = COPAL_CODE(7, 5),
    BERT_MOST = 32768, /* bytes of a block: fair to others by that connection */
    BLOCK_OPTIONS = 32 /* bytes that Block, Size, ETag and Echo may add */
};

void cp_connections_init(struct cp_engine *e)
{
    cp_list_init(&e->connections.all);
    cp_list_init(&e->connections.loose);
    cp_map_init(&e->connections.by_address, e->mem, &e->random);
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
                     link->identity == NULL ? (copal_bytes){0}
                                            : cp_bytes_of_text(link->identity));
    if (e->ending || (e->closing && !is_ours))
        return COPAL_ECLOSED;
    if (!is_ours && !cp_room_for(e, &path->remote))
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
    cp_room_enter(c);
    link->connection = c;
    cp_connection_schedule(c);
    return cp_signal_csm(c);
}

void cp_connection_close(struct cp_connection *c)
{
    if (c->is_closing)
        return;
    c->is_closing = c->is_released = true;
    cp_connection_in_clear(c);
    cp_room_loosen(c);
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
    cp_connection_in_clear(c);
    cp_list_remove(&c->node);
    cp_room_leave(c);
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

bool cp_connection_is_under(int scheme, const char *host,
                            const struct cp_address *remote, const char *prefix)
{
    char base[400], where[CP_ADDRESS_TEXT];
    struct cp_buf b = cp_buf_fixed(base, sizeof(base));

    cp_address_print(remote, cp_scheme_port(scheme), where);
    cp_put_format(&b, "%s://%s/", cp_scheme_name(scheme), where);
    if (!b.failed && strncmp(base, prefix, strlen(prefix)) == 0)
        return true;
    if (host == NULL)
        return false;
    b = cp_buf_fixed(base, sizeof(base));
    cp_uri_put_base(&b, scheme, host, remote->port);
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

        if (c->is_closing ||
            !cp_connection_is_under(c->link->scheme, c->link->host,
                                    &c->path.remote, prefix))
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
    if (cp_connection_in_waits(c) && c->begun_at + MESSAGE_WITHIN < at)
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
    else if (cp_connection_in_waits(c) && now >= c->begun_at + MESSAGE_WITHIN)
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

/* Not even a code fits into what the peer takes: it would wait for ever for what
 * it asked. The only word beyond that limit is the last. RFC 8323 5.3.1, 5.6. */
static void leave_speechless(struct cp_connection *c, const copal_msg *m)
{
    if (cp_code_is_request(m->code))
        return; /* whoever asks is told */
    cp_signal_abort(c, 0, "Max-Message-Size leaves no room for an answer");
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
    if ((size > c->peer.max_message && m->code != ABORT) ||
        token.len > c->peer.max_token) {
        if (SMALLEST + token.len > c->peer.max_message)
            leave_speechless(c, m);
        return COPAL_ELIMIT;
    }
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
