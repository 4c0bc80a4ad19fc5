/* tour URI [URI6]: the guided tour in C, against "copal serve --test" at URI,
 * and at URI6 the same over IPv6. T1 to T7 belong to the copal program, see
 * examples/tour.sh, which runs both. Exits with 1 if anything was not so. */
#include "tour.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    const char *uri = argc > 1 ? argv[1] : NULL;
    const char *uri6 = argc > 2 ? argv[2] : NULL;
    copal *c = copal_new(NULL);

    if (c == NULL || uri == NULL) {
        fprintf(stderr, "usage: tour URI [URI6]\n");
        copal_free(c);
        return 2;
    }
    tour_messages(c);             /* T8 T9 T10 */
    tour_handles(c, uri);         /* T11 T12 T13 */
    tour_endpoint();              /* T14 */
    tour_responses(c, uri, uri6); /* T15 .. T19 */
    tour_parallel(c, uri);        /* T20 */
    tour_errors(c, uri);          /* T21 T22 */
    tour_observe(c, uri);         /* T23 */
    tour_blocks(c, uri);          /* T24 */
    tour_whoami(c, uri, uri6);    /* T25 */
    done_asking();
    copal_free(c);
    tour_serving();     /* T26 */
    tour_shutdown(uri); /* T28 */
    return facts_broken() != 0;
}
