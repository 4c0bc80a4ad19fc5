#include "engine/ask_group.h"
#include "engine/core.h"
#include "engine/trace.h"

/* ---- What a group is asked ---- */

/* RFC 7252 8.1; RFC 7959 2.8 leaves uploads in blocks open, and the pieces of
 * several streams could not be told apart. */
static const char *refusal(const struct cp_ask *a)
{
    const copal_msg *m = a->x.request;
    int64_t size = cp_exchange_param(&a->x, COPAL_P_BLOCK_SIZE);

    if ((m->flags & COPAL_NON) == 0)
        return "a group cannot confirm; ask it non-confirmable (COPAL_NON, "
               "non=true, --non)";
    if ((m->flags & COPAL_RAW_BLOCKS) != 0)
        return NULL;
    if ((m->flags & (COPAL_STREAM_IN | COPAL_STREAM_OUT)) != 0)
        return "a group is asked, and answers, without streams";
    if (m->payload.len > (size_t)size)
        return "a group takes no body of several blocks; send it to each "
               "member";
    return NULL;
}

bool cp_ask_group_begin(struct cp_ask *a)
{
    struct cp_engine *e = a->x.engine;
    const char *why = refusal(a);

    if (why != NULL) {
        cp_exchange_fail(&a->x, COPAL_EINVAL, "%s: %s",
                         copal_msg_uri(a->x.request), why);
        return false;
    }
    if (a->group != NULL)
        return true;
    cp_observe_share_part(a);
    a->group = cp_zalloc(e->mem, sizeof(*a->group));
    if (a->group == NULL) {
        cp_exchange_fail(&a->x, COPAL_ENOMEM, NULL);
        return false;
    }
    a->group->ask = a;
    cp_map_init(&a->group->members, e->mem, &e->random);
    return true;
}

uint64_t cp_ask_group_wait(const struct cp_ask *a)
{
    const copal_exchange *x = &a->x;

    return (uint64_t)(cp_exchange_param(x, COPAL_P_LEISURE) +
                      cp_exchange_param(x, COPAL_P_ACK_TIMEOUT) *
                          cp_exchange_param(x, COPAL_P_ACK_RANDOM) / 100);
}

/* ---- Its members ---- */

static uint64_t hash_of(const struct cp_group *g, const struct cp_address *a)
{
    return cp_map_hash(&g->members, a, sizeof(*a));
}

static struct cp_ask *find_member(const struct cp_group *g,
                                  const struct cp_address *remote)
{
    struct cp_map_node *n = cp_map_first(&g->members, hash_of(g, remote));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_ask *b = cp_container_of(n, struct cp_ask, as_member);

        if (cp_address_equal(&b->way.path.remote, remote))
            return b;
    }
    return NULL;
}

static void finish(struct cp_group *g)
{
    copal_exchange *x = &g->ask->x;
    bool observes = g->ask->wants_observe;

    if (g->answers == 0)
        cp_exchange_fail(x, COPAL_ETIMEOUT,
                         "%s: nobody in the group answered within %llu ms; "
                         "allow more with timeout, or ask by another interface",
                         copal_msg_uri(x->request),
                         (unsigned long long)g->waited_ms);
    else if (observes && !g->was_observed)
        cp_exchange_fail(x, COPAL_ENOTOBS,
                         "%s: answered, but nobody in the group can be "
                         "observed; use get",
                         copal_msg_uri(x->request));
    else
        cp_ask_finish(x, 0, "");
}

static void finish_if_done(struct cp_group *g)
{
    if (g->is_waited && !g->is_walked && g->members.count == 0)
        finish(g);
}

/* A member's exchange is over: all that it had to say was said, or the rest of
 * it is lost. */
static void on_member_over(void *member)
{
    struct cp_ask *b = member;
    struct cp_group *g = b->member_of;

    b->member_of = NULL;
    cp_map_remove(&g->members, &b->as_member);
    finish_if_done(g);
}

/* Whoever hears the group can answer as many: what they begin leaves room for
 * other requests. */
static bool has_room(const struct cp_group *g)
{
    const struct cp_engine *e = g->ask->x.engine;
    size_t most = (size_t)e->params.value[COPAL_P_MAX_EXCHANGES];

    return g->members.count < most / 2 && e->exchange_count < most;
}

static struct cp_ask *add_member(struct cp_ask *a, const struct cp_path *path)
{
    struct cp_engine *e = a->x.engine;
    struct cp_group *g = a->group;
    copal_exchange *x;
    struct cp_ask *b;

    if (!has_room(g)) {
        cp_engine_limited(e, "max_exchanges");
        return NULL;
    }
    x = cp_ask_open(e, a->x.request, (copal_cb){0});
    if (x == NULL)
        return NULL;
    b = cp_ask_of(x);
    b->member_of = g;
    b->source = (struct cp_ask_source){.over = on_member_over, .user = b};
    b->wants_observe = a->wants_observe;
    b->way = a->way;
    b->way.path.remote = path->remote;
    memcpy(b->main.bytes, a->main.bytes, CP_TOKEN_LEN);
    cp_map_put(&g->members, &b->as_member, hash_of(g, &path->remote));
    return b;
}

struct cp_ask *cp_ask_group_member(struct cp_ask *a, const struct cp_path *path)
{
    struct cp_ask *b = find_member(a->group, &path->remote);

    if (b != NULL &&
        !b->is_observed) /* the rest of its answer is yet to come */
        return NULL;
    if (b == NULL)
        b = add_member(a, path);
    if (b == NULL)
        return NULL;
    a->heard = b->heard = true;
    a->group->answers++;
    b->came_by = &b->main;
    return b;
}

/* ---- Its time ---- */

static bool is_any_observed(const struct cp_group *g)
{
    map_each (node, after, &g->members)
        if (cp_container_of(node, struct cp_ask, as_member)->is_observed)
            return true;
    return false;
}

/* Answers that came in time but have more blocks are waited for: as long as
 * their exchanges last, or where the user has set a limit, as long again. An
 * observation goes on, and who comes late to it is still welcome. */
void cp_ask_group_waited(struct cp_ask *a)
{
    struct cp_group *g = a->group;

    if (!g->is_waited)
        g->waited_ms = a->user_limit
                           ? (uint64_t)cp_exchange_param(&a->x, COPAL_P_TIMEOUT)
                           : cp_ask_group_wait(a);
    g->is_waited = true;
    if (!a->wants_observe)
        cp_token_off(a->x.engine, &a->main);
    if (is_any_observed(g))
        return;
    if (g->members.count == 0 || g->is_extended) {
        finish(g);
        return;
    }
    g->is_extended = true;
    if (a->user_limit)
        cp_ask_wait(a, g->waited_ms);
}

void cp_ask_group_resume(struct cp_ask *a)
{
    struct cp_group *g = a->group;

    g->is_walked = true;
    map_each (node, after, &g->members) {
        struct cp_ask *b = cp_container_of(node, struct cp_ask, as_member);
        copal_msg *held = b->held;

        b->held = NULL;
        if (held != NULL)
            cp_ask_answered(&b->x, held);
        copal_msg_unref(held);
    }
    g->is_walked = false;
    finish_if_done(g);
}

void cp_ask_group_farewell(struct cp_ask *a)
{
    map_each (node, after, &a->group->members)
        cp_ask_farewell(cp_container_of(node, struct cp_ask, as_member));
}

void cp_ask_group_end(struct cp_ask *a)
{
    struct cp_group *g = a->group;

    if (g == NULL)
        return;
    a->group = NULL;
    map_each (node, after, &g->members) {
        struct cp_ask *b = cp_container_of(node, struct cp_ask, as_member);

        b->source.over = NULL;
        b->member_of = NULL;
        cp_map_remove(&g->members, node);
        cp_ask_finish(&b->x, COPAL_ECANCEL, "");
    }
    cp_map_clear(&g->members);
    cp_free(a->x.mem, g);
}
