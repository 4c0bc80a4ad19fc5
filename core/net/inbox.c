#include "net/inbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "engine/engine.h"
#include "net/batch.h"
#include "net/outbox.h"
#include "net/route.h"
#include "net/sockaddr.h"
#ifdef __linux__
#include <linux/errqueue.h>
#endif

enum {
    SLOT = 2048,   /* nearly every datagram fits here */
    LARGE = 65536, /* where the rest of a larger one goes */
    CONTROL = 256,
    LONELY = 16,    /* batches of one in a row */
    MAX_ERRORS = 64 /* of the error queue, before datagrams are read */
};

/* About 210 KiB of which only what was used is ever touched: the slots a batch
 * did not fill cost address space, not memory. */
struct cp_inbox {
    struct cp_datagram_slot heads[CP_BATCH];
    struct iovec parts[CP_BATCH][2];
    union cp_sockaddr names[CP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[CP_BATCH][CONTROL];
    struct cp_path paths[CP_BATCH];
    struct cp_foreseen foreseen[CP_BATCH];
    bool is_good[CP_BATCH]; /* whole, and from where it can be answered */
    unsigned used;  /* by the last batch: these need to be set up again */
    unsigned alone; /* batches of one in a row, of all sockets */
    uint8_t slots[CP_BATCH][SLOT];
    uint8_t large[SLOT + LARGE];
};

static void set_up(struct cp_inbox *in, unsigned i)
{
    in->parts[i][0] = (struct iovec){in->slots[i], SLOT};
    in->parts[i][1] = (struct iovec){in->large + SLOT, LARGE};
    in->heads[i].msg_len = 0;
    in->heads[i].msg_hdr = (struct msghdr){
        .msg_name = &in->names[i],
        .msg_namelen = sizeof(in->names[i]),
        .msg_iov = in->parts[i],
        .msg_iovlen = 2,
        .msg_control = in->control[i],
        .msg_controllen = CONTROL,
    };
}

/* What the system wrote over. */
static void set_up_again(struct cp_inbox *in, unsigned i)
{
    struct msghdr *head = &in->heads[i].msg_hdr;

    head->msg_namelen = sizeof(in->names[i]);
    head->msg_controllen = CONTROL;
    head->msg_flags = 0;
}

struct cp_inbox *cp_inbox_new(struct cp_mem *mem)
{
    struct cp_inbox *in = cp_alloc(mem, sizeof(*in));

    if (in == NULL)
        return NULL;
    in->used = in->alone = 0;
    for (unsigned i = 0; i < CP_BATCH; i++)
        set_up(in, i);
    return in;
}

/* ---- Which way it came ---- */

/* The destination as its sender wrote it. A broadcast counts as a group:
 * everybody on the wire hears it, and an answer cannot leave from it. */
static void note_destination_v4(const struct in_pktinfo *info, uint16_t port,
                                struct cp_path *path)
{
    cp_sockaddr_read_v4(&info->ipi_addr, port, &path->local);
    path->if_index = (uint32_t)info->ipi_ifindex;
    if (cp_address_is_multicast(&path->local)) {
        path->is_multicast = 1;
    } else if (info->ipi_spec_dst.s_addr != info->ipi_addr.s_addr) {
        cp_sockaddr_read_v4(&info->ipi_spec_dst, port, &path->local);
        path->is_multicast = 1;
    }
}

static void note_destination_v6(const struct in6_pktinfo *info, uint16_t port,
                                struct cp_path *path)
{
    path->if_index = (uint32_t)info->ipi6_ifindex;
    cp_sockaddr_read_v6(&info->ipi6_addr, port, path->if_index, &path->local);
    path->is_multicast = cp_address_is_multicast(&path->local);
}

/* False: from no address that could be answered. */
static bool read_path(const struct cp_udp *s, struct msghdr *head,
                      struct cp_path *path)
{
    memset(path, 0, sizeof(*path));
    if (!cp_sockaddr_read(head->msg_name, &path->remote))
        return false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c != NULL;
         c = CMSG_NXTHDR(head, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            note_destination_v4(&info, s->local.port, path);
            break;
        } else if (c->cmsg_level == IPPROTO_IPV6 &&
                   c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            note_destination_v6(&info, s->local.port, path);
            break;
        }
    }
    return true;
}

/* ---- Datagrams ---- */

/* What it says is not touched before the way it came is known. */
static void look_at(struct cp_udp *s, unsigned i, bool is_intact,
                    bool is_foreseen)
{
    struct cp_inbox *in = s->net->in;
    struct cp_engine *e = s->link.engine;
    size_t len = in->heads[i].msg_len;

    cp_engine_count_datagram(e, false, len);
    in->foreseen[i].is_known = false;
    in->is_good[i] =
        is_intact && read_path(s, &in->heads[i].msg_hdr, &in->paths[i]);
    if (in->is_good[i] && is_foreseen && len <= SLOT)
        cp_engine_foresee(e, &s->link, &in->paths[i],
                          cp_bytes(in->slots[i], len), &in->foreseen[i]);
}

static void hand_in(struct cp_udp *s, unsigned i)
{
    struct cp_inbox *in = s->net->in;
    size_t len = in->heads[i].msg_len;
    const uint8_t *data = in->slots[i];

    if (!in->is_good[i])
        return;
    if (len > SLOT) {
        memcpy(in->large, in->slots[i], SLOT);
        data = in->large;
    }
    /* What a group's socket hears is answered from one where we are reached. */
    if (s->is_group)
        s = cp_route_back(s, &in->paths[i]);
    cp_udp_heard(s, &in->paths[i], cp_bytes(data, len), &in->foreseen[i]);
}

/* Is what a batch brings the engine's as it comes, and by this link? One alone
 * has nobody to be worked on meanwhile. */
static bool can_be_foreseen(const struct cp_udp *s, int count)
{
    return count > 1 && s->secured == NULL && !s->is_group;
}

/* How many are asked for. Who asks one by one, as block after block, brings one
 * a turn, and to look in vain for a second takes a tenth of what it costs to read
 * the first. So that is left to every fourth turn; what waits all the same makes
 * the next one come at once. */
static unsigned size_of_batch(const struct cp_inbox *in)
{
    return in->alone < LONELY || in->alone % 4 == 0 ? CP_BATCH : 1;
}

int cp_inbox_receive(struct cp_udp *s)
{
    struct cp_inbox *in = s->net->in;
    int last_large = -1;
    bool is_foreseen;
    int n;

    for (unsigned i = 0; i < in->used; i++)
        set_up_again(in, i);
    in->used = 0;
    n = cp_batch_receive(s->fd, in->heads, size_of_batch(in));
    /* Failures are those of earlier datagrams, which the error queue tells
     * better, or pass like a lack of buffers: what is there comes later. */
    if (n < 0)
        return n == -EAGAIN ? 0 : n;
    in->used = (unsigned)n;
    in->alone = n == 1 ? in->alone + 1 : 0;

    /* Larger datagrams of one batch share the place for their rest, so only
     * the last is whole. Two in one batch are rare enough to count as lost:
     * CoAP over UDP keeps messages below an IP packet, RFC 7252 4.6. */
    for (int i = 0; i < n; i++)
        if (in->heads[i].msg_len > SLOT)
            last_large = i;
    is_foreseen = can_be_foreseen(s, n);
    for (int i = 0; i < n; i++)
        look_at(s, (unsigned)i, in->heads[i].msg_len <= SLOT || i == last_large,
                is_foreseen);
    if (in->is_good[n - 1]) {
        s->net->hears = s;
        s->net->heard = in->paths[n - 1].remote;
    }
    for (int i = 0; i < n; i++)
        hand_in(s, (unsigned)i);
    return n == CP_BATCH;
}

/* ---- The error queue ---- */

#ifdef __linux__

static bool read_error(struct msghdr *head, struct sock_extended_err *error)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(head); c != NULL;
         c = CMSG_NXTHDR(head, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            memcpy(error, CMSG_DATA(c), sizeof(*error));
            return true;
        }
    }
    return false;
}

static int status_of(const struct sock_extended_err *error)
{
    int status = cp_outbox_status((int)error->ee_errno);

    /* A filter on the way is no matter of this host's permissions. */
    if (error->ee_origin != SO_EE_ORIGIN_LOCAL && status == COPAL_EPERM)
        return COPAL_EUNREACH;
    return status;
}

static void tell_error(struct cp_udp *s, struct msghdr *head,
                       copal_bytes quoted)
{
    struct sock_extended_err error;
    struct cp_path path;

    if (!read_error(head, &error) || !read_path(s, head, &path))
        return;
    /* Too big for the way: the system knows the size now and cuts the
     * retransmission into fragments. */
    if (error.ee_errno == EMSGSIZE)
        return;
    /* Whom the error message was sent to says nothing of the datagram. */
    path = (struct cp_path){.remote = path.remote};
    cp_udp_undelivered(s, &path, quoted, status_of(&error));
}

int cp_inbox_receive_errors(struct cp_udp *s)
{
    struct cp_inbox *in = s->net->in;
    int pending, error = 0;
    socklen_t size = sizeof(pending);

    for (int i = 0; i < MAX_ERRORS; i++) {
        struct msghdr *head = &in->heads[0].msg_hdr;
        ssize_t n;

        set_up(in, 0);
        if (in->used == 0)
            in->used = 1;
        n = recvmsg(s->fd, head, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (n < 0 && errno != EINTR) {
            error = errno == EWOULDBLOCK || errno == EAGAIN ? 0 : -errno;
            break;
        }
        if (n >= 0)
            tell_error(s, head,
                       cp_bytes(in->slots[0], n > SLOT ? SLOT : (size_t)n));
    }
    /* Reading it clears it: left behind, it would fail the next call. */
    (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &pending, &size);
    return error;
}

#else

int cp_inbox_receive_errors(struct cp_udp *s)
{
    int pending;
    socklen_t size = sizeof(pending);

    (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &pending, &size);
    return 0;
}

#endif
