/* OSCORE with keys made anew whenever one end has lost its numbers. RFC 8613
 * B.2. */
#include "secured.h"
#include "secure/oscore_context.h"
#include "secure/oscore_seal.h"
#include "wire/datagram.h"

static struct wire_tap tap;

static copal_oscore again(copal_oscore end)
{
    end.rederives = 1;
    return end;
}

static void use(struct world *w, copal *c)
{
    if (c == w->client)
        assert_int_equal(protect(c, "coap://server", again(client_end(2))), 0);
    else
        assert_int_equal(protect(c, "*", again(server_end(2))), 0);
}

static int build_rederiving(void **state)
{
    int err = build(state);
    struct world *w = *state;

    use(w, w->client);
    use(w, w->server);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    return err;
}

static struct record *restart(struct world *w, copal **c, const char *name)
{
    copal_free(*c);
    *c = add_host(w, name);
    assert_non_null(*c);
    use(w, *c);
    return *c == w->client
               ? NULL
               : serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
}

static void assert_works(struct world *w, unsigned datagrams)
{
    struct record *r;

    listen_to(w->client, &tap);
    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 1000);
    assert_ended(r, 0);
    assert_string_equal(r->payload, "x");
    assert_int_equal(tap.count, datagrams);
}

static void the_first_request_makes_keys(void **state)
{
    struct world *w = *state;

    assert_works(w, 4);
    assert_false(shows(&tap, "do it"));
    assert_works(w, 2);
    assert_works(w, 2);
}

static void who_began_anew_makes_others(void **state)
{
    struct world *w = *state;
    struct record *served;

    assert_works(w, 4);
    served = restart(w, &w->server, "server");
    assert_works(w, 4);
    assert_int_equal(served->requests, 1);
    assert_works(w, 2);
    restart(w, &w->client, "client");
    assert_works(w, 4);
    assert_works(w, 2);
    restart(w, &w->server, "server");
    restart(w, &w->client, "client");
    assert_works(w, 4);
    assert_works(w, 2);
}

static void who_wants_other_keys_for_ever_is_asked_no_more(void **state)
{
    struct world *w = *state;
    struct record *r;
    int rounds = 0;

    copal_sim_set_path(w->sim, NULL, NULL, (copal_sim_path){.delay = 10});
    r = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    while (r->ends == 0 && ++rounds < 30) {
        run(w, 10);
        restart(w, &w->server, "server"); /* before it is asked once more */
        run(w, 10);
    }
    assert_ended(r, COPAL_EAUTH);
    assert_true(rounds > 3 && rounds < 20);
}

static void requests_at_once_all_arrive(void **state)
{
    struct world *w = *state;
    struct record *r[5];

    tune(w->client, COPAL_P_NSTART, 5);
    copal_sim_set_path(w->sim, NULL, NULL,
                       (copal_sim_path){.delay = 20, .jitter = 30});
    for (int i = 0; i < 5; i++)
        r[i] = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
    run(w, 100000);
    for (int i = 0; i < 5; i++) {
        assert_ended(r[i], 0);
        assert_int_equal(r[i]->code, COPAL_CONTENT);
    }
}

static void nothing_that_was_heard_is_acted_upon_again(void **state)
{
    struct world *w = *state;
    struct record *served;
    size_t before;

    assert_works(w, 4);
    before = tap.count;
    served = restart(w, &w->server, "server");
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < before; i++) {
            struct heard h = tap.heard[i];

            if (!h.out)
                continue;
            h.bytes[2] = (uint8_t)(0x10 + round);
            h.bytes[3] = (uint8_t)i;
            copal_sim_inject(w->sim, "192.0.2.1", "server",
                             (copal_bytes){h.bytes, h.len});
            run(w, 100);
        }
        assert_int_equal(served->requests, round);
        ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
        run(w, 1000);
        assert_int_equal(served->requests, round + 1);
    }
}

static void new_keys_end_what_was_observed_under_the_old(void **state)
{
    struct world *w = *state;
    struct record *r = observe(w, "coap://server/t");

    run(w, 1000);
    assert_int_equal(r->responses, 1);
    assert_int_equal(observers(w), 1);
    copal_notify(w->server, "/t");
    run(w, 4000);
    assert_int_equal(r->responses, 2);
    restart(w, &w->client, "client");
    assert_works(w, 4);
    assert_int_equal(observers(w), 0);
}

static void an_id_context_is_not_given(void **state)
{
    struct world *w = *state;
    copal_oscore k = again(client_end(1));

    k.id_context = (copal_bytes){(const uint8_t *)"x", 1};
    assert_int_equal(protect(w->client, "coap://server", k), COPAL_EINVAL);
}

/* ---- A server that answers under the request's nonce ---- */

static copal_msg *decoded(struct cp_mem *mem, const struct heard *d,
                          struct cp_oscore_option *head)
{
    struct cp_header h;
    copal_msg *m = NULL;

    assert_int_equal(cp_header_read(cp_bytes(d->bytes, d->len), &h), 0);
    assert_int_equal(cp_datagram_decode(mem, &h, &m), 0);
    assert_int_equal(
        cp_oscore_option_decode(
            cp_msg_option_value(m, cp_msg_find(m, COPAL_OPT_OSCORE)), head),
        0);
    return m;
}

/* Its keys under r2 and r1, either of which may be empty. */
static struct cp_oscore_keys keys_under(copal_bytes r2, copal_bytes r1)
{
    copal_oscore end = server_end(2);
    uint8_t id[64];
    struct cp_buf b = cp_buf_fixed(id, sizeof(id));
    struct cp_oscore_keys k;

    cp_put_bytes(&b, r2);
    cp_put_bytes(&b, r1);
    assert_int_equal(
        cp_oscore_derive(
            &(struct cp_oscore_input){.secret = end.secret,
                                      .salt = end.salt,
                                      .sender_id = end.sender_id,
                                      .recipient_id = end.recipient_id,
                                      .id_context = cp_bytes(id, b.len),
                                      .aead = 10,
                                      .hkdf = 5},
            &k),
        0);
    return k;
}

/* The 4.01 to request 1, without a Partial IV. */
static void answer_under_its_nonce(struct world *w, struct cp_mem *mem,
                                   const struct heard *request, copal_bytes r2)
{
    struct cp_oscore_option asked, head = {.has_context = true};
    copal_msg *m = decoded(mem, request, &asked), *out = NULL;
    copal_msg *refusal = cp_msg_new(mem, COPAL_UNAUTHORIZED, 0);
    copal_bytes r1 = cp_bytes(asked.context.data + 1, asked.context.len - 1);
    struct cp_oscore_keys first = keys_under((copal_bytes){0}, r1),
                          second = keys_under(r2, r1);
    struct cp_aeads *aeads = cp_aeads_new(mem);
    struct cp_oscore_bound bound;
    uint8_t wrapped[64], datagram[256];
    struct cp_buf b = cp_buf_fixed(datagram, sizeof(datagram));

    memcpy(second.recipient_iv, first.recipient_iv,
           sizeof(second.recipient_iv));
    head.context = cp_oscore_rederive_wrap(r2, wrapped);
    cp_oscore_bind(&bound, asked.kid, asked.piv);
    assert_int_equal(
        cp_oscore_seal(aeads, &second, &bound, &head, refusal, &out), 0);
    assert_int_equal(cp_datagram_encode(out, CP_ACK, m->mid, m->token, &b), 0);
    assert_int_equal(
        copal_sim_inject(w->sim, "server", "client", cp_bytes(datagram, b.len)),
        0);
    cp_aeads_forget(aeads, &second.sender);
    cp_aeads_free(aeads);
    copal_msg_unref(refusal);
    copal_msg_unref(out);
    copal_msg_unref(m);
}

static void an_answer_may_have_the_nonce_of_the_request(void **state)
{
    struct world *w = *state;
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    copal_bytes r2 = cp_bytes_of_text("eight by");
    struct cp_oscore_option head;
    struct record *r;
    copal_msg *m;

    copal_sim_lose(w->sim, "client", 1); /* who serves is played here */
    listen_to(w->client, &tap);
    r = get(w, "coap://server/t");
    run(w, 10);
    assert_int_equal(tap.count, 1);
    answer_under_its_nonce(w, mem, &tap.heard[0], r2);
    run(w, 100);
    assert_true(tap.count > 2);
    m = decoded(mem, &tap.heard[2], &head);
    assert_int_equal(head.context.len, 1 + 2 * r2.len);
    assert_memory_equal(head.context.data + 1, r2.data, r2.len);
    copal_msg_unref(m);
    cp_mem_release(mem);
    cancel_if_open(r);
}

static void other_keys_are_not_taken(void **state)
{
    struct world *w = *state;
    copal_oscore k = again(client_end(2));
    struct record *r;

    k.secret.len--;
    assert_int_equal(protect(w->client, "coap://server", k), 0);
    r = get(w, "coap://server/t");
    run(w, 1000);
    assert_ended(r, COPAL_EAUTH);
}

static void ask_anew(struct world *w)
{
    copal_oscore ours = again(client_end(2)), theirs = again(server_end(2));
    struct record *r[2];

    copal_use_oscore(w->client, "coap://server", &ours);
    copal_use_oscore(w->server, "*", &theirs);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    r[0] = observe(w, "coap://server/t");
    run(w, 1000);
    r[1] = get(w, "coap://server/t");
    run(w, 200000);
    cancel_if_open(r[0]);
    cancel_if_open(r[1]);
    settle(w);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for_each_failed_allocation(ask_anew);
}

static void a_storm(struct world *w)
{
    copal_oscore ours = again(client_end(2)), theirs = again(server_end(2));
    struct record *r[10];

    copal_use_oscore(w->client, "coap://server", &ours);
    copal_use_oscore(w->server, "*", &theirs);
    serve_text(w, w->server, "/t", COPAL_OBSERVABLE, "x");
    for (int i = 0; i < 10; i++) {
        r[i] = ask(w, w->client, COPAL_POST, "coap://server/t", "do it");
        run(w, 3000);
    }
    settle(w);
    for (int i = 0; i < 10; i++)
        assert_true(r[i]->status == 0 || r[i]->status == COPAL_ETIMEOUT);
}

static void bad_weather_changes_nothing(void **state)
{
    (void)state;
    bad_weather(a_storm, 20);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, build_rederiving, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_request_makes_keys),
        TEST(who_began_anew_makes_others),
        TEST(who_wants_other_keys_for_ever_is_asked_no_more),
        TEST(requests_at_once_all_arrive),
        TEST(nothing_that_was_heard_is_acted_upon_again),
        TEST(new_keys_end_what_was_observed_under_the_old),
        TEST(an_id_context_is_not_given),
        TEST(an_answer_may_have_the_nonce_of_the_request),
        TEST(other_keys_are_not_taken),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(bad_weather_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
