#include "secure/oscore.h"
#include "base/secret.h"
#include "engine/core.h"
#include "secure/oscore_context.h"
#include "secure/scope.h"
#include "wire/target.h"
#include "wire/uri.h"
#include <stdio.h>
#include <strings.h>

/* Where requests of ours are protected by a context. */
struct scope {
    struct cp_list node; /* in all->scopes */
    struct cp_oscore_context *context;
    char text[];
};

/* ---- Contexts ---- */

static void stop_serving(struct cp_oscore_context *c)
{
    if (!c->serves)
        return;
    c->serves = false;
    cp_map_remove(&c->all->by_kid, &c->by_kid);
    cp_guard_unref(&c->guard);
}

static void context_free(struct cp_guard *g)
{
    struct cp_oscore_context *c = cp_oscore_context_of(g);
    struct cp_mem *mem = c->mem;

    cp_oscore_state_end(c);
    cp_oscore_rederive_end(c);
    if (c->all != NULL) {
        cp_aeads_forget(c->all->aeads, &c->keys.sender);
        cp_aeads_forget(c->all->aeads, &c->keys.recipient);
        cp_list_remove(&c->node);
    }
    cp_free(mem, c->identity);
    cp_free_secret(mem, c, sizeof(*c));
}

static char *name_of(struct cp_mem *mem, const struct cp_oscore_spec *spec)
{
    struct cp_buf b = cp_buf_new(mem);
    const char *text;
    char *copy;

    if (spec->identity != NULL)
        return cp_copy_text(mem, spec->identity, strlen(spec->identity));
    cp_put_text(&b, "oscore:");
    if (spec->in.id_context.data != NULL) {
        cp_put_hex(&b, spec->in.id_context);
        cp_put_text(&b, ":");
    }
    cp_put_hex(&b, spec->in.recipient_id);
    text = cp_buf_text(&b);
    copy = text == NULL ? NULL : cp_copy_text(mem, text, strlen(text));
    cp_buf_free(&b);
    return copy;
}

struct cp_oscore_context *cp_oscore_context_new(
    struct cp_oscore *all, const struct cp_oscore_spec *spec,
    const struct cp_oscore_keys *k)
{
    struct cp_oscore_context *c = cp_zalloc(all->mem, sizeof(*c));
    copal_bytes id = spec->in.id_context;

    if (c == NULL)
        return NULL;
    c->guard.refs = 1;
    c->guard.free = context_free;
    c->guard.whose = c;
    c->all = all;
    c->mem = all->mem;
    cp_list_append(&all->contexts, &c->node);
    c->keys = *k;
    c->has_id_context = id.data != NULL;
    c->id_context_len = (uint8_t)id.len;
    if (id.len > 0)
        memcpy(c->id_context, id.data, id.len);
    c->window.size = spec->window == 0 ? CP_OSCORE_WINDOW : spec->window;
    c->is_kept = !spec->is_new && !spec->rederives;
    c->start = spec->start;
    cp_list_init(&c->of_root);
    c->identity = name_of(all->mem, spec);
    if (c->identity == NULL) {
        cp_guard_unref(&c->guard);
        return NULL;
    }
    return c;
}

/* The same keys are one context: numbers of two would meet. */
static struct cp_oscore_context *context_like(struct cp_oscore *all,
                                              const struct cp_oscore_keys *k,
                                              bool rederives)
{
    list_each (node, after, &all->contexts) {
        struct cp_oscore_context *c =
            cp_container_of(node, struct cp_oscore_context, node);

        if (c->root == NULL && (c->derives != NULL) == rederives &&
            c->keys.aead == k->aead &&
            cp_bytes_equal(cp_oscore_sender(&c->keys), cp_oscore_sender(k)) &&
            cp_secret_equal(c->keys.sender.bytes, k->sender.bytes, CP_AEAD_KEY))
            return c;
    }
    return NULL;
}

/* ---- By kid ---- */

static struct cp_oscore_context *with_kid(struct cp_map_node *n,
                                          copal_bytes kid)
{
    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_oscore_context *c =
            cp_container_of(n, struct cp_oscore_context, by_kid);

        if (cp_bytes_equal(cp_oscore_recipient(&c->keys), kid))
            return c;
    }
    return NULL;
}

/* Recipient IDs are of this end's choosing, so nobody can fill a chain from
 * outside, and a hash with a secret would be for nothing. */
static uint64_t hash_of(copal_bytes kid)
{
    uint64_t hash = (cp_bytes_uint(kid) << 3 | kid.len) + 1;

    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

struct cp_oscore_context *cp_oscore_by_kid(struct cp_oscore *all,
                                           copal_bytes kid)
{
    if (kid.len > CP_OSCORE_ID)
        return NULL;
    return with_kid(cp_map_first(&all->by_kid, hash_of(kid)), kid);
}

struct cp_oscore_context *cp_oscore_next(struct cp_oscore_context *c,
                                         copal_bytes kid)
{
    return with_kid(cp_map_next(&c->by_kid), kid);
}

/* Who could be taken for c by what a request says. */
static bool is_taken(struct cp_oscore *all, const struct cp_oscore_input *in,
                     const struct cp_oscore_context *c)
{
    for (struct cp_oscore_context *o = cp_oscore_by_kid(all, in->recipient_id);
         o != NULL; o = cp_oscore_next(o, in->recipient_id))
        if (o != c && o->has_id_context == (in->id_context.data != NULL) &&
            cp_bytes_equal(cp_oscore_id_context(o), in->id_context))
            return true;
    return false;
}

static int refuse_taken(struct cp_oscore *all, const struct cp_oscore_input *in,
                        const struct cp_oscore_context *c)
{
    return is_taken(all, in, c)
               ? cp_why(all->mem, COPAL_EEXIST,
                        "*: another OSCORE context has the same recipient_id "
                        "and id_context; each peer needs its own")
               : 0;
}

static int serve(struct cp_oscore *all, const struct cp_oscore_input *in,
                 struct cp_oscore_context *c)
{
    copal_bytes kid = cp_oscore_recipient(&c->keys);
    int err = c->serves ? 0 : refuse_taken(all, in, c);

    if (err != 0 || c->serves)
        return err;
    c->serves = true;
    cp_guard_ref(&c->guard);
    cp_map_put(&all->by_kid, &c->by_kid, hash_of(kid));
    return 0;
}

/* ---- By scope ---- */

static struct scope *scope_find(const struct cp_oscore *all, const char *text)
{
    list_each (node, after, &all->scopes) {
        struct scope *s = cp_container_of(node, struct scope, node);

        if (strcmp(s->text, text) == 0)
            return s;
    }
    return NULL;
}

static void scope_free(struct cp_oscore *all, struct scope *s)
{
    struct cp_oscore_context *c = s->context;

    cp_list_remove(&s->node);
    cp_free(all->mem, s);
    all->engine->protection.asks =
        !cp_list_empty(&all->scopes) || all->engine->protection.by_edhoc;
    cp_guard_unref(&c->guard);
}

/* In lower case as far as it matters; to be freed. NULL: out of memory. */
static char *scope_text(struct cp_oscore *all, const char *scope)
{
    char *text = cp_copy_text(all->mem, scope, strlen(scope));

    if (text != NULL)
        cp_scope_lower(text);
    return text;
}

static int ask_under(struct cp_oscore *all, const char *text,
                     struct cp_oscore_context *c)
{
    struct scope *before = scope_find(all, text);
    struct scope *s = cp_alloc(all->mem, sizeof(*s) + strlen(text) + 1);

    if (s == NULL)
        return COPAL_ENOMEM;
    memcpy(s->text, text, strlen(text) + 1);
    s->context = c;
    cp_guard_ref(&c->guard);
    cp_list_append(&all->scopes, &s->node);
    if (before != NULL)
        scope_free(all, before);
    all->engine->protection.asks = true;
    return 0;
}

/* The URI as it is asked for, and with its port where that may be left out. */
static bool is_under(const char *scope, const struct cp_target *to,
                     const char *base, const char *with_port)
{
    const char *path = strstr(to->uri, "://");
    const char *bases[] = {base, with_port};
    char uri[1024]; /* a scope that goes on is none of ours */

    path = path == NULL ? "" : path + 3 + strcspn(path + 3, "/?");
    for (int i = 0; i < 2; i++) {
        snprintf(uri, sizeof(uri), "%s%s%.500s", bases[i],
                 *path == '/' ? "" : "/", path);
        if (*bases[i] != '\0' && cp_scope_covers(scope, uri))
            return true;
    }
    return false;
}

static struct cp_guard *way(void *user, const struct cp_target *to)
{
    struct cp_oscore *all = user;
    struct scope *best = NULL;
    char base[400], with_port[400] = "";
    struct cp_buf b = cp_buf_fixed(base, sizeof(base));
    size_t most = 0;

    cp_uri_put_base(&b, to->scheme, to->host, to->port);
    if (cp_buf_text(&b) == NULL)
        return NULL;
    cp_scope_lower(base);
    if (to->port == cp_scheme_port(to->scheme))
        snprintf(with_port, sizeof(with_port), "%.390s:%u", base, to->port);
    list_each (node, after, &all->scopes) {
        struct scope *s = cp_container_of(node, struct scope, node);

        if (strlen(s->text) > most && is_under(s->text, to, base, with_port)) {
            best = s;
            most = strlen(s->text);
        }
    }
    return best == NULL ? NULL : cp_guard_ref(&best->context->guard);
}

/* ---- Use ---- */

static int check_scope(struct cp_oscore *all, const char *scope)
{
    static const char *const schemes[] = {"coap://",     "coaps://",
                                          "coap+tcp://", "coaps+tcp://",
                                          "coap+ws://",  "coaps+ws://"};

    if (scope != NULL && strcmp(scope, "*") == 0)
        return 0;
    for (size_t i = 0; scope != NULL && i < 6; i++)
        if (strncasecmp(scope, schemes[i], strlen(schemes[i])) == 0)
            return 0;
    return cp_why(all->mem, COPAL_EINVAL,
                  "%s: no scope of OSCORE; write \"*\" for who asks us, or the "
                  "beginning of a URI, like coap://host/",
                  scope == NULL || *scope == '\0' ? "nothing" : scope);
}

/* What is wrong with it, in words. */
static int check_input(struct cp_oscore *all, const char *scope,
                       const struct cp_oscore_spec *spec)
{
    const struct cp_oscore_input *in = &spec->in;
    const struct cp_oscore_aead *a = cp_oscore_aead(in->aead);
    enum cp_hash h;

    if (a == NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: aead %d is no AEAD of COSE that OSCORE can use; 10 "
                      "is AES-CCM-16-64-128",
                      scope, in->aead);
    if (!cp_oscore_hash(in->hkdf, &h))
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: hkdf %d is none; -10 is HKDF with SHA-256, -11 "
                      "with SHA-512",
                      scope, in->hkdf);
    if (in->secret.len == 0)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: no secret; 16 random bytes are a good one", scope);
    if (in->sender_id.len + 6 > a->nonce_len ||
        in->recipient_id.len + 6 > a->nonce_len)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: an ID has at most %d bytes with %s", scope,
                      a->nonce_len - 6, a->name);
    if (cp_bytes_equal(in->sender_id, in->recipient_id))
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: sender_id and recipient_id are the same; the ends "
                      "need one each",
                      scope);
    if (in->id_context.len > CP_OSCORE_ID_CONTEXT)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: an id_context has at most %d bytes, not %zu", scope,
                      CP_OSCORE_ID_CONTEXT, in->id_context.len);
    if (spec->window > CP_OSCORE_WINDOW_MOST)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: a replay_window has at most %d messages", scope,
                      CP_OSCORE_WINDOW_MOST);
    if (spec->rederives && in->id_context.data != NULL)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: an id_context is made anew where rederives is 1; "
                      "give none",
                      scope);
    if (!spec->is_new && !spec->rederives && all->store == NULL)
        return cp_why(all->mem, COPAL_ESTATE,
                      "%s: OSCORE with fixed keys needs a store, for a number "
                      "used twice gives them away; call copal_store() before, "
                      "or set rederives at both ends",
                      scope);
    return 0;
}

static int install(struct cp_oscore *all, const char *scope,
                   const struct cp_oscore_spec *spec,
                   const struct cp_oscore_keys *k)
{
    struct cp_oscore_context *c = context_like(all, k, spec->rederives);
    bool is_first = c == NULL;
    int err = 0;

    if (is_first) {
        c = cp_oscore_context_new(all, spec, k);
        err = c == NULL         ? COPAL_ENOMEM
              : spec->rederives ? cp_oscore_rederive_begin(c, &spec->in)
                                : cp_oscore_state_begin(c);
    } else {
        cp_guard_ref(&c->guard);
    }
    if (err == 0)
        err = strcmp(scope, "*") == 0 ? serve(all, &spec->in, c)
                                      : ask_under(all, scope, c);
    if (c != NULL)
        cp_guard_unref(&c->guard); /* scope has it, or nobody */
    return err;
}

int cp_oscore_use(struct cp_oscore *all, const char *scope,
                  const struct cp_oscore_spec *spec)
{
    struct cp_oscore_keys k;
    int err = check_scope(all, scope);
    char *text;

    if (err == 0)
        err = check_input(all, scope, spec);
    if (err != 0)
        return err;
    text = scope_text(all, scope);
    if (text == NULL)
        return COPAL_ENOMEM;
    err = cp_oscore_derive(&spec->in, &k);
    if (err == 0)
        err = install(all, text, spec, &k);
    cp_wipe(&k, sizeof(k));
    cp_free(all->mem, text);
    return err;
}

int cp_oscore_try(struct cp_oscore *all, const char *scope,
                  const struct cp_oscore_spec *spec)
{
    struct cp_oscore_keys k;
    int err = check_scope(all, scope);

    if (err == 0)
        err = check_input(all, scope, spec);
    if (err == 0)
        err = cp_oscore_derive(&spec->in, &k);
    if (err == 0 && strcmp(scope, "*") == 0)
        err = refuse_taken(all, &spec->in,
                           context_like(all, &k, spec->rederives));
    cp_wipe(&k, sizeof(k));
    return err;
}

/* ---- Without a scope ---- */

int cp_oscore_add(struct cp_oscore *all, const struct cp_oscore_spec *spec,
                  struct cp_guard **out)
{
    struct cp_oscore_context *c = NULL;
    struct cp_oscore_keys k;
    int err = check_input(all, "EDHOC", spec);

    if (err == 0)
        err = cp_oscore_derive(&spec->in, &k);
    if (err != 0)
        return err;
    c = cp_oscore_context_new(all, spec, &k);
    cp_wipe(&k, sizeof(k));
    if (c == NULL)
        return COPAL_ENOMEM;
    err = cp_oscore_state_begin(c);
    if (err == 0)
        err = serve(all, &spec->in, c);
    if (err == 0)
        *out = &c->guard;
    else
        cp_guard_unref(&c->guard);
    return err;
}

void cp_oscore_retire(struct cp_oscore *all, struct cp_guard *way)
{
    struct cp_oscore_context *c = cp_oscore_context_of(way);

    cp_guard_gone(all->engine, c);
    stop_serving(c);
}

bool cp_oscore_knows(struct cp_oscore *all, copal_bytes kid)
{
    return cp_oscore_by_kid(all, kid) != NULL;
}

bool cp_oscore_has(const struct cp_oscore *all, const char *scope)
{
    return strcmp(scope, "*") == 0 ? all->by_kid.count > 0
                                   : scope_find(all, scope) != NULL;
}

int cp_oscore_forget(struct cp_oscore *all, const char *scope)
{
    char *text = scope_text(all, scope);
    struct scope *s;
    bool any = false;

    if (text == NULL)
        return COPAL_ENOMEM;
    any = cp_oscore_has(all, text);
    s = scope_find(all, text);
    if (s != NULL)
        scope_free(all, s);
    if (strcmp(text, "*") == 0)
        map_each (node, after, &all->by_kid) {
            struct cp_oscore_context *c =
                cp_container_of(node, struct cp_oscore_context, by_kid);

            cp_guard_gone(all->engine, c);
            stop_serving(c);
        }
    cp_free(all->mem, text);
    return any ? 0 : COPAL_ENOENT;
}

/* ---- Birth and end ---- */

const struct cp_guard_ops cp_oscore_guard_ops = {
    .open = cp_oscore_in_request,
    .seal = cp_oscore_out_answer,
    .way = way,
    .seal_request = cp_oscore_out_request,
    .open_answer = cp_oscore_in_answer,
};

struct cp_oscore *cp_oscore_new(struct cp_mem *mem, struct cp_engine *e)
{
    struct cp_oscore *all = cp_zalloc(mem, sizeof(*all));

    if (all == NULL)
        return NULL;
    all->mem = mem;
    all->engine = e;
    all->aeads = cp_aeads_new(mem);
    if (all->aeads == NULL) {
        cp_free(mem, all);
        return NULL;
    }
    cp_list_init(&all->contexts);
    cp_list_init(&all->scopes);
    cp_map_init(&all->by_kid, mem, &e->random);
    cp_random_bytes(&e->random, all->echo_key, sizeof(all->echo_key));
    e->protection.ops = &cp_oscore_guard_ops;
    e->protection.user = all;
    return all;
}

void cp_oscore_keep_in(struct cp_oscore *all, struct cp_store *store)
{
    all->store = store;
}

void cp_oscore_free(struct cp_oscore *all)
{
    if (all == NULL)
        return;
    all->engine->protection.ops = NULL;
    list_each (node, after, &all->scopes)
        scope_free(all, cp_container_of(node, struct scope, node));
    map_each (node, after, &all->by_kid)
        stop_serving(cp_container_of(node, struct cp_oscore_context, by_kid));
    /* What is left are those of messages that users still hold. */
    list_each (node, after, &all->contexts) {
        struct cp_oscore_context *c =
            cp_container_of(node, struct cp_oscore_context, node);

        cp_oscore_state_end(c);
        cp_list_remove(&c->node);
        c->all = NULL;
    }
    cp_map_clear(&all->by_kid);
    cp_aeads_free(all->aeads);
    cp_wipe(all->echo_key, sizeof(all->echo_key));
    cp_free(all->mem, all);
}
