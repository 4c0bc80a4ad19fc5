/* Codes and Content-Formats, and their names. RFC 7252 12.1, 12.3. */
#ifndef CP_WIRE_CODE_H
#define CP_WIRE_CODE_H

#include "base/bytes.h"

static inline unsigned cp_code_class(int code)
{
    return (unsigned)code >> 5;
}

static inline unsigned cp_code_detail(int code)
{
    return (unsigned)code & 31;
}

/* A method, also an unknown one: class 0, but not the empty message. */
static inline bool cp_code_is_request(int code)
{
    return code != 0 && cp_code_class(code) == 0;
}

/* It only asks: done twice, it changes nothing. RFC 7252 5.1, RFC 8132 2. */
static inline bool cp_code_is_safe(int method)
{
    return method == COPAL_GET || method == COPAL_FETCH;
}

static inline bool cp_code_is_response(int code)
{
    return cp_code_class(code) == 2 || cp_code_class(code) == 4 ||
           cp_code_class(code) == 5;
}

/* "GET", "2.05 Content", "7.01 CSM"; an unknown one as "0.30" or "2.30". code
 * is 0 to 255; anything else gives "?". Never NULL, never freed. */
const char *cp_code_name(int code);

/* "GET", "get", "2.05", "2.05 Content", "Content", "0.30". COPAL_ENOENT. */
int cp_code_number(const char *name);

/* "text/plain;charset=utf-8", "application/cbor"; with a content coding
 * "application/json@deflate" (number 11050). NULL: not in the table. */
const char *cp_format_name(int format);

/* A full name as above, or a short one: "text", "links", "json", "cbor",
 * "octets", "xml", "senml+cbor", "senml+json": the content type without
 * "application/" and parameters, if that fits just one row without coding;
 * also a decimal number, 0 to 65535. COPAL_ENOENT. */
int cp_format_number(const char *name);

#endif
