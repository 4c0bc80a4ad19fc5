#include "engine/observe_core.h"
#include "base/buf.h"
#include "engine/core.h"
#include "engine/transfer.h"
#include "wire/message_text.h"

enum {
    SMALL = 256 /* bytes of a request that are not charged */
};

/* Handler, cache key and identity as 64 bits of SipHash under this map's random
 * key, which are taken for the thing itself: nobody can aim at a collision, and
 * by chance a billion interests meet one with a probability below 4 percent. */
static uint64_t interest_key(struct cp_engine *e, struct cp_handler *h,
                             const copal_msg *request, bool *failed)
{
    struct cp_buf key = cp_buf_new(e->mem);
    uint64_t hash;

    cp_put_bytes(&key, cp_bytes(&h->number, sizeof(h->number)));
    cp_msg_put_cache_key(request, &key);
    if (request->code == COPAL_FETCH)
        cp_put_bytes(&key, request->payload);
    if (request->identity != NULL)
        cp_put_text(&key, request->identity);
    if ((h->flags & COPAL_PER_PEER) != 0) {
        cp_put_bytes(&key, cp_bytes(&request->path.remote,
                                    sizeof(request->path.remote)));
        cp_put_bytes(&key, request->token);
    }
    *failed = key.failed;
    hash = cp_map_hash(&e->observing.interests, key.data,
                       key.failed ? 0 : key.len);
    cp_buf_free(&key);
    return hash;
}

static uint64_t topic_hash(struct cp_engine *e, const struct cp_handler *h,
                           const char *path)
{
    uint64_t part[2] = {h->number,
                        cp_map_hash(&e->observing.topics, path, strlen(path))};

    return cp_map_hash(&e->observing.topics, part, sizeof(part));
}

struct cp_topic *cp_interest_topic(struct cp_engine *e, struct cp_handler *h,
                                   const char *path)
{
    struct cp_map_node *n =
        cp_map_first(&e->observing.topics, topic_hash(e, h, path));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_topic *t = cp_container_of(n, struct cp_topic, node);

        if (t->handler == h && strcmp(t->path, path) == 0)
            return t;
    }
    return NULL;
}

static struct cp_topic *topic_get(struct cp_engine *e, struct cp_handler *h,
                                  const char *path)
{
    struct cp_topic *t = cp_interest_topic(e, h, path);
    size_t len = strlen(path);

    if (t != NULL)
        return t;
    t = cp_zalloc(e->mem, sizeof(*t) + len + 1);
    if (t == NULL)
        return NULL;
    t->handler = h;
    memcpy(t->path, path, len + 1);
    cp_list_init(&t->interests);
    cp_list_init(&t->stale);
    cp_list_init(&t->work);
    cp_map_put(&e->observing.topics, &t->node, topic_hash(e, h, path));
    return t;
}

/* An interest of it is gone. It may have been the last to be asked for. */
static void topic_loses(struct cp_engine *e, struct cp_topic *t)
{
    if (t == NULL || !cp_list_empty(&t->stale))
        return;
    cp_list_remove(&t->work);
    if (!cp_list_empty(&t->interests))
        return;
    cp_map_remove(&e->observing.topics, &t->node);
    cp_free(e->mem, t);
}

static uint64_t charge_of(const copal_msg *m)
{
    uint64_t size = m->data_cap + m->payload.len;

    return size > SMALL ? size - SMALL : 0;
}

bool cp_interest_charge(struct cp_engine *e, const copal_msg *m)
{
    return cp_bodies_take(e, charge_of(m));
}

void cp_interest_discharge(struct cp_engine *e, const copal_msg *m)
{
    cp_bodies_give_back(e, charge_of(m));
}

/* What the handler is asked when it is for many: nobody's address, ETags or
 * wish for a size of blocks. */
static copal_msg *shared_request(struct cp_handler *h, copal_msg *request)
{
    copal_msg *m = cp_msg_derive(request);

    if (m != NULL && (h->flags & COPAL_PER_PEER) == 0)
        m->path.remote = (struct cp_address){0};
    if (m != NULL) {
        cp_msg_remove(m, COPAL_OPT_ETAG);
        cp_msg_remove(m, COPAL_OPT_BLOCK2);
        if (m->code != COPAL_FETCH) /* elsewhere a body means nothing */
            cp_msg_borrow_payload(m, NULL, (copal_bytes){0});
        m->frozen = true;
    }
    return m;
}

static void interest_free(struct cp_interest *i)
{
    struct cp_engine *e = i->engine;
    struct cp_handler *h = i->handler;

    cp_map_remove(&e->observing.interests, &i->node);
    cp_list_remove(&i->place);
    cp_list_remove(&i->work);
    topic_loses(e, i->topic);
    copal_msg_unref(i->request);
    cp_free(e->mem, i);
    cp_handler_unref(h);
}

static struct cp_interest *interest_new(struct cp_engine *e,
                                        struct cp_handler *h,
                                        copal_msg *request, uint64_t key)
{
    struct cp_interest *i = cp_zalloc(e->mem, sizeof(*i));

    if (i == NULL)
        return NULL;
    i->engine = e;
    i->handler = cp_handler_ref(h);
    cp_list_init(&i->place);
    cp_list_init(&i->work);
    i->request = shared_request(h, request);
    i->topic = topic_get(e, h, copal_msg_path(request));
    if (i->request == NULL || i->topic == NULL ||
        !cp_interest_charge(e, i->request)) {
        interest_free(i);
        return NULL;
    }
    cp_list_append(&i->topic->interests, &i->place);
    cp_map_put(&e->observing.interests, &i->node, key);
    return i;
}

struct cp_interest *cp_interest_get(struct cp_engine *e, struct cp_handler *h,
                                    copal_msg *request)
{
    bool failed;
    uint64_t key = interest_key(e, h, request, &failed);
    struct cp_map_node *n = cp_map_first(&e->observing.interests, key);

    if (failed)
        return NULL;
    return n != NULL ? cp_container_of(n, struct cp_interest, node)
                     : interest_new(e, h, request, key);
}

void cp_interest_free_idle(struct cp_interest *i)
{
    if (i->observers.first != 0 || i->asking || i->telling != NULL)
        return;
    cp_interest_discharge(i->engine, i->request);
    interest_free(i);
}

/* ---- Its observers ---- */

static const struct cp_row_form OBSERVERS = {
    sizeof(struct cp_observer), offsetof(struct cp_observer, place)};

void cp_interest_add(struct cp_interest *i, struct cp_observer *o, uint32_t n)
{
    cp_row_append(&i->engine->observing.cells, OBSERVERS, &i->observers, n,
                  &o->place);
    if (i->told == 0)
        i->told = n;
    i->topic->observers++;
}

uint32_t cp_interest_remove(struct cp_interest *i, struct cp_observer *o)
{
    const struct cp_cells *cells = &i->engine->observing.cells;
    uint32_t n = o->place.prev == 0
                     ? i->observers.first
                     : cp_row_node(cells, OBSERVERS, o->place.prev)->next;

    if (i->told == n)
        i->told = o->place.next;
    cp_row_remove(cells, OBSERVERS, &i->observers, &o->place);
    i->topic->observers--;
    return n;
}

/* Who has not heard of the state before stands first already. */
void cp_interest_untold(struct cp_interest *i)
{
    i->told = 0;
}

struct cp_observer *cp_interest_next(struct cp_interest *i)
{
    struct cp_cells *cells = &i->engine->observing.cells;
    uint32_t n = i->observers.first;
    struct cp_observer *o =
        cp_cells_place(cells, sizeof(struct cp_observer), n);

    cp_row_remove(cells, OBSERVERS, &i->observers, &o->place);
    cp_row_append(cells, OBSERVERS, &i->observers, n, &o->place);
    if (i->told == 0)
        i->told = n;
    return o;
}
