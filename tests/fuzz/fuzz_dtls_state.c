/* Any bytes as an association from the store, and as a sealed value of it: what
 * is taken is written as it was read. */
#include "decoder.h"
#include "secure/dtls_state.h"
#include "secure/store.h"

static void read_state(copal_bytes whole)
{
    static uint8_t bytes[200000];
    struct cp_buf b = cp_buf_fixed(bytes, sizeof(bytes));
    struct cp_dtls_state s;

    if (cp_dtls_state_read(whole, &s) != 0)
        return;
    require_within(whole, s.identity);
    require_within(whole, s.host);
    require(s.protect.cid_in_len <= CP_CID_MINE);
    require(s.protect.cid_out_len <= CP_CID_THEIRS);
    require(s.protect.next_out >> 48 == 0);
    require(cp_dtls_state_write(&s, &b) == 0);
    require(cp_bytes_equal(cp_bytes(b.data, b.len), whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes whole = cp_bytes(data, size), value;

    read_state(whole);
    if (cp_store_unseal(memory(), "here", "dtls/0a", whole, &value) == 0) {
        require(value.len + 16 == size);
        require_within(whole, value);
    }
    require_all_back();
    return 0;
}
