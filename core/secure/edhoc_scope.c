#include "secure/edhoc_scope.h"
#include "secure/edhoc_x509.h"
#include "secure/scope.h"
#include "wire/cbor.h"

#include <string.h>

struct key {
    struct cp_list node; /* in scope.own */
    uint8_t curve, secret[CP_CURVE_KEY];
    struct cp_buf id, items; /* items: the credential, and its chain */
    size_t cred_len;         /* of the first of items */
};

struct peer {
    struct cp_list node; /* in scope.peers */
    struct cp_edhoc_credential credential;
    uint8_t item[];
};

/* ---- Life ---- */

static void key_free(struct cp_mem *mem, struct key *k)
{
    cp_list_remove(&k->node);
    cp_buf_free(&k->id);
    cp_buf_free(&k->items);
    cp_free_secret(mem, k, sizeof(*k));
}

struct cp_edhoc_scope *cp_edhoc_scope_new(struct cp_mem *mem, const char *text)
{
    size_t len = strlen(text) + 1;
    struct cp_edhoc_scope *s = cp_zalloc(mem, sizeof(*s) + len);

    if (s == NULL)
        return NULL;
    s->refs = 1;
    s->mem = mem;
    s->shown = cp_buf_new(mem);
    cp_list_init(&s->node);
    cp_list_init(&s->own);
    cp_list_init(&s->peers);
    memcpy(s->text, text, len);
    cp_scope_lower(s->text);
    return s;
}

struct cp_edhoc_scope *cp_edhoc_scope_ref(struct cp_edhoc_scope *s)
{
    s->refs++;
    return s;
}

void cp_edhoc_scope_unref(struct cp_edhoc_scope *s)
{
    if (s == NULL || --s->refs > 0)
        return;
    list_each (node, after, &s->own)
        key_free(s->mem, cp_container_of(node, struct key, node));
    list_each (node, after, &s->peers) {
        cp_list_remove(node);
        cp_free(s->mem, cp_container_of(node, struct peer, node));
    }
    cp_buf_free(&s->shown);
    cp_free(s->mem, s);
}

/* ---- Reading ---- */

static bool is_pem(copal_bytes b)
{
    static const char head[] = "-----BEGIN ";

    return b.len > sizeof(head) && memcmp(b.data, head, sizeof(head) - 1) == 0;
}

/* Credentials as CBOR items, one behind the other. */
static int to_items(copal_bytes in, struct cp_buf *out)
{
    int err = 0;

    if (is_pem(in))
        err = cp_edhoc_x509_list(in, out);
    else if (in.len > 0 && in.data[0] == 0x30) /* DER; in CBOR an integer */
        cp_cbor_put_bytes(out, in);
    else
        cp_put_bytes(out, in);
    return err == 0 && out->failed ? COPAL_ENOMEM : err;
}

static int wrong(struct cp_mem *mem, int err, const char *scope,
                 const char *what)
{
    switch (err) {
    case COPAL_ENOMEM: return err;
    case COPAL_ENOTSUP:
        return cp_why(
            mem, err,
            "%s: %s has a key that EDHOC is not built in for; X25519, "
            "P-256 and Ed25519 are",
            scope, what);
    default:
        return cp_why(mem, err,
                      "%s: %s cannot be read; a CWT Claims Set or a CWT in "
                      "CBOR, or a certificate in DER or PEM is wanted",
                      scope, what);
    }
}

/* ---- Keys of ours ---- */

/* ID_CRED where nothing is said: by kid, or by value, a chain as a whole. */
static void put_id(struct key *k, const struct cp_edhoc_credential *c)
{
    copal_bytes rest = cp_bytes(k->items.data, k->items.len);
    struct cp_edhoc_credential one;
    size_t count = 0;

    while (rest.len > 0 && cp_edhoc_credential_read(rest, &one, &rest) == 0)
        count++;
    if (c->kind != CP_EDHOC_X509 || count < 2) {
        cp_edhoc_credential_put_id(&k->id, c);
        return;
    }
    cp_cbor_put_map(&k->id, 1);
    cp_cbor_put_unsigned(&k->id, CP_COSE_X5CHAIN);
    cp_cbor_put_array(&k->id, count);
    cp_put_bytes(&k->id, cp_bytes(k->items.data, k->items.len));
}

static int read_secret(struct cp_mem *mem, const char *scope, copal_bytes in,
                       uint8_t out[CP_CURVE_KEY])
{
    if (is_pem(in) && cp_edhoc_x509_secret(in, out) == 0)
        return 0;
    if (is_pem(in))
        return cp_why(mem, COPAL_EFORMAT,
                      "%s: the private key cannot be read; one of P-256 or "
                      "Ed25519 in PEM without a password, or 32 bytes are "
                      "wanted",
                      scope);
    if (in.len != CP_CURVE_KEY)
        return cp_why(mem, COPAL_EFORMAT,
                      "%s: a private key has 32 bytes, not %zu", scope, in.len);
    memcpy(out, in.data, CP_CURVE_KEY);
    return 0;
}

static int check_pair(struct cp_mem *mem, const char *scope,
                      const struct key *k, const struct cp_edhoc_credential *c)
{
    struct cp_public_key of;
    int err = cp_curve_public(c->key.curve, k->secret, &of);

    if (err == COPAL_ENOMEM || err == COPAL_ENOTSUP)
        return err;
    if (err != 0 || memcmp(of.x, c->key.x, CP_CURVE_KEY) != 0)
        return cp_why(mem, COPAL_EFORMAT,
                      "%s: the private key does not belong to the credential",
                      scope);
    return 0;
}

/* Fills k, which the caller frees if that fails. */
static int read_key(struct cp_mem *mem, const char *scope, struct key *k,
                    const struct cp_edhoc_spec *spec)
{
    struct cp_edhoc_credential c;
    struct cp_cose_id id;
    copal_bytes rest;
    int err = to_items(spec->credential, &k->items);

    if (err == 0)
        err = cp_edhoc_credential_read(cp_bytes(k->items.data, k->items.len),
                                       &c, &rest);
    if (err != 0)
        return wrong(mem, err, scope, "the credential");
    k->curve = c.key.curve;
    k->cred_len = c.item.len;
    err = read_secret(mem, scope, spec->private_key, k->secret);
    if (err == 0)
        err = check_pair(mem, scope, k, &c);
    if (err != 0)
        return err;
    if (spec->identifier.len > 0)
        cp_put_bytes(&k->id, spec->identifier);
    else
        put_id(k, &c);
    if (k->id.failed)
        return COPAL_ENOMEM;
    err = cp_cose_read_id(cp_bytes(k->id.data, k->id.len), &id);
    return err == 0 ? 0
                    : cp_why(mem, COPAL_EFORMAT,
                             "%s: the identifier is no header map of COSE, "
                             "like {4: h'01'} in CBOR",
                             scope);
}

static int add_key(struct cp_edhoc_scope *s, const struct cp_edhoc_spec *spec)
{
    struct key *k = cp_zalloc(s->mem, sizeof(*k));
    int err;

    if (k == NULL)
        return COPAL_ENOMEM;
    cp_list_init(&k->node);
    k->id = cp_buf_new(s->mem);
    k->items = cp_buf_new(s->mem);
    err = read_key(s->mem, s->text, k, spec);
    if (err != 0)
        key_free(s->mem, k);
    else
        cp_list_append(&s->own, &k->node);
    return err;
}

/* ---- Peers ---- */

static int add_peer(struct cp_edhoc_scope *s, copal_bytes item)
{
    struct peer *p = cp_alloc(s->mem, sizeof(*p) + item.len);
    int err;

    if (p == NULL)
        return COPAL_ENOMEM;
    cp_list_init(&p->node);
    memcpy(p->item, item.data, item.len);
    err = cp_edhoc_credential_read(cp_bytes(p->item, item.len), &p->credential,
                                   NULL);
    if (err != 0)
        cp_free(s->mem, p);
    else
        cp_list_append(&s->peers, &p->node);
    return err;
}

/* What was added when one fails goes again. */
static int add_peers(struct cp_edhoc_scope *s, copal_bytes peers)
{
    struct cp_buf items = cp_buf_new(s->mem);
    struct cp_list *last = s->peers.prev;
    struct cp_edhoc_credential c;
    copal_bytes rest;
    int err = to_items(peers, &items);

    rest = cp_bytes(items.data, items.len);
    while (err == 0 && rest.len > 0) {
        err = cp_edhoc_credential_read(rest, &c, &rest);
        if (err == 0)
            err = add_peer(s, c.item);
    }
    cp_buf_free(&items);
    while (err != 0 && s->peers.prev != last) {
        struct peer *p = cp_container_of(s->peers.prev, struct peer, node);

        cp_list_remove(&p->node);
        cp_free(s->mem, p);
    }
    return err == 0 ? 0 : wrong(s->mem, err, s->text, "a peer's credential");
}

/* ---- Methods and suites ---- */

static bool fits(const struct cp_edhoc_scope *s, int method, bool initiator,
                 const struct cp_edhoc_suite *suite)
{
    struct cp_edhoc_own own;
    bool by_signature = (method & (initiator ? 2 : 1)) == 0;

    return cp_edhoc_scope_own((struct cp_edhoc_scope *)s,
                              by_signature ? suite->signature : suite->curve,
                              &own);
}

static void add_suite(struct cp_edhoc_suites *to, int number)
{
    for (size_t i = 0; i < to->count; i++)
        if (to->list[i] == number)
            return;
    if (to->count < CP_EDHOC_SUITES)
        to->list[to->count++] = number;
}

/* All that a key of ours is for; those asked for by name first. */
static void list_suites(struct cp_edhoc_scope *s, bool initiator)
{
    for (int number = 0; number <= 6; number++)
        for (int method = 0; method < CP_EDHOC_METHODS; method++)
            if ((s->methods >> method & 1) != 0 &&
                fits(s, method, initiator, cp_edhoc_suite_find(number)))
                add_suite(&s->suites, number);
}

static int take_suite(struct cp_edhoc_scope *s,
                      const struct cp_edhoc_spec *spec)
{
    bool initiator = strcmp(s->text, "*") != 0;
    const struct cp_edhoc_suite *suite = cp_edhoc_suite_find(spec->suite);

    if (spec->method < 0 || spec->method >= CP_EDHOC_METHODS)
        return cp_why(s->mem, COPAL_EINVAL,
                      "%s: method %d is none; 0 to 3 are, RFC 9528 3.2",
                      s->text, spec->method);
    if (suite == NULL)
        return cp_why(s->mem, COPAL_EINVAL,
                      "%s: suite %d is not built in; 0 to 6 are, RFC 9528 3.6",
                      s->text, spec->suite);
    if (!fits(s, spec->method, initiator, suite))
        return cp_why(s->mem, COPAL_EINVAL,
                      "%s: the key is not for method %d with suite %d; one of "
                      "%s is",
                      s->text, spec->method, spec->suite,
                      (spec->method & (initiator ? 2 : 1)) == 0
                          ? suite->signature == CP_P256 ? "P-256" : "Ed25519"
                      : suite->curve == CP_P256 ? "P-256"
                                                : "X25519");
    s->methods |= 1u << spec->method;
    add_suite(&s->suites, spec->suite);
    list_suites(s, initiator);
    return 0;
}

/* ---- Use ---- */

int cp_edhoc_scope_fill(struct cp_edhoc_scope *s,
                        const struct cp_edhoc_spec *spec)
{
    bool is_for_askers = strcmp(s->text, "*") == 0;
    int err = 0;

    s->combined = spec->combined;
    if (spec->private_key.len > 0 || spec->credential.len > 0 ||
        !is_for_askers) {
        err = add_key(s, spec);
        if (err == 0)
            err = take_suite(s, spec);
    } else if (spec->peers.len == 0) {
        return cp_why(s->mem, COPAL_EINVAL,
                      "*: neither a key of ours nor a peer's credential");
    }
    if (err == 0 && spec->peers.len == 0 && !is_for_askers)
        return cp_why(s->mem, COPAL_EINVAL,
                      "%s: no peer_credential; whom are we to believe?",
                      s->text);
    return err == 0 ? add_peers(s, spec->peers) : err;
}

void cp_edhoc_scope_join(struct cp_edhoc_scope *to, struct cp_edhoc_scope *from)
{
    cp_list_join(&to->own, &from->own);
    cp_list_join(&to->peers, &from->peers);
    to->methods |= from->methods;
    for (size_t i = 0; i < from->suites.count; i++)
        add_suite(&to->suites, from->suites.list[i]);
    list_suites(to, false);
}

/* ---- For sessions ---- */

bool cp_edhoc_scope_own(struct cp_edhoc_scope *s, enum cp_curve curve,
                        struct cp_edhoc_own *out)
{
    list_each (node, after, &s->own) {
        struct key *k = cp_container_of(node, struct key, node);

        if (k->curve != curve)
            continue;
        out->id = cp_bytes(k->id.data, k->id.len);
        out->cred = cp_bytes(k->items.data, k->cred_len);
        out->secret = k->secret;
        return true;
    }
    return false;
}

/* A certificate that is not here, but signed by an authority that is. */
static int find_by_authority(struct cp_edhoc_scope *s, const char *host,
                             const struct cp_cose_id *id,
                             struct cp_edhoc_credential *out)
{
    copal_bytes authorities[CP_COSE_CHAIN];
    size_t count = 0;
    int err;

    list_each (node, after, &s->peers) {
        struct peer *p = cp_container_of(node, struct peer, node);

        if (p->credential.is_authority && count < CP_COSE_CHAIN)
            authorities[count++] = p->credential.der;
    }
    err = cp_edhoc_x509_verify(id->chain, id->chain_length, authorities, count,
                               host);
    if (err != 0)
        return err;
    s->shown.len = 0;
    s->shown.failed = false;
    cp_cbor_put_bytes(&s->shown, id->chain[0]);
    if (s->shown.failed)
        return COPAL_ENOMEM;
    return cp_edhoc_credential_read(cp_bytes(s->shown.data, s->shown.len), out,
                                    NULL);
}

int cp_edhoc_scope_find(struct cp_edhoc_scope *s, const char *host,
                        const struct cp_cose_id *id, size_t i,
                        struct cp_edhoc_credential *out)
{
    size_t left = i;

    list_each (node, after, &s->peers) {
        struct peer *p = cp_container_of(node, struct peer, node);

        if (cp_edhoc_credential_is(&p->credential, id) && left-- == 0) {
            *out = p->credential;
            return 0;
        }
    }
    if (i > 0)
        return COPAL_ENOENT;
    if (id->chain_length > 0)
        return find_by_authority(s, host, id, out);
    if (id->kccs.len > 0 || id->kcwt.len > 0)
        return COPAL_EAUTH;
    return id->has_kid || id->has_x5t ? COPAL_ENOENT : COPAL_ENOTSUP;
}
