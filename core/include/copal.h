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
 * when memory ran out; a NULL message handed in gives ENOMEM, so a chain of
 * calls needs one check.
 * Ownership: nothing passed in is taken over. Whoever made or ref'd a handle
 * unrefs it; free and unref take NULL. What an event points to lives until
 * the callback returns; text and bytes of a message as long as the message.
 * Callbacks run only inside copal_run(), copal_step() and copal_free(), or
 * from the shared loop; one at a time, never inside another call. From one
 * you may call anything; copal_free() then takes effect when it has returned.
 * Sending: what a call has to send leaves at the end of the turn, or of the
 * next one if no turn is on.
 * Threads: an endpoint and its handles belong to the thread that runs it.
 * From any thread: copal_post(), copal_stop() (from a signal handler too),
 * copal_msg_unref() and copal_exchange_unref(), since garbage collectors
 * choose their own thread.
 * Times are milliseconds; sizes and offsets are bytes; text is UTF-8.
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

typedef enum copal_kind {
    COPAL_REQUEST = 1, /* server: a request; a look-up; something to store   */
    COPAL_RESPONSE,    /* client: a response or notification                 */
    COPAL_CHUNK,       /* the next piece of a streamed incoming body         */
    COPAL_PULL,        /* room for the next piece: call copal_write()        */
    COPAL_PROGRESS,    /* a transfer moved on (COPAL_TELL_PROGRESS)          */
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
    size_t want;              /* PULL: bytes that fit the next block         */
    int last;                 /* CHUNK: non-zero on the final piece          */
    const char *text;         /* END, SILENT: a sentence: what, where, what to
                               * do. TRACE: a JSON object, no newline. REQUEST
                               * of a look-up: its kind. Else NULL.          */
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

#define COPAL_CB(function, user_pointer) \
    ((copal_cb){.fn = (function), .user = (user_pointer)})
#define COPAL_CB_OWN(function, user_pointer, drop_function) \
    ((copal_cb){ \
        .fn = (function), .user = (user_pointer), .drop = (drop_function)})

/* What must be known at birth. Start from { COPAL_CONFIG_INIT } and name only
 * what differs; size tells the library which version of the struct the caller
 * was compiled with. Numbers are tuned afterwards: COPAL_PARAMS. */
typedef struct copal_config {
    size_t size;
    struct uv_loop_s *loop; /* a loop to share; NULL: one of our own         */
    void *(*realloc_fn)(void *memory_user, void *p, size_t n); /* n 0: free  */
    void *memory_user;
} copal_config;

#define COPAL_CONFIG_INIT .size = sizeof(copal_config)

/* ---- Errors ------------------------------------------------------------- */

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

COPAL_API const char *copal_strerror(int error); /* "no answer in time" */
COPAL_API const char *copal_errname(int error);  /* "ETIMEOUT" */
COPAL_API const char *copal_version(void);       /* "0.1.0" */

/* One sentence about the last call on c that failed: what, where, what to do.
 * Good until the next call on c. Failures of exchanges have it in END. */
COPAL_API const char *copal_why(const copal *c);

/* ---- Codes, formats, options -------------------------------------------- */

#define COPAL_CODE(cls, detail) ((cls) << 5 | (detail))

/* clang-format off */
enum {
    COPAL_EMPTY = 0, COPAL_GET, COPAL_POST, COPAL_PUT, COPAL_DELETE,
    COPAL_FETCH, COPAL_PATCH, COPAL_IPATCH,
    COPAL_CREATED = COPAL_CODE(2, 1), COPAL_DELETED, COPAL_VALID,
    COPAL_CHANGED, COPAL_CONTENT, COPAL_CONTINUE = COPAL_CODE(2, 31),
    COPAL_BAD_REQUEST = COPAL_CODE(4, 0), COPAL_UNAUTHORIZED, COPAL_BAD_OPTION,
    COPAL_FORBIDDEN, COPAL_NOT_FOUND, COPAL_METHOD_NOT_ALLOWED,
    COPAL_NOT_ACCEPTABLE, COPAL_INCOMPLETE = COPAL_CODE(4, 8), COPAL_CONFLICT,
    COPAL_PRECONDITION_FAILED = COPAL_CODE(4, 12), COPAL_TOO_LARGE,
    COPAL_UNSUPPORTED_FORMAT = COPAL_CODE(4, 15),
    COPAL_UNPROCESSABLE = COPAL_CODE(4, 22),
    COPAL_TOO_MANY_REQUESTS = COPAL_CODE(4, 29),
    COPAL_INTERNAL_ERROR = COPAL_CODE(5, 0), COPAL_NOT_IMPLEMENTED,
    COPAL_BAD_GATEWAY, COPAL_UNAVAILABLE, COPAL_GATEWAY_TIMEOUT,
    COPAL_PROXYING_NOT_SUPPORTED, COPAL_HOP_LIMIT_REACHED = COPAL_CODE(5, 8)
};

enum {
    COPAL_TEXT = 0, COPAL_LINKS = 40, COPAL_XML = 41, COPAL_OCTETS = 42,
    COPAL_JSON = 50, COPAL_CBOR = 60, COPAL_NO_FORMAT = -1
};

enum {
    COPAL_OPT_IF_MATCH = 1, COPAL_OPT_URI_HOST = 3, COPAL_OPT_ETAG = 4,
    COPAL_OPT_IF_NONE_MATCH = 5, COPAL_OPT_OBSERVE = 6, COPAL_OPT_URI_PORT = 7,
    COPAL_OPT_LOCATION_PATH = 8, COPAL_OPT_OSCORE = 9, COPAL_OPT_URI_PATH = 11,
    COPAL_OPT_CONTENT_FORMAT = 12, COPAL_OPT_MAX_AGE = 14,
    COPAL_OPT_URI_QUERY = 15, COPAL_OPT_HOP_LIMIT = 16, COPAL_OPT_ACCEPT = 17,
    COPAL_OPT_Q_BLOCK1 = 19, COPAL_OPT_LOCATION_QUERY = 20,
    COPAL_OPT_EDHOC = 21, COPAL_OPT_BLOCK2 = 23, COPAL_OPT_BLOCK1 = 27,
    COPAL_OPT_SIZE2 = 28, COPAL_OPT_Q_BLOCK2 = 31, COPAL_OPT_PROXY_URI = 35,
    COPAL_OPT_PROXY_SCHEME = 39, COPAL_OPT_SIZE1 = 60, COPAL_OPT_ECHO = 252,
    COPAL_OPT_NO_RESPONSE = 258, COPAL_OPT_REQUEST_TAG = 292
};
/* clang-format on */

/* Numbers and names, both ways: "2.05 Content", "GET"; "application/cbor"
 * (also "cbor"); "Uri-Path"; "ack_timeout". An unknown code or option has its
 * number as its name ("0.30"); copal_number() gives ENOENT. */
typedef enum copal_registry {
    COPAL_CODES,
    COPAL_FORMATS,
    COPAL_OPTIONS,
    COPAL_PARAMETERS
} copal_registry;
COPAL_API const char *copal_name(copal_registry r, int number);
COPAL_API int copal_number(copal_registry r, const char *name);

/* ---- Parameters ---------------------------------------------------------- */

/* Numbers that tune the endpoint (E), the peers under a URI prefix (S) or one
 * message (M); the narrowest wins. Scripts use the same names in lower case,
 * times there in seconds. Limits (MAX_*) bound what others can make us keep;
 * together the defaults stay under 64 MiB.
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
    X(KEEPALIVE,       14,       0, "ES",  "ms between pings; 0: none")       \
    X(HOPS,            15,       0, "ESM", "IP hop limit; 0: the system's")   \
    X(INTERFACE,       16,       0, "EM",  "its index; 0: the system's")      \
    X(SOCKET_BUFFER,   17, 4194304, "E",   "bytes asked for, each way")       \
    X(ECHO_FACTOR,     18,       3, "E",   "RFC 9175 2.4; 0: no limit")       \
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
    X(MAX_HANDSHAKES,  35,    1024, "E",   "not yet finished")
/* clang-format on */

typedef enum copal_param {
#define X(name, number, value, where, what) COPAL_P_##name = (number),
    COPAL_PARAMS(X)
#undef X
    COPAL_P_NONE = 0
} copal_param;

/* scope: a URI prefix, or NULL for the endpoint. EINVAL: value, or place. */
COPAL_API int copal_tune(copal *c, const char *scope, copal_param p,
                         int64_t value);

/* ---- Endpoint and loop --------------------------------------------------- */

/* Makes an endpoint. config may be NULL: all defaults. Reads no file and no
 * environment. NULL: out of memory. */
COPAL_API copal *copal_new(const copal_config *config);

/* Ends every exchange with ECLOSED, drops every callback, closes sockets. On
 * a shared loop its handles are gone after the loop's next turn. */
COPAL_API void copal_free(copal *c);

/* An orderly end: accepts nothing new, deregisters what it observes, sends
 * the answers it owes, takes leave of connections. copal_run() returns when
 * that is done, after ms at the latest; then copal_free(). */
COPAL_API int copal_close(copal *c, uint64_t ms);

/* Runs until nothing is left to wait for or copal_stop(). An endpoint that
 * listens always has something to wait for. On a shared loop run that loop:
 * copal_run(), _fd(), _timeout() and _step() give ESTATE. */
COPAL_API int copal_run(copal *c);
COPAL_API void copal_stop(copal *c);

/* For a host with its own loop: watch copal_fd() for input, wait at most
 * copal_timeout() ms (-1: for ever), then call copal_step(). The descriptor
 * also becomes readable when a call from outside a step left work to do. */
COPAL_API int copal_fd(const copal *c);
COPAL_API int copal_timeout(const copal *c);
COPAL_API int copal_step(copal *c);

COPAL_API uint64_t copal_now(const copal *c); /* monotonic */

/* TIMER after ms. Returns an id for copal_cancel_timer(), or negative. */
COPAL_API int64_t copal_after(copal *c, uint64_t ms, copal_cb cb);
COPAL_API int copal_cancel_timer(copal *c, int64_t id);

/* From any thread: TIMER soon, on the endpoint's own. */
COPAL_API int copal_post(copal *c, copal_cb cb);

enum {                       /* copal_listen */
    COPAL_REUSE_ADDRESS = 1, /* beside other programs, to hear groups        */
    COPAL_REUSE_PORT = 2     /* load spread over endpoints, for workers      */
};

/* Accepts at a URI without path: "coap://[::1]:5683", "coaps+tcp://0.0.0.0";
 * host "*": every address, IPv4 and IPv6, whichever the host has; port 0: any
 * free one. May be called for several. What this endpoint asks leaves from
 * here too. EURI, EINUSE, EPERM, EIO, ENOTSUP. */
COPAL_API int copal_listen(copal *c, const char *uri, unsigned flags);

/* The i-th bound URI with its real port, or NULL past the last. */
COPAL_API const char *copal_local(const copal *c, size_t i);

/* Group membership on one interface, "eth0"; NULL: every one that can. */
COPAL_API int copal_join(copal *c, const char *group_uri, const char *if_name);
COPAL_API int copal_leave(copal *c, const char *group_uri, const char *if_name);

/* ---- Messages ------------------------------------------------------------ */

enum { /* copal_msg_set_flags: hints that never reach the wire as such */
    COPAL_NON = 1,            /* don't confirm                RFC 7252 4.3    */
    COPAL_STREAM_IN = 2,      /* deliver the answer as CHUNKs                 */
    COPAL_STREAM_OUT = 4,     /* ask for the body with PULLs                  */
    COPAL_RAW_BLOCKS = 8,     /* hands off Block1/2: I speak RFC 7959 myself  */
    COPAL_WATCH = 16,         /* observe, never quiet without telling         */
    COPAL_TELL_PROGRESS = 32, /* PROGRESS events                              */
    COPAL_ANY_PORT = 64       /* the answer may come from another port        */
};

COPAL_API copal_msg *copal_msg_new(copal *c, int code);
COPAL_API copal_msg *copal_msg_ref(const copal_msg *m);
COPAL_API void copal_msg_unref(const copal_msg *m);

/* A private, writable copy; the way to forward or amend a received message. */
COPAL_API copal_msg *copal_msg_copy(const copal_msg *m);

COPAL_API int copal_msg_code(const copal_msg *m);
COPAL_API copal_bytes copal_msg_payload(const copal_msg *m);
COPAL_API int copal_msg_format(const copal_msg *m); /* or COPAL_NO_FORMAT */

/* The i-th option in wire order: its number, *value filled. ENOENT past the
 * last. copal_msg_value(): the i-th value of one option. */
COPAL_API int copal_msg_option(const copal_msg *m, size_t i,
                               copal_bytes *value);
COPAL_API int copal_msg_value(const copal_msg *m, int option, size_t i,
                              copal_bytes *value);
COPAL_API int64_t copal_msg_uint(const copal_msg *m, int option); /* ENOENT */

/* Uri-Path joined as "/a/b", "/" in a segment as %2F; never NULL. The value
 * of query key; NULL: not there. */
COPAL_API const char *copal_msg_path(const copal_msg *m);
COPAL_API const char *copal_msg_query(const copal_msg *m, const char *key);

/* The request's URI as its asker typed it, or as it arrived; a response has
 * that of its request. */
COPAL_API const char *copal_msg_uri(const copal_msg *m);

/* Of received messages: the other end and ours as base URIs, the port only if
 * not the scheme's own: "coap://[fe80::1%eth0]"; the peer's proven name, or
 * NULL. "" for a message of our own, and for remote where a notification is
 * made for many. */
COPAL_API const char *copal_msg_remote(const copal_msg *m);
COPAL_API const char *copal_msg_local(const copal_msg *m);
COPAL_API const char *copal_msg_identity(const copal_msg *m);

/* What the wire showed of a received message. */
typedef struct copal_wire {
    size_t size;
    int type;          /* 0 CON, 1 NON, 2 ACK, 3 RST; -1 on TCP             */
    int mid;           /* -1 on TCP                                         */
    int multicast;     /* non-zero: sent to a group                         */
    unsigned if_index; /* it came by: index, 0 unknown                      */
    copal_bytes token;
} copal_wire;
COPAL_API int copal_msg_wire(const copal_msg *m, copal_wire *out);

/* As text, the same in every language; never NULL, no newline at the end.
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
COPAL_API const char *copal_msg_print(const copal_msg *m, copal_text what);

/* Setters fail with ESTATE once the message was handed over. It may be handed
 * over again: sending one message many times parses its URI once. */
COPAL_API int copal_msg_set_flags(copal_msg *m, unsigned flags);
COPAL_API int copal_msg_tune(copal_msg *m, copal_param p, int64_t value);
COPAL_API int copal_msg_set_uri(copal_msg *m, const char *uri);
COPAL_API int copal_msg_set_from(copal_msg *m, const char *local_uri);
COPAL_API int copal_msg_set_payload(copal_msg *m, int format, copal_bytes body);
COPAL_API int copal_msg_add(copal_msg *m, int option, copal_bytes value);
COPAL_API int copal_msg_add_uint(copal_msg *m, int option, uint32_t value);
COPAL_API int copal_msg_add_text(copal_msg *m, int option, const char *value);
COPAL_API int copal_msg_remove(copal_msg *m, int option);

/* Goes on with a broken transfer at offset: a download of the representation
 * etag names (ECHANGED if it is another by now), or, with etag empty, an
 * upload under the same Request-Tag option. */
COPAL_API int copal_msg_resume(copal_msg *m, uint64_t offset, copal_bytes etag);

/* ---- Asking (client) ----------------------------------------------------- */

/* Sends m, of any code of class 0, to where its URI points. cb sees RESPONSE
 * (many for observe, watch and groups) and then END, always last and exactly
 * once; failures of any kind arrive there. Never calls cb before returning.
 * NULL: out of memory. The handle is good until END has returned unless ref'd.
 * Streamed in: RESPONSE with the options and no payload, then CHUNKs. */
COPAL_API copal_exchange *copal_request(copal *c, copal_msg *m, copal_cb cb);

/* The requests everyone makes. Observe: RFC 7641 as it is. Watch: registers
 * again before Max-Age runs out and after silence, reboot, a refused port or
 * a new address, and tells: RESPONSE, SILENT, RESUMED, END. */
COPAL_API copal_exchange *copal_get(copal *c, const char *uri, copal_cb cb);
COPAL_API copal_exchange *copal_observe(copal *c, const char *uri, copal_cb cb);
COPAL_API copal_exchange *copal_watch(copal *c, const char *uri, copal_cb cb);

/* Is anybody there: empty CON or RFC 8323 Ping; END with 0 when answered. */
COPAL_API copal_exchange *copal_ping(copal *c, const char *uri, copal_cb cb);

/* Gives up: nothing but END with ECANCEL follows. Stops retransmissions,
 * frees the NSTART slot, deregisters an observation. ESTATE: already over, or
 * a request to be answered. */
COPAL_API int copal_cancel(copal_exchange *x);

/* Closes connections and secure associations under a URI prefix. */
COPAL_API int copal_disconnect(copal *c, const char *scope);

/* Raw use: sends m, any code, once to a base URI and expects nothing; hears
 * what nobody asked for (confirmables are acknowledged then); accepts an
 * unknown critical option. */
COPAL_API int copal_send(copal *c, copal_msg *m, const char *to);
COPAL_API int copal_strays(copal *c, copal_cb cb);
COPAL_API int copal_understand(copal *c, int option);

/* ---- Serving ------------------------------------------------------------- */

enum {                    /* copal_serve */
    COPAL_OBSERVABLE = 1, /* GET/FETCH here may be observed    RFC 7641      */
    COPAL_STREAMED = 2,   /* bodies come as CHUNKs, after a REQUEST without  */
    COPAL_UNLISTED = 4,   /* keep out of /.well-known/core                   */
    COPAL_SECURE = 8,     /* 4.01 to peers without identity                  */
    COPAL_GROUP = 16,     /* answers requests to a group too                 */
    COPAL_PER_PEER = 32   /* a notification is asked for each observer       */
};

/* Answers method (0: any; any code of class 0) at path. A path may hold
 * {name} segments and end in "*". The handler replies now, or refs the
 * exchange and replies later: the library acknowledges in time and the answer
 * goes out separately. When nobody who could reply holds the exchange any
 * more, the asker gets 5.00. One that replies at once sees nothing but
 * REQUEST; one that still owes a reply also sees END when the asker leaves.
 * EEXIST: this method is already served here. EINVAL: path. */
COPAL_API int copal_serve(copal *c, int method, const char *path,
                          unsigned flags, copal_cb cb);

/* Takes a path away; its observers get 4.04. */
COPAL_API int copal_unserve(copal *c, const char *path);

/* Adds a link attribute, e.g. "rt", "temperature"; value may be NULL. */
COPAL_API int copal_describe(copal *c, const char *path, const char *name,
                             const char *value);

/* Everything listed, in link format (RFC 6690). Good until the next change. */
COPAL_API copal_bytes copal_links(copal *c);

/* The representation at path changed: asks its handler again, once for all
 * observers whose requests (cache key) and identities are alike, and tells
 * them. Each asking is an exchange of its own. Returns how many observers. */
COPAL_API int copal_notify(copal *c, const char *path);

/* Answers. From then on x is finished and answering it again gives ESTATE.
 * The shorthands build the message. */
COPAL_API int copal_respond(copal_exchange *x, copal_msg *m);
COPAL_API int copal_reply(copal_exchange *x, int code, int format,
                          copal_bytes body);
COPAL_API int copal_reply_text(copal_exchange *x, int code, const char *text);

/* ---- Exchanges (both sides) ---------------------------------------------- */

COPAL_API copal_exchange *copal_exchange_ref(copal_exchange *x);
COPAL_API void copal_exchange_unref(copal_exchange *x);
COPAL_API copal *copal_exchange_endpoint(const copal_exchange *x);
COPAL_API const copal_msg *copal_exchange_request(const copal_exchange *x);
COPAL_API const char *copal_exchange_param(const copal_exchange *x,
                                           const char *name); /* of the path */

/* Streams. One write per PULL, in the callback or later, at most ev->want
 * bytes, empty only when last. A paused exchange takes no more CHUNKs until
 * resumed, and the peer is held back; a paused observation keeps only the
 * newest notification. */
COPAL_API int copal_write(copal_exchange *x, copal_bytes piece, int last);
COPAL_API int copal_pause(copal_exchange *x);
COPAL_API int copal_resume(copal_exchange *x);

/* ---- Credentials and state --------------------------------------------- */

/* scope says where a credential applies: a URI prefix for peers we ask
 * ("coaps://host/"), "*" for peers that ask us. The longest match wins. */
COPAL_API int copal_use_psk(copal *c, const char *scope, copal_bytes identity,
                            copal_bytes key);

/* PEM text, not file names. cert_pem: a chain, or a bare public key (RFC
 * 7250). */
COPAL_API int copal_use_cert(copal *c, const char *scope, const char *cert_pem,
                             const char *key_pem, const char *trusted_pem);

typedef struct copal_oscore { /* RFC 8613 3.2; zero algorithm: the default */
    size_t size;
    copal_bytes secret, salt, sender_id, recipient_id, id_context;
    int aead, hkdf;
    uint32_t replay_window;
} copal_oscore;
COPAL_API int copal_use_oscore(copal *c, const char *scope,
                               const copal_oscore *context);

typedef struct copal_edhoc { /* RFC 9528 */
    size_t size;
    int method, suite;
    copal_bytes private_key, credential, peer_credential;
} copal_edhoc;
COPAL_API int copal_use_edhoc(copal *c, const char *scope,
                              const copal_edhoc *keys);

/* Everything in a credentials file. EFORMAT, EPERM: readable by others. */
COPAL_API int copal_use_file(copal *c, const char *path);
COPAL_API int copal_forget(copal *c, const char *scope);

/* Keys on demand: a REQUEST whose text is "psk", "rpk", "oscore" or "edhoc"
 * and whose payload is the peer's identity; reply 2.05 with the key, or 4.04,
 * now or later. The peer waits, nobody else does. */
COPAL_API int copal_use_lookup(copal *c, const char *scope, copal_cb cb);

/* Where state lives that must survive a crash: OSCORE sequence numbers and
 * windows, detached DTLS sessions. A directory, or with NULL a callback that
 * sees REQUESTs GET, PUT and DELETE on a path and replies once it is durable;
 * what depends on a write waits for that. OSCORE with fixed keys needs a
 * store: without one copal_use_oscore() gives ESTATE. */
COPAL_API int copal_store(copal *c, const char *directory, copal_cb cb);

/* Peers under scope are asked through a proxy. */
COPAL_API int copal_via(copal *c, const char *scope, const char *proxy_uri);

/* ---- Looking inside ---------------------------------------------------- */

typedef struct copal_stats {
    size_t size;
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t retransmissions, duplicates, malformed, rejected, limited;
    uint64_t exchanges, exchanges_open, peers, observers, memory;
} copal_stats;
COPAL_API int copal_get_stats(const copal *c, copal_stats *out);

enum {
    COPAL_TRACE_WIRE = 1,
    COPAL_TRACE_STATE = 2,
    COPAL_TRACE_SECURITY = 4
};
COPAL_API int copal_trace(copal *c, unsigned what, copal_cb cb);

/* Writes to a file: from now on, plaintext messages as pcapng or keys in NSS
 * format; or, at once, what the flight recorder holds. path NULL: no more. */
typedef enum copal_log {
    COPAL_LOG_CAPTURE = 1,
    COPAL_LOG_KEYS,
    COPAL_LOG_RECORDING
} copal_log;
COPAL_API int copal_log_to(copal *c, copal_log what, const char *path);

/* Runs a recording again; cb sees its TRACE, then END. */
COPAL_API int copal_replay(const char *path, copal_cb cb);

#ifdef __cplusplus
}
#endif
#endif /* COPAL_H */
