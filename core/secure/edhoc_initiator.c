#include "secure/edhoc_core.h"
#include "wire/cbor.h"

/* ---- Initiator ---- */

int cp_edhoc_negotiate(const struct cp_edhoc_suites *ours,
                       const struct cp_edhoc_suites *theirs)
{
    for (size_t i = 0; i < ours->count; i++)
        for (size_t j = 0; j < theirs->count; j++)
            if (ours->list[i] == theirs->list[j])
                return (int)i;
    return COPAL_ENOENT;
}

int cp_edhoc_begin(struct cp_edhoc *s, size_t selected, copal_bytes *out)
{
    struct cp_edhoc_1 m = {.ead = s->setup.ead[0]};
    struct cp_edhoc_own own;
    int err;

    cp_edhoc_start_out(s, out);
    if (s->state != CP_EDHOC_NEW || !s->is_initiator ||
        selected >= s->setup.suites.count)
        return COPAL_ESTATE;
    while (s->method < CP_EDHOC_METHODS &&
           (s->setup.methods >> s->method & 1) == 0)
        s->method++;
    m.method = s->method;
    m.suites = s->setup.suites;
    m.suites.count = selected + 1;
    s->schedule.suite = cp_edhoc_suite_find(m.suites.list[selected]);
    if (s->schedule.suite == NULL || s->method == CP_EDHOC_METHODS)
        return cp_edhoc_fail(s, COPAL_ENOTSUP, out, "no such method or suite");
    if (!s->setup.own(s->setup.user, cp_edhoc_curve_of(s, true), &own)) {
        cp_edhoc_fail(s, COPAL_ENOTSUP, out,
                      "no key of ours fits method %d with suite %d", s->method,
                      s->schedule.suite->number);
        *out = (copal_bytes){0}; /* nobody was asked yet */
        return COPAL_ENOTSUP;
    }
    err = s->setup.choose(s->setup.user, &(struct cp_edhoc_cid){0}, &s->c_i);
    if (err == 0)
        err = cp_edhoc_make_ephemeral(s);
    m.g_x = cp_bytes(s->own_x, CP_CURVE_KEY);
    m.c_i = s->c_i;
    cp_edhoc_put_1(&s->out, &m);
    if (err == 0)
        err = cp_buf_finish(&s->out, out);
    if (err == 0)
        err = cp_hash(s->schedule.suite->hash, *out, s->hash);
    if (err != 0)
        return cp_edhoc_fail_here(s, err, out);
    s->state = CP_EDHOC_WAITS_2;
    return 0;
}

/* Message 2, which is decrypted in place. */
static int open_2(struct cp_edhoc *s, struct cp_buf *plain, copal_bytes *out)
{
    struct cp_edhoc_plain p;
    copal_bytes bytes = cp_bytes(plain->data, plain->len);
    int err = cp_edhoc_agree(s, s->peer_x);

    if (err == 0)
        err = cp_edhoc_stream(&s->schedule, s->prk, s->hash, plain->data,
                              plain->len);
    if (err != 0)
        return err == COPAL_EFORMAT ? cp_edhoc_fail(s, err, out, "Invalid G_Y")
                                    : cp_edhoc_fail_here(s, err, out);
    err = cp_edhoc_read_plain(bytes, true, &p);
    if (err != 0)
        return cp_edhoc_fail(s, err, out, "Malformed message_2");
    s->c_r = p.c_r;
    /* RFC 9668 4.1.3. */
    if (cp_bytes_equal(cp_edhoc_cid_bytes(&s->c_r),
                       cp_edhoc_cid_bytes(&s->c_i)))
        return cp_edhoc_fail(s, COPAL_EFORMAT, out, "C_R is C_I");
    return cp_edhoc_take_plain(s, CP_MAC_2, bytes, &p, out);
}

/* Message 3: sealed by PRK_3e2m, though the proof in it may be made by PRK_4e3m
 * already. */
static int compose_3(struct cp_edhoc *s, copal_bytes *out)
{
    uint8_t prk_4e3m[CP_HASH_LEN], prk_3e2m[CP_HASH_LEN], th_4[CP_HASH_LEN];
    copal_bytes cred;
    int err;

    cp_edhoc_start_out(s, out);
    memcpy(prk_3e2m, s->prk, sizeof(prk_3e2m));
    err = cp_edhoc_put_proof(s, CP_MAC_3, &cred);
    if (err == 0)
        err =
            cp_edhoc_transcript(&s->schedule, cp_edhoc_hash_of(s),
                                cp_bytes(s->out.data, s->out.len), cred, th_4);
    memcpy(prk_4e3m, s->prk, sizeof(prk_4e3m));
    memcpy(s->prk, prk_3e2m, sizeof(prk_3e2m));
    if (err == 0)
        err = cp_edhoc_put_sealed(s, CP_K_3, out);
    memcpy(s->prk, prk_4e3m, sizeof(prk_4e3m));
    if (err == 0) {
        memcpy(s->hash, th_4, sizeof(th_4));
        err = cp_edhoc_finish(s);
    }
    cp_wipe(prk_3e2m, sizeof(prk_3e2m));
    cp_wipe(prk_4e3m, sizeof(prk_4e3m));
    return err;
}

int cp_edhoc_take_2(struct cp_edhoc *s, copal_bytes message, copal_bytes *out)
{
    struct cp_buf plain = cp_buf_new(s->setup.mem);
    copal_bytes both;
    int err;

    cp_edhoc_start_out(s, out);
    if (s->state != CP_EDHOC_WAITS_2)
        return COPAL_ESTATE;
    err = cp_edhoc_read_bytes(message, &both);
    if (err != 0 || both.len <= CP_CURVE_KEY)
        return cp_edhoc_fail(s, err != 0 ? err : COPAL_EFORMAT, out,
                             "Malformed message_2");
    memcpy(s->peer_x, both.data, CP_CURVE_KEY);
    cp_put_bytes(&plain,
                 cp_bytes(both.data + CP_CURVE_KEY, both.len - CP_CURVE_KEY));
    err = plain.failed ? cp_edhoc_fail_here(s, COPAL_ENOMEM, out)
                       : open_2(s, &plain, out);
    cp_buf_free(&plain);
    if (err != 0)
        return err;
    err = compose_3(s, out);
    if (err != 0)
        return cp_edhoc_fail_here(s, err, out);
    s->state = CP_EDHOC_WAITS_4;
    return 0;
}

int cp_edhoc_take_4(struct cp_edhoc *s, copal_bytes message, copal_bytes *out)
{
    copal_bytes sealed;
    uint8_t *plain;
    size_t tag;
    int err;

    cp_edhoc_start_out(s, out);
    if (s->state != CP_EDHOC_WAITS_4)
        return COPAL_ESTATE;
    tag = cp_aead_tag_len(s->schedule.suite->aead);
    err = cp_edhoc_read_bytes(message, &sealed);
    if (err != 0 || sealed.len < tag)
        return cp_edhoc_fail(s, err != 0 ? err : COPAL_EFORMAT, out,
                             "Malformed message_4");
    plain = cp_alloc(s->setup.mem, sealed.len);
    if (plain == NULL)
        return cp_edhoc_fail_here(s, COPAL_ENOMEM, out);
    err = cp_edhoc_open(&s->schedule, s->prk, s->hash, CP_K_4, sealed, plain);
    if (err != 0) {
        err = cp_edhoc_fail(s, err, out, "Authentication failed");
    } else {
        copal_bytes ead = cp_bytes(plain, sealed.len - tag);

        err = cp_edhoc_check_ead(ead);
        err = err != 0 ? cp_edhoc_fail(s, err, out, "Malformed message_4")
                       : cp_edhoc_hear_ead(s, 4, ead, out);
    }
    cp_free(s->setup.mem, plain);
    if (err == 0) {
        cp_wipe(s->prk, sizeof(s->prk));
        s->state = CP_EDHOC_DONE;
    }
    return err;
}
