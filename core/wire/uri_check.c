#include "wire/uri_check.h"
#include "base/utf8.h"
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

int cp_uri_check_part(const struct cp_uri_work *w, copal_bytes part,
                      const char *what)
{
    uint8_t decoded[MAX_PART];
    copal_bytes rest = part;
    size_t len = 0;

    for (; rest.len > 0; len++) {
        uint8_t c = cp_char_take(&rest);

        if (len < MAX_PART)
            decoded[len] = c;
    }
    if (len > MAX_PART)
        return cp_uri_say(w,
                          "the %s at character %d has %zu bytes; make it %d "
                          "at most",
                          what, cp_uri_place(w, part.data), len, MAX_PART);
    /* An encoded part is UTF-8 once it is decoded. RFC 7252 3.2, 6.4. */
    if (!cp_utf8_is_valid(cp_bytes(decoded, len)))
        return cp_uri_say(w,
                          "the %s at character %d is not UTF-8 once decoded; "
                          "percent-encode the bytes of its UTF-8 form",
                          what, cp_uri_place(w, part.data));
    return 0;
}
