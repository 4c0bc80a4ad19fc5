#include "secure/edhoc_core.h"
#include "wire/cbor.h"

#include <stdio.h>

/* ---- Responder ---- */

/* The first of theirs that is ours has to be the last of theirs. RFC 9528
 * 5.2.3, 6.3. */
static int check_suites(struct cp_edhoc *s,
                        const struct cp_edhoc_suites *theirs, copal_bytes *out)
{
    int selected = theirs->list[theirs->count - 1];
    size_t first = 0;

    for (; first < theirs->count; first++)
        if (cp_edhoc_negotiate(
                &s->setup.suites,
                &(struct cp_edhoc_suites){1, {theirs->list[first]}}) >= 0)
            break;
    if (first < theirs->count && theirs->list[first] == selected) {
        s->schedule.suite = cp_edhoc_suite_find(selected);
        if (s->schedule.suite != NULL)
            return 0;
    }
    snprintf(s->why, sizeof(s->why), "suite %d is not the first that both have",
             selected);
    return cp_edhoc_end(s, COPAL_ENOTSUP,
                        &(struct cp_edhoc_error){.code = CP_EDHOC_WRONG_SUITE,
                                                 .suites = s->setup.suites},
                        out);
}

static int check_1(struct cp_edhoc *s, copal_bytes message, copal_bytes *out)
{
    struct cp_edhoc_own own;
    struct cp_edhoc_1 m;
    int err = cp_edhoc_read_1(message, &m);

    if (err != 0)
        return cp_edhoc_fail(s, err, out, "Malformed message_1");
    if (m.method < 0 || m.method >= CP_EDHOC_METHODS ||
        (s->setup.methods >> m.method & 1) == 0)
        return cp_edhoc_fail(s, COPAL_ENOTSUP, out, "Method not supported");
    err = check_suites(s, &m.suites, out);
    if (err != 0)
        return err;
    if (m.g_x.len != CP_CURVE_KEY)
        return cp_edhoc_fail(s, COPAL_EFORMAT, out, "Invalid G_X");
    s->method = m.method;
    s->c_i = m.c_i;
    memcpy(s->peer_x, m.g_x.data, CP_CURVE_KEY);
    if (!s->setup.own(s->setup.user, cp_edhoc_curve_of(s, false), &own))
        return cp_edhoc_fail(s, COPAL_ENOTSUP, out, "Method not supported");
    err = cp_edhoc_hear_ead(s, 1, m.ead, out);
    if (err != 0)
        return err;
    err = cp_hash(s->schedule.suite->hash, message, s->hash);
    return err != 0 ? cp_edhoc_fail_here(s, err, out) : 0;
}

/* PLAINTEXT_2 is in s->out, and goes out encrypted behind G_Y. */
static int compose_2(struct cp_edhoc *s, const uint8_t *prk_2e,
                     const uint8_t *th_2, copal_bytes *out)
{
    struct cp_buf b = cp_buf_new(s->setup.mem);
    int err =
        cp_edhoc_stream(&s->schedule, prk_2e, th_2, s->out.data, s->out.len);

    cp_cbor_put_bytes_head(&b, CP_CURVE_KEY + s->out.len);
    cp_put_bytes(&b, cp_bytes(s->own_x, CP_CURVE_KEY));
    cp_put_bytes(&b, cp_bytes(s->out.data, s->out.len));
    cp_buf_free(&s->out);
    s->out = b;
    return err != 0 ? err : cp_buf_finish(&s->out, out);
}

int cp_edhoc_take_1(struct cp_edhoc *s, copal_bytes message, copal_bytes *out)
{
    uint8_t prk_2e[CP_HASH_LEN], th_2[CP_HASH_LEN];
    copal_bytes cred = {0};
    int err;

    cp_edhoc_start_out(s, out);
    if (s->state != CP_EDHOC_NEW || s->is_initiator)
        return COPAL_ESTATE;
    err = check_1(s, message, out);
    if (err != 0)
        return err;
    err = s->setup.choose(s->setup.user, &s->c_i, &s->c_r);
    if (err == 0)
        err = cp_edhoc_make_ephemeral(s);
    if (err != 0)
        return cp_edhoc_fail_here(s, err, out);
    err = cp_edhoc_agree(s, s->own_x);
    if (err == COPAL_EFORMAT)
        return cp_edhoc_fail(s, err, out, "Invalid G_X");
    memcpy(prk_2e, s->prk, sizeof(prk_2e));
    memcpy(th_2, s->hash, sizeof(th_2));
    cp_edhoc_put_cid(&s->out, cp_edhoc_cid_bytes(&s->c_r));
    if (err == 0 && s->out.failed)
        err = COPAL_ENOMEM;
    if (err == 0)
        err = cp_edhoc_put_proof(s, CP_MAC_2, &cred);
    if (err == 0)
        err = cp_edhoc_advance(s, cp_bytes(s->out.data, s->out.len), cred);
    if (err == 0)
        err = compose_2(s, prk_2e, th_2, out);
    cp_wipe(prk_2e, sizeof(prk_2e));
    if (err != 0)
        return cp_edhoc_fail_here(s, err, out);
    s->state = CP_EDHOC_WAITS_3;
    return 0;
}

/* Message 4; a session that has none is over with this all the same. */
static int compose_4(struct cp_edhoc *s, copal_bytes *out)
{
    int err = cp_edhoc_finish(s);

    cp_edhoc_start_out(s, out);
    cp_put_bytes(&s->out, s->setup.ead[3]);
    if (err == 0 && s->out.failed)
        err = COPAL_ENOMEM;
    if (err == 0)
        err = cp_edhoc_put_sealed(s, CP_K_4, out);
    cp_wipe(s->prk, sizeof(s->prk));
    return err;
}

int cp_edhoc_take_3(struct cp_edhoc *s, copal_bytes message, copal_bytes *out)
{
    struct cp_edhoc_plain p;
    copal_bytes sealed, bytes;
    uint8_t *plain;
    size_t tag;
    int err;

    cp_edhoc_start_out(s, out);
    if (s->state != CP_EDHOC_WAITS_3)
        return COPAL_ESTATE;
    tag = cp_aead_tag_len(s->schedule.suite->aead);
    err = cp_edhoc_read_bytes(message, &sealed);
    if (err != 0 || sealed.len < tag)
        return cp_edhoc_fail(s, err != 0 ? err : COPAL_EFORMAT, out,
                             "Malformed message_3");
    plain = cp_alloc(s->setup.mem, sealed.len);
    if (plain == NULL)
        return cp_edhoc_fail_here(s, COPAL_ENOMEM, out);
    bytes = cp_bytes(plain, sealed.len - tag);
    err = cp_edhoc_open(&s->schedule, s->prk, s->hash, CP_K_3, sealed, plain);
    if (err != 0) {
        err = err == COPAL_EAUTH
                  ? cp_edhoc_fail(s, err, out, "Authentication failed")
                  : cp_edhoc_fail_here(s, err, out);
    } else {
        err = cp_edhoc_read_plain(bytes, false, &p);
        err = err != 0 ? cp_edhoc_fail(s, err, out, "Malformed message_3")
                       : cp_edhoc_take_plain(s, CP_MAC_3, bytes, &p, out);
    }
    cp_free(s->setup.mem, plain);
    if (err != 0)
        return err;
    err = compose_4(s, out);
    if (err != 0)
        return cp_edhoc_fail_here(s, err, out);
    s->state = CP_EDHOC_DONE;
    return 0;
}
