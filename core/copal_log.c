/* Logs to files: captures of plaintext messages, keys of TLS sessions. */
#include "endpoint.h"
#include "base/pcapng.h"
#include "engine/core.h"
#include "engine/trace.h"
#include "secure/credentials.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    KNOWN_PORT = 5683 /* by which readers tell CoAP: RFC 7252 6.1 */
};

struct cp_capture {
    copal *endpoint;
    FILE *file;
    uint64_t began;           /* us since 1970, when copal_now() was 0 */
    struct cp_address v4, v6; /* what we were last reached at */
};

static uint64_t us_of_clock(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* What leaves from wherever the system likes has no address yet: the one that
 * we were reached at last will be it. */
static struct cp_address local_of(struct cp_capture *log,
                                  const struct cp_path *path)
{
    struct cp_address local = path->local;
    struct cp_address *last =
        path->remote.family == CP_IPV6 ? &log->v6 : &log->v4;

    if (local.family != 0) {
        *last = local;
        return local;
    }
    local = *last;
    if (cp_address_is_loopback(&path->remote) &&
        path->remote.family != CP_NAMED)
        local = path->remote;
    local.port = path->local.port;
    return local;
}

/* A simulated network's time begins with 1970, so that a seed gives the same
 * file each time. */
static uint64_t time_of(const struct cp_capture *log,
                        const struct cp_path *path)
{
    uint64_t us = copal_now(log->endpoint) * 1000;

    return path->remote.family == CP_NAMED ? us : log->began + us;
}

static bool write_out(struct cp_capture *log, copal_bytes bytes)
{
    return fwrite(bytes.data, 1, bytes.len, log->file) == bytes.len;
}

static void on_datagram(void *user, const struct cp_path *path,
                        copal_bytes datagram, bool out)
{
    struct cp_capture *log = user;
    copal *c = log->endpoint;
    struct cp_buf b = cp_buf_new(c->mem);
    struct cp_address local = local_of(log, path);
    copal_bytes packet;

    cp_pcapng_put(&b, time_of(log, path), out ? &local : &path->remote,
                  out ? &path->remote : &local, KNOWN_PORT, datagram);
    if (cp_buf_finish(&b, &packet) == 0 && /* else the network lost it, too */
        !write_out(log, packet)) {
        cp_trace_state(c->engine, "capture_failed", strerror(errno));
        cp_endpoint_end_capture(c);
    }
    cp_buf_free(&b);
}

int cp_endpoint_file_error(copal *c, const char *path)
{
    int err = errno == ENOENT                     ? COPAL_ENOENT
              : errno == EACCES || errno == EPERM ? COPAL_EPERM
                                                  : COPAL_EIO;

    return cp_why(c->mem, err, "%s: %s", path, strerror(errno));
}

void cp_endpoint_end_capture(copal *c)
{
    struct cp_capture *log = c->capture;

    if (log == NULL)
        return;
    c->engine->tap.fn = NULL;
    c->capture = NULL;
    fclose(log->file);
    cp_free(c->mem, log);
}

/* Whole packets at once: a crash loses none. */
static bool open_file(struct cp_capture *log, const char *path)
{
    uint8_t storage[CP_PCAPNG_BEGINNING];
    struct cp_buf b = cp_buf_fixed(storage, sizeof(storage));

    log->file = fopen(path, "wbe");
    if (log->file == NULL)
        return false;
    setvbuf(log->file, NULL, _IONBF, 0);
    cp_pcapng_begin(&b);
    return write_out(log, cp_bytes(storage, b.len));
}

static int begin_capture(copal *c, const char *path)
{
    struct cp_capture *log = cp_zalloc(c->mem, sizeof(*log));
    int err;

    if (log == NULL)
        return COPAL_ENOMEM;
    log->endpoint = c;
    log->began = us_of_clock() - copal_now(c) * 1000;
    if (!open_file(log, path)) {
        err = cp_endpoint_file_error(c, path);
        if (log->file != NULL)
            fclose(log->file);
        cp_free(c->mem, log);
        return err;
    }
    c->capture = log;
    c->engine->tap.fn = on_datagram;
    c->engine->tap.user = log;
    return 0;
}

FILE *cp_endpoint_private_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    int error = errno;

    if (f == NULL && fd >= 0)
        close(fd);
    errno = error;
    return f;
}

/* Whoever reads it reads what these sessions say: it is nobody else's. */
static int log_keys(copal *c, const char *path)
{
    struct cp_credentials *all = c->credentials;
    FILE *file = NULL;

    if (c->driver->security == NULL)
        return cp_why(c->mem, COPAL_ENOTSUP,
                      "key logs: copal was built without GnuTLS");
    if (path != NULL) {
        file = cp_endpoint_private_file(path);
        if (file == NULL)
            return cp_endpoint_file_error(c, path);
    }
    if (all->key_log != NULL)
        fclose(all->key_log);
    all->key_log = file;
    return 0;
}

int copal_log_to(copal *c, copal_log what, const char *path)
{
    switch (what) {
    case COPAL_LOG_CAPTURE:
        cp_endpoint_end_capture(c);
        return path == NULL ? 0 : begin_capture(c, path);
    case COPAL_LOG_KEYS: return log_keys(c, path);
    case COPAL_LOG_RECORDING:
        return path == NULL ? 0 : cp_endpoint_write_recording(c, path);
    default:
        return cp_why(c->mem, COPAL_EINVAL,
                      "log_to: no log %d; COPAL_LOG_CAPTURE, "
                      "COPAL_LOG_KEYS and COPAL_LOG_RECORDING are there",
                      (int)what);
    }
}
