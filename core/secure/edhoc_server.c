/* Who asks us for keys: the Responder. Nothing is kept of who did not get as far
 * as message 3 within EDHOC_TIMEOUT, or made room for somebody newer. */
#include "engine/answer_core.h"
#include "engine/core.h"
#include "engine/fresh_guard.h"
#include "engine/trace.h"
#include "secure/edhoc_hub.h"
#include "secure/oscore_option.h"
#include "wire/cbor.h"

#include <stdio.h>

enum {
    SHARES = 8 /* of MAX_EDHOC; one host has one of them where it is full */
};

/* A session that waits for message 3. */
struct half_open {
    struct cp_list node; /* in hub->half_open */
    struct cp_timer timer;
    struct cp_address from;
    struct cp_edhoc_work work;
};

/* A context that came of one. */
struct made {
    struct cp_list node; /* in hub->made */
    struct cp_guard *context;
    char peer[CP_EDHOC_NAME];
};

/* ---- Half-open sessions ---- */

static void half_open_free(struct half_open *h)
{
    struct cp_edhoc_hub *hub = h->work.hub;

    cp_timer_stop(&hub->engine->timers, &h->timer);
    cp_list_remove(&h->node);
    hub->half_open_count--;
    cp_edhoc_work_end(&h->work);
    cp_free(hub->mem, h);
}

static void on_timeout(struct cp_timer *t)
{
    struct half_open *h = cp_container_of(t, struct half_open, timer);

    cp_trace_security(h->work.hub->engine, "handshake",
                      "EDHOC: message 3 did not come in time");
    half_open_free(h);
}

static struct half_open *find(const struct cp_edhoc_hub *hub, copal_bytes cid)
{
    list_each (node, after, &hub->half_open) {
        struct half_open *h = cp_container_of(node, struct half_open, node);

        if (cp_bytes_equal(cp_edhoc_cid_bytes(&h->work.session.c_r), cid))
            return h;
    }
    return NULL;
}

/* Short identifiers are soon guessed: message 3 comes from where message 1 did,
 * or ends nothing. RFC 9528 9.6. */
static struct half_open *find_of(const struct cp_edhoc_hub *hub,
                                 copal_bytes cid, const struct cp_address *from)
{
    struct half_open *h = find(hub, cid);

    return h != NULL && cp_address_equal(&h->from, from) ? h : NULL;
}

bool cp_edhoc_server_has(const struct cp_edhoc_hub *hub, copal_bytes cid)
{
    return find(hub, cid) != NULL;
}

/* The oldest: whoever is there is through within two round trips. But who has
 * his share already pushes out his own, or one alone could keep all others from
 * getting so far. */
static struct half_open *who_goes(const struct cp_edhoc_hub *hub,
                                  const struct cp_address *from, size_t most)
{
    struct half_open *his = NULL;
    size_t count = 0;

    list_each (node, after, &hub->half_open) {
        struct half_open *h = cp_container_of(node, struct half_open, node);

        if (!cp_address_same_host(&h->from, from))
            continue;
        his = his == NULL ? h : his;
        count++;
    }
    return his != NULL && count * SHARES >= most
               ? his
               : cp_container_of(cp_list_first(&hub->half_open),
                                 struct half_open, node);
}

static void make_room(struct cp_edhoc_hub *hub, const struct cp_address *from)
{
    size_t most = (size_t)cp_engine_param(hub->engine, COPAL_P_MAX_EDHOC);

    while (hub->half_open_count >= most && hub->half_open_count > 0) {
        cp_engine_limited(hub->engine, "max_edhoc");
        half_open_free(who_goes(hub, from, most));
    }
}

/* NULL: out of memory. */
static struct half_open *half_open_new(struct cp_edhoc_hub *hub,
                                       struct cp_edhoc_scope *scope,
                                       const struct cp_address *from)
{
    struct half_open *h;
    int64_t ms = cp_engine_param(hub->engine, COPAL_P_EDHOC_TIMEOUT);

    make_room(hub, from);
    h = cp_zalloc(hub->mem, sizeof(*h));
    if (h == NULL)
        return NULL;
    h->from = *from;
    cp_edhoc_work_begin(&h->work, hub, scope, NULL);
    cp_list_append(&hub->half_open, &h->node);
    hub->half_open_count++;
    cp_timer_start(&hub->engine->timers, &h->timer,
                   hub->engine->now + (uint64_t)ms, on_timeout);
    return h;
}

/* ---- Contexts ---- */

static void made_free(struct cp_edhoc_hub *hub, struct made *m)
{
    cp_list_remove(&m->node);
    hub->made_count--;
    cp_oscore_retire(hub->oscore, m->context);
    cp_guard_unref(m->context);
    cp_free(hub->mem, m);
}

/* Of all, and of one peer, the oldest gives way. */
static void limit_made(struct cp_edhoc_hub *hub, const char *peer)
{
    size_t most = (size_t)cp_engine_param(hub->engine, COPAL_P_MAX_CONTEXTS);
    struct made *oldest = NULL;
    size_t count = 0;

    list_each (node, after, &hub->made) {
        struct made *m = cp_container_of(node, struct made, node);

        if (strcmp(m->peer, peer) != 0)
            continue;
        oldest = oldest == NULL ? m : oldest;
        count++;
    }
    if (count >= CP_EDHOC_OF_PEER)
        made_free(hub, oldest);
    while (hub->made_count >= most && hub->made_count > 0) {
        cp_engine_limited(hub->engine, "max_contexts");
        made_free(
            hub, cp_container_of(cp_list_first(&hub->made), struct made, node));
    }
}

static int keep(struct cp_edhoc_hub *hub, struct cp_edhoc_work *w)
{
    struct made *m = cp_zalloc(hub->mem, sizeof(*m));
    int err;

    if (m == NULL)
        return COPAL_ENOMEM;
    limit_made(hub, w->session.peer);
    memcpy(m->peer, w->session.peer, sizeof(m->peer));
    err = cp_edhoc_work_install(w, &m->context);
    if (err != 0) {
        cp_free(hub->mem, m);
        return err;
    }
    cp_list_append(&hub->made, &m->node);
    hub->made_count++;
    return 0;
}

void cp_edhoc_server_clear(struct cp_edhoc_hub *hub)
{
    list_each (node, after, &hub->half_open)
        half_open_free(cp_container_of(node, struct half_open, node));
    list_each (node, after, &hub->made)
        made_free(hub, cp_container_of(node, struct made, node));
}

static void trace(struct cp_edhoc_hub *hub, const struct cp_edhoc *s, int err)
{
    char line[256];

    if (err == 0)
        snprintf(line, sizeof(line), "EDHOC: method %d, suite %d with %s",
                 s->method, s->schedule.suite->number, s->peer);
    else
        snprintf(line, sizeof(line), "EDHOC: refused, %s",
                 s->why[0] != '\0' ? s->why : copal_strerror(err));
    cp_trace_security(hub->engine, "handshake", line);
}

/* ---- Messages ---- */

/* An answer: code, and what EDHOC says, which may be nothing. */
struct reply {
    int code;
    copal_bytes body;
};

/* Of a failure: the peer's, or ours. RFC 9528 A.2.3. */
static int code_of(int err)
{
    return err == COPAL_ENOMEM || err == COPAL_ELIMIT ? COPAL_INTERNAL_ERROR
                                                      : COPAL_BAD_REQUEST;
}

/* The error message of s is sent, so it lives until then: it goes with the next
 * message, or when its time is over. */
static struct reply refusal(struct cp_edhoc_hub *hub, const struct cp_edhoc *s,
                            int err, copal_bytes out)
{
    trace(hub, s, err);
    return (struct reply){code_of(err), out};
}

static struct reply take_1(struct half_open *h, copal_bytes message)
{
    copal_bytes out;
    int err = cp_edhoc_take_1(&h->work.session, message, &out);

    if (err != 0)
        return refusal(h->work.hub, &h->work.session, err, out);
    return (struct reply){COPAL_CHANGED, out};
}

static struct reply take_3(struct half_open *h, copal_bytes message)
{
    struct cp_edhoc *s = &h->work.session;
    struct cp_edhoc_error error;
    copal_bytes out;
    int err;

    if (cp_edhoc_read_error(message, &error) == 0) {
        snprintf(s->why, sizeof(s->why), "error %lld came: %.*s",
                 (long long)error.code,
                 (int)(error.text.len < 80 ? error.text.len : 80),
                 (const char *)error.text.data);
        trace(h->work.hub, s, COPAL_EAUTH);
        return (struct reply){COPAL_CHANGED, {0}};
    }
    err = cp_edhoc_take_3(s, message, &out);
    if (err != 0)
        return refusal(h->work.hub, s, err, out);
    err = keep(h->work.hub, &h->work);
    trace(h->work.hub, s, err);
    return err != 0 ? (struct reply){COPAL_INTERNAL_ERROR, {0}}
                    : (struct reply){COPAL_CHANGED, out};
}

/* ---- By CoAP ---- */

/* Under load a session is only for who is where he says he is: 4.01 with an
 * Echo. RFC 9528 9.6. */
static bool must_prove(struct cp_edhoc_hub *hub, copal_exchange *x)
{
    struct cp_answer *a = cp_answer_of(x);
    size_t most = (size_t)cp_engine_param(hub->engine, COPAL_P_MAX_EDHOC);

    return hub->half_open_count * 2 >= most && a->link != NULL &&
           cp_fresh_doubts(hub->engine, a->link, &x->request->path.remote);
}

static void reply(copal_exchange *x, struct reply r)
{
    copal_reply(x, r.code, r.body.len > 0 ? CP_EDHOC_FORMAT : COPAL_NO_FORMAT,
                r.body);
}

static void begin(struct cp_edhoc_hub *hub, copal_exchange *x,
                  copal_bytes message)
{
    struct cp_edhoc_scope *scope = cp_edhoc_keys_serve(&hub->keys);
    struct half_open *h;
    copal_msg *demand;

    if (scope == NULL) {
        copal_reply_text(x, COPAL_NOT_FOUND, "EDHOC has no keys here");
        return;
    }
    if (must_prove(hub, x)) {
        cp_engine_limited(hub->engine, "max_edhoc");
        demand = cp_fresh_demand(cp_answer_of(x));
        copal_respond(x, demand);
        copal_msg_unref(demand);
        return;
    }
    h = half_open_new(hub, scope, &x->request->path.remote);
    if (h == NULL) {
        copal_reply_text(x, COPAL_INTERNAL_ERROR, "");
        return;
    }
    reply(x, take_1(h, message));
    if (h->work.session.state != CP_EDHOC_WAITS_3)
        half_open_free(h);
}

static void go_on(struct cp_edhoc_hub *hub, copal_exchange *x, copal_bytes cid,
                  copal_bytes message)
{
    struct half_open *h = find_of(hub, cid, &x->request->path.remote);

    if (h == NULL) {
        copal_reply_text(x, COPAL_BAD_REQUEST,
                         "No EDHOC session has that identifier");
        return;
    }
    reply(x, take_3(h, message));
    half_open_free(h);
}

void cp_edhoc_hub_on_post(const copal_event *ev, void *user)
{
    struct cp_edhoc_hub *hub = user;
    struct cp_edhoc_cid cid;
    copal_bytes message;
    int format;
    bool is_first;

    if (ev->kind != COPAL_REQUEST)
        return;
    format = copal_msg_format(ev->msg);
    if (format != CP_EDHOC_CID_FORMAT && format != COPAL_NO_FORMAT) {
        copal_reply_text(ev->exchange, COPAL_UNSUPPORTED_FORMAT,
                         "application/cid-edhoc+cbor-seq is wanted");
        return;
    }
    if (cp_edhoc_read_prefix(copal_msg_payload(ev->msg), &is_first, &cid,
                             &message) != 0)
        copal_reply_text(ev->exchange, COPAL_BAD_REQUEST,
                         "No EDHOC message with its identifier in front");
    else if (is_first)
        begin(hub, ev->exchange, message);
    else
        go_on(hub, ev->exchange, cp_edhoc_cid_bytes(&cid), message);
}

/* ---- Combined with a request, RFC 9668 3.3.1 ---- */

static int refuse(copal_msg *m, struct reply r, copal_msg **answer)
{
    copal_msg *a = cp_msg_new(m->mem, r.code, 16);

    if (a == NULL ||
        (r.body.len > 0 &&
         (cp_msg_add_uint(a, COPAL_OPT_CONTENT_FORMAT, CP_EDHOC_FORMAT) != 0 ||
          cp_msg_copy_payload(a, r.body) != 0))) {
        copal_msg_unref(a);
        return COPAL_ENOMEM;
    }
    *answer = a;
    return CP_GUARD_REFUSED;
}

/* Message 3 as it stands in front, and what is behind it. */
static bool split(copal_bytes payload, copal_bytes *message, copal_bytes *rest)
{
    struct cp_cbor_reader r = cp_cbor_read(payload, 1);
    struct cp_cbor_item item;
    size_t len;

    r.is_sequence = true;
    r.is_strict = true;
    if (cp_cbor_next(&r, &item) != 1 || item.kind != CP_CBOR_BYTES)
        return false;
    len = cp_cbor_offset(&r, payload);
    *message = cp_bytes(payload.data, len);
    *rest = cp_bytes(payload.data + len, payload.len - len);
    return rest->len > 0;
}

int cp_edhoc_server_combined(struct cp_edhoc_hub *hub, copal_msg **m,
                             copal_msg **answer)
{
    const struct cp_option *o = cp_msg_find(*m, COPAL_OPT_OSCORE);
    struct cp_oscore_option head;
    copal_bytes message, rest;
    struct half_open *h;
    struct reply r;
    int verdict = CP_GUARD_DONE;

    if (o == NULL ||
        cp_oscore_option_decode(cp_msg_option_value(*m, o), &head) != 0 ||
        !head.has_kid || !split((*m)->payload, &message, &rest))
        return refuse(*m, (struct reply){COPAL_BAD_REQUEST, {0}}, answer);
    h = find_of(hub, head.kid, &(*m)->path.remote);
    if (h == NULL)
        return refuse(*m, (struct reply){COPAL_BAD_REQUEST, {0}}, answer);
    r = take_3(h, message);
    if (r.code == COPAL_CHANGED) {
        cp_msg_remove(*m, COPAL_OPT_EDHOC);
        (*m)->payload = rest;
    } else {
        verdict = refuse(*m, r, answer);
    }
    half_open_free(h);
    return verdict;
}
