#include "secure/oscore_entry.h"
#include "secure/credentials_file.h"
#include <strings.h>

enum field {
    SECRET,
    SALT,
    SENDER_ID,
    RECIPIENT_ID,
    ID_CONTEXT,
    TEXTS
};

static const char *const names[TEXTS] = {"secret", "salt", "sender_id",
                                         "recipient_id", "id_context"};

static int wrong(struct cp_mem *mem, const char *file, const char *scope,
                 const char *name, const char *what)
{
    return cp_why(mem, COPAL_EFORMAT, "%s: \"%s\": oscore: %s: %s", file, scope,
                  name, what);
}

void cp_oscore_entry_free(struct cp_mem *mem, struct cp_oscore_entry *e)
{
    if (e == NULL)
        return;
    for (size_t i = 0; i < TEXTS; i++)
        if (e->texts[i] != NULL)
            cp_free_secret(mem, e->texts[i], e->lens[i]);
    cp_free(mem, e);
}

/* The field of a name, "secret" with any of its endings; TEXTS: none. */
static size_t field_of(const char *name)
{
    if (strcmp(name, "secret-file") == 0 || strcmp(name, "secret-env") == 0 ||
        strcmp(name, "secret-cmd") == 0)
        return SECRET;
    for (size_t i = 0; i < TEXTS; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return TEXTS;
}

/* Numbers of COSE, or names. */
static int algorithm_of(const json_t *value, bool is_aead)
{
    static const struct {
        const char *name;
        int cose;
    } hashes[] = {{"SHA-256", -10}, {"SHA-512", -11}, {"SHA-384", 6}};
    const char *text = json_string_value(value);

    if (json_is_integer(value))
        return (int)json_integer_value(value);
    if (text == NULL)
        return 0;
    for (int i = 1; is_aead && i < 64; i++)
        if (cp_oscore_aead(i) != NULL &&
            strcasecmp(cp_oscore_aead(i)->name, text) == 0)
            return i;
    for (size_t i = 0; !is_aead && i < 3; i++)
        if (strcasecmp(hashes[i].name, text) == 0)
            return hashes[i].cose;
    return 0;
}

static int take_start(struct cp_mem *mem, const char *file, const char *scope,
                      const char *text, struct cp_oscore_spec *spec)
{
    if (strcmp(text, "new") != 0 && strcmp(text, "begun") != 0)
        return wrong(mem, file, scope, "state",
                     "\"new\" or \"begun\" is wanted; copal creds add says "
                     "which");
    spec->start = text[0] == 'n' ? CP_OSCORE_NEW : CP_OSCORE_BEGUN;
    return 0;
}

static int take_number(struct cp_mem *mem, const char *file, const char *scope,
                       const char *name, const json_t *value,
                       struct cp_oscore_spec *spec)
{
    json_int_t n = json_integer_value(value);
    int algorithm;

    if (strcmp(name, "rederives") == 0 && json_is_boolean(value)) {
        spec->rederives = json_is_true(value);
        return 0;
    }
    if (strcmp(name, "replay_window") == 0 && n > 0 && n <= UINT16_MAX) {
        spec->window = (uint32_t)n;
        return 0;
    }
    if (strcmp(name, "state") == 0 && json_is_string(value))
        return take_start(mem, file, scope, json_string_value(value), spec);
    if (strcmp(name, "aead") == 0 || strcmp(name, "hkdf") == 0) {
        algorithm = algorithm_of(value, name[0] == 'a');
        if (algorithm == 0)
            return wrong(mem, file, scope, name,
                         "an algorithm of COSE is wanted, like 10 or "
                         "\"AES-CCM-16-64-128\", -10 or \"SHA-256\"");
        *(name[0] == 'a' ? &spec->in.aead : &spec->in.hkdf) = algorithm;
        return 0;
    }
    return wrong(mem, file, scope, name,
                 "not known, or of another kind; secret (or secret-file, "
                 "secret-env, secret-cmd), salt, sender_id, recipient_id, "
                 "id_context, aead, hkdf, replay_window, rederives, state");
}

static int take(struct cp_mem *mem, const char *file, const char *scope,
                const char *name, const json_t *value,
                struct cp_oscore_entry *e)
{
    size_t i = field_of(name);

    if (i == TEXTS)
        return take_number(mem, file, scope, name, value, &e->spec);
    if (!json_is_string(value))
        return wrong(mem, file, scope, name, "a string is wanted");
    if (e->texts[i] != NULL)
        return wrong(mem, file, scope, name, "it is there already");
    return cp_credentials_take_secret(mem, file, scope, name,
                                      json_string_value(value), &e->texts[i],
                                      &e->lens[i]);
}

int cp_oscore_entry_read(struct cp_mem *mem, const char *file,
                         const char *scope, const json_t *object,
                         struct cp_oscore_entry **out)
{
    struct cp_oscore_entry *e = *out;
    copal_bytes *to[TEXTS];
    const char *name;
    json_t *value;
    int err = 0;

    if (!json_is_object(object) || e != NULL)
        return wrong(mem, file, scope, "value", "an object is wanted");
    e = *out = cp_zalloc(mem, sizeof(*e));
    if (e == NULL)
        return COPAL_ENOMEM;
    e->spec.in.aead = CP_OSCORE_AEAD;
    e->spec.in.hkdf = CP_OSCORE_HKDF;
    json_object_foreach((json_t *)object, name, value)
    {
        if (err == 0)
            err = take(mem, file, scope, name, value, e);
    }
    to[SECRET] = &e->spec.in.secret;
    to[SALT] = &e->spec.in.salt;
    to[SENDER_ID] = &e->spec.in.sender_id;
    to[RECIPIENT_ID] = &e->spec.in.recipient_id;
    to[ID_CONTEXT] = &e->spec.in.id_context;
    for (size_t i = 0; i < TEXTS; i++)
        *to[i] = cp_bytes(e->texts[i], e->lens[i]);
    return err;
}

bool cp_oscore_entry_clashes(const struct cp_oscore_entry *a,
                             const struct cp_oscore_entry *b)
{
    const struct cp_oscore_input *x = &a->spec.in, *y = &b->spec.in;

    return cp_bytes_equal(x->recipient_id, y->recipient_id) &&
           (x->id_context.data == NULL) == (y->id_context.data == NULL) &&
           cp_bytes_equal(x->id_context, y->id_context);
}
