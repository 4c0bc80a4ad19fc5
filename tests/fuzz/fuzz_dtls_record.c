/* Any bytes as a datagram of DTLS: the records found lie one behind the other
 * in it, and what is taken for a ClientHello is one record of the whole
 * datagram whose cookie lies within. */
#include "secure/dtls_record.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact)
{
    if (!fact)
        abort();
}

static void require_within(copal_bytes part, copal_bytes whole)
{
    require(part.len <= whole.len);
    require(part.len == 0 || (part.data >= whole.data &&
                              part.data + part.len <= whole.data + whole.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes whole = cp_bytes(data, size), rest = whole;
    const uint8_t *at = data;
    struct cp_record r;
    struct cp_hello hello;
    int got;

    while ((got = cp_record_next(&rest, CP_CID_MINE, &r)) == 1) {
        require(r.whole.data == at && r.whole.len >= CP_RECORD_HEAD);
        require_within(r.whole, whole);
        require_within(r.body, r.whole);
        require_within(r.cid, r.whole);
        require(r.seq >> 48 == 0);
        require((r.type == CP_TLS12_CID) == (r.cid.len > 0));
        at += r.whole.len;
    }
    require((got == 0) == (rest.len == 0));
    if (!cp_record_is_hello(whole, &hello))
        return 0;
    require(size >= CP_HELLO_LEAST && hello.cookie.len <= 255);
    require_within(cp_bytes(hello.random, 32), whole);
    require_within(hello.cookie, whole);
    rest = whole;
    require(cp_record_next(&rest, CP_CID_MINE, &r) == 1 && rest.len == 0);
    require(r.epoch == 0 && r.type == CP_HANDSHAKE);
    return 0;
}
