#include "wire.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include "load.h"

enum {
    FIRST_ADDRESS = 0x7f010000 /* 127.1.0.0 is the first client's */
};

uint64_t wire_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void set_up(struct wire *w, unsigned i)
{
    struct cmsghdr *c = (void *)w->control[i];

    w->in_part[i] = (struct iovec){w->in_data[i], WIRE_ROOM};
    w->in[i].msg_hdr =
        (struct msghdr){.msg_iov = &w->in_part[i], .msg_iovlen = 1};
    *c = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo)),
        .cmsg_level = IPPROTO_IP,
        .cmsg_type = IP_PKTINFO,
    };
    w->out_part[i].iov_base = w->out_data[i];
    w->out[i].msg_hdr = (struct msghdr){
        .msg_name = &w->server,
        .msg_namelen = sizeof(w->server),
        .msg_iov = &w->out_part[i],
        .msg_iovlen = 1,
        .msg_control = c,
        .msg_controllen = sizeof(w->control[i]),
    };
}

void wire_open(struct wire *w, uint16_t port)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    struct timeval patience = {.tv_usec = 20000};
    int room = 8 << 20;

    w->server =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    w->server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (w->fd < 0)
        load_die("socket");
    if (setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
        (void)setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    (void)setsockopt(w->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof(patience)) != 0 ||
        bind(w->fd, (struct sockaddr *)&any, sizeof(any)) != 0)
        load_die("bind");
    for (unsigned i = 0; i < WIRE_BATCH; i++)
        set_up(w, i);
}

uint8_t *wire_put(struct wire *w, uint32_t client, size_t len)
{
    struct in_pktinfo info = {0};
    unsigned i;

    if (w->out_count == WIRE_BATCH)
        wire_flush(w);
    i = w->out_count++;
    info.ipi_spec_dst.s_addr = htonl(FIRST_ADDRESS + client);
    memcpy(CMSG_DATA((struct cmsghdr *)(void *)w->control[i]), &info,
           sizeof(info));
    w->out_part[i].iov_len = len;
    return w->out_data[i];
}

/* What the system does not take is sent again when it is overdue. */
void wire_flush(struct wire *w)
{
    for (unsigned done = 0; done < w->out_count;) {
        int n = sendmmsg(w->fd, w->out + done, w->out_count - done, 0);

        if (n > 0)
            done += (unsigned)n;
        else if (errno != EINTR && errno != ECONNREFUSED)
            done++;
    }
    w->out_count = 0;
}

unsigned wire_receive(struct wire *w)
{
    int n = recvmmsg(w->fd, w->in, WIRE_BATCH, MSG_WAITFORONE, NULL);

    return n > 0 ? (unsigned)n : 0;
}
