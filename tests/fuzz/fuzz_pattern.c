/* Lines of text as paths that are served, the last one as a path asked for:
 * the place found is the one that trying every pattern finds, each is written
 * so that it is read again, and nothing is left when all were taken away. */
#include "decoder.h"
#include "serve/pattern.h"
#include "serve/tree.h"
#include "wire/message.h"

enum {
    MOST = 6 /* patterns */
};

struct served {
    char *text;
    struct cp_place *place;
    struct cp_method method;
};

static size_t serve(struct cp_tree *t, struct served *all, size_t n, char *text)
{
    struct served *s = &all[n];

    if (cp_tree_at(t, text, true, &s->place) != 0) {
        require(cp_why_text(memory())[0] != '\0');
        cp_free(memory(), text);
        return n;
    }
    if (!cp_list_empty(&s->place->methods)) { /* there already */
        cp_free(memory(), text);
        return n;
    }
    s->text = text;
    cp_list_append(&s->place->methods, &s->method.node);
    return n + 1;
}

/* How well pattern fits the segments from i on: for each step 'a' exactly, 'b'
 * by name, 'c' by "*"; false: not at all. */
static bool fit(const char *rest, const copal_msg *m, char *how)
{
    struct cp_pattern_step step;
    copal_bytes segment;
    size_t i = 0;

    for (; cp_pattern_next(&rest, &step); i++) {
        if (step.kind == CP_PLACE_REST) {
            *how++ = 'c';
            *how = '\0';
            return copal_msg_value(m, COPAL_OPT_URI_PATH, i, &segment) == 0;
        }
        if (copal_msg_value(m, COPAL_OPT_URI_PATH, i, &segment) != 0)
            return false;
        if (step.kind == CP_PLACE_LITERAL &&
            !cp_bytes_equal(segment, cp_bytes(step.text, step.len)))
            return false;
        *how++ = step.kind == CP_PLACE_LITERAL ? 'a' : 'b';
    }
    *how = '\0';
    return copal_msg_value(m, COPAL_OPT_URI_PATH, i, &segment) != 0;
}

/* Words go before names, names before "*", as copal_serve() says. */
static struct cp_place *try_all(const struct served *all, size_t n,
                                const copal_msg *m)
{
    char best[256] = "z", how[256];
    struct cp_place *found = NULL;

    for (size_t i = 0; i < n; i++) {
        const char *rest;

        if (strlen(all[i].text) > 250)
            continue;
        require(cp_pattern_check(memory(), all[i].text, &rest) == 0);
        if (strcmp(all[i].text, "*") == 0)
            strcpy(how, "d");
        else if (!fit(rest, m, how))
            continue;
        if (strcmp(how, best) < 0) {
            strcpy(best, how);
            found = all[i].place;
        }
    }
    return found;
}

static void ask(const struct cp_tree *t, const struct served *all, size_t n,
                const char *path)
{
    copal_msg *m = cp_msg_new(memory(), COPAL_GET, 0);
    bool any_long = false;

    for (size_t i = 0; i < n; i++)
        any_long = any_long || strlen(all[i].text) > 250;
    require(m != NULL);
    if (cp_pattern_add_path(memory(), m, path) == 0) {
        struct cp_place *found = cp_tree_find(t, m);

        require(any_long || found == try_all(all, n, m));
    }
    copal_msg_unref(m);
}

/* The link of a place, asked for, leads there, but for what a "*" takes. */
static void read_again(struct cp_tree *t, const struct served *s)
{
    struct cp_buf b = cp_buf_new(memory());
    copal_msg *m = cp_msg_new(memory(), COPAL_GET, 0);

    require(m != NULL);
    cp_place_put_path(s->place, &b);
    require(cp_pattern_add_path(memory(), m, cp_buf_text(&b)) == 0);
    if (!cp_place_is_open(s->place))
        require(cp_tree_find(t, m) != NULL);
    copal_msg_unref(m);
    cp_buf_free(&b);
}

static bool has_line(copal_bytes rest)
{
    return rest.len > 0 && memchr(rest.data, '\n', rest.len) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    copal_bytes rest = cp_bytes(data, size);
    struct served all[MOST] = {0};
    struct cp_tree t;
    size_t n = 0;
    char *path;

    require(cp_tree_init(&t, memory()) == 0);
    for (int i = 0; i < MOST && has_line(rest); i++)
        n = serve(&t, all, n, text_of(take_until(&rest, '\n')));
    path = text_of(rest);
    ask(&t, all, n, path);
    cp_free(memory(), path);
    for (size_t i = 0; i < n; i++)
        read_again(&t, &all[i]);
    while (n-- > 0) {
        cp_list_remove(&all[n].method.node);
        cp_tree_prune(&t, all[n].place);
        cp_free(memory(), all[n].text);
    }
    require(t.all == NULL && t.literals.count == 0 && t.root->children == 0);
    cp_tree_clear(&t);
    require_all_back();
    return 0;
}
