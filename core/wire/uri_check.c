#include "wire/uri_check.h"
#include "wire/uri_chars.h"
#include <stdio.h>

enum {
    MAX_PART = 255, /* bytes of a host, segment or argument; RFC 7252 5.10 */
    SHOWN = 80,     /* bytes of a URI in a sentence about it */
    SENTENCE = 384
};

int cp_uri_say(const struct cp_uri_work *w, const char *format, ...)
{
    bool is_cut = strnlen(w->text, SHOWN + 1) > SHOWN;
    char text[SENTENCE];
    va_list list;
    int len = snprintf(text, sizeof(text), "%.*s%s: ", SHOWN, w->text,
                       is_cut ? "..." : "");

    va_start(list, format);
    vsnprintf(text + len, sizeof(text) - (size_t)len, format, list);
    va_end(list);
    /* The URI may come from anywhere, and the sentence goes to terminals. */
    for (char *c = text; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return cp_why(w->mem, COPAL_EURI, "%s", text);
}

int cp_uri_place(const struct cp_uri_work *w, const uint8_t *at)
{
    return (int)(at - (const uint8_t *)w->text) + 1;
}

int cp_uri_say_bad_character(const struct cp_uri_work *w, const uint8_t *at)
{
    if (*at == '#')
        return cp_uri_say(w,
                          "a fragment stays with who uses the URI; cut off "
                          "everything from the # at character %d",
                          cp_uri_place(w, at));
    if (*at == ' ')
        return cp_uri_say(w,
                          "a space at character %d; percent-encode it as %%20",
                          cp_uri_place(w, at));
    if (*at > ' ' && *at <= '~')
        return cp_uri_say(w,
                          "a %c cannot stand at character %d; "
                          "percent-encode it as %%%02X",
                          *at, cp_uri_place(w, at), *at);
    return cp_uri_say(w,
                      "the byte 0x%02X at character %d is not printable "
                      "ASCII; percent-encode it as %%%02X",
                      *at, cp_uri_place(w, at), *at);
}

int cp_uri_check_characters(const struct cp_uri_work *w, copal_bytes part,
                            const char *also)
{
    for (size_t i = 0; i < part.len; i++) {
        uint8_t c = part.data[i];

        if (cp_char_is_name(c) || (c != 0 && strchr(also, c) != NULL))
            continue;
        if (c != '%')
            return cp_uri_say_bad_character(w, part.data + i);
        if (part.len - i < 3 || cp_char_hex(part.data[i + 1]) < 0 ||
            cp_char_hex(part.data[i + 2]) < 0)
            return cp_uri_say(
                w,
                "the %% at character %d needs two hexadecimal "
                "digits behind it; for the sign itself write %%25",
                cp_uri_place(w, part.data + i));
    }
    return 0;
}

/* How many bytes follow the first of a character in UTF-8, 0 where none can;
 * *least is what the character must be at least. RFC 3629 3. */
static int utf8_tail(uint8_t first, uint32_t *least)
{
    int tail = 0;

    if (first >= 0xc2 && first <= 0xdf)
        tail = 1;
    else if (first >= 0xe0 && first <= 0xef)
        tail = 2;
    else if (first >= 0xf0 && first <= 0xf4)
        tail = 3;
    *least = tail == 1 ? 0x80 : tail == 2 ? 0x800 : 0x10000;
    return tail;
}

/* An encoded part is UTF-8 once it is decoded. RFC 7252 3.2, 6.4. */
static bool is_utf8(copal_bytes part)
{
    while (part.len > 0) {
        uint8_t first = cp_char_take(&part);
        uint32_t least, c;
        int tail = utf8_tail(first, &least);

        if (first < 0x80)
            continue;
        if (tail == 0)
            return false;
        for (c = first & (0x3fu >> tail); tail > 0; tail--) {
            uint8_t next = part.len > 0 ? cp_char_take(&part) : 0;

            if ((next & 0xc0) != 0x80)
                return false;
            c = c << 6 | (next & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
    }
    return true;
}

int cp_uri_check_part(const struct cp_uri_work *w, copal_bytes part,
                      const char *what)
{
    copal_bytes rest = part;
    size_t len = 0;

    for (; rest.len > 0; len++)
        cp_char_take(&rest);
    if (len > MAX_PART)
        return cp_uri_say(w,
                          "the %s at character %d has %zu bytes; make it %d "
                          "at most",
                          what, cp_uri_place(w, part.data), len, MAX_PART);
    if (!is_utf8(part))
        return cp_uri_say(w,
                          "the %s at character %d is not UTF-8 once decoded; "
                          "percent-encode the bytes of its UTF-8 form",
                          what, cp_uri_place(w, part.data));
    return 0;
}
