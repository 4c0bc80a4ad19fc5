/* EDHOC by the traces of RFC 9529, byte for byte, in both roles; and what it
 * calls invalid. */
#include "edhoc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct world {
    struct cp_mem *mem;
    struct cp_aeads *aeads;
    struct trace trace;
    struct end initiator, responder;
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    w->mem = cp_mem_new(NULL, NULL);
    w->aeads = cp_aeads_new(w->mem);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    cp_edhoc_clear(&w->initiator.session);
    cp_edhoc_clear(&w->responder.session);
    cp_aeads_free(w->aeads);
    assert_int_equal(cp_mem_used(w->mem), 0);
    cp_mem_release(w->mem);
    free(w);
    return 0;
}

static copal_bytes get(struct world *w, const char *section, const char *label,
                       const char *form)
{
    return trace_get(&w->trace, section, label, form);
}

static void set_cid(struct end *e, copal_bytes cid)
{
    e->cid.len = (uint8_t)cid.len;
    memcpy(e->cid.bytes, cid.data, cid.len);
}

/* What each has in a trace, whose messages 1 are in that section. */
static void meet(struct world *w, const char *first, unsigned methods,
                 const int *suites_i, const int *suites_r, enum cp_curve curve)
{
    copal_bytes id_i = get(w, "message_3", "ID_CRED_I", "CBOR");
    copal_bytes id_r = get(w, "message_2", "ID_CRED_R", "CBOR");
    copal_bytes cred_i = get(w, "message_3", "CRED_I", "CBOR");
    copal_bytes cred_r = get(w, "message_2", "CRED_R", "CBOR");

    end_init(&w->initiator, w->mem, w->aeads, methods, suites_i);
    end_init(&w->responder, w->mem, w->aeads, methods, suites_r);
    end_own(&w->initiator, curve, get(w, "message_3", "SK_I", NULL), id_i,
            cred_i);
    end_own(&w->responder, curve, get(w, "message_2", "SK_R", NULL), id_r,
            cred_r);
    end_knows(&w->initiator, cred_r);
    end_knows(&w->responder, cred_i);
    set_cid(&w->initiator, get(w, first, "C_I", "Raw"));
    w->initiator.setup.secret = get(w, first, "X", NULL).data;
    w->responder.setup.secret = get(w, "message_2", "Y", NULL).data;
    end_begin(&w->initiator, true);
    end_begin(&w->responder, false);
}

/* From message 1 on, all is as printed. */
static void run(struct world *w, const char *first, size_t selected)
{
    struct cp_edhoc *i = &w->initiator.session, *r = &w->responder.session;
    copal_bytes out;

    assert_int_equal(cp_edhoc_begin(i, selected, &out), 0);
    assert_bytes_equal(out, get(w, first, "message_1", NULL));
    assert_int_equal(cp_edhoc_take_1(r, out, &out), 0);
    assert_bytes_equal(out, get(w, "message_2", "message_2", NULL));
    assert_bytes_equal(cp_bytes(r->hash, 32),
                       get(w, "message_3", "TH_3", "Raw"));
    assert_bytes_equal(cp_bytes(r->prk, 32),
                       get(w, "message_2", "PRK_3e2m", NULL));
    assert_int_equal(cp_edhoc_take_2(i, out, &out), 0);
    assert_bytes_equal(out, get(w, "message_3", "message_3", NULL));
    assert_bytes_equal(cp_bytes(i->hash, 32),
                       get(w, "message_3", "TH_4", "Raw"));
    assert_bytes_equal(cp_bytes(i->prk, 32),
                       get(w, "message_3", "PRK_4e3m", NULL));
    assert_int_equal(cp_edhoc_take_3(r, out, &out), 0);
    assert_bytes_equal(out, get(w, "message_4", "message_4", NULL));
    assert_int_equal(cp_edhoc_take_4(i, out, &out), 0);
    assert_int_equal(out.len, 0);
}

/* What comes out, on both sides, also after a key update. */
static void check_export(struct world *w, struct cp_edhoc *s)
{
    struct cp_edhoc_oscore made;
    copal_bytes context = get(w, "Key Update", "context for KeyUpdate", "Raw");

    assert_bytes_equal(cp_bytes(s->prk_out, 32),
                       get(w, "PRK_out", "PRK_out", NULL));
    assert_bytes_equal(cp_bytes(s->prk_exporter, 32),
                       get(w, "PRK_out", "PRK_exporter", NULL));
    assert_int_equal(cp_edhoc_oscore(s, &made), 0);
    assert_bytes_equal(cp_bytes(made.secret, made.secret_len),
                       get(w, "OSCORE", "OSCORE Master Secret", NULL));
    assert_bytes_equal(cp_bytes(made.salt, sizeof(made.salt)),
                       get(w, "OSCORE", "OSCORE Master Salt", NULL));
    assert_int_equal(made.aead, 10);
    assert_int_equal(made.hkdf, -10);
    assert_bytes_equal(
        cp_edhoc_cid_bytes(s->is_initiator ? &made.sender : &made.recipient),
        get(w, "OSCORE", "Client's OSCORE Sender ID", NULL));
    assert_bytes_equal(
        cp_edhoc_cid_bytes(s->is_initiator ? &made.recipient : &made.sender),
        get(w, "OSCORE", "Server's OSCORE Sender ID", NULL));

    assert_int_equal(cp_edhoc_update(s, context), 0);
    assert_bytes_equal(cp_bytes(s->prk_out, 32),
                       get(w, "Key Update", "PRK_out after KeyUpdate", NULL));
    assert_int_equal(cp_edhoc_oscore(s, &made), 0);
    assert_bytes_equal(
        cp_bytes(made.secret, made.secret_len),
        get(w, "Key Update", "OSCORE Master Secret after KeyUpdate", NULL));
    assert_bytes_equal(
        cp_bytes(made.salt, sizeof(made.salt)),
        get(w, "Key Update", "OSCORE Master Salt after KeyUpdate", NULL));
}

static const int suite_0[] = {0, -1}, suite_2[] = {2, -1},
                 suites_6_2[] = {6, 2, -1};

static void signatures_with_x509_by_x5t_are_as_in_section_2(void **state)
{
    struct world *w = *state;

    if (!has_curves())
        skip();
    trace_open(&w->trace, 0);
    meet(w, "message_1", 1, suite_0, suite_0, CP_ED25519);
    set_cid(&w->responder, get(w, "message_2", "C_R", "Raw"));
    run(w, "message_1", 0);
    assert_string_equal(w->initiator.session.peer, "EDHOC Responder Ed25519");
    check_export(w, &w->initiator.session);
    check_export(w, &w->responder.session);
    trace_close(&w->trace);
}

static void static_keys_with_ccs_by_kid_are_as_in_section_3(void **state)
{
    struct world *w = *state;

    if (!has_curves())
        skip();
    trace_open(&w->trace, 1);
    meet(w, "message_1 (second", 8, suites_6_2, suite_2, CP_P256);
    set_cid(&w->responder, get(w, "message_2", "C_R (raw value)", NULL));
    run(w, "message_1 (second", 1);
    assert_string_equal(w->initiator.session.peer, "example.edu");
    assert_string_equal(w->responder.session.peer, "42-50-31-FF-EF-37-32-39");
    check_export(w, &w->initiator.session);
    check_export(w, &w->responder.session);
    trace_close(&w->trace);
}

static void a_suite_that_is_not_there_is_answered_as_in_section_3(void **state)
{
    struct world *w = *state;
    struct cp_edhoc_error error;
    copal_bytes out, printed;

    if (!has_curves())
        skip();
    trace_open(&w->trace, 1);
    meet(w, "message_1 (first", 8, suites_6_2, suite_2, CP_P256);
    assert_int_equal(cp_edhoc_begin(&w->initiator.session, 0, &out),
                     COPAL_ENOTSUP); /* no static key of X25519 */
    assert_int_equal(out.len, 0);
    cp_edhoc_clear(&w->initiator.session);
    end_own(&w->initiator, CP_X25519, cp_bytes(w->initiator.setup.secret, 32),
            (copal_bytes){0}, (copal_bytes){0});
    end_begin(&w->initiator, true);
    assert_int_equal(cp_edhoc_begin(&w->initiator.session, 0, &out), 0);
    /* What is printed has a key of P-256, though the suite is for X25519; all
     * else is the same, and the answer is, too. */
    printed = get(w, "message_1 (first", "message_1", NULL);
    assert_int_equal(out.len, printed.len);
    assert_memory_equal(out.data, printed.data, 4);
    assert_int_equal(out.data[36], printed.data[36]);
    assert_int_equal(cp_edhoc_take_1(&w->responder.session, printed, &out),
                     COPAL_ENOTSUP);
    assert_bytes_equal(out, get(w, "error", "error", NULL));
    assert_int_equal(cp_edhoc_read_error(out, &error), 0);
    assert_int_equal(error.code, CP_EDHOC_WRONG_SUITE);
    assert_int_equal(
        cp_edhoc_negotiate(&w->initiator.setup.suites, &error.suites), 1);
    trace_close(&w->trace);
}

static void messages_that_rfc_9529_calls_invalid_are_refused(void **state)
{
    static const int suites[] = {0, 2, -1};
    struct world *w = *state;
    json_t *rows, *row;
    size_t i, seen = 0;

    if (!has_curves())
        skip();
    trace_open(&w->trace, 1);
    meet(w, "message_1 (second", 1 | 8, suites, suites, CP_P256);
    end_own(&w->responder, CP_X25519, cp_bytes(w->responder.setup.secret, 32),
            w->responder.own[0].id, w->responder.own[0].cred);
    set_cid(&w->responder, get(w, "message_2", "C_R (raw value)", NULL));
    rows =
        vectors_array(json_object_get(w->trace.document, "invalid"), "values");
    assert_int_equal(json_array_size(rows), 15);
    json_array_foreach(rows, i, row)
    {
        const char *label = vectors_text(row, "label");
        uint8_t storage[64];
        copal_bytes bytes = vectors_hex(row, "hex", storage, sizeof(storage));
        struct cp_edhoc_plain plain;
        copal_bytes out;
        int err;

        if (strcmp(label, "Invalid message_1") == 0) {
            end_begin(&w->responder, false);
            err = cp_edhoc_take_1(&w->responder.session, bytes, &out);
            assert_true(err == COPAL_EFORMAT || err == COPAL_ENOTSUP);
            assert_true(out.len > 0);
            assert_int_equal(w->responder.session.state, CP_EDHOC_FAILED);
            cp_edhoc_clear(&w->responder.session);
            seen++;
        } else if (strcmp(label, "Invalid message_2") == 0) {
            assert_int_equal(cp_edhoc_read_bytes(bytes, &out), COPAL_EFORMAT);
            seen++;
        } else if (bytes.len > 8) {
            assert_int_equal(cp_edhoc_read_plain(bytes, true, &plain),
                             COPAL_EFORMAT);
            seen++;
        } else { /* well-formed; a MAC of 4 bytes is none of any suite */
            struct cp_edhoc_schedule k = {w->mem, w->aeads,
                                          cp_edhoc_suite_find(2)};
            uint8_t zeroes[CP_HASH_LEN] = {0};
            struct cp_edhoc_proof p = {.label = CP_MAC_2,
                                       .id = w->responder.own[0].id,
                                       .cred = w->responder.own[0].cred,
                                       .hash = zeroes,
                                       .prk = zeroes};

            assert_int_equal(cp_edhoc_read_plain(bytes, true, &plain), 0);
            assert_int_equal(cp_edhoc_check_proof(&k, &p, NULL, plain.proof),
                             COPAL_EAUTH);
            seen++;
        }
    }
    assert_int_equal(seen, 15);
    trace_close(&w->trace);
}

#define TRACED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TRACED(signatures_with_x509_by_x5t_are_as_in_section_2),
        TRACED(static_keys_with_ccs_by_kid_are_as_in_section_3),
        TRACED(a_suite_that_is_not_there_is_answered_as_in_section_3),
        TRACED(messages_that_rfc_9529_calls_invalid_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
