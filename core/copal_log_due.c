/* How much may be logged of what strangers cause: a bucket of lines for each
 * kind, filled at a rate. */
#include "endpoint.h"
#include "engine/core.h"

enum {
    MAX_KINDS = 16, /* the last one is shared by what finds no place */
    MAX_NAME = 32
};

/* next: when the bucket is full again, as if it had no bound below: a line
 * moves it on by an interval, and may be written while it is less than a
 * bucket away. us, as copal_now(). */
struct kind {
    char name[MAX_NAME]; /* "": free */
    uint64_t next;
    uint64_t left_out; /* since the last line */
};

struct cp_log_kinds {
    struct kind list[MAX_KINDS];
    uint64_t left_out; /* in all */
};

static struct kind *find(struct cp_log_kinds *all, const char *name)
{
    size_t i = 0;

    while (i < MAX_KINDS - 1 && all->list[i].name[0] != '\0' &&
           strncmp(all->list[i].name, name, MAX_NAME - 1) != 0)
        i++;
    strncpy(all->list[i].name, name, MAX_NAME - 1);
    return &all->list[i];
}

int64_t copal_log_due(copal *c, const char *kind)
{
    const int64_t *params = c->engine->params.value;
    uint64_t burst = (uint64_t)params[COPAL_P_LOG_BURST];
    uint64_t interval = 1000000 / (uint64_t)params[COPAL_P_LOG_RATE];
    uint64_t now = copal_now(c) * 1000;
    struct kind *k;
    int64_t before;

    if (kind == NULL)
        return cp_why(c->mem, COPAL_EINVAL,
                      "log_due: no kind of lines; name one, \"handler\" say");
    if (burst == 0)
        return 0;
    if (c->log_kinds == NULL)
        c->log_kinds = cp_zalloc(c->mem, sizeof(*c->log_kinds));
    if (c->log_kinds == NULL)
        return COPAL_ENOMEM;
    k = find(c->log_kinds, kind);
    if (k->next < now)
        k->next = now;
    if (k->next - now > (burst - 1) * interval) {
        k->left_out++;
        c->log_kinds->left_out++;
        return COPAL_ELIMIT;
    }
    k->next += interval;
    before = (int64_t)k->left_out;
    k->left_out = 0;
    return before;
}

uint64_t cp_log_left_out(const copal *c)
{
    return c->log_kinds == NULL ? 0 : c->log_kinds->left_out;
}
