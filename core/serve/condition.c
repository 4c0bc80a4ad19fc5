#include "serve/condition.h"
#include "wire/message.h"

/* A request waiting to hear whether it may be done. */
struct waiting {
    struct cp_mem *mem;
    copal_event ev; /* its exchange and msg are ref'd */
    struct cp_handler *handler;
};

bool cp_condition_is_asked(const copal_msg *m)
{
    if (!cp_msg_has(m, COPAL_OPT_IF_MATCH) &&
        !cp_msg_has(m, COPAL_OPT_IF_NONE_MATCH))
        return false;
    return m->code == COPAL_PUT || m->code == COPAL_POST ||
           m->code == COPAL_DELETE || m->code == COPAL_PATCH ||
           m->code == COPAL_IPATCH;
}

/* The empty If-Match asks for any representation. */
static bool matches(const copal_msg *request, bool exists, copal_bytes etag)
{
    copal_bytes wanted;

    if (!exists)
        return false;
    for (size_t i = 0;
         copal_msg_value(request, COPAL_OPT_IF_MATCH, i, &wanted) == 0; i++)
        if (wanted.len == 0 || cp_bytes_equal(wanted, etag))
            return true;
    return false;
}

static bool is_fulfilled(const copal_msg *request, const copal_msg *answer)
{
    bool exists = cp_code_class(copal_msg_code(answer)) == 2;
    copal_bytes etag = {0};

    copal_msg_value(answer, COPAL_OPT_ETAG, 0, &etag);
    if (cp_msg_has(request, COPAL_OPT_IF_NONE_MATCH) && exists)
        return false;
    return !cp_msg_has(request, COPAL_OPT_IF_MATCH) ||
           matches(request, exists, etag);
}

static void let_go(void *user)
{
    struct waiting *w = user;

    cp_handler_unref(w->handler);
    copal_msg_unref(w->ev.msg);
    copal_exchange_unref(w->ev.exchange);
    cp_free(w->mem, w);
}

static void proceed(const copal_event *ev, void *user)
{
    struct waiting *w = user;

    (void)ev;
    cp_answer_dispatch(&w->ev, w->handler);
}

/* The next turn hands the request on, as we may be inside the call by which
 * the getter answers. Where that cannot tell what there is, nothing is done
 * that the condition might have forbidden. Who is let go of without an answer
 * gets 5.00 from the engine. */
static void on_answer(void *user, const copal_msg *answer)
{
    struct waiting *w = user;
    copal *c = copal_exchange_endpoint(w->ev.exchange);
    bool is_known =
        answer != NULL && cp_code_class(copal_msg_code(answer)) != 5;

    if (is_known && is_fulfilled(w->ev.msg, answer)) {
        copal_after(c, 0, COPAL_CB_OWN(proceed, w, let_go));
        return;
    }
    if (is_known)
        copal_reply(w->ev.exchange, COPAL_PRECONDITION_FAILED, COPAL_NO_FORMAT,
                    (copal_bytes){0});
    let_go(w);
}

static int copy_what_names_it(copal_msg *to, const copal_msg *request)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < request->option_count; i++) {
        const struct cp_option *o = &request->options[i];

        if (o->number == COPAL_OPT_URI_PATH || o->number == COPAL_OPT_URI_QUERY)
            err = cp_msg_add(to, o->number, cp_msg_option_value(request, o));
    }
    return err;
}

/* GET for the path and query of request, by who sent that. */
static copal_msg *question(struct cp_mem *mem, const copal_msg *request)
{
    copal_msg *get = cp_msg_new(mem, COPAL_GET, 0);
    const char *identity = request->identity;

    if (get == NULL)
        return NULL;
    if (identity != NULL)
        get->identity = cp_copy_text(mem, identity, strlen(identity));
    if ((identity != NULL && get->identity == NULL) ||
        copy_what_names_it(get, request) != 0) {
        copal_msg_unref(get);
        return NULL;
    }
    return get;
}

int cp_condition_check(struct cp_engine *e, struct cp_handler *getter,
                       const copal_event *ev, struct cp_handler *handler)
{
    struct cp_mem *mem = handler->mem;
    copal_msg *get = question(mem, ev->msg);
    struct waiting *w;

    if (get == NULL)
        return COPAL_ENOMEM;
    w = cp_alloc(mem, sizeof(*w));
    if (w == NULL) {
        copal_msg_unref(get);
        return COPAL_ENOMEM;
    }
    *w = (struct waiting){.mem = mem, .ev = *ev};
    w->ev.exchange = copal_exchange_ref(ev->exchange);
    w->ev.msg = copal_msg_ref(ev->msg);
    w->handler = cp_handler_ref(handler);
    cp_answer_ask(e, getter, get, on_answer, w);
    copal_msg_unref(get);
    return 0;
}
