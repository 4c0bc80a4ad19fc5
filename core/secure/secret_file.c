#include "secure/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    AT_ONCE = 4096
};

static int failed(struct cp_mem *mem, const char *path)
{
    int err = errno == ENOENT || errno == ENOTDIR ? COPAL_ENOENT
              : errno == EACCES || errno == EPERM ? COPAL_EPERM
                                                  : COPAL_EIO;

    return cp_why(mem, err, "%s: %s", path, strerror(errno));
}

/* Of the file that is open: its name may be another's by now. */
static int check(struct cp_mem *mem, const char *path, int fd, bool is_secret)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return failed(mem, path);
    if (S_ISDIR(st.st_mode))
        return cp_why(mem, COPAL_EIO, "%s: is a directory", path);
    if (is_secret && st.st_uid != geteuid() && st.st_uid != 0)
        return cp_why(mem, COPAL_EPERM,
                      "%s: holds secrets, but belongs to another user; make it "
                      "yours with chown",
                      path);
    if (is_secret && (st.st_mode & 077) != 0)
        return cp_why(mem, COPAL_EPERM,
                      "%s: holds secrets, but others can read or write it; do "
                      "chmod 600 %s",
                      path, path);
    return 0;
}

/* Grows by hand, so that no copy stays behind where it moves. */
static int read_all(struct cp_mem *mem, const char *what, int fd, char **out,
                    size_t *len)
{
    size_t cap = AT_ONCE, used = 0;
    char *data = cp_alloc(mem, cap + 1);
    ssize_t n = 0;

    while (data != NULL) {
        char *more;

        n = read(fd, data + used, cap - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
        if (used < cap)
            continue;
        more = cap >= CP_SECRET_FILE ? NULL : cp_alloc(mem, 2 * cap + 1);
        if (more != NULL)
            memcpy(more, data, used);
        cp_free_secret(mem, data, used);
        if (cap >= CP_SECRET_FILE)
            return cp_why(mem, COPAL_ELIMIT, "%s: longer than %d bytes", what,
                          CP_SECRET_FILE);
        data = more;
        cap = 2 * cap;
    }
    if (data == NULL)
        return COPAL_ENOMEM;
    if (n < 0) {
        int err = failed(mem, what);

        cp_free_secret(mem, data, used);
        return err;
    }
    data[used] = '\0';
    *out = data;
    *len = used;
    return 0;
}

int cp_secret_read(struct cp_mem *mem, const char *path, bool is_secret,
                   char **out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;

    if (fd < 0)
        return failed(mem, path);
    err = check(mem, path, fd, is_secret);
    if (err == 0)
        err = read_all(mem, path, fd, out, len);
    close(fd);
    return err;
}

int cp_secret_run(struct cp_mem *mem, const char *command, char **out,
                  size_t *len)
{
    FILE *from = popen(command, "re");
    int err, status;

    if (from == NULL)
        return cp_why(mem, COPAL_EIO, "%s: %s", command, strerror(errno));
    err = read_all(mem, command, fileno(from), out, len);
    status = pclose(from);
    if (err != 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return err;
    cp_free_secret(mem, *out, *len);
    *out = NULL;
    return cp_why(mem, COPAL_EIO, "%s: failed, with status %d", command,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}
