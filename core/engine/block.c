#include "engine/transfer.h"

/* GET and DELETE have no body; with all others an empty one is one, too. */
static bool may_have_body(const copal_msg *m)
{
    return m->payload.len > 0 ||
           (m->code != COPAL_GET && m->code != COPAL_DELETE);
}

static int request_in(copal_exchange *x, copal_msg **m)
{
    struct cp_answer *a = cp_answer_of(x);
    struct cp_engine *e = x->engine;
    int has1 = cp_transfer_read_block(*m, COPAL_OPT_BLOCK1, &a->echo);
    int has2 = cp_transfer_read_block(*m, COPAL_OPT_BLOCK2, &a->want);
    int flags = 0;

    if (has1 < 0 || has2 < 0) /* SZX 7: RFC 7959 2.2 */
        return cp_answer_send_simple(&cp_block, x, COPAL_BAD_REQUEST,
                                     "block size 7 is reserved");
    if (has1 > 0 && (*m)->path.is_multicast) /* undefined: RFC 7959 2.8 */
        return cp_answer_send_simple(&cp_block, x, COPAL_BAD_REQUEST, NULL);
    a->echoes_block = has1 > 0;
    a->wants_block = has2 > 0;
    if (has1 > 0 || has2 > 0)
        cp_transfer_note_blocks(x);
    if (has2 > 0 && a->want.num > 0 && has1 == 0)
        return cp_block_answer_next(x, *m);
    if (e->flags_of != NULL && (has1 > 0 || may_have_body(*m)))
        flags = e->flags_of(e->on_request.user, *m);
    if (flags < 0) /* nobody serves it: no body is worth collecting */
        return CP_PASS;
    if (has1 > 0 || ((flags & COPAL_STREAMED) != 0 && may_have_body(*m)))
        return cp_block_upload_in(x, m, flags);
    return CP_PASS;
}

/* What was fetched anew, beside an observation and so without Observe, stands
 * for the notification that it was begun for. */
static int mark_observed(const struct cp_ask *a, copal_msg *m)
{
    if (!a->is_observed || a->came_by != &a->sub ||
        cp_code_class(m->code) != 2 || cp_msg_has(m, COPAL_OPT_OBSERVE))
        return CP_PASS;
    return cp_msg_add_uint(m, COPAL_OPT_OBSERVE, a->observe_number);
}

/* Then the body is not ours. RFC 9177 4.1: the two are never mixed. */
static bool has_qblock(const copal_msg *m)
{
    return cp_msg_has(m, COPAL_OPT_Q_BLOCK1) ||
           cp_msg_has(m, COPAL_OPT_Q_BLOCK2);
}

static int in(copal_exchange *x, copal_msg **m)
{
    int verdict;

    if (cp_msg_has(*m, COPAL_OPT_Q_BLOCK1))
        return CP_PASS;
    if (!x->is_ask)
        return ((*m)->present & (UINT64_C(1) << COPAL_OPT_BLOCK1 |
                                 UINT64_C(1) << COPAL_OPT_BLOCK2)) != 0 ||
                       may_have_body(*m)
                   ? request_in(x, m)
                   : CP_PASS;
    if ((x->request->flags & COPAL_RAW_BLOCKS) != 0 ||
        cp_ask_of(x)->is_farewell) /* whose answer nobody reads */
        return CP_PASS;
    verdict = cp_block_out_response(x, m);
    if (verdict == CP_PASS)
        verdict = cp_block_in_response(x, m);
    return verdict == CP_PASS ? mark_observed(cp_ask_of(x), *m) : verdict;
}

static int out(copal_exchange *x, copal_msg **m)
{
    if (((*m)->flags & COPAL_RAW_BLOCKS) != 0 || has_qblock(*m))
        return CP_PASS;
    return x->is_ask ? cp_block_out_request(x, m) : cp_block_answer_out(x, m);
}

const struct cp_stage cp_block = {
    .name = "block", .in = in, .out = out, .end = cp_transfer_free};
