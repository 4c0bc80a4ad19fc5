#include "engine/observe_share.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/trace.h"

static struct cp_ask *ask_at(struct cp_list *place)
{
    return cp_container_of(place, struct cp_ask, share.place);
}

void cp_observe_share_init(struct cp_observe_share *s)
{
    cp_list_init(&s->followers);
    cp_list_init(&s->place);
}

/* ---- Who asks for the same ---- */

/* A stream has one reader, blocks that the user reads are no whole answers, and
 * a watch has to see whether its own registration lives. */
static bool may_share(const copal_msg *m)
{
    const unsigned apart =
        COPAL_STREAM_IN | COPAL_STREAM_OUT | COPAL_RAW_BLOCKS | CP_FLAG_APART;

    return (m->code == COPAL_GET || m->code == COPAL_FETCH) &&
           cp_msg_uint_or(m, COPAL_OPT_OBSERVE, UINT64_MAX) == 0 &&
           (m->flags & apart) == 0 && !m->is_multicast && !m->resumed &&
           !cp_msg_has(m, COPAL_OPT_BLOCK1) && !cp_msg_has(m, COPAL_OPT_BLOCK2);
}

/* Of what the cache key leaves out: the options that change what is told. */
static void put_options(struct cp_buf *key, const copal_msg *m)
{
    for (size_t i = 0; i < m->option_count; i++) {
        const struct cp_option *o = &m->options[i];

        if (o->number != COPAL_OPT_ETAG && o->number != COPAL_OPT_NO_RESPONSE)
            continue;
        cp_put_u16(key, o->number);
        cp_put_u32(key, o->len);
        cp_put_bytes(key, cp_msg_option_value(m, o));
    }
}

/* Those that a message may have: by them it would go otherwise. */
static void put_params(struct cp_buf *key, const copal_exchange *x)
{
    int64_t value;

#define X(name, number, standard, where, what) \
    if (strchr(where, 'M') != NULL) { \
        value = cp_exchange_param(x, COPAL_P_##name); \
        cp_put_bytes(key, cp_bytes(&value, sizeof(value))); \
    }
    COPAL_PARAMS(X)
#undef X
}

/* What x asks for, of whom, and how, as 64 bits of SipHash under a random key,
 * taken for the thing itself as in cp_bodies_key(). False: out of memory. */
static bool key_of(const copal_exchange *x, uint64_t *out)
{
    struct cp_engine *e = x->engine;
    struct cp_buf key = cp_buf_new(e->mem);
    copal_bytes all;
    uint64_t target;
    bool done;

    if (!cp_cache_key(e, x->request, &target))
        return false;
    cp_put_bytes(&key, cp_bytes(&target, sizeof(target)));
    cp_put_u32(&key, x->request->flags);
    put_options(&key, x->request);
    put_params(&key, x);
    done = cp_buf_finish(&key, &all) == 0;
    if (done)
        *out = cp_map_hash(&e->shared, all.data, all.len);
    cp_buf_free(&key);
    return done;
}

static void lead(struct cp_ask *a, uint64_t key)
{
    a->share.leads = true;
    a->share.is_answered = false;
    cp_map_put(&a->x.engine->shared, &a->share.node, key);
}

static void lead_no_more(struct cp_ask *a)
{
    if (a->share.leads)
        cp_map_remove(&a->x.engine->shared, &a->share.node);
    a->share.leads = false;
}

static void follow(struct cp_ask *a, struct cp_ask *leader)
{
    a->share.leader = leader;
    cp_list_append(&leader->share.followers, &a->share.place);
}

static void follow_no_more(struct cp_ask *a)
{
    a->share.leader = NULL;
    cp_list_remove(&a->share.place);
}

bool cp_observe_share_join(copal_exchange *x)
{
    struct cp_engine *e = x->engine;
    struct cp_ask *leader;
    struct cp_map_node *n;
    uint64_t key;

    if (!may_share(x->request))
        return false;
    if (!key_of(x, &key)) {
        cp_exchange_fail(x, COPAL_ENOMEM, NULL);
        return true;
    }
    n = cp_map_first(&e->shared, key);
    if (n == NULL) {
        lead(cp_ask_of(x), key);
        return false;
    }
    leader = cp_container_of(n, struct cp_ask, share.node);
    follow(cp_ask_of(x), leader);
    cp_trace_state(e, "observe_shared", copal_msg_uri(x->request));
    return !leader->share.is_answered;
}

/* ---- What followers hear ---- */

int cp_observe_share_out(copal_msg **m)
{
    copal_msg *plain = cp_msg_derive(*m);

    if (plain == NULL)
        return COPAL_ENOMEM;
    cp_msg_remove(plain, COPAL_OPT_OBSERVE);
    plain->frozen = true;
    copal_msg_unref(*m);
    *m = plain;
    return CP_PASS;
}

/* From the last one: each that stops lets the next in the queue to the peer go,
 * and what is about to be stopped, too, need not leave for that. */
static void stop_followers(struct cp_ask *a)
{
    struct cp_list *all = &a->share.followers;

    for (struct cp_list *place = all->prev; place != all; place = place->prev)
        cp_ask_stop(ask_at(place));
}

/* goes_on: there will be more, so while the user has paused it the newest will
 * do. */
static void hear(struct cp_ask *a, copal_msg *m, bool goes_on)
{
    cp_ask_limit_met(a);
    if (a->x.paused && goes_on)
        cp_ask_hold(a, m);
    else if (cp_exchange_tell(&a->x, COPAL_RESPONSE, m) == NULL)
        cp_exchange_fail(&a->x, COPAL_ENOMEM, NULL);
}

bool cp_observe_share_answered(struct cp_ask *a, copal_msg *m)
{
    if (a->share.leader == NULL || cp_code_class(m->code) != 2)
        return false;
    cp_ask_stop(a);
    hear(a, m, true);
    return true;
}

void cp_observe_share_tell(struct cp_ask *a, copal_msg *m)
{
    a->share.is_answered = true;
    stop_followers(a);
    list_each (place, after, &a->share.followers)
        hear(ask_at(place), m, a->is_observed);
}

/* ---- The leader goes ---- */

/* By the way that is known to lead there, or from the beginning. */
static void register_itself(struct cp_ask *a, const struct cp_ask *before)
{
    cp_ask_stop(a);
    if (!a->user_limit) /* else its first answer is still awaited */
        cp_ask_limit(a);
    if (before->heard) {
        a->way = before->way;
        a->heard = true;
        cp_ask_restart(&a->x);
    } else {
        cp_ask_begin(a);
    }
}

/* The farewell goes first: a server that knows observers by what they asked for
 * would take it for the new one's. */
void cp_observe_share_hand_over(struct cp_ask *a)
{
    struct cp_engine *e = a->x.engine;
    struct cp_list *first = cp_list_first(&a->share.followers);
    struct cp_ask *heir;

    if (first == NULL || e->closing || e->ending)
        return;
    heir = ask_at(first);
    follow_no_more(heir);
    lead_no_more(a);
    lead(heir, a->share.node.hash);
    list_each (place, after, &a->share.followers)
        ask_at(place)->share.leader = heir;
    cp_list_join(&heir->share.followers, &a->share.followers);
    register_itself(heir, a);
}

void cp_observe_share_end(struct cp_ask *a, int status, const char *sentence)
{
    struct cp_list *first;

    follow_no_more(a);
    lead_no_more(a);
    stop_followers(a);
    while ((first = cp_list_first(&a->share.followers)) != NULL)
        cp_ask_finish(&ask_at(first)->x, status, sentence);
}

void cp_observe_share_part(struct cp_ask *a)
{
    struct cp_list *first;

    follow_no_more(a);
    lead_no_more(a);
    stop_followers(a);
    while ((first = cp_list_first(&a->share.followers)) != NULL) {
        follow_no_more(ask_at(first));
        register_itself(ask_at(first), a);
    }
}
