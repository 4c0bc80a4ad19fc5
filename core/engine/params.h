/* The endpoint's parameters and those under URI prefixes (copal_tune). */
#ifndef CP_ENGINE_PARAMS_H
#define CP_ENGINE_PARAMS_H

#include "base/list.h"
#include "wire/message.h"

enum {
    CP_PARAM_COUNT = 46
};

struct cp_params {
    struct cp_mem *mem;
    int64_t value[CP_PARAM_COUNT];
    struct cp_list scopes; /* of struct scope, longest prefix first */
};

void cp_params_init(struct cp_params *p, struct cp_mem *mem);
void cp_params_clear(struct cp_params *p);

/* As copal_tune(); the value is checked already. COPAL_ENOMEM. */
int cp_params_set(struct cp_params *p, const char *scope, int param,
                  int64_t value);

/* Does uri begin with prefix, of len bytes, and that end where a part of it does?
 * "coap://10.0.0.1" says nothing of "coap://10.0.0.12". */
bool cp_params_covers(const char *prefix, size_t len, const char *uri);

/* The narrowest that applies: m's own, the scope's under which uri falls, the
 * endpoint's. m and uri may be NULL. */
int64_t cp_params_look_up(const struct cp_params *p, const copal_msg *m,
                          const char *uri, int param);

/* Each message asks for some ten, and hardly ever is there more than one. */
static inline int64_t cp_params_get(const struct cp_params *p,
                                    const copal_msg *m, const char *uri,
                                    int param)
{
    bool is_everywhere = uri == NULL || cp_list_empty(&p->scopes);

    if (is_everywhere && (m == NULL || m->tuned == NULL))
        return p->value[param];
    return cp_params_look_up(p, m, uri, param);
}

/* Each that is set, of the endpoint (scope NULL) and of its scopes. */
void cp_params_each(const struct cp_params *p,
                    void (*fn)(void *user, const char *scope, int param,
                               int64_t value),
                    void *user);

/* The URI under which what goes back to who sent request falls. NULL where no
 * scope could apply: the text is not made for nothing. */
static inline const char *cp_params_uri_back(const struct cp_params *p,
                                             const copal_msg *request)
{
    return cp_list_empty(&p->scopes) ? NULL : copal_msg_remote(request);
}

#endif
