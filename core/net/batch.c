#include "net/batch.h"

#include <errno.h>
#include <stddef.h>

static int error_of_now(void)
{
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

/* Systems that do not know of it would send all as one. */
bool cp_batch_can_cut(int fd)
{
    int size = 0;
    socklen_t len = sizeof(size);

    return CP_CUT != 0 && getsockopt(fd, IPPROTO_UDP, CP_CUT, &size, &len) == 0;
}

#ifdef __linux__

int cp_batch_receive(int fd, struct cp_datagram_slot *slots, unsigned count)
{
    int n;

    do
        n = recvmmsg(fd, slots, count, MSG_DONTWAIT, NULL);
    while (n < 0 && errno == EINTR);
    return n > 0 ? n : n < 0 ? error_of_now() : -EAGAIN;
}

int cp_batch_send(int fd, struct cp_datagram_slot *slots, unsigned count)
{
    int n;

    do
        n = sendmmsg(fd, slots, count, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n > 0 ? n : n < 0 ? error_of_now() : -EAGAIN;
}

#else

int cp_batch_receive(int fd, struct cp_datagram_slot *slots, unsigned count)
{
    unsigned done = 0;

    while (done < count) {
        ssize_t n = recvmsg(fd, &slots[done].msg_hdr, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        slots[done++].msg_len = (unsigned)n;
    }
    return done > 0 ? (int)done : error_of_now();
}

int cp_batch_send(int fd, struct cp_datagram_slot *slots, unsigned count)
{
    unsigned done = 0;

    while (done < count) {
        ssize_t n = sendmsg(fd, &slots[done].msg_hdr, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        slots[done++].msg_len = (unsigned)n;
    }
    return done > 0 ? (int)done : error_of_now();
}

#endif
