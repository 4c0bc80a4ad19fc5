/* Secure associations over one socket: DTLS 1.2, both roles. What its files
 * share. One link for all of them, with the association's number in the
 * engine's address: a peer costs its record, not a link and all that hangs on
 * it, and what plain CoAP does stays as it is.
 *   dtls.c               the link, and which association a record is for
 *   dtls_session.c       associations: their tables, their end
 *   dtls_flight.c        what a handshake sent last, to be sent again
 *   dtls_hello_gnutls.c  strangers: the stateless cookie
 *   dtls_shake_gnutls.c  handshakes: GnuTLS, fed record by record
 *   dtls_cid_gnutls.c    Connection IDs, which GnuTLS lacks
 *   dtls_lookup_gnutls.c keys that the user looks up meanwhile
 *   dtls_ask.c           associations of ours, and who waits for them
 *   dtls_keep.c          what the store has of them
 *   dtls_wake.c          those that a process before us left there
 *   dtls_ping.c          is the peer there, and is what comes of today? */
#ifndef CP_SECURE_DTLS_H
#define CP_SECURE_DTLS_H

#include "base/list.h"
#include "base/map.h"
#include "engine/core.h"
#include "engine/security.h"
#include "secure/credentials.h"
#include "secure/dtls_record.h"
#include "secure/dtls_state.h"

struct cp_dtls_flight;
struct cp_dtls_keeping;
struct cp_dtls_ping;
struct cp_dtls_shake;

enum {
    CP_DTLS_ANSWERS = 5000,  /* to strangers, a second */
    CP_DTLS_DATAGRAM = 1232, /* bytes of handshake: fits any IPv6 packet */
    CP_DTLS_MESSAGE = 16384, /* bytes of CoAP in a record, at most */
    CP_DTLS_PATH = 5 + 2 * (16 + 2 + 8) + 1 /* in the store: "dtls/", hex */
};

struct cp_dtls {
    struct cp_link link;   /* what the engine sees */
    struct cp_link *below; /* the socket */
    struct cp_driver *driver;
    struct cp_mem *mem;
    struct cp_engine *engine;
    struct cp_credentials *credentials; /* ref'd */
    struct cp_aeads *aeads;

    struct cp_map by_address, by_number, by_cid; /* struct cp_dtls_session */
    struct cp_list up;            /* established: the longest unheard first */
    struct cp_list shaking;       /* not finished: the eldest first */
    size_t up_count, asked_count; /* asked_count: others' of shaking */
    uint32_t last_number;

    struct cp_list node;   /* in credentials->links */
    struct cp_list waking; /* struct cp_dtls_waking: being got from the store */
    size_t waking_count;   /* of those, for records of who knows whom */
    uint64_t wakes_at;     /* ms: when such questions were last counted */
    uint32_t wakes;        /* that may be asked at once */

    uint8_t cookie_key[16];
    uint64_t answers_at; /* ms: when answers to strangers were last counted */
    uint32_t answers;    /* that may be given at once */
};

/* One association, from a handshake's beginning on. Once it is established and
 * nothing of the handshake can be wanted again, this is all that is kept. */
struct cp_dtls_session {
    struct cp_map_node by_address, by_number, by_cid;
    struct cp_list node; /* in dtls->up or ->shaking */
    struct cp_dtls *dtls;
    struct cp_dtls_shake *shake; /* NULL: established */
    struct cp_dtls_flight *last; /* ours of the handshake, which the peer may
                                  * lack; NULL: it has it */
    char *identity;              /* proven name of the peer; NULL: none */
    char *host;                  /* ours: whom we asked for; else NULL */
    uint64_t heard_at;           /* ms: the newest genuine record */
    uint64_t asked_at;      /* ms: the first record of ours since; 0: none */
    uint16_t asked_mid;     /* of the first confirmable request among those, */
    uint8_t asked_times;    /* and how often it left; 0: there was none */
    struct cp_path path;    /* where the peer is now */
    struct cp_address name; /* what the engine calls it: where it was at first,
                             * and the association's number */
    uint32_t credit;        /* bytes that may go to an address that nothing but
                             * one record proved */
    bool is_up, is_doubted; /* doubted: credit counts */
    uint16_t keys;          /* of a kept one: mark of the credentials */
    bool is_by_psk;
    bool is_kept;  /* the store has it, or will */
    bool is_stale; /* it was got from there after a crash: what comes may have
                    * come before, and no request of the peer's is heard until
                    * it has shown to be there now */
    bool is_saved; /* to be gone on with: the peer is not told good-bye */
    bool is_given_up; /* ends with the handshake that goes on beside it */
    bool is_trial;    /* begun for such a one, and no message came by it yet */
    uint32_t kept_at; /* s: when it was put in the store last */
    struct cp_dtls_keeping *keeping; /* NULL: the store is not at work on it */
    struct cp_dtls_ping *ping;       /* NULL: it is not asked for a sign */
    struct cp_protect protect;
};

static inline struct cp_dtls *cp_dtls_of(struct cp_link *l)
{
    return cp_container_of(l, struct cp_dtls, link);
}

static inline bool cp_dtls_is_ours(const struct cp_dtls_session *s)
{
    return s->host != NULL;
}

/* ---- dtls.c ---- */

/* The table's entries. */
struct cp_link *cp_dtls_new(struct cp_driver *d, struct cp_link *below);
void cp_dtls_datagram(struct cp_link *l, const struct cp_path *path,
                      copal_bytes datagram);
void cp_dtls_undelivered(struct cp_link *l, const struct cp_path *path,
                         int status);
int cp_dtls_disconnect(struct cp_credentials *all, const char *prefix);
void cp_dtls_close(struct cp_link *l);

/* Records that came, one after another. Gives what of them is no record. */
copal_bytes cp_dtls_records(struct cp_dtls *d, const struct cp_path *path,
                            copal_bytes records);

/* Seals and sends, without asking anything. */
int cp_dtls_send_record(struct cp_dtls_session *s, uint8_t type,
                        copal_bytes plain);
/* As it is. */
void cp_dtls_send_below(struct cp_dtls *d, const struct cp_path *path,
                        copal_bytes datagram);

/* ---- dtls_session.c ---- */

/* Unfinished. host: whom we ask for, copied; NULL: we are asked. NULL: out of
 * memory. */
struct cp_dtls_session *cp_dtls_session_new(struct cp_dtls *d,
                                            const struct cp_path *path,
                                            const char *host);

/* Its handshake is complete: the one before with that address and role ends, and
 * who was silent for longest where there are too many. */
void cp_dtls_session_rise(struct cp_dtls_session *s);

/* Over: what went by it ends with status. is_told: the peer gets a close_notify.
 * s is freed. */
void cp_dtls_session_end(struct cp_dtls_session *s, int status, bool is_told);

/* A genuine record came: it is the youngest now. */
void cp_dtls_session_heard(struct cp_dtls_session *s);

/* The peer is at another address now. */
void cp_dtls_session_move(struct cp_dtls_session *s,
                          const struct cp_path *path);

/* NULL: none. At an address may be one of each: established, and unfinished. */
struct cp_dtls_session *cp_dtls_session_at(const struct cp_dtls *d,
                                           const struct cp_address *remote,
                                           bool is_up);
struct cp_dtls_session *cp_dtls_session_numbered(const struct cp_dtls *d,
                                                 uint32_t number);
struct cp_dtls_session *cp_dtls_session_with_cid(const struct cp_dtls *d,
                                                 copal_bytes cid);

/* Makes the Connection ID that s->protect.cid_in is from now on. */
void cp_dtls_session_name(struct cp_dtls_session *s);
/* It has one: it is found by it from now on. */
void cp_dtls_session_named(struct cp_dtls_session *s);

/* The path as the engine knows it. */
struct cp_path cp_dtls_session_path(const struct cp_dtls_session *s);

/* ---- dtls_flight.c ---- */

/* Messages that one side sends in a row: until the other's come they are sent
 * again, all of them, in new records. RFC 6347 4.2.4. */
struct cp_dtls_flight {
    struct cp_timer timer; /* of a last one: it is let go of */
    struct cp_dtls_session *session;
    uint64_t sent_at;    /* ms */
    uint64_t last_plain; /* number of the newest record of epoch 0 */
    uint64_t more_plain; /* how many of those there were beside the library's */
    struct cp_buf records; /* type, sealed or not, length, bytes; and so on */
    size_t gathered;       /* bytes of out */
    uint8_t out[CP_DTLS_DATAGRAM]; /* what leaves together */
};

/* NULL: out of memory. */
struct cp_dtls_flight *cp_dtls_flight_new(struct cp_dtls_session *s);
void cp_dtls_flight_free(struct cp_dtls_flight *f);

/* Another one begins. */
void cp_dtls_flight_clear(struct cp_dtls_flight *f);

/* A record goes and is kept. seq: the library's number of one of epoch 0, to
 * which comes how many were sent again. */
void cp_dtls_flight_put(struct cp_dtls_flight *f, uint8_t type, bool is_sealed,
                        uint64_t seq, copal_bytes plain);
/* What was put leaves. */
void cp_dtls_flight_flush(struct cp_dtls_flight *f);
/* All of it, again. */
void cp_dtls_flight_repeat(struct cp_dtls_flight *f);

/* It is f's session's last: kept for a while, for a peer that lacks it. */
void cp_dtls_flight_linger(struct cp_dtls_flight *f);

/* ---- dtls_hello_gnutls.c ---- */

/* A ClientHello. */
void cp_dtls_hello(struct cp_dtls *d, const struct cp_path *path,
                   copal_bytes datagram, const struct cp_hello *hello);

/* ---- dtls_shake_gnutls.c ---- */

/* Begins a handshake of ours, or one that a ClientHello with a valid cookie asks
 * for; prestate: the library's. COPAL_E* with mem's sentence. */
int cp_dtls_shake_ask(struct cp_dtls_session *s, uint16_t port);
int cp_dtls_shake_answer(struct cp_dtls_session *s, const uint8_t random[32],
                         void *prestate);

/* It has that random. */
bool cp_dtls_shake_is(const struct cp_dtls_session *s,
                      const uint8_t random[32]);

/* One record of the handshake, as it came. s may be gone afterwards. */
void cp_dtls_shake_feed(struct cp_dtls_session *s, const struct cp_record *r);

/* Lets go of it, complete or not. */
void cp_dtls_shake_free(struct cp_dtls_session *s);

/* Who waits for it; NULL: it is none of ours, or complete. */
struct cp_list *cp_dtls_shake_routes(struct cp_dtls_session *s);

/* The peer may have what completes it, and have let go of the one before. */
bool cp_dtls_shake_is_late(const struct cp_dtls_session *s);

/* ---- dtls_ask.c ---- */

/* As the table's associate(). */
int cp_dtls_associate(struct cp_driver *driver, struct cp_route *r);

/* A handshake for who waits, whatever the store may have. As the driver's
 * route(). */
int cp_dtls_ask_anew(struct cp_dtls *d, struct cp_route *r);

/* One of ours to where r leads, by the name that it asks for; NULL: none. */
struct cp_dtls_session *cp_dtls_ask_find(const struct cp_dtls *d,
                                         const struct cp_route *r, bool is_up);

/* r goes by s, which is up. Whoever asked is not told. */
void cp_dtls_ask_give(struct cp_dtls_session *s, struct cp_route *r);

/* message leaves by s, once more or for the first time since the peer was heard.
 * If that was too often without an answer, a handshake is begun beside s. */
void cp_dtls_ask_note(struct cp_dtls_session *s, copal_bytes message);

/* The peer was heard by s after all: nothing beside it is needed. */
void cp_dtls_ask_trust(struct cp_dtls_session *s);

/* The keys of s are given up, here or there. True: what waits by it goes on by
 * another one, for which a handshake is under way, and s ends with that; false:
 * nothing waits, or cannot. */
bool cp_dtls_ask_renew(struct cp_dtls_session *s);

/* The handshake is complete; or it failed: then s ends, and who waits tries the
 * next of his ways. */
void cp_dtls_ask_tell(struct cp_dtls_session *s);
void cp_dtls_ask_failed(struct cp_dtls_session *s, int status, const char *why);

/* ---- dtls_keep.c ---- */

/* s is up: the store, if there is one, keeps it from now on. */
void cp_dtls_keep(struct cp_dtls_session *s);

/* Of one that was got from there. It has been put there again, with numbers
 * below s->protect.end_out for us. */
void cp_dtls_keep_on(struct cp_dtls_session *s);

/* Before a record leaves: sees to it that numbers stay ahead. False: for the
 * moment there is none. */
bool cp_dtls_keep_ahead(struct cp_dtls_session *s);

/* s is over: the store forgets it. */
void cp_dtls_keep_end(struct cp_dtls_session *s);

/* The endpoint ends: what is kept is written down as it is, the newest first, as
 * far as that goes fast. */
void cp_dtls_keep_all(struct cp_dtls *d);

/* What the store calls an association: with a Connection ID of ours by that, else
 * by address, and host. */
void cp_dtls_keep_path(copal_bytes cid, const struct cp_address *remote,
                       const char *host, char out[CP_DTLS_PATH]);

/* A mark of the credentials by which an association like that is made today; 0:
 * by a look-up, or none that could be marked. */
uint16_t cp_dtls_keep_mark(const struct cp_credentials *all, bool is_by_psk,
                           const char *identity, const struct cp_asked *asked);

/* ---- dtls_wake.c ---- */

/* Is r of an association that the store may have? Then it is held and comes
 * again when that is known. */
bool cp_dtls_wake_holds(struct cp_dtls *d, const struct cp_path *path,
                        const struct cp_record *r);

/* May the store have one of ours for r? 1: r waits, and is told. 0: no. */
int cp_dtls_wake_ask(struct cp_dtls *d, struct cp_route *r);

/* Nobody waits any more. */
void cp_dtls_wake_end(struct cp_dtls *d);

/* ---- dtls_ping.c ---- */

/* What s was asked for before it was stale may have been asked already: the peer
 * is to show that it is there now. RFC 8613 B.1.2, in the manner of DTLS. */
void cp_dtls_ping_prove(struct cp_dtls_session *s);

/* An association of ours is up: KEEPALIVE counts from now on. */
void cp_dtls_ping_watch(struct cp_dtls_session *s);

/* Is it the answer to a ping of ours? Then nobody else is told. */
bool cp_dtls_ping_takes(struct cp_dtls_session *s, copal_bytes message);

void cp_dtls_ping_free(struct cp_dtls_session *s);

#endif
