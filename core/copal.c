/* The endpoint's life, and where its parts meet: the stages in their order,
 * the site on top. */
#include "endpoint.h"
#include "engine/answer_core.h"
#include "engine/ask.h"
#include "engine/core.h"
#include "engine/record.h"
#include "net/loop.h"
#include "secure/credentials.h"
#include "secure/edhoc_hub.h"
#include "secure/oscore.h"
#include "secure/security.h"
#include "wire/params.h"
#include "wire/uri.h"

/* The life of a message at a glance. */
static const struct cp_stage *const stages[] = {
    &cp_fresh,   /* nearest the wire: what an Echo asks for is nobody else's */
    &cp_observe, /* before block: a stale notification starts no transfer */
    &cp_block,   /* above it, bodies are whole                            */
    &cp_qblock,  /* the same, by RFC 9177: the first to send              */
    &cp_cache,   /* nearest the application: what it keeps is whole, too  */
};

void cp_endpoint_enter(copal *c)
{
    cp_engine_tell_time(c->engine);
}

/* ---- Birth and death ---- */

static void end(void *endpoint)
{
    copal *c = endpoint;
    struct cp_mem *mem = c->mem;
    struct cp_driver *driver = c->driver;
    struct cp_site *site = c->site;

    cp_timer_stop(&c->engine->timers, &c->close_timer);
    cp_engine_end(c->engine); /* callbacks may still look at the endpoint */
    cp_edhoc_hub_free(c->edhoc);
    cp_oscore_free(c->oscore); /* before the store goes */
    cp_credentials_end(c->credentials);
    cp_endpoint_end_capture(c);
    cp_endpoint_end_profiles(c);
    cp_buf_free(&c->metrics);
    cp_free(mem, c->log_kinds);
    cp_site_free(site);
    cp_engine_free(c->engine);
    driver->engine = NULL;
    cp_credentials_unref(c->credentials);
    driver->ops->close(driver);
    cp_free(mem, c);
    cp_mem_release(mem);
}

int cp_endpoint_new(struct cp_mem *mem, struct cp_driver *driver, uint64_t seed,
                    copal **out)
{
    copal *c = cp_zalloc(mem, sizeof(*c));
    struct cp_stages all = {stages, sizeof(stages) / sizeof(stages[0])};

    if (c == NULL)
        return COPAL_ENOMEM;
    c->mem = mem;
    c->driver = driver;
    c->engine = cp_engine_new(driver, seed, all, (copal_cb){0}, c);
    if (c->engine == NULL)
        goto fail;
    c->site = cp_site_new(mem, c->engine, c);
    if (c->site == NULL)
        goto fail_site;
    c->credentials = cp_credentials_new(mem, c->engine);
    if (c->credentials == NULL)
        goto fail_credentials;
    c->engine->on_request = COPAL_CB(cp_site_on_request, c->site);
    c->engine->flags_of = cp_site_flags;
    driver->engine = c->engine;
    driver->security = cp_security();
    driver->credentials = c->credentials;
    driver->owner = c;
    driver->condemned = end;
    c->metrics = cp_buf_new(mem);
    cp_list_init(&c->profiles);
    c->born = copal_now(c);
    *out = c;
    return 0;
fail_credentials:
    cp_site_free(c->site);
fail_site:
    cp_engine_free(c->engine);
fail:
    cp_free(mem, c);
    return COPAL_ENOMEM;
}

copal *copal_new(const copal_config *config)
{
    copal_config known = {COPAL_CONFIG_INIT};
    struct cp_driver *driver = NULL;
    struct cp_mem *mem;
    copal *c = NULL;

    if (config != NULL)
        memcpy(&known, config,
               config->size < sizeof(known) ? config->size : sizeof(known));
    mem = cp_mem_new(known.realloc_fn, known.memory_user);
    if (mem == NULL)
        return NULL;
    driver = cp_loop_new(mem, known.loop);
    if (driver != NULL && cp_endpoint_new(mem, driver, 0, &c) == 0)
        return c;
    if (driver != NULL)
        driver->ops->close(driver);
    cp_mem_release(mem);
    return NULL;
}

void copal_free(copal *c)
{
    if (c == NULL)
        return;
    if (c->engine->in_turn)
        c->engine->condemned = true; /* when the callback has returned */
    else if (c->calls > 0)
        c->is_over = true;
    else
        end(c);
}

void cp_endpoint_call(copal *c)
{
    c->calls++;
}

void cp_endpoint_return(copal *c, unsigned was)
{
    cp_record_return(c->engine, was);
    if (--c->calls == 0 && c->is_over)
        end(c);
}

static void on_close_timer(struct cp_timer *t)
{
    copal *c = cp_container_of(t, copal, close_timer);

    c->driver->ops->stop(c->driver);
}

/* Also one that has not begun yet, for its name is being looked up, and a
 * watch that waits to try again; but no farewell. */
static bool observes(const copal_exchange *x)
{
    const copal_msg *m = x->request;

    return x->is_ask && !x->over &&
           cp_ask_of((copal_exchange *)x)->member_of == NULL &&
           ((m->flags & COPAL_WATCH) != 0 ||
            cp_msg_uint_or(m, COPAL_OPT_OBSERVE, 1) == 0);
}

int copal_close(copal *c, uint64_t ms)
{
    struct cp_engine *e = c->engine;
    unsigned was = cp_record_call(e, CP_RECORD_CLOSE, ms, 0), inner;

    cp_endpoint_enter(c);
    e->closing = true;
    inner = cp_record_inner(e);
    list_each (node, after, &e->exchanges) {
        copal_exchange *x = cp_container_of(node, copal_exchange, node);

        if (observes(x))
            copal_cancel(x);
    }
    cp_observe_end(e, NULL, COPAL_UNAVAILABLE);
    cp_connections_release(e);
    cp_record_return(e, inner);
    cp_timer_start(&e->timers, &c->close_timer, e->now + ms, on_close_timer);
    cp_engine_wake(e);
    cp_record_return(e, was);
    return 0;
}

/* ---- The loop ---- */

int copal_run(copal *c)
{
    return c->driver->ops->run(c->driver);
}

void copal_stop(copal *c)
{
    c->driver->ops->stop(c->driver);
}

int copal_fd(const copal *c)
{
    return c->driver->ops->fd(c->driver);
}

int copal_timeout(const copal *c)
{
    return c->driver->ops->timeout(c->driver);
}

int copal_step(copal *c)
{
    return c->driver->ops->step(c->driver);
}

uint64_t copal_now(const copal *c)
{
    if (c->engine->whose == CP_WHOSE_INNER) /* what can be run again */
        return c->engine->now;
    return c->driver->ops->now(c->driver);
}

int64_t copal_after(copal *c, uint64_t ms, copal_cb cb)
{
    struct cp_engine *e = c->engine;
    unsigned was = cp_record_call(
        e, CP_RECORD_AFTER, (uint64_t)e->events.last_id + 1,
        (ms & ~CP_RECORD_MUTE) | (cb.fn == NULL ? CP_RECORD_MUTE : 0));
    int64_t id;

    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    id = cp_event_after(e, ms, cb);
    cp_endpoint_return(c, was);
    return id;
}

int copal_cancel_timer(copal *c, int64_t id)
{
    unsigned was =
        cp_record_call(c->engine, CP_RECORD_CANCEL_TIMER, (uint64_t)id, 0);
    int err;

    cp_endpoint_call(c);
    err = cp_event_cancel(c->engine, id);
    cp_endpoint_return(c, was);
    return err;
}

int copal_post(copal *c, copal_cb cb)
{
    return cp_event_from_thread(c->engine, cb);
}

int copal_listen(copal *c, const char *uri, unsigned flags)
{
    struct cp_uri base;
    int err = cp_uri_split_base(c->mem, uri, &base);

    cp_endpoint_enter(c);
    return err != 0 ? err
                    : c->driver->ops->listen(c->driver, &base, uri, flags);
}

const char *copal_local(const copal *c, size_t i)
{
    return c->driver->ops->local(c->driver, i);
}

static int no_sockets(copal *c, const char *what)
{
    return cp_why(c->mem, COPAL_ESTATE, "%s: a simulated host has no sockets",
                  what);
}

int copal_take_over(copal *c, int fd)
{
    cp_endpoint_enter(c);
    return c->driver->ops->take_over == NULL
               ? no_sockets(c, "take over")
               : c->driver->ops->take_over(c->driver, fd);
}

int copal_hand_over(copal *c, size_t i)
{
    cp_endpoint_enter(c);
    return c->driver->ops->hand_over == NULL
               ? no_sockets(c, "hand over")
               : c->driver->ops->hand_over(c->driver, i);
}

int copal_allow_origin(copal *c, const char *origin)
{
    cp_endpoint_enter(c);
    return origin == NULL ? cp_why(c->mem, COPAL_EINVAL, "no origin given")
                          : c->driver->ops->allow(c->driver, origin);
}

int copal_allow_host(copal *c, const char *name)
{
    cp_endpoint_enter(c);
    return name == NULL ? cp_why(c->mem, COPAL_EINVAL, "no host given")
                        : c->driver->ops->allow_host(c->driver, name);
}

static int join(copal *c, const char *group_uri, const char *if_name,
                bool leave)
{
    struct cp_uri group;
    int err = cp_uri_split_base(c->mem, group_uri, &group);

    cp_endpoint_enter(c);
    return err != 0 ? err
                    : c->driver->ops->join(c->driver, &group, if_name, leave);
}

int copal_join(copal *c, const char *group_uri, const char *if_name)
{
    return join(c, group_uri, if_name, false);
}

int copal_leave(copal *c, const char *group_uri, const char *if_name)
{
    return join(c, group_uri, if_name, true);
}

const char *copal_interface(copal *c, size_t i, unsigned *index)
{
    return c->driver->ops->interface(c->driver, i, index);
}

/* ---- Parameters ---- */

int copal_tune(copal *c, const char *scope, copal_param p, int64_t value)
{
    int err = cp_params_check(c->mem, p, value, scope == NULL ? 'E' : 'S');

    if (err != 0)
        return err;
    if (p == COPAL_P_RECORD_MEMORY)
        err = cp_endpoint_record(c, (uint64_t)value);
    else
        cp_record_return(c->engine, cp_record_call_texts(
                                        c->engine, CP_RECORD_TUNE, (uint64_t)p,
                                        (uint64_t)value, 1, &scope));
    if (err != 0)
        return err;
    if (p == COPAL_P_MAX_MEMORY)
        cp_mem_limit(c->mem, (uint64_t)value);
    err = cp_params_set(&c->engine->params, scope, p, value);
    if (p == COPAL_P_CACHE_MEMORY)
        cp_cache_trim(c->engine);
    return err;
}

void cp_endpoint_on_shortage(copal *c, void (*tell)(void *user), void *user)
{
    c->engine->shortage = (struct cp_shortage){.tell = tell, .user = user};
}

const char *copal_why(const copal *c)
{
    return cp_why_text(c->mem);
}

/* ---- Serving ---- */

int copal_serve(copal *c, int method, const char *path, unsigned flags,
                copal_cb cb)
{
    unsigned was = cp_record_call_texts(
        c->engine, CP_RECORD_SERVE, (uint64_t)method,
        flags | (cb.fn != NULL ? CP_RECORD_HEARD : 0), 1, &path);
    int err;

    cp_endpoint_call(c);
    err = cp_site_serve(c->site, method, path, flags, cb);
    cp_endpoint_return(c, was);
    return err;
}

int copal_unserve(copal *c, const char *path)
{
    unsigned was =
        cp_record_call_texts(c->engine, CP_RECORD_UNSERVE, 0, 0, 1, &path);
    int err;

    cp_endpoint_enter(c);
    cp_endpoint_call(c);
    err = cp_site_unserve(c->site, path);
    cp_endpoint_return(c, was);
    return err;
}

int copal_describe(copal *c, const char *path, const char *name,
                   const char *value)
{
    const char *texts[] = {path, name, value};
    unsigned was =
        cp_record_call_texts(c->engine, CP_RECORD_DESCRIBE, 0, 0, 3, texts);
    int err = cp_site_describe(c->site, path, name, value);

    cp_record_return(c->engine, was);
    return err;
}

copal_bytes copal_links(copal *c)
{
    return cp_site_links(c->site);
}

int copal_notify(copal *c, const char *path)
{
    unsigned was =
        cp_record_call_texts(c->engine, CP_RECORD_NOTIFY, 0, 0, 1, &path);
    int told;

    cp_endpoint_enter(c);
    told = cp_site_notify(c->site, path);
    cp_record_return(c->engine, was);
    return told;
}

const char *copal_version(void)
{
    return COPAL_VERSION;
}
