/* The request that the next message of an exchange answers, and its ACK. */
#include "engine/answer_core.h"
#include "engine/core.h"

void cp_answer_wire_done(struct cp_answer *a)
{
    copal_msg *wire = a->wire;

    cp_timer_stop(&a->x.engine->timers, &a->separate);
    copal_msg_unref(a->late);
    a->late = NULL;
    cp_dedup_own(a->seen, NULL);
    a->seen = NULL;
    a->wire = NULL;
    a->acked = false;
    copal_msg_unref(wire);
}

void cp_answer_wire_set(struct cp_answer *a, copal_msg *wire,
                        struct cp_seen *seen)
{
    a->wire = copal_msg_ref(wire);
    a->asker_left = false;
    a->seen = seen;
    cp_dedup_own(seen, &a->seen);
}

void cp_answer_wire_ack(struct cp_answer *a)
{
    cp_reliable_empty(a->x.engine, a->link, &a->wire->path, CP_ACK,
                      a->wire->mid, a->seen);
    a->acked = true;
}

/* The answer takes its time: the asker must not think that we did not hear.
 * RFC 7252 5.2.2. */
static void on_separate(struct cp_timer *t)
{
    struct cp_answer *a = cp_container_of(t, struct cp_answer, separate);

    cp_answer_wire_ack(a);
}

void cp_answer_wire_expect(struct cp_answer *a)
{
    struct cp_engine *e = a->x.engine;

    if (a->wire == NULL || a->link == NULL || a->wire->type != CP_CON ||
        a->acked || a->x.over || cp_timer_is_on(&a->separate))
        return;
    cp_timer_start(&e->timers, &a->separate,
                   e->now + (uint64_t)e->params.value[COPAL_P_SEPARATE_AFTER],
                   on_separate);
}

void cp_answer_wire_adopt(copal_exchange *x, copal_exchange *later)
{
    struct cp_answer *a = cp_answer_of(x), *b = cp_answer_of(later);

    if (a->wire != NULL) { /* asked again before it was answered */
        if (a->wire->type == CP_CON && !a->acked && a->link != NULL)
            cp_answer_wire_ack(a);
        cp_answer_wire_done(a);
    }
    cp_flight_stop(&a->flight);
    cp_answer_wire_set(a, b->wire, b->seen);
    b->seen = NULL;
    a->link = b->link;
    a->want = b->want;
    a->wants_block = b->wants_block;
    a->echo = b->echo;
    a->echoes_block = b->echoes_block;
    cp_answer_wire_expect(a);
    cp_answer_wire_done(b);
    b->answered = true;
    cp_answer_place_leave(b);
    cp_exchange_retire(later);
}
