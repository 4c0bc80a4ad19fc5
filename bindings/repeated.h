/* The request an endpoint made last, for who asks the same again: a message that
 * was sent may be sent again, and to make one costs about as much as to send it.
 * Included by the bridges; it is one for each endpoint. */
#ifndef COPAL_REPEATED_H
#define COPAL_REPEATED_H

#include <copal.h>
#include <stdbool.h>
#include <string.h>

enum {
    LONGEST_REPEATED = 127 /* bytes of a URI */
};

struct repeated {
    copal_msg *m; /* NULL: none; without a body, without options */
    int code;
    char uri[LONGEST_REPEATED + 1];
};

static void forget_repeated(struct repeated *r)
{
    copal_msg_unref(r->m);
    r->m = NULL;
}

/* That request, if it is this one; NULL: it is not. */
static copal_msg *repeated(const struct repeated *r, int code, const char *uri)
{
    bool is = r->m != NULL && r->code == code && strcmp(r->uri, uri) == 0;

    return is ? r->m : NULL;
}

/* A request without a body, ref'd; NULL: out of memory. A URI that is not understood
 * is told by END. */
static copal_msg *repeat_request(struct repeated *r, copal *c, int code,
                                 const char *uri)
{
    size_t len = strlen(uri);
    copal_msg *m;
    int err;

    m = repeated(r, code, uri);
    if (m != NULL)
        return copal_msg_ref(m);
    m = copal_msg_new(c, code);
    err = m == NULL ? COPAL_ENOMEM : copal_msg_set_uri(m, uri);
    if (err == COPAL_ENOMEM) {
        copal_msg_unref(m);
        return NULL;
    }
    if (err == 0 && len <= LONGEST_REPEATED) {
        forget_repeated(r);
        r->m = copal_msg_ref(m);
        r->code = code;
        memcpy(r->uri, uri, len + 1);
    }
    return m;
}

#endif
