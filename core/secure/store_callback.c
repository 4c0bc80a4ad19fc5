/* A store that the application keeps: it hears GET, PUT and DELETE of a path and
 * answers once what it was asked for is so, now or later. */
#include "secure/store.h"
#include "engine/answer.h"
#include "engine/core.h"
#include "wire/code.h"

struct application {
    struct cp_store store;
    struct cp_handler *handler;
};

static int unexpected(struct cp_store_op *op, const copal_msg *answer)
{
    return cp_why(op->store->mem, COPAL_EIO,
                  "the store answered %s of %s by %s; it has to by %s",
                  op->what == CP_STORE_GET   ? "GET"
                  : op->what == CP_STORE_PUT ? "PUT"
                                             : "DELETE",
                  op->path, copal_name(COPAL_CODES, answer->code),
                  op->what == CP_STORE_GET   ? "2.05, or 4.04"
                  : op->what == CP_STORE_PUT ? "2.04 once it is durable"
                                             : "2.02");
}

static int status_of(struct cp_store_op *op, const copal_msg *answer)
{
    int code = answer->code;

    switch (op->what) {
    case CP_STORE_GET:
        return code == COPAL_CONTENT     ? 0
               : code == COPAL_NOT_FOUND ? COPAL_ENOENT
                                         : unexpected(op, answer);
    case CP_STORE_PUT:
        return code == COPAL_CHANGED || code == COPAL_CREATED
                   ? 0
                   : unexpected(op, answer);
    default:
        return code == COPAL_DELETED || code == COPAL_NOT_FOUND
                   ? 0
                   : unexpected(op, answer);
    }
}

static void on_answer(void *user, const copal_msg *answer)
{
    struct cp_store_op *op = user;
    copal_bytes value = {0};
    int status;

    if (answer == NULL) {
        cp_store_over(op,
                      op->store->engine->ending ? COPAL_ECLOSED : COPAL_ENOMEM,
                      value);
        return;
    }
    ((copal_msg *)answer)->is_secret = true; /* wiped with its last user */
    status = status_of(op, answer);
    if (status == 0 && op->what == CP_STORE_GET)
        value = answer->payload;
    cp_store_over(op, status, value);
}

static int add_path(copal_msg *m, const char *path)
{
    const char *slash = strchr(path, '/');
    int err = cp_msg_add(m, COPAL_OPT_URI_PATH,
                         cp_bytes(path, (size_t)(slash - path)));

    return err != 0
               ? err
               : cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes_of_text(slash + 1));
}

static copal_msg *request_new(const struct cp_store_op *op)
{
    static const uint8_t codes[] = {
        [CP_STORE_GET] = COPAL_GET,
        [CP_STORE_PUT] = COPAL_PUT,
        [CP_STORE_DELETE] = COPAL_DELETE,
    };
    copal_msg *m = cp_msg_new(op->store->mem, codes[op->what],
                              op->value_len + strlen(op->path) + 16);

    if (m == NULL)
        return NULL;
    if (add_path(m, op->path) != 0 ||
        (op->what == CP_STORE_PUT &&
         copal_msg_set_payload(m, COPAL_NO_FORMAT,
                               cp_bytes(op->value, op->value_len)) != 0)) {
        copal_msg_unref(m);
        return NULL;
    }
    m->is_secret = true;
    m->frozen = true;
    return m;
}

static void begin(struct cp_store *s, struct cp_store_op *op)
{
    struct application *a = cp_container_of(s, struct application, store);
    copal_msg *m = request_new(op);

    if (m == NULL) {
        cp_store_over(op, COPAL_ENOMEM, (copal_bytes){0});
        return;
    }
    cp_answer_look_up(s->engine, a->handler, "store", m, on_answer, op);
    copal_msg_unref(m);
}

static void free_application(struct cp_store *s)
{
    struct application *a = cp_container_of(s, struct application, store);
    struct cp_mem *mem = s->mem;

    cp_handler_unref(a->handler);
    cp_free(mem, a);
}

static const struct cp_store_back application = {
    .begin = begin,
    .free = free_application,
};

struct cp_store *cp_store_asking(struct cp_mem *mem, struct cp_engine *e,
                                 struct cp_handler *h)
{
    struct application *a = cp_zalloc(mem, sizeof(*a));

    if (a == NULL) {
        cp_handler_unref(h);
        return NULL;
    }
    cp_store_init(&a->store, &application, mem, e);
    a->handler = h;
    return &a->store;
}
