/* Takes URIs apart and says what is wrong with those that are none. */
#include "wire/uri.h"
#include "wire/uri_chars.h"
#include "wire/uri_check.h"
#include <arpa/inet.h>
#include <strings.h>

enum {
    MAX_ZONE = 63,
    /* Far more than a request can hold; resolving dot segments without
     * storage takes time that grows with the square of the length. */
    MAX_URI = 8192
};

static copal_bytes without(copal_bytes bytes, size_t first)
{
    return cp_bytes(bytes.data + first, bytes.len - first);
}

static bool is_one_of(uint8_t c, const char *ends)
{
    while (*ends != '\0' && (uint8_t)*ends != c)
        ends++;
    return *ends != '\0';
}

static copal_bytes until(copal_bytes bytes, const char *ends)
{
    size_t len = 0;

    while (len < bytes.len && !is_one_of(bytes.data[len], ends))
        len++;
    return cp_bytes(bytes.data, len);
}

static int check_parts(const struct cp_uri_work *w, copal_bytes parts,
                       char between, const char *what)
{
    const char ends[] = {between, '\0'};

    for (;;) {
        copal_bytes part = until(parts, ends);
        int err = cp_uri_check_part(w, part, what);

        if (err != 0 || part.len == parts.len)
            return err;
        parts = without(parts, part.len + 1);
    }
}

/* ---- Scheme ---- */

static int say_no_scheme(const struct cp_uri_work *w)
{
    const char *host = w->text + strspn(w->text, "/");

    if (*w->text == '\0')
        return cp_why(w->mem, COPAL_EURI,
                      "an empty text is no URI; try coap://host/path");
    if (w->text[0] == '/' && w->text[1] != '/')
        return cp_uri_say(w,
                          "a path alone is no URI; put scheme and host before "
                          "it, as in coap://host/%.80s",
                          host);
    if (w->text[0] == ':')
        return cp_uri_say(w,
                          "a URI begins with its scheme; try coap://host/path");
    return cp_uri_say(w, "a URI needs a scheme; try coap://%.80s", host);
}

static bool is_scheme(copal_bytes name, const char *scheme)
{
    return name.len == strlen(scheme) &&
           strncasecmp((const char *)name.data, scheme, name.len) == 0;
}

static int say_unknown_scheme(const struct cp_uri_work *w, copal_bytes name)
{
    if (is_scheme(name, "http") || is_scheme(name, "https"))
        return cp_uri_say(
            w, "http and https are reached only through a proxy; "
               "send the request to one, with this as its Proxy-Uri");
    return cp_uri_say(w, "an unknown scheme; use coap, coaps, coap+tcp, "
                         "coaps+tcp, coap+ws or coaps+ws");
}

/* Takes "scheme://" off *rest. */
static int split_scheme(const struct cp_uri_work *w, copal_bytes *rest)
{
    copal_bytes name = until(*rest, ":/?#[@ ");
    bool has_colon = name.len < rest->len && rest->data[name.len] == ':';
    copal_bytes behind = has_colon ? without(*rest, name.len + 1) : *rest;
    bool has_slashes = behind.len >= 2 && memcmp(behind.data, "//", 2) == 0;
    int scheme = 0;

    if (!has_colon || name.len == 0)
        return say_no_scheme(w);
    while (scheme < CP_SCHEME_COUNT && !is_scheme(name, cp_scheme_name(scheme)))
        scheme++;
    /* "example.org:5683/x" has a colon, too. */
    if (scheme == CP_SCHEME_COUNT)
        return has_slashes ? say_unknown_scheme(w, name) : say_no_scheme(w);
    if (!has_slashes)
        return cp_uri_say(w,
                          "behind the scheme come // and a host; try "
                          "%s://host/path",
                          cp_scheme_name(scheme));
    w->uri->scheme = scheme;
    *rest = without(behind, 2);
    return 0;
}

/* ---- Host and port ---- */

/* An IPv6 address has two colons at least, an IPv4 one begins with a digit; or
 * with what is percent-encoded. */
static bool may_be_address(int family, copal_bytes text)
{
    const uint8_t *colon;

    if (text.len == 0)
        return false;
    if (memchr(text.data, '%', text.len) != NULL)
        return true;
    if (family == AF_INET)
        return text.data[0] >= '0' && text.data[0] <= '9';
    colon = memchr(text.data, ':', text.len);
    return colon != NULL &&
           memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.data)) !=
               NULL;
}

static bool is_address(int family, copal_bytes text)
{
    uint8_t address[sizeof(struct in6_addr)];
    char copy[INET6_ADDRSTRLEN];
    size_t len = 0;

    if (!may_be_address(family, text))
        return false;
    while (text.len > 0 && len < sizeof(copy) - 1)
        copy[len++] = (char)cp_char_take(&text);
    copy[len] = '\0';
    return text.len == 0 && strlen(copy) == len &&
           inet_pton(family, copy, address) == 1;
}

static bool is_zone(copal_bytes zone)
{
    for (size_t i = 0; i < zone.len; i++)
        if (!cp_char_is_unreserved(zone.data[i]))
            return false;
    return zone.len > 0 && zone.len <= MAX_ZONE;
}

/* Takes "address%zone", what stood in brackets. RFC 6874 writes "%25", people
 * write "%"; a zone is a convenience for this side only and never sent. */
static int split_literal(const struct cp_uri_work *w, copal_bytes literal)
{
    copal_bytes address = until(literal, "%"), zone = {0};

    if (memchr(address.data, 0, address.len) != NULL ||
        !is_address(AF_INET6, address))
        return cp_uri_say(w,
                          "what stands in brackets at character %d is no IPv6 "
                          "address; write one, as in [2001:db8::1]",
                          cp_uri_place(w, literal.data));
    if (address.len < literal.len) {
        zone = without(literal, address.len + 1);
        if (zone.len > 2 && memcmp(zone.data, "25", 2) == 0)
            zone = without(zone, 2);
        if (!is_zone(zone))
            return cp_uri_say(w,
                              "the zone at character %d is not the name or "
                              "number of an interface; write it as in "
                              "[fe80::1%%25eth0]",
                              cp_uri_place(w, literal.data + address.len));
    }
    w->uri->host = address;
    w->uri->zone = zone;
    w->uri->is_literal = true;
    return 0;
}

/* A name goes into Uri-Host decoded, and only what is plain in a name or not
 * ASCII comes back out of there. RFC 7252 6.5 step 2. */
static int check_name(const struct cp_uri_work *w, copal_bytes name)
{
    int err = cp_uri_check_characters(w, name, "");
    copal_bytes rest = name;

    if (err == 0)
        err = cp_uri_check_part(w, name, "host");
    while (err == 0 && rest.len > 0) {
        const uint8_t *at = rest.data;
        uint8_t c = cp_char_take(&rest);

        if (c < 0x80 && !cp_char_is_name(c))
            err = cp_uri_say(w,
                             "no host has the %%%02X at character %d in its "
                             "name; take it out",
                             c, cp_uri_place(w, at));
    }
    return err;
}

static int split_port(const struct cp_uri_work *w, copal_bytes port,
                      bool is_base)
{
    uint32_t number = 0;

    w->uri->port = cp_scheme_port(w->uri->scheme);
    if (port.len == 0)
        return 0;
    for (size_t i = 0; i < port.len; i++) {
        if (port.data[i] < '0' || port.data[i] > '9')
            return cp_uri_say(w,
                              "the port at character %d is not a number; "
                              "write digits, as in :%u",
                              cp_uri_place(w, port.data), w->uri->port);
        if (number <= UINT16_MAX)
            number = number * 10 + (port.data[i] - '0');
    }
    if (number > UINT16_MAX)
        return cp_uri_say(w,
                          "the port at character %d is over 65535; write a "
                          "smaller one",
                          cp_uri_place(w, port.data));
    if (number == 0 && !is_base)
        return cp_uri_say(w, "nobody can be reached at port 0; write the port "
                             "that the server listens at");
    w->uri->port = (uint16_t)number;
    return 0;
}

/* "*", however it is written. */
static bool is_any_host(copal_bytes name)
{
    return cp_char_take(&name) == '*' && name.len == 0;
}

static int split_name(const struct cp_uri_work *w, copal_bytes name,
                      bool is_base)
{
    if (name.len == 0)
        return cp_uri_say(w,
                          "the host is missing at character %d; write one, as "
                          "in %s://host/path",
                          cp_uri_place(w, name.data),
                          cp_scheme_name(w->uri->scheme));
    if (is_any_host(name) && !is_base)
        return cp_uri_say(w,
                          "* is a host to listen at only; name the one to ask");
    w->uri->host = name;
    w->uri->is_literal = is_address(AF_INET, name);
    return check_name(w, name);
}

/* "host", "host:port", "[address]:port". */
static int split_authority(const struct cp_uri_work *w, copal_bytes all,
                           bool is_base)
{
    bool has_bracket = all.len > 0 && all.data[0] == '[';
    copal_bytes host = until(all, has_bracket ? "]" : ":"), port;
    int err;

    if (all.len > 0 && memchr(all.data, '@', all.len) != NULL)
        return cp_uri_say(w,
                          "no user and password before the host; cut off "
                          "everything from character %d to the @",
                          cp_uri_place(w, all.data));
    if (has_bracket && host.len == all.len)
        return cp_uri_say(w,
                          "the [ at character %d is never closed; write a ] "
                          "behind the address",
                          cp_uri_place(w, all.data));
    port = without(all, host.len + has_bracket);
    if (port.len > 0 && port.data[0] != ':')
        return cp_uri_say(w,
                          "only a port may follow the ] before character %d; "
                          "write it as in ]:%u",
                          cp_uri_place(w, port.data),
                          cp_scheme_port(w->uri->scheme));
    if (is_address(AF_INET6, all))
        return cp_uri_say(w,
                          "the IPv6 address at character %d needs brackets; "
                          "write [%.*s]",
                          cp_uri_place(w, all.data), (int)all.len,
                          (const char *)all.data);
    err = has_bracket ? split_literal(w, without(host, 1))
                      : split_name(w, host, is_base);
    if (err != 0)
        return err;
    return split_port(w, port.len > 0 ? without(port, 1) : port, is_base);
}

/* ---- The whole ---- */

static int split_path(const struct cp_uri_work *w, copal_bytes rest)
{
    copal_bytes path = until(rest, "?#"), query = {0};
    struct cp_uri *uri = w->uri;
    int err = cp_uri_check_characters(w, path, "/:@");

    if (err == 0 && path.len > 0)
        err = check_parts(w, without(path, 1), '/', "segment");
    if (err != 0)
        return err;
    uri->path = path;
    rest = without(rest, path.len);
    if (rest.len > 0 && rest.data[0] == '?') {
        query = until(without(rest, 1), "#");
        rest = without(rest, 1 + query.len);
        err = cp_uri_check_characters(w, query, "/:@?");
        if (err == 0)
            err = check_parts(w, query, '&', "argument");
        uri->query = query;
        uri->has_query = true;
    }
    if (err == 0 && rest.len > 0)
        err = cp_uri_say_bad_character(w, rest.data);
    return err;
}

static int split(struct cp_mem *mem, const char *text, struct cp_uri *out,
                 bool is_base)
{
    struct cp_uri uri = {0};
    struct cp_uri_work w = {mem, text == NULL ? "" : text, &uri};
    copal_bytes rest = cp_bytes(w.text, strnlen(w.text, MAX_URI + 1));
    copal_bytes authority;
    int err;

    if (rest.len > MAX_URI)
        return cp_uri_say(
            &w, "over %d bytes are too much for a URI; shorten it", MAX_URI);
    err = split_scheme(&w, &rest);
    if (err != 0)
        return err;
    authority = until(rest, "/?#");
    err = split_authority(&w, authority, is_base);
    if (err != 0)
        return err;
    rest = without(rest, authority.len);
    if (is_base && rest.len > 0 && !cp_bytes_is_text(rest, "/"))
        return cp_uri_say(&w,
                          "only scheme, host and port are wanted here; cut "
                          "off everything from character %d",
                          cp_uri_place(&w, rest.data));
    err = is_base ? 0 : split_path(&w, rest);
    if (err == 0)
        *out = uri;
    return err;
}

int cp_uri_split(struct cp_mem *mem, const char *text, struct cp_uri *out)
{
    return split(mem, text, out, false);
}

int cp_uri_split_base(struct cp_mem *mem, const char *text, struct cp_uri *out)
{
    return split(mem, text, out, true);
}
