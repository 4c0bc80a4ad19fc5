/* Notifications that come. */
#include "engine/observe_core.h"
#include "engine/ask.h"
#include "engine/core.h"

/* RFC 7641 3.4: newer by its number, or so much later that the numbers may
 * have come round. */
static bool is_fresher(const struct cp_ask *a, uint32_t number, uint64_t now)
{
    uint32_t v1 = a->observe_number, v2 = number;

    return (v1 < v2 && v2 - v1 < 1u << 23) || (v1 > v2 && v1 - v2 > 1u << 23) ||
           now > a->observe_at + 128000;
}

bool cp_observe_ask_is_stale(const struct cp_ask *a, const copal_msg *m)
{
    uint64_t number = cp_msg_uint_or(m, COPAL_OPT_OBSERVE, UINT64_MAX);

    return a->is_observed && number != UINT64_MAX &&
           a->x.connection == NULL && /* in order: RFC 8323 7.1 */
           cp_code_class(m->code) == 2 &&
           !is_fresher(a, (uint32_t)number, a->x.engine->now);
}

/* All parts of a body by Q-Block2 have its number. RFC 9177 4.5. */
static bool is_next_part(const struct cp_ask *a, const copal_msg *m)
{
    return a->is_observed && cp_msg_has(m, COPAL_OPT_Q_BLOCK2) &&
           cp_msg_uint_or(m, COPAL_OPT_OBSERVE, UINT64_MAX) ==
               a->observe_number;
}

int cp_observe_ask_in(copal_exchange *x, const copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);
    const struct cp_option *o = cp_msg_find(m, COPAL_OPT_OBSERVE);
    bool is_answer;

    if (!a->wants_observe || a->came_by == &a->sub || cp_qblock_is_beside(a))
        return CP_PASS;
    is_answer = a->is_again;
    a->is_again = false;
    if (o == NULL || cp_code_class(m->code) != 2) {
        a->is_observed = false; /* this is the last one: RFC 7641 3.2 */
        return CP_PASS;
    }
    if (is_next_part(a, m))
        return CP_PASS;
    /* The answer to a registration begins a new order: the server may have
     * restarted, and count from the beginning. */
    if (!is_answer && cp_observe_ask_is_stale(a, m))
        return CP_KEPT;
    a->is_observed = true;
    a->observe_number = (uint32_t)cp_bytes_uint(cp_msg_option_value(m, o));
    a->observe_at = x->engine->now;
    return CP_PASS;
}
