/* stream FILE [URI]: GET /file sends FILE however large it is, PUT /count takes
 * any body and counts it; neither is ever whole in memory. */
#include <copal.h>
#include <err.h>
#include <stdio.h>

/* Each PULL is room for the next piece: one that the asker is slow to take
 * keeps the following PULL from coming. */
static void get_file(const copal_event *ev, void *user)
{
    uint8_t piece[1024];
    size_t want = ev->want < sizeof(piece) ? ev->want : sizeof(piece), n;

    if (ev->kind == COPAL_REQUEST) {
        copal_msg *head =
            copal_msg_new(copal_exchange_endpoint(ev->exchange), COPAL_CONTENT);

        copal_msg_set_flags(head, COPAL_STREAM_OUT);
        copal_respond(ev->exchange, head);
        copal_msg_unref(head);
    } else if (ev->kind == COPAL_PULL) {
        fseek(user, (long)ev->offset, SEEK_SET); /* others read it, too */
        n = fread(piece, 1, want, user);
        copal_write(ev->exchange, (copal_bytes){piece, n}, n < want);
    }
}

/* After REQUEST the body comes as CHUNKs. */
static void put_count(const copal_event *ev, void *user)
{
    char text[64];

    (void)user;
    if (ev->kind != COPAL_CHUNK || !ev->last)
        return;
    snprintf(text, sizeof(text), "%llu bytes came",
             (unsigned long long)ev->offset + copal_msg_payload(ev->msg).len);
    copal_reply_text(ev->exchange, COPAL_CHANGED, text);
}

int main(int argc, char **argv)
{
    const char *where = argc > 2 ? argv[2] : "coap://*";
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    copal *c = copal_new(NULL);

    if (file == NULL)
        errx(2, "usage: stream FILE [URI]");
    if (c == NULL || copal_listen(c, where, 0) != 0)
        errx(1, "%s", c == NULL ? "out of memory" : copal_why(c));
    copal_serve(c, COPAL_GET, "/file", 0, COPAL_CB(get_file, file));
    copal_serve(c, COPAL_PUT, "/count", COPAL_STREAMED,
                COPAL_CB(put_count, NULL));
    fprintf(stderr, "listening on %s\n", copal_local(c, 0));
    return copal_run(c); /* for ever */
}
