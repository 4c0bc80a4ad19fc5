#include "hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MOST_BYTES = 1200,
    PROBE_MS = 200,
    CON = 0x40,
    NON = 0x50,
    ACK = 0x60,
    RST = 0x70
};

struct datagram {
    uint8_t bytes[MOST_BYTES];
    size_t len;
    unsigned option; /* the newest one's number */
};

/* ---- Dice: splitmix64 ---- */

static uint64_t roll(struct hostile *h)
{
    uint64_t z = h->seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static unsigned dice(struct hostile *h, unsigned sides)
{
    return (unsigned)(roll(h) % sides);
}

/* ---- Datagrams ---- */

static void put(struct datagram *d, const void *bytes, size_t len)
{
    memcpy(d->bytes + d->len, bytes, len);
    d->len += len;
}

static void put_random(struct hostile *h, struct datagram *d, size_t len)
{
    for (size_t i = 0; i < len; i++)
        d->bytes[d->len++] = (uint8_t)roll(h);
}

static void begin(struct hostile *h, struct datagram *d, int type, int code)
{
    uint64_t ids = roll(h);
    uint8_t head[8] = {(uint8_t)(type | 4), (uint8_t)code};

    memcpy(head + 2, &ids, 6); /* message id and token */
    d->len = 0;
    d->option = 0;
    put(d, head, sizeof(head));
}

/* RFC 7252 3.1, deltas under 269 and lengths under 13. */
static void option(struct datagram *d, unsigned number, const void *value,
                   size_t len)
{
    unsigned delta = number - d->option;
    uint8_t head[2] = {(uint8_t)((delta < 13 ? delta : 13) << 4 | len),
                       (uint8_t)(delta - 13)};

    d->option = number;
    put(d, head, delta < 13 ? 1 : 2);
    put(d, value, len);
}

static void path(struct datagram *d, const char *segment)
{
    option(d, 11, segment, strlen(segment));
}

static void payload(struct hostile *h, struct datagram *d, size_t len)
{
    put(d, "\xff", 1);
    put_random(h, d, len);
}

static void get(struct hostile *h, struct datagram *d, int type)
{
    static const char *const paths[] = {"test", "large", "obs", "nowhere"};

    begin(h, d, type, 1);
    path(d, paths[dice(h, 4)]);
}

static void well_known(struct hostile *h, struct datagram *d)
{
    begin(h, d, CON, 1);
    path(d, ".well-known");
    path(d, "core");
}

static void change(struct hostile *h, struct datagram *d)
{
    begin(h, d, dice(h, 2) ? CON : NON, dice(h, 2) ? 3 : 2);
    path(d, "large-update");
    payload(h, d, 1 + dice(h, 200));
}

static void observe(struct hostile *h, struct datagram *d)
{
    begin(h, d, dice(h, 4) ? CON : NON, 1);
    option(d, 6, "", 0);
    path(d, "obs");
}

/* The first of many blocks, which the others never follow; or one amid. */
static void half_upload(struct hostile *h, struct datagram *d)
{
    uint8_t num = (uint8_t)(dice(h, 4) ? 0 : dice(h, 16));
    uint8_t block = (uint8_t)(num << 4 | 8 | 6), size[] = {0x0f, 0xff, 0xff};

    begin(h, d, CON, 3);
    path(d, "large-update");
    option(d, 27, &block, 1);
    option(d, 60, size, sizeof(size));
    payload(h, d, 1024);
}

static void some_block(struct hostile *h, struct datagram *d)
{
    uint8_t block = (uint8_t)(dice(h, 16) << 4 | dice(h, 8));

    begin(h, d, CON, 1);
    path(d, "large");
    option(d, 23, &block, 1);
}

static void slow(struct hostile *h, struct datagram *d)
{
    begin(h, d, CON, 1);
    path(d, "separate");
}

/* What nobody asked for: answers, acknowledgements, resets. */
static void stray(struct hostile *h, struct datagram *d)
{
    static const uint8_t codes[] = {69, 68, 132, 0, 0, 160};
    static const int types[] = {CON, NON, ACK, RST};

    begin(h, d, types[dice(h, 4)], codes[dice(h, 6)]);
    if (d->bytes[1] == 0) { /* an empty message has no token */
        d->bytes[0] &= 0xf0;
        d->len = 4;
    }
}

static void noise(struct hostile *h, struct datagram *d)
{
    d->len = 0;
    put_random(h, d, dice(h, 80));
}

static void of_some_kind(struct hostile *h, struct datagram *d)
{
    static void (*const kinds[])(struct hostile *, struct datagram *) = {
        well_known, change, observe, half_upload, some_block, stray,
    };
    unsigned kind = dice(h, 100);

    if (kind < 30)
        get(h, d, kind < 20 ? CON : NON);
    else if (kind < 90)
        kinds[kind % 6](h, d);
    else if (kind < 97)
        noise(h, d);
    else
        slow(h, d);
    if (dice(h, 8) == 0 && d->len > 0) /* mutated */
        for (unsigned i = 1 + dice(h, 3); i > 0; i--)
            d->bytes[dice(h, (unsigned)d->len)] ^= (uint8_t)(1u << dice(h, 8));
}

/* ---- Sending ---- */

/* One message with a source address of its own: all of 127.0.0.0/8 is ours. */
struct envelope {
    struct datagram d;
    struct iovec iov;
    _Alignas(
        struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

static void address(struct hostile *h, struct envelope *e, struct msghdr *m)
{
    uint32_t n = dice(h, HOSTILE_ADDRESSES);
    struct in_pktinfo info = {
        .ipi_spec_dst = {htonl((127u << 24) + (100u << 16) + n)}};
    struct cmsghdr *c;

    e->iov = (struct iovec){e->d.bytes, e->d.len};
    *m = (struct msghdr){.msg_name = &h->server,
                         .msg_namelen = sizeof(h->server),
                         .msg_iov = &e->iov,
                         .msg_iovlen = 1,
                         .msg_control = e->control,
                         .msg_controllen = sizeof(e->control)};
    memset(e->control, 0, sizeof(e->control));
    c = CMSG_FIRSTHDR(m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(c), &info, sizeof(info));
}

static void send_burst(struct hostile *h)
{
    static _Thread_local struct envelope envelopes[HOSTILE_BURST];
    struct mmsghdr all[HOSTILE_BURST];
    uint64_t bytes = 0;
    int sent;

    for (int i = 0; i < HOSTILE_BURST; i++) {
        of_some_kind(h, &envelopes[i].d);
        address(h, &envelopes[i], &all[i].msg_hdr);
        bytes += envelopes[i].d.len;
    }
    sent = sendmmsg(h->fds[dice(h, HOSTILE_PORTS)], all, HOSTILE_BURST, 0);
    if (sent > 0) {
        atomic_fetch_add(&h->sent, (unsigned)sent);
        atomic_fetch_add(&h->bytes_sent,
                         bytes * (unsigned)sent / HOSTILE_BURST);
    }
}

static void drop_answers(struct hostile *h)
{
    static _Thread_local uint8_t bytes[65536];

    for (int i = 0; i < HOSTILE_PORTS; i++)
        for (int j = 0; j < 1000; j++) {
            ssize_t got = recv(h->fds[i], bytes, sizeof(bytes), MSG_DONTWAIT);

            if (got < 0)
                break;
            atomic_fetch_add(&h->heard, 1);
            atomic_fetch_add(&h->bytes_heard, (unsigned)got);
        }
}

/* A ping, whose RST says that everything before it was read: RFC 7252 4.3. */
static void wait_for_server(struct hostile *h)
{
    uint16_t mid = h->mid++;
    uint8_t ping[4] = {CON, 0, (uint8_t)(mid >> 8), (uint8_t)mid}, answer[64];
    struct pollfd fd = {.fd = h->probe, .events = POLLIN};

    (void)sendto(h->probe, ping, sizeof(ping), 0, (struct sockaddr *)&h->server,
                 sizeof(h->server));
    while (poll(&fd, 1, PROBE_MS) > 0)
        if (recv(h->probe, answer, sizeof(answer), MSG_DONTWAIT) == 4 &&
            memcmp(answer + 2, ping + 2, 2) == 0)
            return;
    atomic_fetch_add(&h->unheard_probes, 1);
}

void *hostile_run(void *hostile)
{
    struct hostile *h = hostile;

    while (!atomic_load(&h->is_over) && atomic_load(&h->sent) < h->most) {
        send_burst(h);
        wait_for_server(h);
        drop_answers(h);
    }
    return NULL;
}

/* ---- Sockets ---- */

static int open_socket(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

bool hostile_open(struct hostile *h)
{
    bool is_open = (h->probe = open_socket()) >= 0;

    for (int i = 0; i < HOSTILE_PORTS; i++)
        is_open = (h->fds[i] = open_socket()) >= 0 && is_open;
    return is_open;
}

void hostile_close(struct hostile *h)
{
    close(h->probe);
    for (int i = 0; i < HOSTILE_PORTS; i++)
        close(h->fds[i]);
}
