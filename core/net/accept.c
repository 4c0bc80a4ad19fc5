#include "net/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "engine/engine.h"
#include "net/stream.h"

/* Any descriptor does. Without one nobody can be turned away, that is all. */
static void take_spare(struct cp_net *net)
{
    if (net->spare < 0)
        net->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void give_spare(struct cp_net *net)
{
    if (net->spare >= 0)
        close(net->spare);
    net->spare = -1;
}

void cp_accept_begin(struct cp_net *net)
{
    take_spare(net);
}

void cp_accept_end(struct cp_net *net)
{
    give_spare(net);
}

static int accept_from(int fd, union cp_sockaddr *from)
{
    socklen_t size = sizeof(*from);

    return accept4(fd, &from->any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Let in by the spare descriptor, to be shown out: else all who come would wait
 * in the system's queue until they give up. */
static int turn_away(struct cp_net *net, int fd)
{
    struct cp_engine *engine = net->driver->engine;
    union cp_sockaddr from;
    struct cp_address peer;
    int got;

    give_spare(net);
    got = accept_from(fd, &from);
    if (got >= 0)
        close(got);
    take_spare(net);
    if (got < 0)
        return CP_ACCEPT_REST;
    if (engine != NULL && cp_sockaddr_read(&from, &peer))
        cp_engine_shut_out(engine, &peer,
                           "turned away, for too many files are open");
    return CP_ACCEPT_NEXT;
}

int cp_accept(struct cp_net *net, int fd, union cp_sockaddr *from)
{
    int got = accept_from(fd, from);

    if (got >= 0)
        return got;
    switch (errno) {
    case ECONNABORTED:
    case EINTR: return CP_ACCEPT_NEXT;
    case EMFILE:
    case ENFILE: break;
    case ENOMEM:
    case ENOBUFS: return CP_ACCEPT_REST;
    default: return CP_ACCEPT_NOBODY;
    }
    cp_engine_limited(net->driver->engine, "descriptors");
    return cp_stream_make_room(net) ? CP_ACCEPT_NEXT : turn_away(net, fd);
}
