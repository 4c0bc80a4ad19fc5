#include "secure/store_file.h"
#include "secure/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char new_name[] = ".new"; /* no name that a path can have */

static bool write_all(int fd, copal_bytes data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.data, data.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = cp_bytes(data.data + n, data.len - (size_t)n);
    }
    return true;
}

/* The directory of path's kind. -1: errno. */
static int open_kind(int fd, const char *path)
{
    char kind[CP_STORE_PATH + 1];
    size_t len = (size_t)(strchr(path, '/') - path);

    memcpy(kind, path, len);
    kind[len] = '\0';
    if (mkdirat(fd, kind, 0700) == 0)
        (void)fsync(fd); /* else what is put there would go with it */
    else if (errno != EEXIST)
        return -1;
    return openat(fd, kind, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool write_new(int kind, copal_bytes data)
{
    bool is_written;
    int fd, before;

    (void)unlinkat(kind, new_name, 0); /* a crash left it */
    fd = openat(kind, new_name,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return false;
    is_written = write_all(fd, data) && fsync(fd) == 0;
    before = errno;
    if (close(fd) != 0 && is_written)
        return false;
    errno = before;
    return is_written;
}

int cp_store_file_put(int fd, const char *path, copal_bytes data,
                      const char **what)
{
    int kind = open_kind(fd, path), error = 0;

    *what = "its directory cannot be made";
    if (kind < 0)
        return errno;
    *what = "cannot be written";
    if (!write_new(kind, data) ||
        renameat(kind, new_name, kind, strchr(path, '/') + 1) != 0 ||
        fsync(kind) != 0)
        error = errno;
    close(kind);
    return error;
}

int cp_store_file_remove(int fd, const char *path, const char **what)
{
    int kind, error = 0;

    *what = "cannot be removed";
    if (unlinkat(fd, path, 0) != 0)
        return errno == ENOENT ? 0 : errno;
    kind = open_kind(fd, path);
    if (kind < 0)
        return errno;
    if (fsync(kind) != 0)
        error = errno;
    close(kind);
    return error;
}
