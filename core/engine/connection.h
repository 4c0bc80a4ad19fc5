/* One reliable connection: TCP, or WebSocket over it, with or without TLS
 * below. Messages need no ids, no repeats and no acknowledgements there; what
 * the two ends have to tell each other instead goes by signals. RFC 8323. */
#ifndef CP_ENGINE_CONNECTION_H
#define CP_ENGINE_CONNECTION_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/flood.h"
#include "engine/link.h"
#include "wire/message.h"
#include "wire/stream.h"

struct cp_engine;

/* What one end says that it takes. RFC 8323 5.3, RFC 8974 2.2.1. */
struct cp_capabilities {
    uint64_t max_message; /* bytes of a whole message */
    uint32_t max_token;   /* bytes */
    bool block_wise;
};

struct cp_connection {
    struct cp_engine *engine;
    struct cp_link *link;
    struct cp_path path;
    struct cp_list node;           /* in connections.all */
    struct cp_map_node of_address; /* in by_address, unless is_ours */
    struct cp_list loose;          /* in connections.loose, or in none */
    struct cp_list exchanges;      /* of both roles, that go by it */
    struct cp_timer timer;
    struct cp_buf in; /* what is not all there, or waits for its turn */
    uint64_t
        expected;     /* bytes of the message that in begins with; 0: unknown */
    uint64_t charged; /* bytes of BODY_MEMORY that in takes */
    uint64_t to_skip; /* bytes to come of a message that was refused */
    enum cp_framing framing;
    struct cp_capabilities peer;
    uint64_t opened_at, heard_at, begun_at; /* begun: the first byte of in */
    uint64_t loose_since;                   /* ms */
    uint64_t pinged_at; /* ms; 0: no Ping of our own is unanswered */
    struct cp_flood signals;
    uint8_t custody[8]; /* token of a Ping that waits for its Pong */
    uint8_t custody_len;
    bool owes_custody;
    bool is_ours;     /* we opened it */
    bool heard_csm;   /* the peer's first */
    bool is_released; /* one of the ends begins nothing new by it */
    bool is_closing;  /* the link was told to close */
    bool is_silent;   /* counted as one that has not sent its CSM */
    bool has_more;    /* in begins with what came in time, and waits */
};

struct cp_connections {
    struct cp_list all;
    struct cp_map by_address; /* the peer's, its port aside */
    struct cp_list loose;     /* that give way, who has waited longest first:
                               * they lack a CSM, or are closing */
    size_t accepted, silent;  /* opened by peers; of these, without a CSM */
    uint32_t opened;          /* so many, both ways */
};

void cp_connections_init(struct cp_engine *e);
void cp_connections_clear(struct cp_engine *e);

/* Nothing new is begun by any; each closes when nothing is left to answer. RFC
 * 8323 5.5. */
void cp_connections_release(struct cp_engine *e);

/* Is what leads to remote under that URI prefix, by its address or by the name
 * that was asked for (host; NULL: none)? */
bool cp_connection_is_under(int scheme, const char *host,
                            const struct cp_address *remote,
                            const char *prefix);

/* Those whose URI, by the name that was asked for or by address, begins with
 * prefix are closed. How many. */
int cp_connections_close(struct cp_engine *e, const char *prefix);

/* Sends m under token. COPAL_ECLOSED: it is closing; COPAL_ELIMIT: longer than
 * the peer takes; COPAL_ENOMEM; or that of the link. */
int cp_connection_send(struct cp_link *link, const copal_msg *m,
                       copal_bytes token);

/* Would m, under a token of that length, be taken in one piece? */
bool cp_connection_takes(const struct cp_link *link, const copal_msg *m,
                         size_t token_len);

/* Bytes of the largest block under m's options: 1024, or a multiple of it where
 * the peer takes more (BERT, RFC 8323 6); 0: it takes no blocks at all. */
uint16_t cp_connection_block(const struct cp_link *link, const copal_msg *m);

/* x goes by link from now on, if that is a connection: it ends with it. */
void cp_connection_join(copal_exchange *x, struct cp_link *link);
/* It does not any more, or is over. */
void cp_connection_part(copal_exchange *x);

/* The link is closed once what was sent has left. Nothing more is heard. */
void cp_connection_close(struct cp_connection *c);

/* What is due now, and when something will be next. */
void cp_connection_schedule(struct cp_connection *c);

/* ---- connection_in.c ---- */

/* What came and was not read goes, with what it was charged for. */
void cp_connection_in_clear(struct cp_connection *c);

/* More of a message has to come, of which a part is there. */
bool cp_connection_in_waits(const struct cp_connection *c);

/* ---- room.c ---- */

/* May one more come from there? Where others have to go first the oldest of them
 * is closed. */
bool cp_room_for(struct cp_engine *e, const struct cp_address *from);

/* c is there; what it takes is known; it is closing; it is gone. */
void cp_room_enter(struct cp_connection *c);
void cp_room_hold(struct cp_connection *c);
void cp_room_loosen(struct cp_connection *c);
void cp_room_leave(struct cp_connection *c);

/* Bytes of BODY_MEMORY that other connections of its address take. */
uint64_t cp_room_charged(const struct cp_connection *c);

/* ---- signal.c ---- */

/* Our first message. RFC 8323 5.3. */
int cp_signal_csm(struct cp_connection *c);

/* m, of class 7, came. RFC 8323 5. */
void cp_signal_hear(struct cp_connection *c, copal_msg *m);

/* A Ping with that token. RFC 8323 5.4. */
int cp_signal_ping(struct cp_connection *c, copal_bytes token);

/* Nothing new will be begun; the peer closes when it has what it waits for. RFC
 * 8323 5.5. */
void cp_signal_release(struct cp_connection *c);

/* Says why, and closes. bad_csm: the option of a CSM, or 0. RFC 8323 5.6. */
void cp_signal_abort(struct cp_connection *c, unsigned bad_csm,
                     const char *why);

/* Everything that came before a Ping with Custody is dealt with. */
void cp_signal_settle(struct cp_connection *c);

#endif
