/* Any text as an address: what is read is printed, read the same again, and
 * survives the form that the system's calls have. Then as the name of a
 * simulated host. RFC 5952, RFC 4007. */
#include <ctype.h>
#include "decoder.h"
#include "net/sim_path.h"
#include "net/sockaddr.h"

/* Without the brackets of print, which read does not take. */
static bool read_printed(char *text, struct cp_address *out)
{
    size_t len = strlen(text);

    if (text[0] != '[')
        return cp_address_read(text, out);
    require(len > 2 && text[len - 1] == ']');
    text[len - 1] = '\0';
    return cp_address_read(text + 1, out);
}

static void check_system(const struct cp_address *a)
{
    union cp_sockaddr system;
    struct cp_address back;

    memset(&system, 0, sizeof(system));
    require(cp_sockaddr_write(a, &system) <= sizeof(system));
    require(cp_sockaddr_read(&system, &back));
    /* What is not bound to a link has its interface elsewhere: cp_path. */
    require(back.scope == a->scope || (back.scope == 0 && a->ip[0] == 0xff));
    back.scope = a->scope;
    require(cp_address_equal(a, &back));
    cp_sockaddr_is_any(a);
    require(!cp_sockaddr_is_link_local(a) || a->family == CP_IPV6);
    require(!cp_address_is_multicast(a) || !cp_address_is_loopback(a));
}

/* Whatever is in text that is no address, nothing was written. */
static void check_address(const char *text, uint16_t port)
{
    static const struct cp_address nothing;
    struct cp_address a = nothing, again;
    char printed[CP_ADDRESS_TEXT];

    if (!cp_address_read(text, &a)) {
        require(cp_address_equal(&a, &nothing));
        return;
    }
    require(a.port == 0 && (a.family == CP_IPV4 || a.family == CP_IPV6));
    cp_address_print(&a, 0, printed);
    require(read_printed(printed, &again) && cp_address_equal(&a, &again));
    a.port = port;
    cp_address_print(&a, 5683, printed);
    check_system(&a);
}

static void check_host(const char *text)
{
    struct cp_host_name name, again;
    struct cp_address a = {.family = CP_NAMED};
    char printed[CP_ADDRESS_TEXT];

    if (!cp_host_name_read(text, &name))
        return;
    require(cp_host_name_read(name.text, &again));
    require(memcmp(&name, &again, sizeof(name)) == 0);
    memcpy(a.ip, name.text, sizeof(a.ip));
    cp_address_print(&a, 0, printed);
    require(strcmp(printed, name.text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes rest = cp_bytes(data, size);
    uint16_t port = (uint16_t)take_number(&rest, 2);
    char *text = text_of(rest);

    check_address(text, port);
    check_host(text);
    cp_free(memory(), text);
    require_all_back();
    return 0;
}
