#include "messages.h"
#include "wire/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct cp_mem *messages_mem;

int messages_set_up(void **state)
{
    (void)state;
    messages_mem = cp_mem_new(NULL, NULL);
    return messages_mem == NULL;
}

int messages_tear_down(void **state)
{
    (void)state;
    cp_mem_keep(messages_mem, NULL); /* URIs read before */
    assert_int_equal(cp_mem_used(messages_mem), 0);
    cp_mem_release(messages_mem);
    return 0;
}

copal_msg *messages_new(int code)
{
    copal_msg *m = cp_msg_new(messages_mem, code, 0);

    assert_non_null(m);
    return m;
}

copal_msg *messages_received(const void *datagram, size_t len)
{
    struct cp_header header;
    copal_msg *m = NULL;

    assert_int_equal(cp_header_read(cp_bytes(datagram, len), &header), 0);
    assert_int_equal(cp_datagram_decode(messages_mem, &header, &m), 0);
    assert_true(cp_address_read("192.0.2.1", &m->path.remote));
    m->path.remote.port = 40000;
    assert_true(cp_address_read("::1", &m->path.local));
    m->path.local.port = 5683;
    return m;
}
