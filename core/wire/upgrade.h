/* The HTTP messages by which a connection becomes a WebSocket that carries
 * CoAP. RFC 6455 4, RFC 8323 4.1. Only what these two need is understood of
 * HTTP/1.1; what could be read in two ways is refused. */
#ifndef CP_WIRE_UPGRADE_H
#define CP_WIRE_UPGRADE_H

#include "base/buf.h"

enum {
    CP_UPGRADE_LONGEST = 4096, /* bytes of a head */
    CP_UPGRADE_KEY = 24,       /* characters of a key: 16 bytes in base64 */
    CP_UPGRADE_ACCEPT = 28     /* of the answer to it: 20 bytes */
};

/* Views into what was read; empty: not there. */
struct cp_upgrade {
    size_t size;        /* bytes of the head */
    int status;         /* of a response */
    copal_bytes method; /* of a request */
    copal_bytes target; /* its path, "/.well-known/coap" */
    copal_bytes host;
    copal_bytes origin;
    copal_bytes key;
    copal_bytes accept;
    bool has_upgrade, has_connection; /* each names what it has to */
    bool is_coap;                     /* the subprotocol is among those named */
    bool is_version13;
};

/* Reads a head at the beginning of bytes. 0; COPAL_ESTATE: it is not all there;
 * COPAL_ELIMIT: over CP_UPGRADE_LONGEST; COPAL_EFORMAT. */
int cp_upgrade_read_request(copal_bytes bytes, struct cp_upgrade *out);
int cp_upgrade_read_response(copal_bytes bytes, struct cp_upgrade *out);

/* The status to refuse a request with, or 101. origin_is_allowed(user, origin,
 * host) is asked where there is an Origin. */
int cp_upgrade_judge(const struct cp_upgrade *request,
                     bool (*origin_is_allowed)(void *user, copal_bytes origin,
                                               copal_bytes host),
                     void *user);

/* What Host has without its port. */
copal_bytes cp_upgrade_without_port(copal_bytes host);

/* Is what Host has, a port aside, "localhost" or an address? Of names only these
 * a page's author cannot have lead somewhere else than where the page came from.
 */
bool cp_upgrade_is_own_host(copal_bytes host);

/* "https://example.org", or "*" for any. COPAL_EINVAL, with its sentence. */
int cp_upgrade_check_origin(struct cp_mem *mem, const char *origin);

/* "device.example", or "*" for any. COPAL_EINVAL, with its sentence. */
int cp_upgrade_check_host(struct cp_mem *mem, const char *name);

/* host as in a URI, with a port unless it is the scheme's own. */
void cp_upgrade_put_request(struct cp_buf *out, const char *host,
                            const char *key);
/* accept: with 101 only. */
void cp_upgrade_put_response(struct cp_buf *out, int status,
                             const char *accept);

/* What a server has to answer to key, of which sha1 makes 20 bytes. RFC 6455
 * 4.2.2. */
void cp_upgrade_accept(copal_bytes key,
                       void (*sha1)(copal_bytes in, uint8_t out[20]),
                       char out[CP_UPGRADE_ACCEPT + 1]);

#endif
