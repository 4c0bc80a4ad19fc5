#include "net/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdio.h>
#include "net/sockaddr.h"

/* An interface stands in the system's list once for each of its addresses. */
static bool is_listed(const struct cp_interface *list, size_t count,
                      uint32_t index)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].index == index)
            return true;
    return false;
}

/* The system opens a socket to find out, and may have none to give. */
int cp_interfaces_named(const char *name, uint32_t *index)
{
    errno = 0;
    *index = if_nametoindex(name);
    if (*index != 0)
        return 0;
    if (errno == ENOENT) /* as glibc has it, which got no socket to ask by */
        return EMFILE;
    return errno == 0 || errno == ENXIO ? ENODEV : errno;
}

/* One that went away meanwhile is left out. 0, or an errno. */
static int add(struct cp_interface *list, size_t *count,
               const struct ifaddrs *a)
{
    uint32_t index;
    struct cp_interface *one = &list[*count];
    int error = cp_interfaces_named(a->ifa_name, &index);

    if (error != 0)
        return error == ENODEV ? 0 : error;
    if (is_listed(list, *count, index))
        return 0;
    one->index = index;
    one->is_loopback = (a->ifa_flags & IFF_LOOPBACK) != 0;
    snprintf(one->name, sizeof(one->name), "%s", a->ifa_name);
    ++*count;
    return 0;
}

static bool can_reach_groups(const struct ifaddrs *a, bool loopback)
{
    bool is_loopback = (a->ifa_flags & IFF_LOOPBACK) != 0;

    return (a->ifa_flags & IFF_UP) != 0 && is_loopback == loopback &&
           (is_loopback || (a->ifa_flags & IFF_MULTICAST) != 0);
}

int cp_interfaces_get(struct cp_mem *mem, struct cp_interface **list,
                      size_t *count)
{
    struct ifaddrs *all = NULL;
    size_t most = 0;
    int error = 0;

    *list = NULL;
    *count = 0;
    if (getifaddrs(&all) != 0)
        return errno;
    for (struct ifaddrs *a = all; a != NULL; a = a->ifa_next)
        most++;
    *list = cp_alloc(mem, (most + 1) * sizeof(**list));
    if (*list == NULL)
        error = ENOMEM;
    for (int loopback = 0; loopback < 2 && error == 0; loopback++)
        for (struct ifaddrs *a = all; a != NULL && error == 0; a = a->ifa_next)
            if (can_reach_groups(a, loopback != 0))
                error = add(*list, count, a);
    freeifaddrs(all);
    if (error == 0)
        return 0;
    cp_free(mem, *list);
    *list = NULL;
    *count = 0;
    return error;
}

/* All of 127.0.0.0/8 is loopback's, of which the system lists one. */
static bool has_address(const struct ifaddrs *i, const struct cp_address *a)
{
    union cp_sockaddr name;
    struct cp_address one;

    if (cp_address_is_loopback(a))
        return (i->ifa_flags & IFF_LOOPBACK) != 0;
    if (i->ifa_addr == NULL)
        return false;
    if (i->ifa_addr->sa_family == AF_INET)
        memcpy(&name.v4, i->ifa_addr, sizeof(name.v4));
    else if (i->ifa_addr->sa_family == AF_INET6)
        memcpy(&name.v6, i->ifa_addr, sizeof(name.v6));
    else
        return false;
    return cp_sockaddr_read(&name, &one) && one.family == a->family &&
           one.scope == a->scope && memcmp(one.ip, a->ip, sizeof(a->ip)) == 0;
}

/* Where programs may not ask at all, they do without; what is missing at the
 * moment only must not be taken for that. */
static int or_shortage(int error)
{
    switch (error) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return error;
    default: return 0;
    }
}

int cp_interfaces_with(const struct cp_address *a, uint32_t *index)
{
    struct ifaddrs *all = NULL;
    int error = 0;

    *index = 0;
    if (getifaddrs(&all) != 0)
        return or_shortage(errno);
    for (struct ifaddrs *i = all; i != NULL && *index == 0 && error == 0;
         i = i->ifa_next)
        if (has_address(i, a))
            error = or_shortage(cp_interfaces_named(i->ifa_name, index));
    freeifaddrs(all);
    return error;
}
