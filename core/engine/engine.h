/* The protocol, given bytes and time. Its border with the world: drivers
 * (net/loop.c, net/sim.c) below, core/copal.c above. */
#ifndef CP_ENGINE_ENGINE_H
#define CP_ENGINE_ENGINE_H

#include "base/mem.h"
#include "engine/driver.h"
#include "engine/link.h"
#include "engine/stage.h"
#include "wire/stream.h"

struct cp_engine;

/* seed 0: randomness of the operating system. on_request hears every request
 * that passed the stages; owner is what copal_exchange_endpoint() gives. NULL:
 * out of memory. */
struct cp_engine *cp_engine_new(struct cp_driver *driver, uint64_t seed,
                                struct cp_stages stages, copal_cb on_request,
                                copal *owner);

/* Ends everything with COPAL_ECLOSED and delivers that; nothing new begins. */
void cp_engine_end(struct cp_engine *e);

/* Lets go, after cp_engine_end() or a failed birth. Handles that users still
 * hold become husks. */
void cp_engine_free(struct cp_engine *e);

/* ---- For drivers ---- */

/* Before bytes are handed in: tells the time. Every entry from the world does
 * this first; cp_engine_turn() closes it. */
CP_SHARED void cp_engine_enter(struct cp_engine *e, uint64_t now);

/* Timers due, events delivered. Afterwards the driver flushes what was sent.
 * One turn may follow any number of cp_engine_datagram(). */
CP_SHARED void cp_engine_turn(struct cp_engine *e, uint64_t now);

/* When the next turn is needed: now or earlier where work waits already;
 * UINT64_MAX: only when something arrives. */
CP_SHARED uint64_t cp_engine_deadline(const struct cp_engine *e);

/* Is anything left to wait for: exchanges, timers, posts, messages owed. What
 * only waits to be forgotten (answers kept for repeats) does not count. */
bool cp_engine_is_busy(const struct cp_engine *e);

/* copal_close() was called: listening sockets are nothing to wait for. */
bool cp_engine_is_closing(const struct cp_engine *e);

/* copal_free() was called from a callback: see cp_driver.condemned. */
bool cp_engine_is_condemned(const struct cp_engine *e);

/* What comes by link is the engine's from now on. */
CP_SHARED void cp_engine_attach(struct cp_engine *e, struct cp_link *link);

/* A whole datagram came by link. */
CP_SHARED void cp_engine_datagram(struct cp_engine *e, struct cp_link *link,
                                  const struct cp_path *path,
                                  copal_bytes datagram);

/* What a datagram will be looked up by, once it is handed in. */
struct cp_foreseen {
    uint64_t hash;
    uint32_t share;
    bool is_known; /* or it is to be worked out then */
};

/* Where many wait at once, each is looked at before the first is handed in: the
 * memory that it will need is fetched meanwhile, which is far away where what
 * was seen is much. Nothing else changes by it. */
void cp_engine_foresee(struct cp_engine *e, const struct cp_link *link,
                       const struct cp_path *path, copal_bytes datagram,
                       struct cp_foreseen *out);

/* As cp_engine_datagram(); f was foreseen of the same. */
void cp_engine_foreseen(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, copal_bytes datagram,
                        const struct cp_foreseen *f);

/* The network says that a datagram to path->remote did not arrive: status is
 * COPAL_EREFUSED, EUNREACH, EPERM or EIO; quoted is the beginning of it, or
 * empty where the system does not tell: then everything on the way to that
 * address is meant. */
void cp_engine_undelivered(struct cp_engine *e, struct cp_link *link,
                           const struct cp_path *path, copal_bytes quoted,
                           int status);

/* The secure association that path->remote names is over: whatever went by it
 * ends with status, and nothing comes by it any more. heir: the number of the
 * one that the same peer has now, by which goes what was not heard of and may be
 * asked twice; 0: none. */
void cp_engine_association_over(struct cp_engine *e, struct cp_link *link,
                                const struct cp_path *path, int status,
                                uint32_t heir);

/* Does anything of ours wait for an answer by it that may be asked twice? */
bool cp_engine_association_waits(const struct cp_engine *e,
                                 const struct cp_link *link,
                                 const struct cp_path *path);

/* How many handshakes are under way: they are no connections yet, but take the
 * room of one. */
struct cp_unfinished {
    size_t all, of_address; /* of these, those from where the next one comes */
};

enum cp_room {
    CP_ROOM,
    CP_ROOM_OF_OLDEST, /* once the oldest handshake has gone, or the oldest
                        * connection: cp_engine_oldest() */
    CP_NO_ROOM
};

/* Is there room for one more connection from there? (MAX_CONNECTIONS,
 * ADDR_CONNECTIONS, MAX_HANDSHAKES) */
enum cp_room cp_engine_may_accept(struct cp_engine *e,
                                  const struct cp_address *from,
                                  struct cp_unfinished unfinished);

/* Who waits longest of those whose CSM has not come and those that are closing:
 * the driver cuts it off and says cp_engine_closed(). since: ms. NULL: none. */
struct cp_link *cp_engine_oldest(struct cp_engine *e, uint64_t *since);

/* A connection to path->remote is open, also its TLS and WebSocket; link, whose
 * engine is e, is for it alone. The engine's first message is sent. Not 0:
 * close it, and say nothing more of it. COPAL_ELIMIT: too many came
 * (MAX_CONNECTIONS, ADDR_CONNECTIONS); COPAL_ECLOSED: e is closing;
 * COPAL_ENOMEM. */
int cp_engine_connected(struct cp_engine *e, struct cp_link *link,
                        const struct cp_path *path, enum cp_framing framing,
                        bool is_ours);

/* Bytes came by link: any part of the stream, or one frame. A few messages are
 * read of them. Is has_more() true then, the rest waits: nothing more is to be
 * handed in but empty bytes, in later turns, until it is false. */
void cp_engine_bytes(struct cp_engine *e, struct cp_link *link,
                     copal_bytes bytes);
bool cp_engine_has_more(const struct cp_link *link);

/* Room again, after is_blocked() was true. */
void cp_engine_drained(struct cp_engine *e, struct cp_link *link);

/* May a request of ours go by the connection: neither end is about to close it.
 * RFC 8323 5.5. */
bool cp_engine_may_ask(const struct cp_link *link);

/* The connection is over; once for each that was connected. The link is not
 * used any more. status: 0, or why. */
void cp_engine_closed(struct cp_engine *e, struct cp_link *link, int status);

/* Who wanted to connect did not get as far as that; only the trace tells why. */
void cp_engine_shut_out(struct cp_engine *e, const struct cp_address *peer,
                        const char *why);

/* A parameter of the endpoint (COPAL_P_SOCKET_BUFFER, ...). */
int64_t cp_engine_param(const struct cp_engine *e, int param);

/* From the engine's randomness, but nothing of what the engine does, and so of
 * no recording: keys, masks, numbers of associations. */
void cp_engine_random(struct cp_engine *e, void *out, size_t n);

/* A limit was hit: a counter and a trace line. */
void cp_engine_limited(struct cp_engine *e, const char *limit);

/* Counters that drivers keep. */
void cp_engine_count_datagram(struct cp_engine *e, bool out, size_t bytes);

#endif
