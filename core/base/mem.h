/* The memory of one endpoint: every allocation is counted, small ones come
 * from slabs, and it lives until its owner and everything it handed out are
 * gone. It also knows which thread may touch it: a handle let go of by another
 * thread (a garbage collector's) waits here until the owner's next turn. */
#ifndef CP_BASE_MEM_H
#define CP_BASE_MEM_H

#include "base/bytes.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cp_mem;

/* realloc_fn: as realloc(), but n 0 frees and gives NULL; NULL: the system's.
 * NULL: out of memory. The calling thread owns it. */
CP_SHARED struct cp_mem *cp_mem_new(void *(*realloc_fn)(void *user, void *p,
                                                        size_t n),
                                    void *user);

/* The owner lets go. What is still allocated stays valid and may be freed from
 * any thread; the last of it takes the allocator along. Reaps first. */
CP_SHARED void cp_mem_release(struct cp_mem *mem);

/* Allocations fail once more than max bytes are out; 0: no limit of ours. */
void cp_mem_limit(struct cp_mem *mem, uint64_t max);

/* Bytes handed out and not yet freed, as asked for. Slabs' slack is not
 * counted. */
uint64_t cp_mem_used(const struct cp_mem *mem);

/* Aligned for any object. cp_alloc() leaves the bytes as they are, cp_zalloc()
 * clears them. NULL: out of memory. n may be 0. */
void *cp_alloc(struct cp_mem *mem, size_t n);
void *cp_zalloc(struct cp_mem *mem, size_t n);

/* Clears more than a few bytes: by the system's memset(), which the compiler,
 * where it sees n, takes a string instruction for that is slower. */
static inline void cp_clear(void *p, size_t n)
{
    __asm__("" : "+r"(n));
    memset(p, 0, n);
}

/* As realloc(); on failure NULL and p is untouched. */
void *cp_resize(struct cp_mem *mem, void *p, size_t n);

/* p may be NULL, which most of what a message could hold is. */
void cp_mem_free(struct cp_mem *mem, void *p);
static inline void cp_free(struct cp_mem *mem, void *p)
{
    if (p != NULL)
        cp_mem_free(mem, p);
}

/* Overwrites what held a secret, then frees it. */
void cp_wipe(void *p, size_t n);

/* The same in place, for so few that a call would cost more. The compiler must
 * believe that someone reads the zeroes. */
static inline void cp_wipe_few(void *p, size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}
void cp_free_secret(struct cp_mem *mem, void *p, size_t n);

/* For who divides large pieces himself (base/cells.h), the owner's thread alone:
 * a piece that is not counted, where there are slabs, and the bytes of it that are
 * in use. Charging fails at the limit. */
bool cp_mem_has_slabs(const struct cp_mem *mem); /* else each is on its own */
void *cp_mem_chunk(struct cp_mem *mem, size_t n);
void cp_mem_chunk_free(struct cp_mem *mem, void *chunk);
bool cp_mem_charge(struct cp_mem *mem, size_t n);
void cp_mem_discharge(struct cp_mem *mem, size_t n);

/* A copy with a NUL behind it. NULL: out of memory. */
char *cp_copy_text(struct cp_mem *mem, const char *text, size_t len);

/* ---- What is kept along ---- */

struct cp_dead;

/* One thing of a layer above that serves all it makes of mem; the release, or
 * what is kept in its place, calls its reap. thing NULL: nothing any more.
 * False: released already. For the owner's thread. */
bool cp_mem_keep(struct cp_mem *mem, struct cp_dead *thing);
/* NULL: nothing is kept, or no longer. */
struct cp_dead *cp_mem_kept(const struct cp_mem *mem);

/* ---- The sentence of the last failure (copal_why) ---- */

/* Notes the sentence and gives error back, so that a failure reads
 * "return cp_why(mem, COPAL_EURI, "%s: no scheme; try coap://%s", ...)". */
int cp_why(struct cp_mem *mem, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int cp_why_list(struct cp_mem *mem, int error, const char *format,
                va_list list);
/* "" when nothing failed */
CP_SHARED const char *cp_why_text(const struct cp_mem *mem);

/* ---- Threads ---- */

/* Something that was let go of, waiting for its thread. */
struct cp_dead {
    struct cp_dead *next;
    void (*reap)(struct cp_dead *dead);
};

/* From now on the calling thread is the owner's. The thread before it must be
 * out of every call on mem by then, cp_mem_retire() included. */
CP_SHARED void cp_mem_adopt(struct cp_mem *mem);

/* What tells threads apart, by a register where the compiler gives it. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 11 && \
    (defined(__x86_64__) || defined(__aarch64__))
#define CP_MEM_THREAD_REGISTER
static inline const void *cp_mem_thread(void)
{
    return __builtin_thread_pointer();
}
#else
const void *cp_mem_thread(void);
#endif

/* A cp_mem begins with it. */
struct cp_mem_owner {
    _Atomic(const void *) thread; /* NULL: it has let go */
};

/* Is the calling thread the owner's, which has not let go yet? */
static inline bool cp_mem_is_mine(const struct cp_mem *mem)
{
    const struct cp_mem_owner *o = (const void *)mem;

    return atomic_load_explicit(&o->thread, memory_order_relaxed) ==
           cp_mem_thread();
}

/* From any thread: calls dead->reap now if this is the owner's thread or the
 * owner has let go (then one at a time, under a lock), else puts it on the
 * list that cp_mem_reap() works off. */
void cp_mem_retire(struct cp_mem *mem, struct cp_dead *dead);

/* Whom to tell when something waits, so that an idle owner comes round: called
 * on the strange thread, under the lock, until the owner has let go. fn NULL:
 * nobody. */
void cp_mem_on_retire(struct cp_mem *mem, void (*fn)(void *user), void *user);

/* The owner's thread: reaps what other threads let go of. Cheap when there is
 * nothing. */
CP_SHARED void cp_mem_reap(struct cp_mem *mem);

#endif
