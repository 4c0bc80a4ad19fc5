/* Test vectors: the JSON files of tests/vectors/. What is missing or not as
 * long as expected fails the test that asks; no row is ever skipped. */
#ifndef TESTS_VECTORS_H
#define TESTS_VECTORS_H

#include <jansson.h>
#include "base/bytes.h"

/* The document in name, "uri.json". Free with json_decref(). */
json_t *vectors_load(const char *name);

/* The array called key in the document, which has count rows. */
json_t *vectors_rows(json_t *document, const char *key, size_t count);

/* A member of a row that is there and has the type that the name says. */
const char *vectors_text(json_t *row, const char *key);
int vectors_int(json_t *row, const char *key);
bool vectors_bool(json_t *row, const char *key);
json_t *vectors_array(json_t *row, const char *key);

/* A string's bytes, a NUL inside it included. */
copal_bytes vectors_string_bytes(const json_t *string);

/* A member "0a1b" as bytes in out, which has room for cap. */
copal_bytes vectors_hex(json_t *row, const char *key, uint8_t *out, size_t cap);

#endif
