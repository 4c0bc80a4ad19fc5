#include "serve/tree.h"
#include "base/buf.h"
#include "serve/pattern.h"
#include "wire/message.h"
#include "wire/uri.h"

/* ---- Places ---- */

static struct cp_place *new_place(struct cp_mem *mem, struct cp_place *parent,
                                  const struct cp_pattern_step *step)
{
    struct cp_place *p = cp_zalloc(mem, sizeof(*p) + step->len + 1);

    if (p == NULL)
        return NULL;
    p->parent = parent;
    p->kind = (uint8_t)step->kind;
    p->has_names =
        step->kind == CP_PLACE_NAMED || (parent != NULL && parent->has_names);
    p->len = (uint8_t)step->len;
    memcpy(p->text, step->text, step->len);
    cp_list_init(&p->listed);
    cp_list_init(&p->methods);
    cp_list_init(&p->attributes);
    return p;
}

/* A place's key is the place above it and its segment: one map serves the
 * whole tree. */
static uint64_t hash_of(const struct cp_tree *t, const struct cp_place *parent,
                        copal_bytes segment)
{
    struct cp_sip s = cp_map_sip(&t->literals);
    const uint8_t *p = segment.data;
    size_t left = segment.len;
    uint64_t last = (uint64_t)left << 56;

    cp_sip_add(&s, (uintptr_t)parent);
    for (; left >= 8; left -= 8, p += 8)
        cp_sip_add(&s, cp_sip_read(p));
    for (size_t i = 0; i < left; i++)
        last |= (uint64_t)p[i] << 8 * i;
    cp_sip_add(&s, last);
    return cp_sip_end(s);
}

static bool has_text(const struct cp_place *p, copal_bytes segment)
{
    return cp_bytes_equal(cp_bytes(p->text, p->len), segment);
}

/* Who is asked for one is often asked for it again: no hash then. */
static struct cp_place *literal_below(const struct cp_tree *t,
                                      struct cp_place *parent,
                                      copal_bytes segment)
{
    struct cp_map_node *n;

    if (parent->asked != NULL && has_text(parent->asked, segment))
        return parent->asked;
    if (parent->children == 0 || segment.len > CP_MAX_SEGMENT)
        return NULL;
    n = cp_map_first(&t->literals, hash_of(t, parent, segment));
    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_place *p = cp_container_of(n, struct cp_place, node);

        if (p->parent == parent && has_text(p, segment))
            return parent->asked = p;
    }
    return NULL;
}

static copal_bytes step_text(const struct cp_pattern_step *step)
{
    return cp_bytes(step->text, step->len);
}

/* ---- Building ---- */

static const struct cp_pattern_step ROOT = {.kind = CP_PLACE_LITERAL};

int cp_tree_init(struct cp_tree *t, struct cp_mem *mem)
{
    struct cp_random random;

    *t = (struct cp_tree){.mem = mem};
    t->root = new_place(mem, NULL, &ROOT);
    if (t->root == NULL)
        return COPAL_ENOMEM;
    cp_random_init(&random, 0);
    cp_map_init(&t->literals, mem, &random);
    return 0;
}

static void free_below(struct cp_tree *t, struct cp_place *p)
{
    if (p == NULL)
        return;
    free_below(t, p->named);
    cp_free(t->mem, p->rest);
    cp_free(t->mem, p);
}

void cp_tree_clear(struct cp_tree *t)
{
    map_each (n, after, &t->literals)
        free_below(t, cp_container_of(n, struct cp_place, node));
    cp_map_clear(&t->literals);
    free_below(t, t->root);
    cp_free(t->mem, t->all);
}

/* The place one step below at, or NULL. A {name} of another name is the same
 * place: the caller compares. */
static struct cp_place *below(const struct cp_tree *t, struct cp_place *at,
                              const struct cp_pattern_step *step)
{
    switch (step->kind) {
    case CP_PLACE_NAMED: return at->named;
    case CP_PLACE_REST: return at->rest;
    default: return literal_below(t, at, step_text(step));
    }
}

static struct cp_place *add_below(struct cp_tree *t, struct cp_place *at,
                                  const struct cp_pattern_step *step)
{
    struct cp_place *p = new_place(t->mem, at, step);

    if (p == NULL)
        return NULL;
    at->children++;
    if (step->kind == CP_PLACE_NAMED)
        at->named = p;
    else if (step->kind == CP_PLACE_REST)
        at->rest = p;
    else
        cp_map_put(&t->literals, &p->node, hash_of(t, at, step_text(step)));
    return p;
}

static int everything(struct cp_tree *t, bool add, struct cp_place **out)
{
    static const struct cp_pattern_step all = {.kind = CP_PLACE_REST};

    if (t->all == NULL && add)
        t->all = new_place(t->mem, NULL, &all);
    if (t->all == NULL)
        return add ? COPAL_ENOMEM : COPAL_ENOENT;
    *out = t->all;
    return 0;
}

/* From *at one step down. */
static int descend(struct cp_tree *t, const char *pattern,
                   const struct cp_pattern_step *step, bool add,
                   struct cp_place **at)
{
    struct cp_place *next = below(t, *at, step);

    if (next == NULL) {
        if (!add)
            return COPAL_ENOENT;
        next = add_below(t, *at, step);
        if (next == NULL)
            return COPAL_ENOMEM;
    }
    if (step->kind == CP_PLACE_NAMED && !has_text(next, step_text(step)))
        return cp_why(t->mem, COPAL_EINVAL,
                      "%s: this segment is called {%s} by another path served "
                      "here; use one name for it",
                      pattern, next->text);
    *at = next;
    return 0;
}

int cp_tree_at(struct cp_tree *t, const char *pattern, bool add,
               struct cp_place **out)
{
    struct cp_place *at = t->root;
    struct cp_pattern_step step;
    const char *rest;
    int err = cp_pattern_check(t->mem, pattern, &rest);

    if (err == 0 && strcmp(pattern, "*") == 0)
        return everything(t, add, out);
    while (err == 0 && cp_pattern_next(&rest, &step))
        err = descend(t, pattern, &step, add, &at);
    if (err != 0) {
        cp_tree_prune(t, at);
        return err;
    }
    *out = at;
    return 0;
}

void cp_tree_prune(struct cp_tree *t, struct cp_place *p)
{
    while (p != NULL && p != t->root && p->children == 0 &&
           cp_list_empty(&p->methods)) {
        struct cp_place *parent = p->parent;

        if (parent != NULL && parent->asked == p)
            parent->asked = NULL;
        if (p == t->all)
            t->all = NULL;
        else if (parent->named == p)
            parent->named = NULL;
        else if (parent->rest == p)
            parent->rest = NULL;
        else
            cp_map_remove(&t->literals, &p->node);
        if (parent != NULL)
            parent->children--;
        cp_free(t->mem, p);
        p = parent;
    }
}

/* ---- Finding ---- */

static bool is_serving(const struct cp_place *p)
{
    return p != NULL && !cp_list_empty(&p->methods);
}

/* A value of {name} is handed out as text, which a NUL would end early: the
 * handler would take the segment for another one. */
static bool is_nameable(copal_bytes segment)
{
    return segment.len == 0 || memchr(segment.data, 0, segment.len) == NULL;
}

/* The options from i to end are the segments still to go. The depth is that
 * of the tree, not of the request: a segment without a place ends the way. */
static struct cp_place *find_below(const struct cp_tree *t, struct cp_place *at,
                                   const copal_msg *m, size_t i, size_t end)
{
    struct cp_place *next, *found = NULL;
    copal_bytes segment;

    if (i == end)
        return is_serving(at) ? at : NULL;
    segment = cp_msg_option_value(m, &m->options[i]);
    next = literal_below(t, at, segment);
    if (next != NULL)
        found = find_below(t, next, m, i + 1, end);
    if (found == NULL && at->named != NULL && is_nameable(segment))
        found = find_below(t, at->named, m, i + 1, end);
    if (found == NULL && is_serving(at->rest))
        found = at->rest;
    return found;
}

/* Index of the first Uri-Path option. */
static size_t first_segment(const copal_msg *m)
{
    size_t i = 0;

    while (i < m->option_count && m->options[i].number < COPAL_OPT_URI_PATH)
        i++;
    return i;
}

struct cp_place *cp_tree_find(const struct cp_tree *t, const copal_msg *m)
{
    size_t i = first_segment(m), end = i;
    struct cp_place *found;

    while (end < m->option_count &&
           m->options[end].number == COPAL_OPT_URI_PATH)
        end++;
    found = find_below(t, t->root, m, i, end);
    return found == NULL && is_serving(t->all) ? t->all : found;
}

/* ---- What a place knows ---- */

static size_t depth_of(const struct cp_place *p)
{
    size_t depth = 0;

    for (; p->parent != NULL; p = p->parent)
        depth++;
    return depth;
}

int cp_place_set_params(const struct cp_place *p, const copal_msg *m,
                        copal_exchange *x)
{
    size_t i;

    if (!p->has_names)
        return 0;
    i = first_segment(m) + depth_of(p);
    for (; p->parent != NULL; p = p->parent) {
        int err = 0;

        i--;
        if (p->kind == CP_PLACE_NAMED)
            err = cp_answer_param_set(x, p->text,
                                      cp_msg_option_value(m, &m->options[i]));
        if (err != 0)
            return err;
    }
    return 0;
}

bool cp_place_is_open(const struct cp_place *p)
{
    return p->kind == CP_PLACE_REST;
}

/* "{name}" as a segment of its own. */
static void put_named(const struct cp_place *p, struct cp_buf *out)
{
    struct cp_buf segment = cp_buf_new(out->mem);

    cp_put_u8(&segment, '{');
    cp_put_bytes(&segment, cp_bytes(p->text, p->len));
    cp_put_u8(&segment, '}');
    cp_uri_put_segment(out, cp_bytes(segment.data, segment.len));
    out->failed |= segment.failed;
    cp_buf_free(&segment);
}

static void put_segments(const struct cp_place *p, struct cp_buf *out)
{
    if (p->parent == NULL)
        return;
    put_segments(p->parent, out);
    if (p->kind == CP_PLACE_NAMED)
        put_named(p, out);
    else
        cp_uri_put_segment(out, cp_bytes(p->text, p->len));
}

void cp_place_put_path(const struct cp_place *p, struct cp_buf *out)
{
    if (p->parent == NULL)
        cp_put_u8(out, '/');
    put_segments(p, out);
}

static void put_steps(const struct cp_place *p, struct cp_buf *out)
{
    if (p->parent == NULL)
        return;
    put_steps(p->parent, out);
    if (p->kind == CP_PLACE_NAMED)
        cp_put_format(out, "/{%s}", p->text);
    else if (p->kind == CP_PLACE_REST)
        cp_put_text(out, "/*");
    else
        cp_uri_put_segment(out, cp_bytes(p->text, p->len));
}

void cp_place_put_pattern(const struct cp_place *p, struct cp_buf *out)
{
    if (p->parent == NULL)
        cp_put_u8(out, p->kind == CP_PLACE_REST ? '*' : '/');
    put_steps(p, out);
}

struct cp_handler *cp_place_handler(const struct cp_place *p, int method)
{
    struct cp_handler *any = NULL;

    list_each (node, after, &p->methods) {
        struct cp_method *m = cp_container_of(node, struct cp_method, node);

        if (m->method == method)
            return m->handler;
        if (m->method == 0)
            any = m->handler;
    }
    return any;
}
