/* URIs once they are known to be good: their parts decoded, and put together
 * again. Taking them apart is uri_split.c. */
#include "wire/uri.h"
#include "wire/uri_chars.h"
#include <arpa/inet.h>
#include <assert.h>

static const struct {
    const char *name;
    uint16_t port;
} schemes[CP_SCHEME_COUNT] = {
    [CP_COAP] = {"coap", 5683},         [CP_COAPS] = {"coaps", 5684},
    [CP_COAP_TCP] = {"coap+tcp", 5683}, [CP_COAPS_TCP] = {"coaps+tcp", 5684},
    [CP_COAP_WS] = {"coap+ws", 80},     [CP_COAPS_WS] = {"coaps+ws", 443},
};

const char *cp_scheme_name(int scheme)
{
    assert(scheme >= 0 && scheme < CP_SCHEME_COUNT);
    return schemes[scheme].name;
}

uint16_t cp_scheme_port(int scheme)
{
    assert(scheme >= 0 && scheme < CP_SCHEME_COUNT);
    return schemes[scheme].port;
}

static copal_bytes without(copal_bytes bytes, size_t first)
{
    return cp_bytes(bytes.data + first, bytes.len - first);
}

/* At most 255 bytes: cp_uri_split() has seen to it for a URI; of anything else
 * the end is cut off. */
static size_t decode(copal_bytes part, uint8_t out[256])
{
    size_t len = 0;

    while (part.len > 0 && len < 255)
        out[len++] = cp_char_take(&part);
    return len;
}

/* ---- Path ---- */

/* "." gives 1, ".." gives 2, anything else 0; also where the dots are encoded,
 * which means the same (RFC 7252 6.3) and must not become an option either
 * (RFC 7252 5.10.1). */
static int dots_of(copal_bytes segment)
{
    int dots = 0;

    if (segment.len > 6) /* "%2e%2e" */
        return 0;
    while (segment.len > 0) {
        if (cp_char_take(&segment) != '.')
            return 0;
        dots++;
    }
    return dots <= 2 ? dots : 0;
}

/* Takes "/segment" off *rest, which is not empty. */
static copal_bytes take_raw_segment(copal_bytes *rest)
{
    copal_bytes segment = without(*rest, rest->data[0] == '/');
    const uint8_t *slash =
        segment.len == 0 ? NULL : memchr(segment.data, '/', segment.len);

    if (slash != NULL)
        segment.len = (size_t)(slash - segment.data);
    *rest =
        cp_bytes(segment.data + segment.len,
                 rest->len - (size_t)(segment.data - rest->data) - segment.len);
    return segment;
}

/* Does a later ".." take back the segment before rest? Then *rest goes on
 * behind it. */
static bool is_taken_back(copal_bytes *rest)
{
    copal_bytes ahead = *rest;
    int depth = 0;

    while (ahead.len > 0) {
        int dots = dots_of(take_raw_segment(&ahead));

        if (dots == 2 && depth == 0) {
            *rest = ahead;
            return true;
        }
        if (dots == 2)
            depth--;
        else if (dots == 0)
            depth++;
    }
    return false;
}

/* The next segment that is left when the dot segments are resolved. A path
 * that ends in one ends in an empty segment. RFC 7252 6.4 step 2, RFC 3986
 * 5.2.4. */
static bool take_segment(copal_bytes *rest, copal_bytes *segment)
{
    if (rest->len == 0)
        return false;
    while (rest->len > 0) {
        *segment = take_raw_segment(rest);
        if (dots_of(*segment) == 0 && !is_taken_back(rest))
            return true;
    }
    *segment = cp_bytes(rest->data, 0);
    return true;
}

/* What *rest becomes when just an empty last segment is left: a path as a
 * whole that is "/" has no segment, and there is nothing else by which to tell
 * the two apart. */
static const uint8_t last_is_empty[] = "/";

static bool is_one_empty_segment(copal_bytes path)
{
    copal_bytes segment;

    return take_segment(&path, &segment) && segment.len == 0 && path.len == 0;
}

bool cp_uri_next_segment(copal_bytes *rest, uint8_t out[256], size_t *len)
{
    copal_bytes segment;

    if (rest->data == last_is_empty) {
        *rest = cp_bytes(NULL, 0);
        *len = 0;
        return true;
    }
    if (is_one_empty_segment(*rest) || !take_segment(rest, &segment))
        return false;
    if (is_one_empty_segment(*rest))
        *rest = cp_bytes(last_is_empty, 1);
    *len = decode(segment, out);
    return true;
}

/* ---- Query ---- */

bool cp_uri_next_argument(copal_bytes *rest, uint8_t out[256], size_t *len)
{
    copal_bytes argument = *rest;
    const uint8_t *end;

    /* An empty query has one empty argument: data NULL is the end. */
    if (rest->data == NULL)
        return false;
    end = memchr(rest->data, '&', rest->len);
    if (end == NULL) {
        *rest = cp_bytes(NULL, 0);
    } else {
        argument.len = (size_t)(end - rest->data);
        *rest = without(*rest, argument.len + 1);
    }
    *len = decode(argument, out);
    return true;
}

/* ---- Host ---- */

/* text in RFC 5952's form, which inet_ntop() writes. False: no IPv6 address.
 */
static bool normal_ipv6(const char *text, size_t len,
                        char out[INET6_ADDRSTRLEN])
{
    struct in6_addr address;
    char copy[INET6_ADDRSTRLEN];

    if (len >= sizeof(copy) || memchr(text, ':', len) == NULL)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return inet_pton(AF_INET6, copy, &address) == 1 &&
           inet_ntop(AF_INET6, &address, out, INET6_ADDRSTRLEN) != NULL;
}

static void put_ipv6(struct cp_buf *b, const struct cp_uri *uri)
{
    char normal[INET6_ADDRSTRLEN];

    if (normal_ipv6((const char *)uri->host.data, uri->host.len, normal))
        cp_put_text(b, normal);
    if (uri->zone.len > 0)
        cp_put_u8(b, '%');
    cp_put_bytes(b, uri->zone);
    cp_put_u8(b, '\0');
}

void cp_uri_host_text(const struct cp_uri *uri, char out[320])
{
    size_t len;

    if (uri->is_literal && memchr(uri->host.data, ':', uri->host.len)) {
        struct cp_buf b = cp_buf_fixed(out, 320);

        put_ipv6(&b, uri);
        return;
    }
    len = decode(uri->host, (uint8_t *)out);
    out[len] = '\0';
    /* A host is the same in any case, also where its letters are encoded: so
     * they are lowered last. */
    for (size_t i = 0; i < len; i++)
        if (out[i] >= 'A' && out[i] <= 'Z')
            out[i] = (char)(out[i] | 0x20);
}

/* ---- Putting together ---- */

static void put_encoded(struct cp_buf *b, uint8_t c)
{
    static const char hex[] = "0123456789ABCDEF";

    cp_put_u8(b, '%');
    cp_put_u8(b, (uint8_t)hex[c >> 4]);
    cp_put_u8(b, (uint8_t)hex[c & 15]);
}

static void put_name(struct cp_buf *b, const char *name)
{
    for (; *name != '\0'; name++) {
        if (cp_char_is_name((uint8_t)*name))
            cp_put_u8(b, (uint8_t)*name);
        else
            put_encoded(b, (uint8_t)*name);
    }
}

/* An IPv6 literal in brackets; false: host is none. */
static bool put_bracketed(struct cp_buf *b, const char *host)
{
    const char *zone = strchr(host, '%');
    size_t len = zone == NULL ? strlen(host) : (size_t)(zone - host);
    char normal[INET6_ADDRSTRLEN];

    if (!normal_ipv6(host, len, normal))
        return false;
    cp_put_u8(b, '[');
    cp_put_text(b, normal);
    if (zone != NULL) {
        cp_put_text(b, "%25");
        put_name(b, zone + 1);
    }
    cp_put_u8(b, ']');
    return true;
}

void cp_uri_put_base(struct cp_buf *b, int scheme, const char *host,
                     uint16_t port)
{
    cp_put_text(b, cp_scheme_name(scheme));
    cp_put_text(b, "://");
    if (!put_bracketed(b, host))
        put_name(b, host);
    if (port != cp_scheme_port(scheme))
        cp_put_format(b, ":%u", port);
}

void cp_uri_put_segment(struct cp_buf *b, copal_bytes segment)
{
    cp_put_u8(b, '/');
    for (size_t i = 0; i < segment.len; i++) {
        if (cp_char_is_segment(segment.data[i]))
            cp_put_u8(b, segment.data[i]);
        else
            put_encoded(b, segment.data[i]);
    }
}

void cp_uri_put_argument(struct cp_buf *b, copal_bytes argument, bool is_first)
{
    cp_put_u8(b, is_first ? '?' : '&');
    for (size_t i = 0; i < argument.len; i++) {
        uint8_t c = argument.data[i];
        bool is_plain = cp_char_is_segment(c) || c == '/' || c == '?';

        if (is_plain && c != '&')
            cp_put_u8(b, c);
        else
            put_encoded(b, c);
    }
}
