/* The public simulator: net/sim.c with endpoints on its hosts. */
#include <copal_sim.h>
#include "endpoint.h"
#include "base/mem.h"
#include "net/sim.h"

copal_sim *copal_sim_new(uint64_t seed)
{
    return cp_sim_new(seed);
}

void copal_sim_free(copal_sim *s)
{
    copal *c, *freed = NULL;

    /* From a callback: copal_sim_run() does it on its way out. */
    if (s == NULL || cp_sim_interrupt(s))
        return;
    while ((c = cp_sim_first_owner(s)) != NULL) {
        if (c == freed) /* this is a callback of its end: it goes on after us */
            return;
        copal_free(c);
        freed = c;
    }
    cp_sim_free(s);
}

static struct cp_mem *memory_of(const copal_config *config)
{
    const size_t needed =
        offsetof(copal_config, memory_user) + sizeof(config->memory_user);

    if (config == NULL || config->size < needed)
        return cp_mem_new(NULL, NULL);
    return cp_mem_new(config->realloc_fn, config->memory_user);
}

copal *copal_sim_endpoint(copal_sim *s, const char *host,
                          const copal_config *config)
{
    struct cp_mem *mem = memory_of(config);
    struct cp_driver *driver;
    uint64_t seed;
    copal *c;

    if (mem == NULL)
        return NULL;
    if (cp_sim_host(s, host, mem, &driver, &seed) != 0)
        goto fail;
    if (cp_endpoint_new(mem, driver, seed, &c) != 0) {
        driver->ops->close(driver);
        goto fail;
    }
    cp_sim_up(driver);
    return c;
fail:
    cp_mem_release(mem);
    return NULL;
}

int copal_sim_set_path(copal_sim *s, const char *from, const char *to,
                       copal_sim_path path)
{
    return cp_sim_set_path(s, from, to, &path);
}

int copal_sim_lose(copal_sim *s, const char *host, unsigned count)
{
    return cp_sim_lose(s, host, count);
}

int copal_sim_move(copal_sim *s, const char *host)
{
    return cp_sim_move(s, host);
}

int copal_sim_refuse(copal_sim *s, const char *host, int refuses)
{
    return cp_sim_refuse(s, host, refuses != 0);
}

int copal_sim_inject(copal_sim *s, const char *from, const char *host,
                     copal_bytes datagram)
{
    return cp_sim_inject(s, from, host, datagram);
}

int copal_sim_run(copal_sim *s, uint64_t ms)
{
    int underway = cp_sim_run(s, ms);

    /* ESTATE is that of a callback's, and s still runs. */
    if (underway == COPAL_ESTATE || !cp_sim_is_interrupted(s))
        return underway;
    copal_sim_free(s);
    return 0;
}

uint64_t copal_sim_now(const copal_sim *s)
{
    return cp_sim_now(s);
}

const char *copal_sim_transcript(const copal_sim *s)
{
    /* The text is brought into shape when somebody looks at it. */
    return cp_sim_transcript((copal_sim *)(uintptr_t)s);
}

int copal_sim_keep(copal_sim *s, size_t bytes)
{
    cp_sim_keep(s, bytes);
    return 0;
}
