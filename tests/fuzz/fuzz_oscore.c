/* Any bytes as a message of OSCORE: the option is read or refused, and what is
 * read is written the same; what is sealed by nobody does not open; and what a
 * genuine peer seals, be it no message at all, opens or is refused, and brings
 * no option that has no place within.
 *
 * An input is a datagram; the payload of that is also taken for what a peer with
 * the right keys has sealed. */
#include "decoder.h"
#include "secure/oscore_seal.h"
#include "wire/option.h"

static struct cp_aeads *aeads;
static struct cp_oscore_keys keys;

static bool set_up(void)
{
    static const uint8_t secret[] = "sixteen bytes of";
    struct cp_oscore_input in = {.secret = cp_bytes(secret, 16),
                                 .recipient_id = cp_bytes("c", 1),
                                 .aead = CP_OSCORE_AEAD,
                                 .hkdf = CP_OSCORE_HKDF};
    static struct cp_mem *mem;

    if (mem == NULL) {
        mem = cp_mem_new(NULL, NULL);
        aeads = cp_aeads_new(mem);
        if (aeads != NULL)
            require(cp_oscore_derive(&in, &keys) == 0);
    }
    return aeads != NULL; /* NULL: built without a library */
}

static void check_option(copal_bytes value)
{
    uint8_t storage[600];
    struct cp_buf b = cp_buf_fixed(storage, sizeof(storage));
    struct cp_oscore_option o;

    if (value.len > 512 || cp_oscore_option_decode(value, &o) != 0)
        return;
    require_within(value, o.piv);
    require_within(value, o.context);
    require_within(value, o.kid);
    require(o.piv.len <= CP_OSCORE_PIV && o.context.len <= 255);
    cp_oscore_option_put(&b, &o);
    require(!b.failed && cp_bytes_equal(cp_bytes(b.data, b.len), value));
}

static void check_opened(const copal_msg *inner, const copal_msg *outer)
{
    require(cp_code_is_request(inner->code) == cp_code_is_request(outer->code));
    require(cp_bytes_equal(inner->token, outer->token));
    for (size_t i = 0; i < inner->option_count; i++) {
        unsigned number = inner->options[i].number;

        require(number != COPAL_OPT_OSCORE);
        require_within(cp_bytes(inner->data, inner->data_len),
                       cp_msg_option_value(inner, &inner->options[i]));
    }
}

/* By nobody: it would take 2^64 inputs to forge one. */
static void check_forged(const copal_msg *m,
                         const struct cp_oscore_option *head,
                         const struct cp_oscore_bound *bound)
{
    copal_msg *inner = NULL;
    int err = cp_oscore_open(aeads, &keys, bound, head, m, &inner);

    require(err == COPAL_EAUTH && inner == NULL);
}

/* *m becomes what inner is; NULL: nothing. */
static void check_in_place(copal_msg **at, const struct cp_oscore_option *head,
                           const struct cp_oscore_bound *bound,
                           const copal_msg *inner)
{
    int err = cp_oscore_open_as(aeads, &keys, bound, head, at);
    const copal_msg *m = *at;

    require((err == 0) == (inner != NULL));
    if (inner != NULL) {
        require(m->code == inner->code && m->present == inner->present &&
                m->option_count == inner->option_count &&
                cp_bytes_equal(m->token, inner->token) &&
                cp_bytes_equal(m->payload, inner->payload));
        for (size_t i = 0; i < m->option_count; i++)
            require(
                m->options[i].number == inner->options[i].number &&
                cp_bytes_equal(cp_msg_option_value(m, &m->options[i]),
                               cp_msg_option_value(inner, &inner->options[i])));
    }
}

static void check_genuine(copal_msg **at, const struct cp_oscore_option *head,
                          const struct cp_oscore_bound *bound)
{
    uint8_t nonce[CP_AEAD_NONCE], aad[CP_OSCORE_AAD];
    uint8_t sealed[2048];
    copal_msg *m = *at;
    copal_bytes plain = m->payload;
    copal_msg *inner = NULL;
    int err;

    if (plain.len + 8 > sizeof(sealed))
        return;
    require(cp_aead_seal(aeads, &keys.recipient,
                         cp_oscore_nonce(&keys, false, head->piv, nonce),
                         cp_oscore_aad(&keys, cp_oscore_bound_kid(bound),
                                       cp_oscore_bound_piv(bound), aad),
                         plain, sealed) == 0);
    require(cp_msg_append_payload(m, cp_bytes(sealed, plain.len + 8)) == 0);
    err = cp_oscore_open(aeads, &keys, bound, head, m, &inner);
    require(err == 0 || err == COPAL_EFORMAT || err == COPAL_ELIMIT ||
            (err == COPAL_EAUTH && plain.len == 0));
    if (err == 0)
        check_opened(inner, m);
    check_in_place(at, head, bound, inner);
    copal_msg_unref(inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_oscore_option head = {0};
    struct cp_oscore_bound bound;
    const struct cp_option *o;
    struct cp_header h;
    copal_msg *m = NULL;
    uint8_t one[8];

    check_option(cp_bytes(data, size));
    if (!set_up() || cp_header_read(cp_bytes(data, size), &h) != 0 ||
        cp_datagram_decode(memory(), &h, &m) != 0)
        return 0;
    o = cp_msg_find(m, COPAL_OPT_OSCORE);
    if (o != NULL &&
        (cp_code_is_request(m->code) || cp_code_is_response(m->code)) &&
        cp_oscore_option_decode(cp_msg_option_value(m, o), &head) == 0) {
        if (head.piv.len == 0)
            head.piv = cp_oscore_piv(1, one);
        memmove(one, head.piv.data, head.piv.len); /* it outlives m's data */
        head.piv.data = one;
        cp_oscore_bind(&bound, cp_oscore_recipient(&keys), head.piv);
        check_forged(m, &head, &bound);
        check_genuine(&m, &head, &bound);
    }
    copal_msg_unref(m);
    require_all_back();
    return 0;
}
