#include "serve/pattern.h"
#include "serve/tree.h"
#include "wire/message.h"
#include "wire/uri_chars.h"

static bool is_escape(copal_bytes s)
{
    return s.len >= 3 && s.data[0] == '%' && cp_char_hex(s.data[1]) >= 0 &&
           cp_char_hex(s.data[2]) >= 0;
}

/* Decodes into out and returns the length; beyond CP_MAX_SEGMENT it only
 * counts. */
static size_t decode(copal_bytes raw, char out[CP_MAX_SEGMENT])
{
    size_t len = 0;

    for (; raw.len > 0; len++) {
        char c = (char)cp_char_take(&raw);

        if (len < CP_MAX_SEGMENT)
            out[len] = c;
    }
    return len;
}

/* The raw segment that *rest begins with, after its "/". */
static bool next_raw(const char **rest, copal_bytes *raw)
{
    size_t len;

    if (**rest != '/')
        return false;
    len = strcspn(*rest + 1, "/");
    *raw = cp_bytes(*rest + 1, len);
    *rest += 1 + len;
    return true;
}

static bool is_name(copal_bytes raw)
{
    return raw.len > 2 && raw.data[0] == '{' && raw.data[raw.len - 1] == '}';
}

bool cp_pattern_next(const char **rest, struct cp_pattern_step *out)
{
    copal_bytes raw;

    if (!next_raw(rest, &raw))
        return false;
    out->kind = CP_PLACE_LITERAL;
    if (cp_bytes_is_text(raw, "*")) {
        out->kind = CP_PLACE_REST;
        raw.len = 0;
    } else if (is_name(raw)) {
        out->kind = CP_PLACE_NAMED;
        raw = cp_bytes(raw.data + 1, raw.len - 2);
    }
    out->len = decode(raw, out->text);
    return true;
}

/* What is wrong with a raw segment, or NULL. */
static const char *fault_of(copal_bytes raw, bool is_last)
{
    char text[CP_MAX_SEGMENT];
    size_t len;

    if (cp_bytes_is_text(raw, "*"))
        return is_last ? NULL
                       : "\"*\" takes all that follows, so it comes last";
    if (is_name(raw))
        raw = cp_bytes(raw.data + 1, raw.len - 2);
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t c = raw.data[i];

        if (c == '%' && !is_escape(cp_bytes(raw.data + i, raw.len - i)))
            return "\"%\" begins an escape like %2F; write %25 for itself";
        if (c == '*')
            return "\"*\" stands alone as the last segment; write %2A for "
                   "itself";
        if (c == '{' || c == '}')
            return "{name} is a whole segment; write %7B and %7D for braces";
        if (c == '?' || c == '#')
            return "a path ends before \"?\" and \"#\"; write %3F and %23 for "
                   "themselves";
    }
    len = decode(raw, text);
    if (len > CP_MAX_SEGMENT)
        return "a segment has at most 255 bytes";
    /* Uri-Path never holds these: RFC 7252 5.10.1. */
    if ((len == 1 || len == 2) && memcmp(text, "..", len) == 0)
        return "\".\" and \"..\" cannot be asked for";
    return NULL;
}

int cp_pattern_check(struct cp_mem *mem, const char *pattern, const char **rest)
{
    const char *left = pattern;
    const char *fault = NULL;
    copal_bytes raw;

    *rest = "";
    if (pattern == NULL)
        return cp_why(mem, COPAL_EINVAL, "no path: it begins with \"/\"");
    if (strcmp(pattern, "*") == 0 || strcmp(pattern, "/") == 0)
        return 0;
    if (strncmp(pattern, "://", 3) == 0)
        return cp_why(mem, COPAL_EINVAL,
                      "%s: paths of proxies are not built in yet", pattern);
    if (*pattern != '/')
        return cp_why(mem, COPAL_EINVAL,
                      "%s: a path begins with \"/\", or is \"*\"", pattern);
    while (fault == NULL && next_raw(&left, &raw))
        fault = fault_of(raw, *left == '\0');
    if (fault != NULL)
        return cp_why(mem, COPAL_EINVAL, "%s: %s", pattern, fault);
    *rest = pattern;
    return 0;
}

int cp_pattern_add_path(struct cp_mem *mem, copal_msg *m, const char *path)
{
    char text[CP_MAX_SEGMENT];
    copal_bytes raw;
    int err = 0;

    if (path == NULL || *path != '/')
        return cp_why(mem, COPAL_EINVAL, "%s: a path begins with \"/\"",
                      path == NULL ? "no path" : path);
    if (strcmp(path, "/") == 0)
        return 0;
    while (err == 0 && next_raw(&path, &raw)) {
        size_t len = decode(raw, text);

        if (len > CP_MAX_SEGMENT)
            return cp_why(mem, COPAL_EINVAL,
                          "a segment of a path has at most 255 bytes");
        err = cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes(text, len));
    }
    return err;
}
