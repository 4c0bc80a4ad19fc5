/* Messages seen, so that a repeat is answered as before and acted upon once.
 * One store for all peers, bounded in bytes. RFC 7252 4.5. */
#ifndef CP_ENGINE_DEDUP_H
#define CP_ENGINE_DEDUP_H

#include "base/cells.h"
#include "base/table.h"
#include "wire/datagram.h"
#include "engine/link.h"

struct cp_engine;
struct cp_seen;

/* Who gives way when the store is full: RFC 7252 4.5 lets an idempotent
 * request be acted upon again, a POST or PATCH never; but of those anybody can
 * make up as many as there is room for. */
enum cp_worth {
    CP_CHEAP,
    CP_IDEMPOTENT,
    CP_UNPROVEN, /* a POST or PATCH from where nobody may be */
    CP_PRECIOUS,
    CP_WORTH_COUNT
};

enum {
    CP_DEDUP_SHARES = 256
};

/* What is kept of some sources: those whose addresses, ports aside, hash alike.
 * A stranger who sends much pushes out what is his own. */
struct cp_share {
    struct cp_row oldest[CP_WORTH_COUNT]; /* in the order they came */
    uint64_t used;                        /* bytes */
};

struct cp_dedup {
    struct cp_engine *engine;
    struct cp_cells cells;
    struct cp_table table;                /* of their numbers */
    struct cp_row oldest[CP_WORTH_COUNT]; /* in the order they came */
    uint64_t used;                        /* bytes */
    struct cp_share shares[CP_DEDUP_SHARES];
};

enum {
    CP_SEEN_INLINE = 31 /* the answer of a small value, with a token of 8 */
};

/* One message from one source: of the most that happen thousands a second, so
 * that it has no byte to spare. A repeat is one with the same source, message id
 * and token; where the token differs the source reuses its ids too early, and an
 * answer under the old token would help nobody.
 *
 * All of that is known by 64 bits of SipHash under the table's random key, which
 * are taken for the thing itself: nobody can aim at them, and by chance two of a
 * hundred thousand messages a second meet among as many once in half a century;
 * what is answered then bears an id that its asker does not know. */
struct cp_seen {
    uint64_t hash;               /* what it is known by */
    struct cp_row_node place;    /* among all of its worth */
    struct cp_row_node of_share; /* among those of its share */
    uint32_t until;              /* ms: the lower bits of when it is over */
    uint16_t reply_len;          /* 0: nothing to repeat (yet) */
    uint8_t until_high;
    uint8_t worth;
    uint8_t share;
    uint8_t reply[CP_SEEN_INLINE]; /* or, as bytes of a pointer, where a longer
                                    * one is; while there is none: whom to tell
                                    * when this gives way */
};

/* owner is set to NULL when s gives way, or has its reply. NULL: nobody. */
void cp_dedup_own(struct cp_seen *s, struct cp_seen **owner);

/* What to answer a repeat with; empty: nothing (yet). */
copal_bytes cp_dedup_reply(const struct cp_seen *s);

/* Which of CP_DEDUP_SHARES is that of remote: a host has many ports, and often a
 * whole IPv6 /64. */
size_t cp_dedup_share(const struct cp_dedup *d,
                      const struct cp_address *remote);

void cp_dedup_init(struct cp_dedup *d, struct cp_engine *e);
void cp_dedup_clear(struct cp_dedup *d);

/* By what a message is looked up. */
struct cp_dedup_key {
    uint64_t hash;
    size_t share; /* as cp_dedup_share() */
};

struct cp_dedup_key cp_dedup_key_of(const struct cp_dedup *d,
                                    const struct cp_link *link,
                                    const struct cp_address *remote,
                                    const struct cp_header *h);

/* NULL: not seen within its lifetime. */
struct cp_seen *cp_dedup_find(struct cp_dedup *d,
                              const struct cp_dedup_key *key);

/* Notes a new one; 0, or COPAL_ELIMIT: no room, and a repeat must not be acted
 * upon; *out may be NULL with 0 where that does not matter. */
int cp_dedup_add(struct cp_dedup *d, struct cp_link *link,
                 const struct cp_address *remote, const struct cp_header *h,
                 const struct cp_dedup_key *key, struct cp_seen **out);

/* Keeps the answer to a repeat; an error or 2.31 is cheap from now on. Its owner
 * hears no more of it. */
void cp_dedup_keep(struct cp_dedup *d, struct cp_seen *seen, copal_bytes reply);

/* The oldest of what may be acted upon again gives way; false: there is none. */
bool cp_dedup_free_one(struct cp_dedup *d);

/* The message was not acted upon after all: a repeat shall be new. */
void cp_dedup_forget(struct cp_dedup *d, struct cp_seen *seen);

#endif
