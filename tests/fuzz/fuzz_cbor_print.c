/* Any bytes, printed: the same fault as reading them, and never silence about
 * what was there. RFC 8949 8. */
#include "decoder.h"
#include "wire/cbor_print.h"

enum {
    DEPTH = 32
};

static size_t print(copal_bytes in, enum cp_cbor_style style, bool is_sequence,
                    int expected)
{
    struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
    struct cp_buf b = cp_buf_new(memory());
    copal_bytes text;
    size_t len;

    r.is_sequence = is_sequence;
    require(cp_cbor_print(&r, style, &b) == expected);
    require(cp_buf_finish(&b, &text) == 0);
    require(text.len == 0 || memchr(text.data, '\0', text.len) == NULL);
    require(style == CP_CBOR_INDENTED || is_sequence || text.len == 0 ||
            memchr(text.data, '\n', text.len) == NULL);
    len = text.len;
    cp_buf_free(&b);
    return len;
}

static int check_sequence(copal_bytes in)
{
    struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
    struct cp_cbor_item item;
    int result;

    r.is_sequence = true;
    while ((result = cp_cbor_next(&r, &item)) > 0)
        ;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes in = cp_bytes(data, size);
    int formed = cp_cbor_check(in, DEPTH);
    size_t len = print(in, CP_CBOR_ON_ONE_LINE, false, formed);

    require(formed != 0 || len > 0);
    len = print(in, CP_CBOR_INDENTED, false, formed);
    require(formed != 0 || len > 0);
    print(in, CP_CBOR_INDENTED, true, check_sequence(in));
    require_all_back();
    return 0;
}
