/* Any bytes: the links read from them, written again, are read as the same
 * links, and writing those changes nothing more. RFC 6690 2. */
#include "decoder.h"
#include "wire/links.h"

/* The value as cp_links_put_attribute() takes it: data NULL only for none. */
static copal_bytes value_of(struct cp_buf *b, const struct cp_attribute *a)
{
    copal_bytes value = {0};

    if (!a->has_value)
        return value;
    cp_attribute_put_value(b, a);
    require(cp_buf_finish(b, &value) == 0);
    return value.data == NULL ? cp_bytes("", 0) : value;
}

/* Every attribute is found by its own name, and the link matches that. */
static void write_link(struct cp_buf *out, const struct cp_link_value *link)
{
    copal_bytes rest = link->attributes;
    struct cp_attribute a;

    cp_links_put(out, link->target);
    while (cp_attribute_next(&rest, &a) == 1) {
        struct cp_buf b = cp_buf_new(memory());
        char *name = text_of(a.name);

        cp_links_put_attribute(out, name, value_of(&b, &a));
        require(strcmp(name, "href") == 0 || cp_links_match(link, a.name));
        require(strcmp(name, "href") == 0 || cp_attribute_name_is_valid(name));
        cp_free(memory(), name);
        cp_buf_free(&b);
    }
    require(rest.len == 0);
}

/* The number of links, or COPAL_EFORMAT. */
static int normalize(copal_bytes rest, struct cp_buf *out)
{
    struct cp_link_value link;
    int count = 0, result;

    for (;; count++) {
        result = cp_links_next(&rest, &link);
        if (result <= 0)
            return result < 0 ? result : count;
        cp_links_match(&link, rest);
        write_link(out, &link);
    }
}

static void check(copal_bytes input)
{
    struct cp_buf once = cp_buf_new(memory()), twice = cp_buf_new(memory());
    int count = normalize(input, &once);
    copal_bytes first, second;

    if (count >= 0) {
        require(cp_buf_finish(&once, &first) == 0);
        require(normalize(first, &twice) == count);
        require(cp_buf_finish(&twice, &second) == 0);
        require(cp_bytes_equal(first, second));
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(cp_bytes(data, size));
    require_all_back();
    return 0;
}
