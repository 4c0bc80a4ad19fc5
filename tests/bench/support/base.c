/* The least that a server can do, which is what the kernel charges: "base PORT
 * BYTES" answers any request on 127.0.0.0/8 by a constant, from the address that
 * was asked, and reads nothing of it but its header and token. With "observe" or
 * "observe-con" behind that every GET makes an observer, and every other request
 * tells all of them; nothing is repeated, ACKs are read and forgotten, those of
 * one batch before the next leaves: what overflows a receive buffer costs nothing,
 * and is no notification that was confirmed. It ends by a signal, or after ten
 * minutes. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 64,
    ROOM = 2048,
    CONTROL = CMSG_SPACE(sizeof(struct in_pktinfo)),
    LONGEST = 1400,
    SECONDS = 600
};

struct slot {
    struct sockaddr_in peer;
    struct iovec part;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    uint8_t data[ROOM];
};

struct observer {
    struct sockaddr_in peer;
    struct in_addr local;
    uint8_t token[8], token_len;
};

static struct slot slots[BATCH];
static struct mmsghdr heads[BATCH], leaving[BATCH], heard[BATCH];
static struct slot acks[BATCH];
static uint8_t payload[1 + LONGEST];
static size_t payload_len;

static struct observer *observers;
static size_t observer_count, observer_room;
static uint16_t mid;
static uint32_t version;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static int open_socket(uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int on = 1, room = 4 << 20;

    if (fd < 0)
        die("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0)
        die("bind");
    return fd;
}

static void set_up_slot(struct slot *s, struct mmsghdr *head)
{
    s->part = (struct iovec){s->data, ROOM};
    head->msg_hdr = (struct msghdr){
        .msg_name = &s->peer,
        .msg_namelen = sizeof(s->peer),
        .msg_iov = &s->part,
        .msg_iovlen = 1,
        .msg_control = s->control,
        .msg_controllen = CONTROL,
    };
}

static void set_up(unsigned i)
{
    set_up_slot(&slots[i], &heads[i]);
}

static void send_all(int fd, struct mmsghdr *out, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        int n = sendmmsg(fd, out + done, count - done, 0);

        done += n > 0 ? (unsigned)n : 1; /* what does not fit is lost */
    }
}

/* ---- One request ---- */

static struct in_pktinfo *info_of(struct msghdr *head)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(head);

    return c != NULL && c->cmsg_type == IP_PKTINFO ? (void *)CMSG_DATA(c)
                                                   : NULL;
}

/* No stranger's, whatever interface it came by. */
static bool is_ours(const struct slot *s, const struct in_pktinfo *info)
{
    return info != NULL && ntohl(s->peer.sin_addr.s_addr) >> 24 == 127 &&
           ntohl(info->ipi_addr.s_addr) >> 24 == 127;
}

/* The answer is written over the request, whose token it has. 0: none. */
static size_t answer(uint8_t *m, size_t len, bool observes)
{
    size_t tkl = m[0] & 15u, at = 4 + tkl;
    unsigned type = m[0] >> 4 & 3u;

    if (len < at || m[0] >> 6 != 1 || type > 1 || tkl > 8 || m[1] == 0 ||
        m[1] > 31)
        return 0;
    m[0] = (uint8_t)((type == 0 ? 0x60 : 0x50) | tkl);
    if (m[1] != 1) {
        m[1] = 0x44; /* 2.04 */
        return at;
    }
    m[1] = 0x45; /* 2.05 */
    if (observes)
        m[at++] = 0x60; /* Observe: 0 */
    memcpy(m + at, payload, payload_len + 1);
    return at + payload_len + 1;
}

/* A batch in, its answers out. The control data of a request serves its answer:
 * from where it was sent to. */
static unsigned serve(int fd)
{
    unsigned count = 0;
    int n = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++) {
        struct slot *s = &slots[i];
        struct in_pktinfo *info = info_of(&heads[i].msg_hdr);
        size_t len =
            is_ours(s, info) ? answer(s->data, heads[i].msg_len, false) : 0;

        if (len == 0)
            continue;
        info->ipi_spec_dst = info->ipi_addr;
        info->ipi_ifindex = 0;
        s->part.iov_len = len;
        leaving[count++] = heads[i];
    }
    send_all(fd, leaving, count);
    for (int i = 0; i < n; i++)
        set_up((unsigned)i);
    return n < 0 ? 0 : (unsigned)n;
}

/* ---- Observers ---- */

static void remember(const struct slot *s, const struct in_pktinfo *info)
{
    struct observer *o;

    if (observer_count == observer_room) {
        observer_room = observer_room == 0 ? 1024 : 2 * observer_room;
        observers = realloc(observers, observer_room * sizeof(*observers));
        if (observers == NULL)
            die("realloc");
    }
    o = &observers[observer_count++];
    o->peer = s->peer;
    o->local = info->ipi_addr;
    o->token_len = s->data[0] & 15u;
    memcpy(o->token, s->data + 4, o->token_len);
}

static void write_notification(unsigned i, const struct observer *o,
                               bool is_con)
{
    struct slot *s = &slots[i];
    struct cmsghdr *c = (void *)s->control;
    struct in_pktinfo info = {.ipi_spec_dst = o->local};
    uint8_t *m = s->data;

    mid++;
    m[0] = (uint8_t)((is_con ? 0x40 : 0x50) | o->token_len);
    m[1] = 0x45;
    m[2] = (uint8_t)(mid >> 8);
    m[3] = (uint8_t)mid;
    memcpy(m + 4, o->token, o->token_len);
    m += 4 + o->token_len;
    *m++ = 0x63; /* Observe, three bytes */
    *m++ = (uint8_t)(version >> 16);
    *m++ = (uint8_t)(version >> 8);
    *m++ = (uint8_t)version;
    memcpy(m, payload, payload_len + 1);
    set_up(i);
    s->part.iov_len = (size_t)(m - s->data) + payload_len + 1;
    s->peer = o->peer;
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(info)),
        .cmsg_level = IPPROTO_IP,
        .cmsg_type = IP_PKTINFO,
    };
    memcpy(CMSG_DATA(c), &info, sizeof(info));
}

/* All that can come before the last of them were told, for one asks, and waits. */
static void forget_acks(int fd)
{
    int n = recvmmsg(fd, heard, BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++)
        set_up_slot(&acks[i], &heard[i]);
}

static void tell_all(int fd, bool is_con)
{
    unsigned count = 0;

    version++;
    for (size_t i = 0; i < observer_count; i++) {
        write_notification(count++, &observers[i], is_con);
        if (count == BATCH || i + 1 == observer_count) {
            send_all(fd, heads, count);
            count = 0;
            if (is_con && i + 1 < observer_count)
                forget_acks(fd);
        }
    }
}

/* Acknowledgements are many, so they too are read by the batch. */
static void serve_observers(int fd, bool is_con)
{
    bool changed = false;
    int n = recvmmsg(fd, heads, BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++) {
        struct slot *s = &slots[i];
        struct in_pktinfo *info = info_of(&heads[i].msg_hdr);
        bool registers = s->data[1] == 1;
        size_t len;

        if (!is_ours(s, info) || heads[i].msg_len < 4)
            continue;
        len = answer(s->data, heads[i].msg_len, registers);
        if (len == 0)
            continue;
        if (registers)
            remember(s, info);
        changed |= !registers;
        info->ipi_spec_dst = info->ipi_addr;
        info->ipi_ifindex = 0;
        s->part.iov_len = len;
        send_all(fd, &heads[i], 1);
    }
    if (changed)
        tell_all(fd, is_con);
    for (unsigned i = 0; i < BATCH; i++)
        set_up(i);
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN};
    bool observes = argc > 3, is_con = observes && strstr(argv[3], "-con");
    int fd, poll = epoll_create1(0);

    if (argc < 3 || (payload_len = strtoul(argv[2], NULL, 10)) > LONGEST) {
        fprintf(stderr, "usage: base PORT BYTES [observe|observe-con]\n");
        return 2;
    }
    alarm(SECONDS);
    memset(payload, 'x', sizeof(payload));
    payload[0] = 0xff;
    fd = open_socket((uint16_t)atoi(argv[1]));
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0)
        die("epoll");
    for (unsigned i = 0; i < BATCH; i++) {
        set_up(i);
        set_up_slot(&acks[i], &heard[i]);
    }
    for (;;) {
        if (epoll_wait(poll, &event, 1, -1) < 0 && errno != EINTR)
            die("epoll_wait");
        if (observes)
            serve_observers(fd, is_con);
        else
            while (serve(fd) == BATCH)
                continue;
    }
}
