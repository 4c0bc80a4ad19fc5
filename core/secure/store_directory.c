/* A store of files: a directory for each kind, a file for each name. What is put
 * is written beside the old file, made durable, and takes its place at once, so
 * that after a crash one of the two is there, whole. */
#include "secure/store_writer.h"
#include "engine/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct directory {
    struct cp_store store;
    char *name;
    struct cp_store_writer *writer; /* NULL: nothing was put yet, or none */
    int fd;                         /* of the directory */
    int lock;                       /* of the file in it that is ours alone */
};

/* ---- Sentences ---- */

static int failed(struct cp_mem *mem, const char *directory, const char *path,
                  const char *what)
{
    int err =
        errno == ENOENT || errno == ENOTDIR ? COPAL_ENOENT
        : errno == EACCES || errno == EPERM || errno == ELOOP || errno == EROFS
            ? COPAL_EPERM
            : COPAL_EIO;

    return cp_why(mem, err, "%s%s%s: %s: %s", directory,
                  path == NULL ? "" : "/", path == NULL ? "" : path, what,
                  strerror(errno));
}

/* Of something that is open: its name may be another's by now. */
static int check(struct cp_mem *mem, const char *directory, const char *path,
                 int fd, bool is_file)
{
    const char *slash = path == NULL ? "" : "/";
    struct stat st;

    path = path == NULL ? "" : path;
    if (fstat(fd, &st) != 0)
        return failed(mem, directory, path, "cannot be looked at");
    if (is_file && !S_ISREG(st.st_mode))
        return cp_why(mem, COPAL_EPERM, "%s%s%s: is no plain file", directory,
                      slash, path);
    if (st.st_uid != geteuid())
        return cp_why(mem, COPAL_EPERM,
                      "%s%s%s: holds secrets, but belongs to another user; "
                      "make it yours with chown",
                      directory, slash, path);
    if ((st.st_mode & 077) != 0)
        return cp_why(mem, COPAL_EPERM,
                      "%s%s%s: holds secrets, but others can look into it; do "
                      "chmod %s %s%s%s",
                      directory, slash, path, is_file ? "600" : "700",
                      directory, slash, path);
    return 0;
}

/* Never COPAL_ENOENT: that is for what was looked for, and means a fresh
 * start. */
static int of_store(const struct directory *d, const char *path,
                    const char *what)
{
    int err = failed(d->store.mem, d->name, path, what);

    return err == COPAL_ENOENT ? COPAL_EIO : err;
}

/* ---- Files ---- */

static bool read_all(int fd, uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static int get(const struct directory *d, const char *path, uint8_t **out,
               size_t *len)
{
    struct cp_mem *mem = d->store.mem;
    int fd = openat(d->fd, path,
                    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int err;

    if (fd < 0 && errno == ENOENT)
        return COPAL_ENOENT;
    if (fd < 0)
        return of_store(d, path, "cannot be read");
    err = check(mem, d->name, path, fd, true);
    if (err == 0 && fstat(fd, &st) != 0)
        err = of_store(d, path, "cannot be read");
    if (err == 0 && st.st_size > CP_STORE_VALUE + 1024)
        err = cp_why(mem, COPAL_EFORMAT,
                     "%s/%s: is longer than anything that "
                     "copal puts there",
                     d->name, path);
    if (err == 0) {
        *len = (size_t)st.st_size;
        *out = cp_alloc(mem, *len + 1);
        err = *out == NULL ? COPAL_ENOMEM : 0;
    }
    if (err == 0 && !read_all(fd, *out, *len)) {
        err = of_store(d, path, "cannot be read");
        cp_free_secret(mem, *out, *len);
    }
    close(fd);
    return err;
}

/* ---- The table ---- */

static void over(struct cp_store_op *op)
{
    const struct directory *d =
        cp_container_of(op->store, struct directory, store);
    int err = 0;

    errno = op->error;
    if (op->error != 0)
        err = of_store(d, op->path, op->failed_at);
    cp_store_over(op, err, (copal_bytes){0});
}

static void begin_get(struct directory *d, struct cp_store_op *op)
{
    uint8_t *got = NULL;
    size_t len = 0;
    int err = get(d, op->path, &got, &len);

    cp_store_over(op, err, cp_bytes(got, len));
    if (err == 0)
        cp_free_secret(d->store.mem, got, len);
}

/* Where time is the world's, a thread writes; where it is simulated, or the
 * endpoint has ended, who is asked does. */
static void begin(struct cp_store *s, struct cp_store_op *op)
{
    struct directory *d = cp_container_of(s, struct directory, store);

    if (op->what == CP_STORE_GET) {
        begin_get(d, op);
        return;
    }
    if (d->writer == NULL && s->engine != NULL &&
        !s->engine->driver->ops->is_virtual)
        d->writer = cp_store_writer_new(s->mem, s->engine, d->fd, over);
    if (d->writer != NULL) {
        cp_store_writer_take(d->writer, op);
        return;
    }
    cp_store_writer_do(d->fd, op);
    over(op);
}

static void drain(struct cp_store *s)
{
    struct directory *d = cp_container_of(s, struct directory, store);

    if (d->writer != NULL)
        cp_store_writer_drain(d->writer);
}

static void end(struct cp_store *s)
{
    struct directory *d = cp_container_of(s, struct directory, store);

    if (d->writer == NULL)
        return;
    while (s->begun.count > 0) /* one of a path lets the next begin */
        cp_store_writer_drain(d->writer);
    cp_store_writer_free(d->writer);
    d->writer = NULL;
}

static int read_now(struct cp_store *s, const char *path, uint8_t **out,
                    size_t *len)
{
    return get(cp_container_of(s, struct directory, store), path, out, len);
}

static void free_directory(struct cp_store *s)
{
    struct directory *d = cp_container_of(s, struct directory, store);
    struct cp_mem *mem = s->mem;

    if (d->lock >= 0)
        close(d->lock); /* which gives it back */
    if (d->fd >= 0)
        close(d->fd);
    cp_free(mem, d->name);
    cp_free(mem, d);
}

static const struct cp_store_back files = {
    .begin = begin,
    .read = read_now,
    .drain = drain,
    .end = end,
    .outlives_engine = true,
    .free = free_directory,
};

/* ---- Opening ---- */

static int open_directory(struct directory *d)
{
    struct cp_mem *mem = d->store.mem;

    if (mkdir(d->name, 0700) != 0 && errno != EEXIST)
        return failed(mem, d->name, NULL, "cannot be made");
    d->fd = open(d->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->fd < 0)
        return failed(mem, d->name, NULL, "cannot be opened");
    return check(mem, d->name, NULL, d->fd, false);
}

static int in_use(struct directory *d)
{
    char pid[24] = "";
    ssize_t n = pread(d->lock, pid, sizeof(pid) - 1, 0);
    long number = n > 0 ? strtol(pid, NULL, 10) : 0;
    char whose[64] = "another endpoint keeps its state there";

    if (number == (long)getpid())
        snprintf(whose, sizeof(whose),
                 "another endpoint of this process keeps its state there");
    else if (number > 0)
        snprintf(whose, sizeof(whose), "process %ld keeps its state there",
                 number);
    return cp_why(d->store.mem, COPAL_EINUSE,
                  "%s: %s, and two of the same keys would use a number twice; "
                  "end the other, or give each a directory",
                  d->name, whose);
}

/* The system gives it back when we end, in whichever way. */
static int lock(struct directory *d)
{
    char pid[24];
    int err, len;

    d->lock =
        openat(d->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (d->lock < 0)
        return of_store(d, "lock", "cannot be opened");
    err = check(d->store.mem, d->name, "lock", d->lock, true);
    if (err != 0)
        return err;
    if (flock(d->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? in_use(d)
                                    : of_store(d, "lock", "cannot be locked");
    /* For sentences only. */
    len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(d->lock, 0) != 0 ||
        pwrite(d->lock, pid, (size_t)len, 0) != len)
        return of_store(d, "lock", "cannot be written");
    return 0;
}

int cp_store_open(struct cp_mem *mem, struct cp_engine *e,
                  const char *directory, struct cp_store **out)
{
    struct directory *d = cp_zalloc(mem, sizeof(*d));
    int err;

    if (d == NULL)
        return COPAL_ENOMEM;
    d->fd = d->lock = -1;
    cp_store_init(&d->store, &files, mem, e);
    d->name = cp_copy_text(mem, directory, strlen(directory));
    err = d->name == NULL ? COPAL_ENOMEM : open_directory(d);
    if (err == 0)
        err = lock(d);
    if (err != 0) {
        cp_store_free(&d->store);
        return err;
    }
    d->store.name = d->name;
    *out = &d->store;
    return 0;
}
