/* consumer VERSION: an endpoint comes and goes, and the library is of that
 * version. */
#include <stdio.h>
#include <string.h>
#include <copal.h>

int main(int argc, char **argv)
{
    copal *c = copal_new(NULL);

    if (c == NULL || argc != 2)
        return 2;
    copal_free(c);
    if (strcmp(copal_version(), argv[1]) != 0) {
        fprintf(stderr, "version %s, not %s\n", copal_version(), argv[1]);
        return 1;
    }
    return 0;
}
