/* Keys that the user is asked for when they are needed. */
#include "base/callback.h"
#include "base/utf8.h"
#include "engine/answer.h"
#include "engine/core.h"
#include "secure/credentials.h"

/* One question to the user. Who waits may leave before the answer comes. */
struct question {
    struct cp_lookup *waiter; /* NULL: it left */
    struct cp_mem *mem;
    bool is_asking; /* cp_credentials_look_up() is at work */
    bool failed;    /* it was not asked */
};

int cp_credentials_use_lookup(struct cp_credentials *all, const char *scope,
                              copal_cb cb)
{
    struct cp_handler *before = all->lookup, *h = NULL;

    if (scope == NULL || strcmp(scope, "*") != 0) {
        cp_cb_drop(cb);
        return cp_why(
            all->mem, COPAL_EINVAL,
            "%s: keys are looked up for who asks us, \"*\"; those for "
            "whom we ask are set before",
            scope == NULL ? "no scope" : scope);
    }
    if (cb.fn == NULL)
        cp_cb_drop(cb);
    else if ((h = cp_handler_new(all->mem, 0, cb)) == NULL)
        return COPAL_ENOMEM;
    all->lookup = h;
    cp_handler_unref(before);
    return 0;
}

static void on_answer(void *user, const copal_msg *answer)
{
    struct question *q = user;
    struct cp_lookup *l = q->waiter;
    bool found = answer != NULL && answer->code == COPAL_CONTENT;
    copal_bytes value = {0};

    if (q->is_asking) {
        q->failed = true;
        return;
    }
    cp_free(q->mem, q);
    if (answer != NULL)
        ((copal_msg *)answer)->is_secret = true; /* wiped with its last user */
    if (found)
        value = answer->payload;
    if (l == NULL)
        return;
    l->work = NULL;
    cp_list_remove(&l->node);
    l->done(l, found, value);
}

/* Scripts see no text of an event: the path has the kind, too. */
static copal_msg *request_new(struct cp_mem *mem, const char *kind,
                              copal_bytes identity)
{
    copal_msg *m = cp_msg_new(mem, COPAL_FETCH, identity.len + 8);

    if (m != NULL &&
        (cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text(kind)) != 0 ||
         copal_msg_set_payload(m, COPAL_NO_FORMAT, identity) != 0)) {
        copal_msg_unref(m);
        return NULL;
    }
    if (m != NULL)
        m->frozen = true;
    return m;
}

int cp_credentials_look_up(struct cp_credentials *all, const char *kind,
                           copal_bytes identity, struct cp_lookup *l)
{
    struct question *q;
    copal_msg *m;
    bool failed;

    l->work = NULL;
    cp_list_init(&l->node);
    if (all->lookup == NULL || all->engine == NULL)
        return COPAL_ENOENT;
    q = cp_zalloc(all->mem, sizeof(*q));
    m = q == NULL ? NULL : request_new(all->mem, kind, identity);
    if (m == NULL) {
        cp_free(all->mem, q);
        return COPAL_ENOMEM;
    }
    *q = (struct question){.waiter = l, .mem = all->mem, .is_asking = true};
    cp_answer_look_up(all->engine, all->lookup, kind, m, on_answer, q);
    copal_msg_unref(m);
    failed = q->failed;
    q->is_asking = false;
    if (failed) {
        cp_free(all->mem, q);
        return COPAL_ENOMEM;
    }
    l->work = q;
    cp_list_append(&all->lookups, &l->node);
    return 0;
}

void cp_lookup_forget(struct cp_lookup *l)
{
    struct question *q = l->work;

    if (q == NULL)
        return;
    q->waiter = NULL;
    l->work = NULL;
    cp_list_remove(&l->node);
}

void cp_credentials_put_identity(struct cp_buf *out, copal_bytes identity)
{
    for (size_t i = 0, n; i < identity.len; i += n) {
        bool valid;
        copal_bytes c;

        n = cp_utf8_length(identity, i, &valid);
        c = cp_bytes(identity.data + i, n);
        if (valid && !cp_utf8_is_control(c) && *c.data != '%')
            cp_put_bytes(out, c);
        else
            for (size_t k = 0; k < n; k++)
                cp_put_format(out, "%%%02x", c.data[k]);
    }
}
