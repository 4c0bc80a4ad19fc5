/* The paths that are served, segment by segment, and what stands at each:
 * handlers by method, attributes of its link. A path is found without
 * building a string, and at the cost of its own length. */
#ifndef CP_SERVE_TREE_H
#define CP_SERVE_TREE_H

#include "base/map.h"
#include "base/list.h"
#include "engine/answer.h"

struct cp_buf;

enum cp_place_kind {
    CP_PLACE_LITERAL, /* "sensors"                          */
    CP_PLACE_NAMED,   /* "{name}": any one segment          */
    CP_PLACE_REST     /* "*": all that follows, if only ""  */
};

struct cp_method {
    struct cp_list node;
    int method; /* 0: any */
    struct cp_handler *handler;
};

struct cp_place {
    struct cp_map_node node; /* of the tree's literals */
    struct cp_list listed;   /* the site's, while something is served here */
    struct cp_place *parent; /* NULL: the root, and "*" alone */
    struct cp_place *named, *rest;
    struct cp_place *asked; /* the literal below that was found last, or NULL */
    size_t children;
    struct cp_list methods;    /* struct cp_method */
    struct cp_list attributes; /* see serve/wellknown.h */
    uint8_t kind;              /* enum cp_place_kind */
    bool has_names;            /* it or one above it is a {name} */
    uint8_t len;
    char text[]; /* the segment decoded, or the name; and a NUL */
};

struct cp_tree {
    struct cp_mem *mem;
    struct cp_map literals; /* by parent and segment */
    struct cp_place *root;  /* "/" */
    struct cp_place *all;   /* "*" alone; NULL: nobody asked for it */
};

/* COPAL_ENOMEM: nothing is left to clear. */
int cp_tree_init(struct cp_tree *t, struct cp_mem *mem);

/* Frees the places. Methods and attributes are taken out before. */
void cp_tree_clear(struct cp_tree *t);

/* The place of a pattern as copal_serve() takes it; add: made if it is not
 * there. COPAL_EINVAL with a sentence: not a pattern; COPAL_ENOENT: not there;
 * COPAL_ENOMEM: and nothing was made. */
int cp_tree_at(struct cp_tree *t, const char *pattern, bool add,
               struct cp_place **out);

/* Takes away the place, and those above it, as far as they hold nothing. */
void cp_tree_prune(struct cp_tree *t, struct cp_place *p);

/* The place with methods that m's Uri-Path leads to: at each level an exact
 * segment wins over {name}, that over "*". NULL: none. */
struct cp_place *cp_tree_find(const struct cp_tree *t, const copal_msg *m);

/* Notes what stood for the {name}s on the way to p. COPAL_ENOMEM. */
int cp_place_set_params(const struct cp_place *p, const copal_msg *m,
                        copal_exchange *x);

/* Is p what a "*" stands for? Such a path is no link. */
bool cp_place_is_open(const struct cp_place *p);

/* The path of p, percent-encoded: "/hello/%7Bname%7D" for "/hello/{name}", as
 * whoever asks for just that gets an answer, too. */
void cp_place_put_path(const struct cp_place *p, struct cp_buf *out);

/* The same as copal_serve() takes it: "/hello/{name}", "/files/" and a star. */
void cp_place_put_pattern(const struct cp_place *p, struct cp_buf *out);

/* The handler for method at p, the exact one before that of any; or NULL. */
struct cp_handler *cp_place_handler(const struct cp_place *p, int method);

#endif
