#include "secured.h"

#include "endpoint.h"
#include "engine/core.h"
#include "secure/oscore_option.h"
#include "wire/datagram.h"

struct memory_store client_store, server_store;

/* ---- The store ---- */

static struct kept *kept_at(struct memory_store *s, const char *path)
{
    for (size_t i = 0; i < sizeof(s->kept) / sizeof(s->kept[0]); i++)
        if (s->kept[i].path[0] == '\0' || strcmp(s->kept[i].path, path) == 0)
            return &s->kept[i];
    fail_msg("more paths than a test needs");
    return NULL;
}

static void put(struct memory_store *s, const copal_event *ev, struct kept *k)
{
    copal_bytes value = copal_msg_payload(ev->msg);

    s->puts++;
    if (s->fails) {
        copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0});
        return;
    }
    assert_true(value.len <= sizeof(k->value));
    snprintf(k->path, sizeof(k->path), "%s", copal_msg_path(ev->msg));
    memcpy(k->value, value.data, value.len);
    k->len = value.len;
    if (s->holds)
        s->late = copal_exchange_ref(ev->exchange);
    else
        copal_reply(ev->exchange, COPAL_CHANGED, COPAL_NO_FORMAT,
                    (copal_bytes){0});
}

static void on_store(const copal_event *ev, void *user)
{
    struct memory_store *s = user;
    struct kept *k;

    if (ev->kind != COPAL_REQUEST)
        return;
    k = kept_at(s, copal_msg_path(ev->msg));
    if (copal_msg_code(ev->msg) == COPAL_PUT)
        put(s, ev, k);
    else if (k->path[0] == '\0')
        copal_reply(ev->exchange, COPAL_NOT_FOUND, COPAL_NO_FORMAT,
                    (copal_bytes){0});
    else
        copal_reply(ev->exchange, COPAL_CONTENT, COPAL_NO_FORMAT,
                    (copal_bytes){k->value, k->len});
}

void keep_in(copal *c, struct memory_store *s)
{
    assert_int_equal(copal_store(c, NULL, COPAL_CB(on_store, s)), 0);
}

void keep_in_if_possible(copal *c, struct memory_store *s)
{
    (void)copal_store(c, NULL, COPAL_CB(on_store, s));
}

void let_go_on(struct memory_store *s)
{
    s->holds = false;
    assert_non_null(s->late);
    copal_reply(s->late, COPAL_CHANGED, COPAL_NO_FORMAT, (copal_bytes){0});
    copal_exchange_unref(s->late);
    s->late = NULL;
}

/* ---- Contexts ---- */

static copal_bytes bytes_of(const char *text)
{
    return (copal_bytes){(const uint8_t *)text, strlen(text)};
}

copal_oscore client_end(int number)
{
    static const char *const ids[][2] = {
        {"c", "s"}, {"d", "t"}, {"e", "u"}, {"", "v"}};

    return (copal_oscore){
        .size = sizeof(copal_oscore),
        .secret = bytes_of("sixteen bytes of"),
        .salt = bytes_of("saltsalt"),
        .sender_id = bytes_of(ids[number][0]),
        .recipient_id = bytes_of(ids[number][1]),
    };
}

copal_oscore server_end(int number)
{
    copal_oscore end = client_end(number);
    copal_bytes id = end.sender_id;

    end.sender_id = end.recipient_id;
    end.recipient_id = id;
    return end;
}

int protect(copal *c, const char *scope, copal_oscore context)
{
    return copal_use_oscore(c, scope, &context);
}

int build_secured(void **state)
{
    int err = build(state);
    struct world *w = *state;

    memset(&client_store, 0, sizeof(client_store));
    memset(&server_store, 0, sizeof(server_store));
    keep_in(w->client, &client_store);
    keep_in(w->server, &server_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    assert_int_equal(protect(w->server, "*", server_end(0)), 0);
    run(w, 0); /* the stores have answered */
    return err;
}

int tear_down_secured(void **state)
{
    copal_exchange_unref(client_store.late);
    copal_exchange_unref(server_store.late);
    return tear_down(state);
}

copal *restart_client(struct world *w)
{
    copal_free(w->client);
    w->client = add_host(w, "client");
    assert_non_null(w->client);
    tune(w->client, COPAL_P_ACK_RANDOM, 100);
    keep_in(w->client, &client_store);
    assert_int_equal(protect(w->client, "coap://server", client_end(0)), 0);
    run(w, 0);
    return w->client;
}

copal *restart_server(struct world *w)
{
    copal_free(w->server);
    w->server = add_host(w, "server");
    assert_non_null(w->server);
    tune(w->server, COPAL_P_ACK_RANDOM, 100);
    keep_in(w->server, &server_store);
    assert_int_equal(protect(w->server, "*", server_end(0)), 0);
    run(w, 0);
    return w->server;
}

/* ---- On the way ---- */

static void on_datagram(void *user, const struct cp_path *path,
                        copal_bytes datagram, bool out)
{
    struct wire_tap *t = user;
    struct heard *h;

    (void)path;
    if (t->count == MAX_HEARD || datagram.len > MAX_DATAGRAM)
        return;
    h = &t->heard[t->count++];
    memcpy(h->bytes, datagram.data, datagram.len);
    h->len = datagram.len;
    h->out = out;
}

void listen_to(copal *c, struct wire_tap *t)
{
    memset(t, 0, sizeof(*t));
    c->engine->tap.fn = on_datagram;
    c->engine->tap.user = t;
}

bool partial_iv(const struct heard *d, uint64_t *out)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    const struct cp_option *o = NULL;
    struct cp_oscore_option head = {0};
    struct cp_header h;
    copal_msg *m = NULL;
    bool found;

    if (cp_header_read(cp_bytes(d->bytes, d->len), &h) == 0 &&
        cp_datagram_decode(mem, &h, &m) == 0)
        o = cp_msg_find(m, COPAL_OPT_OSCORE);
    found = o != NULL &&
            cp_oscore_option_decode(cp_msg_option_value(m, o), &head) == 0 &&
            head.piv.len > 0;
    if (found)
        *out = cp_bytes_uint(head.piv);
    copal_msg_unref(m);
    cp_mem_release(mem);
    return found;
}

bool shows(const struct wire_tap *t, const char *text)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < t->count; i++)
        for (size_t at = 0; at + len <= t->heard[i].len; at++)
            if (memcmp(t->heard[i].bytes + at, text, len) == 0)
                return true;
    return false;
}
