/* Lines "name=value" as what is said of a place: the document has one link,
 * whose attributes are those, written so that they are read again; and "ct"
 * allows the formats that are in it. RFC 6690. */
#include "decoder.h"
#include "serve/wellknown.h"
#include "wire/links.h"

static struct cp_handler handler;

/* Line by line. The number of attributes that are there in the end. */
static size_t describe(struct cp_place *p, copal_bytes rest)
{
    size_t count = 0;

    while (rest.len > 0) {
        copal_bytes line = take_until(&rest, '\n');
        bool has_value = line.len > 0 && memchr(line.data, '=', line.len);
        char *name = text_of(take_until(&line, '='));
        char *value = text_of(line);
        int err =
            cp_wellknown_describe(memory(), p, name, has_value ? value : NULL);

        require(err == (cp_attribute_name_is_valid(name) ? 0 : COPAL_EINVAL));
        cp_free(memory(), name);
        cp_free(memory(), value);
    }
    list_each (node, after, &p->attributes)
        count++;
    return count;
}

/* A list of numbers as "ct" has it, read by other means, up to the format or
 * to what is no number: then there is no telling. */
static bool allows(const char *list, unsigned format)
{
    for (;;) {
        unsigned long n;
        char *end;

        list += strspn(list, " ");
        if (*list == '\0')
            return false;
        if (*list < '0' || *list > '9')
            return true;
        n = strtoul(list, &end, 10);
        if (n == format && (*end == ' ' || *end == '\0'))
            return true;
        if (n > 65535 || (*end != ' ' && *end != '\0'))
            return true;
        list = end;
    }
}

static void check_formats(const struct cp_place *p, const char *list)
{
    static const unsigned formats[] = {0, 40, 50, 60, 255, 11050, 65535};

    for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
        require(cp_wellknown_allows(p, formats[i]) ==
                (*list == '\0' || allows(list, formats[i])));
}

static void check_document(const struct cp_list *places, size_t count)
{
    struct cp_buf b = cp_buf_new(memory()), value = cp_buf_new(memory());
    copal_bytes rest;
    struct cp_link_value link;
    struct cp_attribute a;

    cp_wellknown_put(places, &b);
    require(!b.failed);
    rest = cp_bytes(b.data, b.len);
    require(cp_links_next(&rest, &link) == 1);
    require(cp_bytes_is_text(link.target, "/a"));
    for (; cp_attribute_next(&link.attributes, &a) == 1; count--) {
        char *name = text_of(a.name);

        require(cp_attribute_name_is_valid(name));
        cp_free(memory(), name);
        value.len = 0;
        cp_attribute_put_value(&value, &a);
        if (a.has_value && cp_bytes_is_text(a.name, "ct"))
            check_formats(
                cp_container_of(places->next, struct cp_place, listed),
                cp_buf_text(&value));
    }
    require(count == 0);
    require(cp_links_next(&rest, &link) == 0);
    cp_buf_free(&value);
    cp_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_method method = {.method = COPAL_GET, .handler = &handler};
    struct cp_list places;
    struct cp_place *p;
    struct cp_tree t;

    require(cp_tree_init(&t, memory()) == 0);
    require(cp_tree_at(&t, "/a", true, &p) == 0);
    cp_list_init(&places);
    cp_list_append(&places, &p->listed);
    cp_list_append(&p->methods, &method.node);
    check_document(&places, describe(p, cp_bytes(data, size)));
    cp_wellknown_forget(memory(), p);
    cp_list_remove(&method.node);
    cp_tree_prune(&t, p);
    cp_tree_clear(&t);
    require_all_back();
    return 0;
}
