#include "secure/dtls_state.h"

/* Version 1, numbers big-endian:
 *   version, flags, mark of the keys (2), epoch (2), failed (4),
 *   each way: algorithm, key, IV (12); a Connection ID with its length,
 *   next out (8), next in (8), seen (8),
 *   family, address (16), scope (4), port (2), identity, host: length (2), text
 */
enum {
    VERSION = 1,
    CLEAN = 1,
    BY_PSK = 2,
    HAS_IDENTITY = 4,
    IS_OURS = 8,
    ALL_FLAGS = 15
};

#define LAST_SEQ ((UINT64_C(1) << 48) - 1)

/* ---- Writing ---- */

static void put_u64(struct cp_buf *b, uint64_t v)
{
    cp_put_u32(b, (uint32_t)(v >> 32));
    cp_put_u32(b, (uint32_t)v);
}

static void put_way(struct cp_buf *b, const struct cp_protect_way *w,
                    const uint8_t *cid, uint8_t cid_len)
{
    cp_put_u8(b, w->key.algorithm);
    cp_put_bytes(b, cp_bytes(w->key.bytes, cp_aead_key_len(w->key.algorithm)));
    cp_put_bytes(b, cp_bytes(w->iv, sizeof(w->iv)));
    cp_put_u8(b, cid_len);
    cp_put_bytes(b, cp_bytes(cid, cid_len));
}

static void put_text(struct cp_buf *b, copal_bytes text)
{
    cp_put_u16(b, (uint16_t)text.len);
    cp_put_bytes(b, text);
}

int cp_dtls_state_write(const struct cp_dtls_state *s, struct cp_buf *out)
{
    const struct cp_protect *p = &s->protect;

    cp_put_u8(out, VERSION);
    cp_put_u8(out, (uint8_t)((s->is_clean ? CLEAN : 0) |
                             (s->is_by_psk ? BY_PSK : 0) |
                             (s->identity.data != NULL ? HAS_IDENTITY : 0) |
                             (s->host.data != NULL ? IS_OURS : 0)));
    cp_put_u16(out, s->keys);
    cp_put_u16(out, p->epoch);
    cp_put_u32(out, p->failed);
    put_way(out, &p->in, p->cid_in, p->cid_in_len);
    put_way(out, &p->out, p->cid_out, p->cid_out_len);
    put_u64(out, p->next_out);
    put_u64(out, p->next_in);
    put_u64(out, p->seen);
    cp_put_u8(out, s->remote.family);
    cp_put_bytes(out, cp_bytes(s->remote.ip, sizeof(s->remote.ip)));
    cp_put_u32(out, s->remote.scope);
    cp_put_u16(out, s->remote.port);
    put_text(out, s->identity);
    put_text(out, s->host);
    return !out->failed ? 0 : out->mem == NULL ? COPAL_ELIMIT : COPAL_ENOMEM;
}

/* ---- Reading ---- */

static uint64_t take_uint(struct cp_cursor *c, size_t n)
{
    return cp_bytes_uint(cp_take(c, n));
}

static void take_into(struct cp_cursor *c, void *to, size_t n)
{
    copal_bytes from = cp_take(c, n);

    if (from.len == n && n > 0)
        memcpy(to, from.data, n);
}

static void take_way(struct cp_cursor *c, struct cp_protect_way *w,
                     uint8_t *cid, uint8_t *cid_len, size_t most)
{
    w->key.algorithm = cp_take_u8(c);
    if (w->key.algorithm >= CP_AEAD_COUNT) {
        c->failed = true;
        return;
    }
    take_into(c, w->key.bytes, cp_aead_key_len(w->key.algorithm));
    take_into(c, w->iv, sizeof(w->iv));
    *cid_len = cp_take_u8(c);
    if (*cid_len > most)
        c->failed = true;
    else
        take_into(c, cid, *cid_len);
}

/* A name ends up as text: a NUL in it would cut it off. */
static copal_bytes take_text(struct cp_cursor *c, bool is_there)
{
    copal_bytes text = cp_take(c, cp_take_u16(c));

    if (text.len > 0 && (!is_there || memchr(text.data, 0, text.len) != NULL))
        c->failed = true;
    if (!is_there)
        return (copal_bytes){0};
    return text.data == NULL ? cp_bytes("", 0) : text;
}

int cp_dtls_state_read(copal_bytes bytes, struct cp_dtls_state *out)
{
    struct cp_cursor c = cp_cursor_of(bytes);
    struct cp_dtls_state s = {0};
    struct cp_protect *p = &s.protect;
    uint8_t version = cp_take_u8(&c), flags = cp_take_u8(&c);

    if (version != VERSION || (flags & ~ALL_FLAGS) != 0)
        return COPAL_EFORMAT;
    s.is_clean = (flags & CLEAN) != 0;
    s.is_by_psk = (flags & BY_PSK) != 0;
    s.keys = cp_take_u16(&c);
    p->epoch = cp_take_u16(&c);
    p->failed = (uint32_t)take_uint(&c, 4);
    take_way(&c, &p->in, p->cid_in, &p->cid_in_len, CP_CID_MINE);
    take_way(&c, &p->out, p->cid_out, &p->cid_out_len, CP_CID_THEIRS);
    p->next_out = take_uint(&c, 8);
    p->next_in = take_uint(&c, 8);
    p->seen = take_uint(&c, 8);
    s.remote.family = cp_take_u8(&c);
    take_into(&c, s.remote.ip, sizeof(s.remote.ip));
    s.remote.scope = (uint32_t)take_uint(&c, 4);
    s.remote.port = cp_take_u16(&c);
    s.identity = take_text(&c, (flags & HAS_IDENTITY) != 0);
    s.host = take_text(&c, (flags & IS_OURS) != 0);
    if (c.failed || cp_cursor_left(&c) > 0 || p->epoch == 0 ||
        p->next_out > LAST_SEQ || p->next_in > LAST_SEQ + 1 ||
        p->in.key.algorithm != p->out.key.algorithm)
        return COPAL_EFORMAT;
    *out = s;
    return 0;
}
