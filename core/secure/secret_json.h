/* JSON that holds secrets: nothing of it is left behind in memory, neither of
 * what was read nor of what could not be. */
#ifndef CP_SECURE_SECRET_JSON_H
#define CP_SECURE_SECRET_JSON_H

#include <jansson.h>

/* Without duplicates in an object. NULL: error says where and why, but not what
 * stands there. */
json_t *cp_secret_json_read(const char *text, size_t len, json_error_t *error);
void cp_secret_json_free(json_t *root);

#endif
