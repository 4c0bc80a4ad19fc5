/* A message: code, options in order, payload, and what came with it. Made by
 * a user, or from a datagram; frozen once it was handed over, then shared. */
#ifndef CP_WIRE_MESSAGE_H
#define CP_WIRE_MESSAGE_H

#include "base/address.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/refs.h"
#include "wire/code.h"

/* Where an option's value stands in a message's data. */
struct cp_option {
    uint32_t at, len;
    uint16_t number;
};

enum {
    CP_INLINE_OPTIONS = 8,
    CP_MAX_TUNED = 16
};

struct cp_tuned {
    int param; /* copal_param */
    int64_t value;
};

/* A flag of requests that users cannot set: its observation is shared with no
 * other. */
#define CP_FLAG_APART (UINT32_C(1) << 31)

/* A request's URI and where it leads: made by copal_msg_set_uri(). */
struct cp_target;

/* What protects a message end to end, counted: secure/ makes it, the engine keeps
 * it with a request and hands it back for the answers (engine/guard.h). */
struct cp_guard {
    uint32_t refs;
    void (*free)(struct cp_guard *g);
    const void *whose; /* the context; two with the same are the same peer's */
};

static inline struct cp_guard *cp_guard_ref(struct cp_guard *g)
{
    if (g != NULL)
        g->refs++;
    return g;
}

static inline void cp_guard_unref(struct cp_guard *g)
{
    if (g != NULL && --g->refs == 0)
        g->free(g);
}

static inline bool cp_guard_same(const struct cp_guard *a,
                                 const struct cp_guard *b)
{
    return a == b || (a != NULL && b != NULL && a->whose == b->whose);
}

/* A text made on demand and kept as long as the message. */
struct cp_kept_text;

struct copal_msg {
    struct cp_refs refs;
    struct cp_mem *mem;

    uint8_t code;
    uint8_t type;   /* enum cp_type of a received one; 0xff: none */
    uint16_t mid;   /* of a received one */
    uint8_t scheme; /* enum cp_scheme it came by */
    bool frozen;
    bool received;
    bool is_multicast; /* own: its target is a group */
    bool is_secret;    /* a key: wiped when it is let go of */
    bool is_wired;     /* data is what follows the token: cp_datagram_wire() */
    uint32_t flags;    /* COPAL_NON, ... */

    uint64_t present;          /* bit n: option number n, below 64, is there */
    struct cp_option *options; /* sorted by number, stable */
    uint16_t option_count, option_cap;
    uint32_t data_len, data_cap;
    uint8_t *data; /* options' values and, of a received one, token, payload */

    copal_bytes token;
    copal_bytes payload;
    const copal_msg *payload_of; /* ref'd: whose payload ours is a part of */
    uint8_t *own_payload;        /* freed with the message */
    uint64_t digest; /* of the payload, once frozen and asked for; 0: not yet */

    struct cp_path path; /* of a received one */
    struct cp_target *target;
    const copal_msg *request; /* ref'd, of a response: what it answers */
    struct cp_guard *guard;   /* ref'd, of what came sealed */
    struct cp_kept_text *kept;
    struct cp_tuned *tuned; /* CP_MAX_TUNED of them, param 0: unused */
    uint64_t resume_at;     /* copal_msg_resume() */
    uint8_t resume_etag[8];
    uint8_t resume_etag_len; /* 0: an upload goes on */
    bool resumed;
    uint32_t outer_block;   /* of one that came in blocks, outside: what its
                             * answer's Block1 is to be, and 1 more; 0: not */
    char *identity;         /* proven name of the sender; NULL: none */
    bool names_guard;       /* identity is the guard's, and lives as long */
    struct cp_address from; /* copal_msg_set_from(); family 0: any */

    struct cp_option inline_options[CP_INLINE_OPTIONS];
};

/* refs 1, not frozen. NULL: out of memory. room: bytes of data known to be
 * needed (0: grows). */
copal_msg *cp_msg_new(struct cp_mem *mem, int code, size_t room);

static inline bool cp_msg_has(const copal_msg *m, unsigned option)
{
    return m->present >> option & 1; /* option below 64 */
}

static inline copal_bytes cp_msg_option_value(const copal_msg *m,
                                              const struct cp_option *o)
{
    return cp_bytes(m->data + o->at, o->len);
}

/* What every setter asks first. COPAL_ENOMEM: m is NULL, so that a row of calls
 * needs one check; COPAL_ESTATE, with its sentence: frozen. */
int cp_msg_check_writable(const copal_msg *m);

/* The first of that number, or NULL. Most are asked for in vain, and nearly all
 * of those below 64. */
const struct cp_option *cp_msg_seek(const copal_msg *m, unsigned option);
static inline const struct cp_option *cp_msg_find(const copal_msg *m,
                                                  unsigned option)
{
    return option < 64 && !cp_msg_has(m, option) ? NULL
                                                 : cp_msg_seek(m, option);
}

/* Reads a uint option, or gives otherwise. */
static inline uint64_t cp_msg_uint_or(const copal_msg *m, unsigned option,
                                      uint64_t otherwise)
{
    const struct cp_option *o = cp_msg_find(m, option);

    return o == NULL ? otherwise : cp_bytes_uint(cp_msg_option_value(m, o));
}

/* The first ETag, which is all that a response has; empty: none. */
copal_bytes cp_msg_etag(const copal_msg *m);

/* Is etag among m's ETags? Not if it is empty. RFC 7252 5.10.6.2. */
bool cp_msg_has_etag(const copal_msg *m, copal_bytes etag);

/* Seconds that a response is fresh; 60 if it does not say. RFC 7252 5.10.5. */
uint64_t cp_msg_max_age(const copal_msg *m);

/* Adds, sorted, behind those of the same number; value may be another option's
 * of m. COPAL_ENOMEM, COPAL_ELIMIT. No check of frozen or of the table: the
 * public functions do that. */
int cp_msg_add(copal_msg *m, unsigned option, copal_bytes value);
int cp_msg_add_uint(copal_msg *m, unsigned option, uint64_t value);
void cp_msg_remove(copal_msg *m, unsigned option);

/* Room for more bytes of data, which may move it (token and payload follow if
 * they stand there); for more options, at most 32768; an option whose value
 * stands in data already. COPAL_ENOMEM, COPAL_ELIMIT. */
int cp_msg_grow(copal_msg *m, size_t more);
static inline int cp_msg_reserve(copal_msg *m, size_t more)
{
    return more <= m->data_cap - m->data_len ? 0 : cp_msg_grow(m, more);
}
int cp_msg_grow_options(copal_msg *m, size_t more);
static inline int cp_msg_reserve_options(copal_msg *m, size_t more)
{
    return more <= (size_t)(m->option_cap - m->option_count)
               ? 0
               : cp_msg_grow_options(m, more);
}
int cp_msg_index(copal_msg *m, unsigned option, copal_bytes value);

/* The same, where none of a higher number is in m and there is room. */
static inline void cp_msg_index_last(copal_msg *m, unsigned option,
                                     copal_bytes value)
{
    m->options[m->option_count++] = (struct cp_option){
        .at = value.len > 0 ? (uint32_t)(value.data - m->data) : 0,
        .len = (uint32_t)value.len,
        .number = (uint16_t)option};
    if (option < 64)
        m->present |= UINT64_C(1) << option;
}

/* Points the payload at part of owner's, which is ref'd; owner NULL: at part of
 * m's own data. */
void cp_msg_borrow_payload(copal_msg *m, const copal_msg *owner,
                           copal_bytes part);
int cp_msg_copy_payload(copal_msg *m, copal_bytes payload);
/* A copy among the data of the options: no allocation where there is room. */
int cp_msg_append_payload(copal_msg *m, copal_bytes payload);
/* p is from m->mem and freed with m. */
void cp_msg_give_payload(copal_msg *m, uint8_t *p, size_t len);

/* A writable copy. It shares the payload of a frozen message, which is ref'd,
 * and has its own where m may still change. NULL: out of memory. */
copal_msg *cp_msg_derive(const copal_msg *m);

/* The same without payload. */
copal_msg *cp_msg_derive_head(const copal_msg *m);

/* The message's parameter, or otherwise. */
int64_t cp_msg_tuned(const copal_msg *m, int param, int64_t otherwise);

/* Options against the table, as who receives a message must see them (RFC
 * 7252 5.4.1, 5.4.3, 5.4.5): known elective ones of wrong length or repeated
 * against the rule are taken out. 0, or the number of the first critical
 * option that is unknown, of wrong length or repeated. understood(user, n)
 * tells of options outside the table; may be NULL. */
unsigned cp_msg_check_options(copal_msg *m,
                              bool (*understood)(void *user, unsigned number),
                              void *user);

/* A hash input that says which representation is meant: code, and all options
 * but NoCacheKey ones, Observe, ETag, Block and Size ones. A FETCH's payload
 * is part of it, too (RFC 8132 2), but left to the caller: later blocks of a
 * transfer come without. RFC 7252 5.6. Appended to out. */
void cp_msg_put_cache_key(const copal_msg *m, struct cp_buf *out);

/* The same added to a hash, and without an option more. */
void cp_msg_hash_cache_key(const copal_msg *m, unsigned but, struct cp_sip *s);

#endif
