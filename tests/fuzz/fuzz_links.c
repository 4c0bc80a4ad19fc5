/* Any bytes: the links read from them, written again, are read as the same
 * links, and writing those changes nothing more. RFC 6690 2. */
#include "wire/links.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact)
{
    if (!fact)
        abort();
}

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
static void write_link(struct cp_mem *mem, struct cp_buf *out,
                       const struct cp_link_value *link)
{
    copal_bytes rest = link->attributes;
    struct cp_attribute a;

    cp_links_put(out, link->target);
    while (cp_attribute_next(&rest, &a) == 1) {
        struct cp_buf b = cp_buf_new(mem);
        char *name = cp_copy_text(mem, (const char *)a.name.data, a.name.len);

        require(name != NULL);
        cp_links_put_attribute(out, name, value_of(&b, &a));
        require(strcmp(name, "href") == 0 || cp_links_match(link, a.name));
        require(strcmp(name, "href") == 0 || cp_attribute_name_is_valid(name));
        cp_free(mem, name);
        cp_buf_free(&b);
    }
    require(rest.len == 0);
}

/* The number of links, or COPAL_EFORMAT. */
static int normalize(struct cp_mem *mem, copal_bytes rest, struct cp_buf *out)
{
    struct cp_link_value link;
    int count = 0, result;

    for (;; count++) {
        result = cp_links_next(&rest, &link);
        if (result <= 0)
            return result < 0 ? result : count;
        cp_links_match(&link, rest);
        write_link(mem, out, &link);
    }
}

static void check(struct cp_mem *mem, copal_bytes input)
{
    struct cp_buf once = cp_buf_new(mem), twice = cp_buf_new(mem);
    int count = normalize(mem, input, &once);
    copal_bytes first, second;

    if (count >= 0) {
        require(cp_buf_finish(&once, &first) == 0);
        require(normalize(mem, first, &twice) == count);
        require(cp_buf_finish(&twice, &second) == 0);
        require(cp_bytes_equal(first, second));
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);

    if (mem == NULL)
        return 0;
    check(mem, cp_bytes(data, size));
    cp_mem_release(mem);
    return 0;
}
