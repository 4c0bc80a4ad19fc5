/* download URI: writes a body of any size to standard output as it comes. */
#include <copal.h>
#include <stdio.h>

static void on_event(const copal_event *ev, void *user)
{
    int *status = user;

    if (ev->kind == COPAL_RESPONSE) { /* the options; the body follows */
        *status = copal_msg_code(ev->msg) == COPAL_CONTENT ? 0 : 1;
        if (*status != 0)
            fprintf(stderr, "%s\n", copal_msg_print(ev->msg, COPAL_LINE));
    } else if (ev->kind == COPAL_CHUNK && *status == 0) {
        copal_bytes piece = copal_msg_payload(ev->msg);

        /* The next block is asked for when this has returned. One that has
         * to wait for its disk says copal_pause() and later copal_resume(). */
        if (piece.len > 0 &&
            fwrite(piece.data, 1, piece.len, stdout) != piece.len)
            copal_cancel(ev->exchange);
    } else if (ev->kind == COPAL_END && ev->status != 0) {
        fprintf(stderr, "%s\n", ev->text);
        *status = 1;
    }
}

int main(int argc, char **argv)
{
    int status = 1;
    copal *c = copal_new(NULL);
    copal_msg *m;

    if (c == NULL || argc != 2) {
        fprintf(stderr, "usage: download URI\n");
        copal_free(c);
        return 2;
    }
    m = copal_msg_new(c, COPAL_GET);
    copal_msg_set_uri(m, argv[1]); /* a bad one is told by END */
    copal_msg_set_flags(m, COPAL_STREAM_IN);
    copal_request(c, m, COPAL_CB(on_event, &status));
    copal_msg_unref(m);
    copal_run(c);
    copal_free(c);
    return status;
}
