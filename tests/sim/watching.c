#include "watching.h"
#include <stdlib.h>

static void append(struct watch *h, const char *format, const char *what)
{
    size_t used = strlen(h->heard);

    snprintf(h->heard + used, sizeof(h->heard) - used, format, what);
}

static void hear_response(struct watch *h, const copal_msg *m)
{
    copal_bytes body = copal_msg_payload(m);

    assert_false(h->is_silent);
    h->code = copal_msg_code(m);
    h->len = body.len;
    h->heard_at = copal_sim_now(h->world->sim);
    h->last[0] = '\0';
    if (body.len > 0)
        snprintf(h->last, sizeof(h->last), "%.*s",
                 (int)strnlen((const char *)body.data, body.len),
                 (const char *)body.data);
    append(h, "R%s ", h->last);
}

static void hear_silence(struct watch *h, const copal_event *ev)
{
    assert_false(h->is_silent);
    h->is_silent = true;
    h->silents++;
    h->silent_status = ev->status;
    h->silent_at = copal_sim_now(h->world->sim);
    append(h, "S ", NULL);
    if (h->frees_at_silence)
        copal_cancel(ev->exchange);
}

static void hear(const copal_event *ev, void *user)
{
    struct watch *h = user;

    assert_ptr_equal(ev->exchange, h->x);
    assert_int_equal(h->ends, 0);
    switch (ev->kind) {
    case COPAL_RESPONSE: hear_response(h, ev->msg); break;
    case COPAL_SILENT: hear_silence(h, ev); break;
    case COPAL_RESUMED:
        assert_true(h->is_silent);
        h->is_silent = false;
        append(h, "+ ", NULL);
        break;
    case COPAL_END:
        append(h, "E", NULL);
        h->ends++;
        h->end_status = ev->status;
        h->end_at = copal_sim_now(h->world->sim);
        break;
    default: fail_msg("kind %d", ev->kind);
    }
    if (ev->text != NULL)
        snprintf(h->text, sizeof(h->text), "%s", ev->text);
}

void watch_message(struct world *w, struct watch *h, copal_msg *m)
{
    *h = (struct watch){.world = w, .end_status = 1, .silent_status = 1};
    copal_msg_set_flags(m, COPAL_WATCH);
    h->x = copal_request(w->client, m, COPAL_CB(hear, h));
    copal_msg_unref(m);
}

void watch(struct world *w, struct watch *h, const char *uri, int64_t silence)
{
    copal_msg *m = copal_msg_new(w->client, COPAL_GET);

    copal_msg_set_uri(m, uri);
    copal_msg_tune(m, COPAL_P_SILENCE, silence);
    watch_message(w, h, m);
}

/* ---- The watched ---- */

static void answer_value(const copal_event *ev, void *user)
{
    struct value *v = user;
    size_t len = strlen(v->text), size = v->size > len ? v->size : len;
    uint8_t *body;
    copal_msg *m;

    if (ev->kind != COPAL_REQUEST)
        return;
    v->gets++;
    m = copal_msg_new(copal_exchange_endpoint(ev->exchange),
                      v->code == 0 ? COPAL_CONTENT : v->code);
    if (v->max_age != UINT32_MAX)
        copal_msg_add_uint(m, COPAL_OPT_MAX_AGE, v->max_age);
    if (v->etag != NULL)
        copal_msg_add(m, COPAL_OPT_ETAG,
                      (copal_bytes){(const uint8_t *)v->etag, 1});
    body = calloc(1, size + 1);
    assert_non_null(body);
    memcpy(body, v->text, len);
    copal_msg_set_payload(m, COPAL_TEXT, (copal_bytes){body, size});
    free(body);
    copal_respond(ev->exchange, m);
    copal_msg_unref(m);
}

void serve_value(struct world *w, struct value *v, unsigned flags)
{
    if (v->max_age == 0)
        v->max_age = MAX_AGE;
    copal_serve(w->server, COPAL_GET, "/t", flags, COPAL_CB(answer_value, v));
}

void change(struct world *w, struct value *v, const char *text)
{
    snprintf(v->text, sizeof(v->text), "%s", text);
    copal_notify(w->server, "/t");
}

/* ---- The world ---- */

void run_seconds(struct world *w, unsigned seconds)
{
    copal_sim_run(w->sim, 1000ull * seconds);
}

void cut(struct world *w)
{
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.loss = 100});
}

void mend(struct world *w)
{
    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){0});
}

void kill_server(struct world *w)
{
    copal_free(w->server);
    w->server = NULL;
}

void begin_server(struct world *w, struct value *v)
{
    w->server = add_host(w, "server");
    assert_non_null(w->server);
    if (v != NULL)
        serve_value(w, v, COPAL_OBSERVABLE);
}
