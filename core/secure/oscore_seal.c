#include "secure/oscore_seal.h"
#include "wire/option.h"

enum {
    INLINE = 1400 /* bytes of plaintext that need no allocation */
};

void cp_oscore_bind(struct cp_oscore_bound *b, copal_bytes kid, copal_bytes piv)
{
    b->kid_len = (uint8_t)kid.len;
    b->piv_len = (uint8_t)piv.len;
    b->aad_len = 0;
    if (kid.len > 0)
        memcpy(b->kid, kid.data, kid.len);
    if (piv.len > 0)
        memcpy(b->piv, piv.data, piv.len);
}

void cp_oscore_bind_aad(struct cp_oscore_bound *b,
                        const struct cp_oscore_keys *k)
{
    b->aad_len = (uint8_t)cp_oscore_aad(k, cp_oscore_bound_kid(b),
                                        cp_oscore_bound_piv(b), b->aad)
                     .len;
}

static copal_bytes aad_of(const struct cp_oscore_keys *k,
                          const struct cp_oscore_bound *b, uint8_t *storage)
{
    return b->aad_len > 0 ? cp_bytes(b->aad, b->aad_len)
                          : cp_oscore_aad(k, cp_oscore_bound_kid(b),
                                          cp_oscore_bound_piv(b), storage);
}

/* Numbers of class U, as bits of a message's present: none is above 63. */
#define OPTION(number, name, format, shortest, longest, repeatable, oscore) \
    | (CP_CLASS_##oscore == CP_CLASS_U ? UINT64_C(1) << ((number)&63) : 0)
static const uint64_t class_u = 0
#include "wire/options.def"
    ;
#undef OPTION
#define OPTION(number, name, format, shortest, longest, repeatable, oscore) \
    _Static_assert((number) < 64 || CP_CLASS_##oscore != CP_CLASS_U, name);
#include "wire/options.def"
#undef OPTION

/* Does m have options that go outside? Most have none. */
static bool has_outer(const copal_msg *m)
{
    return (m->present & class_u) != 0 || cp_msg_has(m, COPAL_OPT_OBSERVE);
}

/* What the table does not know is sealed: RFC 8613 4.1. */
static unsigned class_of(unsigned number)
{
    const struct cp_option_def *def = cp_option_find(number);

    return def == NULL ? CP_CLASS_E : def->oscore;
}

/* Goes unsealed: what proxies need, and Observe, which they need besides. RFC
 * 8613 4.1.3. */
static bool is_outer(unsigned number)
{
    return class_of(number) == CP_CLASS_U || number == COPAL_OPT_OBSERVE;
}

/* A notification's number is for proxies; its order is the Partial IV's. RFC
 * 8613 4.1.3.5.2. */
static copal_bytes inner_value(const copal_msg *m, const struct cp_option *o)
{
    if (o->number == COPAL_OPT_OBSERVE && !cp_code_is_request(m->code))
        return (copal_bytes){0};
    return cp_msg_option_value(m, o);
}

static void put_plain(struct cp_buf *out, const copal_msg *m)
{
    uint32_t last = 0;

    cp_put_u8(out, m->code);
    if (!has_outer(m)) { /* all of it goes within, as it stands */
        cp_options_encode(m, out);
        return;
    }
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (class_of(o->number) & CP_CLASS_E)
            cp_options_put(out, &last, o->number, inner_value(m, o));
    }
    cp_options_put_payload(out, m->payload);
}

/* RFC 8613 4.2, 4.1.3.5. */
static int outer_code(const copal_msg *m)
{
    bool observes = cp_msg_has(m, COPAL_OPT_OBSERVE);

    if (cp_code_is_request(m->code))
        return observes ? COPAL_FETCH : COPAL_POST;
    return observes ? COPAL_CONTENT : COPAL_CHANGED;
}

static int add_outer(copal_msg *out, const copal_msg *m,
                     const struct cp_oscore_option *head)
{
    uint8_t storage[CP_OSCORE_VALUE + 255];
    struct cp_buf value = cp_buf_fixed(storage, sizeof(storage));
    int err = 0;

    cp_oscore_option_put(&value, head);
    if (value.len == 0) /* the first, and there is room for it */
        cp_msg_index_last(out, COPAL_OPT_OSCORE, (copal_bytes){0});
    else
        err =
            cp_msg_add(out, COPAL_OPT_OSCORE, cp_bytes(value.data, value.len));
    if (!has_outer(m))
        return err;
    for (size_t i = 0; err == 0 && i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (is_outer(o->number))
            err = cp_msg_add(out, o->number, cp_msg_option_value(m, o));
    }
    return err;
}

/* Without a Partial IV in it, what is sealed has the request's nonce, and that is
 * of the end that does not answer. */
static copal_bytes nonce_of(const struct cp_oscore_keys *k, bool is_senders,
                            const struct cp_oscore_bound *bound,
                            const struct cp_oscore_option *head,
                            uint8_t storage[CP_AEAD_NONCE])
{
    return head->piv.len > 0
               ? cp_oscore_nonce(k, is_senders, head->piv, storage)
               : cp_oscore_nonce(k, !is_senders, cp_oscore_bound_piv(bound),
                                 storage);
}

static copal_msg *sealed(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                         const struct cp_oscore_bound *bound,
                         const struct cp_oscore_option *head,
                         const copal_msg *m, copal_bytes plain, int *err)
{
    size_t len = plain.len + cp_aead_tag_len((enum cp_aead)k->aead->aead);
    copal_msg *out = cp_msg_new(m->mem, outer_code(m),
                                len + CP_OSCORE_VALUE + m->option_count * 4);
    uint8_t nonce[CP_AEAD_NONCE], aad[CP_OSCORE_AAD];

    *err = out == NULL ? COPAL_ENOMEM : add_outer(out, m, head);
    if (*err == 0)
        *err = cp_msg_reserve(out, len);
    if (*err == 0)
        *err = cp_aead_seal(
            aeads, &k->sender, nonce_of(k, true, bound, head, nonce),
            aad_of(k, bound, aad), plain, out->data + out->data_len);
    if (*err != 0) {
        copal_msg_unref(out);
        return NULL;
    }
    out->payload = cp_bytes(out->data + out->data_len, len);
    out->data_len += (uint32_t)len;
    return out;
}

int cp_oscore_seal(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                   const struct cp_oscore_bound *bound,
                   const struct cp_oscore_option *head, const copal_msg *m,
                   copal_msg **out)
{
    uint8_t storage[INLINE];
    size_t most = 2 + m->data_len + 5 * (size_t)m->option_count +
                  m->payload.len; /* it may be less */
    struct cp_buf plain = most <= sizeof(storage)
                              ? cp_buf_fixed(storage, sizeof(storage))
                              : cp_buf_new(m->mem);
    copal_bytes bytes;
    int err = cp_msg_has(m, COPAL_OPT_OSCORE) ? COPAL_EINVAL : 0;

    if (err == 0) {
        put_plain(&plain, m);
        err = cp_buf_finish(&plain, &bytes);
    }
    if (err == 0)
        *out = sealed(aeads, k, bound, head, m, bytes, &err);
    if (plain.data != storage)
        cp_buf_free(&plain);
    return err;
}

/* ---- Opening ---- */

/* What came outside and may stay. */
static int add_unprotected(copal_msg *out, const copal_msg *m)
{
    int err = 0;

    if ((m->present & class_u) == UINT64_C(1) << COPAL_OPT_OSCORE)
        return 0;
    for (size_t i = 0; err == 0 && i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (o->number != COPAL_OPT_OSCORE && class_of(o->number) == CP_CLASS_U)
            err = cp_msg_add(out, o->number, cp_msg_option_value(m, o));
    }
    return err;
}

/* An option of class U has no place inside; it would speak for what is outside,
 * and twice. */
static bool is_sound(const copal_msg *inner, bool is_request)
{
    return (inner->present & class_u) == 0 &&
           (is_request ? cp_code_is_request(inner->code)
                       : cp_code_is_response(inner->code));
}

/* plain: code, options, payload. */
static int read_plain(const copal_msg *m, copal_bytes plain, copal_msg **out)
{
    copal_msg *inner;
    int err;

    if (plain.len == 0)
        return COPAL_EFORMAT;
    inner = cp_msg_new(m->mem, plain.data[0], m->token.len + plain.len + 32);
    if (inner == NULL)
        return COPAL_ENOMEM;
    inner->type = m->type;
    inner->mid = m->mid;
    inner->scheme = m->scheme;
    inner->received = m->received;
    inner->path = m->path;
    inner->outer_block = m->outer_block;
    if (m->token.len > 0)
        memcpy(inner->data, m->token.data, m->token.len);
    inner->token = cp_bytes(inner->data, m->token.len);
    inner->data_len = (uint32_t)m->token.len;
    err = cp_options_decode(inner, cp_bytes(plain.data + 1, plain.len - 1));
    if (err == 0 && !is_sound(inner, cp_code_is_request(m->code)))
        err = COPAL_EFORMAT;
    if (err == 0)
        err = add_unprotected(inner, m);
    if (err != 0) {
        copal_msg_unref(inner);
        return err;
    }
    *out = inner;
    return 0;
}

/* What is sealed in m. *plain: storage, or to be freed where it is longer. */
static int unseal(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                  const struct cp_oscore_bound *bound,
                  const struct cp_oscore_option *head, const copal_msg *m,
                  uint8_t storage[INLINE], copal_bytes *plain)
{
    uint8_t nonce[CP_AEAD_NONCE], aad[CP_OSCORE_AAD], *out = storage;
    size_t tag = cp_aead_tag_len((enum cp_aead)k->aead->aead);
    int err;

    if (m->payload.len < tag + 1)
        return COPAL_EAUTH;
    if (m->payload.len - tag > INLINE)
        out = cp_alloc(m->mem, m->payload.len - tag);
    if (out == NULL)
        return COPAL_ENOMEM;
    err = cp_aead_open(aeads, &k->recipient,
                       nonce_of(k, false, bound, head, nonce),
                       aad_of(k, bound, aad), m->payload, out);
    if (err == 0)
        *plain = cp_bytes(out, m->payload.len - tag);
    else if (out != storage)
        cp_free(m->mem, out);
    return err;
}

int cp_oscore_open(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                   const struct cp_oscore_bound *bound,
                   const struct cp_oscore_option *head, const copal_msg *m,
                   copal_msg **out)
{
    uint8_t storage[INLINE];
    copal_bytes plain;
    int err = unseal(aeads, k, bound, head, m, storage, &plain);

    if (err != 0)
        return err;
    err = read_plain(m, plain, out);
    if (plain.data != storage)
        cp_free(m->mem, (uint8_t *)plain.data);
    return err;
}

/* Nobody else has it, it has nothing that stays but where it came from, and its
 * sealed part leaves more room than what was in it needs. */
static bool is_mine(const copal_msg *m)
{
    return m->present == UINT64_C(1) << COPAL_OPT_OSCORE && !m->frozen &&
           m->option_count == 1 && m->identity == NULL && m->guard == NULL &&
           m->payload_of == NULL && m->own_payload == NULL &&
           (uintptr_t)m->payload.data - (uintptr_t)m->data < m->data_len &&
           cp_refs_count(&m->refs) == 1;
}

static int read_in_place(copal_msg *m, copal_bytes plain)
{
    bool is_request = cp_code_is_request(m->code);
    int err;

    m->option_count = 0;
    m->present = 0;
    m->code = plain.data[0];
    m->data_len = (uint32_t)(m->payload.data - m->data);
    err = cp_options_decode(m, cp_bytes(plain.data + 1, plain.len - 1));
    return err == 0 && !is_sound(m, is_request) ? COPAL_EFORMAT : err;
}

int cp_oscore_open_as(struct cp_aeads *aeads, const struct cp_oscore_keys *k,
                      const struct cp_oscore_bound *bound,
                      const struct cp_oscore_option *head, copal_msg **m)
{
    uint8_t storage[INLINE];
    copal_bytes plain;
    copal_msg *inner = NULL;
    int err = unseal(aeads, k, bound, head, *m, storage, &plain);

    if (err != 0)
        return err;
    if (is_mine(*m)) {
        err = read_in_place(*m, plain);
    } else {
        err = read_plain(*m, plain, &inner);
        if (err == 0) {
            copal_msg_unref(*m);
            *m = inner;
        }
    }
    if (plain.data != storage)
        cp_free((*m)->mem, (uint8_t *)plain.data);
    return err;
}
