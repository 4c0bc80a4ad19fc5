/* Credentials in a file: JSON, scopes as keys. Nobody but its owner may read
 * it.
 *
 *   { "coaps://192.168.1.2":   {"psk-id": "me", "psk-cmd": "pass show home"},
 *     "coaps://STAR.lab.example": {"cert": "lab.pem", "key": "lab.key",
 *                               "ca": "lab-ca.pem"},
 *     "*": [{"psk-id": "lamp", "psk": "0x0123"}, {"rpk": "me.pub", ...}] }
 *
 * A key is psk itself, or what psk-file, psk-env (a variable) or psk-cmd (a
 * command's output) has; "0x" and digits are hexadecimal, anything else is
 * itself. cert, rpk (a bare public key), key and ca are PEM, or files of it.
 * Files are beside this one unless they begin with "/". */
#ifndef CP_SECURE_CREDENTIALS_FILE_H
#define CP_SECURE_CREDENTIALS_FILE_H

#include "secure/credentials.h"

struct cp_edhoc_spec;
struct cp_oscore;

/* Where entries go that are no business of TLS. */
struct cp_credentials_more {
    struct cp_oscore *(*oscore)(void *user); /* NULL: out of memory */
    /* As copal_use_edhoc(); is_trial: without doing it. */
    int (*edhoc)(void *user, const char *scope,
                 const struct cp_edhoc_spec *spec, bool is_trial);
    /* As copal_profile(), likewise. */
    int (*profile)(void *user, const char *scope, const char *name,
                   bool is_trial);
    void *user;
};

/* All of it, or nothing. ENOENT, EIO: it, or a file it names; EPERM: others can
 * read such a file, or it is somebody else's; EFORMAT: what is wrong where, and
 * errors of cp_credentials_use_psk() and _cert(). */
int cp_credentials_read_file(struct cp_credentials *all,
                             const struct cp_credentials_more *more,
                             const char *path);

/* ---- For entries of other kinds ---- */

/* A value that is secret: by itself, or from where the end of name says, -file,
 * -env or -cmd; after "0x" in hexadecimal digits. *out is NULL or to be freed with
 * cp_free_secret(). All errors above. */
int cp_credentials_take_secret(struct cp_mem *mem, const char *file,
                               const char *scope, const char *name,
                               const char *text, char **out, size_t *len);

/* The same of what everybody may see: a file may be readable by all. */
int cp_credentials_take_public(struct cp_mem *mem, const char *file,
                               const char *scope, const char *name,
                               const char *text, char **out, size_t *len);

#endif
