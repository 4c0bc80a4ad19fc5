#include "secure/crypto.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

/* Slots are for who talks at the moment, and a handle is 0.4 to 0.8 kB: there are
 * more as they are needed, but not for every peer that ever talked. Powers of
 * two. */
enum {
    SLOTS = 64,
    MOST_SLOTS = 512
};

struct slot {
    const struct cp_aead_key *key; /* NULL: empty */
    gnutls_aead_cipher_hd_t handle;
    uint8_t algorithm; /* of the handle */
};

struct cp_aeads {
    struct cp_mem *mem;
    struct slot *slots;
    size_t count;
    size_t pushed; /* keys out of their slots, since there are so many */
};

static gnutls_cipher_algorithm_t library_name(uint8_t algorithm)
{
    switch (algorithm) {
    case CP_AES_128_CCM: return GNUTLS_CIPHER_AES_128_CCM;
    case CP_AES_128_CCM_8: return GNUTLS_CIPHER_AES_128_CCM_8;
    case CP_AES_128_GCM: return GNUTLS_CIPHER_AES_128_GCM;
    case CP_AES_256_GCM: return GNUTLS_CIPHER_AES_256_GCM;
    case CP_AES_256_CCM: return GNUTLS_CIPHER_AES_256_CCM;
    case CP_AES_256_CCM_8: return GNUTLS_CIPHER_AES_256_CCM_8;
    case CP_AES_192_GCM: return GNUTLS_CIPHER_AES_192_GCM;
    default: return GNUTLS_CIPHER_CHACHA20_POLY1305;
    }
}

struct cp_aeads *cp_aeads_new(struct cp_mem *mem)
{
    struct cp_aeads *all = cp_zalloc(mem, sizeof(*all));

    if (all == NULL)
        return NULL;
    all->mem = mem;
    all->count = SLOTS;
    all->slots = cp_zalloc(mem, SLOTS * sizeof(*all->slots));
    if (all->slots == NULL) {
        cp_free(mem, all);
        return NULL;
    }
    return all;
}

static void empty(struct slot *s)
{
    if (s->key != NULL)
        gnutls_aead_cipher_deinit(s->handle);
    s->key = NULL;
}

void cp_aeads_free(struct cp_aeads *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < all->count; i++)
        empty(&all->slots[i]);
    cp_free(all->mem, all->slots);
    cp_free(all->mem, all);
}

/* Where a key would stand: by its own address, which does not change. */
static struct slot *slot_of(struct cp_aeads *all, const struct cp_aead_key *k)
{
    uint64_t mixed = (uint64_t)(uintptr_t)k * UINT64_C(0x9e3779b97f4a7c15);

    return &all->slots[mixed >> 32 & (all->count - 1)];
}

void cp_aeads_forget(struct cp_aeads *all, const struct cp_aead_key *k)
{
    struct slot *s = all == NULL ? NULL : slot_of(all, k);

    if (s != NULL && s->key == k)
        empty(s);
}

/* Two from one slot may go to two, never two to one: slots are found by fewer
 * bits before. Out of memory it goes on as it is. */
static void grow(struct cp_aeads *all)
{
    struct slot *before = all->slots;
    size_t count = all->count;
    struct slot *slots = cp_zalloc(all->mem, 2 * count * sizeof(*slots));

    all->pushed = 0;
    if (slots == NULL)
        return;
    all->slots = slots;
    all->count = 2 * count;
    for (size_t i = 0; i < count; i++)
        if (before[i].key != NULL)
            *slot_of(all, before[i].key) = before[i];
    cp_free(all->mem, before);
}

/* A handle takes another key for a tenth of what a new one costs. Not that of a
 * GCM: GnuTLS 3.7 makes wrong tags after that. */
static bool may_change(const struct slot *s, const struct cp_aead_key *k)
{
    return s->key != NULL && s->algorithm == k->algorithm &&
           (cp_aead_is_ccm(k->algorithm) ||
            k->algorithm == CP_CHACHA20_POLY1305);
}

static bool fill(struct slot *s, const struct cp_aead_key *k)
{
    gnutls_datum_t key = {(unsigned char *)k->bytes,
                          (unsigned)cp_aead_key_len(k->algorithm)};

    if (may_change(s, k))
        return gnutls_aead_cipher_set_key(s->handle, &key) == 0;
    empty(s);
    s->algorithm = k->algorithm;
    return gnutls_aead_cipher_init(&s->handle, library_name(k->algorithm),
                                   &key) == 0;
}

/* NULL: out of memory. */
static gnutls_aead_cipher_hd_t handle_of(struct cp_aeads *all,
                                         const struct cp_aead_key *k)
{
    struct slot *s = slot_of(all, k);

    if (s->key == k)
        return s->handle;
    if (s->key != NULL && ++all->pushed > all->count &&
        all->count < MOST_SLOTS) {
        grow(all);
        s = slot_of(all, k);
    }
    if (!fill(s, k)) {
        empty(s);
        return NULL;
    }
    s->key = k;
    return s->handle;
}

/* The library's CCM ends the program over more bytes than it can count. */
static bool is_too_much(const struct cp_aead_key *k, copal_bytes nonce,
                        copal_bytes aad, size_t len)
{
    return aad.len > CP_AEAD_AAD || len > cp_aead_most(k->algorithm, nonce.len);
}

int cp_aead_seal(struct cp_aeads *all, const struct cp_aead_key *k,
                 copal_bytes nonce, copal_bytes aad, copal_bytes plain,
                 uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle = handle_of(all, k);
    size_t tag = cp_aead_tag_len(k->algorithm), len = plain.len + tag;

    if (is_too_much(k, nonce, aad, plain.len))
        return COPAL_ELIMIT;
    if (handle == NULL || gnutls_aead_cipher_encrypt(
                              handle, nonce.data, nonce.len, aad.data, aad.len,
                              tag, plain.data, plain.len, out, &len) != 0)
        return COPAL_ENOMEM;
    return 0;
}

int cp_aead_open(struct cp_aeads *all, const struct cp_aead_key *k,
                 copal_bytes nonce, copal_bytes aad, copal_bytes sealed,
                 uint8_t *out)
{
    gnutls_aead_cipher_hd_t handle = handle_of(all, k);
    size_t tag = cp_aead_tag_len(k->algorithm), len = sealed.len;

    if (handle == NULL)
        return COPAL_ENOMEM;
    if (sealed.len < tag || is_too_much(k, nonce, aad, sealed.len - tag) ||
        gnutls_aead_cipher_decrypt(handle, nonce.data, nonce.len, aad.data,
                                   aad.len, tag, sealed.data, sealed.len, out,
                                   &len) != 0)
        return COPAL_EAUTH;
    return 0;
}
