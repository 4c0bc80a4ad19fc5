#include "net/sockaddr.h"

#include <arpa/inet.h>

socklen_t cp_sockaddr_write(const struct cp_address *a, union cp_sockaddr *out)
{
    memset(out, 0, sizeof(*out));
    if (a->family == CP_IPV4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(a->port);
        memcpy(&out->v4.sin_addr, a->ip, 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(a->port);
    out->v6.sin6_scope_id = a->scope;
    memcpy(&out->v6.sin6_addr, a->ip, 16);
    return sizeof(out->v6);
}

void cp_sockaddr_read_v4(const struct in_addr *ip, uint16_t port,
                         struct cp_address *out)
{
    *out = (struct cp_address){.family = CP_IPV4, .port = port};
    memcpy(out->ip, ip, 4);
}

void cp_sockaddr_read_v6(const struct in6_addr *ip, uint16_t port,
                         uint32_t if_index, struct cp_address *out)
{
    *out = (struct cp_address){.family = CP_IPV6, .port = port};
    memcpy(out->ip, ip, 16);
    if (IN6_IS_ADDR_LINKLOCAL(ip) || IN6_IS_ADDR_MC_LINKLOCAL(ip))
        out->scope = if_index;
}

bool cp_sockaddr_read(const union cp_sockaddr *in, struct cp_address *out)
{
    if (in->any.sa_family == AF_INET) {
        cp_sockaddr_read_v4(&in->v4.sin_addr, ntohs(in->v4.sin_port), out);
        return true;
    }
    if (in->any.sa_family == AF_INET6) {
        cp_sockaddr_read_v6(&in->v6.sin6_addr, ntohs(in->v6.sin6_port),
                            in->v6.sin6_scope_id, out);
        return true;
    }
    return false;
}

bool cp_sockaddr_is_link_local(const struct cp_address *a)
{
    return a->family == CP_IPV6 && a->ip[0] == 0xfe &&
           (a->ip[1] & 0xc0) == 0x80;
}

bool cp_sockaddr_is_any(const struct cp_address *a)
{
    static const uint8_t zeroes[16];

    return memcmp(a->ip, zeroes, a->family == CP_IPV4 ? 4 : 16) == 0;
}
