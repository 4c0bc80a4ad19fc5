#include "secure/edhoc_entry.h"
#include "secure/credentials_file.h"

/* Whose field it is. */
struct where {
    struct cp_mem *mem;
    const char *file, *scope;
};

static int wrong(const struct where *w, const char *name, const char *what)
{
    return cp_why(w->mem, COPAL_EFORMAT, "%s: \"%s\": edhoc: %s: %s", w->file,
                  w->scope, name, what);
}

void cp_edhoc_entry_free(struct cp_mem *mem, struct cp_edhoc_entry *e)
{
    if (e == NULL)
        return;
    if (e->private_key != NULL)
        cp_free_secret(mem, e->private_key, e->private_key_len);
    cp_buf_free(&e->credential);
    cp_buf_free(&e->identifier);
    cp_buf_free(&e->peers);
    cp_free(mem, e);
}

static bool is_field(const char *name, const char *field, bool is_secret)
{
    size_t n = strlen(field);

    if (strncmp(name, field, n) != 0)
        return false;
    return name[n] == '\0' || strcmp(name + n, "-file") == 0 ||
           (is_secret &&
            (strcmp(name + n, "-env") == 0 || strcmp(name + n, "-cmd") == 0));
}

/* One text more, decoded, behind what is there. */
static int add_text(const struct where *w, const char *name, const char *text,
                    struct cp_buf *to)
{
    char *value = NULL;
    size_t len = 0;
    int err = cp_credentials_take_public(w->mem, w->file, w->scope, name, text,
                                         &value, &len);

    if (err == 0)
        cp_put_bytes(to, cp_bytes(value, len));
    if (value != NULL)
        cp_free_secret(w->mem, value, len);
    return err == 0 && to->failed ? COPAL_ENOMEM : err;
}

static int take_texts(const struct where *w, const char *name,
                      const json_t *value, struct cp_buf *to)
{
    json_t *one;
    size_t i;
    int err = 0;

    if (json_is_string(value))
        return add_text(w, name, json_string_value(value), to);
    if (!json_is_array(value))
        return wrong(w, name, "a string, or a list of them, is wanted");
    json_array_foreach((json_t *)value, i, one)
    {
        if (err == 0)
            err = json_is_string(one)
                      ? add_text(w, name, json_string_value(one), to)
                      : wrong(w, name, "a list of strings is wanted");
    }
    return err;
}

static int take_number(const struct where *w, const char *name,
                       const json_t *value, int *to)
{
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < 0 || n > 1000)
        return wrong(w, name, "a small number is wanted");
    *to = (int)n;
    return 0;
}

static int take(const struct where *w, const char *name, const json_t *value,
                struct cp_edhoc_entry *e)
{
    if (strcmp(name, "method") == 0)
        return take_number(w, name, value, &e->spec.method);
    if (strcmp(name, "suite") == 0)
        return take_number(w, name, value, &e->spec.suite);
    if (strcmp(name, "combined") == 0 && json_is_boolean(value)) {
        e->spec.combined = json_is_true(value);
        return 0;
    }
    if (is_field(name, "peer_credential", false))
        return take_texts(w, name, value, &e->peers);
    if (is_field(name, "credential", false))
        return take_texts(w, name, value, &e->credential);
    if (strcmp(name, "identifier") == 0)
        return take_texts(w, name, value, &e->identifier);
    if (!is_field(name, "private_key", true))
        return wrong(w, name,
                     "not known; method, suite, private_key (or "
                     "private_key-file, -env, -cmd), credential, "
                     "peer_credential (or -file), identifier, combined");
    if (!json_is_string(value) || e->private_key != NULL)
        return wrong(w, name, "one string is wanted");
    return cp_credentials_take_secret(w->mem, w->file, w->scope, name,
                                      json_string_value(value), &e->private_key,
                                      &e->private_key_len);
}

int cp_edhoc_entry_read(struct cp_mem *mem, const char *file, const char *scope,
                        const json_t *object, struct cp_edhoc_entry **out)
{
    const struct where w = {mem, file, scope};
    struct cp_edhoc_entry *e = *out;
    const char *name;
    json_t *value;
    int err = 0;

    if (!json_is_object(object) || e != NULL)
        return wrong(&w, "value", "an object is wanted");
    e = *out = cp_zalloc(mem, sizeof(*e));
    if (e == NULL)
        return COPAL_ENOMEM;
    e->credential = e->identifier = e->peers = cp_buf_new(mem);
    json_object_foreach((json_t *)object, name, value)
    {
        if (err == 0)
            err = take(&w, name, value, e);
    }
    e->spec.private_key = cp_bytes(e->private_key, e->private_key_len);
    e->spec.credential = cp_bytes(e->credential.data, e->credential.len);
    e->spec.identifier = cp_bytes(e->identifier.data, e->identifier.len);
    e->spec.peers = cp_bytes(e->peers.data, e->peers.len);
    return err;
}
