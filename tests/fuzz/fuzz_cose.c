/* Header maps, keys and credentials: what is read stays within the input, and a
 * map that was read has what it says. The first byte says as what the rest is
 * read. Curves are stubs. */
#include "curves.h"
#include "decoder.h"
#include "secure/edhoc_credential.h"
#include "wire/cbor.h"

static void check_id(copal_bytes in)
{
    struct cp_cose_id id;

    if (cp_cose_read_id(in, &id) != 0)
        return;
    require(id.count > 0 && id.count <= CP_COSE_LABELS);
    require(cp_cbor_check(in, CP_COSE_DEPTH) == 0);
    require_within(in, id.kid);
    require_within(in, id.x5t);
    require_within(in, id.kccs);
    require_within(in, id.kcwt);
    require(id.chain_length <= CP_COSE_CHAIN);
    for (size_t i = 0; i < id.chain_length; i++)
        require_within(in, id.chain[i]);
    require(id.kccs.len == 0 || cp_cbor_check(id.kccs, CP_COSE_DEPTH) == 0);
    (void)cp_cose_is_x5t(&id, in);
}

static void check_key(copal_bytes in)
{
    uint8_t again[256];
    struct cp_buf b = cp_buf_fixed(again, sizeof(again));
    struct cp_public_key key, other;
    copal_bytes kid = {0}, same = {0};

    if (cp_cose_read_key(in, &key, &kid) != 0)
        return;
    require_within(in, kid);
    cp_cose_put_key(&b, &key, kid);
    if (b.failed)
        return;
    require(cp_cose_read_key(cp_bytes(again, b.len), &other, &same) == 0);
    require(key.curve == other.curve && key.has_y == other.has_y);
    require(memcmp(key.x, other.x, CP_CURVE_KEY) == 0);
    require(cp_bytes_equal(kid, same));
}

static void check_credential(copal_bytes in)
{
    struct cp_buf b = cp_buf_new(memory());
    struct cp_edhoc_credential c;
    struct cp_cose_id id;
    copal_bytes rest, map;

    if (cp_edhoc_credential_read(in, &c, &rest) == 0) {
        require(c.item.len + rest.len == in.len);
        require_within(in, c.kid);
        require_within(in, c.der);
        require(c.name[0] != '\0');
        require(memchr(c.name, 0, sizeof(c.name)) != NULL);
        cp_edhoc_credential_put_id(&b, &c);
        require(cp_buf_finish(&b, &map) == 0);
        /* What is too much for a header map is found out by who gives it. */
        if (cp_cose_read_id(map, &id) == 0)
            require(cp_edhoc_credential_is(&c, &id));
    }
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes in = cp_bytes(data, size);

    if (size == 0)
        return 0;
    in = cp_bytes(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: check_id(in); break;
    case 1: check_key(in); break;
    default: check_credential(in); break;
    }
    require_all_back();
    return 0;
}
