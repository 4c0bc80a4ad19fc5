/* URIs of the six CoAP schemes, taken apart and put together. RFC 7252 6,
 * RFC 8323 8. Nothing is allocated but by a growing writer. */
#ifndef CP_WIRE_URI_H
#define CP_WIRE_URI_H

#include "base/buf.h"

enum cp_scheme {
    CP_COAP,
    CP_COAPS,
    CP_COAP_TCP,
    CP_COAPS_TCP,
    CP_COAP_WS,
    CP_COAPS_WS,
    CP_SCHEME_COUNT
};

/* "coap+tcp"; its default port. RFC 8323 8. */
const char *cp_scheme_name(int scheme);
uint16_t cp_scheme_port(int scheme);

/* By a connection, which loses and doubles nothing. RFC 8323. */
static inline bool cp_scheme_is_stream(int scheme)
{
    return scheme >= CP_COAP_TCP;
}

/* Views into the text, still percent-encoded. */
struct cp_uri {
    int scheme;        /* enum cp_scheme */
    copal_bytes host;  /* without brackets and zone */
    copal_bytes zone;  /* after "%" or "%25" in brackets; empty: none */
    bool is_literal;   /* host is an IPv4 or IPv6 literal, in any legal form */
    uint16_t port;     /* given, or the scheme's own */
    copal_bytes path;  /* after the authority, with its first "/"; or empty */
    copal_bytes query; /* after "?" */
    bool has_query;    /* "?" was there: an empty query is an empty option */
};

/* Takes text apart and checks all of it: percent sequences, characters, a
 * host, a port, segments and arguments of at most 255 bytes decoded, no
 * fragment. On failure COPAL_EURI, and mem's sentence says what is wrong at
 * which place and what to write instead ("http://..." only through a proxy:
 * COPAL_EURI too). text NULL is as good as empty. */
int cp_uri_split(struct cp_mem *mem, const char *text, struct cp_uri *out);

/* As cp_uri_split() for a base: scheme, host, port and nothing behind; "*" is
 * allowed for host. What copal_listen() takes; port 0 is allowed. */
int cp_uri_split_base(struct cp_mem *mem, const char *text, struct cp_uri *out);

/* The next segment of a path, or argument of a query, percent-decoded into
 * out (at least 256 bytes). False: there is none. RFC 7252 6.4: a path that is
 * empty or "/" has none; "/a/" has "a" and "". *rest begins as uri.path or
 * uri.query; a query needs has_query checked first. */
bool cp_uri_next_segment(copal_bytes *rest, uint8_t out[256], size_t *len);
bool cp_uri_next_argument(copal_bytes *rest, uint8_t out[256], size_t *len);

/* The host percent-decoded, lower case (RFC 7252 6.4 step 5), NUL-terminated.
 * An IPv6 literal comes in the form of RFC 5952, with "%zone". */
void cp_uri_host_text(const struct cp_uri *uri, char out[320]);

/* Putting together, RFC 7252 6.5: the parts in order. host is a decoded name
 * or a literal without brackets; the port is left out when it is the scheme's
 * own; a zone is kept. No segment at all: "/". */
void cp_uri_put_base(struct cp_buf *b, int scheme, const char *host,
                     uint16_t port);
void cp_uri_put_segment(struct cp_buf *b, copal_bytes segment); /* "/a%2Fb" */
void cp_uri_put_argument(struct cp_buf *b, copal_bytes argument,
                         bool is_first); /* "?a=b", "&c" */

#endif
