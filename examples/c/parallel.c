/* parallel URI...: asks for all of them at once and prints a line for each as
 * it is answered, whatever the order. */
#include <copal.h>
#include <stdio.h>

struct tally {
    int failed;
};

static void on_event(const copal_event *ev, void *user)
{
    struct tally *all = user;

    if (ev->kind == COPAL_RESPONSE) {
        /* A response knows the URI that its request was made with. */
        printf("%s  %s\n", copal_msg_uri(ev->msg),
               copal_msg_print(ev->msg, COPAL_LINE));
        fflush(stdout);
    } else if (ev->kind == COPAL_END && ev->status != 0) {
        fprintf(stderr, "%s\n", ev->text);
        all->failed++;
    }
}

int main(int argc, char **argv)
{
    struct tally all = {0};
    copal *c = copal_new(NULL);

    if (c == NULL)
        return 2;
    for (int i = 1; i < argc; i++) /* nothing is sent before copal_run() */
        if (copal_get(c, argv[i], COPAL_CB(on_event, &all)) == NULL)
            all.failed++; /* out of memory */
    copal_run(c);         /* until nothing is left to wait for */
    copal_free(c);
    return all.failed != 0;
}
