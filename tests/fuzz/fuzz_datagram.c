/* A datagram that is understood is encoded to the same bytes, since RFC 7252
 * 3.1 and RFC 8974 2.1 leave one encoding of everything; and what is left of
 * its options once they were checked is encoded and decoded without a change. */
#include "decoder.h"
#include "wire/block.h"
#include "wire/datagram.h"

static void come_back(const copal_msg *m, copal_bytes datagram)
{
    struct cp_buf b = cp_buf_new(memory());

    require(cp_datagram_size(m, m->token) == datagram.len);
    require(cp_datagram_encode(m, m->type, m->mid, m->token, &b) == 0);
    require(cp_bytes_equal(cp_bytes(b.data, b.len), datagram));
    cp_buf_free(&b);
}

/* RFC 7959 2.2: what is read is written shorter or alike, and means the same. */
static void check_block(const copal_msg *m, unsigned option)
{
    const struct cp_option *o = cp_msg_find(m, option);
    struct cp_block b, again;
    copal_bytes value;
    uint8_t storage[8];

    if (o == NULL || cp_block_decode(cp_msg_option_value(m, o), &b) != 0)
        return;
    require(b.num <= CP_BLOCK_MAX_NUM && cp_block_fit(b.size) == b.size);
    require(cp_block_offset(b) == (uint64_t)b.num * b.size);
    value = cp_bytes_of_uint(cp_block_encode(b), storage);
    require(value.len <= o->len);
    require(cp_block_decode(value, &again) == 0);
    require(again.num == b.num && again.size == b.size && again.more == b.more);
}

static void check_values(const copal_msg *m)
{
    check_block(m, COPAL_OPT_BLOCK1);
    check_block(m, COPAL_OPT_BLOCK2);
    check_block(m, COPAL_OPT_Q_BLOCK1);
    check_block(m, COPAL_OPT_Q_BLOCK2);
    require(copal_msg_format(m) >= COPAL_NO_FORMAT);
    require(cp_msg_etag(m).len == 0 || cp_msg_has_etag(m, cp_msg_etag(m)));
    cp_msg_max_age(m);
}

static bool understands_some(void *user, unsigned number)
{
    (void)user;
    return number % 4 == 1;
}

/* Options and payload as OSCORE has them. */
static void check_options(copal_msg *m)
{
    struct cp_buf once = cp_buf_new(memory()), twice = cp_buf_new(memory());
    copal_msg *again = cp_msg_new(memory(), m->code, 0);
    size_t count = m->option_count;

    require(again != NULL);
    if (cp_msg_check_options(m, understands_some, NULL) == 0)
        check_values(m);
    require(m->option_count <= count);
    require(cp_options_encode(m, &once) == 0);
    require(cp_options_decode(again, cp_bytes(once.data, once.len)) == 0);
    require(cp_options_encode(again, &twice) == 0);
    require(cp_bytes_equal(cp_bytes(once.data, once.len),
                           cp_bytes(twice.data, twice.len)));
    cp_buf_free(&once);
    cp_buf_free(&twice);
    copal_msg_unref(again);
}

/* Two messages that differ in nothing mean the same representation. */
static void check_cache_key(const copal_msg *m)
{
    struct cp_buf one = cp_buf_new(memory()), other = cp_buf_new(memory());
    copal_msg *copy = copal_msg_copy(m);

    require(copy != NULL);
    cp_msg_put_cache_key(m, &one);
    cp_msg_put_cache_key(copy, &other);
    require(cp_bytes_equal(cp_bytes(one.data, one.len),
                           cp_bytes(other.data, other.len)));
    cp_buf_free(&one);
    cp_buf_free(&other);
    copal_msg_unref(copy);
}

/* A fault is told exactly of what is malformed. */
static void tell_fault(copal_bytes datagram, int err)
{
    struct cp_buf b = cp_buf_new(memory());

    cp_datagram_put_fault(&b, datagram);
    require(err == COPAL_ELIMIT ||
            (b.len > 0) == (err == COPAL_EFORMAT || err == COPAL_ENOTSUP));
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes datagram = cp_bytes(data, size);
    struct cp_header header;
    copal_msg *m = NULL;
    int err;

    err = cp_header_read(datagram, &header);
    if (err != COPAL_ENOTSUP)
        require_within(datagram, header.rest);
    if (err == 0)
        err = cp_datagram_decode(memory(), &header, &m);
    tell_fault(datagram, err);
    if (err == 0) {
        come_back(m, datagram);
        check_cache_key(m);
        check_options(m);
        copal_msg_unref(m);
    }
    require_all_back();
    return 0;
}
