#include "serve/site.h"
#include "base/buf.h"
#include "base/callback.h"
#include "engine/observe.h"
#include "serve/condition.h"
#include "serve/pattern.h"
#include "serve/tree.h"
#include "serve/wellknown.h"
#include "wire/message.h"

#define WELL_KNOWN_CORE "/.well-known/core"

struct cp_site {
    struct cp_mem *mem;
    struct cp_engine *engine;
    copal *owner;
    struct cp_tree tree;
    uint64_t handlers;     /* the newest one's number */
    bool had_streamed;     /* a handler with COPAL_STREAMED */
    struct cp_list listed; /* places with methods, in order of registration */

    /* GET of the site's own, in place as long as no user serves that path. */
    struct cp_place *core;
    struct cp_method own;

    struct cp_buf links; /* kept until the next change */
    bool links_are_current;
};

/* ---- Life ---- */

static void forget_links(struct cp_site *s)
{
    cp_buf_free(&s->links);
    s->links = cp_buf_new(s->mem);
    s->links_are_current = false;
}

/* A missing "ct" for want of memory only makes the link say less. */
static void serve_own(struct cp_site *s)
{
    cp_list_append(&s->core->methods, &s->own.node);
    cp_list_append(&s->listed, &s->core->listed);
    cp_wellknown_describe(s->mem, s->core, "ct", "40");
}

struct cp_site *cp_site_new(struct cp_mem *mem, struct cp_engine *e, copal *c)
{
    struct cp_site *s = cp_zalloc(mem, sizeof(*s));

    if (s == NULL)
        return NULL;
    s->mem = mem;
    s->engine = e;
    s->owner = c;
    s->links = cp_buf_new(mem);
    cp_list_init(&s->listed);
    if (cp_tree_init(&s->tree, mem) != 0)
        goto fail;
    if (cp_tree_at(&s->tree, WELL_KNOWN_CORE, true, &s->core) != 0)
        goto fail_tree;
    s->own = (struct cp_method){.method = COPAL_GET};
    s->own.handler =
        cp_handler_new(mem, COPAL_GROUP, COPAL_CB(cp_wellknown_on_request, s));
    if (s->own.handler == NULL)
        goto fail_tree;
    s->own.handler->is_own = true;
    serve_own(s);
    return s;
fail_tree:
    cp_tree_clear(&s->tree);
fail:
    cp_free(mem, s);
    return NULL;
}

/* Takes all methods, which go to gone, and all that was said of p away. */
static void empty(struct cp_site *s, struct cp_place *p, struct cp_list *gone)
{
    list_each (node, after, &p->methods) {
        cp_list_remove(node);
        if (node != &s->own.node)
            cp_list_append(gone, node);
    }
    cp_wellknown_forget(s->mem, p);
    cp_list_remove(&p->listed);
}

/* Last of all: whoever is let go of may free the endpoint, and the site with
 * it. Its memory lasts as long as there is something in it. */
static void free_methods(struct cp_mem *mem, struct cp_list *gone)
{
    struct cp_list *node;

    while ((node = cp_list_first(gone)) != NULL) {
        struct cp_method *m = cp_container_of(node, struct cp_method, node);
        struct cp_handler *handler = m->handler;

        cp_list_remove(node);
        cp_free(mem, m);
        cp_handler_unref(handler);
    }
}

void cp_site_free(struct cp_site *s)
{
    struct cp_list gone;

    if (s == NULL)
        return;
    cp_list_init(&gone);
    list_each (node, after, &s->listed)
        empty(s, cp_container_of(node, struct cp_place, listed), &gone);
    free_methods(s->mem, &gone);
    cp_handler_unref(s->own.handler);
    cp_tree_clear(&s->tree);
    cp_buf_free(&s->links);
    cp_free(s->mem, s);
}

/* ---- A request ---- */

/* What a request leads to: code 0 and a handler, or the code of the answer. */
struct choice {
    int code;
    struct cp_place *place;
    struct cp_handler *handler;
};

/* Formats against what was said of the place: what it gives, and for PUT what
 * it takes. */
static int judge_formats(const struct cp_place *p, const copal_msg *m)
{
    const struct cp_option *accept = cp_msg_find(m, COPAL_OPT_ACCEPT);
    const struct cp_option *format = cp_msg_find(m, COPAL_OPT_CONTENT_FORMAT);

    if (accept != NULL && cp_code_is_safe(m->code) &&
        !cp_wellknown_allows(p, cp_bytes_uint(cp_msg_option_value(m, accept))))
        return COPAL_NOT_ACCEPTABLE;
    if (format != NULL && m->code == COPAL_PUT &&
        !cp_wellknown_allows(p, cp_bytes_uint(cp_msg_option_value(m, format))))
        return COPAL_UNSUPPORTED_FORMAT;
    return 0;
}

static struct choice choose(const struct cp_site *s, const copal_msg *m)
{
    struct choice it = {0};

    if (cp_msg_has(m, COPAL_OPT_PROXY_URI) ||
        cp_msg_has(m, COPAL_OPT_PROXY_SCHEME)) {
        it.code = COPAL_PROXYING_NOT_SUPPORTED;
        return it;
    }
    it.place = cp_tree_find(&s->tree, m);
    if (it.place == NULL) {
        /* An unknown method is 4.05 wherever it goes. RFC 7252 5.8. */
        it.code =
            m->code > COPAL_IPATCH ? COPAL_METHOD_NOT_ALLOWED : COPAL_NOT_FOUND;
        return it;
    }
    it.handler = cp_place_handler(it.place, m->code);
    if (it.handler == NULL)
        it.code = COPAL_METHOD_NOT_ALLOWED;
    else if (m->path.is_multicast && !(it.handler->flags & COPAL_GROUP))
        it.code = COPAL_NOT_FOUND;
    else if (it.handler->flags & COPAL_SECURE && m->identity == NULL)
        it.code = COPAL_UNAUTHORIZED;
    else
        it.code = judge_formats(it.place, m);
    return it;
}

/* Hands the request on, by way of its conditions where there are any that we
 * can judge. A streamed body is on its way already and cannot wait for that:
 * such a handler sees the conditions' options before the first CHUNK. */
static int lead_on(struct cp_site *s, const copal_event *ev,
                   const struct choice *to)
{
    int err = cp_place_set_params(to->place, ev->msg, ev->exchange);
    struct cp_handler *getter = NULL;

    if (err != 0)
        return err;
    if (cp_condition_is_asked(ev->msg) &&
        !(to->handler->flags & COPAL_STREAMED))
        getter = cp_place_handler(to->place, COPAL_GET);
    if (getter != NULL)
        return cp_condition_check(s->engine, getter, ev, to->handler);
    cp_answer_dispatch(ev, to->handler);
    return 0;
}

void cp_site_on_request(const copal_event *ev, void *user)
{
    struct cp_site *s = user;
    struct choice to;

    if (ev->kind != COPAL_REQUEST)
        return;
    to = choose(s, ev->msg);
    if (to.code == 0 && lead_on(s, ev, &to) != 0)
        to.code = COPAL_INTERNAL_ERROR;
    /* Nothing in it that the request said, and nothing worth forging a source
     * address for. */
    if (to.code != 0)
        copal_reply(ev->exchange, to.code, COPAL_NO_FORMAT, (copal_bytes){0});
}

/* Of what comes in one piece only COPAL_STREAMED matters: where no handler ever
 * had it, the path is not looked up twice. */
int cp_site_flags(void *user, const copal_msg *request)
{
    const struct cp_site *s = user;
    struct choice to;

    if (!s->had_streamed && !cp_msg_has(request, COPAL_OPT_BLOCK1) &&
        !cp_msg_has(request, COPAL_OPT_Q_BLOCK1))
        return 0;
    to = choose(s, request);
    return to.code == 0 ? (int)to.handler->flags : -1;
}

/* ---- Serving ---- */

static bool is_own(const struct cp_site *s, const struct cp_place *p)
{
    return p == s->core && !cp_list_empty(&s->own.node);
}

static bool has_method(const struct cp_site *s, const struct cp_place *p,
                       int method)
{
    if (is_own(s, p))
        return false;
    list_each (node, after, &p->methods)
        if (cp_container_of(node, struct cp_method, node)->method == method)
            return true;
    return false;
}

/* Takes cb, unless memory runs out. */
static int add_method(struct cp_site *s, struct cp_place *p, int method,
                      unsigned flags, copal_cb cb)
{
    struct cp_method *m = cp_alloc(s->mem, sizeof(*m));
    struct cp_handler *h = cp_handler_new(s->mem, flags, (copal_cb){0});
    struct cp_list own;

    if (m == NULL || h == NULL) {
        cp_free(s->mem, m);
        cp_handler_unref(h);
        return COPAL_ENOMEM;
    }
    h->cb = cb;
    h->number = ++s->handlers;
    s->had_streamed |= (flags & COPAL_STREAMED) != 0;
    cp_list_init(&own);
    if (is_own(s, p))
        empty(s, p, &own);
    m->method = method;
    m->handler = h;
    cp_list_append(&p->methods, &m->node);
    if (cp_list_empty(&p->listed))
        cp_list_append(&s->listed, &p->listed);
    forget_links(s);
    return 0;
}

static int refuse_method(struct cp_site *s, const struct cp_place *p,
                         int method, const char *path)
{
    if (!has_method(s, p, method))
        return 0;
    return cp_why(s->mem, COPAL_EEXIST,
                  "%s: %s is already served here; copal_unserve() first", path,
                  method == 0 ? "any method" : cp_code_name(method));
}

int cp_site_serve(struct cp_site *s, int method, const char *path,
                  unsigned flags, copal_cb cb)
{
    struct cp_place *p = NULL;
    int err;

    if (method < 0 || method > 31)
        err = cp_why(s->mem, COPAL_EINVAL,
                     "%d is not a method: 0 is any, 1 to 31 are codes of "
                     "class 0",
                     method);
    else
        err = cp_tree_at(&s->tree, path, true, &p);
    if (err == 0)
        err = refuse_method(s, p, method, path);
    if (err == 0)
        err = add_method(s, p, method, flags, cb);
    if (err != 0 && p != NULL)
        cp_tree_prune(&s->tree, p);
    if (err != 0)
        cp_cb_drop(cb);
    return err;
}

/* The place of a path that a user serves. */
static int served_at(struct cp_site *s, const char *path, struct cp_place **out)
{
    int err = cp_tree_at(&s->tree, path, false, out);

    if (err == COPAL_ENOENT || (err == 0 && cp_list_empty(&(*out)->methods)))
        return cp_why(s->mem, COPAL_ENOENT, "%s: nothing is served there",
                      path);
    return err;
}

int cp_site_unserve(struct cp_site *s, const char *path)
{
    struct cp_mem *mem = s->mem;
    struct cp_place *p;
    struct cp_list gone;
    int err = served_at(s, path, &p);

    if (err != 0)
        return err;
    if (is_own(s, p))
        return cp_why(s->mem, COPAL_ENOENT,
                      "%s: this is the list of links itself; serve another "
                      "there to replace it",
                      path);
    list_each (node, after, &p->methods)
        cp_observe_end(s->engine,
                       cp_container_of(node, struct cp_method, node)->handler,
                       COPAL_NOT_FOUND);
    cp_list_init(&gone);
    empty(s, p, &gone);
    forget_links(s);
    if (p == s->core)
        serve_own(s);
    else
        cp_tree_prune(&s->tree, p);
    free_methods(mem, &gone);
    return 0;
}

int cp_site_describe(struct cp_site *s, const char *path, const char *name,
                     const char *value)
{
    struct cp_place *p;
    int err = served_at(s, path, &p);

    if (err == 0)
        err = cp_wellknown_describe(s->mem, p, name, value);
    if (err == 0)
        forget_links(s);
    return err;
}

copal_bytes cp_site_links(struct cp_site *s)
{
    copal_bytes all = {0};

    if (!s->links_are_current) {
        cp_wellknown_put(&s->listed, &s->links);
        if (s->links.failed) {
            forget_links(s);
            return all;
        }
        s->links_are_current = true;
    }
    cp_buf_finish(&s->links, &all);
    return all;
}

/* ---- Notifying ---- */

static int notify_all(struct cp_site *s, const struct cp_place *p,
                      const char *path)
{
    int told = 0;

    list_each (node, after, &p->methods) {
        struct cp_method *m = cp_container_of(node, struct cp_method, node);

        if (m->method == 0 || cp_code_is_safe(m->method))
            told += cp_observe_notify(s->engine, m->handler, path);
    }
    return told;
}

/* As a request would find it: path may be one of those that a pattern
 * serves. */
int cp_site_notify(struct cp_site *s, const char *path)
{
    copal_msg *m = cp_msg_new(s->mem, COPAL_GET, 0);
    struct cp_place *p;
    int err;

    if (m == NULL)
        return COPAL_ENOMEM;
    err = cp_pattern_add_path(s->mem, m, path);
    if (err == 0) {
        p = cp_tree_find(&s->tree, m);
        err = p == NULL ? cp_why(s->mem, COPAL_ENOENT,
                                 "%s: nothing is served there", path)
                        : notify_all(s, p, copal_msg_path(m));
    }
    copal_msg_unref(m);
    return err;
}

/* ---- Looking ---- */

struct describing {
    const struct cp_site_calls *calls;
    const char *path;
};

static void describe(void *user, const char *name, const char *value)
{
    const struct describing *it = user;

    it->calls->describe(it->calls->user, it->path, name, value);
}

static void tell_place(const struct cp_place *p, const char *path,
                       const struct cp_site_calls *calls)
{
    list_each (node, after, &p->methods) {
        const struct cp_method *m =
            cp_container_of(node, struct cp_method, node);

        calls->serve(calls->user, m->method, path, m->handler->flags,
                     m->handler->cb.fn != NULL);
    }
    cp_wellknown_each(p, describe, &(struct describing){calls, path});
}

int cp_site_each(const struct cp_site *s, const struct cp_site_calls *calls)
{
    list_each (node, after, &s->listed) {
        const struct cp_place *p =
            cp_container_of(node, struct cp_place, listed);
        struct cp_buf path = cp_buf_new(s->mem);
        const char *text;

        cp_place_put_pattern(p, &path);
        text = cp_buf_text(&path);
        if (text != NULL && !is_own(s, p))
            tell_place(p, text, calls);
        cp_buf_free(&path);
        if (text == NULL)
            return COPAL_ENOMEM;
    }
    return 0;
}
