#include "net/metrics_place.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/sockaddr.h"

enum {
    BACKLOG = 64
};

static int bad_place(struct cp_mem *mem, const char *where)
{
    return cp_why(mem, COPAL_EINVAL,
                  "metrics: %s: no place to listen at; say a port, 9100, or an "
                  "address and a port, 127.0.0.1:9100 or [::1]:9100",
                  where);
}

static bool read_port(const char *text, uint16_t *port)
{
    unsigned long value = 0;
    size_t len = strlen(text);

    for (size_t i = 0; i < len && i < 6; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (unsigned long)(text[i] - '0');
    }
    *port = (uint16_t)value;
    return len > 0 && len < 6 && value <= UINT16_MAX;
}

int cp_metrics_place_read(struct cp_mem *mem, const char *where,
                          struct cp_address *out)
{
    const char *colon = strrchr(where, ':');
    const char *port_text = colon == NULL ? where : colon + 1;
    size_t len = colon == NULL ? 0 : (size_t)(colon - where);
    char host[CP_ADDRESS_TEXT] = "127.0.0.1";
    const char *name = where;
    bool is_bracketed = len > 2 && where[0] == '[' && where[len - 1] == ']';
    uint16_t port;

    if (is_bracketed) {
        name++;
        len -= 2;
    }
    if (len >= sizeof(host) || !read_port(port_text, &port))
        return bad_place(mem, where);
    if (len > 0) {
        memcpy(host, name, len);
        host[len] = '\0';
    }
    if (!cp_address_read(host, out) || is_bracketed != (out->family == CP_IPV6))
        return bad_place(mem, where);
    out->port = port;
    return 0;
}

int cp_metrics_place_bind(const struct cp_address *at, int *out)
{
    union cp_sockaddr name;
    socklen_t size = cp_sockaddr_write(at, &name);
    int on = 1, error = 0;
    int fd = socket(name.any.sa_family,
                    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (at->family == CP_IPV6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) ||
        bind(fd, &name.any, size) != 0 || listen(fd, BACKLOG) != 0)
        error = errno;
    if (error != 0)
        close(fd);
    *out = fd;
    return error;
}

int cp_metrics_place_port(int fd)
{
    union cp_sockaddr name;
    socklen_t size = sizeof(name);
    struct cp_address at;

    return getsockname(fd, &name.any, &size) == 0 &&
                   cp_sockaddr_read(&name, &at)
               ? at.port
               : COPAL_EIO;
}
