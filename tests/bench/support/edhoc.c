/* edhoc [MS]: handshakes of EDHOC a second, both ends in this process, without
 * a network: each method with the first suite of its curve, for MS each. One line
 * each: method, suite, handshakes a second. */
#include <copal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "secure/edhoc_keys.h"

struct end {
    struct cp_edhoc_keys keys;
    struct cp_edhoc_scope *scope;
    struct cp_edhoc session;
    uint8_t cid;
};

static bool own(void *user, enum cp_curve curve, struct cp_edhoc_own *out)
{
    return cp_edhoc_scope_own(((struct end *)user)->scope, curve, out);
}

static int find(void *user, const struct cp_cose_id *id, size_t i,
                struct cp_edhoc_credential *out)
{
    return cp_edhoc_scope_find(((struct end *)user)->scope, NULL, id, i, out);
}

static int choose(void *user, const struct cp_edhoc_cid *taken,
                  struct cp_edhoc_cid *out)
{
    (void)taken;
    *out = (struct cp_edhoc_cid){1, {((struct end *)user)->cid}};
    return 0;
}

static enum cp_curve curve_for(int suite, bool by_signature)
{
    const struct cp_edhoc_suite *s = cp_edhoc_suite_find(suite);

    return by_signature ? s->signature : s->curve;
}

static void give_up(const char *what)
{
    fprintf(stderr, "edhoc: %s\n", what);
    exit(1);
}

/* Keys of both ends, each known to the other. */
static void meet(struct cp_mem *mem, struct end ends[2], int method, int suite)
{
    uint8_t secret[2][CP_CURVE_KEY], cred[2][256];
    size_t len[2];

    for (int i = 0; i < 2; i++) {
        bool by_signature = (method & (i == 0 ? 2 : 1)) == 0;
        int n = copal_make_edhoc(curve_for(suite, by_signature),
                                 cp_bytes_of_text(i == 0 ? "i" : "r"),
                                 cp_bytes_of_text(i == 0 ? "i" : "r"),
                                 secret[i], cred[i], sizeof(cred[i]));

        if (n < 0)
            give_up("no key");
        len[i] = (size_t)n;
    }
    for (int i = 0; i < 2; i++) {
        struct cp_edhoc_spec spec = {.method = method,
                                     .suite = suite,
                                     .private_key =
                                         cp_bytes(secret[i], CP_CURVE_KEY),
                                     .credential = cp_bytes(cred[i], len[i]),
                                     .peers = cp_bytes(cred[!i], len[!i])};

        cp_edhoc_keys_init(&ends[i].keys, mem);
        if (cp_edhoc_keys_use(&ends[i].keys, i == 0 ? "coap://h" : "*",
                              &spec) != 0)
            give_up(cp_why_text(mem));
        ends[i].scope = i == 0
                            ? cp_edhoc_keys_for(&ends[i].keys, "coap://h/", "")
                            : cp_edhoc_keys_serve(&ends[i].keys);
        ends[i].cid = (uint8_t)(i + 1);
    }
}

static void shake(struct cp_mem *mem, struct cp_aeads *aeads,
                  struct end ends[2])
{
    struct cp_edhoc_oscore keys;
    copal_bytes m;

    for (int i = 0; i < 2; i++) {
        struct cp_edhoc_setup setup = {.mem = mem,
                                       .aeads = aeads,
                                       .suites = ends[i].scope->suites,
                                       .methods = ends[i].scope->methods,
                                       .own = own,
                                       .find = find,
                                       .choose = choose,
                                       .user = &ends[i]};

        cp_edhoc_init(&ends[i].session, &setup, i == 0);
    }
    if (cp_edhoc_begin(&ends[0].session, 0, &m) != 0 ||
        cp_edhoc_take_1(&ends[1].session, m, &m) != 0 ||
        cp_edhoc_take_2(&ends[0].session, m, &m) != 0 ||
        cp_edhoc_take_3(&ends[1].session, m, &m) != 0 ||
        cp_edhoc_oscore(&ends[0].session, &keys) != 0 ||
        cp_edhoc_oscore(&ends[1].session, &keys) != 0)
        give_up("a handshake failed");
    cp_edhoc_clear(&ends[0].session);
    cp_edhoc_clear(&ends[1].session);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    double seconds = (argc > 1 ? atof(argv[1]) : 1000) / 1000;
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    struct cp_aeads *aeads = mem == NULL ? NULL : cp_aeads_new(mem);

    if (aeads == NULL)
        return 77; /* built without a library */
    for (int suite = 0; suite <= 2; suite += 2)
        for (int method = 0; method < 4; method++) {
            struct end ends[2] = {{.scope = NULL}};
            double begin, end;
            long count = 0;

            meet(mem, ends, method, suite);
            begin = end = now();
            for (; end - begin < seconds; count++, end = now())
                shake(mem, aeads, ends);
            printf("%d %d %.0f\n", method, suite,
                   (double)count / (end - begin));
            cp_edhoc_keys_clear(&ends[0].keys);
            cp_edhoc_keys_clear(&ends[1].keys);
        }
    cp_aeads_free(aeads);
    cp_mem_release(mem);
    return 0;
}
