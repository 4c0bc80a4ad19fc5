/* What devices out there want to be asked like: data, and how it is applied. */
#include "endpoint.h"
#include "engine/params.h"
#include "wire/message.h"

enum {
    MOST_PARAMS = 4,
    MOST_OPTIONS = 2
};

struct option {
    uint16_t number; /* 0: the list ends before */
    uint32_t value;
};

struct profile {
    const char *name;
    struct {
        copal_param p; /* COPAL_P_NONE: the list ends before */
        int64_t value;
    } params[MOST_PARAMS];
    bool is_non; /* requests are not confirmed */
    int accept;  /* format asked for, and of payloads; COPAL_NO_FORMAT: any */
    struct option options[MOST_OPTIONS]; /* of each request */
    struct option with_payload[MOST_OPTIONS];
    uint16_t understood[MOST_OPTIONS]; /* critical ones that answers have */
};

static const struct profile profiles[] = {
    /* OCF devices: vnd.ocf+cbor; OCF-Accept-Content-Format-Version and
     * OCF-Content-Format-Version say which version of it, 1.0.0. */
    {
        .name = "samsung-ocf",
        .accept = 10000,
        .options = {{2049, 2048}},
        .with_payload = {{2053, 2048}},
        .understood = {2053},
    },
    /* Shelly of the first generation (CoIoT): /cit/d and /cit/s; all is told by
     * code 0.30. Those with a battery are mostly not there. */
    {
        .name = "shelly",
        .params = {{COPAL_P_IGNORE_ICMP, 1}},
        .is_non = true,
        .accept = COPAL_NO_FORMAT,
    },
    /* Thread and 6LoWPAN nodes that sleep: a parent keeps what comes for the
     * length of a poll, and its ICMP may lie; frames are small. */
    {
        .name = "thread-sleepy",
        .params = {{COPAL_P_ACK_TIMEOUT, 12000},
                   {COPAL_P_IGNORE_ICMP, 1},
                   {COPAL_P_BLOCK_SIZE, 64},
                   {COPAL_P_NSTART, 1}},
        .accept = COPAL_NO_FORMAT,
    },
    /* IKEA TRADFRI gateway: /15001, by coaps only, with a key of one's own
     * (copal creds pair). */
    {
        .name = "tradfri",
        .params = {{COPAL_P_NSTART, 1}, {COPAL_P_ACK_TIMEOUT, 3000}},
        .accept = COPAL_NO_FORMAT,
    },
};

enum {
    COUNT = sizeof(profiles) / sizeof(profiles[0])
};

/* Who wants one. */
struct wish {
    struct cp_list node;
    const struct profile *profile;
    size_t len;
    char scope[];
};

const char *copal_profile_name(size_t i)
{
    return i < COUNT ? profiles[i].name : NULL;
}

/* ---- Requests ---- */

static bool has(const copal_msg *m, int option)
{
    return copal_msg_value(m, option, 0, NULL) == 0;
}

static int add(copal_msg *m, const struct option *list)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < MOST_OPTIONS && list[i].number != 0; i++)
        if (!has(m, list[i].number))
            err = copal_msg_add_uint(m, list[i].number, list[i].value);
    return err;
}

static int add_format(copal_msg *m, int option, int format)
{
    return format == COPAL_NO_FORMAT || has(m, option)
               ? 0
               : copal_msg_add_uint(m, option, (uint32_t)format);
}

static int fill(copal_msg *m, const struct profile *p)
{
    bool has_payload = m->payload.len > 0 || (m->flags & COPAL_STREAM_OUT) != 0;
    int err = add_format(m, COPAL_OPT_ACCEPT, p->accept);

    if (p->is_non && (m->flags & COPAL_CON) == 0)
        m->flags |= COPAL_NON;
    if (err == 0)
        err = add(m, p->options);
    if (err == 0 && has_payload)
        err = add_format(m, COPAL_OPT_CONTENT_FORMAT, p->accept);
    if (err == 0 && has_payload)
        err = add(m, p->with_payload);
    return err;
}

static const struct profile *profile_for(const copal *c, const char *uri)
{
    const struct wish *longest = NULL;

    list_each (node, after, &c->profiles) {
        const struct wish *w = cp_container_of(node, struct wish, node);

        if (cp_params_covers(w->scope, w->len, uri) &&
            (longest == NULL || w->len > longest->len))
            longest = w;
    }
    return longest == NULL ? NULL : longest->profile;
}

int cp_endpoint_fill(copal *c, copal_msg *m, copal_msg **out)
{
    const struct profile *p;
    int err;

    if (m == NULL || m->received || m->code == COPAL_EMPTY || m->code >> 5 != 0)
        return 0;
    p = profile_for(c, copal_msg_uri(m));
    if (p == NULL)
        return 0;
    *out = copal_msg_copy(m);
    if (*out == NULL)
        return COPAL_ENOMEM;
    m->frozen = true;
    err = fill(*out, p);
    if (err != 0) {
        copal_msg_unref(*out);
        *out = NULL;
    }
    return err;
}

/* ---- Who wants which ---- */

static const struct profile *profile_called(const char *name)
{
    for (size_t i = 0; i < COUNT; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

int cp_endpoint_knows_profile(copal *c, const char *name)
{
    if (profile_called(name) != NULL)
        return 0;
    return cp_why(c->mem, COPAL_EINVAL,
                  "no profile '%s'; there are samsung-ocf, shelly, "
                  "thread-sleepy and tradfri",
                  name);
}

static struct wish *wish_of(copal *c, const char *scope)
{
    list_each (node, after, &c->profiles) {
        struct wish *w = cp_container_of(node, struct wish, node);

        if (strcmp(w->scope, scope) == 0)
            return w;
    }
    return NULL;
}

static int note(copal *c, const char *scope, const struct profile *p)
{
    struct wish *w = wish_of(c, scope);
    size_t len = strlen(scope);

    if (w == NULL) {
        w = cp_alloc(c->mem, sizeof(*w) + len + 1);
        if (w == NULL)
            return COPAL_ENOMEM;
        memcpy(w->scope, scope, len + 1);
        w->len = len;
        cp_list_append(&c->profiles, &w->node);
    }
    w->profile = p;
    return 0;
}

static void forget(copal *c, struct wish *w)
{
    cp_list_remove(&w->node);
    cp_free(c->mem, w);
}

int copal_profile(copal *c, const char *scope, const char *name)
{
    const struct profile *p = name == NULL ? NULL : profile_called(name);
    struct wish *before = wish_of(c, scope == NULL ? "" : scope);
    int err = name == NULL ? 0 : cp_endpoint_knows_profile(c, name);

    if (p == NULL) {
        if (err == 0 && before != NULL)
            forget(c, before);
        return err;
    }
    for (size_t i = 0; err == 0 && i < MOST_OPTIONS && p->understood[i] != 0;
         i++)
        err = copal_understand(c, p->understood[i]);
    for (size_t i = 0; err == 0 && i < MOST_PARAMS && p->params[i].p != 0; i++)
        err = copal_tune(c, scope, p->params[i].p, p->params[i].value);
    return err != 0 ? err : note(c, scope == NULL ? "" : scope, p);
}

void cp_endpoint_end_profiles(copal *c)
{
    list_each (node, after, &c->profiles)
        forget(c, cp_container_of(node, struct wish, node));
}
