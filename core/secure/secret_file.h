/* Secrets as they come from outside: files, variables, commands. */
#ifndef CP_SECURE_SECRET_FILE_H
#define CP_SECURE_SECRET_FILE_H

#include "base/buf.h"

enum {
    CP_SECRET_FILE = 1048576 /* bytes at most */
};

/* All of a file into *out, NUL-terminated, to be let go of by cp_free_secret();
 * is_secret: nobody but us may read it. COPAL_ENOENT, COPAL_EPERM, COPAL_EIO,
 * COPAL_ELIMIT, with a sentence. */
int cp_secret_read(struct cp_mem *mem, const char *path, bool is_secret,
                   char **out, size_t *len);

/* What a command writes, run by sh. COPAL_EIO: it failed. */
int cp_secret_run(struct cp_mem *mem, const char *command, char **out,
                  size_t *len);

#endif
