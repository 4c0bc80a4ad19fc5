#include "secure/crypto.h"

struct cp_aeads *cp_aeads_new(struct cp_mem *mem)
{
    (void)mem;
    return NULL;
}

void cp_aeads_free(struct cp_aeads *all)
{
    (void)all; /* nothing makes one where nothing can be sealed */
}

void cp_aeads_forget(struct cp_aeads *all, const struct cp_aead_key *k)
{
    (void)all, (void)k;
}

int cp_aead_seal(struct cp_aeads *all, const struct cp_aead_key *k,
                 copal_bytes nonce, copal_bytes aad, copal_bytes plain,
                 uint8_t *out)
{
    (void)all, (void)k, (void)nonce, (void)aad, (void)plain, (void)out;
    return COPAL_ENOTSUP;
}

int cp_aead_open(struct cp_aeads *all, const struct cp_aead_key *k,
                 copal_bytes nonce, copal_bytes aad, copal_bytes sealed,
                 uint8_t *out)
{
    (void)all, (void)k, (void)nonce, (void)aad, (void)sealed, (void)out;
    return COPAL_ENOTSUP;
}
