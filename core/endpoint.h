/* The endpoint itself: an engine, the driver it lives on, and a site. */
#ifndef CP_ENDPOINT_H
#define CP_ENDPOINT_H

#include "base/buf.h"
#include "base/heap.h"
#include "engine/engine.h"
#include "serve/site.h"
#include <stdio.h>

struct copal {
    struct cp_mem *mem;
    struct cp_driver *driver;
    struct cp_engine *engine;
    struct cp_site *site;
    struct cp_credentials *credentials;
    struct cp_oscore *oscore;       /* NULL: never used */
    struct cp_edhoc_hub *edhoc;     /* likewise */
    struct cp_timer close_timer;    /* copal_close(): until when */
    struct cp_capture *capture;     /* copal_log_to(); NULL: none */
    struct cp_log_kinds *log_kinds; /* copal_log_due(); NULL: none yet */
    struct cp_buf metrics;          /* copal_metrics_text() */
    struct cp_list profiles;        /* copal_profile(): by scope */
    uint64_t born;                  /* ms, as copal_now() */
    unsigned calls;                 /* of its user's that drops may come from */
    bool is_over;                   /* freed amid one of them */
};

/* An endpoint on any driver, whose memory is mem's; both are the endpoint's
 * from then on. seed 0: the operating system's randomness. On failure
 * (COPAL_ENOMEM) they stay the caller's. */
int cp_endpoint_new(struct cp_mem *mem, struct cp_driver *driver, uint64_t seed,
                    copal **out);

/* tell is called where MAX_MEMORY made it refuse something, as callbacks are: whoever
 * holds messages and exchanges that it no longer needs may let go of them. */
CP_SHARED void cp_endpoint_on_shortage(copal *c, void (*tell)(void *user),
                                       void *user);

/* Lines that copal_log_due() was against, of all kinds. */
uint64_t cp_log_left_out(const copal *c);

/* Begins to record into so many bytes; 0: no more. COPAL_ENOMEM. */
int cp_endpoint_record(copal *c, uint64_t bytes);

/* Writes what is recorded to a file. As copal_log_to(). */
int cp_endpoint_write_recording(copal *c, const char *path);

/* What a recording begins with; now: as copal_now(). Signal handlers may call
 * it. */
void cp_endpoint_recording_head(const copal *c, uint64_t now, uint8_t out[24]);

/* A file to write that nobody else may read. NULL: errno. */
FILE *cp_endpoint_private_file(const char *path);

/* The error that errno means, of a file, with its sentence. */
int cp_endpoint_file_error(copal *c, const char *path);

/* Closes the capture, if there is one. */
void cp_endpoint_end_capture(copal *c);

struct cp_edhoc_spec;

/* copal_use_edhoc(); is_trial: only what it would give. */
int cp_endpoint_use_edhoc(copal *c, const char *scope,
                          const struct cp_edhoc_spec *spec, bool is_trial);

/* The contexts of OSCORE, made when first needed. NULL: out of memory. */
struct cp_oscore *cp_endpoint_oscore(copal *c);

/* A request, which may be NULL, with what profiles want of it, in *out; m itself is
 * frozen as it is, since it may go to others, or again when no profile is there.
 * *out stays NULL: they want nothing. COPAL_ENOMEM, COPAL_ELIMIT. */
int cp_endpoint_fill(copal *c, copal_msg *m, copal_msg **out);

/* COPAL_EINVAL: there is no profile of that name, and the sentence has all. */
int cp_endpoint_knows_profile(copal *c, const char *name);
void cp_endpoint_end_profiles(copal *c);

/* Before a call that comes from outside a turn does anything: tells the engine
 * the time. */
void cp_endpoint_enter(copal *c);

/* Around a call in which something of the user's may be dropped, which may free
 * the endpoint: it ends when the outermost such call does. was: as
 * cp_record_return() has it. */
void cp_endpoint_call(copal *c);
void cp_endpoint_return(copal *c, unsigned was);

/* copal_request() of a message with COPAL_WATCH. */
copal_exchange *cp_endpoint_watch(copal *c, copal_msg *m, copal_cb cb);

#endif
