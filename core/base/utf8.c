#include "base/utf8.h"

/* How many bytes follow a first byte of UTF-8, and the range of the second
 * byte, which shuts out overlong forms, surrogates and what is beyond
 * U+10FFFF. -1: cannot be first. RFC 3629 4. */
static int begins(uint8_t first, uint8_t *low, uint8_t *high)
{
    *low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    *high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (first < 0x80)
        return 0;
    if (first < 0xc2 || first > 0xf4)
        return -1;
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

size_t cp_utf8_length(copal_bytes text, size_t i, bool *valid)
{
    uint8_t low, high;
    int follow = begins(text.data[i], &low, &high);
    size_t n = 1;

    for (; follow > 0; follow--, n++) {
        if (i + n >= text.len || text.data[i + n] < low ||
            text.data[i + n] > high)
            break;
        low = 0x80;
        high = 0xbf;
    }
    *valid = follow == 0;
    return n;
}

bool cp_utf8_is_valid(copal_bytes text)
{
    bool valid = true;

    for (size_t i = 0; i < text.len && valid;)
        i += text.data[i] < 0x80 ? 1 : cp_utf8_length(text, i, &valid);
    return valid;
}

bool cp_utf8_is_control(copal_bytes c)
{
    if (c.len == 1)
        return c.data[0] < 0x20 || c.data[0] == 0x7f;
    return c.data[0] == 0xc2 && c.data[1] < 0xa0;
}
