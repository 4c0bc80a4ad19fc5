#include "world.h"
#include "net/sim_world.h"

enum {
    BODY = 4096
};

/* ---- Input ---- */

unsigned take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

copal_bytes take_bytes(struct input *in, size_t n)
{
    size_t left = (size_t)(in->end - in->at);
    copal_bytes taken = {in->at, n < left ? n : left};

    in->at += taken.len;
    return taken;
}

uint64_t take_time(struct input *in)
{
    static const uint32_t ms[] = {0,    1,    100,   250,   1000,   2000,
                                  3000, 5000, 20000, 94000, 130000, 250000};
    unsigned b = take(in);

    return ms[b % (sizeof(ms) / sizeof(ms[0]))] + b / 16;
}

/* ---- Memory ---- */

/* The size stands before what is handed out. */
void *counting_realloc(void *user, void *p, size_t n)
{
    size_t *allocated = user;
    size_t *before = p == NULL ? NULL : (size_t *)p - 2, *after;

    if (before != NULL)
        *allocated -= before[0];
    if (n == 0) {
        free(before);
        return NULL;
    }
    after = realloc(before, n + 2 * sizeof(size_t));
    require(after != NULL);
    after[0] = n;
    *allocated += n;
    return after + 2;
}

/* Of what is made up here; the endpoints have their own. */
static struct cp_mem *memory(void)
{
    static struct cp_mem *mem;

    if (mem == NULL)
        mem = cp_mem_new(NULL, NULL);
    require(mem != NULL);
    return mem;
}

/* ---- What crosses the wire ---- */

static void keep(struct tap *t, copal_msg *m)
{
    copal_msg **place = &t->sent[t->count++ % MAX_SENT];

    copal_msg_unref(*place);
    *place = m;
}

/* All that an endpoint sends can be decoded. */
static int send_tapped(struct cp_link *l, const struct cp_path *path,
                       copal_bytes datagram)
{
    struct tap *t = cp_container_of((struct cp_link_ops *)(uintptr_t)l->ops,
                                    struct tap, ops);
    struct cp_header header;
    copal_msg *m;

    if (cp_datagram_is_dtls(datagram)) /* of who asks by coaps */
        return t->real->send(l, path, datagram);
    require(cp_header_read(datagram, &header) == 0);
    require(cp_datagram_decode(memory(), &header, &m) == 0);
    m->path = *path;
    keep(t, m);
    if (t->on_sent != NULL)
        t->on_sent(t->user, &path->remote, datagram);
    return t->real->send(l, path, datagram);
}

void tap_open(struct tap *t, copal_sim *sim, const char *host)
{
    struct cp_host *h = cp_host_named(sim, host);

    require(h != NULL);
    t->real = h->link.ops;
    t->ops = *t->real;
    t->ops.send = send_tapped;
    h->link.ops = &t->ops;
}

void tap_close(struct tap *t)
{
    for (size_t i = 0; i < MAX_SENT; i++)
        copal_msg_unref(t->sent[i]);
}

void require_no_messages(void)
{
    require(cp_mem_used(memory()) == 0);
}

const copal_msg *tap_recall(const struct tap *t, unsigned back)
{
    size_t kept = t->count < MAX_SENT ? t->count : MAX_SENT;

    return kept == 0 ? NULL : t->sent[(t->count - 1 - back % kept) % MAX_SENT];
}

/* ---- Messages made up ---- */

copal_msg *make_message(int code)
{
    copal_msg *m = cp_msg_new(memory(), code, 0);

    require(m != NULL);
    return m;
}

void inject_message(copal_sim *sim, const char *from, const char *host,
                    copal_msg *m, unsigned type, unsigned mid,
                    copal_bytes token)
{
    struct cp_buf b = cp_buf_new(memory());

    require(cp_datagram_encode(m, (uint8_t)(type & 3), (uint16_t)mid, token,
                               &b) == 0);
    copal_sim_inject(sim, from, host, cp_bytes(b.data, b.len));
    cp_buf_free(&b);
    copal_msg_unref(m);
}

copal_bytes some_body(size_t offset, size_t len)
{
    static uint8_t body[BODY];

    if (body[0] == 0)
        for (size_t i = 0; i < sizeof(body); i++)
            body[i] = (uint8_t)('a' + i % 23 + i / 512);
    offset %= 512;
    return (copal_bytes){body + offset,
                         len < BODY - offset ? len : BODY - offset};
}
