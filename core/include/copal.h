/* copal - CoAP for C programs and the scripts they embed.
 *
 * Three handles:
 *
 *   copal           an endpoint: sockets, resources, credentials, a clock;
 *                   client and server in one
 *   copal_msg       a message: code, options, payload; counted, and immutable
 *                   once handed over
 *   copal_exchange  one request and everything that answers it, seen from
 *                   either side; counted
 *
 * and one callback shape, copal_cb, for everything that happens.
 *
 * Errors: functions returning int give 0 (or a count) or a negative COPAL_E*;
 * copal_why() has the sentence. Functions returning a handle give NULL only
 * when memory ran out, or where they say so; a NULL message handed in gives
 * ENOMEM, so a chain of calls needs one check. A NULL exchange gives EINVAL;
 * an endpoint is never NULL. What needs memory can give ENOMEM, which then
 * changed nothing; comments name it only where it means more.
 * Ownership: nothing passed in is taken over. Whoever made or ref'd a handle
 * unrefs it; free and unref take NULL. What an event points to lives until
 * the callback returns; text and bytes of a message as long as the message, or
 * until its next setter. Text is copied where it is handed in.
 * Callbacks run only inside copal_run(), copal_step() and copal_free(), or
 * from the shared loop; one at a time, never inside another call. From one
 * you may call anything; copal_free() then takes effect when it has returned.
 * drop may run inside the call that lets go of a callback.
 * Sending: what a call has to send leaves at the end of the turn, or of the
 * next one if no turn is on.
 * Threads: an endpoint and its handles belong to the thread that runs it.
 * From any thread: copal_post(), copal_stop() (from a signal handler too),
 * copal_msg_unref() and copal_exchange_unref(), since garbage collectors
 * choose their own thread. The unrefs also after copal_free(): a handle that
 * outlives its endpoint can still be read, and gives ESTATE where it would act.
 * Times are milliseconds; sizes and offsets are bytes; text is UTF-8.
 *
 * Not built in yet, and then ENOTSUP: copal_via() and some parameters. Built
 * without GnuTLS: no keys under "Credentials and state", and no scheme but coap
 * and coap+tcp.
 */
#ifndef COPAL_H
#define COPAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef COPAL_API
#define COPAL_API __attribute__((visibility("default")))
#endif

typedef struct copal copal;
typedef struct copal_msg copal_msg;
typedef struct copal_exchange copal_exchange;
struct uv_loop_s; /* libuv's uv_loop_t */

/* ---- Values ------------------------------------------------------------- */

/* A view of bytes owned by someone else. data may be NULL when len is 0. */
typedef struct copal_bytes {
    const uint8_t *data;
    size_t len;
} copal_bytes;

/* What an event is about. */
typedef enum copal_kind {
    COPAL_REQUEST = 1, /* server: a request; a look-up; something to store   */
    COPAL_RESPONSE,    /* client: a response or notification                 */
    COPAL_CHUNK,       /* the next piece of a streamed incoming body         */
    COPAL_PULL,        /* room for the next piece: call copal_write()        */
    COPAL_PROGRESS,    /* client: a transfer moved on (COPAL_TELL_PROGRESS)  */
    COPAL_SILENT,      /* watch: nothing came when it should; text says why  */
    COPAL_RESUMED,     /* watch: it is heard again; a RESPONSE follows       */
    COPAL_END,         /* the exchange is over; its last event               */
    COPAL_TIMER,       /* copal_after() came due, or copal_post() arrived    */
    COPAL_STRAY,       /* a message that nobody asked for (copal_strays())   */
    COPAL_TRACE        /* one line of trace                                  */
} copal_kind;

/* What happened. Fields may be added at the end; never build one yourself. */
typedef struct copal_event {
    copal_kind kind;
    int status;               /* END, SILENT: 0, or the COPAL_E* behind it   */
    copal_exchange *exchange; /* NULL for TIMER, STRAY and TRACE             */
    const copal_msg *msg;     /* REQUEST, RESPONSE, CHUNK, STRAY; else NULL  */
    uint64_t offset;          /* CHUNK, PULL, PROGRESS: position in the body */
    uint64_t total;           /* PROGRESS: whole size, 0 when unknown        */
    size_t want;              /* PULL: bytes of the next block               */
    int last;                 /* CHUNK: non-zero on the final piece          */
    const char *text;         /* END, SILENT: a sentence: what, where, what to
                               * do; "" when all is well. TRACE: a JSON object,
                               * no newline. REQUEST of a look-up: its kind; of
                               * the store: "store". Else NULL.              */
} copal_event;

/* A callback: what to call, what to hand it, how to let go of that.
 * drop runs exactly once, when the library is done with the callback,
 * also when the call that took it failed. fn may be NULL: "don't tell me".
 * It is always the last argument. */
typedef struct copal_cb {
    void (*fn)(const copal_event *ev, void *user);
    void *user;
    void (*drop)(void *user);
} copal_cb;

/* A callback whose user pointer the caller keeps, or hands over with it. */
#define COPAL_CB(function, user_pointer) \
    ((copal_cb){.fn = (function), .user = (user_pointer)})
#define COPAL_CB_OWN(function, user_pointer, drop_function) \
    ((copal_cb){ \
        .fn = (function), .user = (user_pointer), .drop = (drop_function)})

/* What must be known at birth. Start from { COPAL_CONFIG_INIT } and name only
 * what differs; size tells the library which version of the struct the caller
 * was compiled with. Numbers are tuned afterwards: COPAL_PARAMS.
 * realloc_fn is realloc() but for n 0; NULL: the system's. It is called by the
 * endpoint's thread and, once the endpoint is freed, by whichever lets go of
 * what is left, one at a time. */
typedef struct copal_config {
    size_t size;
    struct uv_loop_s *loop; /* a loop to share; NULL: one of our own         */
    void *(*realloc_fn)(void *memory_user, void *p, size_t n); /* n 0: free  */
    void *memory_user;
} copal_config;

#define COPAL_CONFIG_INIT .size = sizeof(copal_config)

/* ---- Errors ------------------------------------------------------------- */

/* COPAL_ENOMEM is -1, and so on. X(name, number, what copal_strerror() says) */
/* clang-format off */
#define COPAL_ERRORS(X)                                                 \
    X(ENOMEM,    1, "out of memory")                                    \
    X(EINVAL,    2, "argument out of range")                            \
    X(EURI,      3, "URI not understood")                               \
    X(EFORMAT,   4, "message malformed")                                \
    X(ESTATE,    5, "not possible in this state")                       \
    X(EEXIST,    6, "already there")                                    \
    X(ENOENT,    7, "no such thing")                                    \
    X(ELIMIT,    8, "a configured limit was reached")                   \
    X(ETIMEOUT,  9, "no answer in time")                                \
    X(ERESET,   10, "the peer rejected the message")                    \
    X(ECANCEL,  11, "cancelled here")                                   \
    X(ECLOSED,  12, "connection or endpoint closed")                    \
    X(ERESOLVE, 13, "host name did not resolve")                        \
    X(EIO,      14, "network error")                                    \
    X(EAUTH,    15, "peer not authenticated or message not genuine")    \
    X(ECHANGED, 16, "representation changed during the transfer")       \
    X(ENOTSUP,  17, "not built in")                                     \
    X(EREFUSED, 18, "nothing listens at that address")                  \
    X(EUNREACH, 19, "no route to the peer")                             \
    X(EINUSE,   20, "address already in use")                           \
    X(EPERM,    21, "the system does not permit it")                    \
    X(ENOTOBS,  22, "the resource cannot be observed")
/* clang-format on */

enum copal_error {
#define X(name, number, text) COPAL_##name = -(number),
    COPAL_ERRORS(X)
#undef X
    COPAL_OK = 0
};

/* Never NULL, good for ever. Of 0 "no error" and "OK"; of a number that is no
 * error "unknown error" and "?". */
COPAL_API const char *copal_strerror(int error); /* "no answer in time" */
COPAL_API const char *copal_errname(int error);  /* "ETIMEOUT" */
COPAL_API const char *copal_version(void);       /* "0.1.0" */

/* One sentence about the last call on c, its messages or its exchanges that
 * failed: what, where, what to do; "" if none did. Good until the next call on
 * c. ENOMEM and a missing number (ENOENT of a message) leave the one before.
 * Failures of exchanges have it in END. */
COPAL_API const char *copal_why(const copal *c);
COPAL_API const char *copal_msg_why(const copal_msg *m); /* of its endpoint */

/* ---- Codes, formats, options -------------------------------------------- */

/* A code as the wire has it: COPAL_CODE(2, 5) is 69, 2.05. */
#define COPAL_CODE(cls, detail) ((cls) << 5 | (detail))

/* Methods and responses; RFC 7252 5.8, 5.9 where nothing else is said. An
 * asterisk: the library answers so by itself. */
/* clang-format off */
enum {
    COPAL_EMPTY = 0, COPAL_GET, COPAL_POST, COPAL_PUT, COPAL_DELETE,
    COPAL_FETCH,                                   /* RFC 8132 2             */
    COPAL_PATCH,                                   /* RFC 8132 3             */
    COPAL_IPATCH,                                  /* RFC 8132 3             */
    COPAL_CREATED = COPAL_CODE(2, 1),              /* 2.01                   */
    COPAL_DELETED,                                 /* 2.02                   */
    COPAL_VALID,                                   /* 2.03 * 5.9.1.3         */
    COPAL_CHANGED,                                 /* 2.04                   */
    COPAL_CONTENT,                                 /* 2.05                   */
    COPAL_CONTINUE = COPAL_CODE(2, 31),            /* 2.31 * RFC 7959 2.9.1  */
    COPAL_BAD_REQUEST = COPAL_CODE(4, 0),          /* 4.00 *                 */
    COPAL_UNAUTHORIZED,                            /* 4.01 * RFC 9175 2.4    */
    COPAL_BAD_OPTION,                              /* 4.02 * 5.4.1           */
    COPAL_FORBIDDEN,                               /* 4.03                   */
    COPAL_NOT_FOUND,                               /* 4.04 *                 */
    COPAL_METHOD_NOT_ALLOWED,                      /* 4.05 *                 */
    COPAL_NOT_ACCEPTABLE,                          /* 4.06 * 5.10.4          */
    COPAL_INCOMPLETE = COPAL_CODE(4, 8),           /* 4.08 * RFC 7959 2.9.2  */
    COPAL_CONFLICT,                                /* 4.09   RFC 8132 3.4    */
    COPAL_PRECONDITION_FAILED = COPAL_CODE(4, 12), /* 4.12 * 5.10.8          */
    COPAL_TOO_LARGE,                               /* 4.13 * RFC 7959 2.9.3  */
    COPAL_UNSUPPORTED_FORMAT = COPAL_CODE(4, 15),  /* 4.15 *                 */
    COPAL_UNPROCESSABLE = COPAL_CODE(4, 22),       /* 4.22   RFC 8132 3.4    */
    COPAL_TOO_MANY_REQUESTS = COPAL_CODE(4, 29),   /* 4.29 * RFC 8516        */
    COPAL_INTERNAL_ERROR = COPAL_CODE(5, 0),       /* 5.00 * nobody replied  */
    COPAL_NOT_IMPLEMENTED,                         /* 5.01                   */
    COPAL_BAD_GATEWAY,                             /* 5.02                   */
    COPAL_UNAVAILABLE,                             /* 5.03 * at a limit      */
    COPAL_GATEWAY_TIMEOUT,                         /* 5.04                   */
    COPAL_PROXYING_NOT_SUPPORTED,                  /* 5.05 *                 */
    COPAL_HOP_LIMIT_REACHED = COPAL_CODE(5, 8)     /* 5.08   RFC 8768        */
};

/* Content-Formats, the common ones: RFC 7252 12.3, CBOR RFC 8949 9.3. Any
 * other by its number or copal_number(). */
enum {
    COPAL_TEXT = 0, COPAL_LINKS = 40, COPAL_XML = 41, COPAL_OCTETS = 42,
    COPAL_JSON = 50, COPAL_CBOR = 60, COPAL_PROBLEM = 257, COPAL_NO_FORMAT = -1
};

/* Option numbers; what a value is, its length in bytes, and where it is told.
 * An odd number is critical: who does not know it must refuse. RFC 7252 5.4 */
enum {
    COPAL_OPT_IF_MATCH = 1,        /* an ETag, or empty: any; 5.10.8.1       */
    COPAL_OPT_URI_HOST = 3,        /* text, 1 to 255; RFC 7252 5.10.1        */
    COPAL_OPT_ETAG = 4,            /* bytes, 1 to 8; RFC 7252 5.10.6         */
    COPAL_OPT_IF_NONE_MATCH = 5,   /* empty; RFC 7252 5.10.8.2               */
    COPAL_OPT_OBSERVE = 6,         /* number, 0 to 3; RFC 7641 2             */
    COPAL_OPT_URI_PORT = 7,        /* number, 0 to 2; RFC 7252 5.10.1        */
    COPAL_OPT_LOCATION_PATH = 8,   /* a segment, 0 to 255; RFC 7252 5.10.7   */
    COPAL_OPT_OSCORE = 9,          /* copal's own business; RFC 8613 2       */
    COPAL_OPT_URI_PATH = 11,       /* a segment, 0 to 255; RFC 7252 5.10.1   */
    COPAL_OPT_CONTENT_FORMAT = 12, /* number, 0 to 2; RFC 7252 5.10.3        */
    COPAL_OPT_MAX_AGE = 14,        /* seconds, 0 to 4; RFC 7252 5.10.5       */
    COPAL_OPT_URI_QUERY = 15,      /* an argument, 0 to 255; 5.10.1          */
    COPAL_OPT_HOP_LIMIT = 16,      /* number, 1; RFC 8768                    */
    COPAL_OPT_ACCEPT = 17,         /* a format, 0 to 2; RFC 7252 5.10.4      */
    COPAL_OPT_Q_BLOCK1 = 19,       /* a block of the request; RFC 9177 4.3   */
    COPAL_OPT_LOCATION_QUERY = 20, /* an argument, 0 to 255; 5.10.7          */
    COPAL_OPT_EDHOC = 21,          /* empty; RFC 9668                        */
    COPAL_OPT_BLOCK2 = 23,         /* a block of the answer; RFC 7959 2.1    */
    COPAL_OPT_BLOCK1 = 27,         /* a block of the request; RFC 7959 2.1   */
    COPAL_OPT_SIZE2 = 28,          /* bytes of the answer; RFC 7959 4        */
    COPAL_OPT_Q_BLOCK2 = 31,       /* a block of the answer; RFC 9177 4.4    */
    COPAL_OPT_PROXY_URI = 35,      /* text, 1 to 1034; RFC 7252 5.10.2       */
    COPAL_OPT_PROXY_SCHEME = 39,   /* text, 1 to 255; RFC 7252 5.10.2        */
    COPAL_OPT_SIZE1 = 60,          /* bytes of the request; RFC 7959 4       */
    COPAL_OPT_ECHO = 252,          /* bytes, 1 to 40; RFC 9175 2             */
    COPAL_OPT_NO_RESPONSE = 258,   /* classes, 0 to 1; RFC 7967 2            */
    COPAL_OPT_REQUEST_TAG = 292    /* bytes, 0 to 8; RFC 9175 3              */
};
/* clang-format on */

/* Numbers and names, both ways: "2.05 Content", "GET"; "application/cbor"
 * (also "cbor"); "Uri-Path"; "ack_timeout". */
typedef enum copal_registry {
    COPAL_CODES,
    COPAL_FORMATS,
    COPAL_OPTIONS,
    COPAL_PARAMETERS
} copal_registry;

/* An option of a signal by the signal's code, as signals have options of their own
 * under numbers that others have, too (RFC 8323 5.2): for copal_name(), and from
 * copal_number(). Messages have the number alone, which are the lower 16 bits. */
#define COPAL_SIGNAL_OPTION(code, number) ((code) << 16 | (number))

/* Never NULL. An unknown code is "0.30", one beyond 255 "?"; anything else
 * unknown has its number as its name. Good for ever, but for parameters and
 * unknown numbers: as long as the calling thread, and until it has asked for
 * seven more unknown numbers. */
COPAL_API const char *copal_name(copal_registry r, int number);

/* In any case of letters. A code also as "2.05" or "Content", a format also as
 * its number, without "application/", or as "text", "links", "octets". An option
 * that only signals have as COPAL_SIGNAL_OPTION(); "Custody" is that of a Ping.
 * ENOENT: no such name, or a short one that could mean two. */
COPAL_API int copal_number(copal_registry r, const char *name);

/* ---- Parameters ---------------------------------------------------------- */

/* Numbers that tune the endpoint (E), the peers under a URI prefix (S) or one
 * message (M); the narrowest wins. Scripts use the same names in lower case,
 * times there in seconds. Limits (MAX_*) bound what others can make us keep;
 * with the defaults that stays under 64 MiB whatever comes from made up
 * addresses. 100,000 observers who are there take 76 MiB more where they share
 * a resource, and up to 250 MiB where each has a long query of its own: lower
 * MAX_OBSERVERS, or set MAX_MEMORY. A limit reached is counted (copal_stats)
 * and shows in the state trace. Bodies of one peer that are not complete have
 * at most MAX_BODY together.
 *
 * MAX_UNPROVEN: of exchanges begun by, and of observers at, addresses where
 * nobody has shown to be (ECHO_FACTOR). The oldest gives way to one more, and
 * where MAX_EXCHANGES or MAX_OBSERVERS is reached to anybody: who waits for an
 * answer gets 5.03, the handler END with ELIMIT. Once half of MAX_EXCHANGES are
 * open, one source has a 16th of them, beyond which it gets 4.29 (RFC 8516);
 * its ports count together, and so does an IPv6 /64.
 *
 * MAX_MEMORY: of copal_stats.memory. Of it an eighth is for what was begun;
 * when the rest is used, what can be had again gives way, then what is kept for
 * addresses where nobody has shown to be, and then new requests get 5.03.
 *
 * TIMEOUT 0 is no deadline of yours. The exchange then ends, ETIMEOUT, when RFC
 * 7252 4.8.2 leaves no hope: a confirmable request by MAX_RETRANSMIT; one that
 * was acknowledged and not answered after EXCHANGE_LIFETIME (247 s with the
 * defaults); a non-confirmable one after MAX_TRANSMIT_WAIT (93 s). Those two
 * are counted from the endpoint's own ACK_TIMEOUT, ACK_RANDOM, MAX_RETRANSMIT.
 * Of an observation TIMEOUT is for the first answer, of a watch for that of each
 * registration; what follows may take its time. Of a request to a group:
 * copal_request().
 *
 * PROBING_RATE limits non-confirmable requests to a peer that does not respond:
 * from which nothing came since the last of them, and either never before (as
 * far as is remembered, EXCHANGE_LIFETIME) or MAX_RETRANSMIT + 1 of them went
 * unanswered in a row. The next one leaves when all of them would have left at
 * that rate, so one is out at a time; further ones wait, until their TIMEOUT or
 * the 93 s above. Whatever comes from the peer ends that at once. Confirmable
 * messages are limited by their back-off and wait for nobody's probes;
 * notifications are limited by RFC 7641 4.5.1; requests to groups and
 * copal_send() are not limited by it.
 *
 * CONGESTION 1 waits for an acknowledgement as long as round trips to that peer
 * suggest (CoCoA, draft-ietf-core-cocoa), 300 ms to 32 s, instead of
 * ACK_TIMEOUT, which stays the wait while nothing was measured. What was
 * measured is kept EXCHANGE_LIFETIME beyond the last message, for at most
 * MAX_PEERS.
 *
 * CACHE_MEMORY above 0 keeps answers (RFC 7252 5.6): a GET or FETCH then ends
 * without a datagram while Max-Age of an answer to the same request lasts, in
 * a RESPONSE with what is left of it; afterwards ETags go along, and of a 2.03
 * the RESPONSE is what was kept. Notifications are kept, too; streams, parts
 * (COPAL_RAW_BLOCKS) and answers to groups are not. A change by this endpoint
 * spoils what it has of that URI and of the one Location-* names. What was used
 * longest ago gives way.
 *
 * ECHO_FACTOR: over UDP a source address is easily forged. Until somebody has
 * shown to be there an answer has at most 136 bytes, or so many times those of
 * its request, and is not sent again (RFC 7252 11.3, RFC 9175 2.4). More goes
 * in blocks that small, the first with an Echo; what cannot be cut is answered
 * by 4.01 with an Echo, or, where the request may have changed something, by
 * its code alone. An answer to a registration leaves some of those bytes to the
 * first notification, which is confirmable, sent again while bytes are left,
 * and followed by no other until it is acknowledged. Who acknowledges one, or
 * sends the Echo back, is known for 10 minutes, and 32768 addresses are;
 * copal's requests send it back by themselves. Not so on loopback, unless
 * GUARD_LOOPBACK; hosts of a simulator are as on loopback.
 *
 * Q_BLOCK 1: requests of ours offer Q-Block1 and Q-Block2 (RFC 9177), and those
 * to us may use them; with 0 they get 4.02. Bodies then leave in sets of 10
 * blocks, with a pause of ACK_TIMEOUT to ACK_TIMEOUT * ACK_RANDOM after each
 * where nobody says that it arrived; missing blocks are asked for up to
 * MAX_RETRANSMIT times. Made for COPAL_NON, where most answers are lost; a
 * confirmable body is no faster than NSTART. A peer that was not asked yet is
 * asked confirmably whether it speaks Q-Block; one that does not is remembered
 * for an hour and gets Block1 and Block2, as streams and COPAL_RAW_BLOCKS always
 * do. A body that comes for a COPAL_STREAMED resource is one CHUNK. RFC 9177 11
 * advises against it where messages are not protected; nobody is sent sets who
 * has not shown to be there, as by ECHO_FACTOR.
 *
 * LEISURE: of who answers, within which an answer to a group is sent at random;
 * of who asks, how long that is expected to be. RFC 7252 8.2. GROUP_RATE: more
 * answers to the requests of one group are not sent (RFC 7252 11.3).
 *
 * LOG_BURST, LOG_RATE: copal_log_due().
 *
 * Connections (RFC 8323): MAX_MESSAGE is what one of the other end's may have
 * with its header, and what is said in the CSM. Those that others open count
 * against MAX_CONNECTIONS and ADDR_CONNECTIONS, and until their CSM has come
 * against MAX_HANDSHAKES: where there are too many, the oldest without one gives
 * way. Parts of messages count against BODY_MEMORY; where there is no room a
 * request gets a 4.13. A connection is cut off without a CSM within 10 s, when a
 * message takes more than 30 s, after more than ten signals
 * a second for long, and when more than 256 KiB wait to be sent; it is released
 * when nothing came for 600 s and nobody observes by it. After KEEPALIVE ms of
 * silence either end is asked by a Ping, and given up 30 s later. So is, by an
 * empty message (RFC 7252 4.3), the other end of an association of DTLS that we
 * began while KEEPALIVE was set, which keeps a NAT open; who asked us is not,
 * for he may sleep.
 *
 * RECORD_MEMORY above 0 switches the flight recorder on, at best before anything
 * else is called: see copal_log_to() and copal_replay(). At least 16384; 1 MiB
 * holds some thousand exchanges. Set anew, what was recorded is gone; ENOMEM: it
 * stays as it was, off or on.
 *
 * X(name, number, default, where, what) */
/* clang-format off */
#define COPAL_PARAMS(X)                                                       \
    X(TIMEOUT,          1,       0, "ESM", "ms, whole exchange; 0: none")     \
    X(ACK_TIMEOUT,      2,    2000, "ESM", "ms; RFC 7252 4.8")                \
    X(ACK_RANDOM,       3,     150, "ESM", "percent; RFC 7252 4.8")           \
    X(MAX_RETRANSMIT,   4,       4, "ESM", "RFC 7252 4.8")                    \
    X(NSTART,           5,       1, "ES",  "open a peer; RFC 7252 4.7")       \
    X(PROBING_RATE,     6,       1, "ES",  "bytes/s; RFC 7252 4.7")           \
    X(LEISURE,          7,    5000, "ESM", "ms; answers to a group; 8.2")     \
    X(SEPARATE_AFTER,   8,     250, "E",   "ms; then ACK now, answer later")  \
    X(BLOCK_SIZE,       9,    1024, "ESM", "16 .. 1024; RFC 7959")            \
    X(Q_BLOCK,         10,       0, "ESM", "1: offer RFC 9177")               \
    X(CONGESTION,      11,       0, "ES",  "0: RFC 7252; 1: CoCoA")           \
    X(SILENCE,         12,       0, "ESM", "ms; of a watch; 0: by Max-Age")   \
    X(IGNORE_ICMP,     13,       0, "ESM", "1: a refused port is no verdict") \
    X(KEEPALIVE,       14,       0, "E",   "ms of silence, then Ping; 0: none")\
    X(HOPS,            15,       0, "ESM", "IP hop limit; 0: the system's")   \
    X(INTERFACE,       16,       0, "EM",  "its index; 0: the system's")      \
    X(SOCKET_BUFFER,   17, 4194304, "E",   "bytes asked for, each way")       \
    X(ECHO_FACTOR,     18,       3, "E",   "answer to request; 0: no limit")  \
    X(GUARD_LOOPBACK,  19,       0, "E",   "1: ECHO_FACTOR on loopback too")  \
    X(CACHE_MEMORY,    20,       0, "E",   "bytes of client cache; 0: off")   \
    X(RECORD_MEMORY,   21,       0, "E",   "bytes of recorder; 0: off")       \
    X(MAX_MEMORY,      22,       0, "E",   "bytes in all; 0: as needed")      \
    X(MAX_EXCHANGES,   23,   16384, "E",   "open, both directions")           \
    X(MAX_PEERS,       24,  131072, "E",   "to whom we owe something")        \
    X(MAX_OBSERVERS,   25,  100000, "E",   "registered with us")              \
    X(PEER_OBSERVERS,  26,      64, "ES",  "registered by one peer")          \
    X(MAX_BODY,        27, 1048576, "ESM", "bytes; beyond: stream")           \
    X(PEER_BODIES,     28,       4, "ES",  "incomplete, of one peer")         \
    X(BODY_MEMORY,     29, 16777216, "E",  "bytes of bodies in all")          \
    X(DEDUP_MEMORY,    30, 8388608, "E",   "bytes; answers kept for repeats") \
    X(MAX_TOKEN,       31,       8, "E",   "bytes accepted; RFC 8974")        \
    X(MAX_MESSAGE,     32, 1049600, "E",   "bytes; RFC 8323 5.3.1")           \
    X(MAX_CONNECTIONS, 33,    1024, "E",   "TCP, TLS and WebSocket")          \
    X(ADDR_CONNECTIONS, 34,     64, "E",   "of one address")                  \
    X(MAX_HANDSHAKES,  35,    1024, "E",   "not yet finished")                \
    X(GROUP_RATE,      36,      20, "E",   "answers/s of a group's; 0: all")  \
    X(MAX_UNPROVEN,    37,    8192, "E",   "strangers' exchanges, observers") \
    X(LOG_BURST,       40,      10, "E",   "lines of a kind; 0: no limit")    \
    X(LOG_RATE,        41,       1, "E",   "lines/s of a kind after those")  \
    X(RECORD_PAYLOADS, 42,       1, "E",   "0: recordings leave them out")    \
    X(MAX_EDHOC,       43,      64, "E",   "sessions of EDHOC, half open")    \
    X(EDHOC_TIMEOUT,   44,   30000, "E",   "ms; then such a one is given up") \
    X(MAX_CONTEXTS,    45,   10000, "E",   "of OSCORE that EDHOC made")
/* clang-format on */

typedef enum copal_param {
#define X(name, number, value, where, what) COPAL_P_##name = (number),
    COPAL_PARAMS(X)
#undef X
    COPAL_P_NONE = 0
} copal_param;

/* Sets p from now on; a transmission under way keeps what it began with.
 * scope: a URI prefix, or NULL for the endpoint. It is compared, letter by
 * letter and up to the end of one of its parts, with the URI as it was asked
 * for, and of who asks us with copal_msg_remote(), which has no "/" at the end.
 * The longest wins. SOCKET_BUFFER is for sockets yet to be opened.
 * EINVAL: no such parameter, its value, or its place; ENOTSUP: above. */
COPAL_API int copal_tune(copal *c, const char *scope, copal_param p,
                         int64_t value);

/* What devices want that do as RFC 7252 says in a way of their own: data that is
 * known by a name. The peers under scope, as copal_tune() has it, are tuned so;
 * critical options of theirs are accepted (copal_understand()); and each request
 * to them leaves with what was not in it, in a copy. The longest scope
 * wins. In place of the one before there; name NULL: no more, but parameters stay.
 *   samsung-ocf    OCF: application/vnd.ocf+cbor (10000), options 2049 and 2053
 *                  with its version, 1.0.0
 *   shelly         first generation (CoIoT): COPAL_NON but for COPAL_CON;
 *                  IGNORE_ICMP 1
 *   thread-sleepy  nodes of Thread or 6LoWPAN that sleep: ACK_TIMEOUT 12 s,
 *                  IGNORE_ICMP 1, BLOCK_SIZE 64, NSTART 1
 *   tradfri        IKEA's gateway: ACK_TIMEOUT 3 s, NSTART 1
 * EINVAL: no such profile, which the sentence lists; ELIMIT: as
 * copal_understand(); ENOMEM: parts of it may apply. */
COPAL_API int copal_profile(copal *c, const char *scope, const char *name);

/* The i-th name of a profile, in order; NULL past the last. */
COPAL_API const char *copal_profile_name(size_t i);

/* ---- Endpoint and loop --------------------------------------------------- */

/* Makes an endpoint. config may be NULL: all defaults. Reads no file and no
 * environment. NULL: out of memory, or of descriptors for a loop. */
COPAL_API copal *copal_new(const copal_config *config);

/* Ends every exchange with ECLOSED, drops every callback, closes sockets. On
 * a shared loop its handles are gone after the loop's next turn. c may be
 * NULL. Nothing new begins meanwhile: requests give NULL, timers ECLOSED. */
COPAL_API void copal_free(copal *c);

/* An orderly end: accepts nothing new (5.03), tells its observers so (5.03,
 * their last notification), deregisters what it observes or watches (END with
 * ECANCEL), sends the answers it owes, takes leave of connections. copal_run()
 * returns when that is done, and when requests and timers still open are; after
 * ms at the latest; then copal_free(). Gives 0. */
COPAL_API int copal_close(copal *c, uint64_t ms);

/* Runs until nothing is left to wait for or copal_stop(). An endpoint that
 * listens always has something to wait for. On a shared loop run that loop:
 * copal_run(), _fd(), _timeout() and _step() give ESTATE, and so they do on a
 * simulated host. Run gives 0; ESTATE also from a callback. */
COPAL_API int copal_run(copal *c);

/* From any thread and from signal handlers: copal_run() returns soon, or at
 * once if it is yet to begin. A shared loop and a simulator do not heed it. */
COPAL_API void copal_stop(copal *c);

/* For a host with its own loop: watch copal_fd() for input, wait at most
 * copal_timeout() ms (-1: for ever), then call copal_step(), which gives 0. The
 * descriptor also becomes readable when a call from outside a step left work to
 * do. It is the library's: never read or close it. ESTATE as copal_run(); the
 * first two also work from callbacks. */
COPAL_API int copal_fd(const copal *c);
COPAL_API int copal_timeout(const copal *c);
COPAL_API int copal_step(copal *c);

/* ms since some moment in the past; never goes back. */
COPAL_API uint64_t copal_now(const copal *c); /* monotonic */

/* TIMER after ms, once. Returns an id above 0 for copal_cancel_timer(), or
 * ENOMEM, ECLOSED: c is being freed. */
COPAL_API int64_t copal_after(copal *c, uint64_t ms, copal_cb cb);

/* Lets go of the timer's callback, uncalled. ENOENT: it came due already, or
 * there never was one. */
COPAL_API int copal_cancel_timer(copal *c, int64_t id);

/* From any thread: TIMER soon, on the endpoint's own; only drop, if memory has
 * run out there. See to it that c is not freed during the call. ENOMEM: drop
 * has run on the calling thread. */
COPAL_API int copal_post(copal *c, copal_cb cb);

enum {                       /* copal_listen */
    COPAL_REUSE_ADDRESS = 1, /* beside other programs, to hear groups        */
    COPAL_REUSE_PORT = 2     /* load spread over endpoints, for workers      */
};

/* Workers: an endpoint a thread or process, each with COPAL_REUSE_PORT at the
 * same URI; with port 0 the others listen at copal_local() of the first. The
 * system chooses one by the addresses and ports of both ends, so a client stays
 * with one: repeats, blocks, observations. Endpoints share nothing: each has its
 * resources and limits, and tells its own observers; a change is made known to
 * the others by copal_post() to each and copal_notify() there. When a socket of
 * the port is closed or one more opened, the system chooses anew, and clients
 * come to strangers: whoever ends a worker, or starts one again, keeps its
 * socket meanwhile, see copal_hand_over(). TCP: whoever accepts a connection has
 * it for good. */

/* Accepts at a URI without path: "coap://[::1]:5683", "coaps+tcp://0.0.0.0";
 * host "*": every address, IPv4 and IPv6, whichever the host has; port 0: any
 * free one. May be called for several. What this endpoint asks leaves from
 * here too, unless flags share the port: others might get the answers. A name
 * is looked up before the call returns. All of it works, or nothing is open.
 * EURI; ERESOLVE: the name; EINUSE; EPERM: ports below 1024; EIO: not an
 * address of this host; ELIMIT: of the system, as open files; ENOTSUP: built
 * without GnuTLS, a scheme other than coap and coap+tcp. */
COPAL_API int copal_listen(copal *c, const char *uri, unsigned flags);

/* Accepts at a UDP socket that is bound already: of copal_hand_over(), of
 * systemd. What came meanwhile waits in it. Of fd a copy is used: it stays
 * yours to close. Settings of the socket that others see as well are changed
 * (O_NONBLOCK, buffers, what it reports). EINVAL: no UDP socket, not bound, or
 * one of IPv6 that is not IPV6_V6ONLY; ELIMIT; EIO; ESTATE: simulated. */
COPAL_API int copal_take_over(copal *c, int fd);

/* Reads no more from the socket of copal_local(c, i) and gives a descriptor of
 * it, yours to close: what comes from now on waits for who goes on there with
 * copal_take_over(), another endpoint or process. Answers of c still leave by
 * it, but what acknowledges them comes to the other: owe little. What c asks
 * later leaves from another port. ENOENT: past
 * the last; ENOTSUP: not UDP, or by DTLS; ELIMIT; ESTATE: simulated. */
COPAL_API int copal_hand_over(copal *c, size_t i);

/* Lets pages of one more origin, "https://example.org", connect by WebSocket; "*":
 * of any. Those of the host that they connect to may anyway, by what is ours for
 * certain, since whoever owns a name can lead it here (DNS rebinding): an address,
 * "localhost", a name of a certificate under "*", or one of copal_allow_host(). So
 * may who names no origin, which no browser does. RFC 6455 10.2. EINVAL: no
 * origin; ENOTSUP. */
COPAL_API int copal_allow_origin(copal *c, const char *origin);

/* One more name of this host, "device.example", by which its own pages may connect
 * by WebSocket: copal_allow_origin(). In any case of letters and at any port; "*":
 * any name, where nobody but who may can reach us. EINVAL: no name; ENOTSUP. */
COPAL_API int copal_allow_host(copal *c, const char *name);

/* The i-th bound URI with its real port, or NULL past the last; "*" makes two.
 * Good as long as c. */
COPAL_API const char *copal_local(const copal *c, size_t i);

/* Group membership on one interface, "eth0" or the zone of the URI; NULL: each
 * that is up and can multicast, loopback too. RFC 7252 8.1, 12.8: the groups of
 * all CoAP nodes are coap://224.0.1.187, coap://[ff02::fd] and
 * coap://[ff05::fd]. Requests to the group then reach the resources served with
 * COPAL_GROUP, all others are as if they had not come. It is heard where this
 * endpoint listens at the group's port on every address; where it does not, or
 * not yet, by a socket for that group alone. Answers leave from an address and
 * port at which this endpoint is reached by that interface (RFC 7252 8.2): where
 * it listens, best at the interface's own address; if nowhere yet, at a free port
 * of every address, where it serves, too. Of endpoints that share a port
 * (COPAL_REUSE_PORT) only one is to join, for each that did would answer.
 * Joined with NULL once more, interfaces that came meanwhile are added. It ends
 * with copal_leave(), of one interface or, NULL, of all; or with c.
 * EEXIST: joined already; to leave, ENOENT: was not joined. ENOENT: no such
 * interface. EINVAL: no group's address, or port 0. EURI; ERESOLVE; ENOTSUP: a
 * scheme other than coap; EINUSE: another program has the port for itself;
 * it must use COPAL_REUSE_ADDRESS; ELIMIT: of the system; ESTATE: this endpoint
 * listens, but only where nobody reaches it by that interface, as at 127.0.0.1
 * for who is on eth0; with NULL, such are left out; EIO. */
COPAL_API int copal_join(copal *c, const char *group_uri, const char *if_name);
COPAL_API int copal_leave(copal *c, const char *group_uri, const char *if_name);

/* The i-th network interface that is up and can reach groups, loopback last:
 * its name, and in *index, which may be NULL, what COPAL_P_INTERFACE takes. NULL
 * past the last, and of a simulated host. Asked for with i 0 it looks anew;
 * good until then. */
COPAL_API const char *copal_interface(copal *c, size_t i, unsigned *index);

/* ---- Messages ------------------------------------------------------------ */

/* Hints of a request that never reach the wire as such; NON, STREAM_OUT and
 * RAW_BLOCKS mean the same of an answer. */
enum {                        /* copal_msg_set_flags */
    COPAL_NON = 1,            /* don't confirm                RFC 7252 4.3    */
    COPAL_STREAM_IN = 2,      /* deliver the answer as CHUNKs                 */
    COPAL_STREAM_OUT = 4,     /* ask for the body with PULLs                  */
    COPAL_RAW_BLOCKS = 8,     /* hands off Block1/2: I speak RFC 7959 myself  */
    COPAL_WATCH = 16,         /* observe, never quiet without telling         */
    COPAL_TELL_PROGRESS = 32, /* PROGRESS events                              */
    COPAL_ANY_PORT = 64,      /* the answer may come from another port        */
    COPAL_NO_CACHE = 128,     /* ask, whatever CACHE_MEMORY or a 4.29 says    */
    COPAL_CON = 256           /* confirm, whatever copal_profile() says       */
};

/* An empty message of that code, 0 to 255; NULL also for any other. */
COPAL_API copal_msg *copal_msg_new(copal *c, int code);

/* The message in a UDP datagram that did not come by an endpoint: of a capture,
 * a test, another transport of one's own. It is as if received, so it cannot
 * be changed, but from nobody: remote and local are "". *out is untouched on
 * failure. EFORMAT: malformed (RFC 7252 3, RFC 8974 2), copal_why() says what
 * and at which byte; ELIMIT: over 32768 options; EINVAL: out is NULL. */
COPAL_API int copal_msg_decode(copal *c, copal_bytes datagram, copal_msg **out);

/* Ref gives m back, for whoever keeps a message beyond its event; the last
 * unref, from any thread, frees it. */
COPAL_API copal_msg *copal_msg_ref(const copal_msg *m);
COPAL_API void copal_msg_unref(const copal_msg *m);

/* A private, writable copy; the way to forward or amend a received message:
 * without its token, addresses and identity. That of a received request needs
 * copal_msg_set_uri() to go anywhere. It shares the payload where it can. */
COPAL_API copal_msg *copal_msg_copy(const copal_msg *m);

/* 0 to 255; the payload, {NULL, 0} if there is none; the Content-Format, or
 * COPAL_NO_FORMAT. */
COPAL_API int copal_msg_code(const copal_msg *m);
COPAL_API copal_bytes copal_msg_payload(const copal_msg *m);
COPAL_API int copal_msg_format(const copal_msg *m); /* or COPAL_NO_FORMAT */

/* The i-th option in wire order: its number, *value filled. ENOENT past the
 * last. copal_msg_value(): the i-th value of one option; 0 or ENOENT. value may
 * be NULL in both. copal_msg_uint(): the first value as a number, RFC 7252 3.2;
 * ENOENT also for what does not fit 63 bits. */
COPAL_API int copal_msg_option(const copal_msg *m, size_t i,
                               copal_bytes *value);
COPAL_API int copal_msg_value(const copal_msg *m, int option, size_t i,
                              copal_bytes *value);
COPAL_API int64_t copal_msg_uint(const copal_msg *m, int option); /* ENOENT */

/* Uri-Path joined as "/a/b", "/" in a segment as %2F and NUL as %00; never
 * NULL, "" when memory ran out. The value of the first query argument
 * "key=value", decoded; "" of "key" alone; NULL: not there, or no memory. */
COPAL_API const char *copal_msg_path(const copal_msg *m);
COPAL_API const char *copal_msg_query(const copal_msg *m, const char *key);

/* The request's URI as its asker typed it, or as it arrived (RFC 7252 6.5); a
 * response has that of its request. "" where there is none; never NULL. */
COPAL_API const char *copal_msg_uri(const copal_msg *m);

/* Of received messages: the other end and ours as base URIs, the port only if
 * not the scheme's own: "coap://[fe80::1%eth0]"; the peer's proven name, or
 * NULL: nothing proves one. The name is a key's identity (what is no text in it
 * percent-encoded), the first DNS name or URI of a certificate, else its common
 * name, or that of a raw public key, "ni:///sha-256;..." (RFC 6920); of OSCORE
 * see copal_oscore. "" for a message of our own,
 * and for remote where a notification is made for many. */
COPAL_API const char *copal_msg_remote(const copal_msg *m);
COPAL_API const char *copal_msg_local(const copal_msg *m);
COPAL_API const char *copal_msg_identity(const copal_msg *m);

/* What the wire showed of a received message; of one of our own type and mid
 * are -1, multicast is what its URI says, and there is no more. Set size before
 * the call, to sizeof(copal_wire). */
typedef struct copal_wire {
    size_t size;
    int type;          /* 0 CON, 1 NON, 2 ACK, 3 RST; -1 on TCP             */
    int mid;           /* -1 on TCP                                         */
    int multicast;     /* non-zero: sent to a group                         */
    unsigned if_index; /* it came by: index, 0 unknown                      */
    copal_bytes token;
} copal_wire;

/* EINVAL: out is NULL, or its size not set. */
COPAL_API int copal_msg_wire(const copal_msg *m, copal_wire *out);

/* As text, the same in every language; no newline at the end.
 * COPAL_LINE: the code; of a request its URI, of anything else received
 * " from " and its remote; then what there is of: type and message id of a
 * received message, its token, the Content-Format, the payload's size.
 *   GET coap://localhost/other/separate
 *   2.05 Content from coap://127.0.0.1, ACK 1f2e, token 0a0b0c0d,
 *   text/plain;charset=utf-8, 16 bytes    (which is one line)
 * COPAL_OPTION_LINES: a line for each option, in wire order, values of one
 * number together; text as it is, numbers in decimal, formats with their name,
 * blocks as number/more/size, bytes and unknown options in hex:
 *   Uri-Path: other / separate
 *   Accept: 0 text/plain;charset=utf-8
 *   Block2: 0/1/1024
 *   If-None-Match:
 * Control characters, backslashes and bytes that are not UTF-8 are shown as
 * "\x1b" in both. */
typedef enum copal_text {
    COPAL_LINE,
    COPAL_OPTION_LINES
} copal_text;

/* Never NULL, "" when memory ran out. */
COPAL_API const char *copal_msg_print(const copal_msg *m, copal_text what);

/* Setters fail with ESTATE once the message was handed over. It may be handed
 * over again: sending one message many times parses its URI once. A setter that
 * fails changes nothing, but for a URI, as told there. */

/* All flags at once. EINVAL: there is no such flag. */
COPAL_API int copal_msg_set_flags(copal_msg *m, unsigned flags);

/* EINVAL, ENOTSUP: as copal_tune(). ELIMIT: over 16 parameters of one m. */
COPAL_API int copal_msg_tune(copal_msg *m, copal_param p, int64_t value);

/* Where a request goes, and its Uri-* options with it, in place of those
 * before; Uri-Host for a name only. RFC 7252 6.4. EURI: and m has no URI but
 * this one; sent all the same, it ends with an END that says what is wrong. */
COPAL_API int copal_msg_set_uri(copal_msg *m, const char *uri);

/* Where a request leaves from: a base URI with an address in digits, port 0:
 * any. EURI. Whether this host has it shows in END. */
COPAL_API int copal_msg_set_from(copal_msg *m, const char *local_uri);

/* A copy of body and, but for COPAL_NO_FORMAT, its Content-Format, in place of
 * those before. EINVAL: format is not 0 to 65535, or body has no data. */
COPAL_API int copal_msg_set_payload(copal_msg *m, int format, copal_bytes body);

/* One value more, in its place by number; of a number, its shortest form (RFC
 * 7252 3.2). EINVAL: option is not 0 to 65535; the value's length is none of
 * that option's; it is there and may not be repeated (RFC 7252 5.4.5); a
 * segment "." or ".." (5.10.1). ELIMIT: over 32768 options. */
COPAL_API int copal_msg_add(copal_msg *m, int option, copal_bytes value);
COPAL_API int copal_msg_add_uint(copal_msg *m, int option, uint32_t value);
COPAL_API int copal_msg_add_text(copal_msg *m, int option, const char *value);

/* Takes all values of an option away; 0 also if there was none. EINVAL. */
COPAL_API int copal_msg_remove(copal_msg *m, int option);

/* Goes on with a transfer that broke off, at offset of the whole body.
 * With the etag of what is there already: a GET or FETCH (of one block, without
 * Observe) is answered with the rest alone; CHUNK and PROGRESS have its place in
 * the whole. ECHANGED if the representation is another by now.
 * With etag empty: m is the same request with its whole body, or pulled from
 * offset on, and with the same Request-Tag, best one of the user's own; a server
 * that keeps it no more answers 4.08: begin again, without this. offset is where
 * PROGRESS said, or of the last block. One of ours keeps it for EXCHANGE_LIFETIME
 * from its newest block, within PEER_BODIES, and also when the client gave up
 * waiting for a 2.31: a COPAL_STREAMED handler sees nothing, then the next CHUNK,
 * or END when that time is over. RFC 7959 2.5, RFC 9175 3.3.
 * EINVAL: etag over 8 bytes; offset from 1 GiB, or of an upload no multiple of
 * 16; a code for which neither makes sense. */
COPAL_API int copal_msg_resume(copal_msg *m, uint64_t offset, copal_bytes etag);

/* ---- Problem details ----------------------------------------------------- */

/* What went wrong, for programs: the payload of a 4.xx or 5.xx in
 * COPAL_PROBLEM, application/concise-problem-details+cbor, RFC 9290. (Errors
 * that the library answers by itself have plain diagnostics, RFC 7252 5.5.2.) */

typedef enum copal_direction { /* of writing */
    COPAL_AUTO,                /* not said */
    COPAL_LTR,                 /* left to right */
    COPAL_RTL
} copal_direction;

typedef struct copal_problem_text {
    copal_bytes text; /* UTF-8; data NULL: there is none */
    copal_bytes lang; /* "en-GB"; data NULL: base_lang, else "en"; A.2 */
    int direction;    /* copal_direction; only with lang */
} copal_problem_text;

/* Zeroes, and of texts data NULL, are what is not there; RFC 9290 2. Set size
 * to sizeof(copal_problem). */
typedef struct copal_problem {
    size_t size;
    copal_problem_text title;  /* the kind of problem */
    copal_problem_text detail; /* this one: how to mend it */
    copal_bytes instance;      /* this one's URI reference */
    int response_code;         /* COPAL_NOT_FOUND, as the answer's */
    copal_bytes base_uri;      /* what instance is relative to */
    copal_bytes base_lang;     /* of texts without one */
    int base_direction;        /* copal_direction, likewise */
    copal_bytes entries; /* in CBOR, a map: read, all of the problem; to be
                                * made, more entries; what is above goes first */
} copal_problem;

/* Reads m's payload; what it gives points there. ENOENT: it is in another
 * format. EFORMAT: it is no problem, as RFC 9290 has it; known texts in chunks
 * are not taken, either. ELIMIT: over 64 entries, 16 deep, or 63 bits of a key.
 * EINVAL: out is NULL, or its size not set. */
COPAL_API int copal_msg_problem(const copal_msg *m, copal_problem *out);

/* An entry without a field above: of a registry under a number, negative those
 * for everybody (RFC 9290 6.1), else of who owns the URI. */
typedef struct copal_problem_item {
    int64_t key;       /* 0 with a URI */
    copal_bytes uri;   /* data NULL: the key is the number */
    copal_bytes value; /* in CBOR; a map but under negative numbers */
} copal_problem_item;

/* The i-th of them. ENOENT past the last; EFORMAT: entries is no such map;
 * EINVAL: p or out is NULL. */
COPAL_API int copal_problem_entry(const copal_problem *p, size_t i,
                                  copal_problem_item *out);

/* Makes p m's payload, in COPAL_PROBLEM. EINVAL: nothing in it; a text that is
 * not UTF-8, a lang that is none, entries that are no such map, or a
 * response_code other than m's. */
COPAL_API int copal_msg_set_problem(copal_msg *m, const copal_problem *p);

/* ---- Asking (client) ----------------------------------------------------- */

/* Sends m, of any code of class 0, to where its URI points; 0.00 is a ping. cb
 * sees RESPONSE (many for observe, watch and groups) and then END, always last
 * and exactly once; failures of any kind arrive there. Never calls cb before
 * returning. NULL: out of memory, m is NULL or has no room for what its profile adds
 * (copal_profile()), or c is being freed; drop has run.
 * The handle is good until END has returned unless ref'd.
 * Streamed in: RESPONSE with the options and no payload, then CHUNKs.
 * A 4.29 is the answer to each further request of that method and URI until its
 * Max-Age is over (RFC 8516 4), but for COPAL_NO_CACHE: these are not sent.
 * A response of any code, 4.04 too, is an answer, and END has status 0. With
 * COPAL_OPT_NO_RESPONSE 26, that is of no class, END has 0 without a RESPONSE once
 * the request is acknowledged, or with COPAL_NON, to a group too, has left; what
 * became of it nobody knows then (RFC 7967 2.1). Else
 *   EURI, ENOTSUP    what copal_msg_set_uri() refused, or a scheme that
 *                    is not built in
 *   EINVAL           m has a code of no method; or what a group cannot be
 *                    asked, see below
 *   ERESOLVE, EUNREACH, EREFUSED, EPERM, EIO   the network, on the way there
 *   ETIMEOUT         nothing came: see TIMEOUT; of a group nobody answered
 *   ERESET           the peer rejected it, as after a restart
 *   EFORMAT          the answer has an unknown critical option (RFC 7252
 *                    5.4.1), or blocks that do not fit together
 *   ECHANGED         between blocks, again and again, or amid a stream
 *   ELIMIT           MAX_EXCHANGES, MAX_PEERS, MAX_BODY; longer than the peer
 *                    of a connection takes; a limit of the system
 *   ENOTOBS          observe, watch: answered, but nothing will follow
 *   ECANCEL, ECLOSED, ENOMEM
 * A 4.01 with an Echo is answered by the request once more, with that value,
 * and only a second one is told; an Echo in another answer goes with the next
 * request to that server within a minute (RFC 9175 2.3). Not so if m has an
 * Echo. A name's further addresses are tried while nobody answered.
 * To a group (a multicast address, or a name that turns out to be one's): with
 * COPAL_NON only (RFC 7252 8.1); no watch, no stream, no body of several blocks.
 * Each answer is a RESPONSE as it comes, from whatever copal_msg_remote() says,
 * which is also what links in it are relative to; two different ones of one
 * member are two. One in blocks is fetched to its end from its sender alone
 * (RFC 7959 2.8), and told when it is whole. Answers are waited for as long as
 * TIMEOUT says; 0: LEISURE and ACK_TIMEOUT with its random part, 8 s with the
 * defaults. What came in time is then fetched to its end, for at most another
 * TIMEOUT. END has 0 if anybody answered. That of an observation comes with the
 * last member that is observed; copal_cancel() deregisters with each. A token
 * is never used again. */
COPAL_API copal_exchange *copal_request(copal *c, copal_msg *m, copal_cb cb);

/* The requests everyone makes, as copal_request().
 * Observe: RFC 7641 as it is; RESPONSEs until the peer sends an error (then
 * END 0) or one without Observe (END ENOTOBS). Who observes what this endpoint
 * observes already, asked for alike (options, flags, parameters, where from),
 * registers nothing (RFC 7641 3.1): it asks for its first value alone, unless
 * none was there yet, hears what the registered one hears (PROGRESS only of its
 * own first value), and ends when that ends, with the same status. When the
 * registered one is cancelled, the next registers in its place, and hears the
 * value of then once more. Groups, COPAL_STREAM_IN, COPAL_STREAM_OUT,
 * COPAL_RAW_BLOCKS and watches register each for itself.
 * Watch: an observation that goes on through loss of datagrams, silence, reboot,
 * a refused port and new addresses. 5 to 15 s after Max-Age has run out it
 * registers again (RFC 7641 3.3.1) under the same token and with the ETag that
 * it has; unanswered it does so anew, and the name is looked up again. It tells
 *   RESPONSE  what the server sent, by itself or asked, then only if it is not
 *             what was told last; a 2.03 as the representation it means
 *   SILENT    nothing came when it should: within SILENCE, or after Max-Age and
 *             three transmissions; or it cannot be had now; text says why. It
 *             tries again after 1 s, then twice that and so on up to a minute, a
 *             random part less; or as late as a 4.29 or 5.03 says
 *   RESUMED   after each SILENT that passes, before the RESPONSE that ends it
 *   END       once, ENOTOBS after a first answer that cannot be observed or is
 *             an error, unless it is 4.29, 5.00 or 5.02 to 5.04; EINVAL, EURI,
 *             ENOTSUP; ECANCEL, ECLOSED, ENOMEM
 * With SILENCE it asks as much earlier as an answer takes, so that who has
 * nothing new to say is not silent. */
COPAL_API copal_exchange *copal_get(copal *c, const char *uri, copal_cb cb);
COPAL_API copal_exchange *copal_observe(copal *c, const char *uri, copal_cb cb);
COPAL_API copal_exchange *copal_watch(copal *c, const char *uri, copal_cb cb);

/* Is anybody there: empty CON (RFC 7252 4.3) or RFC 8323 Ping; END with 0 when
 * answered, else as copal_request(). Nothing of the URI behind the port is
 * sent. */
COPAL_API copal_exchange *copal_ping(copal *c, const char *uri, copal_cb cb);

/* Gives up: nothing but END with ECANCEL follows. Stops retransmissions,
 * frees the NSTART slot, deregisters an observation (RFC 7641 3.6). ESTATE:
 * already over, or a request to be answered. */
COPAL_API int copal_cancel(copal_exchange *x);

/* Closes connections, and associations of DTLS, under a URI prefix, by the name
 * that was asked for or by address; NULL: all. What waits for an answer by them
 * ends with ECLOSED. Gives how many. */
COPAL_API int copal_disconnect(copal *c, const char *scope);

/* Raw use: sends m, any code, once to a base URI and expects nothing; a name is
 * looked up first, and only the trace tells that it failed. Confirmable unless
 * COPAL_NON, but never repeated. EURI, ENOTSUP, ERESOLVE, EUNREACH, EIO: to;
 * EINVAL: 0.00 with options or a payload, or a group without COPAL_NON; ECLOSED:
 * c is being freed. */
COPAL_API int copal_send(copal *c, copal_msg *m, const char *to);

/* Hears responses that nobody asked for, as STRAY; confirmables are then
 * acknowledged, instead of rejected (RFC 7252 4.2). In place of the callback
 * before; fn NULL: no more. Gives 0. */
COPAL_API int copal_strays(copal *c, copal_cb cb);

/* Accepts an unknown critical option in what comes. EINVAL: not 0 to 65535;
 * ELIMIT: over 16 of them. */
COPAL_API int copal_understand(copal *c, int option);

/* ---- Serving ------------------------------------------------------------- */

enum {                    /* copal_serve */
    COPAL_OBSERVABLE = 1, /* GET/FETCH here may be observed    RFC 7641      */
    COPAL_STREAMED = 2,   /* bodies come as CHUNKs, after a REQUEST without  */
    COPAL_UNLISTED = 4,   /* keep out of /.well-known/core                   */
    COPAL_SECURE = 8,     /* 4.01 to peers without identity                  */
    COPAL_GROUP = 16,     /* answers requests to a group too  RFC 7252 8     */
    COPAL_PER_PEER = 32   /* a notification is asked for each observer       */
};

/* Answers method (0: any; any code of class 0) at path. A path may hold
 * {name} segments and end in "*"; "*" alone takes what nothing else does. Words
 * go before names, names before "*"; percent-escapes are decoded. The handler
 * replies now, or refs the exchange and replies later: the library acknowledges
 * in time (SEPARATE_AFTER) and the answer goes out separately, RFC 7252 5.2.2.
 * When nobody who could reply holds the exchange any more, the asker gets 5.00.
 * One that replies at once sees nothing but REQUEST; one that still owes a
 * reply also sees END when the asker leaves: ETIMEOUT, EFORMAT (a block is
 * missing) amid a body, ECLOSED.
 * A request repeated by the network is not seen twice (RFC 7252 4.5). With
 * If-Match or If-None-Match the GET handler here is asked first, and 4.12 given
 * for it, unless the body is streamed. The library serves GET
 * /.well-known/core, to groups too, until you do.
 * A group's request is answered NON, from an address of this host, after a
 * random part of LEISURE, and beyond GROUP_RATE not at all. An error is not sent
 * (RFC 7252 8.2) unless the request has No-Response and does not name its class
 * (RFC 7967 2.1). Who observes by a group is told like that, too.
 * EEXIST: this method is already served here. EINVAL: no method; path, or one
 * of its {names} is called otherwise by another path. */
COPAL_API int copal_serve(copal *c, int method, const char *path,
                          unsigned flags, copal_cb cb);

/* Takes a path away, written as it was served, with all its methods; its
 * observers get 4.04. ENOENT: nothing is served there; EINVAL: path. */
COPAL_API int copal_unserve(copal *c, const char *path);

/* Adds a link attribute, e.g. "rt", "temperature"; value may be NULL. Those of
 * which a link has one (RFC 6690 2) take the place of the one before. "ct", "0
 * 50", is heeded, too: a GET or FETCH that accepts no such format gets 4.06, a
 * PUT in another 4.15.
 * ENOENT, EINVAL: path, as copal_unserve(); EINVAL: no name of an attribute. */
COPAL_API int copal_describe(copal *c, const char *path, const char *name,
                             const char *value);

/* Everything listed, in link format (RFC 6690); a {name} stands there as
 * "%7Bname%7D", what a "*" takes does not. Good until the next change.
 * {NULL, 0}: out of memory. */
COPAL_API copal_bytes copal_links(copal *c);

/* The representation at path changed: asks its handler again, once for all
 * observers whose requests (cache key) and identities are alike, and tells
 * them. Each asking is an exchange of its own; changes while one is asked make
 * one more. Returns how many observers; path as in a request, not a pattern.
 * One notification is under way to an observer, and NSTART to a client; a NON
 * one (flag of the answer) for a round trip, or 3 s until one is known. What
 * changes meanwhile is told afterwards, or in place of a retransmission: the
 * newest state, with what is left of its Max-Age. RFC 7641 4.5. Of NON ones
 * every 20th is confirmable, and the last of a burst is repeated confirmably
 * after half its Max-Age, 3 to 30 s: it may have been lost. Many are asked for
 * and told in portions.
 * ENOENT: nothing is served there; EINVAL: path. */
COPAL_API int copal_notify(copal *c, const char *path);

/* Answers. From then on x is finished and answering it again gives ESTATE, as
 * it does when the asker left. Not so when it fails otherwise: nothing went
 * out. EINVAL: no code of a response; format, or body without data. ELIMIT:
 * MAX_PEERS.
 * A 2.05 in a format that the request does not accept goes out as 4.06, one
 * with an ETag that it named as 2.03 (RFC 7252 5.10.4, 5.10.6.2); an answer it
 * has no interest in not at all (RFC 7967).
 * The shorthands build the message; text is text/plain in a 2.xx and a
 * diagnostic (RFC 7252 5.5.2) in others; a problem has a title and a detail,
 * either may be NULL. */
COPAL_API int copal_respond(copal_exchange *x, copal_msg *m);
COPAL_API int copal_reply(copal_exchange *x, int code, int format,
                          copal_bytes body);
COPAL_API int copal_reply_text(copal_exchange *x, int code, const char *text);
COPAL_API int copal_reply_problem(copal_exchange *x, int code,
                                  const char *title, const char *detail);

/* ---- Exchanges (both sides) ---------------------------------------------- */

/* Ref gives x back. The last unref of a request that is not answered yet, from
 * any thread, answers it with 5.00. */
COPAL_API copal_exchange *copal_exchange_ref(copal_exchange *x);
COPAL_API void copal_exchange_unref(copal_exchange *x);

/* Borrowed from x: its endpoint, NULL once that is freed; the request, of a
 * streamed one without its body; what stands for {name} in the path, decoded,
 * NULL: there is none, or x asks. */
COPAL_API copal *copal_exchange_endpoint(const copal_exchange *x);
COPAL_API const copal_msg *copal_exchange_request(const copal_exchange *x);
COPAL_API const char *copal_exchange_param(const copal_exchange *x,
                                           const char *name); /* of the path */

/* Bodies. One longer than BLOCK_SIZE goes and comes in blocks (RFC 7959). An
 * upload that begins beside others to the same resource, or soon after one that
 * broke off, gets a Request-Tag, so that a server keeps them apart (RFC 9175
 * 3.5); one that the user set stays, and begun again under it an upload takes
 * the place of the one before. Requests without blocks have none: where many
 * POST or FETCH at once for long answers, their user sets one for each. A Block2
 * option of the user's asks for that one block; number 0 proposes a size for all
 * of them instead (RFC 7959 2.4).
 *
 * Streams. One write per PULL, in the callback or later: exactly ev->want
 * bytes, fewer or none only when last, for blocks are equal (RFC 7959 2.2). The
 * piece belongs at ev->offset, which may be one written before: the peer lost
 * that block. It is copied. ESTATE: nothing was asked for, or x is over.
 * EINVAL: piece's size. ELIMIT: beyond 2^20 blocks. */
COPAL_API int copal_write(copal_exchange *x, copal_bytes piece, int last);

/* A paused exchange takes no more CHUNKs until resumed, and the peer is held
 * back; a paused observation keeps only the newest notification, a paused watch
 * besides whether it is silent. ESTATE: x is over. */
COPAL_API int copal_pause(copal_exchange *x);
COPAL_API int copal_resume(copal_exchange *x);

/* ---- Credentials and state --------------------------------------------- */

/* Who we are, and whom we believe.
 *
 * scope says where a credential applies: a URI prefix for peers we ask, with a
 * scheme and maybe a host ("coaps+tcp://host", "coaps+tcp://"), of which "*." may
 * stand for any beginning; "*" alone for peers that ask us. The
 * longest that fits wins. Where none does, a server has to have a certificate
 * that the system's authorities stand for. What is in use stays as it began.
 *
 * Pre-shared keys for DTLS and TLS: RFC 7252 9.1.3.1. Under "*" there is one for
 * each identity. EINVAL: scope; identity is not 1 to 128 bytes without zeroes,
 * key not 1 to 64. */
COPAL_API int copal_use_psk(copal *c, const char *scope, copal_bytes identity,
                            copal_bytes key);

/* PEM text, not file names. cert_pem: a chain, or a bare public key (RFC
 * 7250), and its private key; both NULL: we show none. trusted_pem:
 * authorities, certificates that signed themselves, and public keys; NULL: for
 * peers we ask the system's authorities, for peers that ask us nobody. If
 * anybody is trusted under "*", who asks without a pre-shared key has to show a
 * certificate or key. Under "*" there may be several, and the one is shown whose
 * name is asked for. RFC 7252 9.1.3.2, 9.1.3.3. EINVAL: scope, or one of two is
 * missing; EFORMAT: what cannot be read, or does not belong together. */
COPAL_API int copal_use_cert(copal *c, const char *scope, const char *cert_pem,
                             const char *key_pem, const char *trusted_pem);

/* Messages protected from end to end (OSCORE), whatever they go by: requests to
 * what is under scope, "coap://host/" or any other scheme and path, and with "*"
 * those of a peer that asks us. There each peer has a context of its own; a
 * message names it by copal_msg_identity(), "oscore:" with its recipient_id in
 * hexadecimal digits, behind its id_context if there is one. Resources that are
 * to be had so only are served with COPAL_SECURE. An answer that is not genuine
 * is as good as lost; one without protection ends its request with EAUTH.
 *
 * What the two ends share but for the IDs, which are the other way round there.
 * size: sizeof(copal_oscore). secret: 16 random bytes are a good one; sender_id
 * and recipient_id: 0 to 7 bytes with most algorithms, and not the same;
 * id_context: 0 to 64 bytes, data NULL: none. aead: of COSE, 10
 * (AES-CCM-16-64-128, the default), 1 to 3, 11 to 13, 24 or 30 to 33; hkdf: -10
 * (SHA-256, the default) or -11, or HMAC 5 to 7. replay_window: messages, 32; at
 * most 1024.
 *
 * A sequence number used twice gives the keys' messages away. So the store has
 * one ahead of those in use: a copy of it must not be used beside it, nor one from
 * before, and without any the keys must be new. What comes while the store is yet
 * to answer is as good as lost; what is to go waits. After a restart each peer is
 * asked for an Echo first (RFC 8613 B.1).
 * rederives 1: both ends make new keys of these whenever one of them began anew
 * (RFC 8613 B.2), and no store is needed; id_context is not, either.
 * EINVAL; EEXIST: "*" has another peer of these IDs; ESTATE: no store; of the
 * store: EPERM, EIO, EFORMAT. In END: ELIMIT, all 2^40 numbers were used. */
typedef struct copal_oscore { /* RFC 8613 3.2; zero algorithm: the default */
    size_t size;
    copal_bytes secret, salt, sender_id, recipient_id, id_context;
    int aead, hkdf;
    uint32_t replay_window;
    int rederives;
} copal_oscore;
COPAL_API int copal_use_oscore(copal *c, const char *scope,
                               const copal_oscore *context);

/* Keys that are agreed upon when they are needed: EDHOC (RFC 9528) makes a
 * context of OSCORE with a host before the first request to it, and again when
 * either end has lost it. size: sizeof(copal_edhoc). method and suite by their
 * numbers, RFC 9528 3.2 and 3.6: 0 to 3, and 0 to 6, of which the first is tried
 * with another peer's that the key is for; suites above 6 are not built in. */
typedef struct copal_edhoc { /* RFC 9528 */
    size_t size;
    int method, suite;
    /* 32 bytes, X25519, Ed25519 or P-256 as method and suite want it; or PEM.
     * What belongs to it: a CWT Claims Set or a CWT in CBOR, or a certificate
     * in DER or PEM, which its chain may follow. Whom we believe: the same, any
     * number, of CBOR and of PEM one behind the other; certificates of
     * authorities, too. RFC 9528 3.5.2 */
    copal_bytes private_key, credential, peer_credential;
    /* How ours is named in messages: a header map of COSE, {4: h'01'}, in CBOR;
     * empty: by the kid in it, else by value. RFC 9528 3.5.3 */
    copal_bytes identifier;
    /* Non-zero: with peers we ask the last message goes along with the first
     * request, one round trip less, if they know RFC 9668. */
    int combined;
} copal_edhoc;

/* For a scope as copal_use_oscore(); "*": who asks us, by POST to
 * /.well-known/edhoc. There each call adds, and without a key of ours peers
 * alone. Who was proven goes by his name: the subject, or a hash of the
 * credential (RFC 6920). Beyond MAX_EDHOC of who asks us the oldest half-open
 * session gives way, and from half of that on only an address at which somebody
 * is gets one (ECHO_FACTOR). EINVAL: scope, method, suite, or a key that is not
 * for them; EFORMAT: what cannot be read, or does not belong together; EEXIST:
 * /.well-known/edhoc is yours. */
COPAL_API int copal_use_edhoc(copal *c, const char *scope,
                              const copal_edhoc *keys);

/* Draws a key: 32 bytes of a secret into private_key, and what is shown of it, a
 * CWT Claims Set with subject and kid, either of which may be empty, into
 * credential, which has room for cap bytes: 108 and those two do. curve: of COSE;
 * 1 is P-256, 4 X25519, 6 Ed25519. Gives how many bytes that are. EINVAL: curve;
 * subject is no UTF-8; ELIMIT: cap; ENOTSUP: built without GnuTLS. */
COPAL_API int copal_make_edhoc(int curve, copal_bytes subject, copal_bytes kid,
                               uint8_t private_key[32], uint8_t *credential,
                               size_t cap);

/* Everything in a credentials file: JSON, scopes as keys; all of it, or
 * nothing.
 *   {"coaps+tcp://host": {"psk-id": "me", "psk-file": "key"},
 *    "coap://host/": {"oscore": {"secret-file": "o", "sender_id": "0x01",
 *                                "recipient_id": "0x02"}},
 *    "*": [{"cert": "own.pem", "key": "own.key", "ca": "all.pem"}]}
 * psk, psk-file, psk-env or psk-cmd: the key, after "0x" in hexadecimal digits;
 * cert or rpk, key, ca: PEM, or files beside this one; oscore: fields of
 * copal_oscore, secret in any of the four ways, and state: "begun" refuses keys of
 * whose numbers the store has nothing, with ENOENT, as copal creds add writes it;
 * profile: a name as copal_profile() takes it, of whom we ask.
 * ENOENT, EIO: it, or what it names; EPERM: others can read it, or a key's file, or it is not ours;
 * EFORMAT, EINVAL: what is wrong where. */
COPAL_API int copal_use_file(copal *c, const char *path);

/* Takes every credential of scope away. ENOENT: there is none. */
COPAL_API int copal_forget(copal *c, const char *scope);

/* Keys on demand, for peers that ask us (scope "*"): a REQUEST whose text, and
 * path, is "psk" or "rpk" and whose payload is the peer's identity, or the name
 * of its public key; reply 2.05 with the key (rpk: without; it is trusted), or
 * 4.04, now or later. The peer waits, nobody else does. Known keys are not asked
 * for. In place of the one before; fn NULL: no more. EINVAL: scope. */
COPAL_API int copal_use_lookup(copal *c, const char *scope, copal_cb cb);

/* Where state lives that must survive a crash: OSCORE sequence numbers and
 * windows, detached DTLS sessions. A directory, or with NULL a callback that
 * sees REQUESTs GET, PUT and DELETE on a path, "/dtls/0a1b", and replies once it
 * is durable; what depends on a write waits for that. Once for an endpoint, best
 * before anything else. OSCORE with fixed keys needs a
 * store: without one copal_use_oscore() gives ESTATE. RFC 8613 7.2.
 * A directory is made if only its last part is missing, belongs to one endpoint
 * at a time, and holds keys: it has to be ours, closed to others (0700), and is
 * to be kept as safe as they; so is what a callback gets. A copy of it that is
 * older must not be put back, nor what is damaged thrown away, while its keys are
 * used: numbers would come twice.
 * Callbacks: a REQUEST's text is "store"; reply to GET 2.05 with the bytes that
 * were put, or 4.04; to PUT 2.04, to DELETE 2.02; anything else is a failure.
 * EEXIST: there is one already; EINVAL: neither; ENOENT, EPERM, EIO: the
 * directory; EINUSE: another endpoint has it. */
COPAL_API int copal_store(copal *c, const char *directory, copal_cb cb);

/* Peers under scope are asked through a proxy. RFC 7252 5.7. Not built in yet:
 * ENOTSUP. */
COPAL_API int copal_via(copal *c, const char *scope, const char *proxy_uri);

/* ---- Looking inside ---------------------------------------------------- */

/* Counted since copal_new(), but for the last four, which are of now. Set size
 * before the call, to sizeof(copal_stats). */
typedef struct copal_stats {
    size_t size;
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t retransmissions, duplicates, malformed, rejected, limited;
    uint64_t exchanges, exchanges_open, peers, observers, memory;
} copal_stats;

/* A message of a connection counts as a datagram. retransmissions are ours;
 * duplicates came again; malformed were no CoAP;
 * rejected came and nobody wanted them; limited: how often a limit refused
 * something. peers: to whom we owe something; memory: bytes allocated.
 * EINVAL: out is NULL, or its size not set. */
COPAL_API int copal_get_stats(const copal *c, copal_stats *out);

/* The same and more as text that Prometheus reads (exposition format 0.0.4):
 * each field of copal_stats as copal_NAME_total, the last four as copal_NAME,
 * memory as copal_memory_bytes; copal_requests_total by method,
 * copal_responses_total by class, copal_limit_hits_total by limit,
 * copal_log_left_out_total; copal_uptime_seconds, copal_build_info; of the
 * process, but not in a simulation, process_resident_memory_bytes and
 * process_open_fds. Good until the next call. {NULL, 0}: out of memory. */
COPAL_API copal_bytes copal_metrics_text(copal *c);

/* Gives that to who asks by HTTP for /metrics: at "9100", which is
 * "127.0.0.1:9100", at "[::1]:9100", or at whatever address is meant; port 0:
 * any free one. Gives the port. In place of the one before, which ends first;
 * NULL: no more, and 0. Not encrypted, and nobody is asked who he is: on an
 * address that others reach, they read it. At most 16 connections are served at
 * once, for 5 s each way, then closed; nothing of it keeps copal_run() going.
 * EINVAL: where; EINUSE, EPERM, EIO, ELIMIT as copal_listen(); ESTATE:
 * simulated. */
COPAL_API int copal_metrics(copal *c, const char *where);

/* May a line be logged now about what others cause? For programs whose log
 * strangers could fill: of each kind, any short name, LOG_BURST lines at once
 * and then LOG_RATE a second. Gives how many were not since the last that was,
 * to be said in this one; ELIMIT (or ENOMEM): it is to be left out. 16 kinds are
 * kept apart. EINVAL: no kind. The scripts' servers ask this before they report
 * what a handler threw. */
COPAL_API int64_t copal_log_due(copal *c, const char *kind);

enum {
    COPAL_TRACE_WIRE = 1,    /* each message, in, out or again; its options  */
    COPAL_TRACE_STATE = 2,   /* what was decided: limits, answers lost       */
    COPAL_TRACE_SECURITY = 4 /* handshakes: who came in, and who did not     */
};

/* Lines of those kinds as TRACE: {"t": ms as copal_now(), "ev": what, ...}, to
 * cb in place of the one before; fn NULL: no more. Gives 0. */
COPAL_API int copal_trace(copal *c, unsigned what, copal_cb cb);

/* Writes to a file, which is emptied first: from now on, plaintext messages as
 * pcapng or keys in NSS format; or, at once, what the flight recorder holds.
 * path NULL: no more. A capture has packets with IP and UDP headers made up:
 * the lower port is written as 5683, so that a reader knows CoAP when it sees
 * it, and what is really known stands in the packet's comment; it ends where
 * the disk is full, which the state trace tells. Keys are those of sessions of
 * TLS that begin from now on; whoever has them reads what was said; ENOTSUP:
 * built without GnuTLS. ESTATE: nothing is recorded, see RECORD_MEMORY. ENOENT,
 * EPERM, EIO: the file; EINVAL: what.
 *
 * The flight recorder keeps what comes to an endpoint from outside: datagrams and
 * bytes of connections, ways to peers, the time, random bytes drawn, calls of its
 * user's; and what it sends. It costs about 5 % of a request's instructions. Once
 * RECORD_MEMORY is full the oldest eighth of it gives way. A recording holds
 * tokens, URIs, options, the key behind Echo values and, unless RECORD_PAYLOADS is
 * 0 when it is written, payloads: keep it as safe as what it shows. What is not
 * recorded: allocations that failed, MAX_MEMORY, and calls made from a TRACE
 * event or a drop only as well as their order is known. */
typedef enum copal_log {
    COPAL_LOG_CAPTURE = 1,
    COPAL_LOG_KEYS,
    COPAL_LOG_RECORDING
} copal_log;

COPAL_API int copal_log_to(copal *c, copal_log what, const char *path);

/* COPAL_LOG_RECORDING for who crashes: by calls only that a signal handler may
 * make, of SIGSEGV or SIGABRT say, on any thread; the endpoint must not be freed.
 * The record that was being written may be torn. Where RECORD_PAYLOADS is 0 the
 * payloads are wiped in the ring itself. Gives 0; ESTATE: nothing is recorded;
 * EIO: the file, see errno. No sentence is noted. copal --record does so. */
COPAL_API int copal_dump(copal *c, const char *path);

/* Runs a recording again, on an endpoint without a network, and compares what it
 * sends with what was sent, byte for byte. cb sees TRACE lines of wire and state and
 * END; what it is called for is over when the call returns, with the status of
 * END. User code is not run: its calls are made where they were made.
 *   0          all of it was the same
 *   ECHANGED   not so; text says at which record, when, and what was sent then
 *              and now
 *   ENOTSUP    not so, and OSCORE or EDHOC had keys, see below
 *   EFORMAT    no recording, cut short or changed
 *   ENOENT, EPERM, EIO, ENOMEM   the file
 * Recorded from an endpoint's first call on, and as long as the ring did not
 * wrap, all is compared. Else it begins at the oldest place whose setting is
 * known (parameters, resources), and a line {"ev":"replay"} says so. What goes on
 * there under a token whose request is not in the recording, requests of ours to
 * who had been asked before (by a watch or an observation, say), what waits for
 * what was sent there before, what is sent again of before, and connections opened
 * before are run as far as they can be and not compared; of requests of ours none
 * where answers are kept (CACHE_MEMORY) from before. Limits that were reached with
 * what began before (MAX_OBSERVERS, say) are not there, so that it may be
 * ECHANGED. Without payloads
 * (RECORD_PAYLOADS 0) they are zeroes of the same length: lengths, codes, ids and
 * options are compared. That fails where a payload decides what follows, as lists of
 * missing blocks do (Q_BLOCK); and what connections carried cannot be run again.
 * Of what went by coaps, coaps+tcp and coaps+ws it has the messages, not the
 * handshakes, and no keys: it is run again as all else is.
 * What OSCORE sealed, or EDHOC gave keys for, is not, for no recording has
 * those: ENOTSUP where it first differs, with a sentence that says so, and copal
 * trace shows it all the same. What went plainly beside it before is run again.
 * Where it begins amid things, what was sealed is not compared either, and a line
 * {"ev":"replay"} says so. */
COPAL_API int copal_replay(const char *path, copal_cb cb);

#ifdef __cplusplus
}
#endif
#endif /* COPAL_H */
