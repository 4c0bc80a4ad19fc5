/* The flight recorder: everything that comes into the engine from outside, and
 * what it sends, in a bounded ring, so that engine/replay.c can run it again.
 *
 * Recorded is what the engine cannot know by itself: the time, datagrams, what
 * became of others, ways to peers, random bytes, calls of the user's. User code
 * is not run again; the calls that it made stand between CALLBACK and RETURN.
 * What serve/site.c and serve/watch.c do follows from that and is not recorded.
 *
 * ---- The format, version 2 ----
 * Integers are little-endian. A text or bytes: u32 length, then so many bytes;
 * length 0xffffffff: NULL.
 *
 * By coaps: what was in the datagrams, as the engine sees it. Of handshakes,
 * keys and records there is nothing in it.
 *
 * A recording begins with
 *   8 bytes  "copalrec"
 *   u32      version, 2
 *   u32      flags, CP_RECORDING_*
 *   u64      ms since 1970 when the records' clock was at 0; 0: virtual time
 * Then follow records, each
 *   u8       type, enum cp_record_type; bit 7: a call that was made while the
 *            engine was at work, from the drop of a callback; TIME that was
 *            asked for by a call of the user's
 *   u32      length of the body
 *   body
 * The last one is CP_RECORD_SUM. A reader skips types that it does not know.
 *
 * Time: TIME says what o'clock it is from there on, START likewise. The first
 * record need be neither: then when that was is not known. OVER or ROUTED right
 * behind TURN is of that turn's timers; what comes after it follows a TIME, be
 * that the same as before.
 *
 * Bodies:
 *   START     u64 ms, u64 seed of the engine's birth, u32 flags
 *             (CP_START_*), 16 bytes key of Echo, u32 newest tag of Q-Block, u32
 *             count of remote addresses to whom something was owed or who had
 *             been asked, of each its address as in a path (family 0: anybody,
 *             as there are too many or answers are kept); then records: the calls that bring an endpoint
 *             to where it was
 *   TIME      u64 ms as copal_now()
 *   IN, OUT   path, then the datagram up to the end of the body
 *   LOST      i32 status (COPAL_E*), path, then the datagram's beginning: the
 *             network says that it did not arrive
 *   TURN      none: timers that are due fire, events are delivered
 *   NAMED     text: who sent the IN before it, by what his association proves
 *   KEYED     none: OSCORE or EDHOC has keys from here on, or has them where it
 *             is part of START; they stand in no recording
 *   OVER      i32 status; path: the secure association that it names has ended
 *   LOOK_UP   u64 exchange, u64 0, two texts: the user is asked for a key, what
 *             kind and whose. What he answers is recorded without the key
 *   CONNECTED u32 framing (0 TCP's, 1 WebSocket's), u32 1: opened by us; path;
 *             who is at its end, by what TLS proves
 *   STREAM_IN, STREAM_OUT  u32 0, i32 status: 0, or why it could not be sent;
 *             path; bytes that a connection brought or took
 *   CLOSED    u32 0, i32 status; path: of a connection
 *   DRAINED   u32 0, u32 0; path: it takes more again
 *   ROUTE     u32 number, i32 status: 0 found, 1 being looked up, else
 *             COPAL_E*; text why; u32 count of ways, of each its path
 *   ROUTED    the same, of one that was looked up
 *   BLOCKED   none: the socket takes nothing at the moment
 *   RANDOM    the bytes drawn; or a message id that was used, u16
 *   CALLBACK  u64 kind (copal_kind; of REQUEST what cp_record_kind_of() adds),
 *             u64 whose: the number of an exchange, for
 *             TIMER that of the timer, for STRAY 0
 *   RETURN    none: the callback is over
 *   ABANDONED u64 exchange, u64 0: nobody who could answer holds it any more;
 *             bit 7: in the midst of a turn
 *   calls     u64 a, u64 b, then as the list of types says
 *   SUM       u64: SipHash-1-3 under a key of zeroes of all bytes before it
 *
 *   address   16 bytes ip, u32 scope, u32 number of a secure association (0:
 *             none), u16 port, u8 family (4, 6; 7: a simulated host whose name
 *             stands in ip), u8 0
 *   path      address of the remote, of ours (family 0: the system's choice),
 *             u32 interface, u8 is_multicast, u8 hop limit, u16 0; u16 number of
 *             the socket, u8 scheme (0: coap), u8 flags: 1: sent again, 2:
 *             simulated
 *   message   u32 code, u32 flags (COPAL_NON, ...), u16 parts, u16 count of
 *             options; of the parts, as they are there: CP_RECORD_URI text;
 *             FROM address; RESUMED u64 at, bytes ETag of copal_msg_resume();
 *             TUNED u32 count, of each u32 number, i64 value; of each option u16
 *             number, bytes value; bytes payload
 *
 * Exchanges have the number in which the engine made them, from 1; timers the id
 * that copal_after() gave; endpoints of libuv's have none. */
#ifndef CP_ENGINE_RECORD_H
#define CP_ENGINE_RECORD_H

#include "engine/core.h"
#include "engine/exchange.h"
#include "engine/record_put.h"

/* clang-format off */
enum cp_record_type {
    CP_RECORD_START = 1, CP_RECORD_TIME, CP_RECORD_IN, CP_RECORD_OUT,
    CP_RECORD_LOST, CP_RECORD_TURN, CP_RECORD_ROUTE, CP_RECORD_ROUTED,
    CP_RECORD_BLOCKED, CP_RECORD_RANDOM, CP_RECORD_CALLBACK, CP_RECORD_RETURN,
    CP_RECORD_ABANDONED, CP_RECORD_CONNECTED, CP_RECORD_STREAM_IN,
    CP_RECORD_STREAM_OUT, CP_RECORD_CLOSED, CP_RECORD_DRAINED,
    CP_RECORD_NAMED, CP_RECORD_OVER, CP_RECORD_LOOK_UP, CP_RECORD_KEYED,
    /* Calls: what a and b are; what follows. */
    CP_RECORD_REQUEST = 32,  /* exchange, 1: has a callback; NULL, message   */
    CP_RECORD_RESPOND,       /* exchange; NULL, message                      */
    CP_RECORD_WRITE,         /* exchange, last; bytes                        */
    CP_RECORD_CANCEL,        /* exchange                                     */
    CP_RECORD_PAUSE,         /* exchange                                     */
    CP_RECORD_RESUME,        /* exchange                                     */
    CP_RECORD_AFTER,         /* timer, ms, bit 63: has no callback           */
    CP_RECORD_CANCEL_TIMER,  /* timer                                        */
    CP_RECORD_SERVE,         /* method, flags, bit 32: has a callback; path  */
    CP_RECORD_UNSERVE,       /* path                                         */
    CP_RECORD_DESCRIBE,      /* path, name, value                            */
    CP_RECORD_NOTIFY,        /* path                                         */
    CP_RECORD_TUNE,          /* parameter, value; scope                      */
    CP_RECORD_CLOSE,         /* ms                                           */
    CP_RECORD_SEND,          /* to, message                                  */
    CP_RECORD_STRAYS,        /* 1: are heard                                 */
    CP_RECORD_UNDERSTAND,    /* option                                       */
    CP_RECORD_DISCONNECT,    /* scope                                        */
    CP_RECORD_SUM = 127,
    CP_RECORD_NESTED = 128   /* or'ed to the type */
};
/* clang-format on */

enum {
    CP_RECORDING_BARE = 1,     /* payloads are zeroes of the same length */
    CP_RECORD_AGAIN = 1 << 24, /* a datagram is sent again */
    CP_RECORD_URI = 1,         /* a message has its URI */
    CP_RECORD_FROM = 2,        /* and the address that it is sent from */
    CP_RECORD_RESUMED = 4,     /* and where a transfer goes on */
    CP_RECORD_TUNED = 8,       /* and parameters */
    CP_START_FRESH = 1,     /* nothing had come or gone, nor been asked for */
    CP_START_OBSERVED = 2,  /* somebody observed what is served */
    CP_START_UPLOADS = 4,   /* bodies by Q-Block were coming, or had come */
    CP_RECORDING_HEAD = 24, /* bytes before the first record */
    CP_RECORD_HEAD = 5,     /* bytes: type and length */
    CP_RECORD_ADDRESS = 28, /* bytes of an address */
    CP_RECORD_PATH = 68,    /* bytes of a path */
    CP_RECORD_PARTS = 8     /* of the ring; one is given up at a time */
};

#define CP_RECORD_MUTE       (UINT64_C(1) << 63) /* of AFTER's ms */
#define CP_RECORD_HEARD      (UINT64_C(1) << 32) /* of SERVE's flags */
#define CP_RECORDING_MAGIC   "copalrec"
#define CP_RECORDING_VERSION 2

/* Whose code is running; see cp_record_call(). */
enum cp_whose {
    CP_WHOSE_USER = 0,
    CP_WHOSE_INNER, /* the site, a watch: their calls follow from others */
    CP_WHOSE_ENGINE = CP_RECORD_NESTED /* a call now comes from a drop */
};

/* ---- The ring ---- */

/* A part of the ring holds whole records. One that begins with no START, or has
 * none at all, cannot be begun from, but goes on from the one before. */
struct cp_record_part {
    size_t used;
    bool is_used;
};

struct cp_record {
    uint8_t *at, *end; /* of the part in use */
    struct cp_engine *engine;
    void (*set_up)(void *user, struct cp_buf *out);
    void *user;
    uint64_t told; /* what o'clock the records say it is */
    bool needs_start;
    uint32_t routes; /* newest number of a route */
    size_t part_size;
    unsigned now; /* the part in use */
    struct cp_record_part parts[CP_RECORD_PARTS];
    uint8_t data[];
};

/* The oldest part gives way to what needs so many bytes. False: it is longer
 * than a part, so all was forgotten. */
__attribute__((cold)) bool cp_record_next_part(struct cp_record *r,
                                               size_t size);

/* Is there room for one of so many bytes at p? They are few, or stand somewhere
 * in memory already: none ends behind the last address. */
static inline bool cp_record_fits(const struct cp_record *r, const uint8_t *p,
                                  size_t size)
{
    return __builtin_expect((uintptr_t)p + size <= (uintptr_t)r->end, 1);
}

/* Begins a record at p, where there is room; gives where its body goes. */
static inline uint8_t *cp_record_open(struct cp_record *r, uint8_t *p, int type,
                                      size_t n)
{
    r->at = p + CP_RECORD_HEAD + n;
    *p = (uint8_t)type;
    return cp_record_le32(p + 1, (uint32_t)n);
}

/* Where a body of n bytes goes. NULL: nowhere. */
static inline uint8_t *cp_record_room(struct cp_record *r, int type, size_t n)
{
    if (__builtin_expect((size_t)(r->end - r->at) < n + CP_RECORD_HEAD, 0) &&
        !cp_record_next_part(r, n + CP_RECORD_HEAD))
        return NULL;
    return cp_record_open(r, r->at, type, n);
}

/* Begins to record; 0 bytes: no more, and what was recorded is gone, as it is
 * by another size. set_up(user, out) puts the records of START. COPAL_ENOMEM,
 * with a sentence: as before. */
int cp_record_begin(struct cp_engine *e, uint64_t bytes,
                    void (*set_up)(void *user, struct cp_buf *out), void *user);
void cp_record_end(struct cp_engine *e);

/* The endpoint ends: nothing more is recorded, what there is can be had. */
void cp_record_freeze(struct cp_engine *e);

/* All that the ring holds, without header and sum: out gets its parts, the
 * oldest first. Gives their number, at most CP_RECORD_PARTS. */
size_t cp_record_parts(const struct cp_engine *e,
                       copal_bytes out[CP_RECORD_PARTS]);

/* ---- What cp_record_begin()'s set_up() and readers put records with ---- */

/* A CP_RECORD_* call into a buffer. Texts may be NULL; count of them. */
void cp_record_put_call(struct cp_buf *out, int type, uint64_t a, uint64_t b,
                        size_t count, const char *const *texts);

/* ---- Hooks: call only while e->record is not NULL, but for the inline ones
 * below, which look themselves ---- */

void cp_record_do_time(struct cp_engine *e, bool is_asked);
/* mark: the link's, and CP_RECORD_AGAIN. */
void cp_record_do_datagram(struct cp_record *r, copal_bytes datagram,
                           const struct cp_path *path, uint32_t mark, int type);
void cp_record_do_stream(struct cp_engine *e, int type, uint32_t a, int b,
                         const struct cp_link *link, const struct cp_path *path,
                         copal_bytes bytes);
/* type: LOST; OVER, with nothing quoted. */
void cp_record_do_lost(struct cp_engine *e, int type,
                       const struct cp_link *link, const struct cp_path *path,
                       copal_bytes quoted, int status);
void cp_record_do_named(struct cp_engine *e, const char *identity);
void cp_record_do_look_up(struct cp_engine *e, const char *kind,
                          copal_bytes whose);
void cp_record_do_route(struct cp_engine *e, int type, struct cp_route *r,
                        int status, const char *why);
void cp_record_do_call(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                       size_t count, const char *const *texts);
void cp_record_do_write(struct cp_engine *e, uint64_t exchange, bool last,
                        copal_bytes piece);
void cp_record_do_message(struct cp_engine *e, int type, uint64_t a, uint64_t b,
                          const char *to, const copal_msg *m);
void cp_record_do_request(struct cp_engine *e, uint64_t exchange,
                          uint64_t is_heard, const copal_msg *m);
void cp_record_do_respond(struct cp_engine *e, uint64_t exchange,
                          const copal_msg *m);
/* A turn is over: a good place to begin from. */
void cp_record_do_turned(struct cp_engine *e);

/* Where there is no room: whoever calls them keeps nothing for that. Without a
 * body; with two numbers; a message id, given. */
#define CP_RECORD_RARE __attribute__((noinline, cold))
CP_RECORD_RARE void cp_record_plain_in_next_part(struct cp_record *r, int type);
CP_RECORD_RARE void cp_record_pair_in_next_part(struct cp_record *r, int type,
                                                uint64_t a, uint64_t b);
CP_RECORD_RARE uint16_t cp_record_mid_in_next_part(struct cp_record *r,
                                                   uint16_t mid);
/* Of a handler's call; gives ev. */
CP_RECORD_RARE const copal_event *cp_record_call_in_next_part(
    struct cp_record *r, const copal_event *ev);

static inline void cp_record_do_plain(struct cp_engine *e, int type)
{
    struct cp_record *r = e->record;
    uint8_t *p = r->at;

    if (cp_record_fits(r, p, CP_RECORD_HEAD))
        cp_record_open(r, p, type, 0);
    else
        cp_record_plain_in_next_part(r, type);
}

static inline void cp_record_do_pair(struct cp_engine *e, int type, uint64_t a,
                                     uint64_t b)
{
    struct cp_record *r = e->record;
    uint8_t *p = r->at;

    if (cp_record_fits(r, p, CP_RECORD_HEAD + 16))
        cp_record_le64(cp_record_le64(cp_record_open(r, p, type, 16), a), b);
    else
        cp_record_pair_in_next_part(r, type, a, b);
}

/* By the machine's byte order, as one that is drawn. Gives it. */
static inline uint16_t cp_record_do_mid(struct cp_record *r, uint16_t mid)
{
    uint8_t *p = r->at;

    if (!cp_record_fits(r, p, CP_RECORD_HEAD + 2))
        return cp_record_mid_in_next_part(r, mid);
    memcpy(cp_record_open(r, p, CP_RECORD_RANDOM, 2), &mid, 2);
    return mid;
}

#define CP_RECORD_IS_ON(e) __builtin_expect((e)->record != NULL, 0)

/* is_asked: amid a call of the user's. */
static inline void cp_record_time(struct cp_engine *e, bool is_asked)
{
    if (CP_RECORD_IS_ON(e))
        cp_record_do_time(e, is_asked);
}

static inline void cp_record_datagram(struct cp_engine *e, int type,
                                      const struct cp_link *link,
                                      const struct cp_path *path,
                                      copal_bytes datagram, bool again)
{
    if (CP_RECORD_IS_ON(e))
        cp_record_do_datagram(e->record, datagram, path,
                              link->mark | (again ? CP_RECORD_AGAIN : 0), type);
}

/* NULL: nobody. */
static inline void cp_record_named(struct cp_engine *e, const char *identity)
{
    if (identity != NULL && CP_RECORD_IS_ON(e))
        cp_record_do_named(e, identity);
}

static inline void cp_record_route(struct cp_engine *e, int type,
                                   struct cp_route *r, int status,
                                   const char *why)
{
    if (CP_RECORD_IS_ON(e))
        cp_record_do_route(e, type, r, status, why);
}

/* Of a connection; a and b as the format has them. */
static inline void cp_record_stream(struct cp_engine *e, int type, uint32_t a,
                                    int b, const struct cp_link *link,
                                    const struct cp_path *path,
                                    copal_bytes bytes)
{
    if (CP_RECORD_IS_ON(e))
        cp_record_do_stream(e, type, a, b, link, path, bytes);
}

/* cp_link_is_blocked(): what the link says comes from outside, too. */
static inline bool cp_record_is_blocked(struct cp_engine *e,
                                        const struct cp_link *link)
{
    bool is_blocked = cp_link_is_blocked(link);

    if (is_blocked && CP_RECORD_IS_ON(e))
        cp_record_do_plain(e, CP_RECORD_BLOCKED);
    return is_blocked;
}

/* The engine is done with its work for now. */
static inline void cp_record_turn_over(struct cp_engine *e)
{
    e->whose = CP_WHOSE_USER;
    if (CP_RECORD_IS_ON(e))
        cp_record_do_turned(e);
}

/* Of a call's record; it is not CP_WHOSE_INNER's. */
static inline int cp_record_call_type(const struct cp_engine *e, int type)
{
    return type | e->whose;
}

/* A public function is called: noted if the user did it. What it gives is for
 * cp_record_return(), when it is done. count of texts, which may be NULL. */
static inline unsigned cp_record_call_texts(struct cp_engine *e, int type,
                                            uint64_t a, uint64_t b,
                                            size_t count,
                                            const char *const *texts)
{
    unsigned was = e->whose;

    if (was == CP_WHOSE_INNER)
        return was;
    if (CP_RECORD_IS_ON(e))
        cp_record_do_call(e, type, a, b, count, texts);
    e->whose = CP_WHOSE_ENGINE;
    return was;
}

static inline unsigned cp_record_call(struct cp_engine *e, int type, uint64_t a,
                                      uint64_t b)
{
    return cp_record_call_texts(e, type, a, b, 0, NULL);
}

static inline unsigned cp_record_call_message(struct cp_engine *e, int type,
                                              uint64_t a, uint64_t b,
                                              const char *to,
                                              const copal_msg *m)
{
    unsigned was = e->whose;

    if (was == CP_WHOSE_INNER)
        return was;
    if (CP_RECORD_IS_ON(e) && m != NULL)
        cp_record_do_message(e, type, a, b, to, m);
    e->whose = CP_WHOSE_ENGINE;
    return was;
}

static inline unsigned cp_record_call_request(struct cp_engine *e,
                                              bool is_heard, const copal_msg *m)
{
    unsigned was = e->whose;

    if (was == CP_WHOSE_INNER)
        return was;
    if (CP_RECORD_IS_ON(e) && m != NULL)
        cp_record_do_request(e, e->serial + UINT64_C(1), is_heard, m);
    e->whose = CP_WHOSE_ENGINE;
    return was;
}

static inline unsigned cp_record_call_respond(struct cp_engine *e,
                                              uint64_t exchange,
                                              const copal_msg *m)
{
    unsigned was = e->whose;

    if (was == CP_WHOSE_INNER)
        return was;
    if (CP_RECORD_IS_ON(e))
        cp_record_do_respond(e, exchange, m);
    e->whose = CP_WHOSE_ENGINE;
    return was;
}

static inline unsigned cp_record_call_write(struct cp_engine *e,
                                            uint64_t exchange, bool last,
                                            copal_bytes piece)
{
    unsigned was = e->whose;

    if (was == CP_WHOSE_INNER)
        return was;
    if (CP_RECORD_IS_ON(e))
        cp_record_do_write(e, exchange, last, piece);
    e->whose = CP_WHOSE_ENGINE;
    return was;
}

static inline void cp_record_return(struct cp_engine *e, unsigned was)
{
    e->whose = (uint8_t)was;
}

/* Several requests may come at once: the message id of one that came, plus 1,
 * stands in the upper half; of one from within 0. */
static inline uint64_t cp_record_kind_of(const copal_event *ev)
{
    return ev->kind == COPAL_REQUEST && ev->msg->received
               ? (uint64_t)ev->kind | (ev->msg->mid + UINT64_C(1)) << 32
               : (uint64_t)ev->kind;
}

/* A handler of the user's is about to be called; gives ev, so that nobody has to
 * keep it meanwhile. */
static inline const copal_event *cp_record_do_handler(struct cp_engine *e,
                                                      const copal_event *ev)
{
    struct cp_record *r = e->record;
    uint8_t *p = r->at;

    if (!cp_record_fits(r, p, CP_RECORD_HEAD + 16))
        return cp_record_call_in_next_part(r, ev);
    p = cp_record_open(r, p, CP_RECORD_CALLBACK, 16);
    cp_record_le64(cp_record_le64(p, cp_record_kind_of(ev)),
                   ev->exchange->serial);
    return ev;
}

/* A callback of the user's, or of the site's or a watch's: before and after. */
static inline unsigned cp_record_callback(struct cp_engine *e, bool is_inner,
                                          uint64_t kind, uint64_t whose)
{
    unsigned was = e->whose;

    if (CP_RECORD_IS_ON(e) && !is_inner)
        cp_record_do_pair(e, CP_RECORD_CALLBACK, kind, whose);
    e->whose = is_inner ? CP_WHOSE_INNER : CP_WHOSE_USER;
    return was;
}

static inline void cp_record_callback_over(struct cp_engine *e, bool is_inner,
                                           unsigned was)
{
    if (CP_RECORD_IS_ON(e) && !is_inner)
        cp_record_do_plain(e, CP_RECORD_RETURN);
    e->whose = (uint8_t)was;
}

/* The engine's own parts go on by public functions. */
static inline unsigned cp_record_inner(struct cp_engine *e)
{
    unsigned was = e->whose;

    e->whose = CP_WHOSE_INNER;
    return was;
}

#endif
