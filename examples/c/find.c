/* find [INTERFACE [GROUP]]: asks a group who is there, and prints what each
 * member offers. */
#include <copal.h>
#include <stdio.h>
#include <string.h>

static void on_event(const copal_event *ev, void *user)
{
    int *status = user;

    if (ev->kind == COPAL_RESPONSE) { /* one for each member, whole */
        copal_bytes links = copal_msg_payload(ev->msg);
        printf("%s\n  %.*s\n", copal_msg_remote(ev->msg), (int)links.len,
               links.len == 0 ? "" : (const char *)links.data);
    } else if (ev->kind == COPAL_END && ev->status != 0) {
        fprintf(stderr, "%s\n", ev->text);
        *status = 1;
    }
}

/* COPAL_P_INTERFACE is an index; 0: there is none of that name. */
static unsigned index_of(copal *c, const char *wanted)
{
    const char *name;
    unsigned index;

    for (size_t i = 0; (name = copal_interface(c, i, &index)) != NULL; i++)
        if (strcmp(name, wanted) == 0)
            return index;
    return 0;
}

int main(int argc, char **argv)
{
    char uri[256];
    int status = 0;
    copal *c = copal_new(NULL);
    copal_msg *m = c == NULL ? NULL : copal_msg_new(c, COPAL_GET);

    snprintf(uri, sizeof(uri), "%s/.well-known/core",
             argc > 2 ? argv[2] : "coap://224.0.1.187"); /* all CoAP nodes */
    copal_msg_set_uri(m, uri);
    copal_msg_set_flags(m, COPAL_NON); /* a group cannot confirm */
    copal_msg_tune(m, COPAL_P_TIMEOUT, 3000);
    if (argc > 1)
        copal_msg_tune(m, COPAL_P_INTERFACE, index_of(c, argv[1]));
    if (copal_request(c, m, COPAL_CB(on_event, &status)) == NULL)
        status = 1; /* out of memory */
    copal_msg_unref(m);
    copal_run(c);
    copal_free(c);
    return status;
}
