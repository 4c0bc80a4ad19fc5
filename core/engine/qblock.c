#include "engine/qblock_core.h"
#include "engine/transfer.h"
#include "wire/missing.h"
#include "wire/uri.h"

#define BIT(option) (UINT64_C(1) << (option))

static bool has_qblock(const copal_msg *m)
{
    return (m->present & (BIT(COPAL_OPT_Q_BLOCK1) | BIT(COPAL_OPT_Q_BLOCK2))) !=
           0;
}

static bool has_block(const copal_msg *m)
{
    return (m->present & (BIT(COPAL_OPT_BLOCK1) | BIT(COPAL_OPT_BLOCK2))) != 0;
}

static unsigned first_of(const copal_msg *m)
{
    return cp_msg_has(m, COPAL_OPT_Q_BLOCK1) ? COPAL_OPT_Q_BLOCK1
                                             : COPAL_OPT_Q_BLOCK2;
}

unsigned cp_qblock_refused(struct cp_engine *e, const copal_msg *request)
{
    const struct cp_params *p = &e->params;

    if (!has_qblock(request))
        return 0;
    return has_block(request) || cp_scheme_is_stream(request->scheme) ||
                   cp_params_get(p, NULL, cp_params_uri_back(p, request),
                                 COPAL_P_Q_BLOCK) == 0
               ? first_of(request)
               : 0;
}

unsigned cp_qblock_unasked(const struct cp_ask *a, const copal_msg *m)
{
    if (!has_qblock(m) || (a != NULL && (a->qblock != NULL || a->is_farewell)))
        return 0;
    return first_of(m);
}

bool cp_qblock_is_missing_list(const copal_msg *m)
{
    return m->code == COPAL_INCOMPLETE &&
           cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, 0) ==
               CP_FORMAT_MISSING_BLOCKS;
}

/* ---- Client: what an exchange keeps ---- */

static void on_part_flown(struct cp_flight *f, int status);

struct cp_qblock_ask *cp_qblock_ask_get(copal_exchange *x)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_qblock_ask *q = a->qblock;

    if (q != NULL)
        return q;
    q = a->qblock = cp_zalloc(x->mem, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->x = x;
    q->is_con = (x->request->flags & COPAL_NON) == 0;
    q->pause = cp_qblock_pause(x);
    cp_flight_init(&q->family.any.flight, x->engine, on_part_flown);
    cp_token_family_on(x->engine, &q->family, x);
    return q;
}

void cp_qblock_ask_free(copal_exchange *x)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_qblock_ask *q = a->qblock;
    struct cp_engine *e = x->engine;

    if (q == NULL)
        return;
    a->qblock = NULL;
    a->came_by = a->slot = &a->main;
    cp_qblock_out_stop(q);
    cp_qblock_in_forget(q);
    for (size_t i = 0; q->parts != NULL && i < CP_MAX_PAYLOADS; i++)
        cp_token_off(e, &q->parts[i].token);
    cp_token_family_off(e, &q->family);
    cp_free(x->mem, q->parts);
    cp_free(x->mem, q);
}

void cp_qblock_ask_fall_back(copal_exchange *x, bool is_refused)
{
    struct cp_ask *a = cp_ask_of(x);

    cp_qblock_ask_free(x);
    a->qblock_off = true;
    a->qblock_doubted = is_refused;
    cp_ask_restart(x);
}

static void on_part_flown(struct cp_flight *f, int status)
{
    struct cp_token *t = cp_container_of(f, struct cp_token, flight);
    copal_exchange *x = t->x;
    struct cp_qblock_ask *q = cp_ask_of(x)->qblock;

    if (q->probes && status == 0) /* the answer to the probe comes later */
        cp_ask_hope(cp_ask_of(x), cp_reliable_lifetime(x->engine));
    else if (q->probes)
        cp_qblock_ask_fall_back(x, status == COPAL_ERESET);
    else if (q->sending != NULL)
        cp_qblock_out_flown(q, f, status);
    /* Else it asked for missing blocks: they are asked for again. */
}

static bool make_parts(struct cp_qblock_ask *q)
{
    if (q->parts != NULL)
        return true;
    q->parts = cp_zalloc(q->x->mem, CP_MAX_PAYLOADS * sizeof(*q->parts));
    for (size_t i = 0; q->parts != NULL && i < CP_MAX_PAYLOADS; i++) {
        struct cp_token *t = &q->parts[i].token;

        t->x = q->x;
        t->family = &q->family;
        cp_flight_init(&t->flight, q->x->engine, on_part_flown);
    }
    return q->parts != NULL;
}

/* The record used longest ago whose message is not under way. */
static struct cp_qblock_part *part_free(struct cp_qblock_ask *q)
{
    for (unsigned i = 1; i <= CP_MAX_PAYLOADS; i++) {
        unsigned place = (q->newest + i) % CP_MAX_PAYLOADS;
        int state = q->parts[place].token.flight.state;

        if (state != CP_QUEUED && state != CP_OPEN) {
            q->newest = place;
            return &q->parts[place];
        }
    }
    return NULL;
}

int cp_qblock_ask_send(struct cp_qblock_ask *q, copal_msg *m, uint32_t num)
{
    struct cp_ask *a = cp_ask_of(q->x);
    struct cp_qblock_part *p;
    int err;

    if (!make_parts(q))
        return COPAL_ENOMEM;
    p = part_free(q);
    if (p == NULL)
        return COPAL_ELIMIT;
    p->num = num;
    p->token.confirms = q->probes;
    a->slot = &p->token;
    err = cp_exchange_send_below(&cp_qblock, q->x, m);
    a->slot = &a->main;
    return err;
}

copal_bytes cp_qblock_tag(const copal_exchange *x)
{
    const struct cp_ask *a = cp_container_of(x, struct cp_ask, x);
    const struct cp_qblock_ask *q = x->is_ask ? a->qblock : NULL;

    return q != NULL && q->has_tag ? cp_bytes(q->tag, sizeof(q->tag))
                                   : (copal_bytes){0};
}

bool cp_qblock_is_beside(const struct cp_ask *a)
{
    return a->qblock != NULL && a->came_by != &a->main &&
           a->qblock->sending == NULL;
}

bool cp_qblock_unheard(struct cp_ask *a, int status)
{
    if (a->qblock == NULL || a->heard || status != COPAL_ERESET)
        return false;
    cp_qblock_ask_fall_back(&a->x, true);
    return true;
}

/* ---- Client: out ---- */

static bool is_offered(const copal_exchange *x, const copal_msg *m)
{
    const struct cp_ask *a = cp_container_of(x, struct cp_ask, x);
    const uint32_t otherwise =
        COPAL_RAW_BLOCKS | COPAL_STREAM_IN | COPAL_STREAM_OUT;

    return !a->qblock_off && !a->is_farewell && (m->flags & otherwise) == 0 &&
           a->group == NULL && a->member_of == NULL && !has_block(m) &&
           a->way.link->connection == NULL && /* RFC 9177 3.1 */
           !m->resumed && !has_qblock(m) && m->code != COPAL_DELETE &&
           cp_exchange_param(x, COPAL_P_Q_BLOCK) != 0 &&
           cp_qblock_peer_support(x->engine, &a->way) != CP_QBLOCK_REFUSED;
}

/* Whether the peer speaks Q-Block only a confirmable request can tell, RFC 9177
 * 4.1; one that changes nothing and whose answer is small. The user's request,
 * which is not to be confirmed, comes after it. */
static int probe(copal_exchange *x)
{
    struct cp_qblock_ask *q = cp_ask_of(x)->qblock;
    copal_msg *m = cp_msg_new(x->mem, COPAL_GET, 0);
    int err = m == NULL ? COPAL_ENOMEM : 0;

    if (err == 0)
        err =
            cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text(".well-known"));
    if (err == 0)
        err = cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text("core"));
    if (err == 0)
        err = cp_msg_add_uint(m, COPAL_OPT_Q_BLOCK2,
                              cp_block_encode((struct cp_block){.size = 16}));
    q->probes = true;
    if (err == 0)
        err = cp_qblock_ask_send(q, m, 0);
    copal_msg_unref(m);
    return err < 0 ? err : CP_KEPT;
}

static int ask_for_whole(copal_exchange *x, copal_msg **m)
{
    struct cp_block b = {.size = cp_transfer_own_size(x), .more = true};
    copal_msg *asking = cp_transfer_block_of(*m, COPAL_OPT_Q_BLOCK2, b);

    if (asking == NULL)
        return COPAL_ENOMEM;
    if ((*m)->payload.len > 0)
        cp_msg_borrow_payload(asking, *m, (*m)->payload);
    copal_msg_unref(*m);
    *m = asking;
    return CP_PASS;
}

static int request_out(copal_exchange *x, copal_msg **m)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_qblock_ask *q;

    if (!is_offered(x, *m))
        return CP_PASS;
    q = cp_qblock_ask_get(x);
    if (q == NULL)
        return COPAL_ENOMEM;
    if (!q->is_con && !a->is_observed &&
        cp_qblock_peer_support(x->engine, &a->way) == CP_QBLOCK_UNKNOWN)
        return probe(x);
    return (*m)->payload.len > cp_transfer_own_size(x)
               ? cp_qblock_out_request(x, *m)
               : ask_for_whole(x, m);
}

/* ---- Client: in ---- */

static int probed(copal_exchange *x, const copal_msg *m)
{
    struct cp_ask *a = cp_ask_of(x);

    cp_qblock_peer_learn(x->engine, &a->way,
                         m->code == COPAL_BAD_OPTION ? CP_QBLOCK_REFUSED
                                                     : CP_QBLOCK_SPOKEN);
    cp_qblock_ask_free(x);
    cp_ask_restart(x);
    return CP_KEPT;
}

static int response_in(copal_exchange *x, copal_msg **m)
{
    struct cp_ask *a = cp_ask_of(x);
    struct cp_qblock_ask *q = a->qblock;
    int verdict;

    if (a->qblock_doubted && (*m)->code != COPAL_BAD_OPTION)
        cp_qblock_peer_learn(x->engine, &a->way, CP_QBLOCK_REFUSED);
    a->qblock_doubted = false;
    if (q == NULL)
        return CP_PASS;
    if (q->probes)
        return probed(x, *m);
    if ((*m)->code == COPAL_BAD_OPTION && q->head == NULL && !a->is_observed) {
        cp_qblock_ask_fall_back(x, true);
        return CP_KEPT;
    }
    cp_qblock_peer_learn(x->engine, &a->way, CP_QBLOCK_SPOKEN);
    verdict = cp_qblock_out_response(x, *m);
    return verdict == CP_PASS ? cp_qblock_in_response(x, m) : verdict;
}

/* ---- Server ---- */

static int request_in(copal_exchange *x, copal_msg **m)
{
    if (!has_qblock(*m))
        return CP_PASS;
    if (cp_msg_has(*m, COPAL_OPT_Q_BLOCK1))
        return cp_qblock_upload_in(x, m);
    return cp_msg_has(*m, COPAL_OPT_Q_BLOCK2) ? cp_qblock_answer_in(x, *m)
                                              : CP_PASS;
}

/* ---- The stage ---- */

static int in(copal_exchange *x, copal_msg **m)
{
    return x->is_ask ? response_in(x, m) : request_in(x, m);
}

static int out(copal_exchange *x, copal_msg **m)
{
    if (x->is_ask)
        return request_out(x, m);
    return cp_answer_of(x)->wish.is_offered ? cp_qblock_answer_out(x, *m)
                                            : CP_PASS;
}

static void end(copal_exchange *x)
{
    const struct cp_answer *a;

    if (x->is_ask) {
        cp_qblock_ask_free(x);
        return;
    }
    a = cp_answer_of(x);
    if (a->qblock != NULL || a->upload != NULL)
        cp_qblock_answer_free(x);
}

const struct cp_stage cp_qblock = {
    .name = "qblock", .in = in, .out = out, .end = end};
