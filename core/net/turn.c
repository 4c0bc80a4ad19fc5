#include "net/turn.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "net/listen.h"
#include "net/outbox.h"
#include "net/route.h"
#include "net/stream.h"
#include "net/udp.h"

/* In a row, because datagrams could not be sent; then it is others' turn. */
enum {
    MAX_ROUNDS = 4,
    REST_MS = 50
};

uint64_t cp_turn_now(struct cp_loop *l)
{
    uint64_t now = uv_hrtime() / 1000000 + l->lost;

    if (now < l->latest) {
        l->lost += l->latest - now;
        now = l->latest;
        /* What libuv was told to wait for is that much later now. */
        uv_update_time(l->uv);
        l->armed = 0;
        cp_turn_due(l);
    }
    l->latest = now;
    return now;
}

static void on_timer(uv_timer_t *timer);
static void on_prepare(uv_prepare_t *prepare);

bool cp_turn_is_alive(const struct cp_loop *l)
{
    struct cp_engine *engine = l->driver.engine;

    bool listens = cp_listen_uri(&l->net, 0) != NULL ||
                   !cp_list_empty(&l->net.memberships);

    return (listens && !cp_engine_is_closing(engine)) ||
           cp_engine_is_busy(engine) || cp_outbox_is_waiting(l->net.out) ||
           cp_streams_are_waiting(&l->net) || !cp_list_empty(&l->waiting) ||
           atomic_load(&l->is_due);
}

/* A shared loop goes on as long as there is something to wait for here. */
void cp_turn_update_reference(struct cp_loop *l)
{
    if (!l->is_shared)
        return;
    if (cp_turn_is_alive(l))
        uv_ref((uv_handle_t *)&l->wake);
    else
        uv_unref((uv_handle_t *)&l->wake);
}

uint64_t cp_turn_deadline(const struct cp_loop *l)
{
    uint64_t deadline = cp_engine_deadline(l->driver.engine);

    return deadline < l->rest_until ? deadline : l->rest_until;
}

void cp_turn_rest(struct cp_loop *l)
{
    if (l->rest_until == UINT64_MAX)
        l->rest_until = cp_turn_now(l) + REST_MS;
}

static void end_rest(struct cp_loop *l)
{
    if (l->rest_until == UINT64_MAX || l->rest_until > cp_turn_now(l))
        return;
    l->rest_until = UINT64_MAX;
    list_each (node, after, &l->net.sockets)
        cp_udp_go_on(cp_container_of(node, struct cp_udp, node));
}

/* The engine's clock and libuv's are the same: what is due for one is due for
 * the other, whatever time libuv believes it is at the moment. One that was set
 * for earlier stays: with each answer the next deadline moves away by a little,
 * and to come round once in vain costs less than to set it each time. */
static void arm(struct cp_loop *l)
{
    uint64_t deadline = cp_turn_deadline(l);
    uint64_t cached = uv_now(l->uv) + l->lost;

    if (l->armed > cached && (l->armed == deadline ||
                              (l->armed < deadline && deadline != UINT64_MAX)))
        return;
    l->armed = deadline;
    if (deadline == UINT64_MAX)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timer,
                       deadline > cached ? deadline - cached : 0, 0);
}

/* The engine is to end, but not under the feet of whoever called the user: our
 * own loop is left first. A shared one cannot be; its callback ends here. */
static void condemn(struct cp_loop *l)
{
    l->is_condemned = true;
    if (l->is_shared)
        l->driver.condemned(l->driver.owner);
    else
        uv_stop(l->uv);
}

bool cp_turn_enter(struct cp_loop *l)
{
    if (l->is_condemned)
        return false;
    atomic_store_explicit(&l->thread, uv_thread_self(), memory_order_relaxed);
    cp_mem_adopt(l->driver.mem);
    l->is_inside = true;
    l->net.hears = NULL;
    end_rest(l);
    cp_engine_enter(l->driver.engine, cp_turn_now(l));
    return true;
}

bool cp_turn_end(struct cp_loop *l)
{
    struct cp_engine *engine = l->driver.engine;

    if (atomic_load(&l->is_due)) /* which costs less than to store */
        atomic_store(&l->is_due, false);
    cp_route_deliver(&l->net);
    for (int round = 1;; round++) {
        cp_engine_turn(engine, cp_turn_now(l));
        if (cp_engine_is_condemned(engine))
            break;
        cp_outbox_flush(l->net.out);
        if (!cp_outbox_has_failures(l->net.out) || round == MAX_ROUNDS)
            break;
        cp_engine_enter(engine, cp_turn_now(l));
        cp_outbox_tell_failures(l->net.out);
    }
    l->is_inside = false;
    if (cp_engine_is_condemned(engine)) {
        condemn(l);
        return false;
    }
    if (cp_outbox_has_failures(l->net.out))
        cp_turn_due(l);
    if (l->comes_round)
        uv_async_send(&l->wake);
    l->comes_round = false;
    arm(l);
    cp_turn_update_reference(l);
    return true;
}

void cp_turn_run(struct cp_loop *l)
{
    if (cp_turn_enter(l))
        (void)cp_turn_end(l);
}

void cp_turn_run_due(struct cp_loop *l)
{
    if (atomic_load(&l->is_due))
        cp_turn_run(l);
}

static void on_prepare(uv_prepare_t *prepare)
{
    uv_prepare_stop(prepare);
    cp_turn_run_due(prepare->data);
}

static void on_timer(uv_timer_t *timer)
{
    struct cp_loop *l = timer->data;

    l->armed = UINT64_MAX;
    if (cp_turn_enter(l) && cp_turn_end(l) && !l->is_shared &&
        !cp_turn_is_alive(l))
        uv_stop(l->uv); /* or libuv would go on to wait for nothing */
}

/* The loop's own thread may touch its handles: a shared loop that is not
 * running yet will see that there is something to run for. */
void cp_turn_wake(struct cp_loop *l)
{
    uv_thread_t self = uv_thread_self();
    uv_thread_t owner = atomic_load_explicit(&l->thread, memory_order_relaxed);

    atomic_store(&l->is_due, true);
    if (l->is_shared && uv_thread_equal(&self, &owner)) {
        uv_ref((uv_handle_t *)&l->wake);
        uv_prepare_start(&l->prepare, on_prepare);
    }
    uv_async_send(&l->wake);
}

void cp_turn_come_round(struct cp_loop *l)
{
    if (l->is_inside)
        l->comes_round = true;
    else
        uv_async_send(&l->wake);
}

void cp_turn_due(struct cp_loop *l)
{
    if (!l->is_inside && !atomic_load(&l->is_due))
        cp_turn_wake(l);
}
