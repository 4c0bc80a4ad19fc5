#include "secure/credentials_scope.h"

#include <stdio.h>
#include <strings.h>
#include "secure/scope.h"
#include "wire/uri.h"

bool cp_scope_is_for_askers(const char *scope)
{
    return strcmp(scope, "*") == 0;
}

int cp_scope_check(struct cp_credentials *all, const char *scope)
{
    static const char *const secured[] = {"coaps://", "coaps+tcp://",
                                          "coaps+ws://"};
    size_t len = 0;

    if (scope == NULL || *scope == '\0')
        return cp_why(all->mem, COPAL_EINVAL,
                      "no scope; write \"*\" for who asks us, or the beginning "
                      "of a URI, like coaps://host");
    if (cp_scope_is_for_askers(scope))
        return 0;
    for (size_t i = 0; len == 0 && i < 3; i++)
        if (strncasecmp(scope, secured[i], strlen(secured[i])) == 0)
            len = strlen(secured[i]);
    if (len == 0)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: no scope of TLS or DTLS; it begins with coaps://, "
                      "coaps+tcp:// or coaps+ws://, or is \"*\"",
                      scope);
    len += strcspn(scope + len, "/?#");
    if (scope[len] != '\0' && strcmp(scope + len, "/") != 0)
        return cp_why(all->mem, COPAL_EINVAL,
                      "%s: all paths of a host share a connection; leave the "
                      "path away",
                      scope);
    return 0;
}

struct cp_scope_keys *cp_scope_find(const struct cp_credentials *all,
                                    const char *scope)
{
    list_each (node, after, &all->scopes) {
        struct cp_scope_keys *s =
            cp_container_of(node, struct cp_scope_keys, node);

        if (strcasecmp(s->scope, scope) == 0)
            return s;
    }
    return NULL;
}

struct cp_scope_keys *cp_scope_for(struct cp_credentials *all,
                                   const char *scope)
{
    struct cp_scope_keys *s = cp_scope_find(all, scope);

    if (s != NULL)
        return s;
    s = cp_zalloc(all->mem, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->scope = cp_copy_text(all->mem, scope, strlen(scope));
    if (s->scope == NULL) {
        cp_free(all->mem, s);
        return NULL;
    }
    for (char *p = s->scope; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    cp_list_append(&all->scopes, &s->node);
    return s;
}

const struct cp_scope_keys *cp_credentials_for(const struct cp_credentials *all,
                                               const struct cp_asked *asked)
{
    const struct cp_scope_keys *best = NULL;
    char plain[400], with_port[400];
    struct cp_buf b = cp_buf_fixed(plain, sizeof(plain));
    bool has_own_port = asked->port == cp_scheme_port(asked->scheme);
    size_t most = 0;

    cp_uri_put_base(&b, asked->scheme, asked->host, asked->port);
    if (b.failed || b.len + 8 > sizeof(plain))
        return NULL;
    snprintf(with_port, sizeof(with_port), "%.*s:%u/", (int)b.len, plain,
             asked->port);
    cp_put_text(&b, "/");
    plain[b.len] = '\0';
    list_each (node, after, &all->scopes) {
        struct cp_scope_keys *s =
            cp_container_of(node, struct cp_scope_keys, node);

        if (strlen(s->scope) > most &&
            (cp_scope_covers(s->scope, plain) ||
             (has_own_port && cp_scope_covers(s->scope, with_port)))) {
            best = s;
            most = strlen(s->scope);
        }
    }
    return best;
}
