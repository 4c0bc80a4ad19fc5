#include "secure/secret_json.h"
#include "base/mem.h"
#include "secure/wiping.h"

#include <string.h>

/* It may be the secret that the error is next to. */
static void cut_what_is_near(json_error_t *error)
{
    char *near = strstr(error->text, " near ");

    if (near != NULL)
        cp_wipe(near, sizeof(error->text) - (size_t)(near - error->text));
}

json_t *cp_secret_json_read(const char *text, size_t len, json_error_t *error)
{
    json_t *root;

    cp_wiping_jansson();
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, error);
    cp_wiping_jansson_over();
    if (root == NULL)
        cut_what_is_near(error);
    return root;
}

/* Where jansson's allocator is the application's, at least the strings. */
static void wipe_strings(json_t *value)
{
    const char *name;
    json_t *v;
    size_t i;

    if (json_is_string(value))
        cp_wipe((char *)json_string_value(value), json_string_length(value));
    json_object_foreach(value, name, v) wipe_strings(v);
    json_array_foreach(value, i, v) wipe_strings(v);
}

void cp_secret_json_free(json_t *root)
{
    wipe_strings(root);
    cp_wiping_jansson();
    json_decref(root);
    cp_wiping_jansson_over();
}
