/* Keys made anew of what two ends share, whenever one of them has lost its
 * numbers. RFC 8613 B.2, with R2s that can be told without being kept (B.2.1):
 *
 *   client                              server
 *   1  under R1, says R1           ->   knows no such context: takes R1 for one,
 *                                  <-   2  4.01 under R2 R1, says R2
 *   3  under R2 R3, says R2 R3     ->   its R2, and not used yet: acts upon it
 *                                  <-   4  the answer, under R2 R3
 *
 * A server that began anew takes what it is told for R1, however long. */
#include "base/secret.h"
#include "engine/core.h"
#include "secure/oscore_context.h"
#include "wire/cbor.h"

/* ---- Roots and their children ---- */

static bool copy_secret(struct cp_mem *mem, copal_bytes from, copal_bytes *to)
{
    uint8_t *copy = cp_alloc(mem, from.len + 1);

    if (copy == NULL)
        return false;
    if (from.len > 0)
        memcpy(copy, from.data, from.len);
    *to = cp_bytes(copy, from.len);
    return true;
}

static void secret_free(struct cp_mem *mem, copal_bytes secret)
{
    if (secret.data != NULL)
        cp_free_secret(mem, (void *)secret.data, secret.len);
}

int cp_oscore_rederive_begin(struct cp_oscore_context *c,
                             const struct cp_oscore_input *in)
{
    struct cp_oscore_root *r = cp_zalloc(c->mem, sizeof(*r));

    if (r == NULL)
        return COPAL_ENOMEM;
    c->derives = r;
    cp_list_init(&r->children);
    r->aead = in->aead;
    r->hkdf = in->hkdf;
    return copy_secret(c->mem, in->secret, &r->secret) &&
                   copy_secret(c->mem, in->salt, &r->salt)
               ? 0
               : COPAL_ENOMEM;
}

/* Its last user is gone. */
void cp_oscore_rederive_end(struct cp_oscore_context *c)
{
    struct cp_oscore_root *r = c->derives;

    cp_list_remove(&c->of_root);
    if (r == NULL)
        return;
    list_each (node, after, &r->children) {
        cp_container_of(node, struct cp_oscore_context, of_root)->root = NULL;
        cp_list_remove(node);
    }
    if (r->current != NULL)
        cp_guard_unref(&r->current->guard);
    secret_free(c->mem, r->secret);
    secret_free(c->mem, r->salt);
    cp_free_secret(c->mem, r, sizeof(*r));
    c->derives = NULL;
}

/* Under that ID Context, in *out, ref'd. COPAL_EINVAL: too long; COPAL_ENOMEM. */
static int derive(struct cp_oscore_context *root, copal_bytes id,
                  struct cp_oscore_context **out)
{
    struct cp_oscore_root *r = root->derives;
    struct cp_oscore_spec spec = {
        .in = {.secret = r->secret,
               .salt = r->salt,
               .sender_id = cp_oscore_sender(&root->keys),
               .recipient_id = cp_oscore_recipient(&root->keys),
               .id_context = id,
               .aead = r->aead,
               .hkdf = r->hkdf},
        .window = root->window.size,
        .identity = root->identity,
        .is_new = true,
    };
    struct cp_oscore_context *c;
    struct cp_oscore_keys k;
    int err = cp_oscore_derive(&spec.in, &k);

    if (err != 0)
        return err;
    c = cp_oscore_context_new(root->all, &spec, &k);
    cp_wipe(&k, sizeof(k));
    if (c == NULL)
        return COPAL_ENOMEM;
    c->root = root;
    cp_list_append(&r->children, &c->of_root);
    err = cp_oscore_state_begin(c);
    if (err != 0)
        cp_guard_unref(&c->guard);
    else
        *out = c;
    return err;
}

/* Takes the caller's reference. What was observed under the one before ends. */
static void make_current(struct cp_oscore_context *root,
                         struct cp_oscore_context *c)
{
    struct cp_oscore_context *before = root->derives->current;

    root->derives->current = c;
    if (before == NULL)
        return;
    cp_guard_gone(root->all->engine, before);
    cp_guard_unref(&before->guard);
}

/* ---- Kid contexts ---- */

copal_bytes cp_oscore_rederive_wrap(copal_bytes id, uint8_t *storage)
{
    struct cp_buf b = cp_buf_fixed(storage, id.len + 2);

    cp_cbor_put_bytes(&b, id);
    return cp_bytes(b.data, b.len);
}

static bool unwrap(copal_bytes context, copal_bytes *id)
{
    struct cp_cursor c = cp_cursor_of(context);
    uint8_t first = cp_take_u8(&c);

    *id = cp_take(&c, first == 0x58 ? cp_take_u8(&c) : first & 0x1f);
    return !c.failed && cp_cursor_left(&c) == 0 && id->len > 0 &&
           (first == 0x58 || (first >= 0x40 && first < 0x58));
}

/* ---- Client ---- */

int cp_oscore_rederive_current(struct cp_oscore_context *root,
                               struct cp_oscore_context **out)
{
    uint8_t r1[CP_OSCORE_R];
    int err = 0;

    if (root->derives->current == NULL) {
        cp_random_bytes(&root->all->engine->random, r1, sizeof(r1));
        err = derive(root, cp_bytes(r1, sizeof(r1)), &root->derives->current);
    }
    *out = root->derives->current;
    return err;
}

/* The other end's 4.01 under R2 and what we said. */
static int verify(struct cp_oscore *all, struct cp_oscore_guard *g,
                  const struct cp_oscore_option *head, const copal_msg *m,
                  copal_bytes r2)
{
    uint8_t id[2 * CP_OSCORE_ID_CONTEXT];
    copal_bytes id1 = cp_oscore_id_context(g->context);
    struct cp_oscore_context *second;
    copal_msg *inner = NULL;
    int err;

    memcpy(id, r2.data, r2.len);
    memcpy(id + r2.len, id1.data, id1.len);
    err = derive(g->context->root, cp_bytes(id, r2.len + id1.len), &second);
    if (err != 0)
        return err == COPAL_EINVAL ? COPAL_EAUTH : err;
    /* Without a Partial IV it has the request's nonce, which is of the keys before:
     * RFC 8613 8.4. */
    memcpy(second->keys.sender_iv, g->context->keys.sender_iv,
           sizeof(second->keys.sender_iv));
    err = cp_oscore_open(all->aeads, &second->keys, &g->bound, head, m, &inner);
    if (err == 0 && inner->code != COPAL_UNAUTHORIZED)
        err = COPAL_EAUTH;
    copal_msg_unref(inner);
    cp_guard_unref(&second->guard);
    return err;
}

int cp_oscore_rederive_answer(struct cp_oscore *all, struct cp_oscore_guard *g,
                              const struct cp_oscore_option *head,
                              const copal_msg *m)
{
    struct cp_oscore_context *root = g->context->root, *third;
    uint8_t id[CP_OSCORE_ID_CONTEXT];
    copal_bytes r2;
    int err;

    if (!unwrap(head->context, &r2) ||
        r2.len + CP_OSCORE_R > CP_OSCORE_ID_CONTEXT)
        return COPAL_EAUTH;
    err = verify(all, g, head, m, r2);
    if (err != 0)
        return err;
    if (root->derives->current != g->context) /* another request was sooner */
        return CP_GUARD_AGAIN;
    memcpy(id, r2.data, r2.len);
    cp_random_bytes(&all->engine->random, id + r2.len, CP_OSCORE_R);
    err = derive(root, cp_bytes(id, r2.len + CP_OSCORE_R), &third);
    if (err != 0)
        return err;
    make_current(root, third);
    return CP_GUARD_AGAIN;
}

/* ---- Server ---- */

static int mac_of(struct cp_oscore_root *r, const uint8_t *s2, uint8_t *out)
{
    uint8_t mac[CP_HASH_LEN];
    int err = cp_hmac(CP_SHA256, cp_bytes(r->hmac_key, sizeof(r->hmac_key)),
                      cp_bytes(s2, CP_OSCORE_R), mac);

    memcpy(out, mac, CP_OSCORE_R);
    return err;
}

static bool is_r2_of_ours(struct cp_oscore_root *r, copal_bytes id)
{
    uint8_t mac[CP_OSCORE_R];

    return r->has_hmac_key && id.len >= CP_OSCORE_R2 + CP_OSCORE_R &&
           mac_of(r, id.data, mac) == 0 &&
           cp_secret_equal(mac, id.data + CP_OSCORE_R, CP_OSCORE_R);
}

/* Never the same twice. */
static int make_r2(struct cp_oscore *all, struct cp_oscore_root *r,
                   uint8_t out[CP_OSCORE_R2])
{
    struct cp_random *random = &all->engine->random;

    if (!r->has_hmac_key)
        cp_random_bytes(random, r->hmac_key, sizeof(r->hmac_key));
    r->has_hmac_key = true;
    cp_random_bytes(random, out, CP_OSCORE_R);
    return mac_of(r, out, out + CP_OSCORE_R);
}

/* *m is genuine under id, which nobody knows to be new: it becomes inner, and is
 * answered by 4.01 under R2 and id. */
static int offer(struct cp_oscore *all, struct cp_oscore_context *root,
                 const struct cp_oscore_bound *bound, copal_bytes id,
                 copal_msg *inner, copal_msg **m, copal_msg **answer)
{
    uint8_t second_id[CP_OSCORE_R2 + CP_OSCORE_ID_CONTEXT];
    struct cp_oscore_context *second = NULL;
    struct cp_oscore_guard *g = NULL;
    int err = make_r2(all, root->derives, second_id);

    memcpy(second_id + CP_OSCORE_R2, id.data, id.len);
    if (err == 0)
        err = derive(root, cp_bytes(second_id, CP_OSCORE_R2 + id.len), &second);
    if (err == 0) {
        g = cp_oscore_guard_new(second, bound);
        cp_guard_unref(&second->guard);
        *answer = cp_msg_new(inner->mem, COPAL_UNAUTHORIZED, 0);
        if (g == NULL || *answer == NULL)
            err = COPAL_ENOMEM;
    }
    if (err != 0) {
        cp_guard_unref(g == NULL ? NULL : &g->guard);
        copal_msg_unref(inner);
        return err;
    }
    g->nonce_used = true; /* under other keys: with a number of our own */
    g->says_len = CP_OSCORE_R2;
    memcpy(g->says, second_id, CP_OSCORE_R2);
    inner->guard = &g->guard;
    copal_msg_unref(*m);
    *m = inner;
    return CP_GUARD_REFUSED;
}

static int begin(struct cp_oscore *all, struct cp_oscore_context *root,
                 const struct cp_oscore_option *head, copal_bytes id,
                 copal_msg **m, copal_msg **answer)
{
    struct cp_oscore_context *first;
    struct cp_oscore_bound bound;
    copal_msg *inner = NULL;
    uint8_t copy[CP_OSCORE_ID_CONTEXT];
    int err;

    if (id.len > sizeof(copy) - CP_OSCORE_R2)
        return COPAL_ENOENT;
    memcpy(copy, id.data, id.len); /* it stands in *m */
    err = derive(root, id, &first);
    if (err != 0)
        return err;
    cp_oscore_bind(&bound, head->kid, head->piv);
    err = cp_oscore_open(all->aeads, &first->keys, &bound, head, *m, &inner);
    cp_guard_unref(&first->guard);
    return err != 0 ? err
                    : offer(all, root, &bound, cp_bytes(copy, id.len), inner, m,
                            answer);
}

/* The third context, if what came is genuine under it. */
static int complete(struct cp_oscore *all, struct cp_oscore_context *root,
                    const struct cp_oscore_option *head, copal_bytes id,
                    copal_msg **m, copal_msg **answer)
{
    struct cp_oscore_root *r = root->derives;
    struct cp_oscore_context *third;
    int err = derive(root, id, &third);

    if (err != 0)
        return err;
    err = cp_oscore_in_by(all, third, head, m, answer);
    if (err != CP_GUARD_DONE) {
        cp_guard_unref(&third->guard);
        return err;
    }
    cp_wipe(r->hmac_key, sizeof(r->hmac_key)); /* no R2 is good twice */
    r->has_hmac_key = false;
    make_current(root, third);
    return CP_GUARD_DONE;
}

int cp_oscore_rederive_request(struct cp_oscore *all,
                               struct cp_oscore_context *root,
                               const struct cp_oscore_option *head,
                               copal_msg **m, copal_msg **answer)
{
    struct cp_oscore_context *current = root->derives->current;
    copal_bytes id;

    if (!head->has_context)
        return current == NULL ? COPAL_ENOENT
                               : cp_oscore_in_by(all, current, head, m, answer);
    if (!unwrap(head->context, &id))
        return COPAL_ENOENT;
    if (current != NULL && cp_bytes_equal(cp_oscore_id_context(current), id))
        return cp_oscore_in_by(all, current, head, m, answer);
    if (is_r2_of_ours(root->derives, id))
        return complete(all, root, head, id, m, answer);
    return begin(all, root, head, id, m, answer);
}
