/* CBOR for people: diagnostic notation, RFC 8949 8. */
#ifndef CP_WIRE_CBOR_PRINT_H
#define CP_WIRE_CBOR_PRINT_H

#include "wire/cbor.h"

enum cp_cbor_style {
    CP_CBOR_ON_ONE_LINE,
    CP_CBOR_INDENTED /* items of arrays and maps each on a line of their own */
};

/* What r has yet to read, appended to out. Numbers as ECMAScript writes them,
 * floats with a point or an exponent; byte strings as h''; text in UTF-8; of
 * the encoding indicators (8.1) only those of indefinite lengths. The items of
 * a sequence stand on lines of their own.
 * 0, or COPAL_EFORMAT or COPAL_ELIMIT as by cp_cbor_next(); then out holds
 * what came before the fault. */
CP_SHARED int cp_cbor_print(struct cp_cbor_reader *r, enum cp_cbor_style style,
                            struct cp_buf *out);

/* A float as above: "1.5", "1.0e+300", "-Infinity", "NaN". */
void cp_cbor_print_float(struct cp_buf *out, double number);

#endif
