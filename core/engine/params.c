#include "engine/params.h"

struct scope {
    struct cp_list node;
    int param;
    int64_t value;
    size_t len;
    char prefix[];
};

void cp_params_init(struct cp_params *p, struct cp_mem *mem)
{
    p->mem = mem;
    cp_list_init(&p->scopes);
    memset(p->value, 0, sizeof(p->value));
#define X(name, number, standard, where, what) p->value[number] = standard;
    COPAL_PARAMS(X)
#undef X
}

void cp_params_clear(struct cp_params *p)
{
    list_each (node, after, &p->scopes)
        cp_free(p->mem, cp_container_of(node, struct scope, node));
    cp_list_init(&p->scopes);
}

static struct scope *scope_find(struct cp_params *p, const char *prefix,
                                int param)
{
    list_each (node, after, &p->scopes) {
        struct scope *s = cp_container_of(node, struct scope, node);

        if (s->param == param && strcmp(s->prefix, prefix) == 0)
            return s;
    }
    return NULL;
}

/* Longest first, so that the first match is the narrowest. */
static void scope_insert(struct cp_params *p, struct scope *s)
{
    struct cp_list *before = p->scopes.next;

    while (before != &p->scopes &&
           cp_container_of(before, struct scope, node)->len > s->len)
        before = before->next;
    cp_list_insert_before(before, &s->node);
}

int cp_params_set(struct cp_params *p, const char *scope, int param,
                  int64_t value)
{
    struct scope *s;
    size_t len;

    if (scope == NULL) {
        p->value[param] = value;
        return 0;
    }
    s = scope_find(p, scope, param);
    if (s == NULL) {
        len = strlen(scope);
        s = cp_alloc(p->mem, sizeof(*s) + len + 1);
        if (s == NULL)
            return COPAL_ENOMEM;
        memcpy(s->prefix, scope, len + 1);
        s->len = len;
        s->param = param;
        scope_insert(p, s);
    }
    s->value = value;
    return 0;
}

bool cp_params_covers(const char *prefix, size_t len, const char *uri)
{
    char next;

    if (strncmp(uri, prefix, len) != 0)
        return false;
    next = uri[len];
    return next == '\0' || next == ':' || next == '/' || next == '?' ||
           len == 0 || prefix[len - 1] == '/';
}

int64_t cp_params_look_up(const struct cp_params *p, const copal_msg *m,
                          const char *uri, int param)
{
    int64_t value = p->value[param];

    if (!cp_list_empty(&p->scopes) && uri != NULL)
        list_each (node, after, &p->scopes) {
            struct scope *s = cp_container_of(node, struct scope, node);

            if (s->param == param && cp_params_covers(s->prefix, s->len, uri)) {
                value = s->value;
                break;
            }
        }
    return m == NULL ? value : cp_msg_tuned(m, param, value);
}

void cp_params_each(const struct cp_params *p,
                    void (*fn)(void *user, const char *scope, int param,
                               int64_t value),
                    void *user)
{
#define X(name, number, standard, where, what) \
    if (p->value[number] != standard) \
        fn(user, NULL, number, p->value[number]);
    COPAL_PARAMS(X)
#undef X
    list_each (node, after, &p->scopes) {
        const struct scope *s = cp_container_of(node, struct scope, node);

        fn(user, s->prefix, s->param, s->value);
    }
}
