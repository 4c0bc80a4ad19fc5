#include "net/outbox.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include "engine/engine.h"
#include "net/batch.h"
#include "net/sockaddr.h"
#include "net/turn.h"

enum {
    ROOM = 128 * 1024, /* bytes: more than the largest datagram */
    CONTROL = 96,
    QUOTE = 64,    /* header and token, with room to spare */
    FAILURES = 64, /* more are lost, as the network may lose datagrams */
    MAX_UDP = 65535,
    MOST_CUT = 1200,    /* bytes of a datagram: hardly a way is too narrow */
    MOST_JOINED = 65000 /* bytes of all that go as one */
};

/* A datagram in its order of sending. socket NULL: done with. */
struct letter {
    struct cp_udp *socket;
    struct cp_path path;
    uint32_t at, len; /* in room */
};

struct failure {
    struct cp_udp *socket;
    struct cp_path path;
    int status;
    uint8_t quote[QUOTE];
    size_t len;
};

/* One batch: when it is full it goes out at once, so a longer one would save
 * no system call. */
struct cp_outbox {
    struct letter letters[CP_BATCH];
    unsigned count;
    size_t used; /* of room */

    struct failure failures[FAILURES];
    unsigned failure_count;

    /* For the system call. */
    struct cp_datagram_slot heads[CP_BATCH];
    struct letter *whose[CP_BATCH]; /* the first that goes by each */
    unsigned spans[CP_BATCH];       /* how many do, side by side */
    struct iovec parts[CP_BATCH];
    union cp_sockaddr names[CP_BATCH];
    _Alignas(struct cmsghdr) uint8_t control[CP_BATCH][CONTROL];

    uint8_t room[ROOM];
};

struct cp_outbox *cp_outbox_new(struct cp_mem *mem)
{
    struct cp_outbox *o = cp_alloc(mem, sizeof(*o));

    if (o == NULL)
        return NULL;
    o->count = 0;
    o->used = 0;
    o->failure_count = 0;
    memset(o->control, 0, sizeof(o->control)); /* its padding is sent too */
    return o;
}

bool cp_outbox_is_waiting(const struct cp_outbox *o)
{
    return o != NULL && o->count > 0;
}

/* ---- In ---- */

static bool has_room(const struct cp_outbox *o, size_t len)
{
    return o->count < CP_BATCH && len <= ROOM - o->used;
}

static void note_failure(struct cp_outbox *o, struct cp_udp *s,
                         const struct cp_path *path, copal_bytes datagram,
                         int status)
{
    struct failure *f;

    if (o->failure_count == FAILURES)
        return;
    f = &o->failures[o->failure_count++];
    f->socket = s;
    f->path = *path;
    f->status = status;
    f->len = datagram.len < QUOTE ? datagram.len : QUOTE;
    if (f->len > 0)
        memcpy(f->quote, datagram.data, f->len);
}

void cp_outbox_put(struct cp_udp *s, const struct cp_path *path,
                   copal_bytes datagram)
{
    struct cp_outbox *o = s->net->out;
    struct letter *letter;

    cp_turn_due(s->net->loop);
    if (datagram.len > MAX_UDP) {
        note_failure(o, s, path, datagram, COPAL_EIO);
        return;
    }
    if (!has_room(o, datagram.len))
        cp_outbox_flush(o);
    if (!has_room(o, datagram.len))
        return;
    letter = &o->letters[o->count++];
    *letter = (struct letter){
        .socket = s,
        .path = *path,
        .at = (uint32_t)o->used,
        .len = (uint32_t)datagram.len,
    };
    if (datagram.len > 0)
        memcpy(o->room + o->used, datagram.data, datagram.len);
    o->used += datagram.len;
}

/* ---- Out ---- */

/* The interface is named only where an address does not say enough. An answer
 * need not leave by the interface its request came by. */
static uint32_t interface_of(const struct cp_path *path, bool has_source)
{
    if (path->remote.scope != 0)
        return path->remote.scope;
    if (!has_source || cp_address_is_multicast(&path->remote))
        return path->if_index;
    return 0;
}

/* Puts a piece of control data at *c, which then is where the next goes. Gives
 * the bytes used. */
static size_t put_control(uint8_t **at, int level, int type, const void *value,
                          size_t size)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)*at;

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    *at += CMSG_SPACE(size);
    return CMSG_SPACE(size);
}

/* Says from which address and by which interface; nothing where the system's
 * choice will do. Gives the bytes used. */
static size_t put_source(const struct cp_udp *s, const struct cp_path *path,
                         uint8_t **at)
{
    bool has_source = path->local.family == path->remote.family &&
                      !cp_address_is_multicast(&path->local) &&
                      memcmp(path->local.ip, s->local.ip, 16) != 0;
    uint32_t if_index = interface_of(path, has_source);

    if (!has_source && if_index == 0)
        return 0;
    if (path->remote.family == CP_IPV4) {
        struct in_pktinfo info = {.ipi_ifindex = (int)if_index};

        /* Left at zero it would undo what the socket is bound to. */
        if (has_source)
            memcpy(&info.ipi_spec_dst, path->local.ip, 4);
        else if (!s->is_group)
            memcpy(&info.ipi_spec_dst, s->local.ip, 4);
        return put_control(at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
    struct in6_pktinfo info = {.ipi6_ifindex = if_index};

    if (has_source)
        memcpy(&info.ipi6_addr, path->local.ip, 16);
    return put_control(at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
}

/* The hop limit, if it is not the system's. Gives the bytes used. */
static size_t put_hops(const struct cp_path *path, uint8_t **at)
{
    int hops = path->hops;

    if (hops == 0)
        return 0;
    if (path->remote.family == CP_IPV4)
        return put_control(at, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
    return put_control(at, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
}

/* What goes to who was heard in this turn alone: of one that is not there the
 * network tells once, for all that went as one. */
static bool may_join(const struct letter *l)
{
    const struct cp_net *net = l->socket->net;

    return net->hears == l->socket && l->socket->cuts && l->len > 0 &&
           l->len <= MOST_CUT && cp_address_equal(&l->path.remote, &net->heard);
}

/* May l go with first and all between them: to the same peer, as long as the
 * first, but for the last, which may be shorter? They stand side by side in room
 * as well. */
static bool goes_with(const struct letter *first, const struct letter *l)
{
    return l->socket == first->socket && l->len > 0 && l->len <= first->len &&
           l[-1].len == first->len &&
           l->at + l->len - first->at <= MOST_JOINED &&
           memcmp(&l->path, &first->path, sizeof(l->path)) == 0;
}

/* How many go as one from the i-th on, which the system cuts again. */
static unsigned span_of(const struct cp_outbox *o, unsigned i)
{
    unsigned n = 1;

    if (i + 1 < o->count && may_join(&o->letters[i]))
        while (i + n < o->count &&
               goes_with(&o->letters[i], &o->letters[i + n]))
            n++;
    return n;
}

/* Says where the system is to cut. Gives the bytes used. */
static size_t put_cut(const struct letter *first, uint8_t **at)
{
    uint16_t size = (uint16_t)first->len;

    return put_control(at, IPPROTO_UDP, CP_CUT, &size, sizeof(size));
}

/* span: how many letters, side by side. */
static void address_letters(struct cp_outbox *o, struct letter *letter,
                            unsigned span, unsigned i)
{
    const struct letter *last = letter + span - 1;
    struct msghdr *head = &o->heads[i].msg_hdr;
    uint8_t *at = o->control[i];

    o->whose[i] = letter;
    o->spans[i] = span;
    o->parts[i] =
        (struct iovec){o->room + letter->at, last->at + last->len - letter->at};
    *head = (struct msghdr){
        .msg_name = &o->names[i],
        .msg_namelen = cp_sockaddr_write(&letter->path.remote, &o->names[i]),
        .msg_iov = &o->parts[i],
        .msg_iovlen = 1,
    };
    head->msg_controllen = put_source(letter->socket, &letter->path, &at);
    head->msg_controllen += put_hops(&letter->path, &at);
    if (span > 1)
        head->msg_controllen += put_cut(letter, &at);
    if (head->msg_controllen > 0)
        head->msg_control = o->control[i];
}

int cp_outbox_status(int error)
{
    switch (error) {
    case ECONNREFUSED: return COPAL_EREFUSED;
    case EACCES:
    case EPERM: return COPAL_EPERM;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case ENODEV:
    case ENXIO:
    case ENOPROTOOPT:
    case EINVAL: /* no such source, no interface, port 0 */
        return COPAL_EUNREACH;
    default: return COPAL_EIO;
    }
}

static void give_up(struct cp_outbox *o, struct letter *letter, int error)
{
    /* Full buffers below are the network losing something. */
    if (error != ENOBUFS && error != ENOMEM)
        note_failure(o, letter->socket, &letter->path,
                     cp_bytes(o->room + letter->at, letter->len),
                     cp_outbox_status(error));
    letter->socket = NULL;
}

/* engine NULL: gone, this is what it said last. */
static void note_sent(struct cp_outbox *o, struct cp_engine *engine,
                      unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        for (struct letter *l = o->whose[i]; l < o->whose[i] + o->spans[i];
             l++) {
            if (engine != NULL)
                cp_engine_count_datagram(engine, true, l->len);
            l->socket = NULL;
        }
}

/* Addresses what is for s, from the first letter on. Gives how many heads. */
static unsigned gather(struct cp_outbox *o, const struct cp_udp *s,
                       unsigned first)
{
    unsigned count = 0, span;

    for (unsigned i = first; i < o->count; i += span) {
        span = 1;
        if (o->letters[i].socket != s)
            continue;
        span = span_of(o, i);
        address_letters(o, &o->letters[i], span, count++);
    }
    return count;
}

/* What went as one failed: one by one each has its own fate. Not all devices can
 * cut, nor any what they are too narrow for; that is not tried again. */
static void take_apart(struct cp_udp *s, int error)
{
    s->net->hears = NULL;
    if (error == EIO || error == EINVAL || error == EMSGSIZE)
        s->cuts = false;
}

/* False: the rest is to be gathered anew. */
static bool send_gathered(struct cp_outbox *o, struct cp_udp *s, unsigned count)
{
    bool is_retry = false;

    for (unsigned done = 0; done < count;) {
        int n = cp_batch_send(s->fd, o->heads + done, count - done);

        if (n == -EAGAIN) {
            cp_udp_block(s);
            return true;
        }
        /* The first error may be an earlier datagram's, waiting for whoever
         * calls next; the second is this one's. */
        if (n < 0 && !is_retry) {
            is_retry = true;
            continue;
        }
        is_retry = false;
        if (n < 0 && o->spans[done] > 1) {
            take_apart(s, -n);
            return false;
        }
        if (n < 0) {
            give_up(o, o->whose[done], -n);
            done++;
        } else {
            note_sent(o, s->net->driver->engine, done, (unsigned)n);
            done += (unsigned)n;
        }
    }
    return true;
}

/* Moves what blocked sockets left to the front. */
static void close_ranks(struct cp_outbox *o)
{
    unsigned kept = 0;

    o->used = 0;
    for (unsigned i = 0; i < o->count; i++) {
        struct letter *letter = &o->letters[i];

        if (letter->socket == NULL)
            continue;
        memmove(o->room + o->used, o->room + letter->at, letter->len);
        letter->at = (uint32_t)o->used;
        o->used += letter->len;
        o->letters[kept++] = *letter;
    }
    o->count = kept;
}

void cp_outbox_flush(struct cp_outbox *o)
{
    if (!cp_outbox_is_waiting(o))
        return;
    for (unsigned first = 0; first < o->count; first++) {
        struct cp_udp *s = o->letters[first].socket;

        if (s == NULL || s->is_blocked)
            continue;
        while (!send_gathered(o, s, gather(o, s, first)))
            continue;
    }
    close_ranks(o);
}

/* ---- What failed ---- */

bool cp_outbox_has_failures(const struct cp_outbox *o)
{
    return o != NULL && o->failure_count > 0;
}

void cp_outbox_tell_failures(struct cp_outbox *o)
{
    if (!cp_outbox_has_failures(o))
        return;
    for (unsigned i = 0; i < o->failure_count; i++) {
        /* A copy: being told, the engine may send, and that may fail. */
        struct failure f = o->failures[i];

        cp_udp_undelivered(f.socket, &f.path, cp_bytes(f.quote, f.len),
                           f.status);
    }
    o->failure_count = 0;
}
