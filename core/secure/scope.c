#include "secure/scope.h"
#include <string.h>

static bool is_prefix(const char *scope, const char *uri)
{
    size_t n = strlen(scope);

    if (strncmp(scope, uri, n) != 0)
        return false;
    return strchr("/.:", scope[n - 1]) != NULL || uri[n] == '\0' ||
           strchr("/:?", uri[n]) != NULL;
}

bool cp_scope_covers(const char *scope, const char *uri)
{
    const char *star = strstr(scope, "://*.");
    const char *host, *end, *tail;
    size_t head, n;

    if (star == NULL)
        return is_prefix(scope, uri);
    head = (size_t)(star - scope) + 3;
    if (strncmp(scope, uri, head) != 0)
        return false;
    host = uri + head;
    end = host + strcspn(host, ":/");
    tail = scope + head + 1; /* ".lab.example", a port and "/" maybe */
    n = strcspn(tail, ":/");
    return (size_t)(end - host) > n && strncmp(end - n, tail, n) == 0 &&
           is_prefix(tail, end - n);
}

void cp_scope_lower(char *uri)
{
    char *host = strstr(uri, "://");
    char *end =
        host == NULL ? uri + strlen(uri) : host + 3 + strcspn(host + 3, "/?");

    for (char *p = uri; p < end; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
}
