/* An OSCORE context as a credentials file has it: {"secret-file": "key",
 * "sender_id": "0x01", "recipient_id": ""}, and the other fields of copal_oscore
 * by their names. */
#ifndef CP_SECURE_OSCORE_ENTRY_H
#define CP_SECURE_OSCORE_ENTRY_H

#include <jansson.h>
#include "secure/oscore.h"

struct cp_oscore_entry {
    struct cp_oscore_spec spec; /* views into texts */
    char *texts[5];
    size_t lens[5];
};

/* *out, also where it fails, is to be freed. As cp_credentials_read_file(). */
int cp_oscore_entry_read(struct cp_mem *mem, const char *file,
                         const char *scope, const json_t *object,
                         struct cp_oscore_entry **out);
void cp_oscore_entry_free(struct cp_mem *mem, struct cp_oscore_entry *e);

/* A request could be meant for either, and is for one. */
bool cp_oscore_entry_clashes(const struct cp_oscore_entry *a,
                             const struct cp_oscore_entry *b);

#endif
