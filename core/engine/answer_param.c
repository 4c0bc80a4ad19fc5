/* Path parameters: what a pattern's "{name}" stood for. */
#include "engine/answer_core.h"

struct cp_param_value {
    struct cp_param_value *next;
    const char *name, *value;
};

int cp_answer_param_set(copal_exchange *x, const char *name, copal_bytes value)
{
    struct cp_answer *a = cp_answer_of(x);
    size_t name_len = strlen(name);
    struct cp_param_value *p =
        cp_alloc(x->mem, sizeof(*p) + name_len + value.len + 2);
    char *text = (char *)(p + 1);

    if (p == NULL)
        return COPAL_ENOMEM;
    memcpy(text, name, name_len + 1);
    if (value.len > 0)
        memcpy(text + name_len + 1, value.data, value.len);
    text[name_len + 1 + value.len] = 0;
    *p = (struct cp_param_value){a->params, text, text + name_len + 1};
    a->params = p;
    return 0;
}

void cp_answer_param_clear(struct cp_answer *a)
{
    while (a->params != NULL) {
        struct cp_param_value *next = a->params->next;

        cp_free(a->x.mem, a->params);
        a->params = next;
    }
}

const char *copal_exchange_param(const copal_exchange *x, const char *name)
{
    const struct cp_answer *a;

    if (x == NULL || x->is_ask || name == NULL)
        return NULL;
    a = cp_container_of(x, struct cp_answer, x);
    for (const struct cp_param_value *p = a->params; p != NULL; p = p->next)
        if (strcmp(p->name, name) == 0)
            return p->value;
    return NULL;
}
