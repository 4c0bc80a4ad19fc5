/* Any bytes: what is read and written again is deterministic, and writing that
 * once more changes nothing. RFC 8949 4.2. */
#include "decoder.h"
#include "wire/cbor.h"

enum {
    DEPTH = 32
};

static void write_item(struct cp_buf *b, const struct cp_cbor_item *item)
{
    switch (item->kind) {
    case CP_CBOR_UNSIGNED: cp_cbor_put_unsigned(b, item->n); break;
    case CP_CBOR_NEGATIVE: cp_cbor_put_negative(b, item->n); break;
    case CP_CBOR_BYTES: cp_cbor_put_bytes(b, item->bytes); break;
    case CP_CBOR_TEXT: cp_cbor_put_text(b, item->bytes); break;
    case CP_CBOR_ARRAY: cp_cbor_put_array(b, item->n); break;
    case CP_CBOR_MAP: cp_cbor_put_map(b, item->n); break;
    case CP_CBOR_TAG: cp_cbor_put_tag(b, item->n); break;
    case CP_CBOR_SIMPLE: cp_cbor_put_simple(b, (uint8_t)item->n); break;
    case CP_CBOR_FLOAT: cp_cbor_put_float(b, item->number); break;
    default: break;
    }
}

/* Writes what in holds; sorts the outermost map. 0, or what reading said; a
 * length that is not told beforehand makes it stop with 1. */
static int normalize(copal_bytes in, struct cp_buf *out)
{
    struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
    struct cp_cbor_item item, first = {.kind = CP_CBOR_END};
    size_t begin = 0;
    int result;

    while ((result = cp_cbor_next(&r, &item)) > 0) {
        require(item.depth >= 0 && item.depth < DEPTH + 1);
        if (item.indefinite)
            return 1;
        if (item.kind == CP_CBOR_BYTES || item.kind == CP_CBOR_TEXT)
            require_within(in, item.bytes);
        write_item(out, &item);
        if (item.parent == CP_CBOR_NOTHING && item.kind != CP_CBOR_END) {
            first = item;
            begin = out->len;
        }
    }
    if (result == 0 && first.kind == CP_CBOR_MAP) {
        result = cp_cbor_sort_map(out, begin, (size_t)first.n);
        require(result == 0 || result == COPAL_EINVAL);
    }
    return result;
}

static void check(copal_bytes in)
{
    struct cp_buf once = cp_buf_new(memory()), twice = cp_buf_new(memory());
    int formed = cp_cbor_check(in, DEPTH);
    int result = normalize(in, &once);
    copal_bytes first, second;

    require(formed <= 0 && (result >= 0) <= (formed == 0 || result == 1));
    if (result == 0) {
        require(cp_buf_finish(&once, &first) == 0);
        require(first.len <= in.len);
        require(normalize(first, &twice) == 0);
        require(cp_buf_finish(&twice, &second) == 0);
        require(cp_bytes_equal(first, second));
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

/* What is strict is written as it was read, but for the order of keys and
 * floats, which are not looked at. */
static void check_strict(copal_bytes in)
{
    struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
    struct cp_buf b = cp_buf_new(memory());
    struct cp_cbor_item item;
    bool has_float = false;
    int result;

    r.is_strict = true;
    while ((result = cp_cbor_next(&r, &item)) > 0) {
        require(!item.indefinite);
        has_float = has_float || item.kind == CP_CBOR_FLOAT;
        write_item(&b, &item);
    }
    require(result != 0 || has_float ||
            cp_bytes_equal(in, cp_bytes(b.data, b.len)));
    require(result != 0 || cp_cbor_check(in, DEPTH) == 0);
    cp_buf_free(&b);
}

static void check_sequence(copal_bytes in)
{
    struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
    struct cp_cbor_item item;
    int result;

    r.is_sequence = true;
    while ((result = cp_cbor_next(&r, &item)) > 0)
        require(cp_cbor_offset(&r, in) <= in.len);
    require(result < 0 || cp_cbor_offset(&r, in) == in.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(cp_bytes(data, size));
    check_sequence(cp_bytes(data, size));
    check_strict(cp_bytes(data, size));
    require_all_back();
    return 0;
}
