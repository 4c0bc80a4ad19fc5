#include "secure/edhoc_keys.h"
#include "secure/scope.h"

#include <stdio.h>
#include <strings.h>

void cp_edhoc_keys_init(struct cp_edhoc_keys *all, struct cp_mem *mem)
{
    all->mem = mem;
    cp_list_init(&all->scopes);
}

static void scope_drop(struct cp_edhoc_scope *s)
{
    cp_list_remove(&s->node);
    cp_edhoc_scope_unref(s);
}

void cp_edhoc_keys_clear(struct cp_edhoc_keys *all)
{
    list_each (node, after, &all->scopes)
        scope_drop(cp_container_of(node, struct cp_edhoc_scope, node));
}

/* ---- Use ---- */

static struct cp_edhoc_scope *scope_find(const struct cp_edhoc_keys *all,
                                         const char *text)
{
    list_each (node, after, &all->scopes) {
        struct cp_edhoc_scope *s =
            cp_container_of(node, struct cp_edhoc_scope, node);

        if (strcmp(s->text, text) == 0)
            return s;
    }
    return NULL;
}

static int check_scope(struct cp_edhoc_keys *all, const char *scope)
{
    static const char *const schemes[] = {"coap://",     "coaps://",
                                          "coap+tcp://", "coaps+tcp://",
                                          "coap+ws://",  "coaps+ws://"};

    if (scope != NULL && strcmp(scope, "*") == 0)
        return 0;
    for (size_t i = 0; scope != NULL && i < 6; i++)
        if (strncasecmp(scope, schemes[i], strlen(schemes[i])) == 0 &&
            strlen(scope) < 512)
            return 0;
    return cp_why(all->mem, COPAL_EINVAL,
                  "%s: no scope of EDHOC; write \"*\" for who asks us, or the "
                  "beginning of a URI, like coap://host/",
                  scope == NULL || *scope == '\0' ? "nothing" : scope);
}

int cp_edhoc_keys_use(struct cp_edhoc_keys *all, const char *scope,
                      const struct cp_edhoc_spec *spec)
{
    int err = check_scope(all, scope);
    struct cp_edhoc_scope *s, *before;

    if (err != 0)
        return err;
    s = cp_edhoc_scope_new(all->mem, scope);
    if (s == NULL)
        return COPAL_ENOMEM;
    err = cp_edhoc_scope_fill(s, spec);
    if (err != 0) {
        cp_edhoc_scope_unref(s);
        return err;
    }
    before = scope_find(all, s->text);
    if (before != NULL && strcmp(s->text, "*") == 0) {
        cp_edhoc_scope_join(before, s);
        cp_edhoc_scope_unref(s);
        return 0;
    }
    if (before != NULL)
        scope_drop(before);
    cp_list_append(&all->scopes, &s->node);
    return 0;
}

/* As far as the host goes capitals do not matter. */
struct cp_edhoc_scope *cp_edhoc_keys_at(const struct cp_edhoc_keys *all,
                                        const char *scope)
{
    char text[512];

    if ((size_t)snprintf(text, sizeof(text), "%s", scope) >= sizeof(text))
        return NULL;
    cp_scope_lower(text);
    return scope_find(all, text);
}

int cp_edhoc_keys_forget(struct cp_edhoc_keys *all, const char *scope)
{
    struct cp_edhoc_scope *s = cp_edhoc_keys_at(all, scope);

    if (s == NULL)
        return COPAL_ENOENT;
    scope_drop(s);
    return 0;
}

struct cp_edhoc_scope *cp_edhoc_keys_for(const struct cp_edhoc_keys *all,
                                         const char *uri, const char *with_port)
{
    struct cp_edhoc_scope *best = NULL;
    size_t most = 0;

    list_each (node, after, &all->scopes) {
        struct cp_edhoc_scope *s =
            cp_container_of(node, struct cp_edhoc_scope, node);
        size_t len = strlen(s->text);

        if (len <= most || strcmp(s->text, "*") == 0 ||
            (!cp_scope_covers(s->text, uri) &&
             (*with_port == '\0' || !cp_scope_covers(s->text, with_port))))
            continue;
        best = s;
        most = len;
    }
    return best;
}

struct cp_edhoc_scope *cp_edhoc_keys_serve(const struct cp_edhoc_keys *all)
{
    struct cp_edhoc_scope *s = scope_find(all, "*");

    return s == NULL || cp_list_empty(&s->own) ? NULL : s;
}
