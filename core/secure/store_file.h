/* Files that are either whole or not there, for any thread: system calls on what
 * it is given, and nothing else. */
#ifndef CP_SECURE_STORE_FILE_H
#define CP_SECURE_STORE_FILE_H

#include "base/bytes.h"

/* path is "kind/name" below the directory fd. What is written takes the place of
 * what was there at once, or not at all; kind's directory is made if need be.
 * 0, or errno; *what is then what could not be done. */
int cp_store_file_put(int fd, const char *path, copal_bytes data,
                      const char **what);

/* 0 also where there was none. */
int cp_store_file_remove(int fd, const char *path, const char **what);

#endif
