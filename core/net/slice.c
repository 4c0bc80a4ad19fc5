#include "net/slice.h"
#include "net/turn.h"

enum {
    SLICE_MS = 5 /* between two looks at all sockets, and what was begun then */
};

void cp_slice_init(struct cp_slice *s, void (*go_on)(struct cp_slice *s))
{
    cp_list_init(&s->node);
    s->go_on = go_on;
}

bool cp_slice_waits(const struct cp_slice *s)
{
    return !cp_list_empty(&s->node);
}

void cp_slice_leave(struct cp_slice *s)
{
    cp_list_remove(&s->node);
}

/* libuv notes the time when it has waited, and before it runs what is due. */
bool cp_slice_is_over(const struct cp_loop *l)
{
    return l->latest >= l->lost + uv_now(l->uv) + SLICE_MS;
}

/* Before libuv looks at its sockets again, once in a round. Who has had a slice
 * and waits for another comes after the others, in the next. */
static void on_idle(uv_idle_t *idle)
{
    struct cp_loop *l = idle->data;
    uint64_t until = cp_turn_now(l) + SLICE_MS;
    const struct cp_list *last = l->waiting.prev;
    struct cp_list *first = cp_list_first(&l->waiting);
    bool is_last = false;

    for (; first != NULL && !is_last && !l->is_condemned;
         first = cp_list_first(&l->waiting)) {
        is_last = first == last;
        cp_list_remove(first);
        cp_container_of(first, struct cp_slice, node)
            ->go_on(cp_container_of(first, struct cp_slice, node));
        if (l->is_condemned || cp_turn_now(l) >= until)
            break;
    }
    if (cp_list_empty(&l->waiting) || l->is_condemned)
        uv_idle_stop(idle);
}

void cp_slice_wait(struct cp_loop *l, struct cp_slice *s)
{
    if (cp_slice_waits(s) || l->is_condemned)
        return;
    cp_list_append(&l->waiting, &s->node);
    (void)uv_idle_start(&l->idle, on_idle);
    cp_turn_come_round(l);
}
