#include "bodies.h"
#include <stdlib.h>
#include "wire/block.h"
#include "wire/datagram.h"

static struct party *parties;
static struct tap the_tap;

/* ---- Bodies ---- */

copal_bytes body_of(size_t n, unsigned version)
{
    static uint8_t body[LONGEST_BODY];

    for (size_t i = 0; i < n; i++)
        body[i] = (uint8_t)(i * 7 + i / 251 + version * 101 + 128);
    return (copal_bytes){body, n};
}

void assert_body(const struct party *p, size_t n, unsigned version)
{
    assert_int_equal(p->len, n);
    if (n > 0)
        assert_memory_equal(p->body, body_of(n, version).data, n);
}

void assert_log(const struct party *p, const char *expected)
{
    assert_string_equal(p->log, expected);
}

/* ---- Parties ---- */

static struct party *new_party(struct world *w)
{
    struct party *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->w = w;
    p->status = 1;
    p->code = -1;
    p->version = 1;
    p->format = COPAL_NO_FORMAT;
    p->next = parties;
    parties = p;
    return p;
}

static void forget_parties(void)
{
    struct party *p = parties;

    parties = NULL;
    while (p != NULL) {
        struct party *next = p->next;

        if (p->is_asked && p->ends != 1)
            fail_msg("END came %d times", p->ends);
        if (p->drops != 1)
            fail_msg("a callback was dropped %d times", p->drops);
        free(p->body);
        free(p);
        p = next;
    }
}

static void let_go_of_all(void)
{
    for (struct party *p = parties; p != NULL; p = p->next)
        release(p);
}

int build_bodies(void **state)
{
    parties = NULL;
    return build(state);
}

int tear_down_bodies(void **state)
{
    let_go_of_all();
    tear_down(state);
    forget_parties();
    return 0;
}

static scenario *playing;

static void play_and_forget(struct world *w)
{
    parties = NULL;
    playing(w);
    let_go_of_all();
    copal_free(w->client); /* END and drop come while the parties are there */
    copal_free(w->server);
    forget_parties();
}

void bodies_once(scenario *scene)
{
    struct world *w = new_world(1, 0);

    playing = scene;
    play_and_forget(w);
    free_world(w);
}

void bodies_in_bad_weather(scenario *scene, unsigned seeds)
{
    playing = scene;
    bad_weather(play_and_forget, seeds);
}

void bodies_with_failed_allocations(scenario *scene)
{
    playing = scene;
    for_each_failed_allocation(play_and_forget);
}

static void say(struct party *p, const char *format, ...)
{
    size_t len = strlen(p->log);
    va_list list;

    va_start(list, format);
    vsnprintf(p->log + len, sizeof(p->log) - len, format, list);
    va_end(list);
}

static void take(struct party *p, uint64_t offset, copal_bytes piece)
{
    uint8_t *body = realloc(p->body, (size_t)offset + piece.len + 1);

    assert_non_null(body);
    p->body = body;
    p->len = (size_t)offset + piece.len;
    if (piece.len > 0)
        memcpy(body + offset, piece.data, piece.len);
}

static void note_message(struct party *p, const copal_event *ev)
{
    copal_bytes payload = copal_msg_payload(ev->msg);

    if (ev->kind == COPAL_CHUNK) {
        p->chunks++;
        say(p, "chunk %u +%zu%s\n", (unsigned)ev->offset, payload.len,
            ev->last ? " last" : "");
        take(p, ev->offset, payload);
        return;
    }
    copal_msg_unref(p->msg);
    p->msg = copal_msg_ref(ev->msg);
    p->code = copal_msg_code(ev->msg);
    if (ev->kind == COPAL_REQUEST)
        say(p, "%s", copal_name(COPAL_CODES, p->code));
    else
        say(p, "%d.%02d", p->code >> 5, p->code & 31);
    say(p, " %zu bytes\n", payload.len);
    take(p, 0, payload);
}

static void note(struct party *p, const copal_event *ev)
{
    if (ev->kind == COPAL_REQUEST)
        p->want = 0; /* what an earlier one asked for is history */
    p->requests += ev->kind == COPAL_REQUEST;
    p->responses += ev->kind == COPAL_RESPONSE;
    p->ends += ev->kind == COPAL_END;
    assert_int_equal(p->drops, 0);
    if (ev->msg != NULL)
        note_message(p, ev);
    if (ev->kind == COPAL_PULL) {
        p->pulls++;
        p->pull_at = ev->offset;
        p->want = ev->want;
        say(p, "pull %u +%zu\n", (unsigned)ev->offset, ev->want);
    } else if (ev->kind == COPAL_PROGRESS) {
        p->progresses++;
        say(p, "progress %u of %u\n", (unsigned)ev->offset,
            (unsigned)ev->total);
    } else if (ev->kind == COPAL_END) {
        p->status = ev->status;
        say(p, "end %s\n", ev->status == 0 ? "OK" : copal_errname(ev->status));
    }
}

static copal_msg *answer_of(struct party *p)
{
    copal_msg *m = copal_msg_new(copal_exchange_endpoint(p->x),
                                 p->answer == 0 ? COPAL_CONTENT : p->answer);

    copal_msg_set_flags(m, p->flags);
    if (p->etag != NULL)
        copal_msg_add_text(m, COPAL_OPT_ETAG, p->etag);
    if (p->size_option != 0)
        copal_msg_add_uint(m, p->size_option, (uint32_t)p->size);
    if ((p->flags & COPAL_STREAM_OUT) == 0 && p->size > 0)
        copal_msg_set_payload(m, p->format, body_of(p->size, p->version));
    return m;
}

static int write_piece(struct party *p)
{
    size_t offset = (size_t)p->pull_at, n = 0, want = p->want;

    p->want = 0;
    if (offset < p->size)
        n = p->size - offset < want ? p->size - offset : want;
    return copal_write(
        p->x, (copal_bytes){body_of(p->size, p->version).data + offset, n},
        offset + n >= p->size);
}

int give(struct party *p)
{
    copal_msg *m;
    int err;

    if (p->want > 0)
        return write_piece(p);
    m = answer_of(p);
    err = copal_respond(p->x, m);
    copal_msg_unref(m);
    return err;
}

static void note_exchange(struct party *p, copal_exchange *x)
{
    p->x = x;
    if (!p->holds || p->kept == x)
        return;
    copal_exchange_unref(p->kept);
    p->kept = copal_exchange_ref(x);
}

static void on_event(const copal_event *ev, void *user)
{
    struct party *p = user;
    bool is_whole = ev->kind == COPAL_REQUEST || ev->last;

    note(p, ev);
    note_exchange(p, ev->exchange);
    if (p->pauses && (ev->kind == COPAL_CHUNK || ev->kind == COPAL_RESPONSE ||
                      ev->kind == COPAL_REQUEST))
        copal_pause(ev->exchange);
    if (p->holds || ev->kind == COPAL_END)
        return;
    if (ev->kind == COPAL_PULL)
        write_piece(p);
    else if (!p->is_asked && is_whole && !p->pauses)
        give(p);
}

static void on_chunked(const copal_event *ev, void *user)
{
    struct party *p = user;

    if (ev->kind != COPAL_REQUEST) {
        on_event(ev, user);
        return;
    }
    note(p, ev);
    note_exchange(p, ev->exchange);
    if (p->pauses)
        copal_pause(ev->exchange);
}

static void on_drop(void *user)
{
    struct party *p = user;

    p->drops++;
}

void release(struct party *p)
{
    copal_exchange_unref(p->kept);
    p->x = p->kept = NULL;
    p->holds = false;
    copal_msg_unref(p->msg);
    p->msg = NULL;
}

struct party *serve_body(struct world *w, int method, const char *path,
                         unsigned flags, size_t size)
{
    struct party *p = new_party(w);

    p->size = size;
    copal_serve(
        w->server, method, path, flags,
        COPAL_CB_OWN((flags & COPAL_STREAMED) != 0 ? on_chunked : on_event, p,
                     on_drop));
    return p;
}

copal_msg *request_of(struct world *w, int code, const char *uri, size_t size)
{
    copal_msg *m = copal_msg_new(w->client, code);

    copal_msg_set_uri(m, uri);
    if (size > 0)
        copal_msg_set_payload(m, COPAL_NO_FORMAT, body_of(size, 1));
    return m;
}

struct party *send_request(struct world *w, copal_msg *m)
{
    struct party *p = new_party(w);
    copal_exchange *x =
        copal_request(w->client, m, COPAL_CB_OWN(on_event, p, on_drop));

    p->is_asked = x != NULL;
    p->x = x;
    copal_msg_unref(m);
    return p;
}

struct party *ask_body(struct world *w, int code, const char *uri, size_t size)
{
    return send_request(w, request_of(w, code, uri, size));
}

struct party *observe_body(struct world *w, const char *uri)
{
    copal_msg *m = request_of(w, COPAL_GET, uri, 0);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return send_request(w, m);
}

struct party *observe_apart(struct world *w, const char *uri, int i)
{
    copal_msg *m = request_of(w, COPAL_GET, uri, 0);

    copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    copal_msg_tune(m, COPAL_P_SILENCE, i + 1);
    return send_request(w, m);
}

/* ---- A peer played by hand ---- */

static void copy_field(const char *line, const char *key, char *out, size_t cap)
{
    const char *at = strstr(line, key);
    size_t n = 0;

    if (at != NULL)
        for (at += strlen(key); at[n] != '"' && at[n] != ',' && n + 1 < cap;)
            n++;
    if (n > 0)
        memcpy(out, at, n);
    out[n] = '\0';
}

static void on_trace(const copal_event *ev, void *user)
{
    struct tap *t = user;
    char hex[40], number[16], code[8];

    if (strstr(ev->text, "\"ev\":\"out\"") == NULL)
        return;
    copy_field(ev->text, "\"code\":\"", code, sizeof(code));
    if (strcmp(code, "0.00") == 0)
        return;
    t->count++;
    snprintf(t->line, sizeof(t->line), "%s", ev->text);
    memcpy(t->code, code, sizeof(code));
    copy_field(ev->text, "\"type\":\"", t->type, sizeof(t->type));
    copy_field(ev->text, "\"mid\":", number, sizeof(number));
    t->mid = (unsigned)strtoul(number, NULL, 10);
    copy_field(ev->text, "\"token\":\"", hex, sizeof(hex));
    t->token_len = strlen(hex) / 2;
    for (size_t i = 0; i < t->token_len && i < sizeof(t->token); i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        t->token[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

struct tap *tap_of(copal *c)
{
    the_tap = (struct tap){0};
    copal_trace(c, COPAL_TRACE_WIRE, COPAL_CB(on_trace, &the_tap));
    return &the_tap;
}

struct tap *tap_client(struct world *w)
{
    return tap_of(w->client);
}

static void add_block(copal_msg *m, int option, const char *text)
{
    unsigned num, more, size;

    assert_int_equal(sscanf(text, "%u/%u/%u", &num, &more, &size), 3);
    copal_msg_add_uint(m, option,
                       cp_block_encode((struct cp_block){.num = num,
                                                         .size = (uint16_t)size,
                                                         .more = more != 0}));
}

static void add_hex(copal_msg *m, int option, const char *hex)
{
    uint8_t value[64];
    size_t n = strlen(hex) / 2;

    assert_true(n <= sizeof(value));

    for (size_t i = 0; i < n; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};

        value[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    copal_msg_add(m, option, (copal_bytes){value, n});
}

static void add_word(copal_msg *m, const char *word)
{
    const struct {
        const char *name;
        int option;
    } numbers[] = {{"obs=", COPAL_OPT_OBSERVE},
                   {"size1=", COPAL_OPT_SIZE1},
                   {"size2=", COPAL_OPT_SIZE2},
                   {"ct=", COPAL_OPT_CONTENT_FORMAT}};

    if (strncmp(word, "1:", 2) == 0)
        add_block(m, COPAL_OPT_BLOCK1, word + 2);
    else if (strncmp(word, "2:", 2) == 0)
        add_block(m, COPAL_OPT_BLOCK2, word + 2);
    else if (strncmp(word, "q1:", 3) == 0)
        add_block(m, COPAL_OPT_Q_BLOCK1, word + 3);
    else if (strncmp(word, "q2:", 3) == 0)
        add_block(m, COPAL_OPT_Q_BLOCK2, word + 3);
    else if (strncmp(word, "etag=", 5) == 0)
        add_hex(m, COPAL_OPT_ETAG, word + 5);
    else if (strncmp(word, "tag=", 4) == 0)
        add_hex(m, COPAL_OPT_REQUEST_TAG, word + 4);
    else if (strncmp(word, "echo=", 5) == 0)
        add_hex(m, COPAL_OPT_ECHO, word + 5);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strncmp(word, numbers[i].name, strlen(numbers[i].name)) == 0)
            copal_msg_add_uint(
                m, numbers[i].option,
                (uint32_t)strtoul(word + strlen(numbers[i].name), NULL, 10));
}

copal_msg *message_of(copal *c, const char *text)
{
    char copy[256], *rest = copy, *word;
    copal_msg *m;
    unsigned cls, detail;

    snprintf(copy, sizeof(copy), "%s", text);
    word = strtok_r(rest, " ", &rest);
    if (sscanf(word, "%u.%u", &cls, &detail) == 2) {
        m = copal_msg_new(c, COPAL_CODE((int)cls, (int)detail));
    } else {
        m = copal_msg_new(c, copal_number(COPAL_CODES, word));
        copal_msg_set_uri(m, strtok_r(NULL, " ", &rest));
    }
    while ((word = strtok_r(NULL, " ", &rest)) != NULL)
        add_word(m, word);
    return m;
}

void play(struct world *w, const struct tap *t, const char *text, unsigned mid,
          copal_bytes payload)
{
    uint8_t storage[2048];
    struct cp_buf out = cp_buf_fixed(storage, sizeof(storage));
    uint8_t type = text[0] == 'A' ? CP_ACK : text[0] == 'N' ? CP_NON : CP_CON;
    copal_msg *m = message_of(w->client, text + 4);
    copal_bytes datagram;

    if (payload.len > 0)
        copal_msg_set_payload(m, copal_msg_format(m), payload);
    assert_int_equal(cp_datagram_encode(m, type,
                                        (uint16_t)(mid == 0 ? t->mid : mid),
                                        cp_bytes(t->token, t->token_len), &out),
                     0);
    copal_msg_unref(m);
    assert_int_equal(cp_buf_finish(&out, &datagram), 0);
    assert_int_equal(copal_sim_inject(w->sim, "server", "client", datagram), 0);
    copal_sim_run(w->sim, 0);
}
