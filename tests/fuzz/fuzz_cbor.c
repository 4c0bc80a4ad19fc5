/* Any bytes: what is read is printed without a fault; written again it is
 * deterministic, and writing that once more changes nothing. RFC 8949 4.2. */
#include "wire/cbor_print.h"
#include "wire/missing.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    DEPTH = 32
};

static void require(bool fact)
{
    if (!fact)
        abort();
}

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

static void check_print(struct cp_mem *mem, copal_bytes in, int expected)
{
    for (int style = CP_CBOR_ON_ONE_LINE; style <= CP_CBOR_INDENTED; style++) {
        struct cp_cbor_reader r = cp_cbor_read(in, DEPTH);
        struct cp_buf b = cp_buf_new(mem);
        copal_bytes text;

        require(cp_cbor_print(&r, (enum cp_cbor_style)style, &b) == expected);
        require(cp_buf_finish(&b, &text) == 0);
        require(expected != 0 || text.len > 0);
        cp_buf_free(&b);
    }
}

static void check(struct cp_mem *mem, copal_bytes in)
{
    struct cp_buf once = cp_buf_new(mem), twice = cp_buf_new(mem);
    int formed = cp_cbor_check(in, DEPTH);
    int result = normalize(in, &once);
    copal_bytes first, second;

    check_print(mem, in, formed);
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

/* RFC 9177 5: what is taken rises and stays below the body's end. */
static void check_missing(copal_bytes in)
{
    uint32_t nums[10];
    size_t n;

    if (cp_missing_read(in, 1000, nums, 10, &n) != 0)
        return;
    require(n > 0 && n <= 10 && nums[n - 1] < 1000);
    for (size_t i = 1; i < n; i++)
        require(nums[i - 1] < nums[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);

    if (mem == NULL)
        return 0;
    check(mem, cp_bytes(data, size));
    check_sequence(cp_bytes(data, size));
    check_missing(cp_bytes(data, size));
    cp_mem_release(mem);
    return 0;
}
