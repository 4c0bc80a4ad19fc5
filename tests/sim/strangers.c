#include "strangers.h"
#include "wire/datagram.h"

int build_guarded(void **state)
{
    struct world *w;
    int err = build_bodies(state);

    w = *state;
    tune(w->server, COPAL_P_GUARD_LOOPBACK, 1);
    copal_sim_keep(w->sim, 0);
    return err;
}

struct bytes datagram_of(struct world *w, const char *text, unsigned mid,
                         size_t size)
{
    struct bytes d = {.len = 0};
    struct cp_buf out = cp_buf_fixed(d.data, sizeof(d.data));
    copal_msg *m = message_of(w->client, text + 4);
    uint8_t token[2] = {(uint8_t)(mid >> 8), (uint8_t)mid};
    copal_bytes datagram;

    if (size > 0)
        copal_msg_set_payload(m, COPAL_NO_FORMAT, body_of(size, 1));
    assert_int_equal(cp_datagram_encode(m, text[0] == 'C' ? CP_CON : CP_NON,
                                        (uint16_t)mid, cp_bytes(token, 2),
                                        &out),
                     0);
    copal_msg_unref(m);
    assert_int_equal(cp_buf_finish(&out, &datagram), 0);
    d.len = datagram.len;
    return d;
}

const char *stranger(unsigned i)
{
    static char name[20];

    snprintf(name, sizeof(name), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255,
             i & 255);
    return name;
}

void send_as(struct world *w, const char *from, const struct bytes *d)
{
    assert_int_equal(copal_sim_inject(w->sim, from, "server",
                                      (copal_bytes){d->data, d->len}),
                     0);
}

void flood(struct world *w, unsigned from, unsigned to, const struct bytes *d)
{
    for (unsigned i = from; i < to; i++) {
        send_as(w, stranger(i), d);
        if (i % 64 == 63)
            run(w, 0);
    }
    run(w, 0);
}

copal_stats stats_of(copal *c)
{
    copal_stats s = {.size = sizeof(s)};

    copal_get_stats(c, &s);
    return s;
}

/* ---- Limits ---- */

static struct limits the_limits;

static void note_limit(const copal_event *ev, void *user)
{
    struct limits *l = user;
    const char *what = strstr(ev->text, "\"limit\",\"what\":\"");
    char name[24] = "";
    size_t i = 0;

    if (what == NULL || sscanf(what + 16, "%23[a-z_]", name) != 1)
        return;
    while (l->hits[i] > 0 && strcmp(l->name[i], name) != 0)
        i++;
    snprintf(l->name[i], sizeof(l->name[i]), "%s", name);
    l->hits[i]++;
}

struct limits *count_limits(copal *c)
{
    the_limits = (struct limits){0};
    copal_trace(c, COPAL_TRACE_STATE, COPAL_CB(note_limit, &the_limits));
    return &the_limits;
}

unsigned hits_of(const struct limits *l, const char *name)
{
    for (size_t i = 0; i < 16; i++)
        if (l->hits[i] > 0 && strcmp(l->name[i], name) == 0)
            return l->hits[i];
    return 0;
}
