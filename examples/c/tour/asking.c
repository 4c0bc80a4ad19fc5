/* T20 to T22: several at once, and what goes wrong. */
#include "tour.h"

#include <stdio.h>
#include <string.h>

/* ---- T20 ---- */

struct race {
    copal *c;
    uint64_t began;
    int finished;
    char order[3][256]; /* URIs, as they finished */
};

static void finish(const copal_event *ev, void *user)
{
    struct race *r = user;

    if (ev->kind == COPAL_RESPONSE) {
        came("%5llu ms  %s  %s",
             (unsigned long long)(copal_now(r->c) - r->began),
             copal_msg_uri(ev->msg),
             copal_name(COPAL_CODES, copal_msg_code(ev->msg)));
        snprintf(r->order[r->finished], sizeof(r->order[0]), "%s",
                 copal_msg_uri(ev->msg));
    } else if (ev->kind == COPAL_END && ++r->finished == 3) {
        copal_stop(r->c);
    }
}

void tour_parallel(copal *c, const char *uri)
{
    static const char *const paths[] = {"/other/separate", "/time?as=typed",
                                        "/link%31"};
    struct race r = {.c = c, .began = copal_now(c)};

    step("T20", "Three requests at once, taken as they finish");
    for (int i = 0; i < 3; i++) {
        did("copal_get(c, \"%s\", COPAL_CB(finish, &r))", at(uri, paths[i]));
        copal_get(c, at(uri, paths[i]), COPAL_CB(finish, &r));
    }
    while (r.finished < 3 && copal_run(c) == 0)
        ;
    hold(strcmp(r.order[2], at(uri, paths[0])) == 0, "the slow one is last");
    hold(strcmp(r.order[0], at(uri, paths[1])) == 0 ||
             strcmp(r.order[0], at(uri, paths[2])) == 0,
         "a response's URI is its request's, as typed");
}

/* ---- T21 ---- */

/* A name in the DNS has no label this long, so that no server is asked. */
#define NO_NAME \
    "a-label-of-a-name-in-the-dns-has-at-most-63-characters-this-has-more"

static const struct failure {
    const char *place; /* behind the tour's scheme, or */
    const char *uri;   /* the whole of it */
    int status;
    const char *word; /* in the sentence */
    const char *fact;
} failures[] = {
    {"127.0.0.1:1/", NULL, COPAL_EREFUSED, "127.0.0.1:1",
     "nothing listens there"},
    {NO_NAME "/", NULL, COPAL_ERESOLVE, "check", "no such host"},
    {NULL, "127.0.0.1/time", COPAL_EURI, "scheme", "no scheme"},
    {"/time", NULL, COPAL_EURI, "host", "no host"},
    {"127.0.0.1:99999/", NULL, COPAL_EURI, "port", "a bad port"},
    {"127.0.0.1/%zz", NULL, COPAL_EURI, "%", "a bad percent sequence"},
    {"127.0.0.1/#part", NULL, COPAL_EURI, "fragment", "a fragment"},
    {NULL, "http://127.0.0.1/", COPAL_EURI, "proxy", "another protocol"},
};

static void t21_errors(copal *c)
{
    step("T21", "Errors: END has a status and a sentence");
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        const struct failure *f = &failures[i];
        const char *uri = f->uri != NULL ? f->uri : by(f->place);
        struct answer *a;

        did("copal_get(c, \"%s\", ...)", uri);
        a = get(c, uri);
        came("%s after %llu ms: %s", copal_errname(a->status),
             (unsigned long long)a->ms, a->sentence);
        hold(a->msg == NULL && a->status == f->status &&
                 strstr(a->sentence, f->word) != NULL && a->ms < 1000,
             f->fact);
    }
}

static void t22_refusals(copal *c, const char *uri)
{
    copal_msg *m = copal_msg_new(c, COPAL_DELETE);
    struct answer *a = get(c, at(uri, "/others/separate"));

    step("T22", "4.xx and 5.xx are responses");
    did("copal_get(c, \"%s\", ...)", at(uri, "/others/separate"));
    came("%s", copal_msg_print(a->msg, COPAL_LINE));
    hold(a->status == 0 && copal_msg_code(a->msg) == COPAL_NOT_FOUND,
         "not there is an answer, and END has 0");
    copal_msg_set_uri(m, at(uri, "/time"));
    a = ask(c, m);
    did("DELETE %s", at(uri, "/time"));
    came("%s", copal_msg_print(a->msg, COPAL_LINE));
    hold(a->status == 0 && copal_msg_code(a->msg) == COPAL_METHOD_NOT_ALLOWED,
         "so is not allowed: copal_msg_code(m) >> 5 is 4");
    copal_msg_unref(m);
}

void tour_errors(copal *c, const char *uri)
{
    t21_errors(c);
    t22_refusals(c, uri);
}
