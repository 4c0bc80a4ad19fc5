/* A datagram that is understood is encoded to the same bytes, since RFC 7252
 * 3.1 and RFC 8974 2.1 leave one encoding of everything; and whatever is in it
 * can be looked at. */
#include <stdlib.h>
#include "wire/datagram.h"
#include "wire/message_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

static void come_back(struct cp_mem *mem, const copal_msg *m,
                      copal_bytes datagram)
{
    struct cp_buf b = cp_buf_new(mem);

    require(cp_datagram_size(m, m->token) == datagram.len);
    require(cp_datagram_encode(m, m->type, m->mid, m->token, &b) == 0);
    require(cp_bytes_equal(cp_bytes(b.data, b.len), datagram));
    cp_buf_free(&b);
}

/* One line each, whatever strangers wrote. */
static void look_at(const copal_msg *m)
{
    copal_bytes value;
    int number;

    require(strpbrk(copal_msg_print(m, COPAL_LINE), "\n\x1b\x7f") == NULL);
    require(strpbrk(copal_msg_print(m, COPAL_OPTION_LINES), "\x1b\x7f") ==
            NULL);
    copal_msg_query(m, "a");
    require(copal_msg_path(m)[0] == '/');
    require(strcmp(copal_msg_path(m), copal_msg_path(m)) == 0);
    require(copal_msg_uri(m) != NULL && copal_msg_remote(m) != NULL);
    require(copal_msg_format(m) >= COPAL_NO_FORMAT);
    for (size_t i = 0; (number = copal_msg_option(m, i, &value)) >= 0; i++)
        require(copal_msg_uint(m, number) >= COPAL_ENOENT);
}

static void change(struct cp_mem *mem, copal_msg *m)
{
    struct cp_buf before = cp_buf_new(mem), after = cp_buf_new(mem);
    copal_msg *copy;
    copal_bytes first = {0};

    cp_msg_check_options(m, NULL, NULL);
    copal_msg_option(m, 0, &first);
    cp_msg_add(m, 65000, first); /* which may move everything */
    cp_msg_add(m, 11, cp_bytes("0123456789012345678901234567890123", 34));
    copy = copal_msg_copy(m);
    require(copy != NULL);
    require(cp_options_encode(m, &before) == 0);
    require(cp_options_encode(copy, &after) == 0);
    require(cp_bytes_equal(cp_bytes(before.data, before.len),
                           cp_bytes(after.data, after.len)));
    cp_buf_free(&before);
    cp_buf_free(&after);
    copal_msg_unref(copy);
}

/* A fault is told exactly of what is malformed. */
static void tell_fault(struct cp_mem *mem, copal_bytes datagram, int err)
{
    struct cp_buf b = cp_buf_new(mem);

    cp_datagram_put_fault(&b, datagram);
    require(err == COPAL_ELIMIT ||
            (b.len > 0) == (err == COPAL_EFORMAT || err == COPAL_ENOTSUP));
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes datagram = cp_bytes(data, size);
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_header header;
    copal_msg *m = NULL;
    int err;

    require(mem != NULL);
    err = cp_header_read(datagram, &header);
    if (err == 0)
        err = cp_datagram_decode(mem, &header, &m);
    tell_fault(mem, datagram, err);
    if (err == 0) {
        come_back(mem, m, datagram);
        look_at(m);
        change(mem, m);
        copal_msg_unref(m);
    }
    require(cp_mem_used(mem) == 0);
    cp_mem_release(mem);
    return 0;
}
