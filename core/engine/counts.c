#include "engine/counts.h"

#include <string.h>

void cp_counts_limit(struct cp_counts *c, const char *limit)
{
    size_t i = 0;

    /* The same words may stand at several places in memory. */
    while (i < CP_COUNTED_LIMITS && c->limits[i].name != NULL &&
           c->limits[i].name != limit && strcmp(c->limits[i].name, limit) != 0)
        i++;
    if (i >= CP_COUNTED_LIMITS - 1) {
        i = CP_COUNTED_LIMITS - 1;
        limit = "other";
    }
    c->limits[i].name = limit;
    c->limits[i].count++;
}
