#include "secure/credentials_scope.h"

#include "engine/core.h"
#include "secure/store.h"

/* A key of who asks us. */
struct known {
    struct cp_map_node node; /* in all->psks */
    struct cp_psk psk;
};

/* Certificates of one call, as they came: all are read anew when one comes or
 * goes. */
struct kept_pem {
    struct cp_list node;
    struct cp_pem pem;
};

/* ---- Secrets and texts ---- */

static bool copy_bytes(struct cp_mem *mem, copal_bytes from, copal_bytes *to)
{
    char *copy = cp_copy_text(mem, (const char *)from.data, from.len);

    *to = cp_bytes(copy, copy == NULL ? 0 : from.len);
    return copy != NULL;
}

static void psk_clear(struct cp_mem *mem, struct cp_psk *psk)
{
    cp_free(mem, (void *)psk->identity.data);
    cp_free_secret(mem, (void *)psk->key.data, psk->key.len);
    *psk = (struct cp_psk){{0}, {0}};
}

static int psk_copy(struct cp_mem *mem, copal_bytes identity, copal_bytes key,
                    struct cp_psk *out)
{
    *out = (struct cp_psk){{0}, {0}};
    if (copy_bytes(mem, identity, &out->identity) &&
        copy_bytes(mem, key, &out->key))
        return 0;
    psk_clear(mem, out);
    return COPAL_ENOMEM;
}

static void text_clear(struct cp_mem *mem, const char *text)
{
    if (text != NULL)
        cp_free_secret(mem, (void *)text, strlen(text));
}

static void pem_free(struct cp_mem *mem, struct kept_pem *k)
{
    text_clear(mem, k->pem.cert);
    text_clear(mem, k->pem.key);
    text_clear(mem, k->pem.trusted);
    cp_free(mem, k);
}

static bool text_copy(struct cp_mem *mem, const char *from, const char **to)
{
    if (from != NULL)
        *to = cp_copy_text(mem, from, strlen(from));
    return from == NULL || *to != NULL;
}

static struct kept_pem *pem_copy(struct cp_mem *mem, const struct cp_pem *pem)
{
    struct kept_pem *k = cp_zalloc(mem, sizeof(*k));

    if (k == NULL)
        return NULL;
    cp_list_init(&k->node);
    if (text_copy(mem, pem->cert, &k->pem.cert) &&
        text_copy(mem, pem->key, &k->pem.key) &&
        text_copy(mem, pem->trusted, &k->pem.trusted))
        return k;
    pem_free(mem, k);
    return NULL;
}

/* ---- Birth and end ---- */

struct cp_credentials *cp_credentials_new(struct cp_mem *mem,
                                          struct cp_engine *e)
{
    struct cp_credentials *all = cp_zalloc(mem, sizeof(*all));

    if (all == NULL)
        return NULL;
    all->refs = 1;
    all->mem = mem;
    all->engine = e;
    cp_list_init(&all->scopes);
    cp_list_init(&all->pems);
    cp_list_init(&all->lookups);
    cp_list_init(&all->links);
    cp_map_init(&all->psks, mem, &e->random);
    return all;
}

struct cp_credentials *cp_credentials_ref(struct cp_credentials *all)
{
    all->refs++;
    return all;
}

void cp_credentials_unref(struct cp_credentials *all)
{
    if (all == NULL || --all->refs > 0)
        return;
    cp_store_free(all->store);
    cp_map_clear(&all->psks);
    cp_free(all->mem, all);
}

/* Who resumes a session was proven by what was there when it began. */
static void changed(struct cp_credentials *all)
{
    all->generation++;
    if (all->resumption != NULL)
        all->resumption_free(all->resumption);
    all->resumption = NULL;
}

static void scope_free(struct cp_credentials *all, struct cp_scope_keys *s)
{
    cp_list_remove(&s->node);
    psk_clear(all->mem, &s->psk);
    cp_certificate_unref(s->certificate);
    cp_free(all->mem, s->scope);
    cp_free(all->mem, s);
}

static void known_free(struct cp_credentials *all, struct known *k)
{
    cp_map_remove(&all->psks, &k->node);
    psk_clear(all->mem, &k->psk);
    cp_free(all->mem, k);
}

/* Everything of "*". */
static void forget_askers(struct cp_credentials *all)
{
    struct cp_handler *lookup = all->lookup;

    map_each (node, after, &all->psks)
        known_free(all, cp_container_of(node, struct known, node));
    list_each (node, after, &all->pems) {
        cp_list_remove(node);
        pem_free(all->mem, cp_container_of(node, struct kept_pem, node));
    }
    cp_certificate_unref(all->served);
    all->served = NULL;
    all->lookup = NULL;
    cp_handler_unref(lookup);
}

void cp_credentials_end(struct cp_credentials *all)
{
    struct cp_list *first;

    while ((first = cp_list_first(&all->lookups)) != NULL) {
        struct cp_lookup *l = cp_container_of(first, struct cp_lookup, node);

        cp_lookup_forget(l);
        l->done(l, false, (copal_bytes){0});
    }
    if (all->store != NULL)
        cp_store_end(all->store);
    list_each (node, after, &all->scopes)
        scope_free(all, cp_container_of(node, struct cp_scope_keys, node));
    forget_askers(all);
    changed(all);
    cp_certificate_unref(all->system);
    all->system = NULL;
    if (all->key_log != NULL)
        fclose(all->key_log);
    all->key_log = NULL;
    all->engine = NULL;
}

/* ---- Pre-shared keys ---- */

static struct known *known_find(const struct cp_credentials *all,
                                copal_bytes identity)
{
    uint64_t hash = cp_map_hash(&all->psks, identity.data, identity.len);

    for (struct cp_map_node *n = cp_map_first(&all->psks, hash); n != NULL;
         n = cp_map_next(n)) {
        struct known *k = cp_container_of(n, struct known, node);

        if (cp_bytes_equal(k->psk.identity, identity))
            return k;
    }
    return NULL;
}

copal_bytes cp_credentials_key_of(const struct cp_credentials *all,
                                  copal_bytes identity)
{
    const struct known *k = known_find(all, identity);

    return k == NULL ? (copal_bytes){0} : k->psk.key;
}

static int put_known(struct cp_credentials *all, const struct cp_psk *psk)
{
    struct known *k = known_find(all, psk->identity);

    if (k == NULL) {
        k = cp_zalloc(all->mem, sizeof(*k));
        if (k == NULL)
            return COPAL_ENOMEM;
        cp_map_put(
            &all->psks, &k->node,
            cp_map_hash(&all->psks, psk->identity.data, psk->identity.len));
    }
    psk_clear(all->mem, &k->psk);
    k->psk = *psk;
    return 0;
}

static int put_psk(struct cp_credentials *all, const char *scope,
                   const struct cp_psk *psk)
{
    struct cp_scope_keys *s;

    if (cp_scope_is_for_askers(scope))
        return put_known(all, psk);
    s = cp_scope_for(all, scope);
    if (s == NULL)
        return COPAL_ENOMEM;
    psk_clear(all->mem, &s->psk);
    s->psk = *psk;
    return 0;
}

int cp_credentials_use_psk(struct cp_credentials *all, const char *scope,
                           copal_bytes identity, copal_bytes key)
{
    struct cp_psk psk;
    int err = cp_scope_check(all, scope);

    if (err != 0)
        return err;
    if (identity.len == 0 || identity.len > CP_PSK_IDENTITY)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: the identity of a key has 1 to %d bytes, not %zu",
                      scope, CP_PSK_IDENTITY, identity.len);
    if (key.len == 0 || key.len > CP_PSK_KEY)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: a pre-shared key has 1 to %d bytes, not %zu; 16 "
                      "random ones are a good key",
                      scope, CP_PSK_KEY, key.len);
    if (memchr(identity.data, 0, identity.len) != NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: an identity without bytes of zero is needed", scope);
    err = psk_copy(all->mem, identity, key, &psk);
    if (err != 0)
        return err;
    err = put_psk(all, scope, &psk);
    if (err != 0)
        psk_clear(all->mem, &psk);
    else
        changed(all);
    return err;
}

/* ---- Certificates ---- */

/* All that who asks us may see and prove, read together. */
static int serve_pems(struct cp_credentials *all)
{
    struct cp_certificate *served = NULL;
    struct cp_pem *list;
    size_t count = 0;
    int err = 0;

    list_each (node, after, &all->pems)
        count++;
    list = cp_alloc(all->mem, count * sizeof(*list));
    if (list == NULL)
        return COPAL_ENOMEM;
    count = 0;
    list_each (node, after, &all->pems)
        list[count++] = cp_container_of(node, struct kept_pem, node)->pem;
    err = cp_certificate_new(all->mem, list, count, false, &served);
    cp_free(all->mem, list);
    if (err != 0)
        return err;
    cp_certificate_unref(all->served);
    all->served = served;
    return 0;
}

static int use_for_askers(struct cp_credentials *all, const struct cp_pem *pem)
{
    struct kept_pem *k = pem_copy(all->mem, pem);
    int err;

    if (k == NULL)
        return COPAL_ENOMEM;
    cp_list_append(&all->pems, &k->node);
    err = serve_pems(all);
    if (err != 0) {
        cp_list_remove(&k->node);
        pem_free(all->mem, k);
    }
    return err;
}

static int use_for_asked(struct cp_credentials *all, const char *scope,
                         const struct cp_pem *pem)
{
    struct cp_certificate *c = NULL;
    struct cp_scope_keys *s;
    int err = cp_certificate_new(all->mem, pem, 1, true, &c);

    if (err != 0)
        return err;
    s = cp_scope_for(all, scope);
    if (s == NULL) {
        cp_certificate_unref(c);
        return COPAL_ENOMEM;
    }
    cp_certificate_unref(s->certificate);
    s->certificate = c;
    return 0;
}

int cp_credentials_use_cert(struct cp_credentials *all, const char *scope,
                            const struct cp_pem *pem)
{
    int err = cp_scope_check(all, scope);

    if (err != 0)
        return err;
    if (pem->cert == NULL && pem->key != NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: a private key without what it belongs to; give its "
                      "certificate, or its public key",
                      scope);
    if (pem->cert != NULL && pem->key == NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: a certificate needs its private key to be shown",
                      scope);
    if (pem->cert == NULL && pem->trusted == NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: neither a certificate to show nor one to trust",
                      scope);
    err = cp_scope_is_for_askers(scope) ? use_for_askers(all, pem)
                                        : use_for_asked(all, scope, pem);
    if (err == 0)
        changed(all);
    return err;
}

bool cp_credentials_serve(const struct cp_credentials *all)
{
    return all->psks.count > 0 || all->served != NULL || all->lookup != NULL;
}

bool cp_credentials_name(const struct cp_credentials *all, const char *host)
{
    return all->served != NULL && cp_certificate_is_for(all->served, host);
}

int cp_credentials_forget(struct cp_credentials *all, const char *scope)
{
    struct cp_scope_keys *s;
    int err = cp_scope_check(all, scope);

    if (err != 0)
        return err;
    if (cp_scope_is_for_askers(scope)) {
        if (!cp_credentials_serve(all))
            return cp_why(all->mem, COPAL_ENOENT,
                          "*: there are no credentials for who asks us");
        changed(all);
        forget_askers(all);
        return 0;
    }
    s = cp_scope_find(all, scope);
    if (s == NULL)
        return cp_why(all->mem, COPAL_ENOENT,
                      "%s: there are no credentials for this scope", scope);
    scope_free(all, s);
    changed(all);
    return 0;
}
