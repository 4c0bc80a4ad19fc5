/* observe URI [COUNT]: prints what a resource says each time it changes, and
 * leaves after COUNT times. */
#include <copal.h>
#include <stdio.h>
#include <stdlib.h>

struct counter {
    long left;
    int status;
};

static void on_event(const copal_event *ev, void *user)
{
    struct counter *n = user;

    if (ev->kind == COPAL_RESPONSE) {
        copal_bytes body = copal_msg_payload(ev->msg);
        printf("%.*s\n", (int)body.len, (const char *)body.data);
        fflush(stdout);
        if (--n->left == 0)
            copal_cancel(ev->exchange); /* tells the server to forget us */
    } else if (ev->kind == COPAL_END && ev->status != 0 && n->left > 0) {
        fprintf(stderr, "%s\n", ev->text);
        n->status = 1;
    }
}

int main(int argc, char **argv)
{
    struct counter n = {.left = argc > 2 ? atol(argv[2]) : 10};
    copal *c = copal_new(NULL);

    if (c == NULL || argc < 2 || n.left < 1) {
        fprintf(stderr, "usage: observe URI [COUNT]\n");
        copal_free(c);
        return 2;
    }
    if (copal_observe(c, argv[1], COPAL_CB(on_event, &n)) == NULL)
        n.status = 1; /* out of memory */
    copal_run(c);
    copal_free(c);
    return n.status;
}
