#include "base/random.h"

#include "base/mem.h"
#include "base/siphash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void put_le64(uint8_t *out, uint64_t v)
{
    /* One by one, which the compiler makes a single store of. */
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
    out[2] = (uint8_t)(v >> 16);
    out[3] = (uint8_t)(v >> 24);
    out[4] = (uint8_t)(v >> 32);
    out[5] = (uint8_t)(v >> 40);
    out[6] = (uint8_t)(v >> 48);
    out[7] = (uint8_t)(v >> 56);
}

/* For systems, or sandboxes, that know no getrandom(). */
static bool read_device(uint8_t *out, size_t n)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    size_t done = 0;

    if (fd < 0)
        return false;
    while (done < n) {
        ssize_t got = read(fd, out + done, n - done);

        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    }
    close(fd);
    return done == n;
}

static void fill_from_system(uint8_t *out, size_t n)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = getrandom(out + done, n - done, 0);

        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            break;
    }
    /* Keys and tokens are made of this. With nothing to make them of, going on
     * would be a lie about their secrecy. */
    if (done < n && !read_device(out + done, n - done))
        abort();
}

static void fill_from_seed(struct cp_random *r)
{
    uint8_t key[16], block[8];

    put_le64(key, r->seed);
    put_le64(key + 8, ~r->seed);
    for (size_t i = 0; i < sizeof(r->pool); i += 8) {
        put_le64(block, r->counter++);
        put_le64(r->pool + i, cp_siphash(key, block, sizeof(block)));
    }
}

void cp_random_init(struct cp_random *r, uint64_t seed)
{
    *r = (struct cp_random){.seed = seed};
}

void cp_random_skip(struct cp_random *r)
{
    if (r->seed == 0)
        return;
    r->counter = UINT64_C(1) << 32;
    r->left = 0;
}

void cp_random_untapped(struct cp_random *r, void *out, size_t n)
{
    uint8_t *at = out;

    if (n == 8 && r->left >= 8) { /* a token, as most are */
        uint8_t *from = r->pool + sizeof(r->pool) - r->left;

        memcpy(out, from, 8);
        cp_wipe_few(from, 8);
        r->left -= 8;
        return;
    }
    if (r->seed == 0 && n > sizeof(r->pool)) { /* one call instead of many */
        fill_from_system(out, n);
        return;
    }
    while (n > 0) {
        if (r->left == 0) {
            if (r->seed == 0)
                fill_from_system(r->pool, sizeof(r->pool));
            else
                fill_from_seed(r);
            r->left = sizeof(r->pool);
        }
        size_t some = n < r->left ? n : r->left;
        uint8_t *from = r->pool + sizeof(r->pool) - r->left;

        memcpy(at, from, some);
        /* It may have become a key: it must not be found here later. */
        cp_wipe(from, some);
        r->left -= some;
        at += some;
        n -= some;
    }
}

static __attribute__((noinline)) void be_given(struct cp_random *r, void *out,
                                               size_t n)
{
    if (!r->give(r->tap_user, out, n))
        cp_random_untapped(r, out, n);
}

/* Whom it passes through has no frame here. */
void cp_random_bytes(struct cp_random *r, void *out, size_t n)
{
    if (r->tap_user == NULL)
        cp_random_untapped(r, out, n);
    else if (r->draw != NULL)
        r->draw(r, out, n);
    else
        be_given(r, out, n);
}

uint64_t cp_random_u64(struct cp_random *r)
{
    uint8_t b[8];

    cp_random_bytes(r, b, sizeof(b));
    return cp_sip_read(b);
}

uint64_t cp_random_below(struct cp_random *r, uint64_t below)
{
    /* 2^64 modulo below: so many values too many for every result to have the
     * same share. */
    uint64_t uneven = (UINT64_MAX - below + 1) % below;
    uint64_t v;

    do
        v = cp_random_u64(r);
    while (v < uneven);
    return v % below;
}
