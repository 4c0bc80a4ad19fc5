/* Who begins to observe, and who ends it. RFC 7641 4.1. */
#include "engine/observe_core.h"
#include "engine/core.h"
#include "wire/block.h"

/* The first state's number. Who registers again under its token may have been
 * told of a state with the newest one. */
static uint64_t first_number(struct cp_interest *i, bool is_again)
{
    uint64_t next = cp_observe_number(i->engine, i->number);

    if (is_again || next > i->number + 1) /* the clock went on */
        i->number = next;
    return i->number;
}

int cp_observe_register_out(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_observer *before, *o;
    copal_msg *copy;
    uint64_t number;

    if (a->link == NULL)
        return CP_PASS;
    before = cp_observer_find(x->engine, a->link, a->wire);
    if (before != NULL) /* left, or replaced: RFC 7641 4.1 */
        cp_observer_free(before);
    if (!a->registers || cp_observer_is_last(*m) || a->handler == NULL ||
        (a->handler->flags & COPAL_OBSERVABLE) == 0)
        return CP_PASS;
    o = cp_observer_add(a, *m);
    if (o == NULL)
        return CP_PASS;
    a->registers = false;
    number = first_number(o->interest, before != NULL);
    copy = cp_observe_numbered(*m, number);
    if (copy == NULL)
        return COPAL_ENOMEM;
    cp_qblock_answer_numbered(x, (uint32_t)(number & 0xffffff));
    copal_msg_unref(*m);
    *m = copy;
    return CP_PASS;
}

void cp_observe_register_in(copal_exchange *x, const copal_msg *m)
{
    struct cp_answer *a = cp_answer_of(x);
    const struct cp_option *block = cp_msg_find(m, COPAL_OPT_BLOCK2);
    struct cp_block b;
    uint64_t value;

    if (block != NULL &&
        cp_block_decode_bert(cp_msg_option_value(m, block), &b) == 0 &&
        b.num > 0)
        return; /* only a whole state can be registered for: RFC 7959 2.6 */
    if (!cp_code_is_safe(m->code))
        return;
    value = cp_msg_uint_or(m, COPAL_OPT_OBSERVE, UINT64_MAX);
    a->registers = value == 0;
    a->deregisters = value == 1;
}
