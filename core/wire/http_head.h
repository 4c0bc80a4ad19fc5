/* Heads of HTTP/1.1, read strictly: RFC 9112 2 to 6. For the page of counters
 * (net/metrics.c) and the handshake of WebSockets (wire/upgrade.c), to which
 * nobody brings a body. */
#ifndef CP_WIRE_HTTP_HEAD_H
#define CP_WIRE_HTTP_HEAD_H

#include "base/bytes.h"

enum { /* statuses, RFC 9110 15 */
    CP_HTTP_MORE = 0,
    CP_HTTP_OK = 200,
    CP_HTTP_BAD_REQUEST = 400,
    CP_HTTP_VERSION_NOT_SUPPORTED = 505
};

/* Views of the head. */
struct cp_http_head {
    copal_bytes method; /* as it came: methods know case */
    copal_bytes path;   /* of the target, undecoded, without query; empty of
                         * "*" and of an authority alone */
    size_t len;         /* of the head, its last empty line included */
    int status;         /* of a response, whose method and path are empty */
    bool is_old;        /* HTTP/1.0 */
};

/* Hears of each field, its value without the blanks around it. CP_HTTP_OK, or
 * the status that refuses the head. */
typedef int cp_http_field(void *user, copal_bytes name, copal_bytes value);

/* The whole head is at the beginning of input: CP_HTTP_OK, and *out is filled.
 * CP_HTTP_MORE: as far as it goes it could be one. Else the status that refuses
 * it, as soon as that is known: 505 another major version; 400 what is not of
 * RFC 9112's grammar, bare CR or LF, a folded line (5.2), a control character,
 * no Host in HTTP/1.1 or two (3.2), and whatever brings a body: 6.1 and 6.3 have
 * traps that who refuses them all does not fall into. The caller bounds input. */
int cp_http_head_read(copal_bytes input, struct cp_http_head *out);

/* The same, and field, which may be NULL, hears of the fields; of a head that is
 * not all there or refused perhaps of some. */
int cp_http_request_read(copal_bytes input, struct cp_http_head *out,
                         cp_http_field *field, void *user);

/* The head of a response, which needs no Host. */
int cp_http_response_read(copal_bytes input, struct cp_http_head *out,
                          cp_http_field *field, void *user);

/* The reason phrase of a status that refuses, or of CP_HTTP_OK. RFC 9110 15. */
const char *cp_http_reason(int status);

/* Names of fields know no case. RFC 9110 5.1. */
bool cp_http_is_called(copal_bytes name, const char *wanted);

#endif
