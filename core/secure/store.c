#include "secure/store.h"
#include "base/digest.h"
#include "engine/core.h"

/* A sealed value: "cps1", its length (4 bytes, big-endian), a digest of path and
 * value (8), the value. It tells damage, not malice: who writes there could make
 * the digest, too. */
enum {
    HEAD = 16,
    DIGEST_AT = 8
};

static const char magic[4] = {'c', 'p', 's', '1'};

/* ---- Sealed values ---- */

/* Path, NUL and value in a row, of which the digest is. */
static int digest(struct cp_mem *mem, const char *path, copal_bytes value,
                  uint64_t *out)
{
    size_t before = strlen(path) + 1;
    uint8_t *row = cp_alloc(mem, before + value.len);

    if (row == NULL)
        return COPAL_ENOMEM;
    memcpy(row, path, before);
    if (value.len > 0)
        memcpy(row + before, value.data, value.len);
    *out = cp_digest(row, before + value.len);
    cp_free_secret(mem, row, before + value.len);
    return 0;
}

static int seal(struct cp_store_op *op, copal_bytes value)
{
    struct cp_mem *mem = op->store->mem;
    struct cp_buf b;
    uint64_t sum;
    int err = digest(mem, op->path, value, &sum);

    if (err != 0)
        return err;
    op->value = cp_alloc(mem, HEAD + value.len);
    if (op->value == NULL)
        return COPAL_ENOMEM;
    op->value_len = HEAD + value.len;
    b = cp_buf_fixed(op->value, op->value_len);
    cp_put_bytes(&b, cp_bytes(magic, sizeof(magic)));
    cp_put_u32(&b, (uint32_t)value.len);
    cp_put_u32(&b, (uint32_t)(sum >> 32));
    cp_put_u32(&b, (uint32_t)sum);
    cp_put_bytes(&b, value);
    return 0;
}

static int damaged(struct cp_mem *mem, const char *name, const char *path,
                   const char *what)
{
    return cp_why(mem, COPAL_EFORMAT,
                  "%s/%s: %s; put a sound copy back. Where there is none, the "
                  "keys that it was kept for must not be used any more",
                  name, path, what);
}

int cp_store_unseal(struct cp_mem *mem, const char *name, const char *path,
                    copal_bytes sealed, copal_bytes *value)
{
    struct cp_cursor c = cp_cursor_of(sealed);
    copal_bytes head = cp_take(&c, sizeof(magic));
    uint64_t len = cp_bytes_uint(cp_take(&c, 4));
    uint64_t said = cp_bytes_uint(cp_take(&c, 8)), sum;
    copal_bytes whole;
    int err;

    if (sealed.len == 0)
        return damaged(mem, name, path, "is empty");
    if (memcmp(sealed.data, magic,
               sealed.len < sizeof(magic) ? sealed.len : sizeof(magic)) != 0)
        return damaged(mem, name, path, "is nothing that copal put there");
    if (c.failed || cp_cursor_left(&c) < len || head.len == 0)
        return damaged(mem, name, path, "is cut short");
    if (cp_cursor_left(&c) > len)
        return damaged(mem, name, path, "has more bytes than were put there");
    whole = cp_take(&c, (size_t)len);
    err = digest(mem, path, whole, &sum);
    if (err != 0)
        return err;
    if (sum != said)
        return damaged(mem, name, path,
                       "was changed, or belongs to another path");
    *value = whole;
    return 0;
}

/* ---- Telling ---- */

static void op_free(struct cp_store_op *op)
{
    struct cp_mem *mem = op->store->mem;

    cp_list_remove(&op->node);
    if (op->waiter != NULL)
        op->waiter->op = NULL;
    cp_free_secret(mem, op->value, op->value_len);
    cp_free(mem, op->why);
    cp_free(mem, op);
}

static void tell(struct cp_store_op *op)
{
    struct cp_store *s = op->store;
    struct cp_store_wait *w = op->waiter;
    copal_bytes value = {0};
    const char *why = "";

    cp_list_remove(&op->node); /* nobody else meets it */
    if (op->status == 0 && op->what == CP_STORE_GET)
        op->status =
            cp_store_unseal(s->mem, s->name, op->path,
                            cp_bytes(op->value, op->value_len), &value);
    if (op->status != 0 && op->status != COPAL_ENOENT)
        why = op->why != NULL ? op->why : cp_why_text(s->mem);
    op->waiter = NULL;
    if (w != NULL) {
        w->op = NULL;
        w->done(w, op->status, value, why);
    }
    op_free(op);
}

static void on_timer(struct cp_timer *t)
{
    struct cp_store *s = cp_container_of(t, struct cp_store, timer);
    struct cp_list now;

    cp_list_init(&now); /* what is asked for meanwhile has its own turn */
    cp_list_join(&now, &s->over);
    for (struct cp_list *n; (n = cp_list_first(&now)) != NULL;)
        tell(cp_container_of(n, struct cp_store_op, node));
}

static struct cp_store_op *begun(const struct cp_store *s, const char *path)
{
    struct cp_map_node *n =
        cp_map_first(&s->begun, cp_map_hash(&s->begun, path, strlen(path)));

    for (; n != NULL; n = cp_map_next(n)) {
        struct cp_store_op *op =
            cp_container_of(n, struct cp_store_op, by_path);

        if (strcmp(op->path, path) == 0)
            return op;
    }
    return NULL;
}

static struct cp_store_op *held(const struct cp_store *s, const char *path)
{
    list_each (node, after, &s->held) {
        struct cp_store_op *op =
            cp_container_of(node, struct cp_store_op, node);

        if (strcmp(op->path, path) == 0)
            return op;
    }
    return NULL;
}

static void begin(struct cp_store_op *op)
{
    struct cp_store *s = op->store;

    cp_list_remove(&op->node);
    cp_map_put(&s->begun, &op->by_path,
               cp_map_hash(&s->begun, op->path, strlen(op->path)));
    s->back->begin(s, op);
}

void cp_store_over(struct cp_store_op *op, int status, copal_bytes value)
{
    struct cp_store *s = op->store;
    struct cp_store_op *next = held(s, op->path);

    op->status = status;
    cp_free_secret(s->mem, op->value, op->value_len);
    op->value = NULL;
    op->value_len = 0;
    if (status != 0 && status != COPAL_ENOENT) {
        const char *why = status == COPAL_ENOMEM || status == COPAL_ECLOSED
                              ? copal_strerror(status)
                              : cp_why_text(s->mem);

        op->why = cp_copy_text(s->mem, why, strlen(why));
    } else if (value.len > 0) {
        op->value = cp_alloc(s->mem, value.len);
        if (op->value == NULL) {
            op->status = COPAL_ENOMEM;
        } else {
            memcpy(op->value, value.data, value.len);
            op->value_len = value.len;
        }
    }
    cp_map_remove(&s->begun, &op->by_path);
    cp_list_append(&s->over, &op->node);
    if (s->engine == NULL) {
        op_free(op);
    } else {
        cp_timer_start(&s->engine->timers, &s->timer, s->engine->now, on_timer);
        cp_engine_wake(s->engine);
    }
    if (next != NULL)
        begin(next);
}

/* ---- Asking ---- */

static bool is_part(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!(at[i] >= 'a' && at[i] <= 'z') &&
            !(at[i] >= '0' && at[i] <= '9') && at[i] != '-' && at[i] != '_')
            return false;
    return len > 0;
}

static bool is_path(const char *path)
{
    const char *slash = strchr(path, '/');

    return slash != NULL && strlen(path) <= CP_STORE_PATH &&
           is_part(path, (size_t)(slash - path)) &&
           is_part(slash + 1, strlen(slash + 1));
}

static int ask(struct cp_store *s, enum cp_store_what what, const char *path,
               copal_bytes value, struct cp_store_wait *w)
{
    struct cp_store_op *op;
    int err = 0;

    if (!is_path(path) || value.len > CP_STORE_VALUE)
        return COPAL_ELIMIT;
    if (s->engine == NULL && (!s->back->outlives_engine || w != NULL))
        return COPAL_ECLOSED;
    op = cp_zalloc(s->mem, sizeof(*op) + strlen(path) + 1);
    if (op == NULL)
        return COPAL_ENOMEM;
    cp_list_init(&op->node);
    op->store = s;
    op->what = what;
    memcpy(op->path, path, strlen(path));
    if (what == CP_STORE_PUT)
        err = seal(op, value);
    if (err != 0) {
        op_free(op);
        return err;
    }
    op->waiter = w;
    if (w != NULL)
        w->op = op;
    if (begun(s, path) != NULL)
        cp_list_append(&s->held, &op->node);
    else
        begin(op);
    return 0;
}

int cp_store_get(struct cp_store *s, const char *path, struct cp_store_wait *w)
{
    return ask(s, CP_STORE_GET, path, (copal_bytes){0}, w);
}

int cp_store_put(struct cp_store *s, const char *path, copal_bytes value,
                 struct cp_store_wait *w)
{
    return ask(s, CP_STORE_PUT, path, value, w);
}

int cp_store_delete(struct cp_store *s, const char *path,
                    struct cp_store_wait *w)
{
    return ask(s, CP_STORE_DELETE, path, (copal_bytes){0}, w);
}

int cp_store_read(struct cp_store *s, const char *path, struct cp_buf *out)
{
    copal_bytes value = {0};
    uint8_t *sealed;
    size_t len;
    int err;

    if (s->back->read == NULL)
        return COPAL_ESTATE;
    if (!is_path(path))
        return COPAL_ELIMIT;
    while (begun(s, path) != NULL && s->back->drain != NULL)
        s->back->drain(s);
    err = s->back->read(s, path, &sealed, &len);
    if (err != 0)
        return err;
    err = cp_store_unseal(s->mem, s->name, path, cp_bytes(sealed, len), &value);
    if (err == 0) {
        cp_put_bytes(out, value);
        err = out->failed ? COPAL_ENOMEM : 0;
    }
    cp_free_secret(s->mem, sealed, len);
    return err;
}

void cp_store_forget(struct cp_store_wait *w)
{
    if (w->op != NULL)
        w->op->waiter = NULL;
    w->op = NULL;
}

/* ---- Birth and end ---- */

void cp_store_init(struct cp_store *s, const struct cp_store_back *back,
                   struct cp_mem *mem, struct cp_engine *e)
{
    s->back = back;
    s->mem = mem;
    s->engine = e;
    s->name = "the store";
    cp_map_init(&s->begun, mem, &e->random);
    cp_list_init(&s->held);
    cp_list_init(&s->over);
}

static void close_all(struct cp_list *ops)
{
    for (struct cp_list *n; (n = cp_list_first(ops)) != NULL;) {
        struct cp_store_op *op = cp_container_of(n, struct cp_store_op, node);

        op->status = COPAL_ECLOSED;
        tell(op);
    }
}

void cp_store_end(struct cp_store *s)
{
    if (s->engine == NULL)
        return;
    if (s->back->end != NULL)
        s->back->end(s);
    cp_timer_stop(&s->engine->timers, &s->timer);
    s->engine = NULL;
    on_timer(&s->timer); /* what was done was done */
    close_all(&s->held);
}

void cp_store_free(struct cp_store *s)
{
    if (s == NULL)
        return;
    cp_map_clear(&s->begun);
    s->back->free(s);
}
