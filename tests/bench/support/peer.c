/* What scripts.sh, speed.sh and stream_speed.sh measure: "peer serve [PORT
 * [SCHEME]]" answers GET /hello, and /body by 1 MiB, at a free port unless told,
 * and says where; "peer ask URI COUNT" asks so often, 16 at a time, and says what
 * CPU time one request took, in microseconds. */
#include <copal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    AT_A_TIME = 16,
    WARM_UP = 1000
};

static copal_msg *large;

struct asker {
    copal *c;
    const char *uri;
    long begun, done, count;
    double since;
};

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void on_event(const copal_event *ev, void *user);

static void ask(struct asker *a)
{
    if (a->begun == a->count)
        return;
    a->begun++;
    if (copal_get(a->c, a->uri, COPAL_CB(on_event, a)) == NULL)
        exit(1);
}

static void on_event(const copal_event *ev, void *user)
{
    struct asker *a = user;

    if (ev->kind == COPAL_RESPONSE && copal_msg_payload(ev->msg).len != 12)
        exit(1);
    if (ev->kind != COPAL_END)
        return;
    if (ev->status != 0) {
        fprintf(stderr, "%s\n", ev->text);
        exit(1);
    }
    if (++a->done == WARM_UP)
        a->since = cpu_us();
    ask(a);
}

static int ask_many(copal *c, const char *uri, long count)
{
    struct asker a = {.c = c, .uri = uri, .count = count + WARM_UP};

    copal_tune(c, NULL, COPAL_P_NSTART, AT_A_TIME);
    for (int i = 0; i < AT_A_TIME; i++)
        ask(&a);
    copal_run(c);
    printf("%.3f\n", (cpu_us() - a.since) / (double)count);
    return a.done != a.count;
}

static void hello(const copal_event *ev, void *user)
{
    (void)user;
    copal_reply_text(ev->exchange, COPAL_CONTENT, "hello, world");
}

static void body(const copal_event *ev, void *user)
{
    (void)user;
    copal_respond(ev->exchange, large);
}

static int serve(copal *c, const char *port, const char *scheme)
{
    static uint8_t mebibyte[1 << 20];
    char where[64];

    snprintf(where, sizeof(where), "%s://127.0.0.1:%s", scheme, port);
    large = copal_msg_new(c, COPAL_CONTENT);
    copal_msg_set_payload(large, COPAL_NO_FORMAT,
                          (copal_bytes){mebibyte, sizeof(mebibyte)});
    copal_serve(c, COPAL_GET, "/hello", 0, COPAL_CB(hello, NULL));
    copal_serve(c, COPAL_GET, "/body", 0, COPAL_CB(body, NULL));
    if (copal_listen(c, where, 0) != 0) {
        fprintf(stderr, "%s\n", copal_why(c));
        return 1;
    }
    printf("listening on %s\n", copal_local(c, 0));
    fflush(stdout);
    return copal_run(c) != 0;
}

int main(int argc, char **argv)
{
    copal *c = copal_new(NULL);
    int status = 2;

    if (c != NULL && argc >= 2 && strcmp(argv[1], "serve") == 0)
        status =
            serve(c, argc > 2 ? argv[2] : "0", argc > 3 ? argv[3] : "coap");
    else if (c != NULL && argc == 4 && strcmp(argv[1], "ask") == 0)
        status = ask_many(c, argv[2], atol(argv[3]));
    else
        fprintf(stderr,
                "usage: peer serve [PORT [SCHEME]] | peer ask URI COUNT\n");
    copal_free(c);
    return status;
}
