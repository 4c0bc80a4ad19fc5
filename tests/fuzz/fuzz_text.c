/* Any bytes as text: UTF-8 is told from what is not as a second decoder does,
 * JSON of it is read back, and what a terminal gets cannot steer it. RFC 3629,
 * RFC 8259. */
#include "base/utf8.h"
#include "decoder.h"
#include "wire/message_print.h"

/* RFC 3629 4, word by word; 0: not a character. */
static size_t character(const uint8_t *s, size_t len, uint32_t *out)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);

    if (n > len || (s[0] >= 0x80 && s[0] < 0xc0) || s[0] >= 0xf8)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    *out = c;
    return c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : n;
}

static bool check_characters(copal_bytes text)
{
    bool all_valid = true;
    size_t n;

    for (size_t i = 0; i < text.len; i += n) {
        uint32_t c = 0;
        size_t expected = character(text.data + i, text.len - i, &c);
        bool valid;

        n = cp_utf8_length(text, i, &valid);
        require(n > 0 && n <= text.len - i);
        require(valid == (expected != 0) && (!valid || n == expected));
        if (valid)
            require(cp_utf8_is_control(cp_bytes(text.data + i, n)) ==
                    (c < 0x20 || (c >= 0x7f && c < 0xa0)));
        all_valid = all_valid && valid;
    }
    return all_valid;
}

/* The byte that an escape of ours stands for. */
static uint8_t unescape(copal_bytes *rest)
{
    static const char letters[] = "\"\\bfnrt", bytes[] = "\"\\\b\f\n\r\t";
    uint8_t letter = (uint8_t)take_number(rest, 1);
    const char *at = letter == 0 ? NULL : strchr(letters, letter);
    copal_bytes digits;
    char text[5] = {0};

    if (at != NULL)
        return (uint8_t)bytes[at - letters];
    require(letter == 'u');
    digits = take_bytes(rest, 4);
    require(digits.len == 4);
    memcpy(text, digits.data, 4);
    return (uint8_t)strtoul(text, NULL, 16);
}

static void check_json(copal_bytes text, bool is_utf8)
{
    struct cp_buf b = cp_buf_new(memory()), back = cp_buf_new(memory());
    copal_bytes rest;

    cp_put_json(&b, text);
    rest = cp_bytes(b.data, b.len);
    require(cp_utf8_is_valid(rest));
    while (rest.len > 0) {
        uint8_t c = (uint8_t)take_number(&rest, 1);

        require(c >= 0x20 && c != '"' && c != 0x7f);
        cp_put_u8(&back, c == '\\' ? unescape(&rest) : c);
    }
    if (is_utf8)
        require(cp_bytes_equal(cp_bytes(back.data, back.len), text));
    cp_buf_free(&b);
    cp_buf_free(&back);
}

static void check_visible(copal_bytes text)
{
    struct cp_buf b = cp_buf_new(memory());
    size_t n;

    cp_put_visible(&b, text);
    for (size_t i = 0; i < b.len; i += n) {
        bool valid;

        n = cp_utf8_length(cp_bytes(b.data, b.len), i, &valid);
        require(valid && !cp_utf8_is_control(cp_bytes(b.data + i, n)));
    }
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes text = cp_bytes(data, size);
    bool is_utf8 = check_characters(text);

    require(cp_utf8_is_valid(text) == is_utf8);
    check_json(text, is_utf8);
    check_visible(text);
    require_all_back();
    return 0;
}
