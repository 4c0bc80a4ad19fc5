/* CBOR, RFC 8949: a reader that walks one data item (or a sequence of them)
 * without allocating, and a deterministic writer. */
#ifndef CP_WIRE_CBOR_H
#define CP_WIRE_CBOR_H

#include "base/buf.h"

/* ---- Reading ---- */

enum cp_cbor_kind {
    CP_CBOR_UNSIGNED, /* n                                                 */
    CP_CBOR_NEGATIVE, /* -1 - n                                            */
    CP_CBOR_BYTES,    /* bytes; indefinite: chunks follow, then an END     */
    CP_CBOR_TEXT,     /* the same, each chunk UTF-8 by itself (3.2.3)      */
    CP_CBOR_ARRAY,    /* its items follow, n of them, then an END          */
    CP_CBOR_MAP,      /* n keys, each before its value, then an END        */
    CP_CBOR_TAG,      /* number n; one item follows, then an END           */
    CP_CBOR_SIMPLE,   /* n: one of enum cp_cbor_simple, or unassigned      */
    CP_CBOR_FLOAT,    /* number                                            */
    CP_CBOR_END,      /* of the innermost ARRAY, MAP, TAG or string        */
    CP_CBOR_NOTHING   /* as a parent: the item is in nothing               */
};

enum cp_cbor_simple {
    CP_CBOR_FALSE = 20,
    CP_CBOR_TRUE = 21,
    CP_CBOR_NULL = 22,
    CP_CBOR_UNDEFINED = 23
};

struct cp_cbor_item {
    enum cp_cbor_kind kind;
    enum cp_cbor_kind parent; /* what it stands in; with END: what ends     */
    bool indefinite;          /* string, array, map; with END as it began   */
    uint8_t width;            /* bytes of the argument: 0, 1, 2, 4, 8       */
    int depth;                /* how many items it stands in                */
    uint64_t n;               /* not with indefinite lengths                */
    uint64_t index;           /* among its siblings; a map's keys are even.
                               * With END: how many there were              */
    double number;
    copal_bytes bytes; /* view into what is read */
};

/* Nesting beyond this is refused whatever the caller allows. */
#define CP_CBOR_DEPTH 64

struct cp_cbor_reader {
    struct cp_cursor in;
    int depth, max_depth;
    int error;        /* of the last read; sticky                    */
    bool is_sequence; /* any number of items, RFC 8742; set at will  */
    bool is_strict;   /* only shortest arguments and definite lengths, RFC
                       * 8949 4.2.1; order of keys and floats are not looked
                       * at; set at will */
    uint64_t count;   /* of items in nothing so far                  */
    struct cp_cbor_frame {
        uint64_t left, index;
        enum cp_cbor_kind kind;
        bool indefinite;
    } stack[CP_CBOR_DEPTH];
};

/* Reads bytes, which hold one item and nothing else. max_depth: how many
 * arrays, maps, tags and strings in chunks may stand in one another, at most
 * CP_CBOR_DEPTH. */
CP_SHARED struct cp_cbor_reader cp_cbor_read(copal_bytes bytes, int max_depth);

/* The next item into *out. 1: there is one; 0: the end, all is read.
 * COPAL_EFORMAT: not well-formed (RFC 8949 C, F), text that is not UTF-8, a
 * length beyond the input, or something after the item. COPAL_ELIMIT: nested
 * deeper than max_depth. */
CP_SHARED int cp_cbor_next(struct cp_cbor_reader *r, struct cp_cbor_item *out);

/* The rest of the item just read, up to its END. 0 or an error as above. */
CP_SHARED int cp_cbor_skip(struct cp_cbor_reader *r,
                           const struct cp_cbor_item *item);

/* Reads all. 0 or an error as above. */
int cp_cbor_check(copal_bytes bytes, int max_depth);

/* Where in the input the next item begins, or the failed one began. */
CP_SHARED size_t cp_cbor_offset(const struct cp_cbor_reader *r,
                                copal_bytes bytes);

/* ---- Writing ---- */

/* Deterministic (RFC 8949 4.2): shortest arguments, definite lengths, and
 * floats as short as keeps their value. An array or map is its count, then so
 * many items or pairs put by the caller. */
void cp_cbor_put_unsigned(struct cp_buf *b, uint64_t n);
void cp_cbor_put_negative(struct cp_buf *b, uint64_t n); /* -1 - n */
CP_SHARED void cp_cbor_put_int(struct cp_buf *b, int64_t n);
CP_SHARED void cp_cbor_put_bytes(struct cp_buf *b, copal_bytes bytes);
void cp_cbor_put_bytes_head(struct cp_buf *b, uint64_t len); /* they follow */
CP_SHARED void cp_cbor_put_text(struct cp_buf *b,
                                copal_bytes text); /* is UTF-8 */
CP_SHARED void cp_cbor_put_array(struct cp_buf *b, uint64_t count);
CP_SHARED void cp_cbor_put_map(struct cp_buf *b, uint64_t pairs);
CP_SHARED void cp_cbor_put_tag(struct cp_buf *b, uint64_t tag);
CP_SHARED void cp_cbor_put_simple(struct cp_buf *b,
                                  uint8_t n); /* not 24 .. 31 */
CP_SHARED void cp_cbor_put_float(struct cp_buf *b, double number);

/* An integer of any size: n's bytes, big-endian; is_negative: -1 - n. As an
 * integer where 64 bits hold it, else as a bignum. RFC 8949 3.4.3. */
CP_SHARED void cp_cbor_put_bignum(struct cp_buf *b, copal_bytes n,
                                  bool is_negative);

/* Brings the pairs that were put from begin on, and nothing else, into the
 * order of their encoded keys. RFC 8949 4.2.1. COPAL_EINVAL: a key stands
 * there twice. COPAL_ENOMEM: also if a put failed. Not with fixed storage. */
CP_SHARED int cp_cbor_sort_map(struct cp_buf *b, size_t begin, size_t pairs);

#endif
