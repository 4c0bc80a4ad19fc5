#include "net/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>
#include "base/list.h"
#include "base/mem.h"
#include "net/sockaddr.h"

enum {
    MAX_NAMES = 64,
    KEPT_MS = 60000,
    WHY = 384
};

/* One call of getaddrinfo(). Shared with its thread; whoever is last frees
 * it: the thread only if it finds itself abandoned. */
struct lookup {
    struct cp_dead dead;
    struct cp_mem *mem;
    pthread_mutex_t lock;
    struct cp_resolver *owner; /* NULL: abandoned */
    bool is_over;
    int error;  /* EAI_* */
    int system; /* errno, of EAI_SYSTEM */
    struct cp_found found;
    char host[];
};

struct name {
    struct cp_list node;    /* most recently used first */
    struct cp_list waiting; /* struct cp_route */
    struct lookup *lookup;  /* on its way, or NULL */
    uint64_t until;         /* found is good */
    struct cp_found found;
    char text[];
};

struct cp_resolver {
    struct cp_driver *driver;
    struct cp_list names;
    size_t count;
    atomic_bool has_news;
};

/* ---- The look-up itself, in any thread ---- */

static int look_up(const char *host, struct cp_found *out, int *system)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *all = NULL;
    int error = getaddrinfo(host, NULL, &hints, &all);

    out->count = 0;
    *system = errno;
    if (error != 0)
        return error;
    for (struct addrinfo *a = all; a != NULL; a = a->ai_next) {
        union cp_sockaddr name;

        if (out->count == CP_MAX_WAYS || a->ai_addrlen > sizeof(name))
            continue;
        memcpy(&name, a->ai_addr, a->ai_addrlen);
        if (cp_sockaddr_read(&name, &out->list[out->count]))
            out->count++;
    }
    freeaddrinfo(all);
    return out->count == 0 ? EAI_NONAME : 0;
}

static int explain(struct cp_mem *mem, const char *host, int error, int system)
{
    switch (error) {
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
    case EAI_NONAME:
        return cp_why(mem, COPAL_ERESOLVE,
                      "%s: name not known; check the spelling or the "
                      "network's DNS",
                      host);
    case EAI_AGAIN:
        return cp_why(mem, COPAL_ERESOLVE,
                      "%s: name not found, its name server does not answer; "
                      "check the network's DNS",
                      host);
    case EAI_MEMORY:
    case EAI_SYSTEM:
        return cp_why(mem, COPAL_ERESOLVE, "%s: could not be looked up: %s",
                      host,
                      error == EAI_MEMORY ? "out of memory" : strerror(system));
    default:
        return cp_why(mem, COPAL_ERESOLVE,
                      "%s: name not found (%s); check the network's DNS", host,
                      gai_strerror(error));
    }
}

/* RFC 6761 6.3: "localhost" and names that end in it are this host, whatever
 * a name server or a file would say, and without asking either. */
static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), own = sizeof(name) - 1;

    return len >= own && strcasecmp(host + len - own, name) == 0 &&
           (len == own || host[len - own - 1] == '.');
}

static void give_localhost(struct cp_found *out)
{
    out->count = 2;
    (void)cp_address_read("::1", &out->list[0]);
    (void)cp_address_read("127.0.0.1", &out->list[1]);
}

int cp_resolve_now(struct cp_mem *mem, const char *host, struct cp_found *out)
{
    int error = 0, system = 0;

    if (is_localhost(host))
        give_localhost(out);
    else
        error = look_up(host, out, &system);

    return error == 0 ? 0 : explain(mem, host, error, system);
}

/* ---- The thread ---- */

static void free_lookup(struct lookup *l)
{
    pthread_mutex_destroy(&l->lock);
    cp_free(l->mem, l);
}

static void reap_lookup(struct cp_dead *dead)
{
    free_lookup(cp_container_of(dead, struct lookup, dead));
}

static void *look_up_in_thread(void *user)
{
    struct lookup *l = user;
    int system, error = look_up(l->host, &l->found, &system);
    bool is_abandoned;

    pthread_mutex_lock(&l->lock);
    is_abandoned = l->owner == NULL;
    if (!is_abandoned) {
        struct cp_driver *driver = l->owner->driver;

        l->error = error;
        l->system = system;
        l->is_over = true;
        atomic_store(&l->owner->has_news, true);
        /* Under the lock: the owner cannot go away meanwhile. */
        driver->ops->wake(driver);
    }
    pthread_mutex_unlock(&l->lock);
    if (is_abandoned)
        cp_mem_retire(l->mem, &l->dead);
    return NULL;
}

/* Signals are for the program's own threads. */
static int start_thread(struct lookup *l)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;
    int error = pthread_attr_init(&attr);

    if (error != 0)
        return error;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attr, look_up_in_thread, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return error;
}

static int start_lookup(struct cp_resolver *res, struct name *name)
{
    struct cp_mem *mem = res->driver->mem;
    size_t size = strlen(name->text) + 1;
    struct lookup *l = cp_zalloc(mem, sizeof(*l) + size);

    if (l == NULL)
        return COPAL_ENOMEM;
    l->dead.reap = reap_lookup;
    l->mem = mem;
    l->owner = res;
    memcpy(l->host, name->text, size);
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        cp_free(mem, l);
        return COPAL_ENOMEM;
    }
    if (start_thread(l) != 0) {
        free_lookup(l);
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: the system gives no thread to look it up; try "
                      "again, or raise the limit (ulimit -u)",
                      name->text);
    }
    name->lookup = l;
    return 0;
}

static void abandon(struct lookup *l)
{
    bool is_over;

    pthread_mutex_lock(&l->lock);
    is_over = l->is_over;
    l->owner = NULL;
    pthread_mutex_unlock(&l->lock);
    if (is_over)
        free_lookup(l);
}

/* ---- The names known and asked for ---- */

struct cp_resolver *cp_resolver_new(struct cp_driver *driver)
{
    struct cp_resolver *res = cp_zalloc(driver->mem, sizeof(*res));

    if (res == NULL)
        return NULL;
    res->driver = driver;
    cp_list_init(&res->names);
    return res;
}

/* Nobody waits for it, or the engine is gone, and the routes with it. */
static void free_name(struct cp_resolver *res, struct name *name)
{
    if (name->lookup != NULL)
        abandon(name->lookup);
    cp_list_remove(&name->node);
    cp_free(res->driver->mem, name);
    res->count--;
}

void cp_resolver_free(struct cp_resolver *res)
{
    if (res == NULL)
        return;
    list_each (node, after, &res->names) {
        free_name(res, cp_container_of(node, struct name, node));
    }
    cp_free(res->driver->mem, res);
}

/* A walk over at most 64. */
static struct name *find_name(struct cp_resolver *res, const char *text)
{
    list_each (node, after, &res->names) {
        struct name *name = cp_container_of(node, struct name, node);

        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

/* Forgets the name longest unused. False: all are being looked up. */
static bool make_room(struct cp_resolver *res)
{
    struct cp_list *node = res->names.prev;

    for (; node != &res->names; node = node->prev) {
        struct name *name = cp_container_of(node, struct name, node);

        if (name->lookup == NULL) {
            free_name(res, name);
            return true;
        }
    }
    return false;
}

static int add_name(struct cp_resolver *res, const char *text,
                    struct name **out)
{
    struct cp_mem *mem = res->driver->mem;
    size_t size = strlen(text) + 1;
    struct name *name;

    if (res->count >= MAX_NAMES && !make_room(res))
        return cp_why(mem, COPAL_ELIMIT,
                      "%s: %d other names are being looked up; try again", text,
                      MAX_NAMES);
    name = cp_zalloc(mem, sizeof(*name) + size);
    if (name == NULL)
        return COPAL_ENOMEM;
    cp_list_init(&name->node);
    cp_list_init(&name->waiting);
    memcpy(name->text, text, size);
    cp_list_append(&res->names, &name->node);
    res->count++;
    *out = name;
    return 0;
}

int cp_resolver_ask(struct cp_resolver *res, struct cp_route *r, uint64_t now,
                    struct cp_found *out)
{
    struct name *name;
    int err;

    if (is_localhost(r->host)) {
        give_localhost(out);
        return 0;
    }
    name = find_name(res, r->host);
    err = name == NULL ? add_name(res, r->host, &name) : 0;
    if (err != 0)
        return err;
    cp_list_remove(&name->node);
    cp_list_insert_before(res->names.next, &name->node);
    if (name->lookup == NULL && now < name->until) {
        *out = name->found;
        return 0;
    }
    if (name->lookup == NULL)
        err = start_lookup(res, name);
    if (err != 0) {
        free_name(res, name);
        return err;
    }
    cp_list_append(&name->waiting, &r->node);
    r->work = name;
    return 1;
}

void cp_resolver_forget(struct cp_route *r)
{
    if (r->work == NULL)
        return;
    cp_list_remove(&r->node);
    r->work = NULL;
}

/* ---- Delivery ---- */

static bool is_over(struct lookup *l)
{
    bool over;

    pthread_mutex_lock(&l->lock);
    over = l->is_over;
    pthread_mutex_unlock(&l->lock);
    return over;
}

/* The first look-up that is over, taken from its name. */
static struct name *next_news(struct cp_resolver *res)
{
    list_each (node, after, &res->names) {
        struct name *name = cp_container_of(node, struct name, node);

        if (name->lookup != NULL && is_over(name->lookup))
            return name;
    }
    return NULL;
}

/* What waits moves to a list of its own: told() may ask anew, for the same
 * name too, and name may be forgotten then. */
static void take_waiting(struct name *name, struct cp_list *waiting)
{
    struct cp_list *node;

    cp_list_init(waiting);
    while ((node = cp_list_first(&name->waiting)) != NULL) {
        cp_list_remove(node);
        cp_list_append(waiting, node);
    }
}

void cp_resolver_deliver(struct cp_resolver *res, uint64_t now,
                         void (*told)(void *user, struct cp_route *r,
                                      const struct cp_found *found, int status,
                                      const char *why),
                         void *user)
{
    struct name *name;

    /* Nearly always there are none, and to look costs less than to write. */
    if (!atomic_load(&res->has_news) || !atomic_exchange(&res->has_news, false))
        return;
    while ((name = next_news(res)) != NULL) {
        struct cp_mem *mem = res->driver->mem;
        struct cp_list waiting, *node;
        struct lookup *l = name->lookup;
        struct cp_found found = l->found;
        char why[WHY] = "";
        int status = 0;

        if (l->error != 0) {
            status = explain(mem, name->text, l->error, l->system);
            strncpy(why, cp_why_text(mem), sizeof(why) - 1);
        }
        name->lookup = NULL;
        name->found = found;
        name->until = status == 0 ? now + KEPT_MS : 0;
        take_waiting(name, &waiting);
        free_lookup(l);

        while ((node = cp_list_first(&waiting)) != NULL) {
            struct cp_route *r = cp_container_of(node, struct cp_route, node);

            cp_resolver_forget(r);
            told(user, r, &found, status, why);
        }
    }
}
