#include "secure/edhoc_core.h"
#include "wire/cbor.h"

#include <stdio.h>

/* ---- External authorization data ---- */

int cp_edhoc_hear_ead(struct cp_edhoc *s, int message, copal_bytes ead,
                      copal_bytes *out)
{
    struct cp_edhoc_ead item;

    while (cp_edhoc_next_ead(&ead, &item) == 1) {
        int err = COPAL_ENOENT;

        if (item.label == 0) /* padding */
            continue;
        if (s->setup.on_ead != NULL)
            err = s->setup.on_ead(s->setup.user, message, &item);
        if (err != 0 && item.label < 0)
            return cp_edhoc_fail(s, COPAL_ENOTSUP, out,
                                 "Critical EAD item %lld not understood",
                                 (long long)item.label);
    }
    return 0;
}

/* ---- Proving ---- */

/* Appends ID_CRED, Signature_or_MAC and EAD to s->out, which may have C_R
 * already; *cred is what proves us. prk is ours of that message, advanced by
 * our static key where we have one. */
int cp_edhoc_put_proof(struct cp_edhoc *s, int label, copal_bytes *cred)
{
    struct cp_edhoc_proof proof = {.label = label, .hash = s->hash};
    bool initiator = s->is_initiator;
    struct cp_public_key peer = cp_edhoc_peer_key(s);
    uint8_t made[CP_EDHOC_PROOF];
    struct cp_edhoc_own own;
    size_t len;
    int err = 0;

    if (!s->setup.own(s->setup.user, cp_edhoc_curve_of(s, initiator), &own))
        return COPAL_ENOTSUP;
    proof.by_signature = cp_edhoc_signs(s, initiator);
    proof.cid = cp_bytes(s->out.data, s->out.len);
    proof.id = own.id;
    proof.cred = *cred = own.cred;
    proof.ead = s->setup.ead[label == CP_MAC_2 ? 1 : 2];
    proof.prk = s->prk;
    if (!proof.by_signature)
        err = cp_edhoc_mix(&s->schedule, s->prk,
                           label == CP_MAC_2 ? CP_SALT_3E2M : CP_SALT_4E3M,
                           s->hash, &peer, own.secret, s->prk);
    if (err == 0)
        err = cp_edhoc_prove(&s->schedule, &proof, own.secret, made, &len);
    if (err != 0)
        return err;
    cp_edhoc_put_id(&s->out, own.id);
    cp_cbor_put_bytes(&s->out, cp_bytes(made, len));
    cp_put_bytes(&s->out, proof.ead);
    return s->out.failed ? COPAL_ENOMEM : 0;
}

/* ---- Being proven to ---- */

/* Is it proven by this credential? Then prk and peer are the session's. */
static int try(struct cp_edhoc *s, struct cp_edhoc_proof *proof,
               const struct cp_edhoc_credential *c, copal_bytes shown)
{
    uint8_t prk[CP_HASH_LEN];
    struct cp_edhoc_own own;
    int err = 0;

    if (c->key.curve != cp_edhoc_curve_of(s, !s->is_initiator))
        return COPAL_EAUTH;
    /* Who shows what is ours reflects our own messages. */
    if (s->setup.own(s->setup.user, cp_edhoc_curve_of(s, s->is_initiator),
                     &own) &&
        cp_bytes_equal(own.cred, c->item))
        return COPAL_EAUTH;
    proof->cred = c->item;
    proof->prk = prk;
    memcpy(prk, s->prk, sizeof(prk));
    if (!proof->by_signature)
        err =
            cp_edhoc_mix(&s->schedule, s->prk,
                         proof->label == CP_MAC_2 ? CP_SALT_3E2M : CP_SALT_4E3M,
                         s->hash, &c->key, s->secret, prk);
    if (err == 0)
        err = cp_edhoc_check_proof(&s->schedule, proof, &c->key, shown);
    if (err == 0) {
        memcpy(s->prk, prk, sizeof(prk));
        memcpy(s->peer, c->name, sizeof(s->peer));
    }
    cp_wipe(prk, sizeof(prk));
    return err;
}

static int unknown(struct cp_edhoc *s, copal_bytes *out)
{
    snprintf(s->why, sizeof(s->why), "the peer's credential is not known here");
    return cp_edhoc_end(
        s, COPAL_EAUTH,
        &(struct cp_edhoc_error){.code = CP_EDHOC_UNKNOWN_CREDENTIAL}, out);
}

/* Each credential that ID_CRED may mean, for a kid may be several's (RFC 9528
 * 3.5.3). *found: the one it was. */
static int check_proof(struct cp_edhoc *s, struct cp_edhoc_proof *proof,
                       copal_bytes shown, struct cp_edhoc_credential *found,
                       copal_bytes *out)
{
    struct cp_cose_id id;
    int err = cp_cose_read_id(proof->id, &id), tried = COPAL_EAUTH;

    if (err != 0)
        return cp_edhoc_fail(s, err, out, "Malformed ID_CRED");
    for (size_t i = 0; i < CP_EDHOC_CANDIDATES; i++) {
        err = s->setup.find(s->setup.user, &id, i, found);
        if (err == COPAL_ENOENT && i == 0)
            return unknown(s, out);
        if (err == COPAL_ENOENT)
            break;
        if (err == COPAL_ENOMEM)
            return cp_edhoc_fail_here(s, err, out);
        if (err != 0)
            return cp_edhoc_fail(
                s, COPAL_EAUTH, out,
                err == COPAL_ENOTSUP
                    ? "Identifier of the credential not supported"
                    : "Credential not trusted");
        tried = try(s, proof, found, shown);
        if (tried == 0)
            return 0;
        if (tried == COPAL_ENOMEM)
            return cp_edhoc_fail_here(s, tried, out);
    }
    return cp_edhoc_fail(s, COPAL_EAUTH, out, "Authentication failed");
}

/* What a plaintext says, checked; the transcript goes on. */
int cp_edhoc_take_plain(struct cp_edhoc *s, int label, copal_bytes plain,
                        const struct cp_edhoc_plain *p, copal_bytes *out)
{
    struct cp_buf id = cp_buf_new(s->setup.mem), cid = cp_buf_new(s->setup.mem);
    struct cp_edhoc_proof proof = {.label = label,
                                   .hash = s->hash,
                                   .id = p->id,
                                   .ead = p->ead,
                                   .by_signature =
                                       cp_edhoc_signs(s, !s->is_initiator)};
    struct cp_edhoc_credential found;
    int err = 0;

    if (p->is_kid) {
        cp_cose_put_kid(&id, p->kid);
        err = cp_buf_finish(&id, &proof.id);
    }
    if (label == CP_MAC_2)
        cp_edhoc_put_cid(&cid, cp_edhoc_cid_bytes(&s->c_r));
    if (err == 0)
        err = cp_buf_finish(&cid, &proof.cid);
    if (err != 0)
        err = cp_edhoc_fail_here(s, err, out);
    if (err == 0)
        err = cp_edhoc_hear_ead(s, label == CP_MAC_2 ? 2 : 3, p->ead, out);
    if (err == 0)
        err = check_proof(s, &proof, p->proof, &found, out);
    if (err == 0) {
        err = cp_edhoc_advance(s, plain, found.item);
        if (err != 0)
            err = cp_edhoc_fail_here(s, err, out);
    }
    cp_buf_free(&id);
    cp_buf_free(&cid);
    return err;
}
