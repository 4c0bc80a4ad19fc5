/* The tour's voice, and the asking that most stops do. */
#include "tour.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int broken;
static char scheme[16]; /* with "://" */
static const char *creds;

/* ---- By which scheme, and as whom ---- */

void tour_by(const char *uri, const char *file)
{
    snprintf(scheme, sizeof(scheme), "%.*s://", (int)strcspn(uri, ":"), uri);
    creds = file;
}

copal *endpoint(const copal_config *config)
{
    copal *c = copal_new(config);

    if (c != NULL && creds != NULL && copal_use_file(c, creds) != 0) {
        fprintf(stderr, "%s\n", copal_why(c));
        copal_free(c);
        c = NULL;
    }
    return c;
}

const char *by(const char *place)
{
    return at(scheme, place);
}

int usual_port(void)
{
    if (strstr(scheme, "+ws") != NULL)
        return scheme[4] == 's' ? 443 : 80;
    return scheme[4] == 's' ? 5684 : 5683;
}

bool has_credentials(void)
{
    return creds != NULL;
}

/* ---- What is shown ---- */

void step(const char *number, const char *what)
{
    printf("\n%-4s %s\n", number, what);
}

/* Each line of the text under the other. */
static void line(const char *before, const char *format, va_list list)
{
    char text[1024];

    vsnprintf(text, sizeof(text), format, list);
    for (char *l = strtok(text, "\n"); l != NULL; l = strtok(NULL, "\n"))
        printf("%s%s\n", before, l);
    fflush(stdout);
}

void did(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    line("   > ", format, list);
    va_end(list);
}

void came(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    line("     ", format, list);
    va_end(list);
}

void hold(int fact, const char *sentence)
{
    printf("  %s %s\n", fact ? "ok:" : "NOT SO:", sentence);
    fflush(stdout);
    broken += !fact;
}

int facts_broken(void)
{
    return broken;
}

const char *at(const char *base, const char *path)
{
    static char text[3][256];
    static int turn;

    turn = (turn + 1) % 3;
    snprintf(text[turn], sizeof(text[turn]), "%s%s", base, path);
    return text[turn];
}

/* ---- Asking ---- */

static struct answer last;

static void note(const copal_event *ev, void *user)
{
    struct answer *a = user;

    if (ev->kind == COPAL_RESPONSE) {
        copal_msg_unref(a->msg);
        a->msg = copal_msg_ref(ev->msg);
    } else if (ev->kind == COPAL_END) {
        a->over = 1;
        a->status = ev->status;
        a->ms = copal_now(a->c) - a->began;
        snprintf(a->sentence, sizeof(a->sentence), "%s",
                 ev->status != 0 ? ev->text : "");
        copal_stop(a->c); /* what listens would run for ever */
    }
}

copal_cb into(struct answer *a)
{
    a->began = copal_now(a->c);
    return COPAL_CB(note, a);
}

void done_asking(void)
{
    copal_msg_unref(last.msg);
    last = (struct answer){0};
}

struct answer *ask(copal *c, copal_msg *m)
{
    done_asking();
    last.c = c;
    copal_request(c, m, into(&last));
    while (!last.over && copal_run(c) == 0)
        ;
    return &last;
}

struct answer *get(copal *c, const char *uri)
{
    copal_msg *m = copal_msg_new(c, COPAL_GET);

    copal_msg_set_uri(m, uri); /* a bad one is told by END */
    ask(c, m);
    copal_msg_unref(m);
    return &last;
}
