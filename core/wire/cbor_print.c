#include "wire/cbor_print.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Floats ---- */

struct decimal {
    char digits[20]; /* without trailing zeroes */
    int count;
    int point; /* the value is 0.DIGITS times 10^point */
};

/* "9.5e-08" becomes "9.6e-08"; false: there is nothing but nines. */
static bool step_up(char *text)
{
    for (char *at = strchr(text, 'e'); at > text;) {
        at--;
        if (*at == '9') {
            *at = '0';
        } else if (*at >= '0' && *at < '9') {
            ++*at;
            return true;
        }
    }
    return false;
}

/* The fewest digits that are read back as number, into text. The nearest
 * decimal is not always one of them: below a power of two the floats lie
 * closer together than above, and the next decimal up may be. */
static void find_shortest(double number, char *text, size_t size)
{
    /* Up to DBL_DIG digits survive as they are, zeroes behind them; what is
     * subnormal has less than that. */
    int precision = number < DBL_MIN ? 0 : DBL_DIG - 1;

    for (; precision < DBL_DECIMAL_DIG; precision++) {
        snprintf(text, size, "%.*e", precision, number);
        if (strtod(text, NULL) == number)
            return;
        if (step_up(text) && strtod(text, NULL) == number)
            return;
    }
}

/* The decimal point is whatever the locale says: only digits are taken. */
static struct decimal decimal_of(double number)
{
    struct decimal d = {.count = 0};
    char text[48];
    const char *at = text;

    find_shortest(number, text, sizeof(text));
    for (; *at != '\0' && *at != 'e'; at++)
        if (*at >= '0' && *at <= '9' && d.count < (int)sizeof(d.digits))
            d.digits[d.count++] = *at;
    d.point = *at == 'e' ? atoi(at + 1) + 1 : 1;
    while (d.count > 1 && d.digits[d.count - 1] == '0')
        d.count--;
    return d;
}

/* Between 1e-6 and 1e21, ECMAScript writes no exponent. */
static void print_plain(struct cp_buf *out, const struct decimal *d)
{
    int end = d->count > d->point ? d->count : d->point + 1;

    if (d->point <= 0)
        cp_put_text(out, "0.");
    for (int i = d->point < 0 ? d->point : 0; i < end; i++) {
        if (i == d->point && i > 0)
            cp_put_u8(out, '.');
        cp_put_u8(out, (uint8_t)(i >= 0 && i < d->count ? d->digits[i] : '0'));
    }
}

static void print_scientific(struct cp_buf *out, const struct decimal *d)
{
    cp_put_u8(out, (uint8_t)d->digits[0]);
    cp_put_u8(out, '.');
    if (d->count == 1)
        cp_put_u8(out, '0');
    else
        cp_put_bytes(out, cp_bytes(d->digits + 1, (size_t)d->count - 1));
    cp_put_format(out, "e%+d", d->point - 1);
}

void cp_cbor_print_float(struct cp_buf *out, double number)
{
    struct decimal d;

    if (isnan(number)) {
        cp_put_text(out, "NaN");
        return;
    }
    if (signbit(number))
        cp_put_u8(out, '-');
    if (isinf(number)) {
        cp_put_text(out, "Infinity");
        return;
    }
    d = decimal_of(fabs(number));
    if (number == 0 || (d.point > -6 && d.point <= 21))
        print_plain(out, &d);
    else
        print_scientific(out, &d);
}

/* ---- Items ---- */

static void print_simple(struct cp_buf *out, uint64_t n)
{
    switch (n) {
    case CP_CBOR_FALSE: cp_put_text(out, "false"); break;
    case CP_CBOR_TRUE: cp_put_text(out, "true"); break;
    case CP_CBOR_NULL: cp_put_text(out, "null"); break;
    case CP_CBOR_UNDEFINED: cp_put_text(out, "undefined"); break;
    default: cp_put_format(out, "simple(%" PRIu64 ")", n);
    }
}

static void print_negative(struct cp_buf *out, uint64_t n)
{
    if (n == UINT64_MAX)
        cp_put_text(out, "-18446744073709551616");
    else
        cp_put_format(out, "-%" PRIu64, n + 1);
}

static void print_string(struct cp_buf *out, const struct cp_cbor_item *item)
{
    bool is_text = item->kind == CP_CBOR_TEXT;

    cp_put_text(out, is_text ? "\"" : "h'");
    if (is_text)
        cp_put_json(out, item->bytes);
    else
        cp_put_hex(out, item->bytes);
    cp_put_text(out, is_text ? "\"" : "'");
}

static void print_item(struct cp_buf *out, const struct cp_cbor_item *item)
{
    const char *underscore = item->indefinite ? "_ " : "";

    switch (item->kind) {
    case CP_CBOR_UNSIGNED: cp_put_format(out, "%" PRIu64, item->n); break;
    case CP_CBOR_NEGATIVE: print_negative(out, item->n); break;
    case CP_CBOR_BYTES:
    case CP_CBOR_TEXT:
        /* An indefinite string opens with its first chunk: without any it is
         * written another way. RFC 8949 8.1. */
        if (!item->indefinite)
            print_string(out, item);
        break;
    case CP_CBOR_ARRAY: cp_put_format(out, "[%s", underscore); break;
    case CP_CBOR_MAP: cp_put_format(out, "{%s", underscore); break;
    case CP_CBOR_TAG: cp_put_format(out, "%" PRIu64 "(", item->n); break;
    case CP_CBOR_SIMPLE: print_simple(out, item->n); break;
    case CP_CBOR_FLOAT: cp_cbor_print_float(out, item->number); break;
    default: break;
    }
}

/* ---- What stands between them ---- */

static bool is_of_lines(enum cp_cbor_kind kind)
{
    return kind == CP_CBOR_ARRAY || kind == CP_CBOR_MAP;
}

static void new_line(struct cp_buf *out, int depth)
{
    cp_put_u8(out, '\n');
    for (int i = 0; i < depth; i++)
        cp_put_text(out, "  ");
}

static bool is_string(enum cp_cbor_kind kind)
{
    return kind == CP_CBOR_BYTES || kind == CP_CBOR_TEXT;
}

static void print_before(struct cp_buf *out, enum cp_cbor_style style,
                         const struct cp_cbor_item *item)
{
    bool is_value = item->parent == CP_CBOR_MAP && item->index % 2 == 1;

    if (item->index == 0 && is_string(item->parent))
        cp_put_text(out, "(_ ");
    if (is_value)
        cp_put_text(out, ": ");
    else if (item->parent == CP_CBOR_NOTHING)
        cp_put_text(out, item->index > 0 ? "\n" : "");
    else if (style == CP_CBOR_INDENTED && is_of_lines(item->parent))
        cp_put_text(out, item->index > 0 ? "," : "");
    else
        cp_put_text(out, item->index > 0 ? ", " : "");
    if (style == CP_CBOR_INDENTED && is_of_lines(item->parent) && !is_value)
        new_line(out, item->depth);
}

static void print_end(struct cp_buf *out, enum cp_cbor_style style,
                      const struct cp_cbor_item *item)
{
    if (style == CP_CBOR_INDENTED && is_of_lines(item->parent) &&
        item->index > 0)
        new_line(out, item->depth);
    switch (item->parent) {
    case CP_CBOR_ARRAY: cp_put_u8(out, ']'); break;
    case CP_CBOR_MAP: cp_put_u8(out, '}'); break;
    case CP_CBOR_BYTES: cp_put_text(out, item->index > 0 ? ")" : "''_"); break;
    case CP_CBOR_TEXT: cp_put_text(out, item->index > 0 ? ")" : "\"\"_"); break;
    default: cp_put_u8(out, ')');
    }
}

int cp_cbor_print(struct cp_cbor_reader *r, enum cp_cbor_style style,
                  struct cp_buf *out)
{
    struct cp_cbor_item item;
    int result;

    while ((result = cp_cbor_next(r, &item)) > 0) {
        if (item.kind == CP_CBOR_END) {
            print_end(out, style, &item);
            continue;
        }
        print_before(out, style, &item);
        print_item(out, &item);
    }
    return result;
}
