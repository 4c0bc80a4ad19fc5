#include "wire/links.h"

/* ---- Characters, RFC 6690 2 ---- */

static bool is_alphanumeric(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

/* parmname is made of RFC 5987's attr-char. */
static bool is_name_char(uint8_t c)
{
    return is_alphanumeric(c) || (c != 0 && strchr("!#$&+-.^_`|~", c) != NULL);
}

static bool is_token_char(uint8_t c)
{
    return c > ' ' && c <= '~' && strchr("\",;\\", c) == NULL;
}

static bool is_token(copal_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (!is_token_char(value.data[i]))
            return false;
    return value.len > 0;
}

/* ---- Reading ---- */

/* The grammar has no white space; people's servers do, around "," and ";". */
static void skip_space(struct cp_cursor *c)
{
    while (c->at < c->end &&
           (*c->at == ' ' || (*c->at >= '\t' && *c->at <= '\r')))
        c->at++;
}

static bool skip(struct cp_cursor *c, uint8_t wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static copal_bytes take_while(struct cp_cursor *c, bool (*fits)(uint8_t))
{
    const uint8_t *begin = c->at;

    while (c->at < c->end && fits(*c->at))
        c->at++;
    return cp_bytes(begin, (size_t)(c->at - begin));
}

/* References may hold what is not ASCII, since percent sequences may have been
 * resolved. RFC 6690 2. */
static bool is_target_char(uint8_t c)
{
    return c >= ' ' && c != '<' && c != '>';
}

/* The rest of a quoted string, its closing quote included. */
static bool take_quoted(struct cp_cursor *c, copal_bytes *value)
{
    const uint8_t *begin = c->at;

    while (c->at < c->end && *c->at != '"') {
        if (*c->at == '\\' && ++c->at == c->end)
            return false;
        c->at++;
    }
    *value = cp_bytes(begin, (size_t)(c->at - begin));
    return skip(c, '"');
}

/* Reads name, or name=value. */
static bool take_attribute(struct cp_cursor *c, struct cp_attribute *a)
{
    *a = (struct cp_attribute){.name = take_while(c, is_name_char)};
    if (a->name.len == 0)
        return false;
    if (skip(c, '*'))
        a->name.len++;
    if (!skip(c, '='))
        return true;
    a->has_value = true;
    a->is_quoted = skip(c, '"');
    if (a->is_quoted)
        return take_quoted(c, &a->value);
    a->value = take_while(c, is_token_char);
    return a->value.len > 0;
}

/* Moves over ";name=value..."; false: malformed. */
static bool skip_attributes(struct cp_cursor *c)
{
    struct cp_attribute a;

    for (;;) {
        const uint8_t *end = c->at;

        skip_space(c);
        if (!skip(c, ';')) {
            c->at = end;
            return true;
        }
        skip_space(c);
        if (!take_attribute(c, &a))
            return false;
    }
}

int cp_links_next(copal_bytes *rest, struct cp_link_value *out)
{
    struct cp_cursor c = cp_cursor_of(*rest);
    struct cp_link_value link;
    const uint8_t *begin;

    skip_space(&c);
    if (c.at == c.end)
        return 0;
    if (!skip(&c, '<'))
        return COPAL_EFORMAT;
    link.target = take_while(&c, is_target_char);
    if (!skip(&c, '>'))
        return COPAL_EFORMAT;
    begin = c.at;
    if (!skip_attributes(&c))
        return COPAL_EFORMAT;
    link.attributes = cp_bytes(begin, (size_t)(c.at - begin));
    skip_space(&c);
    if (c.at != c.end && !skip(&c, ','))
        return COPAL_EFORMAT;
    *rest = cp_bytes(c.at, cp_cursor_left(&c));
    *out = link;
    return 1;
}

int cp_attribute_next(copal_bytes *rest, struct cp_attribute *out)
{
    struct cp_cursor c = cp_cursor_of(*rest);
    struct cp_attribute a;

    skip_space(&c);
    if (!skip(&c, ';'))
        return 0;
    skip_space(&c);
    if (!take_attribute(&c, &a))
        return 0;
    *rest = cp_bytes(c.at, cp_cursor_left(&c));
    *out = a;
    return 1;
}

/* The next byte of a's value, escapes resolved, or -1; *at counts raw bytes. */
static int value_byte(const struct cp_attribute *a, size_t *at)
{
    if (*at < a->value.len && a->is_quoted && a->value.data[*at] == '\\')
        ++*at;
    return *at < a->value.len ? a->value.data[(*at)++] : -1;
}

void cp_attribute_put_value(struct cp_buf *out, const struct cp_attribute *a)
{
    size_t at = 0;

    for (int c = value_byte(a, &at); c >= 0; c = value_byte(a, &at))
        cp_put_u8(out, (uint8_t)c);
}

/* ---- Filtering ---- */

static bool is_one_of(copal_bytes name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (cp_bytes_is_text(name, *names))
            return true;
    return false;
}

static bool is_list(copal_bytes name)
{
    static const char *const lists[] = {"rt", "if", "rel", "rev", "ct", NULL};

    return is_one_of(name, lists);
}

struct wanted {
    copal_bytes text;
    bool is_prefix;
};

static bool text_matches(copal_bytes text, const struct wanted *wanted)
{
    if (wanted->is_prefix && text.len > wanted->text.len)
        text.len = wanted->text.len;
    return cp_bytes_equal(text, wanted->text);
}

/* Each word of a list counts as an attribute of its own. */
static bool value_matches(const struct cp_attribute *a,
                          const struct wanted *wanted)
{
    bool by_word = is_list(a->name), same = true;
    size_t at = 0, len = 0;

    for (;;) {
        int c = value_byte(a, &at);

        if (c >= 0 && !(by_word && c == ' ')) {
            if (len < wanted->text.len)
                same = same && wanted->text.data[len] == c;
            len++;
            continue;
        }
        if (same && len >= wanted->text.len &&
            (wanted->is_prefix || len == wanted->text.len) &&
            !(by_word && len == 0))
            return true;
        if (c < 0)
            return false;
        same = true;
        len = 0;
    }
}

static bool attribute_matches(const struct cp_attribute *a,
                              const struct wanted *wanted)
{
    /* "*" alone: the attribute is there, whatever its value. */
    if (wanted->is_prefix && wanted->text.len == 0)
        return true;
    return a->has_value && value_matches(a, wanted);
}

bool cp_links_match(const struct cp_link_value *link, copal_bytes argument)
{
    struct cp_cursor c = cp_cursor_of(argument);
    const uint8_t *equals =
        argument.len == 0 ? NULL : memchr(argument.data, '=', argument.len);
    size_t name_len =
        equals == NULL ? argument.len : (size_t)(equals - argument.data);
    copal_bytes name = cp_take(&c, name_len), rest = link->attributes;
    struct wanted wanted = {.is_prefix = true}; /* "obs" means "obs=*" */
    struct cp_attribute a;

    if (argument.len == 0)
        return true;
    if (skip(&c, '=')) {
        wanted.text = cp_bytes(c.at, cp_cursor_left(&c));
        wanted.is_prefix = wanted.text.len > 0 && c.end[-1] == '*';
        wanted.text.len -= wanted.is_prefix;
    }
    if (cp_bytes_is_text(name, "href"))
        return text_matches(link->target, &wanted);
    while (cp_attribute_next(&rest, &a) == 1)
        if (cp_bytes_equal(a.name, name) && attribute_matches(&a, &wanted))
            return true;
    return false;
}

/* ---- Writing ---- */

void cp_links_put(struct cp_buf *b, copal_bytes target)
{
    if (b->len != 0)
        cp_put_u8(b, ',');
    cp_put_u8(b, '<');
    for (size_t i = 0; i < target.len; i++) {
        if (is_target_char(target.data[i]))
            cp_put_u8(b, target.data[i]);
        else
            cp_put_format(b, "%%%02X", target.data[i]);
    }
    cp_put_u8(b, '>');
}

/* RFC 6690 2 has no quotes around a cardinal, a language tag and an ext-value;
 * one Content-Format stands bare by custom (RFC 7252 7.2.1). */
static bool is_written_bare(copal_bytes name)
{
    static const char *const bare[] = {"ct", "sz", "hreflang", NULL};

    return name.data[name.len - 1] == '*' || is_one_of(name, bare);
}

void cp_links_put_attribute(struct cp_buf *b, const char *name,
                            copal_bytes value)
{
    cp_put_u8(b, ';');
    cp_put_text(b, name);
    if (value.data == NULL)
        return;
    cp_put_u8(b, '=');
    if (is_written_bare(cp_bytes_of_text(name)) && is_token(value)) {
        cp_put_bytes(b, value);
        return;
    }
    cp_put_u8(b, '"');
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '"' || value.data[i] == '\\')
            cp_put_u8(b, '\\');
        cp_put_u8(b, value.data[i]);
    }
    cp_put_u8(b, '"');
}

/* RFC 6690 3, RFC 7252 7.2.1 (erratum 5078), RFC 8288 3.3 and 3.4; anchor, rev
 * and obs, because a second one could say nothing. */
bool cp_attribute_is_single(const char *name)
{
    static const char *const single[] = {
        "rel", "rev",   "anchor", "rt",   "if",    "sz", "ct",
        "obs", "title", "title*", "type", "media", NULL};

    return is_one_of(cp_bytes_of_text(name), single);
}

/* "href" is taken by the filter and must not be one. RFC 6690 2. */
bool cp_attribute_name_is_valid(const char *name)
{
    copal_bytes rest = cp_bytes_of_text(name);

    if (rest.len > 1 && rest.data[rest.len - 1] == '*')
        rest.len--;
    for (size_t i = 0; i < rest.len; i++)
        if (!is_name_char(rest.data[i]))
            return false;
    return rest.len > 0 && strcmp(name, "href") != 0;
}
