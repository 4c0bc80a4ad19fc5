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

uint64_t cp_bodies_key(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_address *remote,
                       const copal_msg *request)
{
    struct cp_sip s = cp_map_sip(&e->bodies.in);

    cp_sip_add(&s, (uintptr_t)link);
    cp_address_hash(&s, remote);
    if (request->guard != NULL) /* nobody else goes on with it */
        cp_sip_add(&s, (uintptr_t)request->guard->whose);
    /* Block 0 alone has If-None-Match. RFC 7959 2.10 */
    cp_msg_hash_cache_key(request, COPAL_OPT_IF_NONE_MATCH, &s);
    return cp_sip_end(s);
}
