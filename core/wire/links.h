/* Link format, RFC 6690: reading, writing, filtering. */
#ifndef CP_WIRE_LINKS_H
#define CP_WIRE_LINKS_H

#include "base/buf.h"

/* One link of a document, as views into it. */
struct cp_link_value {
    copal_bytes target;     /* between < and > */
    copal_bytes attributes; /* ";name=value..." as they stand */
};

/* Reads the next link from *rest and moves on. 1: a link; 0: the end;
 * COPAL_EFORMAT: malformed from here on (RFC 6690 2). */
int cp_links_next(copal_bytes *rest, struct cp_link_value *out);

struct cp_attribute {
    copal_bytes name;
    copal_bytes value; /* without quotes, "\" escapes still in */
    bool has_value;    /* "obs" has none */
    bool is_quoted;
};

/* The next attribute from *rest, which begins as link.attributes. 1, 0. */
int cp_attribute_next(copal_bytes *rest, struct cp_attribute *out);

/* value with its escapes resolved, appended to out. */
void cp_attribute_put_value(struct cp_buf *out, const struct cp_attribute *a);

/* Does the link match one query argument, "rt=temperature-c", "href=/s*",
 * "obs"? RFC 6690 4.1: attributes that are lists (rt, if, rel, rev, ct) match
 * by one of their space-separated words; a trailing * matches a prefix. A link
 * has to match every argument of a request. */
bool cp_links_match(const struct cp_link_value *link, copal_bytes argument);

/* Writing: a link, then its attributes. A comma goes between links by itself
 * (b.len != 0). Values are quoted unless name is ct, sz or another that is
 * written bare and the value is a token; value.data NULL: none. The caller
 * sees to attributes that may stand only once (cp_attribute_is_single()). */
void cp_links_put(struct cp_buf *b, copal_bytes target);
void cp_links_put_attribute(struct cp_buf *b, const char *name,
                            copal_bytes value);

/* rel, rt, if, sz, ct, title, anchor, ... : at most once in a link. */
bool cp_attribute_is_single(const char *name);

/* name is a parmname of RFC 6690 2 (or RFC 8187's with a trailing "*"). */
bool cp_attribute_name_is_valid(const char *name);

#endif
