/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing beyond
 * U+10FFFF. */
#ifndef CP_BASE_UTF8_H
#define CP_BASE_UTF8_H

#include "base/bytes.h"

/* The length of the character at i < text.len. If none is there, valid is
 * false and the length is that of what a character might have begun with: one
 * U+FFFD stands for all of it, as Unicode recommends. */
size_t cp_utf8_length(copal_bytes text, size_t i, bool *valid);

/* All of text is UTF-8. */
CP_SHARED bool cp_utf8_is_valid(copal_bytes text);

/* C0, DEL or C1: a character that steers a terminal instead of leaving a mark.
 * c is one whole character. */
bool cp_utf8_is_control(copal_bytes c);

#endif
