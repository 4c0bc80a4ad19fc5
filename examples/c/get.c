/* get URI: fetches one representation and prints it. */
#include <copal.h>
#include <stdio.h>

static void on_event(const copal_event *ev, void *user)
{
    int *status = user;

    if (ev->kind == COPAL_RESPONSE) {
        copal_bytes body = copal_msg_payload(ev->msg);
        if (body.len > 0)
            fwrite(body.data, 1, body.len, stdout);
        if (copal_msg_code(ev->msg) >= COPAL_BAD_REQUEST) /* 4.xx, 5.xx */
            *status = 1;
    } else if (ev->kind == COPAL_END && ev->status != 0) {
        fprintf(stderr, "%s\n", ev->text);
        *status = 1;
    }
}

int main(int argc, char **argv)
{
    int status = 0;
    copal *c = copal_new(NULL);

    if (c == NULL || argc != 2) {
        fprintf(stderr, "usage: get URI\n");
        copal_free(c);
        return 2;
    }
    if (copal_get(c, argv[1], COPAL_CB(on_event, &status)) == NULL)
        status = 1; /* out of memory */
    copal_run(c);
    copal_free(c);
    return status;
}
