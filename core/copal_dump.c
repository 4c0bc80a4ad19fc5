/* A recording written amid a crash, when nothing can be relied on but the calls
 * that signal handlers may make: no memory is asked for, no lock taken, no
 * sentence noted. */
#include "endpoint.h"
#include "base/siphash.h"
#include "engine/core.h"
#include "engine/record.h"
#include "engine/record_bare.h"
#include "engine/record_put.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What is written, and the sum of it so far: cp_siphash() of bytes that do not
 * stand in a row. */
struct dump {
    int fd;
    bool failed;
    struct cp_sip sip;
    uint8_t tail[8]; /* of the sum: bytes that make no word yet */
    size_t len;
};

static void write_all(struct dump *d, copal_bytes bytes)
{
    while (bytes.len > 0 && !d->failed) {
        ssize_t n = write(d->fd, bytes.data, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        d->failed = n <= 0;
        if (n > 0)
            bytes = cp_bytes(bytes.data + n, bytes.len - (size_t)n);
    }
}

static void put(struct dump *d, copal_bytes bytes)
{
    write_all(d, bytes);
    for (size_t i = 0; i < bytes.len; i++) {
        d->tail[d->len++ % sizeof(d->tail)] = bytes.data[i];
        if (d->len % sizeof(d->tail) == 0)
            cp_sip_add(&d->sip, cp_sip_read(d->tail));
    }
}

/* As cp_siphash() ends. */
static uint64_t sum_of(struct dump *d)
{
    uint64_t word = (uint64_t)d->len << 56;

    for (size_t i = 0; i < d->len % sizeof(d->tail); i++)
        word |= (uint64_t)d->tail[i] << 8 * i;
    cp_sip_add(&d->sip, word);
    return cp_sip_end(d->sip);
}

static void put_sum(struct dump *d)
{
    uint8_t head[CP_RECORD_HEAD], sum[8];

    head[0] = CP_RECORD_SUM;
    cp_record_le32(head + 1, sizeof(sum));
    put(d, cp_bytes(head, sizeof(head)));
    cp_record_le64(sum, sum_of(d));
    write_all(d, cp_bytes(sum, sizeof(sum)));
}

/* Payloads are wiped where they stand: nobody needs them any more. */
static void put_recording(copal *c, struct dump *d)
{
    bool is_bare = c->engine->params.value[COPAL_P_RECORD_PAYLOADS] == 0;
    copal_bytes parts[CP_RECORD_PARTS];
    size_t count = cp_record_parts(c->engine, parts);
    uint8_t head[CP_RECORDING_HEAD];

    cp_endpoint_recording_head(c, c->engine->now, head);
    put(d, cp_bytes(head, sizeof(head)));
    for (size_t i = 0; i < count; i++) {
        if (is_bare)
            cp_record_strip((uint8_t *)parts[i].data, parts[i].len);
        put(d, parts[i]);
    }
    put_sum(d);
}

int copal_dump(copal *c, const char *path)
{
    static const uint8_t key[16] = {0};
    struct dump d = {.sip = cp_sip_begin(key)};

    if (c == NULL || path == NULL)
        return COPAL_EINVAL;
    if (c->engine->record == NULL && c->engine->frozen == NULL)
        return COPAL_ESTATE;
    d.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (d.fd < 0)
        return COPAL_EIO;
    put_recording(c, &d);
    if (close(d.fd) != 0 || d.failed)
        return COPAL_EIO;
    return 0;
}
