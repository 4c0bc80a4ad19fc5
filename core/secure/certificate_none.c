#include "secure/certificate.h"

int cp_certificate_new(struct cp_mem *mem, const struct cp_pem *list,
                       size_t count, bool is_client,
                       struct cp_certificate **out)
{
    (void)list, (void)count, (void)is_client, (void)out;
    return cp_why(mem, COPAL_ENOTSUP,
                  "certificates: copal was built without GnuTLS");
}

struct cp_certificate *cp_certificate_ref(struct cp_certificate *c)
{
    return c;
}

bool cp_certificate_is_for(const struct cp_certificate *c, const char *host)
{
    (void)c, (void)host;
    return false;
}

void cp_certificate_unref(struct cp_certificate *c)
{
    (void)c;
}
