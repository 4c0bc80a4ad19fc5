/* Scopes: beginnings of URIs under which a credential applies. */
#ifndef CP_SECURE_SCOPE_H
#define CP_SECURE_SCOPE_H

#include <stdbool.h>

/* Is uri under scope? It ends where a part of the URI does: coaps://host is not
 * the beginning of coaps://hostile; "coaps://192.168." is for all of these, and
 * "coaps://STAR.lab.example", a "*" for STAR, for every host of that domain. Both
 * in lower case as far as the host goes. */
bool cp_scope_covers(const char *scope, const char *uri);

/* In place: the scheme and the host become lower case. */
void cp_scope_lower(char *uri);

#endif
