/* The character classes of RFC 3986 that reading and writing URIs share. */
#ifndef CP_WIRE_URI_CHARS_H
#define CP_WIRE_URI_CHARS_H

#include "base/bytes.h"

/* RFC 3986 2.2, 2.3: what stands for itself in every part of a URI. */
static inline bool cp_char_is_unreserved(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

static inline bool cp_char_is_sub_delim(uint8_t c)
{
    switch (c) {
    case '!':
    case '$':
    case '&':
    case '\'':
    case '(':
    case ')':
    case '*':
    case '+':
    case ',':
    case ';':
    case '=': return true;
    default: return false;
    }
}

/* A host name that is not encoded. RFC 3986 3.2.2. */
static inline bool cp_char_is_name(uint8_t c)
{
    return cp_char_is_unreserved(c) || cp_char_is_sub_delim(c);
}

/* A path segment; a query has "/" and "?", too. RFC 3986 3.3, 3.4. */
static inline bool cp_char_is_segment(uint8_t c)
{
    return cp_char_is_name(c) || c == ':' || c == '@';
}

/* 0 to 15, or -1. */
static inline int cp_char_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Takes one byte off *rest, or one percent sequence. A "%" that begins none
 * stands for itself; rest->len is not 0. */
static inline uint8_t cp_char_take(copal_bytes *rest)
{
    uint8_t c = rest->data[0];
    size_t used = 1;

    if (c == '%' && rest->len >= 3) {
        int high = cp_char_hex(rest->data[1]);
        int low = cp_char_hex(rest->data[2]);

        if (high >= 0 && low >= 0) {
            c = (uint8_t)(high << 4 | low);
            used = 3;
        }
    }
    *rest = cp_bytes(rest->data + used, rest->len - used);
    return c;
}

#endif
