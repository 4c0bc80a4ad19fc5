#include "base/base64.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cp_put_base64(struct cp_buf *b, copal_bytes v)
{
    for (size_t i = 0; i < v.len; i += 3) {
        size_t n = v.len - i < 3 ? v.len - i : 3;
        uint32_t bits = (uint32_t)v.data[i] << 16;

        if (n > 1)
            bits |= (uint32_t)v.data[i + 1] << 8;
        if (n > 2)
            bits |= v.data[i + 2];
        for (size_t k = 0; k < 4; k++)
            cp_put_u8(b, k <= n ? (uint8_t)digits[bits >> (18 - 6 * k) & 63]
                                : (uint8_t)'=');
    }
}

static int value_of(uint8_t digit)
{
    const char *at = digit == 0 ? NULL : strchr(digits, digit);

    return at == NULL ? -1 : (int)(at - digits);
}

int cp_base64_read(copal_bytes text, uint8_t *out, size_t cap, size_t *len)
{
    size_t padding = 0;

    *len = 0;
    if (text.len % 4 != 0)
        return COPAL_EFORMAT;
    while (padding < 2 && padding < text.len &&
           text.data[text.len - 1 - padding] == '=')
        padding++;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t n = i + 4 == text.len ? 3 - padding : 3;
        uint32_t bits = 0;

        for (size_t k = 0; k < 4; k++) {
            int value = k <= n ? value_of(text.data[i + k]) : 0;

            if (value < 0)
                return COPAL_EFORMAT;
            bits = bits << 6 | (uint32_t)value;
        }
        if ((bits & ((UINT32_C(1) << (24 - 8 * n)) - 1)) != 0)
            return COPAL_EFORMAT; /* another would read as the same bytes */
        if (*len + n > cap)
            return COPAL_ELIMIT;
        for (size_t k = 0; k < n; k++)
            out[(*len)++] = (uint8_t)(bits >> (16 - 8 * k));
    }
    return 0;
}
