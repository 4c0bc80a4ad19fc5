#include "secure/edhoc_core.h"
#include "wire/cbor.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- Life ---- */

void cp_edhoc_init(struct cp_edhoc *s, const struct cp_edhoc_setup *setup,
                   bool is_initiator)
{
    *s = (struct cp_edhoc){.setup = *setup, .is_initiator = is_initiator};
    s->schedule.mem = setup->mem;
    s->schedule.aeads = setup->aeads;
    s->out = cp_buf_new(setup->mem);
}

static void wipe_keys(struct cp_edhoc *s)
{
    cp_wipe(s->secret, sizeof(s->secret));
    cp_wipe(s->prk, sizeof(s->prk));
    cp_wipe(s->prk_out, sizeof(s->prk_out));
    cp_wipe(s->prk_exporter, sizeof(s->prk_exporter));
}

void cp_edhoc_clear(struct cp_edhoc *s)
{
    wipe_keys(s);
    cp_buf_free(&s->out);
    s->state = CP_EDHOC_FAILED;
}

/* ---- Failing ---- */

/* The session is over; what goes out is e. */
int cp_edhoc_end(struct cp_edhoc *s, int err, const struct cp_edhoc_error *e,
                 copal_bytes *out)
{
    wipe_keys(s);
    s->state = CP_EDHOC_FAILED;
    s->out.len = 0;
    s->out.failed = false;
    cp_edhoc_put_error(&s->out, e);
    if (cp_buf_finish(&s->out, out) != 0)
        *out = (copal_bytes){0};
    return err;
}

int cp_edhoc_fail(struct cp_edhoc *s, int err, copal_bytes *out,
                  const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(s->why, sizeof(s->why), format, list);
    va_end(list);
    return cp_edhoc_end(
        s, err,
        &(struct cp_edhoc_error){.code = CP_EDHOC_UNSPECIFIED,
                                 .text = cp_bytes_of_text(s->why)},
        out);
}

/* Memory, or the library; not the peer. */
int cp_edhoc_fail_here(struct cp_edhoc *s, int err, copal_bytes *out)
{
    return cp_edhoc_fail(s, err, out, "%s", copal_strerror(err));
}

/* What is waited for came; nothing of it is built yet. */
void cp_edhoc_start_out(struct cp_edhoc *s, copal_bytes *out)
{
    *out = (copal_bytes){0};
    s->out.len = 0;
    s->out.failed = false;
}

/* ---- Who is who ---- */

/* The peer's ephemeral key. */
struct cp_public_key cp_edhoc_peer_key(const struct cp_edhoc *s)
{
    struct cp_public_key key = {.curve = s->schedule.suite->curve};

    memcpy(key.x, s->peer_x, CP_CURVE_KEY);
    return key;
}

int cp_edhoc_make_ephemeral(struct cp_edhoc *s)
{
    enum cp_curve curve = s->schedule.suite->curve;
    struct cp_public_key key;
    int err;

    if (s->setup.secret != NULL) {
        memcpy(s->secret, s->setup.secret, CP_CURVE_KEY);
        err = cp_curve_public(curve, s->secret, &key);
    } else {
        err = cp_curve_generate(curve, s->secret, &key);
    }
    if (err == 0)
        memcpy(s->own_x, key.x, CP_CURVE_KEY);
    return err;
}

/* TH_2 and PRK_2e, once both ephemeral keys are known; hash has message 1's. */
int cp_edhoc_agree(struct cp_edhoc *s, const uint8_t *g_y)
{
    uint8_t shared[CP_CURVE_KEY], first[CP_HASH_LEN + 4];
    struct cp_buf b = cp_buf_fixed(first, sizeof(first));
    struct cp_public_key peer = cp_edhoc_peer_key(s);
    int err = cp_curve_shared(&peer, s->secret, shared);

    cp_cbor_put_bytes(&b, cp_edhoc_hash_of(s));
    if (err == 0)
        err = cp_edhoc_transcript(&s->schedule, cp_bytes(g_y, CP_CURVE_KEY),
                                  cp_bytes(first, b.len), (copal_bytes){0},
                                  s->hash);
    if (err == 0)
        err = cp_hkdf_extract(s->schedule.suite->hash, cp_edhoc_hash_of(s),
                              cp_bytes(shared, sizeof(shared)), s->prk);
    cp_wipe(shared, sizeof(shared));
    return err;
}

/* TH_3 or TH_4: after a plaintext and the credential that it named. */
int cp_edhoc_advance(struct cp_edhoc *s, copal_bytes plain, copal_bytes cred)
{
    return cp_edhoc_transcript(&s->schedule, cp_edhoc_hash_of(s), plain, cred,
                               s->hash);
}

/* ---- Keys for the application ---- */

int cp_edhoc_finish(struct cp_edhoc *s)
{
    int err =
        cp_edhoc_kdf(&s->schedule, s->prk, CP_PRK_OUT, cp_edhoc_hash_of(s),
                     s->prk_out, cp_edhoc_hash_len(&s->schedule));

    if (err == 0)
        err = cp_edhoc_kdf(&s->schedule, s->prk_out, CP_PRK_EXPORTER,
                           (copal_bytes){0}, s->prk_exporter,
                           cp_edhoc_hash_len(&s->schedule));
    cp_wipe(s->secret, sizeof(s->secret));
    return err;
}

/* Puts what is sealed of plain in place of it. */
int cp_edhoc_put_sealed(struct cp_edhoc *s, int key_label, copal_bytes *out)
{
    size_t plain_len = s->out.len;
    size_t len = plain_len + cp_aead_tag_len(s->schedule.suite->aead);
    uint8_t *sealed = cp_alloc(s->setup.mem, len);
    int err = sealed == NULL ? COPAL_ENOMEM : 0;

    if (err == 0)
        err = cp_edhoc_seal(&s->schedule, s->prk, s->hash, key_label,
                            cp_bytes(s->out.data, plain_len), sealed);
    s->out.len = 0;
    if (err == 0) {
        cp_cbor_put_bytes(&s->out, cp_bytes(sealed, len));
        err = cp_buf_finish(&s->out, out);
    }
    cp_free(s->setup.mem, sealed);
    return err;
}

/* ---- Export ---- */

static bool has_keys(const struct cp_edhoc *s)
{
    return s->state == CP_EDHOC_WAITS_4 || s->state == CP_EDHOC_DONE;
}

int cp_edhoc_export(const struct cp_edhoc *s, uint64_t label,
                    copal_bytes context, uint8_t *out, size_t len)
{
    if (!has_keys(s))
        return COPAL_ESTATE;
    return cp_edhoc_kdf(&s->schedule, s->prk_exporter, (int64_t)label, context,
                        out, len);
}

int cp_edhoc_update(struct cp_edhoc *s, copal_bytes context)
{
    uint8_t fresh[CP_HASH_LEN], exporter[CP_HASH_LEN];
    int err;

    if (!has_keys(s))
        return COPAL_ESTATE;
    err = cp_edhoc_kdf(&s->schedule, s->prk_out, CP_KEY_UPDATE, context, fresh,
                       cp_edhoc_hash_len(&s->schedule));
    if (err == 0)
        err =
            cp_edhoc_kdf(&s->schedule, fresh, CP_PRK_EXPORTER, (copal_bytes){0},
                         exporter, cp_edhoc_hash_len(&s->schedule));
    if (err == 0) {
        memcpy(s->prk_out, fresh, sizeof(fresh));
        memcpy(s->prk_exporter, exporter, sizeof(exporter));
    }
    cp_wipe(fresh, sizeof(fresh));
    cp_wipe(exporter, sizeof(exporter));
    return err;
}

int cp_edhoc_oscore(const struct cp_edhoc *s, struct cp_edhoc_oscore *out)
{
    const struct cp_edhoc_suite *suite = s->schedule.suite;
    size_t most;
    int err;

    *out = (struct cp_edhoc_oscore){
        .hkdf = -10, .sender = s->c_i, .recipient = s->c_r};
    if (!has_keys(s))
        return COPAL_ESTATE;
    if (s->is_initiator) {
        out->sender = s->c_r;
        out->recipient = s->c_i;
    }
    most = suite->app_aead == CP_AES_128_CCM_8 ? 7 : 6; /* RFC 8613 5.2 */
    if (out->sender.len > most || out->recipient.len > most)
        return COPAL_ELIMIT;
    out->aead = suite->app_aead_cose;
    out->secret_len = cp_aead_key_len(suite->app_aead);
    err = cp_edhoc_export(s, 0, (copal_bytes){0}, out->secret, out->secret_len);
    if (err == 0)
        err = cp_edhoc_export(s, 1, (copal_bytes){0}, out->salt,
                              sizeof(out->salt));
    return err;
}
