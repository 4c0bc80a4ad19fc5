/* The functions of copal.h that scripts see, one flat module for every
 * language. What a language does with handles, bytes, callbacks and errors is
 * told by the maps of its bridge; the pleasant API is written in the language
 * itself on top of this module.
 *
 * Declared by hand instead of reading copal.h: what is not named here is not
 * reachable from a script. copal_rc is an int that is negative for an error:
 * its map turns it into the language's own way to fail. */
%module copal_core

%rename("%(strip:[copal_])s") "";
%rename("%(strip:[COPAL_])s", %$isenumitem) "";
%rename(bound) copal_local; /* local is a word of Lua */

%{
#include <copal.h>

typedef int copal_rc;

/* Scripts read and write CBOR by themselves, but what a problem is is said in
 * one place. */
static copal_rc msg_check_problem(const copal_msg *m)
{
    copal_problem p = {.size = sizeof(p)};

    return copal_msg_problem(m, &p);
}

/* The fields of copal_oscore one by one; an id_context of none and an empty one
 * are two. */
static copal_rc use_oscore(copal *c, const char *scope, copal_bytes secret,
                           copal_bytes salt, copal_bytes sender_id,
                           copal_bytes recipient_id, copal_bytes id_context,
                           int has_id_context, int aead, int hkdf,
                           uint32_t replay_window, int rederives)
{
    static const uint8_t nothing[1];
    copal_oscore k = {
        .size = sizeof(k),
        .secret = secret,
        .salt = salt,
        .sender_id = sender_id,
        .recipient_id = recipient_id,
        .aead = aead,
        .hkdf = hkdf,
        .replay_window = replay_window,
        .rederives = rederives,
    };

    if (has_id_context)
        k.id_context = id_context.data != NULL
                           ? id_context
                           : (copal_bytes){nothing, 0};
    return copal_use_oscore(c, scope, &k);
}

static copal_rc use_edhoc(copal *c, const char *scope, int method, int suite,
                          copal_bytes private_key, copal_bytes credential,
                          copal_bytes peer_credential, copal_bytes identifier,
                          int combined)
{
    copal_edhoc k = {
        .size = sizeof(k),
        .method = method,
        .suite = suite,
        .private_key = private_key,
        .credential = credential,
        .peer_credential = peer_credential,
        .identifier = identifier,
        .combined = combined,
    };

    return copal_use_edhoc(c, scope, &k);
}

/* 32 bytes of a secret and the credential behind them; nothing: refused. */
static copal_bytes make_edhoc(int curve, copal_bytes subject, copal_bytes kid)
{
    static _Thread_local uint8_t made[32 + 1024];
    int len = copal_make_edhoc(curve, subject, kid, made, made + 32,
                               sizeof(made) - 32);

    return len < 0 ? (copal_bytes){0} : (copal_bytes){made, 32 + (size_t)len};
}
%}

#if defined(SWIGLUA)
%include "lua_bridge.i"
#elif defined(SWIGPYTHON)
%include "python_bridge.i"
#endif

/* ---- Values ------------------------------------------------------------- */

/* clang-format off */
enum {
    COPAL_REQUEST = 1, COPAL_RESPONSE, COPAL_CHUNK, COPAL_PULL,
    COPAL_PROGRESS, COPAL_SILENT, COPAL_RESUMED, COPAL_END, COPAL_TIMER,
    COPAL_STRAY, COPAL_TRACE
};
enum { COPAL_NO_FORMAT = -1 };
enum { COPAL_CODES, COPAL_FORMATS, COPAL_OPTIONS, COPAL_PARAMETERS };
enum { COPAL_REUSE_ADDRESS = 1, COPAL_REUSE_PORT = 2 };
enum {
    COPAL_NON = 1, COPAL_STREAM_IN = 2, COPAL_STREAM_OUT = 4,
    COPAL_RAW_BLOCKS = 8, COPAL_WATCH = 16, COPAL_TELL_PROGRESS = 32,
    COPAL_ANY_PORT = 64, COPAL_NO_CACHE = 128, COPAL_CON = 256
};
enum { COPAL_LINE, COPAL_OPTION_LINES };
enum {
    COPAL_OBSERVABLE = 1, COPAL_STREAMED = 2, COPAL_UNLISTED = 4,
    COPAL_SECURE = 8, COPAL_GROUP = 16, COPAL_PER_PEER = 32
};
enum {
    COPAL_TRACE_WIRE = 1, COPAL_TRACE_STATE = 2, COPAL_TRACE_SECURITY = 4
};
enum { COPAL_LOG_CAPTURE = 1, COPAL_LOG_KEYS, COPAL_LOG_RECORDING };
/* clang-format on */

const char *copal_strerror(int error);
const char *copal_version(void);
const char *copal_name(copal_registry r, int number);
int copal_number(copal_registry r, const char *name);

/* ---- Endpoint ----------------------------------------------------------- */

copal_rc copal_tune(copal *c, const char *optional, copal_param p,
                    int64_t value);
copal_rc copal_profile(copal *c, const char *optional, const char *optional);
const char *copal_profile_name(size_t i);
copal_rc copal_close(copal *c, uint64_t ms);
void copal_stop(copal *c);
int copal_fd(copal *c);
int copal_timeout(copal *c);
copal_rc copal_step(copal *c);
uint64_t copal_now(copal *c);
copal_count copal_after(copal *c, uint64_t ms, copal_cb cb);
copal_rc copal_cancel_timer(copal *c, int64_t id);
copal_rc copal_listen(copal *c, const char *uri, unsigned flags);
const char *copal_local(copal *c, size_t i);
copal_rc copal_allow_origin(copal *c, const char *origin);
copal_rc copal_allow_host(copal *c, const char *name);
copal_rc copal_take_over(copal *c, int fd);
copal_count copal_hand_over(copal *c, size_t i);
copal_rc copal_join(copal *c, const char *group_uri, const char *optional);
copal_rc copal_leave(copal *c, const char *group_uri, const char *optional);

/* ---- Messages ----------------------------------------------------------- */

copal_msg *copal_msg_new(copal *c, int code);
copal_msg *copal_msg_copy(copal_msg *m);
int copal_msg_code(copal_msg *m);
copal_bytes copal_msg_payload(copal_msg *m);
int copal_msg_format(copal_msg *m);
const char *copal_msg_path(copal_msg *m);
const char *copal_msg_uri(copal_msg *m);
const char *copal_msg_remote(copal_msg *m);
const char *copal_msg_local(copal_msg *m);
const char *copal_msg_identity(copal_msg *m);
const char *copal_msg_print(copal_msg *m, copal_text what);
copal_rc copal_msg_set_flags(copal_msg *m, unsigned flags);
copal_rc copal_msg_tune(copal_msg *m, copal_param p, int64_t value);
copal_rc copal_msg_set_uri(copal_msg *m, const char *uri);
copal_rc copal_msg_set_from(copal_msg *m, const char *local_uri);
copal_rc copal_msg_set_payload(copal_msg *m, int format, copal_bytes body);
copal_rc copal_msg_add(copal_msg *m, int option, copal_bytes value);
copal_rc copal_msg_add_uint(copal_msg *m, int option, uint32_t value);
copal_rc copal_msg_remove(copal_msg *m, int option);
copal_rc copal_msg_resume(copal_msg *m, uint64_t offset, copal_bytes etag);
copal_rc msg_check_problem(copal_msg *m);

/* ---- Asking ------------------------------------------------------------- */

copal_exchange *copal_request(copal *c, copal_msg *m, copal_cb cb);
copal_exchange *copal_get(copal *c, const char *uri, copal_cb cb);
copal_exchange *copal_ping(copal *c, const char *uri, copal_cb cb);
copal_rc copal_cancel(copal_exchange *x);
copal_rc copal_disconnect(copal *c, const char *optional);
copal_rc copal_send(copal *c, copal_msg *m, const char *to);
copal_rc copal_strays(copal *c, copal_cb cb);
copal_rc copal_understand(copal *c, int option);

/* ---- Serving ------------------------------------------------------------ */

copal_rc copal_serve(copal *c, int method, const char *path, unsigned flags,
                     copal_cb cb);
copal_rc copal_unserve(copal *c, const char *path);
copal_rc copal_describe(copal *c, const char *path, const char *name,
                        const char *optional);
copal_bytes copal_links(copal *c);
copal_count copal_notify(copal *c, const char *path);
copal_rc copal_respond(copal_exchange *x, copal_msg *m);
copal_rc copal_reply(copal_exchange *x, int code, int format,
                     copal_bytes body);

/* ---- Exchanges ---------------------------------------------------------- */

const copal_msg *copal_exchange_request(copal_exchange *x);
const char *copal_exchange_param(copal_exchange *x, const char *name);
copal_rc copal_write(copal_exchange *x, copal_bytes piece, int last);
copal_rc copal_pause(copal_exchange *x);
copal_rc copal_resume(copal_exchange *x);

/* ---- Credentials, state, looking inside --------------------------------- */

copal_rc copal_use_psk(copal *c, const char *scope, copal_bytes identity,
                       copal_bytes key);
copal_rc copal_use_cert(copal *c, const char *scope, const char *optional,
                        const char *optional, const char *optional);
copal_rc use_oscore(copal *c, const char *scope, copal_bytes secret,
                    copal_bytes salt, copal_bytes sender_id,
                    copal_bytes recipient_id, copal_bytes id_context,
                    int has_id_context, int aead, int hkdf,
                    uint32_t replay_window, int rederives);
copal_rc use_edhoc(copal *c, const char *scope, int method, int suite,
                   copal_bytes private_key, copal_bytes credential,
                   copal_bytes peer_credential, copal_bytes identifier,
                   int combined);
copal_bytes make_edhoc(int curve, copal_bytes subject, copal_bytes kid);
copal_rc copal_use_file(copal *c, const char *path);
copal_rc copal_forget(copal *c, const char *scope);
copal_rc copal_use_lookup(copal *c, const char *scope, copal_cb cb);
copal_rc copal_via(copal *c, const char *scope, const char *proxy_uri);
copal_rc copal_store(copal *c, const char *optional, copal_cb cb);
copal_rc copal_trace(copal *c, unsigned what, copal_cb cb);
copal_bytes copal_metrics_text(copal *c);
copal_count copal_metrics(copal *c, const char *optional);
int64_t copal_log_due(copal *c, const char *kind);
copal_rc copal_log_to(copal *c, copal_log what, const char *optional);
