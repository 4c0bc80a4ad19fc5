#include "secure/credentials_file.h"

#include <stdlib.h>
#include "secure/edhoc_entry.h"
#include "secure/oscore_entry.h"
#include "secure/secret_file.h"
#include "secure/secret_json.h"

/* What one scope, or one of the identities for who asks us, comes to. */
struct row {
    struct cp_list node;
    char *scope;
    struct cp_buf identity;
    char *key; /* of psk; NULL: none */
    size_t key_len;
    char *cert, *private_key, *trusted; /* PEM, or NULL */
    struct cp_oscore_entry *oscore;     /* NULL: none */
    struct cp_edhoc_entry *edhoc;       /* likewise */
    char *profile;                      /* likewise */
};

struct file {
    struct cp_credentials *all;
    const struct cp_credentials_more *more;
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
    cp_free(f->mem, r->profile);
    cp_oscore_entry_free(f->mem, r->oscore);
    cp_edhoc_entry_free(f->mem, r->edhoc);
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

/* A name of a file, beside that one unless it says where. */
static int beside(const char *file, const char *name, struct cp_buf *out)
{
    const char *slash = strrchr(file, '/');

    if (name[0] != '/' && slash != NULL)
        cp_put_bytes(out, cp_bytes(file, (size_t)(slash - file) + 1));
    cp_put_text(out, name);
    return cp_buf_text(out) == NULL ? COPAL_ENOMEM : 0;
}

static int read_beside(struct cp_mem *mem, const char *file, const char *name,
                       bool is_secret, char **out, size_t *len)
{
    struct cp_buf path = cp_buf_new(mem);
    int err = beside(file, name, &path);

    if (err == 0)
        err = cp_secret_read(mem, cp_buf_text(&path), is_secret, out, len);
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

/* "0x0a" is one byte; a line's end behind a key is none of it. In place. False:
 * no hexadecimal digits, or not two for each byte. */
static bool decode_key(char *key, size_t *len)
{
    size_t n = *len;

    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r'))
        n--;
    if (n >= 2 && memcmp(key, "0x", 2) == 0) {
        for (size_t i = 2; i < n; i++)
            if (digit(key[i]) < 0 || n % 2 != 0)
                return false;
        for (size_t i = 0; i < (n - 2) / 2; i++)
            key[i] = (char)(digit(key[2 * i + 2]) << 4 | digit(key[2 * i + 3]));
        n = (n - 2) / 2;
    }
    cp_wipe(key + n, *len - n);
    *len = n;
    return true;
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

static int take_value(struct cp_mem *mem, const char *file, const char *scope,
                      const char *name, const char *text, bool is_secret,
                      char **out, size_t *len)
{
    const struct file f = {.mem = mem, .path = file};
    const char *value = text;
    int err = 0;

    if (ends_in(name, "-file")) {
        err = read_beside(mem, file, text, is_secret, out, len);
    } else if (ends_in(name, "-cmd")) {
        err = cp_secret_run(mem, text, out, len);
    } else {
        if (ends_in(name, "-env"))
            value = getenv(text);
        if (value == NULL)
            return wrong(&f, scope, name, "there is no such variable");
        *out = cp_copy_text(mem, value, strlen(value));
        *len = *out == NULL ? 0 : strlen(value);
        err = *out == NULL ? COPAL_ENOMEM : 0;
    }
    if (err == 0 && !decode_key(*out, len))
        err = wrong(&f, scope, name,
                    "after 0x comes an even number of hexadecimal digits");
    return err;
}

int cp_credentials_take_secret(struct cp_mem *mem, const char *file,
                               const char *scope, const char *name,
                               const char *text, char **out, size_t *len)
{
    return take_value(mem, file, scope, name, text, true, out, len);
}

int cp_credentials_take_public(struct cp_mem *mem, const char *file,
                               const char *scope, const char *name,
                               const char *text, char **out, size_t *len)
{
    return take_value(mem, file, scope, name, text, false, out, len);
}

static int take_key(const struct file *f, struct row *r, const char *name,
                    const char *text)
{
    if (r->key != NULL)
        return wrong(f, r->scope, name,
                     "only one of psk, psk-file, psk-env and psk-cmd");
    return cp_credentials_take_secret(f->mem, f->path, r->scope, name, text,
                                      &r->key, &r->key_len);
}

static int take_pem(const struct file *f, const char *text, bool is_secret,
                    char **out)
{
    size_t len;

    if (strstr(text, "-----BEGIN ") == NULL)
        return read_beside(f->mem, f->path, text, is_secret, out, &len);
    *out = cp_copy_text(f->mem, text, strlen(text));
    return *out == NULL ? COPAL_ENOMEM : 0;
}

static int take_profile(const struct file *f, struct row *r, const char *text)
{
    if (strchr(r->scope, '*') != NULL)
        return wrong(f, r->scope, "profile",
                     "is of whom we ask, by name or address without *");
    cp_free(f->mem, r->profile);
    r->profile = cp_copy_text(f->mem, text, strlen(text));
    return r->profile == NULL ? COPAL_ENOMEM : 0;
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
    if (strcmp(name, "profile") == 0)
        return take_profile(f, r, text);
    return wrong(f, r->scope, name,
                 "not known; psk-id with psk, psk-file, psk-env or psk-cmd; "
                 "cert or rpk with key; ca; oscore; edhoc; profile");
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
        if (strcmp(name, "oscore") == 0) {
            err =
                cp_oscore_entry_read(f->mem, f->path, scope, value, &r->oscore);
            continue;
        }
        if (strcmp(name, "edhoc") == 0) {
            err = cp_edhoc_entry_read(f->mem, f->path, scope, value, &r->edhoc);
            continue;
        }
        err = text == NULL ? wrong(f, scope, name, "a string is wanted")
                           : take(f, r, name, text);
    }
    if (err != 0)
        return err;
    if ((r->key != NULL) != (r->identity.len > 0))
        return wrong(f, scope, r->key != NULL ? "psk" : "psk-id",
                     "identity and key come together: psk-id with psk, "
                     "psk-file, psk-env or psk-cmd");
    if (r->key == NULL && r->cert == NULL && r->trusted == NULL &&
        r->oscore == NULL && r->edhoc == NULL && r->profile == NULL)
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

static int apply_oscore(const struct file *f, const struct row *r,
                        bool is_trial)
{
    struct cp_oscore *all =
        f->more == NULL ? NULL : f->more->oscore(f->more->user);
    int err = all == NULL ? COPAL_ENOMEM : 0;

    if (!is_trial)
        return err != 0 ? err : cp_oscore_use(all, r->scope, &r->oscore->spec);
    /* One at a time: two that could be taken for each other are an error. */
    list_each (node, after, &f->rows) {
        const struct row *o = cp_container_of(node, struct row, node);

        if (err == 0 && o != r && o->oscore != NULL &&
            strcmp(o->scope, r->scope) == 0 &&
            cp_oscore_entry_clashes(o->oscore, r->oscore))
            err = cp_why(f->mem, COPAL_EEXIST,
                         "two OSCORE contexts with the same recipient_id and "
                         "id_context");
    }
    return err != 0 ? err : cp_oscore_try(all, r->scope, &r->oscore->spec);
}

static int apply_edhoc(const struct file *f, const struct row *r, bool is_trial)
{
    if (f->more == NULL)
        return COPAL_ENOTSUP;
    return f->more->edhoc(f->more->user, r->scope, &r->edhoc->spec, is_trial);
}

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
    if (err == 0 && r->oscore != NULL)
        err = apply_oscore(f, r, to != f->all);
    if (err == 0 && r->edhoc != NULL)
        err = apply_edhoc(f, r, to != f->all);
    if (err == 0 && r->profile != NULL && f->more != NULL)
        err =
            f->more->profile(f->more->user, r->scope, r->profile, to != f->all);
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

static int take_json(struct file *f, const char *text, size_t len)
{
    json_error_t error;
    json_t *root = cp_secret_json_read(text, len, &error);
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
    cp_secret_json_free(root);
    return err;
}

int cp_credentials_read_file(struct cp_credentials *all,
                             const struct cp_credentials_more *more,
                             const char *path)
{
    struct file f = {.all = all, .more = more, .mem = all->mem, .path = path};
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
