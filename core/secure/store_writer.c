#include "secure/store_writer.h"
#include "engine/core.h"
#include "secure/store_file.h"

#include <pthread.h>
#include <signal.h>

struct cp_store_writer {
    struct cp_outside outside; /* tells the engine's thread */
    struct cp_mem *mem;
    struct cp_engine *engine;
    int fd;
    void (*over)(struct cp_store_op *op);
    pthread_t thread;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct cp_list todo, done; /* struct cp_store_op */
    bool is_at_work, is_to_end;
};

void cp_store_writer_do(int fd, struct cp_store_op *op)
{
    op->error = op->what == CP_STORE_PUT
                    ? cp_store_file_put(fd, op->path,
                                        cp_bytes(op->value, op->value_len),
                                        &op->failed_at)
                    : cp_store_file_remove(fd, op->path, &op->failed_at);
}

static void *write_all(void *user)
{
    struct cp_store_writer *w = user;
    struct cp_driver *driver = w->engine->driver;
    struct cp_list *first;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        first = cp_list_first(&w->todo);
        if (first == NULL && w->is_to_end)
            break;
        if (first == NULL) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        cp_list_remove(first);
        w->is_at_work = true;
        pthread_mutex_unlock(&w->lock);
        cp_store_writer_do(w->fd,
                           cp_container_of(first, struct cp_store_op, node));
        pthread_mutex_lock(&w->lock);
        w->is_at_work = false;
        cp_list_append(&w->done, first);
        atomic_store(&w->outside.has_news, true);
        /* Under the lock: the owner cannot go away meanwhile. */
        driver->ops->wake(driver);
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void collect(struct cp_outside *outside)
{
    struct cp_store_writer *w =
        cp_container_of(outside, struct cp_store_writer, outside);
    struct cp_list now;

    cp_list_init(&now);
    pthread_mutex_lock(&w->lock);
    atomic_store(&outside->has_news, false);
    cp_list_join(&now, &w->done);
    pthread_mutex_unlock(&w->lock);
    for (struct cp_list *n; (n = cp_list_first(&now)) != NULL;) {
        cp_list_remove(n);
        w->over(cp_container_of(n, struct cp_store_op, node));
    }
}

/* Signals are for the program's own threads. */
static int start(struct cp_store_writer *w)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&w->thread, NULL, write_all, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct cp_store_writer *cp_store_writer_new(
    struct cp_mem *mem, struct cp_engine *e, int fd,
    void (*over)(struct cp_store_op *op))
{
    struct cp_store_writer *w = cp_zalloc(mem, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->mem = mem;
    w->engine = e;
    w->fd = fd;
    w->over = over;
    w->outside.collect = collect;
    cp_list_init(&w->todo);
    cp_list_init(&w->done);
    if (pthread_mutex_init(&w->lock, NULL) != 0)
        goto fail;
    if (pthread_cond_init(&w->changed, NULL) != 0)
        goto fail_cond;
    if (start(w) != 0)
        goto fail_thread;
    e->outside = &w->outside;
    return w;
fail_thread:
    pthread_cond_destroy(&w->changed);
fail_cond:
    pthread_mutex_destroy(&w->lock);
fail:
    cp_free(mem, w);
    return NULL;
}

void cp_store_writer_take(struct cp_store_writer *w, struct cp_store_op *op)
{
    pthread_mutex_lock(&w->lock);
    cp_list_append(&w->todo, &op->node);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void cp_store_writer_drain(struct cp_store_writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (!cp_list_empty(&w->todo) || w->is_at_work)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    collect(&w->outside);
}

void cp_store_writer_free(struct cp_store_writer *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_to_end = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    w->engine->outside = NULL;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    cp_free(w->mem, w);
}
