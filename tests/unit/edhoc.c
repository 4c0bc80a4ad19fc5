#include "edhoc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- Ends ---- */

static bool own(void *user, enum cp_curve curve, struct cp_edhoc_own *out)
{
    struct end *e = user;

    for (size_t i = 0; i < e->own_count; i++)
        if (e->own[i].curve == curve) {
            out->id = e->own[i].id;
            out->cred = e->own[i].cred;
            out->secret = e->own[i].secret;
            return true;
        }
    return false;
}

static int find(void *user, const struct cp_cose_id *id, size_t nth,
                struct cp_edhoc_credential *out)
{
    struct end *e = user;

    e->asked++;
    for (size_t i = 0; i < e->known_count; i++)
        if (cp_edhoc_credential_read(e->known[i], out, NULL) == 0 &&
            cp_edhoc_credential_is(out, id) && nth-- == 0)
            return 0;
    return COPAL_ENOENT;
}

static int choose(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out)
{
    (void)taken;
    *out = ((struct end *)user)->cid;
    return 0;
}

void end_init(struct end *e, struct cp_mem *mem, struct cp_aeads *aeads,
              unsigned methods, const int *suites)
{
    *e = (struct end){.setup = {.mem = mem,
                                .aeads = aeads,
                                .methods = methods,
                                .own = own,
                                .find = find,
                                .choose = choose}};
    while (suites[e->setup.suites.count] >= 0) {
        e->setup.suites.list[e->setup.suites.count] =
            suites[e->setup.suites.count];
        e->setup.suites.count++;
    }
}

void end_own(struct end *e, enum cp_curve curve, copal_bytes secret,
             copal_bytes id, copal_bytes cred)
{
    struct end_own *o = &e->own[e->own_count++];

    assert_int_equal(secret.len, CP_CURVE_KEY);
    o->curve = (uint8_t)curve;
    o->id = id;
    o->cred = cred;
    memcpy(o->secret, secret.data, CP_CURVE_KEY);
}

void end_knows(struct end *e, copal_bytes cred)
{
    e->known[e->known_count++] = cred;
}

void end_begin(struct end *e, bool is_initiator)
{
    e->setup.user = e;
    cp_edhoc_init(&e->session, &e->setup, is_initiator);
}

bool has_curves(void)
{
    uint8_t secret[CP_CURVE_KEY];
    struct cp_public_key key;

    return cp_curve_generate(CP_X25519, secret, &key) != COPAL_ENOTSUP;
}

/* ---- Traces ---- */

void trace_open(struct trace *t, int index)
{
    *t = (struct trace){.document = vectors_load("edhoc.json")};
    t->values = vectors_array(
        json_array_get(vectors_rows(t->document, "traces", 2), (size_t)index),
        "values");
}

void trace_close(struct trace *t)
{
    json_decref(t->document);
}

copal_bytes trace_get(struct trace *t, const char *section, const char *label,
                      const char *form)
{
    size_t i;
    json_t *row;

    json_array_foreach(t->values, i, row)
    {
        const char *its = json_string_value(json_object_get(row, "form"));
        copal_bytes bytes;

        if (strncmp(vectors_text(row, "section"), section, strlen(section)) !=
                0 ||
            strcmp(vectors_text(row, "label"), label) != 0 ||
            (form != NULL &&
             (its == NULL || strncmp(its, form, strlen(form)) != 0)))
            continue;
        bytes = vectors_hex(row, "hex", t->bytes + t->used, TRACE - t->used);
        t->used += bytes.len;
        return bytes;
    }
    fail_msg("no %s in %s", label, section);
    return (copal_bytes){0};
}

void assert_bytes_equal_at(copal_bytes a, copal_bytes b, int line)
{
    if (a.len != b.len)
        fail_msg("line %d: %zu bytes, not %zu", line, a.len, b.len);
    for (size_t i = 0; i < a.len; i++)
        if (a.data[i] != b.data[i])
            fail_msg("line %d: byte %zu is %02x, not %02x", line, i, a.data[i],
                     b.data[i]);
}
