/* What is kept for sessions to come. Those that go on where one before them
 * ended: tickets of TLS 1.3 and RFC 5077. Ours as a server are sealed with a key
 * of the endpoint's; those that we were given are kept for a while, one for each
 * peer. And priorities, once they were read. */
#include "secure/session_gnutls.h"
#include "wire/uri.h"

enum {
    MOST_SAVED = 64
};

struct priority {
    struct cp_list node;
    gnutls_priority_t library; /* NULL: not read yet */
    unsigned kind;
};

struct saved {
    struct cp_list node;
    gnutls_datum_t data; /* GnuTLS' */
    char base[400];
};

struct resumption {
    struct cp_mem *mem;
    gnutls_datum_t ticket_key; /* data NULL: not needed yet */
    struct cp_list saved;      /* the newest last */
    size_t count;
    struct cp_list priorities; /* struct priority */
};

static void datum_free(gnutls_datum_t *d)
{
    if (d->data != NULL)
        cp_wipe(d->data, d->size);
    gnutls_free(d->data);
    *d = (gnutls_datum_t){0};
}

static void saved_free(struct resumption *r, struct saved *s)
{
    cp_list_remove(&s->node);
    r->count--;
    datum_free(&s->data);
    cp_free(r->mem, s);
}

static void resumption_free(void *resumption)
{
    struct resumption *r = resumption;

    list_each (node, after, &r->saved)
        saved_free(r, cp_container_of(node, struct saved, node));
    list_each (node, after, &r->priorities) {
        struct priority *p = cp_container_of(node, struct priority, node);

        gnutls_priority_deinit(p->library);
        cp_free(r->mem, p);
    }
    datum_free(&r->ticket_key);
    cp_free(r->mem, r);
}

static struct resumption *of_all(struct cp_credentials *all)
{
    struct resumption *r = all->resumption;

    if (r != NULL || all->engine == NULL)
        return r;
    r = cp_zalloc(all->mem, sizeof(*r));
    if (r == NULL)
        return NULL;
    r->mem = all->mem;
    cp_list_init(&r->saved);
    cp_list_init(&r->priorities);
    all->resumption = r;
    all->resumption_free = resumption_free;
    return r;
}

gnutls_priority_t *cp_resumption_priority(struct cp_credentials *all,
                                          unsigned kind)
{
    struct resumption *r = of_all(all);
    struct priority *p;

    if (r == NULL)
        return NULL;
    list_each (node, after, &r->priorities) {
        p = cp_container_of(node, struct priority, node);
        if (p->kind == kind)
            return &p->library;
    }
    p = cp_zalloc(r->mem, sizeof(*p));
    if (p == NULL)
        return NULL;
    p->kind = kind;
    cp_list_append(&r->priorities, &p->node);
    return &p->library;
}

static bool put_base(const struct cp_session *s, char out[400])
{
    struct cp_buf b = cp_buf_fixed(out, 400);

    cp_uri_put_base(&b, s->asked.scheme, s->asked.host, s->asked.port);
    return cp_buf_text(&b) != NULL;
}

static struct saved *find(struct resumption *r, const char *base)
{
    list_each (node, after, &r->saved) {
        struct saved *s = cp_container_of(node, struct saved, node);

        if (strcmp(s->base, base) == 0)
            return s;
    }
    return NULL;
}

int cp_resumption_allow(struct cp_session *s)
{
    struct resumption *r = of_all(s->all);

    if (r == NULL)
        return COPAL_ENOMEM;
    if (r->ticket_key.data == NULL &&
        gnutls_session_ticket_key_generate(&r->ticket_key) != 0)
        return COPAL_ENOMEM;
    return gnutls_session_ticket_enable_server(s->library, &r->ticket_key) == 0
               ? 0
               : COPAL_ENOMEM;
}

/* A ticket is used once: RFC 8446 C.4. */
void cp_resumption_take(struct cp_session *s)
{
    struct resumption *r = s->all->resumption;
    char base[400];
    struct saved *before;

    if (r == NULL || !put_base(s, base))
        return;
    before = find(r, base);
    if (before == NULL)
        return;
    (void)gnutls_session_set_data(s->library, before->data.data,
                                  before->data.size);
    saved_free(r, before);
}

/* Nothing is lost but time where it fails. */
void cp_resumption_save(struct cp_session *s)
{
    struct resumption *r;
    struct saved *one, *before;

    if (s->asked.host == NULL || s->generation != s->all->generation)
        return;
    r = of_all(s->all);
    if (r == NULL)
        return;
    one = cp_zalloc(r->mem, sizeof(*one));
    if (one == NULL)
        return;
    cp_list_init(&one->node);
    if (!put_base(s, one->base) ||
        gnutls_session_get_data2(s->library, &one->data) != 0) {
        cp_free(r->mem, one);
        return;
    }
    before = find(r, one->base);
    if (before != NULL)
        saved_free(r, before);
    cp_list_append(&r->saved, &one->node);
    if (++r->count > MOST_SAVED)
        saved_free(r, cp_container_of(r->saved.next, struct saved, node));
}
