#include "serve/wellknown.h"
#include "serve/site.h"
#include "wire/links.h"
#include "wire/message.h"

/* ---- Attributes ---- */

struct attribute {
    struct cp_list node;
    const char *value; /* behind the name; NULL: none */
    char name[];
};

static struct attribute *attribute_of(const struct cp_place *p,
                                      const char *name)
{
    list_each (node, after, &p->attributes) {
        struct attribute *a = cp_container_of(node, struct attribute, node);

        if (strcmp(a->name, name) == 0)
            return a;
    }
    return NULL;
}

static struct attribute *new_attribute(struct cp_mem *mem, const char *name,
                                       const char *value)
{
    size_t name_size = strlen(name) + 1;
    size_t value_size = value == NULL ? 0 : strlen(value) + 1;
    struct attribute *a = cp_alloc(mem, sizeof(*a) + name_size + value_size);

    if (a == NULL)
        return NULL;
    memcpy(a->name, name, name_size);
    a->value = NULL;
    if (value != NULL)
        a->value = memcpy(a->name + name_size, value, value_size);
    return a;
}

int cp_wellknown_describe(struct cp_mem *mem, struct cp_place *p,
                          const char *name, const char *value)
{
    struct attribute *former, *a;

    if (name == NULL || !cp_attribute_name_is_valid(name))
        return cp_why(mem, COPAL_EINVAL,
                      "\"%s\" cannot be the name of a link attribute",
                      name == NULL ? "" : name);
    a = new_attribute(mem, name, value);
    if (a == NULL)
        return COPAL_ENOMEM;
    former = cp_attribute_is_single(name) ? attribute_of(p, name) : NULL;
    if (former != NULL) {
        cp_list_append(&former->node, &a->node); /* before it, in its place */
        cp_list_remove(&former->node);
        cp_free(mem, former);
    } else {
        cp_list_append(&p->attributes, &a->node);
    }
    return 0;
}

void cp_wellknown_each(const struct cp_place *p,
                       void (*fn)(void *user, const char *name,
                                  const char *value),
                       void *user)
{
    list_each (node, after, &p->attributes) {
        const struct attribute *a =
            cp_container_of(node, struct attribute, node);

        fn(user, a->name, a->value);
    }
}

void cp_wellknown_forget(struct cp_mem *mem, struct cp_place *p)
{
    list_each (node, after, &p->attributes) {
        cp_list_remove(node);
        cp_free(mem, cp_container_of(node, struct attribute, node));
    }
}

/* The next number of a list like "0 41". 1, 0 at the end, -1: no Content-Format,
 * which has 16 bits. */
static int next_number(const char **text, uint64_t *out)
{
    uint64_t n = 0;
    const char *at = *text + strspn(*text, " ");
    const char *digits = at;

    if (*at == '\0')
        return 0;
    for (; *at >= '0' && *at <= '9' && n <= UINT16_MAX; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    if (at == digits || n > UINT16_MAX || (*at != ' ' && *at != '\0'))
        return -1;
    *text = at;
    *out = n;
    return 1;
}

bool cp_wellknown_allows(const struct cp_place *p, uint64_t format)
{
    const struct attribute *ct = attribute_of(p, "ct");
    const char *text;
    uint64_t number;
    int more;

    if (ct == NULL || ct->value == NULL || *ct->value == '\0')
        return true;
    text = ct->value;
    while ((more = next_number(&text, &number)) == 1)
        if (number == format)
            return true;
    return more < 0;
}

/* ---- The document ---- */

static bool is_listed(const struct cp_place *p)
{
    if (cp_place_is_open(p))
        return false;
    list_each (node, after, &p->methods) {
        struct cp_method *m = cp_container_of(node, struct cp_method, node);

        if (m->handler->flags & COPAL_UNLISTED)
            return false;
    }
    return true;
}

static bool is_observable(const struct cp_place *p)
{
    list_each (node, after, &p->methods) {
        struct cp_method *m = cp_container_of(node, struct cp_method, node);

        if ((m->method == 0 || m->method == COPAL_GET ||
             m->method == COPAL_FETCH) &&
            m->handler->flags & COPAL_OBSERVABLE)
            return true;
    }
    return false;
}

static void put_link(const struct cp_place *p, struct cp_buf *path,
                     struct cp_buf *out)
{
    path->len = 0;
    cp_place_put_path(p, path);
    cp_links_put(out, cp_bytes(path->data, path->len));
    list_each (node, after, &p->attributes) {
        struct attribute *a = cp_container_of(node, struct attribute, node);

        cp_links_put_attribute(out, a->name,
                               a->value == NULL ? (copal_bytes){0}
                                                : cp_bytes_of_text(a->value));
    }
    /* A hint for clients, at most once in a link. RFC 7641 6. */
    if (is_observable(p) && attribute_of(p, "obs") == NULL)
        cp_links_put_attribute(out, "obs", (copal_bytes){0});
}

void cp_wellknown_put(const struct cp_list *places, struct cp_buf *out)
{
    struct cp_buf path = cp_buf_new(out->mem);

    list_each (node, after, places) {
        const struct cp_place *p =
            cp_container_of(node, struct cp_place, listed);

        if (is_listed(p))
            put_link(p, &path, out);
    }
    out->failed |= path.failed;
    cp_buf_free(&path);
}

/* ---- GET /.well-known/core ---- */

/* Does the link match every Uri-Query? RFC 6690 4.1 */
static bool is_asked_for(const struct cp_link_value *link,
                         const copal_msg *request)
{
    copal_bytes argument;

    for (size_t i = 0;
         copal_msg_value(request, COPAL_OPT_URI_QUERY, i, &argument) == 0; i++)
        if (argument.len > 0 && !cp_links_match(link, argument))
            return false;
    return true;
}

static void put_matching(copal_bytes all, const copal_msg *request,
                         struct cp_buf *out)
{
    struct cp_link_value link;

    while (cp_links_next(&all, &link) == 1) {
        if (!is_asked_for(&link, request))
            continue;
        cp_links_put(out, link.target);
        cp_put_bytes(out, link.attributes);
    }
}

/* Names the document by what it holds: alike after a reboot, different once it
 * changed; who has it already gets 2.03. Not a secret, so the key is fixed. */
static void etag_of(copal_bytes document, uint8_t etag[4])
{
    static const uint8_t key[16] = {0};
    uint64_t hash = cp_siphash(key, document.data, document.len);

    for (size_t i = 0; i < 4; i++)
        etag[i] = (uint8_t)(hash >> 8 * i);
}

static void reply_document(const copal_event *ev, copal_bytes document)
{
    copal *c = copal_exchange_endpoint(ev->exchange);
    uint8_t tag[4];
    copal_bytes etag = cp_bytes(tag, sizeof(tag));
    copal_msg *m;

    etag_of(document, tag);
    m = copal_msg_new(c, COPAL_CONTENT);
    if (copal_msg_add(m, COPAL_OPT_ETAG, etag) == 0 &&
        copal_msg_set_payload(m, COPAL_LINKS, document) == 0)
        copal_respond(ev->exchange, m);
    else
        copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0});
    copal_msg_unref(m);
}

void cp_wellknown_on_request(const copal_event *ev, void *user)
{
    struct cp_site *site = user;
    copal_bytes document;
    struct cp_buf matching;

    if (ev->kind != COPAL_REQUEST)
        return;
    document = cp_site_links(site);
    if (document.data == NULL) { /* out of memory: it holds at least itself */
        copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0});
        return;
    }
    if (!cp_msg_has(ev->msg, COPAL_OPT_URI_QUERY)) {
        reply_document(ev, document);
        return;
    }
    matching = cp_buf_new(ev->msg->mem);
    put_matching(document, ev->msg, &matching);
    /* A group is asked who has something; who has nothing keeps quiet, and
     * errors to a group are not sent. RFC 6690 4.1. */
    if (matching.failed)
        copal_reply(ev->exchange, COPAL_INTERNAL_ERROR, COPAL_NO_FORMAT,
                    (copal_bytes){0});
    else if (matching.len == 0 && ev->msg->path.is_multicast)
        copal_reply(ev->exchange, COPAL_NOT_FOUND, COPAL_NO_FORMAT,
                    (copal_bytes){0});
    else
        reply_document(ev, cp_bytes(matching.data, matching.len));
    cp_buf_free(&matching);
}
