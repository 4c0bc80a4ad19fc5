#include "secure/dtls_record.h"
#include "base/buf.h"

enum {
    MAX_PLAIN = 16384, /* RFC 5246 6.2.1 */
    CLIENT_HELLO = 1,
    CID_AT = CP_RECORD_HEAD - 2, /* in a record that has one */
    AAD = 23 + CP_CID_THEIRS,
    WINDOW = 64,
    MOST_FAILED = 1 << 23,
    /* One of so many forged tags of 8 bytes passes with a chance of 2^-50, which
     * is what draft-irtf-cfrg-aead-limits aims at; DTLS 1.2 has no such limit, and
     * RFC 9147 4.5.3 no figure: a low one lets strangers end associations. */
    MOST_FAILED_CCM_8 = 1 << 14
};

#define LAST_SEQ ((UINT64_C(1) << 48) - 1)

/* ---- Finding ---- */

static uint64_t take_uint(struct cp_cursor *c, size_t n)
{
    return cp_bytes_uint(cp_take(c, n));
}

static uint16_t u16_at(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

int cp_record_next(copal_bytes *rest, size_t cid_len, struct cp_record *out)
{
    const uint8_t *at = rest->data;
    struct cp_record r;
    size_t head;

    if (rest->len == 0)
        return 0;
    r.type = at[0];
    cid_len = r.type == CP_TLS12_CID ? cid_len : 0;
    head = CP_RECORD_HEAD + cid_len;
    if (rest->len < head || at[1] != 0xfe)
        return COPAL_EFORMAT;
    r.version = u16_at(at + 1);
    r.epoch = u16_at(at + 3);
    r.seq = (uint64_t)u16_at(at + 5) << 32 | (uint32_t)u16_at(at + 7) << 16 |
            u16_at(at + 9);
    r.cid = cp_bytes(at + CID_AT, cid_len);
    r.body = cp_bytes(at + head, u16_at(at + head - 2));
    if (r.body.len > rest->len - head ||
        r.body.len > MAX_PLAIN + CP_RECORD_MORE)
        return COPAL_EFORMAT;
    r.whole = cp_bytes(at, head + r.body.len);
    *rest = cp_bytes(at + r.whole.len, rest->len - r.whole.len);
    *out = r;
    return 1;
}

/* What is between the random and the extensions, and these: each as long as it
 * says. RFC 6347 4.2.1, RFC 5246 7.4.1.2. */
static bool read_hello(copal_bytes body, struct cp_hello *out)
{
    struct cp_cursor c = cp_cursor_of(body);
    copal_bytes session, suites, methods, extensions;

    if (cp_take_u16(&c) >> 8 != 0xfe)
        return false;
    out->random = cp_take(&c, 32).data;
    session = cp_take(&c, cp_take_u8(&c));
    out->cookie = cp_take(&c, cp_take_u8(&c));
    suites = cp_take(&c, cp_take_u16(&c));
    methods = cp_take(&c, cp_take_u8(&c));
    if (c.failed || session.len > 32 || suites.len < 2 || suites.len % 2 != 0 ||
        methods.len < 1)
        return false;
    if (cp_cursor_left(&c) == 0)
        return true;
    extensions = cp_take(&c, cp_take_u16(&c));
    c.failed |= cp_cursor_left(&c) > 0;
    for (struct cp_cursor e = cp_cursor_of(extensions);
         !c.failed && cp_cursor_left(&e) > 0; c.failed |= e.failed) {
        (void)cp_take_u16(&e);
        (void)cp_take(&e, cp_take_u16(&e));
    }
    return !c.failed;
}

bool cp_record_is_hello(copal_bytes datagram, struct cp_hello *out)
{
    copal_bytes rest = datagram, body;
    struct cp_record r;
    struct cp_cursor c;
    uint64_t len, at, part;

    if (datagram.len < CP_HELLO_LEAST || datagram.data[0] != CP_HANDSHAKE ||
        cp_record_next(&rest, 0, &r) != 1 || rest.len > 0 || r.epoch != 0)
        return false;
    c = cp_cursor_of(r.body);
    if (cp_take_u8(&c) != CLIENT_HELLO)
        return false;
    len = take_uint(&c, 3);
    (void)cp_take_u16(&c); /* message_seq: 0, or 1 with a cookie */
    at = take_uint(&c, 3);
    part = take_uint(&c, 3);
    body = cp_bytes(c.at, cp_cursor_left(&c));
    if (c.failed || at != 0 || part != len || body.len != len)
        return false;
    out->seq = r.seq;
    return read_hello(body, out);
}

/* ---- Sealing and opening ---- */

/* CCM and GCM send the half of the nonce that is not secret: RFC 5288 3, RFC
 * 6655 3; ChaCha20 has none to send: RFC 7905 2. */
static size_t explicit_len(const struct cp_protect_way *w)
{
    return w->key.algorithm == CP_CHACHA20_POLY1305 ? 0 : 8;
}

static void put_number(uint8_t out[8], uint16_t epoch, uint64_t seq)
{
    out[0] = (uint8_t)(epoch >> 8);
    out[1] = (uint8_t)epoch;
    for (int i = 0; i < 6; i++)
        out[2 + i] = (uint8_t)(seq >> (40 - 8 * i));
}

/* number: epoch and sequence number, or what the record has in its place. */
static void make_nonce(const struct cp_protect_way *w, const uint8_t number[8],
                       uint8_t out[CP_AEAD_TLS_NONCE])
{
    memcpy(out, w->iv, CP_AEAD_TLS_NONCE);
    if (explicit_len(w) > 0) {
        memcpy(out + 4, number, 8);
        return;
    }
    for (int i = 0; i < 8; i++)
        out[4 + i] ^= number[i];
}

static void put_u16_at(uint8_t *at, size_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

/* What a record begins with: CID_AT bytes. */
static void put_head(uint8_t *at, uint8_t type, const uint8_t number[8])
{
    at[0] = type;
    put_u16_at(at + 1, CP_DTLS_1_2);
    memcpy(at + 3, number, 8);
}

/* RFC 5246 6.2.3.3; with a Connection ID RFC 9146 5.3. len: of what is
 * encrypted, before that. */
static size_t make_aad(uint8_t type, const uint8_t number[8], copal_bytes cid,
                       size_t len, uint8_t out[AAD])
{
    uint8_t *at = out;

    if (cid.len > 0) {
        memset(at, 0xff, 8);
        at[8] = CP_TLS12_CID;
        at[9] = (uint8_t)cid.len;
        put_head(at + 10, CP_TLS12_CID, number);
        at += 10 + CID_AT;
        memcpy(at, cid.data, cid.len);
        at += cid.len;
    } else {
        memcpy(at, number, 8);
        at[8] = type;
        put_u16_at(at + 9, CP_DTLS_1_2);
        at += 11;
    }
    put_u16_at(at, len);
    return (size_t)(at + 2 - out);
}

/* One record of that number. Where there is a cid, plain ends in the content
 * type: RFC 9146 4. */
static int seal(const struct cp_protect_way *w, struct cp_aeads *aeads,
                uint8_t type, const uint8_t number[8], copal_bytes cid,
                copal_bytes plain, uint8_t *out, size_t cap)
{
    size_t before = explicit_len(w), tag = cp_aead_tag_len(w->key.algorithm);
    size_t body = before + plain.len + tag, head = CP_RECORD_HEAD + cid.len;
    uint8_t nonce[CP_AEAD_TLS_NONCE], aad[AAD];
    size_t aad_len = make_aad(type, number, cid, plain.len, aad);
    int err;

    if (head + body > cap || plain.len > MAX_PLAIN)
        return COPAL_ELIMIT;
    put_head(out, cid.len > 0 ? CP_TLS12_CID : type, number);
    if (cid.len > 0)
        memcpy(out + CID_AT, cid.data, cid.len);
    put_u16_at(out + head - 2, body);
    memcpy(out + head, number, before);
    make_nonce(w, number, nonce);
    err = cp_aead_seal(aeads, &w->key, cp_bytes(nonce, sizeof(nonce)),
                       cp_bytes(aad, aad_len), plain, out + head + before);
    return err == 0 ? (int)(head + body) : err;
}

/* Gives the length, and what the content is. */
static int open_record(const struct cp_protect_way *w, struct cp_aeads *aeads,
                       const struct cp_record *r, copal_bytes cid, uint8_t *out,
                       uint8_t *type)
{
    size_t before = explicit_len(w), tag = cp_aead_tag_len(w->key.algorithm);
    uint8_t number[8], nonce[CP_AEAD_TLS_NONCE], aad[AAD];
    size_t len, aad_len;
    int err;

    if (r->body.len < before + tag)
        return COPAL_EFORMAT;
    len = r->body.len - before - tag;
    put_number(number, r->epoch, r->seq);
    make_nonce(w, before > 0 ? r->body.data : number, nonce);
    aad_len = make_aad(r->type, number, cid, len, aad);
    err = cp_aead_open(aeads, &w->key, cp_bytes(nonce, sizeof(nonce)),
                       cp_bytes(aad, aad_len),
                       cp_bytes(r->body.data + before, len + tag), out);
    if (err != 0)
        return err;
    *type = r->type;
    if (cid.len == 0)
        return (int)len;
    /* The content type stands behind the content, zeroes behind that. */
    while (len > 0 && out[len - 1] == 0)
        len--;
    if (len == 0)
        return COPAL_EAUTH;
    *type = out[--len];
    return (int)len;
}

size_t cp_protect_more(const struct cp_protect *p)
{
    return CP_RECORD_HEAD + explicit_len(&p->out) +
           cp_aead_tag_len(p->out.key.algorithm) + p->cid_out_len +
           (p->cid_out_len > 0);
}

int cp_protect_seal(struct cp_protect *p, struct cp_aeads *aeads, uint8_t type,
                    copal_bytes plain, uint8_t *out, size_t cap)
{
    copal_bytes cid = cp_bytes(p->cid_out, p->cid_out_len);
    uint8_t number[8], inner[MAX_PLAIN + 1];
    int len;

    if (p->next_out > LAST_SEQ || (p->end_out > 0 && p->next_out >= p->end_out))
        return COPAL_ELIMIT;
    put_number(number, p->epoch, p->next_out);
    if (cid.len > 0) {
        if (plain.len >= sizeof(inner))
            return COPAL_ELIMIT;
        if (plain.len > 0)
            memcpy(inner, plain.data, plain.len);
        inner[plain.len] = type;
        plain = cp_bytes(inner, plain.len + 1);
    }
    len = seal(&p->out, aeads, type, number, cid, plain, out, cap);
    if (len > 0)
        p->next_out++;
    return len;
}

/* RFC 6347 4.1.2.6. */
static bool came_before(const struct cp_protect *p, uint64_t seq)
{
    uint64_t back = p->next_in - 1 - seq;

    if (seq >= p->next_in)
        return false;
    return back >= WINDOW || (p->seen >> back & 1) != 0;
}

/* True: the highest so far. */
static bool note(struct cp_protect *p, uint64_t seq)
{
    uint64_t on;

    if (seq < p->next_in) {
        p->seen |= UINT64_C(1) << (p->next_in - 1 - seq);
        return false;
    }
    on = seq + 1 - p->next_in;
    p->seen = on >= WINDOW ? 0 : p->seen << on;
    p->seen |= 1;
    p->next_in = seq + 1;
    return true;
}

void cp_protect_forget(struct cp_protect *p)
{
    p->seen = UINT64_MAX;
}

static bool is_for(const struct cp_protect *p, const struct cp_record *r)
{
    return r->epoch == p->epoch && r->version == CP_DTLS_1_2 &&
           cp_bytes_equal(r->cid, cp_bytes(p->cid_in, p->cid_in_len)) &&
           (r->type == CP_TLS12_CID) == (p->cid_in_len > 0);
}

int cp_protect_open(struct cp_protect *p, struct cp_aeads *aeads,
                    const struct cp_record *r, uint8_t *out, uint8_t *type,
                    bool *newest)
{
    uint32_t most = p->in.key.algorithm == CP_AES_128_CCM_8 ? MOST_FAILED_CCM_8
                                                            : MOST_FAILED;
    int len;

    if (!is_for(p, r))
        return COPAL_EFORMAT;
    if (came_before(p, r->seq))
        return COPAL_EEXIST;
    if (p->failed >= most)
        return COPAL_ELIMIT;
    len = open_record(&p->in, aeads, r, r->cid, out, type);
    if (len == COPAL_EAUTH && ++p->failed >= most)
        return COPAL_ELIMIT;
    if (len >= 0)
        *newest = note(p, r->seq);
    return len;
}

/* ---- Between a library without Connection IDs and the wire ---- */

int cp_protect_without_cid(const struct cp_protect *p, struct cp_aeads *aeads,
                           const struct cp_record *r, uint8_t *out, size_t cap)
{
    uint8_t plain[2048], number[8], type;
    int len;

    if (!is_for(p, r) || p->cid_in_len == 0)
        return COPAL_EFORMAT;
    if (r->body.len > sizeof(plain))
        return COPAL_ELIMIT;
    len = open_record(&p->in, aeads, r, r->cid, plain, &type);
    if (len < 0)
        return len;
    put_number(number, r->epoch, r->seq);
    len = seal(&p->in, aeads, type, number, (copal_bytes){0},
               cp_bytes(plain, (size_t)len), out, cap);
    cp_wipe(plain, sizeof(plain));
    return len;
}

int cp_protect_look(const struct cp_protect *p, struct cp_aeads *aeads,
                    const struct cp_record *r, uint8_t *out, uint8_t *type)
{
    return open_record(&p->out, aeads, r, (copal_bytes){0}, out, type);
}
