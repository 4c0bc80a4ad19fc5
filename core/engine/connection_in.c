/* What comes by a connection: bytes become messages, so many in a row, and of a
 * message that is not all there is kept what there is room for. */
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/record.h"
#include "engine/trace.h"
#include "engine/transfer.h"

enum {
    AT_ONCE = 64,      /* messages in a row; then it is others' turn */
    FREE_BYTES = 4096, /* of a message: held without asking for room */
    SHARE = 4          /* one part of so many of BODY_MEMORY has an address */
};

/* ---- Messages ---- */

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
    if (err == COPAL_ENOMEM) {
        cp_signal_abort(c, 0, "out of memory");
    } else if (err == COPAL_ELIMIT) {
        e->stats.malformed++;
        cp_signal_abort(c, 0, "too many options");
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

/* Reads the message at the beginning of bytes. Its size, or 0: it is not all
 * there, or there is nothing more to hear. */
static size_t take_one(struct cp_connection *c, copal_bytes bytes)
{
    uint64_t most = (uint64_t)c->engine->params.value[COPAL_P_MAX_MESSAGE];
    struct cp_frame f;
    int err = cp_frame_read(bytes, c->framing, &f);

    if (f.size > most) { /* known before any of it is kept */
        cp_engine_limited(c->engine, "max_message");
        cp_signal_abort(c, 0, "longer than Max-Message-Size");
    } else if (err == COPAL_EFORMAT) {
        c->engine->stats.malformed++;
        cp_signal_abort(c, 0, "malformed message");
    } else if (err == 0) {
        on_message(c, &f, cp_bytes(bytes.data, (size_t)f.size));
        return (size_t)f.size;
    } else {
        c->expected = f.size;
    }
    return 0;
}

/* The messages at the beginning of bytes. How much of them that was. */
static size_t take_messages(struct cp_connection *c, copal_bytes bytes)
{
    size_t taken = 0, n = 1;
    int count = 0;

    while (n > 0 && taken < bytes.len && count < AT_ONCE && !c->is_closing) {
        n = take_one(c, cp_bytes(bytes.data + taken, bytes.len - taken));
        taken += n;
        count++;
    }
    c->has_more = n > 0 && taken < bytes.len && !c->is_closing;
    return taken;
}

/* ---- What is not all there ---- */

void cp_connection_in_clear(struct cp_connection *c)
{
    cp_buf_free(&c->in);
    cp_bodies_give_back(c->engine, c->charged);
    c->charged = c->to_skip = 0;
    c->has_more = false;
}

bool cp_connection_in_waits(const struct cp_connection *c)
{
    return (c->in.len > 0 && !c->has_more) || c->to_skip > 0;
}

/* Whole messages that wait for their turn are no body: there is no more of them
 * than was read at once. */
static bool charge(struct cp_connection *c, size_t held)
{
    struct cp_engine *e = c->engine;
    uint64_t wanted = held > FREE_BYTES ? held - FREE_BYTES : 0, others;

    if (wanted <= c->charged) {
        cp_bodies_give_back(e, c->charged - wanted);
        c->charged = wanted;
        return true;
    }
    others = cp_room_charged(c);
    if (others > 0 &&
        others + wanted >
            (uint64_t)e->params.value[COPAL_P_BODY_MEMORY] / SHARE) {
        cp_engine_limited(e, "body_memory");
        return false;
    }
    if (!cp_bodies_take(e, wanted - c->charged))
        return false;
    c->charged = wanted;
    return true;
}

/* It is a request that can be answered. Before its CSM a peer sends none. */
static bool may_answer(const struct cp_connection *c, const struct cp_frame *f)
{
    return c->heard_csm && f->token.data != NULL &&
           f->token.len <= (size_t)c->engine->params.value[COPAL_P_MAX_TOKEN] &&
           cp_code_is_request(f->code);
}

static void answer_too_large(struct cp_connection *c, copal_bytes token)
{
    copal_msg *m = cp_msg_new(c->engine->mem, COPAL_TOO_LARGE, 0);

    if (m != NULL) {
        m->frozen = true;
        (void)cp_connection_send(c->link, m, token);
    }
    copal_msg_unref(m);
}

/* There is no room for the message of which rest is the newest part. A request
 * is refused by its head, and what follows of it passes by; to anything else
 * there is no answer but the end. RFC 7959 2.9.3, RFC 8323 5.6. */
static void refuse(struct cp_connection *c, copal_bytes rest)
{
    size_t there = c->in.len + rest.len;
    struct cp_frame f;

    cp_put_bytes(&c->in, cp_bytes(rest.data, rest.len < FREE_BYTES
                                                 ? rest.len
                                                 : (size_t)FREE_BYTES));
    if (cp_frame_read(cp_bytes(c->in.data, c->in.len), c->framing, &f) ==
            COPAL_ESTATE &&
        f.size > there && !c->in.failed && may_answer(c, &f)) {
        answer_too_large(c, f.token);
        cp_connection_in_clear(c);
        c->to_skip = f.size - there;
    } else {
        cp_signal_abort(c, 0, "no room for a message that long");
    }
}

/* Room for a message that grows to a known size is not taken beyond that, and not
 * before it comes: what is announced costs nobody anything. */
static size_t room_for(const struct cp_connection *c, size_t len)
{
    size_t room = c->in.cap;

    if (len <= room)
        return room;
    room = 2 * room < len ? len : 2 * room;
    return room > c->expected && len <= c->expected ? (size_t)c->expected
                                                    : room;
}

static void keep(struct cp_connection *c, copal_bytes rest)
{
    size_t room = room_for(c, c->in.len + rest.len);

    if (rest.len == 0 || c->is_closing)
        return;
    if (c->in.len == 0)
        c->begun_at = c->engine->now;
    if (!c->has_more && !charge(c, room)) {
        if (!c->is_closing)
            refuse(c, rest);
        return;
    }
    cp_buf_reserve(&c->in, room);
    cp_put_bytes(&c->in, rest);
    if (c->in.failed)
        cp_signal_abort(c, 0, "out of memory");
}

/* What was taken goes. A long message leaves no more room behind than the rest
 * needs, once that is all that there is. */
static void drop_taken(struct cp_connection *c, size_t taken)
{
    struct cp_buf all = c->in;
    copal_bytes rest = cp_bytes(all.data + taken, all.len - taken);

    if (taken == 0)
        return;
    c->begun_at = c->engine->now;
    if (rest.len > 0 && (all.cap <= FREE_BYTES || c->has_more)) {
        memmove(all.data, rest.data, rest.len);
        c->in.len = rest.len;
        return;
    }
    c->in = cp_buf_new(c->engine->mem);
    charge(c, 0);
    keep(c, rest);
    cp_buf_free(&all);
}

/* Bytes are kept only where a message is not all there, or has to wait; then what
 * comes next is put behind it, and read again once there may be enough. */
static void take_bytes(struct cp_connection *c, copal_bytes bytes)
{
    size_t taken;

    if (c->in.len == 0) {
        taken = take_messages(c, bytes);
        keep(c, cp_bytes(bytes.data + taken, bytes.len - taken));
        return;
    }
    if (bytes.len > 0) {
        keep(c, bytes);
        if (c->has_more || c->in.len == 0)
            return;
    }
    taken = take_messages(c, cp_bytes(c->in.data, c->in.len));
    if (!c->is_closing)
        drop_taken(c, taken);
}

void cp_engine_bytes(struct cp_engine *e, struct cp_link *link,
                     copal_bytes bytes)
{
    struct cp_connection *c = link->connection;
    size_t skipped;

    if (c == NULL || c->is_closing)
        return;
    cp_record_stream(e, CP_RECORD_STREAM_IN, 0, 0, link, &c->path, bytes);
    skipped = c->to_skip < bytes.len ? (size_t)c->to_skip : bytes.len;
    c->to_skip -= skipped;
    take_bytes(c, cp_bytes(bytes.data + skipped, bytes.len - skipped));
    if (!c->is_closing)
        cp_connection_schedule(c);
}

bool cp_engine_has_more(const struct cp_link *link)
{
    return link->connection != NULL && link->connection->has_more;
}
