#include "engine/block_kept.h"
#include "engine/block_partial.h"
#include "engine/transfer.h"

void cp_bodies_init(struct cp_engine *e)
{
    cp_map_init(&e->bodies.in, e->mem, &e->random);
    cp_map_init(&e->bodies.by_peer, e->mem, &e->random);
    cp_map_init(&e->bodies.out, e->mem, &e->random);
    cp_list_init(&e->bodies.doubted_in);
    cp_list_init(&e->bodies.trusted_in);
    cp_list_init(&e->bodies.oldest_out);
    cp_map_init(&e->operations.active, e->mem, &e->random);
}

void cp_bodies_clear(struct cp_engine *e)
{
    cp_block_partial_clear(e);
    cp_block_kept_clear(e);
    cp_map_clear(&e->bodies.in);
    cp_map_clear(&e->bodies.by_peer);
    cp_map_clear(&e->bodies.out);
    cp_map_clear(&e->operations.active);
}

bool cp_bodies_take(struct cp_engine *e, uint64_t n)
{
    cp_block_kept_make_room(e, n);
    cp_block_partial_make_room(e, n);
    if (e->bodies.used + n > (uint64_t)e->params.value[COPAL_P_BODY_MEMORY]) {
        cp_engine_limited(e, "body_memory");
        return false;
    }
    e->bodies.used += n;
    return true;
}

void cp_bodies_give_back(struct cp_engine *e, uint64_t n)
{
    e->bodies.used -= n;
}

static void put_key(struct cp_buf *key, const struct cp_link *link,
                    const struct cp_address *remote, const copal_msg *request)
{
    cp_put_bytes(key, cp_bytes(&link, sizeof(link)));
    cp_put_bytes(key, cp_bytes(remote, sizeof(*remote)));
    if (request->guard != NULL) /* nobody else goes on with it */
        cp_put_bytes(key, cp_bytes(&request->guard->whose,
                                   sizeof(request->guard->whose)));
    if (cp_msg_has(request,
                   COPAL_OPT_IF_NONE_MATCH)) { /* block 0 alone has it */
        copal_msg *m = cp_msg_derive(request);

        if (m != NULL) {
            cp_msg_remove(m, COPAL_OPT_IF_NONE_MATCH);
            cp_msg_put_cache_key(m, key);
        }
        key->failed = key->failed || m == NULL;
        copal_msg_unref(m);
    } else {
        cp_msg_put_cache_key(request, key);
    }
}

uint64_t cp_bodies_key(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_address *remote,
                       const copal_msg *request)
{
    uint8_t storage[512];
    struct cp_buf key = cp_buf_fixed(storage, sizeof(storage));
    uint64_t hash;

    put_key(&key, link, remote, request);
    if (key.failed) { /* long URIs need more room */
        key = cp_buf_new(e->mem);
        put_key(&key, link, remote, request);
    }
    hash = key.failed ? cp_random_u64(&e->random) /* no memory: like no other */
                      : cp_map_hash(&e->bodies.in, key.data, key.len);
    if (key.data != storage)
        cp_buf_free(&key);
    return hash;
}
