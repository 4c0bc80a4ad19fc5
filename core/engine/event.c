#include "engine/event.h"
#include "base/callback.h"
#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/record.h"
#include <stdlib.h>

/* A timer of the user's. It is its own event when it comes due. */
struct timer {
    struct cp_map_node node;
    struct cp_timer timer;
    struct cp_event event;
    struct cp_engine *engine;
    bool is_inner; /* not the user's */
    int64_t id;
    copal_cb cb;
};

/* Something another thread posted; from malloc(), since the endpoint's memory
 * belongs to its own thread. */
struct post {
    struct cp_list node;
    copal_cb cb;
};

int cp_events_init(struct cp_engine *e)
{
    struct cp_events *q = &e->events;

    cp_list_init(&q->queue);
    cp_list_init(&q->posted);
    cp_map_init(&q->timers, e->mem, &e->random);
    return pthread_mutex_init(&q->lock, NULL) == 0 ? 0 : COPAL_ENOMEM;
}

static struct timer *timer_find(struct cp_engine *e, int64_t id)
{
    struct cp_map_node *n;

    n = cp_map_first(&e->events.timers,
                     cp_map_hash(&e->events.timers, &id, sizeof(id)));
    for (; n != NULL; n = cp_map_next(n))
        if (cp_container_of(n, struct timer, node)->id == id)
            return cp_container_of(n, struct timer, node);
    return NULL;
}

/* The callback is let go of last: it may call anything. */
static void timer_free(struct cp_engine *e, struct timer *t)
{
    copal_cb cb = t->cb;

    cp_timer_stop(&e->timers, &t->timer);
    if (!cp_list_empty(&t->event.node))
        cp_list_remove(&t->event.node);
    cp_map_remove(&e->events.timers, &t->node);
    cp_free(e->mem, t);
    cp_cb_drop(cb);
}

static void on_timer(struct cp_timer *timer)
{
    struct timer *t = cp_container_of(timer, struct timer, timer);

    t->event.kind = COPAL_TIMER;
    t->event.is_part = true;
    cp_list_append(&t->engine->events.queue, &t->event.node);
}

int64_t cp_event_after(struct cp_engine *e, uint64_t ms, copal_cb cb)
{
    struct timer *t = e->ending ? NULL : cp_zalloc(e->mem, sizeof(*t));

    if (t == NULL) {
        cp_cb_drop(cb);
        return e->ending ? COPAL_ECLOSED : COPAL_ENOMEM;
    }
    cp_list_init(&t->event.node);
    t->engine = e;
    t->is_inner = e->whose == CP_WHOSE_INNER;
    t->cb = cb;
    t->id = ++e->events.last_id;
    cp_map_put(&e->events.timers, &t->node,
               cp_map_hash(&e->events.timers, &t->id, sizeof(t->id)));
    cp_timer_start(&e->timers, &t->timer,
                   ms > UINT64_MAX - e->now ? UINT64_MAX - 1 : e->now + ms,
                   on_timer);
    cp_engine_wake(e);
    return t->id;
}

int cp_event_cancel(struct cp_engine *e, int64_t id)
{
    struct timer *t = timer_find(e, id);

    if (t == NULL)
        return cp_why(e->mem, COPAL_ENOENT,
                      "timer %lld: came due already, or never was",
                      (long long)id);
    timer_free(e, t);
    return 0;
}

/* ---- The queue ---- */

void cp_event_post_part(struct cp_engine *e, struct cp_event *ev,
                        copal_exchange *x, copal_msg *msg)
{
    ev->is_part = true;
    ev->x = cp_exchange_hold(x);
    x->queued++;
    ev->msg = copal_msg_ref(msg);
    cp_list_append(&e->events.queue, &ev->node);
    cp_engine_wake(e);
}

struct cp_event *cp_event_post(struct cp_engine *e, int kind, copal_exchange *x,
                               copal_msg *msg)
{
    struct cp_event *ev = cp_zalloc(e->mem, sizeof(*ev));

    if (ev == NULL)
        return NULL;
    ev->kind = (uint8_t)kind;
    ev->x = x == NULL ? NULL : cp_exchange_hold(x);
    if (x != NULL)
        x->queued++;
    ev->msg = copal_msg_ref(msg);
    cp_list_append(&e->events.queue, &ev->node);
    cp_engine_wake(e);
    return ev;
}

static void event_done(struct cp_engine *e, struct cp_event *ev)
{
    copal_exchange *x = ev->x;
    copal_msg *msg = ev->msg;

    ev->x = NULL;
    ev->msg = NULL;
    cp_free(e->mem, ev->own_text);
    ev->own_text = NULL;
    if (!ev->is_part)
        cp_free(e->mem, ev);
    copal_msg_unref(msg);
    if (x == NULL)
        return;
    x->queued--;
    cp_exchange_let_go(x);
}

/* Mostly there are none, and the queue is long where many are cancelled. */
void cp_event_forget(struct cp_engine *e, const copal_exchange *x)
{
    if (x->queued == 0)
        return;
    list_each (node, after, &e->events.queue) {
        struct cp_event *ev = cp_container_of(node, struct cp_event, node);

        if (ev->x == x && ev->kind != COPAL_END) {
            cp_list_remove(node);
            event_done(e, ev);
        }
    }
}

void cp_event_post_trace(struct cp_engine *e, char *line)
{
    struct cp_event *ev = cp_event_post(e, COPAL_TRACE, NULL, NULL);

    if (ev == NULL) {
        cp_free(e->mem, line);
        return;
    }
    ev->text = ev->own_text = line;
}

static void deliver_timer(struct cp_engine *e, struct cp_event *ev)
{
    struct timer *t = cp_container_of(ev, struct timer, event);
    copal_cb cb = t->cb;
    bool is_inner = t->is_inner;
    uint64_t id = (uint64_t)t->id;
    unsigned was;

    /* It can no longer be cancelled, and the callback may start others. */
    t->cb = (copal_cb){0};
    timer_free(e, t);
    if (cb.fn != NULL) {
        was = cp_record_callback(e, is_inner, COPAL_TIMER, id);
        cb.fn(&(copal_event){.kind = COPAL_TIMER}, cb.user);
        cp_record_callback_over(e, is_inner, was);
    }
    cp_cb_drop(cb);
}

/* Of lines of trace the recorder knows nothing: what their user calls is as if
 * a drop had called it. */
static void deliver_to_all(struct cp_engine *e, struct cp_event *ev)
{
    bool is_trace = ev->kind == COPAL_TRACE;
    copal_cb cb = is_trace ? e->on_trace : e->on_stray;
    copal_event shown = {
        .kind = (copal_kind)ev->kind, .msg = ev->msg, .text = ev->text};
    unsigned was;

    if (cb.fn == NULL)
        return;
    if (is_trace) {
        cb.fn(&shown, cb.user);
        return;
    }
    was = cp_record_callback(e, false, COPAL_STRAY, 0);
    cb.fn(&shown, cb.user);
    cp_record_callback_over(e, false, was);
}

static void deliver_one(struct cp_engine *e, struct cp_event *ev)
{
    cp_list_remove(&ev->node);
    if (ev->x == NULL && ev->kind == COPAL_TIMER) {
        deliver_timer(e, ev);
        return;
    }
    if (ev->x == NULL)
        deliver_to_all(e, ev);
    else
        cp_exchange_deliver(ev->x, &(copal_event){
                                       .kind = (copal_kind)ev->kind,
                                       .status = ev->status,
                                       .exchange = ev->x,
                                       .msg = ev->msg,
                                       .offset = ev->offset,
                                       .total = ev->total,
                                       .want = ev->want,
                                       .last = ev->last,
                                       .text = ev->text,
                                   });
    event_done(e, ev);
}

void cp_event_deliver(struct cp_engine *e)
{
    struct cp_list *first;

    while ((!e->condemned || e->ending) &&
           (first = cp_list_first(&e->events.queue)) != NULL)
        deliver_one(e, cp_container_of(first, struct cp_event, node));
}

/* ---- Other threads ---- */

int cp_event_from_thread(struct cp_engine *e, copal_cb cb)
{
    struct post *p = malloc(sizeof(*p));

    if (p == NULL) {
        cp_cb_drop(cb);
        return COPAL_ENOMEM;
    }
    p->cb = cb;
    pthread_mutex_lock(&e->events.lock);
    cp_list_append(&e->events.posted, &p->node);
    atomic_fetch_add(&e->events.posted_count, 1);
    pthread_mutex_unlock(&e->events.lock);
    e->driver->ops->wake(e->driver);
    return 0;
}

bool cp_event_is_waiting(struct cp_engine *e)
{
    return !cp_list_empty(&e->events.queue) ||
           atomic_load(&e->events.posted_count) > 0 ||
           (e->outside != NULL && atomic_load(&e->outside->has_news));
}

static struct post *take_post(struct cp_engine *e)
{
    struct cp_list *first;

    if (atomic_load(&e->events.posted_count) == 0)
        return NULL; /* who posts now wakes us for one more turn */
    pthread_mutex_lock(&e->events.lock);
    first = cp_list_first(&e->events.posted);
    if (first != NULL) {
        cp_list_remove(first);
        atomic_fetch_sub(&e->events.posted_count, 1);
    }
    pthread_mutex_unlock(&e->events.lock);
    return first == NULL ? NULL : cp_container_of(first, struct post, node);
}

/* A post becomes a timer that is due at once. */
void cp_event_collect(struct cp_engine *e)
{
    struct post *p;

    if (e->outside != NULL && atomic_load(&e->outside->has_news))
        e->outside->collect(e->outside);
    while ((p = take_post(e)) != NULL) {
        unsigned was =
            cp_record_call(e, CP_RECORD_AFTER, (uint64_t)e->events.last_id + 1,
                           p->cb.fn == NULL ? CP_RECORD_MUTE : 0);

        cp_event_after(e, 0, p->cb);
        cp_record_return(e, was);
        free(p);
    }
}

static void drop_posts(struct cp_engine *e)
{
    struct post *p;

    while ((p = take_post(e)) != NULL) {
        cp_cb_drop(p->cb);
        free(p);
    }
}

void cp_events_free(struct cp_engine *e)
{
    drop_posts(e);
    pthread_mutex_destroy(&e->events.lock);
}

void cp_events_clear(struct cp_engine *e)
{
    drop_posts(e);
    while (e->events.timers.count > 0)
        map_each (node, after, &e->events.timers) {
            timer_free(e, cp_container_of(node, struct timer, node));
            break; /* a drop may have changed the map */
        }
    cp_map_clear(&e->events.timers);
    e->trace = 0; /* those drops may have been traced */
    list_each (node, after, &e->events.queue) {
        cp_list_remove(node);
        event_done(e, cp_container_of(node, struct cp_event, node));
    }
}
