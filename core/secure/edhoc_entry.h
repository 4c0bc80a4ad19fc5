/* Keys for EDHOC as a credentials file has them: {"method": 3, "suite": 2,
 * "private_key-file": "key", "credential": "0xa1...", "peer_credential": ...},
 * the fields of copal_edhoc by their names. Bytes stand after 0x, or as PEM; what
 * is secret also as -file, -env or -cmd, what is not as -file;
 * peer_credential may be a list. */
#ifndef CP_SECURE_EDHOC_ENTRY_H
#define CP_SECURE_EDHOC_ENTRY_H

#include <jansson.h>
#include "secure/edhoc_keys.h"

struct cp_edhoc_entry {
    struct cp_edhoc_spec spec; /* views into what follows */
    char *private_key;
    size_t private_key_len;
    struct cp_buf credential, identifier, peers;
};

/* *out, also where it fails, is to be freed. As cp_credentials_read_file(). */
int cp_edhoc_entry_read(struct cp_mem *mem, const char *file, const char *scope,
                        const json_t *object, struct cp_edhoc_entry **out);
void cp_edhoc_entry_free(struct cp_mem *mem, struct cp_edhoc_entry *e);

#endif
