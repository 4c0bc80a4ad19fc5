#include "wire/problem.h"
#include "wire/cbor.h"

enum {
    TITLE = -1,
    DETAIL = -2,
    INSTANCE = -3,
    RESPONSE_CODE = -4,
    BASE_URI = -5,
    BASE_LANG = -6,
    BASE_RTL = -7, /* the last with a field */

    TAG_LANGUAGE = 38,
    LONGEST_SUBTAG = 8
};

/* A key of the map, an integer or a URI, and its value as it is encoded. */
struct entry {
    int64_t key;
    copal_bytes uri; /* data NULL: the key is an integer */
    copal_bytes raw_key, value;
};

/* ---- Reading ---- */

static bool has_field(const struct entry *e)
{
    return e->uri.data == NULL && e->key <= TITLE && e->key >= BASE_RTL;
}

static bool same_key(const struct entry *a, const struct entry *b)
{
    if (a->uri.data == NULL || b->uri.data == NULL)
        return a->uri.data == b->uri.data && a->key == b->key;
    return cp_bytes_equal(a->uri, b->uri);
}

/* A key is an integer or the URI of who defined the entry. */
static int read_key(const struct cp_cbor_item *item, struct entry *out)
{
    switch (item->kind) {
    case CP_CBOR_UNSIGNED:
    case CP_CBOR_NEGATIVE:
        if (item->n > INT64_MAX)
            return COPAL_ELIMIT;
        out->key = item->kind == CP_CBOR_UNSIGNED ? (int64_t)item->n
                                                  : -1 - (int64_t)item->n;
        return 0;
    case CP_CBOR_TEXT:
        out->uri = item->bytes;
        return item->indefinite || item->bytes.len == 0 ? COPAL_EFORMAT : 0;
    default: return COPAL_EFORMAT;
    }
}

static copal_bytes part(copal_bytes whole, size_t begin, size_t end)
{
    return cp_bytes(whole.data + begin, end - begin);
}

/* The next entry of the map that r is in. 1; 0: there is none; or an error. */
static int next_entry(struct cp_cbor_reader *r, copal_bytes in,
                      struct entry *out)
{
    size_t begin = cp_cbor_offset(r, in), middle;
    struct cp_cbor_item item;
    int err = cp_cbor_next(r, &item);

    *out = (struct entry){0};
    if (err < 0 || item.kind == CP_CBOR_END)
        return err < 0 ? err : 0;
    err = read_key(&item, out);
    if (err != 0)
        return err;
    middle = cp_cbor_offset(r, in);
    out->raw_key = part(in, begin, middle);
    err = cp_cbor_next(r, &item);
    if (err > 0)
        err = cp_cbor_skip(r, &item);
    if (err < 0)
        return err;
    out->value = part(in, middle, cp_cbor_offset(r, in));
    /* Entries of others are maps, and not empty ones. */
    if ((out->uri.data != NULL || out->key >= 0) &&
        (item.kind != CP_CBOR_MAP || (!item.indefinite && item.n == 0)))
        return COPAL_EFORMAT;
    return 1;
}

/* Begins to read a map. */
static int open_map(struct cp_cbor_reader *r, copal_bytes in)
{
    struct cp_cbor_item item;
    int err;

    *r = cp_cbor_read(in, CP_PROBLEM_DEPTH);
    err = cp_cbor_next(r, &item);
    if (err < 0)
        return err;
    return err == 0 || item.kind != CP_CBOR_MAP ? COPAL_EFORMAT : 0;
}

static int take_text(const struct cp_cbor_item *item, copal_bytes *out)
{
    if (item->kind != CP_CBOR_TEXT || item->indefinite)
        return COPAL_EFORMAT;
    *out = item->bytes;
    return 0;
}

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* RFC 9290 A.2: [a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})* */
static bool is_language(copal_bytes tag)
{
    size_t len = 0;
    bool is_first = true;

    for (size_t i = 0; i < tag.len; i++) {
        uint8_t c = tag.data[i];

        if (c == '-' && len > 0) {
            len = 0;
            is_first = false;
            continue;
        }
        if (!is_letter(c) && (is_first || c < '0' || c > '9'))
            return false;
        if (++len > LONGEST_SUBTAG)
            return false;
    }
    return len > 0;
}

static int take_language(const struct cp_cbor_item *item, copal_bytes *out)
{
    int err = take_text(item, out);

    return err != 0 || is_language(*out) ? err : COPAL_EFORMAT;
}

static int take_direction(const struct cp_cbor_item *item, int *out)
{
    if (item->kind != CP_CBOR_SIMPLE)
        return COPAL_EFORMAT;
    switch (item->n) {
    case CP_CBOR_FALSE: *out = COPAL_LTR; return 0;
    case CP_CBOR_TRUE: *out = COPAL_RTL; return 0;
    case CP_CBOR_NULL: *out = COPAL_AUTO; return 0;
    default: return COPAL_EFORMAT;
    }
}

/* Tag 38: [language, text, ? direction]. */
static int take_tagged(struct cp_cbor_reader *r, copal_problem_text *out)
{
    struct cp_cbor_item array, item;
    int err = cp_cbor_next(r, &array);

    if (err < 0 || array.kind != CP_CBOR_ARRAY)
        return COPAL_EFORMAT;
    for (unsigned i = 0;; i++) {
        err = cp_cbor_next(r, &item);
        if (err < 0)
            return err;
        if (item.kind == CP_CBOR_END)
            return i < 2 ? COPAL_EFORMAT : 0;
        if (i == 0)
            err = take_language(&item, &out->lang);
        else if (i == 1)
            err = take_text(&item, &out->text);
        else
            err =
                i == 2 ? take_direction(&item, &out->direction) : COPAL_EFORMAT;
        if (err != 0)
            return err;
    }
}

static int take_either_text(struct cp_cbor_reader *r,
                            const struct cp_cbor_item *item,
                            copal_problem_text *out)
{
    if (item->kind == CP_CBOR_TAG && item->n == TAG_LANGUAGE)
        return take_tagged(r, out);
    return take_text(item, &out->text);
}

static int take_code(const struct cp_cbor_item *item, int *out)
{
    if (item->kind != CP_CBOR_UNSIGNED || item->n > UINT8_MAX)
        return COPAL_EFORMAT;
    *out = (int)item->n;
    return 0;
}

static int take_field(const struct entry *e, copal_problem *p)
{
    struct cp_cbor_reader r = cp_cbor_read(e->value, CP_PROBLEM_DEPTH);
    struct cp_cbor_item item;
    int err = cp_cbor_next(&r, &item);

    if (err < 0)
        return err;
    switch (e->key) {
    case TITLE: return take_either_text(&r, &item, &p->title);
    case DETAIL: return take_either_text(&r, &item, &p->detail);
    case INSTANCE: return take_text(&item, &p->instance);
    case RESPONSE_CODE: return take_code(&item, &p->response_code);
    case BASE_URI: return take_text(&item, &p->base_uri);
    case BASE_LANG: return take_language(&item, &p->base_lang);
    default: return take_direction(&item, &p->base_direction);
    }
}

int cp_problem_read(copal_bytes payload, copal_problem *out)
{
    copal_problem p = {.size = out->size, .entries = payload};
    struct entry seen[CP_PROBLEM_ENTRIES + 1];
    struct cp_cbor_reader r;
    struct cp_cbor_item item;
    size_t count = 0;
    int err = open_map(&r, payload);

    while (err >= 0) {
        struct entry *e = &seen[count];

        err = next_entry(&r, payload, e);
        if (err <= 0)
            break;
        if (count++ == CP_PROBLEM_ENTRIES)
            return COPAL_ELIMIT;
        for (size_t i = 0; i + 1 < count; i++) /* RFC 8949 5.6 */
            if (same_key(&seen[i], e))
                return COPAL_EFORMAT;
        err = has_field(e) ? take_field(e, &p) : 0;
    }
    if (err == 0)
        err = cp_cbor_next(&r, &item); /* which is all */
    if (err != 0 || count == 0)
        return err == COPAL_ELIMIT ? err : COPAL_EFORMAT;
    *out = p;
    return 0;
}

int copal_problem_entry(const copal_problem *p, size_t i,
                        copal_problem_item *out)
{
    struct cp_cbor_reader r;
    struct entry e;

    if (p == NULL || out == NULL)
        return COPAL_EINVAL;
    if (p->entries.len == 0)
        return COPAL_ENOENT;
    if (open_map(&r, p->entries) != 0)
        return COPAL_EFORMAT;
    for (;;) {
        int err = next_entry(&r, p->entries, &e);

        if (err <= 0)
            return err == 0 ? COPAL_ENOENT : err;
        if (!has_field(&e) && i-- == 0)
            break;
    }
    *out = (copal_problem_item){e.key, e.uri, e.value};
    return 0;
}

/* ---- Writing ---- */

static void put_text_entry(struct cp_buf *b, int key, copal_bytes text,
                           size_t *pairs)
{
    if (text.data == NULL)
        return;
    cp_cbor_put_int(b, key);
    cp_cbor_put_text(b, text);
    ++*pairs;
}

static void put_direction(struct cp_buf *b, int direction)
{
    cp_cbor_put_simple(b,
                       direction == COPAL_RTL ? CP_CBOR_TRUE : CP_CBOR_FALSE);
}

static void put_either_text(struct cp_buf *b, int key,
                            const copal_problem_text *t, size_t *pairs)
{
    if (t->text.data == NULL || t->lang.data == NULL) {
        put_text_entry(b, key, t->text, pairs);
        return;
    }
    cp_cbor_put_int(b, key);
    cp_cbor_put_tag(b, TAG_LANGUAGE);
    cp_cbor_put_array(b, t->direction == COPAL_AUTO ? 2 : 3);
    cp_cbor_put_text(b, t->lang);
    cp_cbor_put_text(b, t->text);
    if (t->direction != COPAL_AUTO)
        put_direction(b, t->direction);
    ++*pairs;
}

static size_t put_fields(struct cp_buf *b, const copal_problem *p)
{
    size_t pairs = 0;

    put_either_text(b, TITLE, &p->title, &pairs);
    put_either_text(b, DETAIL, &p->detail, &pairs);
    put_text_entry(b, INSTANCE, p->instance, &pairs);
    if (p->response_code != 0) {
        cp_cbor_put_int(b, RESPONSE_CODE);
        cp_cbor_put_int(b, p->response_code);
        pairs++;
    }
    put_text_entry(b, BASE_URI, p->base_uri, &pairs);
    put_text_entry(b, BASE_LANG, p->base_lang, &pairs);
    if (p->base_direction != COPAL_AUTO) {
        cp_cbor_put_int(b, BASE_RTL);
        put_direction(b, p->base_direction);
        pairs++;
    }
    return pairs;
}

/* What p has no field for goes as it came. RFC 9290 3. */
static int put_others(struct cp_buf *b, const copal_problem *p, size_t *pairs)
{
    struct cp_cbor_reader r;
    struct entry e;
    int err;

    if (p->entries.len == 0)
        return 0;
    if (open_map(&r, p->entries) != 0)
        return COPAL_EINVAL;
    while ((err = next_entry(&r, p->entries, &e)) > 0) {
        if (has_field(&e))
            continue;
        cp_put_bytes(b, e.raw_key);
        cp_put_bytes(b, e.value);
        ++*pairs;
    }
    return err < 0 ? COPAL_EINVAL : 0;
}

int cp_problem_write(struct cp_buf *out, const copal_problem *p)
{
    struct cp_buf pairs = cp_buf_new(out->mem);
    copal_problem again = {.size = sizeof(again)};
    size_t begin = out->len, count = put_fields(&pairs, p);
    int err = put_others(&pairs, p, &count);
    copal_bytes sorted;

    if (err == 0)
        err = cp_cbor_sort_map(&pairs, 0, count);
    if (err == 0)
        err = cp_buf_finish(&pairs, &sorted);
    if (err == 0) {
        cp_cbor_put_map(out, count);
        cp_put_bytes(out, sorted);
        err = out->failed ? COPAL_ENOMEM : 0;
    }
    cp_buf_free(&pairs);
    if (err == 0 &&
        cp_problem_read(cp_bytes(out->data + begin, out->len - begin),
                        &again) != 0)
        err = COPAL_EINVAL;
    return err;
}
