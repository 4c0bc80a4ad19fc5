/* Where state lives that must survive a crash: a value under a path, a kind and
 * a name, "oscore/0a1b" or "dtls/00c3..". RFC 8613 7.2, B.1.1.
 *   store.c            values sealed against damage; one thing a path at a time
 *   store_directory.c  files of ours, which store_writer.c writes
 *   store_callback.c   the application's, asked by REQUESTs
 *
 * How to survive kill -9 with numbers that must never be used twice: put a
 * number ahead of the next (a ceiling), use none at or above it before done said
 * 0, put the next ceiling while some are left, and begin at the ceiling that was
 * got. Whoever cannot read what he had (COPAL_EFORMAT, COPAL_EPERM, COPAL_EIO)
 * must not begin anew: only COPAL_ENOENT says that nothing was ever kept. */
#ifndef CP_SECURE_STORE_H
#define CP_SECURE_STORE_H

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/handler.h"

struct cp_engine;
struct cp_store;

enum {
    CP_STORE_PATH = 160,   /* bytes of a path at most */
    CP_STORE_VALUE = 65536 /* bytes of a value at most */
};

/* Who waits for something to be done; part of it. Zero at first. */
struct cp_store_wait {
    struct cp_store_op *op; /* the store's; NULL: waits for nothing */
    /* Called exactly once, within a turn, never from inside the call that took
     * it. value: of a get, good for the call; it is wiped afterwards. why: the
     * sentence, "" where status is 0 or COPAL_ENOENT. */
    void (*done)(struct cp_store_wait *w, int status, copal_bytes value,
                 const char *why);
};

/* ---- Birth ---- */

/* A directory, made if only its last part is missing, that must be ours and
 * nobody else's to look into; it is ours alone (flock) until the store or the
 * process ends, however it does. COPAL_ENOENT, COPAL_EPERM; COPAL_EINUSE:
 * another endpoint, of this process or any, has it; COPAL_EIO, COPAL_ENOMEM. */
int cp_store_open(struct cp_mem *mem, struct cp_engine *e,
                  const char *directory, struct cp_store **out);

/* The application's: h hears GET, PUT and DELETE. Takes over the reference.
 * NULL: out of memory, and h is let go of. */
struct cp_store *cp_store_asking(struct cp_mem *mem, struct cp_engine *e,
                                 struct cp_handler *h);

/* The engine is about to go: who still waits is told COPAL_ECLOSED. A
 * directory still takes what is put, at once, with nobody to be told. */
void cp_store_end(struct cp_store *s);

/* Gives the lock back. s may be NULL. */
void cp_store_free(struct cp_store *s);

/* ---- Use ---- */

/* Each begins; w is told how it went. What was asked for earlier of the same path
 * is done before. path: kind, "/", name, both of a-z, 0-9, "-" and "_"; value is
 * copied. w NULL: nobody waits, which is for what is as good undone.
 * COPAL_ENOMEM, COPAL_ELIMIT (value); COPAL_ECLOSED: after the end, and the
 * application's. w is not told then.
 *   get     0, COPAL_ENOENT: nothing is there; COPAL_EFORMAT: it is damaged, cut
 *           short or another path's; COPAL_EPERM: others may look into it
 *   put     0: it is durable; the value before is gone
 *   delete  0: it is gone for good, or never was there
 *   all     COPAL_EIO, COPAL_ENOMEM, COPAL_ECLOSED */
int cp_store_get(struct cp_store *s, const char *path, struct cp_store_wait *w);
int cp_store_put(struct cp_store *s, const char *path, copal_bytes value,
                 struct cp_store_wait *w);
int cp_store_delete(struct cp_store *s, const char *path,
                    struct cp_store_wait *w);

/* A directory's can be had at once: as get, but into out, to be wiped and freed
 * by the caller, and with mem's sentence. COPAL_ESTATE: it has to be waited
 * for. */
int cp_store_read(struct cp_store *s, const char *path, struct cp_buf *out);

/* w is told nothing any more; what it asked for is done all the same. */
void cp_store_forget(struct cp_store_wait *w);

/* ---- For back ends ---- */

enum cp_store_what {
    CP_STORE_GET,
    CP_STORE_PUT,
    CP_STORE_DELETE
};

struct cp_store_op {
    struct cp_list node;        /* in store->held or ->over */
    struct cp_map_node by_path; /* in store->begun */
    struct cp_store *store;
    struct cp_store_wait *waiter; /* NULL: nobody waits */
    enum cp_store_what what;
    int status; /* once it is over */
    char *why;  /* NULL: "" */
    int error;  /* of a file: errno, and what failed then */
    const char *failed_at;
    uint8_t *value; /* sealed: to be put; or what was got */
    size_t value_len;
    char path[];
};

struct cp_store_back {
    /* Does it now or later, and then tells cp_store_over(), once. */
    void (*begin)(struct cp_store *s, struct cp_store_op *op);
    /* At once, into *out of mem; or NULL. */
    int (*read)(struct cp_store *s, const char *path, uint8_t **out,
                size_t *len);
    /* May be NULL: does what was begun to its end, at once. */
    void (*drain)(struct cp_store *s);
    /* May be NULL: drains, before the engine goes. */
    void (*end)(struct cp_store *s);
    bool outlives_engine;
    void (*free)(struct cp_store *s);
};

struct cp_store {
    const struct cp_store_back *back;
    struct cp_mem *mem;
    struct cp_engine *engine; /* NULL: it has ended */
    struct cp_map begun;   /* struct cp_store_op: at work, one of each path */
    struct cp_list held;   /* wait for one of the same path */
    struct cp_list over;   /* done, and yet to be told */
    struct cp_timer timer; /* tells them */
    const char *name;      /* for sentences: the directory */
};

void cp_store_init(struct cp_store *s, const struct cp_store_back *back,
                   struct cp_mem *mem, struct cp_engine *e);

/* status as told; of a get with 0, value is what was put: sealed, copied. With
 * mem's sentence where it failed. op may be gone afterwards. */
void cp_store_over(struct cp_store_op *op, int status, copal_bytes value);

/* What was put, of bytes as a back end has them; it points there. name: of the
 * store, for the sentence. COPAL_EFORMAT, COPAL_ENOMEM. */
int cp_store_unseal(struct cp_mem *mem, const char *name, const char *path,
                    copal_bytes sealed, copal_bytes *value);

#endif
