#include "engine/link.h"
#include "engine/engine.h"

int cp_link_send(struct cp_link *from, const struct cp_path *path,
                 copal_bytes data)
{
    return from->ops->send(from, path, data);
}

void cp_link_recv(struct cp_link *from, const struct cp_path *path,
                  copal_bytes data)
{
    if (from->above != NULL)
        from->above->ops->recv(from->above, path, data);
    else
        cp_engine_datagram(from->engine, from, path, data);
}
