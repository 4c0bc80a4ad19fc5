/* What dtls.sh measures, with keys of a file as copal_use_file() takes it:
 *   secure serve FILE PORT     GET /hello, in clear at PORT and by coaps at the next
 *                              and for each line of stdin says how many bytes
 *                              are allocated
 *   secure ask FILE URI COUNT ENDPOINTS WINDOW
 *                              asks so often, WINDOW at a time, the endpoints in
 *                              turns; each has asked once before "ready" is said,
 *                              and a line of stdin lets the others go
 *   secure aead CIPHER IN OUT COUNT
 *                              what GnuTLS alone needs to open a record of IN bytes
 *                              and to seal one of OUT, in microseconds of CPU time */
#include <copal.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static void give_up(const char *why)
{
    fprintf(stderr, "%s\n", why);
    exit(1);
}

/* ---- A server ---- */

static void give(const copal_event *ev, void *user)
{
    copal_respond(ev->exchange, user);
}

static void listen_at(copal *c, const char *scheme, int port)
{
    char where[64];

    snprintf(where, sizeof(where), "%s://127.0.0.1:%d", scheme, port);
    if (copal_listen(c, where, 0) != 0)
        give_up(copal_why(c));
}

static void tell(uv_poll_t *input, int status, int events)
{
    copal_stats s = {.size = sizeof(s)};
    char line[16];

    (void)events;
    if (status < 0 || fgets(line, sizeof(line), stdin) == NULL)
        exit(0);
    copal_get_stats(input->data, &s);
    printf("%llu\n", (unsigned long long)s.memory);
    fflush(stdout);
}

static int serve(const char *file, int port)
{
    uv_loop_t loop;
    copal_config config = {COPAL_CONFIG_INIT, .loop = &loop};
    copal *c = uv_loop_init(&loop) == 0 ? copal_new(&config) : NULL;
    uv_poll_t input = {.data = c};
    copal_msg *hello = c == NULL ? NULL : copal_msg_new(c, COPAL_CONTENT);

    if (hello == NULL)
        give_up("out of memory");
    copal_msg_set_payload(hello, COPAL_NO_FORMAT,
                          (copal_bytes){(const uint8_t *)"hello, world", 12});
    if (copal_use_file(c, file) != 0)
        give_up(copal_why(c));
    copal_serve(c, COPAL_GET, "/hello", 0, COPAL_CB(give, hello));
    listen_at(c, "coap", port);
    listen_at(c, "coaps", port + 1);
    if (uv_poll_init(&loop, &input, 0) ==
        0) /* /dev/null cannot be waited for */
        uv_poll_start(&input, UV_READABLE, tell);
    return uv_run(&loop, UV_RUN_DEFAULT);
}

/* ---- Clients ---- */

static struct {
    uv_loop_t loop;
    copal **all;
    const char *uri;
    long endpoints, begun, done, count;
} clients;

static void on_event(const copal_event *ev, void *user);

static void ask(void)
{
    if (clients.begun < clients.count &&
        copal_get(clients.all[clients.begun++ % clients.endpoints], clients.uri,
                  COPAL_CB(on_event, NULL)) == NULL)
        give_up("out of memory");
}

static void on_event(const copal_event *ev, void *user)
{
    (void)user;
    if (ev->kind == COPAL_RESPONSE && copal_msg_payload(ev->msg).len != 12)
        give_up("another answer");
    if (ev->kind != COPAL_END)
        return;
    if (ev->status != 0)
        give_up(ev->text);
    clients.done++;
    ask();
}

static void ask_many(long count, long window)
{
    clients.begun = clients.done = 0;
    clients.count = count;
    for (long i = 0; i < window; i++)
        ask();
    while (clients.done < count)
        uv_run(&clients.loop, UV_RUN_ONCE);
}

static int be_clients(const char *file, long count, long window)
{
    copal_config config = {COPAL_CONFIG_INIT, .loop = &clients.loop};

    uv_loop_init(&clients.loop);
    clients.all = calloc((size_t)clients.endpoints, sizeof(*clients.all));
    for (long i = 0; i < clients.endpoints; i++) {
        copal *c = clients.all[i] = copal_new(&config);

        if (c == NULL || copal_use_file(c, file) != 0)
            give_up(c == NULL ? "out of memory" : copal_why(c));
        copal_tune(c, NULL, COPAL_P_NSTART, window);
    }
    ask_many(clients.endpoints, 1);
    printf("ready\n");
    fflush(stdout);
    getchar();
    ask_many(count, window);
    printf("done\n");
    return 0; /* and the server hears no good-bye */
}

/* ---- The cipher alone ---- */

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The associated data of a record with a Connection ID of 9 bytes, and of one
 * without: RFC 9146 5.3, RFC 5246 6.2.3.3. */
static int work(const char *name, size_t in, size_t out, long count)
{
    enum {
        MOST = 2048,
        AAD_IN = 32,
        AAD_OUT = 13
    };
    static uint8_t key[32], nonce[12], aad[AAD_IN], plain[MOST], sealed[MOST],
        came[MOST];
    gnutls_cipher_algorithm_t cipher = gnutls_cipher_get_id(name);
    gnutls_datum_t k = {key, (unsigned)gnutls_cipher_get_key_size(cipher)};
    size_t tag = gnutls_cipher_get_tag_size(cipher), len = sizeof(came);
    gnutls_aead_cipher_hd_t ours, theirs;
    double since;

    if (in + tag > MOST || out + tag > MOST ||
        gnutls_aead_cipher_init(&ours, cipher, &k) != 0 ||
        gnutls_aead_cipher_init(&theirs, cipher, &k) != 0 ||
        gnutls_aead_cipher_encrypt(theirs, nonce, sizeof(nonce), aad, AAD_IN,
                                   tag, plain, in, came, &len) != 0)
        give_up("no such cipher, or too long");
    since = cpu_us();
    for (long i = 0; i < count; i++) {
        size_t opened = sizeof(plain), closed = sizeof(sealed);

        nonce[11] = 0;
        if (gnutls_aead_cipher_decrypt(ours, nonce, sizeof(nonce), aad, AAD_IN,
                                       tag, came, len, plain, &opened) != 0)
            give_up("not genuine");
        nonce[11] = 1;
        if (gnutls_aead_cipher_encrypt(theirs, nonce, sizeof(nonce), aad,
                                       AAD_OUT, tag, plain, out, sealed,
                                       &closed) != 0)
            give_up("not sealed");
    }
    printf("%.3f\n", (cpu_us() - since) / (double)count);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], atoi(argv[3]));
    if (argc == 7 && strcmp(argv[1], "ask") == 0) {
        clients.uri = argv[3];
        clients.endpoints = atol(argv[5]);
        return be_clients(argv[2], atol(argv[4]), atol(argv[6]));
    }
    if (argc == 6 && strcmp(argv[1], "aead") == 0)
        return work(argv[2], (size_t)atol(argv[3]), (size_t)atol(argv[4]),
                    atol(argv[5]));
    fprintf(stderr, "usage: secure serve FILE PORT | secure ask FILE URI COUNT "
                    "ENDPOINTS WINDOW | secure aead CIPHER IN OUT COUNT\n");
    return 2;
}
