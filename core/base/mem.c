#include "base/mem.h"

#include "base/bytes.h"
#include "base/fetch.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* AddressSanitizer sees misuse of a block only if the block is malloc's. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
enum {
    SLABS = 0
};
#else
enum {
    SLABS = 1
};
#endif

/* Classes hold 32, 48, 64, .. 128 bytes, then four for each power of two: 160,
 * 192, 224, 256, 320, .. 2048. A fifth of a block is slack at most, but of the
 * smallest; all are multiples of 16. */
enum {
    SMALLEST = 32,
    EVEN = 128, /* up to here in steps of 16 */
    LARGEST = 2048,
    EVEN_CLASSES = 7,
    CLASSES = EVEN_CLASSES + 16,
    DIRECT = CLASSES, /* stands for a class: not from a slab */
    CHUNK = 16 * 1024,
    LARGE_PAGE = 2 * 1024 * 1024,
    WHY = 512
};

/* Stands before every block. */
struct block {
    _Alignas(max_align_t) uint8_t class; /* first: no gap before the union */
    bool is_free;
    union {
        size_t size;        /* as asked for */
        struct block *next; /* while it is free */
    };
};

_Static_assert(sizeof(struct block) == _Alignof(max_align_t),
               "it comes with each allocation and has no room to waste");

/* What slabs are carved from; the blocks follow. */
struct chunk {
    _Alignas(max_align_t) struct chunk *next;
};

struct cp_mem {
    struct cp_mem_owner owner; /* first */
    void *(*realloc_fn)(void *user, void *p, size_t n);
    void *user;
    size_t slabs_end; /* bytes from which on none is from a slab; 0: never */
    uint64_t used, limit;
    uint64_t refs; /* the owner and every block that is out */
    uint8_t classes[LARGEST / 16 + 1]; /* of so many 16 bytes: class_of() */
    struct block *free[CLASSES];
    char *carve, *carve_end; /* what is left of the newest chunk */
    struct chunk *chunks;

    /* Until released is set, all of the above belongs to the owner's thread
     * and goes without the lock; from then on it needs it. The lock is
     * recursive because reaping, done under it, frees. */
    atomic_bool released;
    pthread_mutex_t lock;
    struct cp_dead *waiting, *last_waiting; /* under the lock, always */
    atomic_bool any_waiting;
    void (*on_retire)(void *user); /* under the lock */
    void *on_retire_user;

    struct cp_dead *kept;

    char why[WHY];
};

#ifndef CP_MEM_THREAD_REGISTER
/* Every thread has one of its own at an address of its own: an identity that
 * costs no system call. */
const void *cp_mem_thread(void)
{
    static _Thread_local char this_thread;

    return &this_thread;
}
#endif

static void *system_realloc(void *user, void *p, size_t n)
{
    (void)user;
    if (n > 0)
        return realloc(p, n);
    free(p);
    return NULL;
}

static uint8_t class_of(size_t n)
{
    unsigned power;

    if (n <= SMALLEST)
        return 0;
    if (n <= EVEN)
        return (uint8_t)((n - 1) / 16 - 1);
    /* 2^power < n <= 2^(power+1), and which quarter of what lies between. */
    power = 31u - (unsigned)__builtin_clz((unsigned)(n - 1));
    return (uint8_t)(EVEN_CLASSES + 4 * (power - 7) +
                     ((n - 1) >> (power - 2) & 3));
}

static bool lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t how;
    int err;

    if (pthread_mutexattr_init(&how) != 0)
        return false;
    err = pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    if (err == 0)
        err = pthread_mutex_init(lock, &how);
    pthread_mutexattr_destroy(&how);
    return err == 0;
}

struct cp_mem *cp_mem_new(void *(*realloc_fn)(void *user, void *p, size_t n),
                          void *user)
{
    /* Whoever brings a realloc wants to see, and perhaps to fail, every single
     * allocation: no slabs then. */
    bool slabs = SLABS && realloc_fn == NULL;
    struct cp_mem *mem;

    if (realloc_fn == NULL)
        realloc_fn = system_realloc;
    mem = realloc_fn(user, NULL, sizeof(*mem));
    if (mem == NULL)
        return NULL;
    memset(mem, 0, sizeof(*mem));
    mem->realloc_fn = realloc_fn;
    mem->user = user;
    mem->slabs_end = slabs ? LARGEST + 1 : 0;
    for (size_t i = 0; i <= LARGEST / 16; i++)
        mem->classes[i] = class_of(16 * i);
    mem->limit = UINT64_MAX;
    mem->refs = 1;
    atomic_init(&mem->released, false);
    atomic_init(&mem->any_waiting, false);
    atomic_init(&mem->owner.thread, cp_mem_thread());
    if (!lock_init(&mem->lock)) {
        realloc_fn(user, mem, 0);
        return NULL;
    }
    return mem;
}

static void destroy(struct cp_mem *mem)
{
    while (mem->chunks != NULL) {
        struct chunk *chunk = mem->chunks;

        mem->chunks = chunk->next;
        mem->realloc_fn(mem->user, chunk, 0);
    }
    pthread_mutex_destroy(&mem->lock);
    mem->realloc_fn(mem->user, mem, 0);
}

/* Relaxed is enough: a thread other than the owner's comes here only after it
 * learned of the release, and so sees it. */
static inline bool is_released(const struct cp_mem *mem)
{
    return atomic_load_explicit(&mem->released, memory_order_relaxed);
}

/* After the release: lets go of the lock, and of the allocator if nothing holds
 * it any more. */
static void unlock(struct cp_mem *mem)
{
    bool last = mem->refs == 0;

    pthread_mutex_unlock(&mem->lock);
    if (last)
        destroy(mem);
}

/* ---- Blocks ---- */

static inline struct block *block_of(void *p)
{
    return (struct block *)p - 1;
}

static inline uint8_t class_for(const struct cp_mem *mem, size_t n)
{
    return n < mem->slabs_end ? mem->classes[(n + 15) / 16] : DIRECT;
}

static inline size_t class_size(uint8_t class)
{
    unsigned above = class - EVEN_CLASSES;

    if (class < EVEN_CLASSES)
        return SMALLEST + 16u * class;
    return (size_t)(5 + above % 4) << (5 + above / 4);
}

static struct block *carve(struct cp_mem *mem, uint8_t class)
{
    size_t need = sizeof(struct block) + class_size(class);
    struct block *b;

    if ((size_t)(mem->carve_end - mem->carve) < need) {
        struct chunk *chunk = mem->realloc_fn(mem->user, NULL, CHUNK);

        if (chunk == NULL)
            return NULL;
        chunk->next = mem->chunks;
        mem->chunks = chunk;
        mem->carve = (char *)(chunk + 1);
        mem->carve_end = (char *)chunk + CHUNK;
    }
    b = (struct block *)(void *)mem->carve;
    mem->carve += need;
    return b;
}

/* A block for n bytes, not yet counted. */
static inline struct block *take(struct cp_mem *mem, size_t n)
{
    uint8_t class = class_for(mem, n);
    struct block *b;

    if (class == DIRECT)
        b = mem->realloc_fn(mem->user, NULL, sizeof(*b) + n);
    else if ((b = mem->free[class]) != NULL)
        mem->free[class] = b->next;
    else
        b = carve(mem, class);
    if (b == NULL)
        return NULL;
    b->size = n;
    b->class = class;
    b->is_free = false;
    return b;
}

static inline void give_back(struct cp_mem *mem, struct block *b)
{
    assert(!b->is_free);
    if (b->class == DIRECT) {
        mem->realloc_fn(mem->user, b, 0);
        return;
    }
    b->is_free = true;
    b->next = mem->free[b->class];
    mem->free[b->class] = b;
}

/* Bytes that b can hold. */
static inline size_t block_room(const struct block *b)
{
    return b->class == DIRECT ? b->size : class_size(b->class);
}

/* No object is larger than PTRDIFF_MAX; below that, no sum here overflows. */
static inline bool is_allowed(const struct cp_mem *mem, size_t n, size_t more)
{
    return n <= PTRDIFF_MAX - sizeof(struct block) &&
           (more == 0 || mem->used + more <= mem->limit);
}

static inline void *allocate(struct cp_mem *mem, size_t n)
{
    struct block *b = is_allowed(mem, n, n) ? take(mem, n) : NULL;

    if (b == NULL)
        return NULL;
    mem->used += n;
    mem->refs++;
    return b + 1;
}

static inline void discard(struct cp_mem *mem, void *p)
{
    struct block *b = block_of(p);

    mem->used -= b->size;
    mem->refs--;
    give_back(mem, b);
}

/* Like take(), with the contents of old, which is gone when this succeeds. */
static struct block *retake(struct cp_mem *mem, struct block *old, size_t n)
{
    uint8_t class = class_for(mem, n);
    struct block *b;

    if (class == DIRECT && old->class == DIRECT) {
        b = mem->realloc_fn(mem->user, old, sizeof(*b) + n);
    } else if (class == old->class) {
        b = old;
    } else {
        b = take(mem, n);
        if (b == NULL)
            return NULL;
        memcpy(b + 1, old + 1, n < old->size ? n : old->size);
        give_back(mem, old);
    }
    if (b != NULL)
        b->size = n;
    return b;
}

static void *reallocate(struct cp_mem *mem, void *p, size_t n)
{
    struct block *b = block_of(p);
    size_t before = b->size;

    if (!is_allowed(mem, n, n > before ? n - before : 0))
        return NULL;
    b = retake(mem, b, n);
    if (b == NULL)
        return NULL;
    mem->used = mem->used - before + n;
    return b + 1;
}

/* ---- Allocating ---- */

void cp_mem_limit(struct cp_mem *mem, uint64_t max)
{
    mem->limit = max == 0 ? UINT64_MAX : max;
}

uint64_t cp_mem_used(const struct cp_mem *mem)
{
    return mem->used;
}

/* The usual case alone: a small block of which one is free, which knows its
 * class already. NULL: it takes more than that. */
static inline void *take_free(struct cp_mem *mem, size_t n)
{
    struct block **first, *b;

    if (n >= mem->slabs_end || is_released(mem))
        return NULL;
    first = &mem->free[mem->classes[(n + 15) / 16]];
    b = *first;
    if (b == NULL || mem->used + n > mem->limit)
        return NULL;
    *first = b->next;
    b->is_free = false;
    b->size = n;
    mem->used += n;
    mem->refs++;
    return b + 1;
}

void *cp_alloc(struct cp_mem *mem, size_t n)
{
    void *p = take_free(mem, n);

    if (p != NULL)
        return p;
    if (!is_released(mem))
        return allocate(mem, n);
    pthread_mutex_lock(&mem->lock);
    p = allocate(mem, n);
    unlock(mem);
    return p;
}

void *cp_zalloc(struct cp_mem *mem, size_t n)
{
    void *p = cp_alloc(mem, n);

    if (p != NULL)
        cp_clear(p, n);
    return p;
}

void *cp_resize(struct cp_mem *mem, void *p, size_t n)
{
    if (p == NULL)
        return cp_alloc(mem, n);
    if (!is_released(mem))
        return reallocate(mem, p, n);
    pthread_mutex_lock(&mem->lock);
    p = reallocate(mem, p, n);
    unlock(mem);
    return p;
}

void cp_mem_free(struct cp_mem *mem, void *p)
{
    if (!is_released(mem)) {
        discard(mem, p);
        return;
    }
    pthread_mutex_lock(&mem->lock);
    discard(mem, p);
    unlock(mem);
}

bool cp_mem_has_slabs(const struct cp_mem *mem)
{
    return mem->slabs_end != 0;
}

/* On a line of the cache, so that a record of one line touches no second. A large
 * one on large pages, where the system has some to spare: of small ones each look
 * at another place is a walk through its tables, too. */
void *cp_mem_chunk(struct cp_mem *mem, size_t n)
{
    bool is_large = n >= LARGE_PAGE && n % LARGE_PAGE == 0;
    void *chunk = NULL;

    assert(mem->realloc_fn == system_realloc); /* or it has no slabs */
    (void)mem;
    if (posix_memalign(&chunk, is_large ? LARGE_PAGE : CP_LINE, n) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (is_large)
        (void)madvise(chunk, n, MADV_HUGEPAGE);
#endif
    return chunk;
}

void cp_mem_chunk_free(struct cp_mem *mem, void *chunk)
{
    mem->realloc_fn(mem->user, chunk, 0);
}

bool cp_mem_charge(struct cp_mem *mem, size_t n)
{
    if (mem->used + n > mem->limit)
        return false;
    mem->used += n;
    return true;
}

void cp_mem_discharge(struct cp_mem *mem, size_t n)
{
    mem->used -= n;
}

void cp_wipe(void *p, size_t n)
{
    if (n == 0)
        return;
    memset(p, 0, n);
    /* The compiler must believe that someone reads the zeroes. */
    __asm__ volatile("" : : "r"(p) : "memory");
}

void cp_free_secret(struct cp_mem *mem, void *p, size_t n)
{
    size_t room;

    if (p == NULL)
        return;
    /* All of the block: it may have held more before, or the secret be longer
     * than whoever frees it can tell (a text with a NUL amid it). */
    room = block_room(block_of(p));
    assert(n <= room);
    (void)n;
    cp_wipe(p, room);
    cp_free(mem, p);
}

char *cp_copy_text(struct cp_mem *mem, const char *text, size_t len)
{
    char *copy = len == SIZE_MAX ? NULL : cp_alloc(mem, len + 1);

    if (copy == NULL)
        return NULL;
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* ---- What is kept along ---- */

bool cp_mem_keep(struct cp_mem *mem, struct cp_dead *thing)
{
    struct cp_dead *before = mem->kept;

    if (is_released(mem))
        return false;
    mem->kept = thing;
    if (before != NULL)
        before->reap(before);
    return true;
}

struct cp_dead *cp_mem_kept(const struct cp_mem *mem)
{
    return is_released(mem) ? NULL : mem->kept;
}

/* ---- The sentence of the last failure ---- */

int cp_why(struct cp_mem *mem, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    cp_why_list(mem, error, format, list);
    va_end(list);
    return error;
}

int cp_why_list(struct cp_mem *mem, int error, const char *format, va_list list)
{
    /* Not into mem->why: the sentence before may be among the arguments. One
     * byte more than is kept shows whether a character is cut. */
    char text[WHY + 1];
    int len;

    /* Nobody is left to ask, and threads would write over each other. */
    if (is_released(mem))
        return error;
    len = vsnprintf(text, sizeof(text), format, list);
    if (len < 0)
        text[0] = '\0';
    if (len >= WHY) {
        size_t cut = WHY - 1;

        /* Not amid a character: back to where one begins. */
        while (cut > 0 && ((uint8_t)text[cut] & 0xc0) == 0x80)
            cut--;
        text[cut] = '\0';
    }
    memcpy(mem->why, text, strlen(text) + 1);
    return error;
}

const char *cp_why_text(const struct cp_mem *mem)
{
    return mem->why;
}

/* ---- Threads ---- */

void cp_mem_adopt(struct cp_mem *mem)
{
    if (!cp_mem_is_mine(mem))
        atomic_store(&mem->owner.thread, cp_mem_thread());
}

void cp_mem_on_retire(struct cp_mem *mem, void (*fn)(void *user), void *user)
{
    pthread_mutex_lock(&mem->lock);
    mem->on_retire = fn;
    mem->on_retire_user = user;
    pthread_mutex_unlock(&mem->lock);
}

/* Under the lock. */
static struct cp_dead *take_waiting(struct cp_mem *mem)
{
    struct cp_dead *first = mem->waiting;

    mem->waiting = mem->last_waiting = NULL;
    atomic_store_explicit(&mem->any_waiting, false, memory_order_relaxed);
    return first;
}

static void reap_all(struct cp_dead *first)
{
    while (first != NULL) {
        struct cp_dead *dead = first;

        first = dead->next;
        dead->next = NULL;
        dead->reap(dead);
    }
}

static void append_waiting(struct cp_mem *mem, struct cp_dead *dead)
{
    dead->next = NULL;
    if (mem->waiting == NULL)
        mem->waiting = dead;
    else
        mem->last_waiting->next = dead;
    mem->last_waiting = dead;
    atomic_store_explicit(&mem->any_waiting, true, memory_order_relaxed);
}

void cp_mem_retire(struct cp_mem *mem, struct cp_dead *dead)
{
    if (cp_mem_is_mine(mem)) {
        dead->reap(dead);
        return;
    }
    pthread_mutex_lock(&mem->lock);
    if (!is_released(mem)) {
        append_waiting(mem, dead);
        if (mem->on_retire != NULL)
            mem->on_retire(mem->on_retire_user);
        pthread_mutex_unlock(&mem->lock);
        return;
    }
    /* What dead leads to may be the last that holds mem, whose lock is in use
     * here. */
    mem->refs++;
    dead->reap(dead);
    mem->refs--;
    unlock(mem);
}

void cp_mem_reap(struct cp_mem *mem)
{
    struct cp_dead *first;

    if (!atomic_load_explicit(&mem->any_waiting, memory_order_relaxed))
        return;
    pthread_mutex_lock(&mem->lock);
    first = take_waiting(mem);
    pthread_mutex_unlock(&mem->lock);
    /* Without the lock: letting go of user's things may need locks of theirs,
     * which another thread holds while it retires something here. */
    reap_all(first);
}

void cp_mem_release(struct cp_mem *mem)
{
    if (mem == NULL)
        return;
    cp_mem_reap(mem);
    cp_mem_keep(mem, NULL);
    pthread_mutex_lock(&mem->lock);
    atomic_store_explicit(&mem->owner.thread, NULL, memory_order_relaxed);
    atomic_store_explicit(&mem->released, true, memory_order_relaxed);
    reap_all(take_waiting(mem));
    mem->refs--;
    unlock(mem);
}
