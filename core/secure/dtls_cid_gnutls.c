#include "secure/dtls_shake.h"

/* Connection IDs around a library that lacks them: it negotiates the extension
 * as one that it does not know, and sees records without. The Finished message
 * is all that this is for; what comes after is our own. RFC 9146. */

enum {
    CONNECTION_ID = 54
};

/* Of the server: what it wants in records from us. Of the client the same; it
 * may be empty: then records to it have none. RFC 9146 3. */
static int on_extension(gnutls_session_t tls, const unsigned char *data,
                        size_t len)
{
    struct cp_dtls_shake *k = cp_dtls_shake_of(tls);
    struct cp_protect *p = &k->session->protect;

    if (len < 1 || data[0] != len - 1)
        return GNUTLS_E_RECEIVED_ILLEGAL_PARAMETER;
    if (data[0] > sizeof(p->cid_out)) /* go without, as if it were unknown */
        return 0;
    p->cid_out_len = data[0];
    memcpy(p->cid_out, data + 1, data[0]);
    k->offers_cid = true;
    return 0;
}

/* A client is found again wherever it comes from by what it puts into its
 * records, and needs nothing in those that come: it asks for an empty one. */
static int put_extension(gnutls_session_t tls, gnutls_buffer_t out)
{
    struct cp_dtls_shake *k = cp_dtls_shake_of(tls);
    struct cp_protect *p = &k->session->protect;
    uint8_t bytes[1 + CP_CID_MINE] = {0};
    size_t len = 1;

    if (!cp_dtls_is_ours(k->session)) {
        if (!k->offers_cid)
            return 0;
        if (p->cid_in_len == 0)
            cp_dtls_session_name(k->session);
        bytes[0] = p->cid_in_len;
        memcpy(bytes + 1, p->cid_in, p->cid_in_len);
        len += p->cid_in_len;
    }
    if (gnutls_buffer_append_data(out, bytes, len) < 0)
        return GNUTLS_E_MEMORY_ERROR;
    return (int)len;
}

void cp_dtls_cid_offer(struct cp_dtls_shake *k)
{
    (void)gnutls_session_ext_register(
        k->proof->library, "connection_id", CONNECTION_ID, GNUTLS_EXT_TLS,
        on_extension, put_extension, NULL, NULL, NULL,
        GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_TLS12_SERVER_HELLO |
            GNUTLS_EXT_FLAG_DTLS);
}

copal_bytes cp_dtls_cid_in(struct cp_dtls_shake *k, const struct cp_record *r,
                           uint8_t *out, size_t cap)
{
    struct cp_protect *p = &k->session->protect;
    int len;

    if (r->type != CP_TLS12_CID) /* RFC 9146 3: once there is one, always */
        return r->epoch > 0 && p->cid_in_len > 0 ? (copal_bytes){0} : r->whole;
    if (!cp_dtls_shake_learn(k, true))
        return (copal_bytes){0};
    len = cp_protect_without_cid(p, k->session->dtls->aeads, r, out, cap);
    return len < 0 ? (copal_bytes){0} : cp_bytes(out, (size_t)len);
}
