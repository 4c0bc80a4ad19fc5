#include "vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

json_t *vectors_load(const char *name)
{
    char path[4096];
    json_error_t error;
    json_t *document;

    snprintf(path, sizeof(path), "%s/%s", COPAL_VECTORS_DIR, name);
    document = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (document == NULL)
        fail_msg("%s:%d: %s", path, error.line, error.text);
    return document;
}

json_t *vectors_rows(json_t *document, const char *key, size_t count)
{
    json_t *rows = json_object_get(document, key);

    if (!json_is_array(rows))
        fail_msg("no array %s", key);
    if (json_array_size(rows) != count)
        fail_msg("%s has %zu rows, not %zu", key, json_array_size(rows), count);
    return rows;
}

static json_t *member(json_t *row, const char *key, json_type type)
{
    json_t *value = json_object_get(row, key);

    if (value == NULL || json_typeof(value) != type)
        fail_msg("no %s of type %d in a row", key, (int)type);
    return value;
}

const char *vectors_text(json_t *row, const char *key)
{
    return json_string_value(member(row, key, JSON_STRING));
}

int vectors_int(json_t *row, const char *key)
{
    return (int)json_integer_value(member(row, key, JSON_INTEGER));
}

bool vectors_bool(json_t *row, const char *key)
{
    json_t *value = json_object_get(row, key);

    if (!json_is_boolean(value))
        fail_msg("no %s, true or false, in a row", key);
    return json_is_true(value);
}

json_t *vectors_array(json_t *row, const char *key)
{
    return member(row, key, JSON_ARRAY);
}

copal_bytes vectors_string_bytes(const json_t *string)
{
    return cp_bytes(json_string_value(string), json_string_length(string));
}

copal_bytes vectors_hex(json_t *row, const char *key, uint8_t *out, size_t cap)
{
    const char *hex = vectors_text(row, key);
    size_t len = strlen(hex) / 2;

    assert_true(strlen(hex) % 2 == 0 && len <= cap);
    for (size_t i = 0; i < len; i++) {
        unsigned byte;

        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return cp_bytes(out, len);
}
