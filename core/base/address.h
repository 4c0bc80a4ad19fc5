/* Where datagrams go and come from, without asking which network that is. */
#ifndef CP_BASE_ADDRESS_H
#define CP_BASE_ADDRESS_H

#include "base/bytes.h"
#include "base/siphash.h"

enum cp_family {
    CP_NO_ADDRESS = 0,
    CP_IPV4 = 4,
    CP_IPV6 = 6,
    CP_NAMED = 7 /* a host of the simulator: its name stands in ip */
};

/* No padding, unused bytes zero: compared and hashed as bytes. So two secure
 * associations with one address are two peers to whoever compares, as RFC 7252
 * 9.1.1 wants it: a message of one never matches the other. */
struct cp_address {
    uint8_t ip[16]; /* IPv4: the first 4; a name: NUL-padded, up to 16 */
    uint32_t scope; /* IPv6 link-local or group: interface index; else 0 */
    uint32_t association; /* its number; 0: none, the address itself */
    uint16_t port;        /* host order */
    uint8_t family;       /* enum cp_family */
    uint8_t zero;
};

/* Which two addresses, and which interface, a datagram travels between. */
struct cp_path {
    struct cp_address remote, local; /* local.family 0: the system's choice */
    uint32_t if_index;               /* 0: unknown, or the system's choice */
    uint8_t is_multicast;            /* was sent to a group */
    uint8_t hops;                    /* IP hop limit; 0: the system's */
    uint8_t zero[2];
};

static inline bool cp_address_equal(const struct cp_address *a,
                                    const struct cp_address *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* As far as ports go; of IPv6 who has a /64. */
static inline bool cp_address_same_host(const struct cp_address *a,
                                        const struct cp_address *b)
{
    return a->family == b->family &&
           memcmp(a->ip, b->ip, a->family == CP_IPV6 ? 8 : sizeof(a->ip)) == 0;
}

/* Adds to a hash what cp_address_equal() compares: of IPv4, which has no scope,
 * one word, else three; one more for an association. */
static inline void cp_address_hash(struct cp_sip *s, const struct cp_address *a)
{
    uint64_t rest =
        a->scope | (uint64_t)a->port << 32 | (uint64_t)a->family << 48;
    uint64_t ip[2];
    uint32_t four;

    if (a->association != 0)
        cp_sip_add(s, a->association);
    if (a->family == CP_IPV4) {
        memcpy(&four, a->ip, sizeof(four));
        cp_sip_add(s, rest ^ four);
        return;
    }
    memcpy(ip, a->ip, sizeof(ip));
    cp_sip_add(s, rest);
    cp_sip_add(s, ip[0]);
    cp_sip_add(s, ip[1]);
}

/* 224.0.0.0/4, ff00::/8. */
bool cp_address_is_multicast(const struct cp_address *a);
/* 127.0.0.0/8, ::1. */
bool cp_address_is_loopback(const struct cp_address *a);

/* text is an IPv4 or IPv6 literal without brackets; an IPv6 one may have a
 * zone, "%eth0" or "%2", which only a link-local address and a group keep.
 * False: not a literal (or no such interface). Port is set to 0. */
CP_SHARED bool cp_address_read(const char *text, struct cp_address *out);

enum {
    CP_ADDRESS_TEXT = 80
};

/* "127.0.0.1", "[::1]", "[fe80::1%eth0]", "server", "*" for no address; with
 * ":port" appended unless port is default_port. The form RFC 5952 asks for. */
void cp_address_print(const struct cp_address *a, uint16_t default_port,
                      char out[CP_ADDRESS_TEXT]);

#endif
