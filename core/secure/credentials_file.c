#include "secure/credentials_file.h"

#include <jansson.h>
#include <stdlib.h>
#include "secure/secret_file.h"

/* What one scope, or one of the identities for who asks us, comes to. */
struct row {
    struct cp_list node;
    char *scope;
    struct cp_buf identity;
    char *key; /* of psk; NULL: none */
    size_t key_len;
    char *cert, *private_key, *trusted; /* PEM, or NULL */
};

struct file {
    struct cp_credentials *all;
    struct cp_mem *mem;
    const char *path;
    struct cp_list rows;
};

static int wrong(const struct file *f, const char *scope, const char *name,
                 const char *what)
{
    return cp_why(f->mem, COPAL_EFORMAT, "%s: \"%s\": %s: %s", f->path, scope,
                  name, what);
}

/* ---- Rows ---- */

static void secret_free(struct cp_mem *mem, char *text, size_t len)
{
    if (text != NULL)
        cp_free_secret(mem, text, len);
}

static void row_free(struct file *f, struct row *r)
{
    cp_list_remove(&r->node);
    cp_free(f->mem, r->scope);
    cp_buf_free(&r->identity);
    secret_free(f->mem, r->key, r->key_len);
    cp_free(f->mem, r->cert);
    secret_free(f->mem, r->private_key,
                r->private_key == NULL ? 0 : strlen(r->private_key));
    cp_free(f->mem, r->trusted);
    cp_free(f->mem, r);
}

static struct row *row_new(struct file *f, const char *scope)
{
    struct row *r = cp_zalloc(f->mem, sizeof(*r));

    if (r == NULL)
        return NULL;
    cp_list_append(&f->rows, &r->node);
    r->identity = cp_buf_new(f->mem);
    r->scope = cp_copy_text(f->mem, scope, strlen(scope));
    return r->scope == NULL ? NULL : r;
}

/* ---- Values ---- */

/* A name of a file, beside this one unless it says where. */
static int beside(const struct file *f, const char *name, struct cp_buf *out)
{
    const char *slash = strrchr(f->path, '/');

    if (name[0] != '/' && slash != NULL)
        cp_put_bytes(out, cp_bytes(f->path, (size_t)(slash - f->path) + 1));
    cp_put_text(out, name);
    return cp_buf_text(out) == NULL ? COPAL_ENOMEM : 0;
}

static int read_beside(const struct file *f, const char *name, bool is_secret,
                       char **out, size_t *len)
{
    struct cp_buf path = cp_buf_new(f->mem);
    int err = beside(f, name, &path);

    if (err == 0)
        err = cp_secret_read(f->mem, cp_buf_text(&path), is_secret, out, len);
    cp_buf_free(&path);
    return err;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "0x0a" is one byte; a line's end behind a key is none of it. In place. */
static int decode_key(const struct file *f, struct row *r, const char *name)
{
    size_t n = r->key_len;

    while (n > 0 && (r->key[n - 1] == '\n' || r->key[n - 1] == '\r'))
        n--;
    if (n >= 2 && memcmp(r->key, "0x", 2) == 0) {
        for (size_t i = 2; i < n; i++)
            if (digit(r->key[i]) < 0 || n % 2 != 0)
                return wrong(f, r->scope, name,
                             "after 0x comes an even number of hexadecimal "
                             "digits");
        for (size_t i = 0; i < (n - 2) / 2; i++)
            r->key[i] = (char)(digit(r->key[2 * i + 2]) << 4 |
                               digit(r->key[2 * i + 3]));
        n = (n - 2) / 2;
    }
    cp_wipe(r->key + n, r->key_len - n);
    r->key_len = n;
    return 0;
}

static int copy_key(const struct file *f, struct row *r, const char *text)
{
    r->key = cp_copy_text(f->mem, text, strlen(text));
    r->key_len = r->key == NULL ? 0 : strlen(text);
    return r->key == NULL ? COPAL_ENOMEM : 0;
}

static int take_key(const struct file *f, struct row *r, const char *name,
                    const char *text)
{
    const char *value = text;
    int err;

    if (r->key != NULL)
        return wrong(f, r->scope, name,
                     "only one of psk, psk-file, psk-env and psk-cmd");
    if (strcmp(name, "psk-file") == 0) {
        err = read_beside(f, text, true, &r->key, &r->key_len);
    } else if (strcmp(name, "psk-cmd") == 0) {
        err = cp_secret_run(f->mem, text, &r->key, &r->key_len);
    } else {
        if (strcmp(name, "psk-env") == 0)
            value = getenv(text);
        if (value == NULL)
            return wrong(f, r->scope, name, "there is no such variable");
        err = copy_key(f, r, value);
    }
    return err == 0 ? decode_key(f, r, name) : err;
}

static int take_pem(const struct file *f, const char *text, bool is_secret,
                    char **out)
{
    size_t len;

    if (strstr(text, "-----BEGIN ") == NULL)
        return read_beside(f, text, is_secret, out, &len);
    *out = cp_copy_text(f->mem, text, strlen(text));
    return *out == NULL ? COPAL_ENOMEM : 0;
}

static int take(const struct file *f, struct row *r, const char *name,
                const char *text)
{
    if (strcmp(name, "psk-id") == 0) {
        cp_put_text(&r->identity, text);
        return r->identity.failed ? COPAL_ENOMEM : 0;
    }
    if (strcmp(name, "psk") == 0 || strcmp(name, "psk-file") == 0 ||
        strcmp(name, "psk-env") == 0 || strcmp(name, "psk-cmd") == 0)
        return take_key(f, r, name, text);
    if (strcmp(name, "cert") == 0 || strcmp(name, "rpk") == 0)
        return r->cert != NULL
                   ? wrong(f, r->scope, name, "either cert or rpk, not both")
                   : take_pem(f, text, false, &r->cert);
    if (strcmp(name, "key") == 0)
        return take_pem(f, text, true, &r->private_key);
    if (strcmp(name, "ca") == 0)
        return take_pem(f, text, false, &r->trusted);
    if (strcmp(name, "profile") == 0) /* the program's business */
        return 0;
    return wrong(f, r->scope, name,
                 "not known; psk-id with psk, psk-file, psk-env or psk-cmd; "
                 "cert or rpk with key; ca");
}

static int take_object(struct file *f, const char *scope, json_t *object)
{
    struct row *r = row_new(f, scope);
    const char *name;
    json_t *value;
    int err = r == NULL ? COPAL_ENOMEM : 0;

    json_object_foreach(object, name, value)
    {
        const char *text = json_string_value(value);

        if (err != 0)
            break;
        err = text == NULL ? wrong(f, scope, name, "a string is wanted")
                           : take(f, r, name, text);
    }
    if (err != 0)
        return err;
    if ((r->key != NULL) != (r->identity.len > 0))
        return wrong(f, scope, r->key != NULL ? "psk" : "psk-id",
                     "identity and key come together: psk-id with psk, "
                     "psk-file, psk-env or psk-cmd");
    if (r->key == NULL && r->cert == NULL && r->trusted == NULL)
        return wrong(f, scope, "{}", "neither a key nor a certificate");
    return 0;
}

static int take_scope(struct file *f, const char *scope, json_t *value)
{
    size_t i;
    json_t *one;
    int err = 0;

    if (json_is_object(value))
        return take_object(f, scope, value);
    if (!json_is_array(value) || strcmp(scope, "*") != 0)
        return wrong(f, scope, "value",
                     "an object is wanted; only \"*\" may have a list of them");
    json_array_foreach(value, i, one)
    {
        if (err == 0)
            err = json_is_object(one)
                      ? take_object(f, scope, one)
                      : wrong(f, scope, "value", "a list of objects is wanted");
    }
    return err;
}

/* ---- All ---- */

static int apply(const struct file *f, const struct row *r,
                 struct cp_credentials *to)
{
    struct cp_pem pem = {
        .cert = r->cert, .key = r->private_key, .trusted = r->trusted};
    int err = 0;

    if (r->key != NULL)
        err = cp_credentials_use_psk(
            to, r->scope, cp_bytes(r->identity.data, r->identity.len),
            cp_bytes(r->key, r->key_len));
    if (err == 0 &&
        (r->cert != NULL || r->trusted != NULL || r->private_key != NULL))
        err = cp_credentials_use_cert(to, r->scope, &pem);
    if (err != 0 && err != COPAL_ENOMEM) {
        char copy[512];

        snprintf(copy, sizeof(copy), "%s", cp_why_text(f->mem));
        cp_why(f->mem, err, "%s: \"%s\": %s", f->path, r->scope, copy);
    }
    return err;
}

/* First to a store that nobody uses: all of it, or nothing. */
static int apply_all(struct file *f)
{
    struct cp_credentials *trial = cp_credentials_new(f->mem, f->all->engine);
    int err = trial == NULL ? COPAL_ENOMEM : 0;

    list_each (node, after, &f->rows)
        if (err == 0)
            err = apply(f, cp_container_of(node, struct row, node), trial);
    list_each (node, after, &f->rows)
        if (err == 0)
            err = apply(f, cp_container_of(node, struct row, node), f->all);
    if (trial != NULL)
        cp_credentials_end(trial);
    cp_credentials_unref(trial);
    return err;
}

/* Strings of jansson's that may be secrets: it does not wipe them. */
static void wipe(json_t *value)
{
    const char *name;
    json_t *v;
    size_t i;

    if (json_is_string(value))
        cp_wipe((char *)json_string_value(value), json_string_length(value));
    json_object_foreach(value, name, v) wipe(v);
    json_array_foreach(value, i, v) wipe(v);
}

static int take_json(struct file *f, const char *text, size_t len)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    const char *scope;
    json_t *value;
    int err = 0;

    if (root == NULL)
        return cp_why(f->mem, COPAL_EFORMAT, "%s:%d:%d: %s", f->path,
                      error.line, error.column, error.text);
    if (!json_is_object(root))
        err = cp_why(f->mem, COPAL_EFORMAT,
                     "%s: an object is wanted: {\"coaps://host\": {...}}",
                     f->path);
    json_object_foreach(root, scope, value)
    {
        if (err == 0)
            err = take_scope(f, scope, value);
    }
    wipe(root);
    json_decref(root);
    return err;
}

int cp_credentials_read_file(struct cp_credentials *all, const char *path)
{
    struct file f = {.all = all, .mem = all->mem, .path = path};
    char *text;
    size_t len;
    int err = cp_secret_read(all->mem, path, true, &text, &len);

    if (err != 0)
        return err;
    cp_list_init(&f.rows);
    err = take_json(&f, text, len);
    cp_free_secret(all->mem, text, len);
    if (err == 0)
        err = apply_all(&f);
    list_each (node, after, &f.rows)
        row_free(&f, cp_container_of(node, struct row, node));
    return err;
}
