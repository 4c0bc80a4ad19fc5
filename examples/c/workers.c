/* workers [N [URI]]: a note served by N threads, each with an endpoint of its
 * own at one port. Who changes it has all of them tell their observers. */
#include <copal.h>
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static copal *all[64];
static int count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char note[1024] = "nothing yet"; /* of all: only under the lock */

/* On the endpoint's own thread, where alone it may be used. */
static void tell(const copal_event *ev, void *c)
{
    (void)ev;
    copal_notify(c, "/note");
}

static void leave(const copal_event *ev, void *c)
{
    (void)ev;
    copal_close(c, 1000); /* then copal_run() returns */
}

static void on_note(const copal_event *ev, void *user)
{
    copal_bytes body = copal_msg_payload(ev->msg);
    int is_put = copal_msg_code(ev->msg) == COPAL_PUT;

    (void)user;
    pthread_mutex_lock(&lock);
    if (is_put)
        snprintf(note, sizeof(note), "%.*s", (int)body.len,
                 body.len > 0 ? (const char *)body.data : "");
    copal_reply_text(ev->exchange, is_put ? COPAL_CHANGED : COPAL_CONTENT,
                     note);
    pthread_mutex_unlock(&lock);
    for (int i = 0; is_put && i < count; i++) /* from any thread to any other */
        copal_post(all[i], COPAL_CB(tell, all[i]));
}

static void set_up(copal *c, const char *uri)
{
    if (c == NULL || copal_listen(c, uri, COPAL_REUSE_PORT) != 0)
        errx(1, "%s", c == NULL ? "out of memory" : copal_why(c));
    copal_serve(c, COPAL_GET, "/note", COPAL_OBSERVABLE,
                COPAL_CB(on_note, NULL));
    copal_serve(c, COPAL_PUT, "/note", 0, COPAL_CB(on_note, NULL));
}

static void *work(void *c)
{
    copal_run(c);
    return NULL;
}

int main(int argc, char **argv)
{
    int wanted = argc > 1 ? atoi(argv[1]) : 2, number;
    pthread_t thread[64];
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* for the threads, too */
    for (; count < wanted && count < 64; count++) {
        const char *uri = argc > 2 ? argv[2] : "coap://0.0.0.0";

        all[count] = copal_new(NULL);
        set_up(all[count], count > 0 ? copal_local(all[0], 0) : uri);
    }
    for (int i = 0; i < count; i++)
        pthread_create(&thread[i], NULL, work, all[i]);
    fprintf(stderr, "listening on %s\n", copal_local(all[0], 0));
    sigwait(&ends, &number);
    for (int i = 0; i < count; i++)
        copal_post(all[i], COPAL_CB(leave, all[i]));
    for (int i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < count; i++) /* no sooner: others might post to it */
        copal_free(all[i]);
    return 0;
}
