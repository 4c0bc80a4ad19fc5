#include "engine/answer_place.h"
#include "engine/answer_core.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/transfer.h"

enum {
    SHARE_OF_ALL = 16,
    LEAST_SHARE = 64 /* or few places would be divided into none */
};

void cp_places_init(struct cp_engine *e)
{
    cp_list_init(&e->places.unproven);
    for (size_t i = 0; i < CP_DEDUP_SHARES; i++)
        cp_list_init(&e->places.shares[i].unproven);
}

/* ---- Who has a place ---- */

static void no_longer_unproven(struct cp_answer *a)
{
    if (cp_list_empty(&a->place))
        return;
    cp_list_remove(&a->place);
    cp_list_remove(&a->of_share);
    a->x.engine->places.unproven_count--;
}

void cp_answer_place_take(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;
    struct cp_places *all = &e->places;
    const struct cp_address *remote = &a->wire->path.remote;

    a->has_place = true;
    a->share = a->seen != NULL ? a->seen->share
                               : (uint16_t)cp_dedup_share(&e->dedup, remote);
    all->shares[a->share].count++;
    if (!cp_fresh_doubts(e, a->link, remote))
        return;
    cp_list_append(&all->unproven, &a->place);
    cp_list_append(&all->shares[a->share].unproven, &a->of_share);
    all->unproven_count++;
}

void cp_answer_place_leave(struct cp_answer *a)
{
    struct cp_places *all = &a->x.engine->places;

    no_longer_unproven(a);
    if (a->has_place)
        all->shares[a->share].count--;
    if (a->gave_way)
        all->leaving--;
    a->has_place = a->gave_way = false;
}

/* ---- Giving way ---- */

static bool may_give_way(struct cp_answer *a)
{
    return !a->x.over &&
           cp_fresh_doubts(a->x.engine, a->link, &a->x.request->path.remote);
}

/* Who asked is told, if it waits, and so is the handler. */
static void give_way(struct cp_answer *a, const char *limit)
{
    struct cp_engine *e = a->x.engine;

    no_longer_unproven(a);
    cp_engine_limited(e, limit);
    cp_exchange_hold(&a->x);
    a->gave_way = true;
    e->places.leaving++;
    cp_answer_say_unavailable(a);
    cp_transfer_give_up(&a->x, COPAL_ELIMIT,
                        "gave way: many ask from addresses that may be forged");
    cp_exchange_let_go(&a->x);
}

bool cp_answer_place_free_one(struct cp_engine *e, const char *limit)
{
    struct cp_list *first;

    while ((first = cp_list_first(&e->places.unproven)) != NULL) {
        struct cp_answer *a = cp_container_of(first, struct cp_answer, place);

        if (may_give_way(a)) {
            give_way(a, limit);
            return true;
        }
        no_longer_unproven(a);
    }
    return false;
}

static bool free_one_of_share(struct cp_engine *e, size_t share)
{
    struct cp_list *first;

    while ((first = cp_list_first(&e->places.shares[share].unproven)) != NULL) {
        struct cp_answer *a =
            cp_container_of(first, struct cp_answer, of_share);

        if (may_give_way(a)) {
            give_way(a, "max_exchanges");
            return true;
        }
        no_longer_unproven(a);
    }
    return false;
}

/* ---- Who wants one ---- */

static size_t taken(const struct cp_engine *e)
{
    return e->exchange_count - e->places.leaving;
}

static int make(struct cp_engine *e, const struct cp_address *remote)
{
    size_t most = (size_t)e->params.value[COPAL_P_MAX_EXCHANGES];
    size_t part = most / SHARE_OF_ALL;
    size_t share;

    if (part < LEAST_SHARE)
        part = LEAST_SHARE;
    if (taken(e) < most / 2)
        return 0;
    share = cp_dedup_share(&e->dedup, remote);
    if (e->places.shares[share].count >= part && !free_one_of_share(e, share))
        return COPAL_TOO_MANY_REQUESTS;
    if (taken(e) >= most && !cp_answer_place_free_one(e, "max_exchanges"))
        return COPAL_UNAVAILABLE;
    return 0;
}

int cp_answer_place_make(struct cp_engine *e, struct cp_link *link,
                         const struct cp_address *remote)
{
    int code = make(e, remote);

    if (code != 0) {
        cp_engine_limited(e, "max_exchanges");
        return code;
    }
    if (e->places.unproven_count >=
            (size_t)e->params.value[COPAL_P_MAX_UNPROVEN] &&
        cp_fresh_doubts(e, link, remote) &&
        !cp_answer_place_free_one(e, "max_unproven")) {
        cp_engine_limited(e, "max_unproven");
        return COPAL_UNAVAILABLE;
    }
    return 0;
}
