#include "engine/transfer.h"
#include "engine/block_kept.h"
#include "engine/block_partial.h"
#include "wire/uri.h"

struct cp_transfer *cp_transfer_get(copal_exchange *x)
{
    if (x->transfer == NULL) {
        x->transfer = cp_zalloc(x->mem, sizeof(*x->transfer));
        if (x->transfer != NULL)
            x->transfer->body = cp_buf_new(x->mem);
    }
    return x->transfer;
}

void cp_transfer_free(copal_exchange *x)
{
    struct cp_transfer *t = x->transfer;

    if (t == NULL)
        return;
    cp_block_tag_end(x);
    x->transfer = NULL;
    /* Nobody listens any more: a late block gets 4.08. */
    if (t->partial != NULL)
        cp_block_partial_free(t->partial);
    if (t->kept != NULL)
        cp_block_kept_free(t->kept);
    copal_msg_unref(t->sending);
    copal_msg_unref(t->head);
    copal_msg_unref(t->held);
    cp_buf_free(&t->body);
    cp_free(x->mem, t);
}

void cp_transfer_give_up(copal_exchange *x, int status, const char *why)
{
    struct cp_transfer *t = x->transfer;

    if (t != NULL && t->partial != NULL)
        cp_block_partial_give_up(t->partial, status, why);
    else if (t != NULL && t->kept != NULL)
        cp_block_kept_give_up(t->kept, status, why);
    else
        cp_exchange_fail(x, status, "%s", why);
}

uint16_t cp_transfer_own_size(const copal_exchange *x)
{
    return cp_block_fit((uint64_t)cp_exchange_param(x, COPAL_P_BLOCK_SIZE));
}

struct cp_link *cp_transfer_link(const copal_exchange *x)
{
    return x->is_ask ? cp_container_of(x, struct cp_ask, x)->way.link
                     : cp_container_of(x, struct cp_answer, x)->link;
}

static bool is_connected(const struct cp_link *link)
{
    return link != NULL && link->connection != NULL;
}

void cp_transfer_note_blocks(const copal_exchange *x)
{
    const struct cp_link *link = cp_transfer_link(x);

    if (is_connected(link))
        link->connection->peer.block_wise = true;
}

static bool is_sealed(const copal_exchange *x)
{
    const copal_msg *wire;

    if (x->is_ask)
        return cp_container_of(x, struct cp_ask, x)->protection != NULL;
    wire = cp_container_of(x, struct cp_answer, x)->wire;
    return wire != NULL && wire->guard != NULL;
}

bool cp_transfer_fits(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_link *link = cp_transfer_link(x);

    if (!is_connected(link))
        return m->payload.len <= cp_transfer_own_size(x);
    if (is_sealed(x) && cp_datagram_size(m, (copal_bytes){0}) > CP_GUARD_MOST)
        return false;
    return cp_connection_takes(
        link, m, x->is_ask ? CP_TOKEN_LEN : x->request->token.len);
}

struct cp_block cp_transfer_first(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_link *link = cp_transfer_link(x);
    struct cp_block b = {.size = cp_transfer_own_size(x)};
    uint16_t most;

    if (!is_connected(link))
        return b;
    most = cp_connection_block(link, m);
    b.is_bert = b.size == CP_BLOCK_MAX_SIZE && most > CP_BLOCK_MAX_SIZE;
    if (most < b.size)
        b.size = most;
    return b;
}

uint16_t cp_transfer_span(const copal_exchange *x, const copal_msg *m,
                          struct cp_block b)
{
    uint16_t most;

    if (!b.is_bert)
        return b.size;
    most = cp_connection_block(cp_transfer_link(x), m);
    return most > b.size ? most : b.size;
}

int cp_transfer_read_block(const copal_msg *m, unsigned option,
                           struct cp_block *b)
{
    const struct cp_option *o = cp_msg_find(m, option);
    copal_bytes value;
    int err;

    if (o == NULL)
        return 0;
    value = cp_msg_option_value(m, o);
    err = cp_scheme_is_stream(m->scheme) ? cp_block_decode_bert(value, b)
                                         : cp_block_decode(value, b);
    return err == 0 ? 1 : err;
}

void cp_transfer_tell_progress(copal_exchange *x, uint64_t offset,
                               uint64_t total)
{
    struct cp_event *ev;

    if ((x->request->flags & COPAL_TELL_PROGRESS) == 0)
        return;
    ev = cp_exchange_tell(x, COPAL_PROGRESS, NULL);
    if (ev != NULL) { /* else out of memory: the next one will tell */
        ev->offset = offset;
        ev->total = total;
    }
}

copal_msg *cp_transfer_block_of(const copal_msg *m, unsigned option,
                                struct cp_block b)
{
    copal_msg *block = cp_msg_derive_head(m);

    if (block == NULL)
        return NULL;
    if (cp_msg_has(block, option))
        cp_msg_remove(block, option);
    if (cp_msg_add_uint(block, option, cp_block_encode(b)) != 0) {
        copal_msg_unref(block);
        return NULL;
    }
    return block;
}

copal_bytes cp_transfer_part_of(copal_bytes body, uint64_t offset,
                                uint16_t size)
{
    size_t len = body.len - (size_t)offset;

    return cp_bytes(body.data + offset, len < size ? len : size);
}
