#include "base/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0,    0,
                                          0, 0, 0, 0, 0xff, 0xff};

bool cp_address_is_multicast(const struct cp_address *a)
{
    if (a->family == CP_IPV4)
        return (a->ip[0] & 0xf0) == 0xe0;
    return a->family == CP_IPV6 && a->ip[0] == 0xff;
}

bool cp_address_is_loopback(const struct cp_address *a)
{
    static const uint8_t one[16] = {[15] = 1};

    if (a->family == CP_IPV4)
        return a->ip[0] == 127;
    return a->family == CP_IPV6 && memcmp(a->ip, one, sizeof(one)) == 0;
}

/* ---- Reading ---- */

/* The index of the interface that a zone names; 0: there is none. */
static uint32_t read_zone(const char *zone)
{
    uint64_t index = 0;
    const char *c = zone;

    for (; *c >= '0' && *c <= '9' && index <= UINT32_MAX; c++)
        index = index * 10 + (uint64_t)(*c - '0');
    if (*c != '\0' || c == zone)
        return if_nametoindex(zone);
    return index <= UINT32_MAX ? (uint32_t)index : 0;
}

/* Elsewhere a zone says nothing, and would make one address two. RFC 4007. */
static bool needs_zone(const uint8_t ip[16])
{
    return ip[0] == 0xff || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80);
}

static bool read_ipv6(const char *text, struct cp_address *a)
{
    char literal[INET6_ADDRSTRLEN];
    const char *percent = strchr(text, '%');
    size_t len = percent == NULL ? strlen(text) : (size_t)(percent - text);
    uint32_t scope = 0;

    if (len >= sizeof(literal))
        return false;
    memcpy(literal, text, len);
    literal[len] = '\0';
    if (inet_pton(AF_INET6, literal, a->ip) != 1)
        return false;
    if (percent != NULL) {
        scope = read_zone(percent + 1);
        if (scope == 0)
            return false;
    }
    a->family = CP_IPV6;
    a->scope = needs_zone(a->ip) ? scope : 0;
    return true;
}

/* Four numbers to 255 without leading zeroes, as inet_pton() has it, at a third
 * of its cost: a client reads one for each request. */
static bool read_ipv4(const char *text, uint8_t ip[4])
{
    for (int i = 0; i < 4; i++) {
        const char *begin = text;
        unsigned n = 0;

        for (; *text >= '0' && *text <= '9' && text - begin < 3; text++)
            n = 10 * n + (unsigned)(*text - '0');
        if (text == begin || n > 255 || (*begin == '0' && text - begin > 1) ||
            *text != (i < 3 ? '.' : '\0'))
            return false;
        ip[i] = (uint8_t)n;
        text += i < 3;
    }
    return true;
}

bool cp_address_read(const char *text, struct cp_address *out)
{
    struct cp_address a = {0};

    if (read_ipv4(text, a.ip))
        a.family = CP_IPV4;
    else if (!read_ipv6(text, &a))
        return false;
    *out = a;
    return true;
}

/* ---- Printing ---- */

/* The longest run of zero groups, the first of equals; a single group is not
 * shortened. RFC 5952 4.2. */
static int longest_run(const uint16_t *groups, int count, int *len)
{
    int best = -1, start = -1;

    *len = 1;
    for (int i = 0; i < count; i++) {
        if (groups[i] != 0) {
            start = -1;
            continue;
        }
        if (start < 0)
            start = i;
        if (i - start + 1 > *len) {
            best = start;
            *len = i - start + 1;
        }
    }
    return best;
}

/* Returns the number of characters. */
static int print_groups(const uint16_t *groups, int count, char *out,
                        size_t room)
{
    int run_len, run = longest_run(groups, count, &run_len), n = 0;

    for (int i = 0; i < count; i++) {
        bool after_run = run >= 0 && i == run + run_len;

        if (i == run) {
            n += snprintf(out + n, room - (size_t)n, "::");
            i += run_len - 1;
            continue;
        }
        n += snprintf(out + n, room - (size_t)n, "%s%x",
                      i == 0 || after_run ? "" : ":", groups[i]);
    }
    return n;
}

static int print_ipv4(const uint8_t *ip, char *out, size_t room)
{
    return snprintf(out, room, "%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]);
}

static int print_ipv6(const struct cp_address *a, char *out, size_t room)
{
    char name[IF_NAMESIZE];
    uint16_t groups[8];
    int n = snprintf(out, room, "[");

    for (int i = 0; i < 8; i++)
        groups[i] = (uint16_t)(a->ip[2 * i] << 8 | a->ip[2 * i + 1]);
    if (memcmp(a->ip, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        /* RFC 5952 5. */
        n += snprintf(out + n, room - (size_t)n, "::ffff:");
        n += print_ipv4(a->ip + 12, out + n, room - (size_t)n);
    } else {
        n += print_groups(groups, 8, out + n, room - (size_t)n);
    }
    if (a->scope != 0 && if_indextoname(a->scope, name) != NULL)
        n += snprintf(out + n, room - (size_t)n, "%%%s", name);
    else if (a->scope != 0)
        n += snprintf(out + n, room - (size_t)n, "%%%u", (unsigned)a->scope);
    return n + snprintf(out + n, room - (size_t)n, "]");
}

void cp_address_print(const struct cp_address *a, uint16_t default_port,
                      char out[CP_ADDRESS_TEXT])
{
    size_t room = CP_ADDRESS_TEXT;
    int n;

    if (a->family == CP_IPV4)
        n = print_ipv4(a->ip, out, room);
    else if (a->family == CP_IPV6)
        n = print_ipv6(a, out, room);
    else if (a->family == CP_NAMED)
        n = snprintf(out, room, "%.16s", (const char *)a->ip);
    else
        n = snprintf(out, room, "*");
    if (a->port != default_port)
        snprintf(out + n, room - (size_t)n, ":%u", (unsigned)a->port);
}
