/* What uri_split.c asks of each part of a URI, and how it says what is wrong.
 * Every function that gives COPAL_EURI has left the sentence in mem. */
#ifndef CP_WIRE_URI_CHECK_H
#define CP_WIRE_URI_CHECK_H

#include "wire/uri.h"

/* A URI while it is taken apart. */
struct cp_uri_work {
    struct cp_mem *mem; /* for the sentence */
    const char *text;
    struct cp_uri *uri;
};

/* COPAL_EURI, with "text: " before the sentence. */
int cp_uri_say(const struct cp_uri_work *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Which character of the text that is, counted from 1, as people count. */
int cp_uri_place(const struct cp_uri_work *w, const uint8_t *at);

/* COPAL_EURI: the one at that place cannot stand there. */
int cp_uri_say_bad_character(const struct cp_uri_work *w, const uint8_t *at);

/* Does part hold only characters of names, whole percent sequences, and what
 * is in also? 0, COPAL_EURI. */
int cp_uri_check_characters(const struct cp_uri_work *w, copal_bytes part,
                            const char *also);

/* Is part, a "host", "segment" or "argument", UTF-8 of at most 255 bytes once
 * it is decoded? 0, COPAL_EURI. */
int cp_uri_check_part(const struct cp_uri_work *w, copal_bytes part,
                      const char *what);

#endif
