#include "secure/wiping.h"

#include <gnutls/gnutls.h>
#include <stdlib.h>

/* GnuTLS wipes keys, but not the base64 of PEM that it read them from. */
void cp_wiping_gnutls(void)
{
    cp_wiping_lock();
    if (gnutls_malloc == malloc && gnutls_free == free)
        gnutls_free = cp_wiping_free;
}

void cp_wiping_gnutls_over(void)
{
    if (gnutls_free == cp_wiping_free)
        gnutls_free = free;
    cp_wiping_unlock();
}
