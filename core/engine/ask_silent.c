/* Requests to which no answer of any class is wanted: nobody waits for one. RFC
 * 7967 2.1. */
#include "engine/ask.h"
#include "engine/core.h"
#include "wire/block.h"

enum {
    EVERY_CLASS = 1 << 1 | 1 << 3 | 1 << 4 /* 2.xx, 4.xx, 5.xx */
};

/* Not the blocks of a body before its last, nor those of an answer that came all
 * the same: what follows needs the answer to them. */
static bool is_amid(const copal_msg *m)
{
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_BLOCK1);
    struct cp_block b;

    if (cp_msg_has(m, COPAL_OPT_Q_BLOCK1))
        return true;
    if (o != NULL &&
        (cp_block_decode_bert(cp_msg_option_value(m, o), &b) != 0 || b.more))
        return true;
    o = cp_msg_find(m, COPAL_OPT_BLOCK2);
    return o != NULL &&
           (cp_block_decode_bert(cp_msg_option_value(m, o), &b) != 0 ||
            b.num > 0);
}

bool cp_ask_wants_nothing(const copal_msg *m)
{
    uint64_t classes = cp_msg_uint_or(m, COPAL_OPT_NO_RESPONSE, 0);

    return (classes & EVERY_CLASS) == EVERY_CLASS &&
           cp_msg_uint_or(m, COPAL_OPT_OBSERVE, 1) != 0 && !is_amid(m);
}

/* It had to wait, for NSTART or PROBING_RATE: it is over once it has left. */
static void on_leaving(struct cp_flight *f)
{
    const struct cp_token *t = cp_container_of(f, struct cp_token, flight);

    cp_ask_wait(cp_ask_of(t->x), 0);
}

const struct cp_flight_notes *cp_ask_silent_notes(const struct cp_ask *a)
{
    static const struct cp_flight_notes notes = {
        .leaving = on_leaving,
    };

    return a->is_silent && !a->slot->flight.is_con ? &notes : NULL;
}

bool cp_ask_has_left_silently(const struct cp_ask *a)
{
    const struct cp_flight *f = &a->slot->flight;

    return a->is_silent && !f->is_con &&
           (f->state == CP_HOLDS || f->state == CP_SENT) && f->error == 0;
}
