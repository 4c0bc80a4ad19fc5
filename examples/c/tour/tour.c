/* tour [--creds FILE] URI [URI6]: the guided tour in C, against "copal serve
 * --test" at URI, and at URI6 the same over IPv6. By coaps and the like FILE says
 * who we are, as client and as server. T1 to T7 belong to the copal program, see
 * examples/tour.sh, which runs both. Exits with 1 if anything was not so. */
#include "tour.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    bool has_creds = argc > 2 && strcmp(argv[1], "--creds") == 0;
    char **uris = argv + (has_creds ? 3 : 1); /* ends with NULL */
    const char *uri = uris[0];
    const char *uri6 = uri != NULL ? uris[1] : NULL;
    copal *c;

    if (uri == NULL) {
        fprintf(stderr, "usage: tour [--creds FILE] URI [URI6]\n");
        return 2;
    }
    tour_by(uri, has_creds ? argv[2] : NULL);
    c = endpoint(NULL);
    if (c == NULL)
        return 2;
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
