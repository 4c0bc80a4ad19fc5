/* Reading what engine/record_put.h writes. What is short or long gives zeroes
 * and sets the cursor's failed. */
#ifndef CP_ENGINE_RECORD_TAKE_H
#define CP_ENGINE_RECORD_TAKE_H

#include "base/address.h"

struct cp_record_head {
    uint8_t type;
    copal_bytes body;
};

struct cp_record_way {
    struct cp_path path;
    uint16_t link;
    uint8_t scheme;
    bool again, is_simulated;
};

/* Tuned parameters and options are still as they were written. */
struct cp_record_message {
    uint8_t code;
    uint32_t flags;
    copal_bytes uri; /* data NULL: none */
    struct cp_address from;
    bool resumed;
    uint64_t resume_at;
    copal_bytes resume_etag;
    uint32_t tuned_count, option_count;
    struct cp_cursor tuned, options;
    copal_bytes payload;
};

static inline uint64_t cp_record_take_number(struct cp_cursor *c, size_t bytes)
{
    copal_bytes b = cp_take(c, bytes);
    uint64_t v = 0;

    for (size_t i = b.len; i > 0; i--)
        v = v << 8 | b.data[i - 1];
    return v;
}

static inline uint16_t cp_record_take_16(struct cp_cursor *c)
{
    return (uint16_t)cp_record_take_number(c, 2);
}

static inline uint32_t cp_record_take_32(struct cp_cursor *c)
{
    return (uint32_t)cp_record_take_number(c, 4);
}

static inline uint64_t cp_record_take_64(struct cp_cursor *c)
{
    return cp_record_take_number(c, 8);
}

/* The next record; false: there is no whole one any more. */
bool cp_record_take(struct cp_cursor *c, struct cp_record_head *out);

/* Is it of a connection's? */
bool cp_record_is_stream(uint8_t type);

/* A text or bytes; data NULL: NULL was written. */
copal_bytes cp_record_take_text(struct cp_cursor *c);

/* False: it is malformed. */
bool cp_record_take_address(struct cp_cursor *c, struct cp_address *out);
bool cp_record_take_way(struct cp_cursor *c, struct cp_record_way *out);
bool cp_record_take_message(struct cp_cursor *c, struct cp_record_message *out);

/* The next of a message's options. */
copal_bytes cp_record_take_option(struct cp_cursor *c, uint32_t *number);

#endif
