#include "engine/observe_core.h"
#include "base/buf.h"
#include "engine/core.h"
#include "wire/message_text.h"

/* Handler, cache key and identity as 64 bits of SipHash under this map's random
 * key, which are taken for the thing itself: nobody can aim at a collision, and
 * by chance a billion interests meet one with a probability below 4 percent. */
static uint64_t interest_key(struct cp_engine *e, struct cp_handler *h,
                             const copal_msg *request, bool *failed)
{
    struct cp_buf key = cp_buf_new(e->mem);
    uint64_t hash;

    cp_put_bytes(&key, cp_bytes(&h, sizeof(h)));
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

uint64_t cp_interest_topic(struct cp_engine *e, struct cp_handler *h,
                           const char *path)
{
    uint64_t part[2] = {(uint64_t)(uintptr_t)h,
                        cp_map_hash(&e->observing.topics, path, strlen(path))};

    return cp_map_hash(&e->observing.topics, part, sizeof(part));
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
        m->frozen = true;
    }
    return m;
}

struct cp_interest *cp_interest_get(struct cp_engine *e, struct cp_handler *h,
                                    copal_msg *request)
{
    bool failed;
    uint64_t key = interest_key(e, h, request, &failed);
    struct cp_map_node *n = cp_map_first(&e->observing.interests, key);
    struct cp_interest *i;

    if (failed)
        return NULL;
    if (n != NULL)
        return cp_container_of(n, struct cp_interest, node);
    i = cp_zalloc(e->mem, sizeof(*i));
    if (i == NULL)
        return NULL;
    i->request = shared_request(h, request);
    if (i->request == NULL) {
        cp_free(e->mem, i);
        return NULL;
    }
    i->engine = e;
    i->handler = cp_handler_ref(h);
    cp_list_init(&i->observers);
    cp_map_put(&e->observing.interests, &i->node, key);
    cp_map_put(&e->observing.topics, &i->of_topic,
               cp_interest_topic(e, h, copal_msg_path(request)));
    return i;
}

static void interest_free(struct cp_interest *i)
{
    struct cp_engine *e = i->engine;
    struct cp_handler *h = i->handler;

    cp_map_remove(&e->observing.interests, &i->node);
    cp_map_remove(&e->observing.topics, &i->of_topic);
    copal_msg_unref(i->request);
    cp_free(e->mem, i);
    cp_handler_unref(h);
}

void cp_interest_free_idle(struct cp_interest *i)
{
    if (cp_list_empty(&i->observers) && !i->asking)
        interest_free(i);
}
