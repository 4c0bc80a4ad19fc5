#include "servers.h"
#include <stdlib.h>

/* ---- Handlers ---- */

static void keep(const copal_event *ev, void *user)
{
    struct kept *k = user;
    copal_cb cb = recording(k->record);

    cb.fn(ev, cb.user);
    if (ev->kind == COPAL_REQUEST && k->count < MAX_KEPT)
        k->x[k->count++] = copal_exchange_ref(ev->exchange);
}

static void drop_kept(void *user)
{
    struct kept *k = user;

    k->record->drops++;
    for (size_t i = 0; i < k->count; i++)
        copal_exchange_unref(k->x[i]);
    free(k);
}

struct kept *serve_kept(struct world *w, const char *path)
{
    struct kept *k = calloc(1, sizeof(*k));

    assert_non_null(k);
    k->record = next_record(w);
    assert_int_equal(
        copal_serve(w->server, 0, path, 0, COPAL_CB_OWN(keep, k, drop_kept)),
        0);
    return k;
}

void let_go_kept(struct kept *k, size_t i)
{
    copal_exchange *x = k->x[i];

    k->x[i] = NULL;
    copal_exchange_unref(x);
}

int reply_kept(struct kept *k, size_t i, int code, const char *text)
{
    int err;

    assert_true(i < k->count);
    err = copal_reply_text(k->x[i], code, text);
    let_go_kept(k, i);
    return err;
}

struct late {
    struct record *record;
    const char *text;
    uint64_t ms;
};

struct reply {
    copal_exchange *x;
    const char *text;
};

static void reply_late(const copal_event *ev, void *user)
{
    struct reply *r = user;

    (void)ev;
    copal_reply_text(r->x, COPAL_CONTENT, r->text);
}

static void drop_reply(void *user)
{
    struct reply *r = user;

    copal_exchange_unref(r->x);
    free(r);
}

static void answer_late(const copal_event *ev, void *user)
{
    struct late *late = user;
    copal_cb cb = recording(late->record);
    struct reply *r;

    cb.fn(ev, cb.user);
    if (ev->kind != COPAL_REQUEST)
        return;
    r = malloc(sizeof(*r));
    assert_non_null(r);
    *r = (struct reply){copal_exchange_ref(ev->exchange), late->text};
    copal_after(copal_exchange_endpoint(ev->exchange), late->ms,
                COPAL_CB_OWN(reply_late, r, drop_reply));
}

static void drop_late(void *user)
{
    struct late *late = user;

    late->record->drops++;
    free(late);
}

struct record *serve_after(struct world *w, const char *path, uint64_t ms,
                           const char *text)
{
    struct late *late = malloc(sizeof(*late));
    struct record *r = next_record(w);

    assert_non_null(late);
    *late = (struct late){.record = r, .text = text, .ms = ms};
    copal_serve(w->server, 0, path, 0,
                COPAL_CB_OWN(answer_late, late, drop_late));
    return r;
}

/* ---- Datagrams ---- */

void inject_hex(struct world *w, const char *from, const char *to,
                const char *hex)
{
    uint8_t bytes[2048];
    size_t len = 0;
    unsigned byte;

    for (; *hex != '\0'; hex++) {
        if (*hex == ' ')
            continue;
        assert_true(len < sizeof(bytes) && sscanf(hex, "%2x", &byte) == 1);
        bytes[len++] = (uint8_t)byte;
        hex++;
    }
    assert_int_equal(
        copal_sim_inject(w->sim, from, to, (copal_bytes){bytes, len}), 0);
}

void inject_made(struct world *w, const char *from, const char *format, ...)
{
    char hex[4096];
    va_list list;

    va_start(list, format);
    vsnprintf(hex, sizeof(hex), format, list);
    va_end(list);
    inject_hex(w, from, "client", hex);
}

static void note_sent(const copal_event *ev, void *user)
{
    struct tap *t = user;
    const char *token = strstr(ev->text, "\"token\":\"");
    const char *mid = strstr(ev->text, "\"mid\":");
    const char *peer = strstr(ev->text, "\"peer\":");

    if (strstr(ev->text, "\"ev\":\"in\"") != NULL || mid == NULL)
        return;
    assert_non_null(peer);
    if (t->count < MAX_TAPPED)
        snprintf(t->sent[t->count++], sizeof(t->sent[0]), "%s", peer);
    t->token[0] = '\0';
    sscanf(mid, "\"mid\":%u", &t->mid);
    if (token != NULL)
        sscanf(token, "\"token\":\"%39[0-9a-f]", t->token);
}

struct tap *tap(copal *c)
{
    struct tap *t = calloc(1, sizeof(*t));

    assert_non_null(t);
    copal_trace(c, COPAL_TRACE_WIRE, COPAL_CB_OWN(note_sent, t, free));
    return t;
}
