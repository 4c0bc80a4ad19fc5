/* A replay that begins amid things: what is exchanged under a token whose first
 * request is not in the recording began before it, and so did what is asked of
 * somebody who was still owed something. */
#include "replay.h"
#include "wire/block.h"
#include "wire/datagram.h"

enum kind {
    BY_TOKEN,
    BY_OUR_MID,
    BY_THEIR_MID,
    REMOTE /* whoever it is */
};

struct cp_replay_talk {
    struct cp_map_node node;
    struct cp_address remote;
    uint64_t what; /* a token's hash, or a message id */
    uint8_t kind;
    bool is_past;
    bool is_sent; /* a message id: by us, in the recording */
};

void cp_replay_past_init(struct cp_replay *r)
{
    struct cp_random random;

    cp_random_init(&random, 1);
    cp_map_init(&r->talks, r->mem, &random);
}

void cp_replay_past_clear(struct cp_replay *r)
{
    map_each (node, after, &r->talks)
        cp_free(r->mem, cp_container_of(node, struct cp_replay_talk, node));
    cp_map_clear(&r->talks);
}

static uint64_t hash_of(const struct cp_replay *r, enum kind kind,
                        const struct cp_address *remote, uint64_t what)
{
    struct cp_sip s = cp_map_sip(&r->talks);

    cp_address_hash(&s, remote);
    cp_sip_add(&s, what);
    cp_sip_add(&s, kind);
    return cp_sip_end(s);
}

static struct cp_replay_talk *find(const struct cp_replay *r, enum kind kind,
                                   const struct cp_address *remote,
                                   uint64_t what)
{
    struct cp_map_node *n =
        cp_map_first(&r->talks, hash_of(r, kind, remote, what));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_replay_talk *t =
            cp_container_of(n, struct cp_replay_talk, node);

        if (t->kind == kind && t->what == what &&
            cp_address_equal(&t->remote, remote))
            return t;
    }
    return NULL;
}

static struct cp_replay_talk *set(struct cp_replay *r, enum kind kind,
                                  const struct cp_address *remote,
                                  uint64_t what, bool is_past)
{
    struct cp_replay_talk *t = find(r, kind, remote, what);

    if (t == NULL) {
        t = cp_zalloc(r->mem, sizeof(*t));
        if (t == NULL)
            return NULL;
        t->kind = (uint8_t)kind;
        t->remote = *remote;
        t->what = what;
        cp_map_put(&r->talks, &t->node, hash_of(r, kind, remote, what));
    }
    t->is_past = is_past;
    return t;
}

void cp_replay_past_owed(struct cp_replay *r, const struct cp_address *remote)
{
    set(r, REMOTE, remote, 0, true);
}

static bool was_owed(const struct cp_replay *r, const struct cp_address *remote)
{
    static const struct cp_address anybody = {0};

    return find(r, REMOTE, remote, 0) != NULL ||
           find(r, REMOTE, &anybody, 0) != NULL;
}

void cp_replay_past_route(struct cp_replay *r, copal_bytes body)
{
    struct cp_cursor c = cp_cursor_of(body);
    struct cp_record_way way;
    uint32_t count;

    cp_take(&c, 8);
    cp_record_take_text(&c);
    count = cp_record_take_32(&c);
    for (uint32_t i = 0; i < count && cp_record_take_way(&c, &way); i++)
        cp_replay_past_owed(r, &way.path.remote);
}

void cp_replay_past_moved(struct cp_replay *r, const struct cp_address *remote,
                          uint32_t heir)
{
    struct cp_address moved = *remote;

    moved.association = heir;
    if (heir != 0 && was_owed(r, remote))
        cp_replay_past_owed(r, &moved);
}

static uint64_t hash_of_token(const struct cp_replay *r, copal_bytes token)
{
    return cp_map_hash(&r->talks, token.data, token.len);
}

static uint64_t token_of(const struct cp_replay *r, const struct cp_header *h)
{
    return hash_of_token(r, h->token);
}

static enum kind mid_kind(const struct cp_header *h, bool out)
{
    bool is_reply = h->type == CP_ACK || h->type == CP_RST;

    return out == is_reply ? BY_THEIR_MID : BY_OUR_MID;
}

/* By Q-Block2 the first block alone is asked for again, as it was lost: what
 * begins asks for all of them. RFC 9177 4.4. */
static bool is_lost_first(const copal_msg *m)
{
    return cp_msg_has(m, COPAL_OPT_Q_BLOCK2) &&
           (cp_msg_uint_or(m, COPAL_OPT_Q_BLOCK2, 0) >> 3 & 1) == 0;
}

/* An observer has part in what is told to those of before, until he leaves; a
 * block may be of a body that was there. */
static bool joins(const struct cp_replay *r, const copal_msg *m)
{
    return ((r->lives & CP_START_OBSERVED) != 0 &&
            cp_msg_has(m, COPAL_OPT_OBSERVE)) ||
           ((r->lives & CP_START_UPLOADS) != 0 &&
            cp_msg_has(m, COPAL_OPT_Q_BLOCK1));
}

/* A block that is not the first, of whichever option; or by OSCORE, whose keys
 * are not here: neither is understood. */
static bool goes_on(struct cp_replay *r, const struct cp_header *h, bool out)
{
    static const uint8_t options[] = {COPAL_OPT_BLOCK1, COPAL_OPT_BLOCK2,
                                      COPAL_OPT_Q_BLOCK1, COPAL_OPT_Q_BLOCK2};
    copal_msg *m = NULL;
    bool is_on;

    if (cp_datagram_decode(r->mem, h, &m) != 0)
        return true;
    is_on = (r->is_keyed && cp_msg_has(m, COPAL_OPT_OSCORE)) ||
            is_lost_first(m) || (!out && joins(r, m));
    for (size_t i = 0; i < sizeof(options); i++)
        is_on |= cp_msg_uint_or(m, options[i], 0) >> 4 != 0;
    copal_msg_unref(m);
    return is_on;
}

/* A message of before, once more: token and message id are known as such. */
static bool is_repeat(const struct cp_replay *r, const struct cp_replay_talk *t,
                      const struct cp_address *remote,
                      const struct cp_header *h, bool out)
{
    const struct cp_replay_talk *by_mid;

    if (t == NULL || !t->is_past)
        return false;
    by_mid = find(r, mid_kind(h, out), remote, h->mid);
    return by_mid != NULL && by_mid->is_past;
}

static bool was_sent(const struct cp_replay *r, const struct cp_address *remote,
                     const struct cp_header *h)
{
    const struct cp_replay_talk *t = find(r, mid_kind(h, true), remote, h->mid);

    return t != NULL && t->is_sent;
}

/* The answer to h, a request that comes, was sent before the recording: it goes
 * out again. */
static bool is_answered_again(struct cp_replay *r,
                              const struct cp_address *remote,
                              const struct cp_header *h)
{
    struct cp_cursor ahead = r->records;
    struct cp_record_way way;
    copal_bytes datagram;
    struct cp_header answer;

    while (cp_replay_sent_again(r, &ahead, &way, &datagram))
        if (cp_address_equal(&way.path.remote, remote) &&
            cp_header_read(datagram, &answer) == 0 &&
            (answer.type == CP_ACK ? answer.mid == h->mid
                                   : cp_bytes_equal(answer.token, h->token)))
            return !was_sent(r, remote, &answer);
    return false;
}

/* Is what h belongs to from before? Requests begin something. */
static bool judge(struct cp_replay *r, const struct cp_path *path,
                  const struct cp_header *h, bool out)
{
    struct cp_replay_talk *t = find(r, BY_TOKEN, &path->remote, token_of(r, h));

    if (cp_code_is_request(h->code))
        return goes_on(r, h, out) ||
               (out ? was_owed(r, &path->remote)
                    : is_answered_again(r, &path->remote, h)) ||
               is_repeat(r, t, &path->remote, h, out);
    if (t == NULL && !out) /* it answers what we asked before */
        set(r, REMOTE, &path->remote, 0, true);
    return t == NULL || t->is_past;
}

/* A datagram by that message id: what is sent again, but was not sent before in
 * the recording, was before it. */
static void note_mid(struct cp_replay *r, const struct cp_address *remote,
                     const struct cp_header *h, bool out, bool is_past)
{
    struct cp_replay_talk *t =
        set(r, mid_kind(h, out), remote, h->mid, is_past);

    if (t != NULL)
        t->is_sent |= out;
}

void cp_replay_past_note(struct cp_replay *r, const struct cp_path *path,
                         copal_bytes datagram, bool out, bool again)
{
    struct cp_header h;
    struct cp_replay_talk *t;
    bool is_past;

    if (cp_header_read(datagram, &h) != 0 || h.code == COPAL_EMPTY)
        return;
    is_past =
        judge(r, path, &h, out) || (again && !was_sent(r, &path->remote, &h));
    t = set(r, BY_TOKEN, &path->remote, token_of(r, &h), is_past);
    note_mid(r, &path->remote, &h, out, is_past);
    if (out || t == NULL)
        return;
    r->newest = t;
}

void cp_replay_past_unasked(struct cp_replay *r, const copal_msg *request)
{
    struct cp_replay_talk *t = r->newest;

    if (request != NULL && request->received)
        t = find(r, BY_TOKEN, &request->path.remote,
                 hash_of_token(r, request->token));
    if (t != NULL)
        t->is_past = true;
}

/* What does not answer at once may have to wait for what goes there from
 * before. */
bool cp_replay_past_has(struct cp_replay *r, const struct cp_path *path,
                        copal_bytes datagram)
{
    struct cp_header h;
    struct cp_replay_talk *t;

    if (cp_header_read(datagram, &h) != 0)
        return true;
    if (h.code == COPAL_EMPTY)
        t = find(r, mid_kind(&h, true), &path->remote, h.mid);
    else
        t = find(r, BY_TOKEN, &path->remote, token_of(r, &h));
    return t == NULL || t->is_past ||
           (h.type <= CP_NON && was_owed(r, &path->remote));
}
