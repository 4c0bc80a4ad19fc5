/* A GnuTLS of which the Nth call fails: the calls that core/secure makes, defined
 * here, where the linker finds them first. What GnuTLS calls of its own is not
 * touched. To be included by one file of a program. */
#ifndef TESTS_NET_GNUTLS_FAULTS_H
#define TESTS_NET_GNUTLS_FAULTS_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/dtls.h>
#include <gnutls/x509.h>

static struct {
    unsigned seen, nth; /* calls; the one that fails, 0: none */
    int error;          /* GNUTLS_E_* */
    const char *failed; /* its name; NULL: none did */
} gnutls_fault;

static bool gnutls_fails(const char *name)
{
    if (++gnutls_fault.seen != gnutls_fault.nth)
        return false;
    gnutls_fault.failed = name;
    return true;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ISO C has no cast from the one kind of pointer to the other. */
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC visibility push(hidden)

#define FAILING(type, name, parameters, arguments) \
    type name parameters \
    { \
        return gnutls_fails(#name) ? gnutls_fault.error \
                                   : REAL(name) arguments; \
    }

FAILING(int, gnutls_handshake, (gnutls_session_t session), (session))
FAILING(int, gnutls_hash_fast,
        (gnutls_digest_algorithm_t algorithm, const void *text, size_t textlen,
         void *digest),
        (algorithm, text, textlen, digest))
FAILING(int, gnutls_x509_privkey_init, (gnutls_x509_privkey_t * key), (key))
FAILING(int, gnutls_x509_privkey_import2,
        (gnutls_x509_privkey_t key, const gnutls_datum_t *data,
         gnutls_x509_crt_fmt_t format, const char *password,
         unsigned int flags),
        (key, data, format, password, flags))
FAILING(int, gnutls_x509_crt_init, (gnutls_x509_crt_t * cert), (cert))
FAILING(int, gnutls_x509_crt_import,
        (gnutls_x509_crt_t cert, const gnutls_datum_t *data,
         gnutls_x509_crt_fmt_t format),
        (cert, data, format))
FAILING(int, gnutls_x509_crt_get_subject_alt_name,
        (gnutls_x509_crt_t cert, unsigned int seq, void *san, size_t *san_size,
         unsigned int *critical),
        (cert, seq, san, san_size, critical))
FAILING(int, gnutls_x509_crt_get_issuer_dn,
        (gnutls_x509_crt_t cert, char *buf, size_t *buf_size),
        (cert, buf, buf_size))
FAILING(int, gnutls_x509_crt_get_dn_by_oid,
        (gnutls_x509_crt_t cert, const char *oid, unsigned indx,
         unsigned int raw_flag, void *buf, size_t *buf_size),
        (cert, oid, indx, raw_flag, buf, buf_size))
FAILING(int, gnutls_x509_crt_get_dn,
        (gnutls_x509_crt_t cert, char *buf, size_t *buf_size),
        (cert, buf, buf_size))
FAILING(int, gnutls_session_ticket_key_generate, (gnutls_datum_t * key), (key))
FAILING(int, gnutls_session_ticket_enable_server,
        (gnutls_session_t session, const gnutls_datum_t *key), (session, key))
FAILING(int, gnutls_session_set_data,
        (gnutls_session_t session, const void *session_data,
         size_t session_data_size),
        (session, session_data, session_data_size))
FAILING(int, gnutls_session_get_data2,
        (gnutls_session_t session, gnutls_datum_t *data), (session, data))
FAILING(int, gnutls_session_ext_register,
        (gnutls_session_t session, const char *name, int type,
         gnutls_ext_parse_type_t parse_point, gnutls_ext_recv_func recv_func,
         gnutls_ext_send_func send_func,
         gnutls_ext_deinit_data_func deinit_func,
         gnutls_ext_pack_func pack_func, gnutls_ext_unpack_func unpack_func,
         unsigned flags),
        (session, name, type, parse_point, recv_func, send_func, deinit_func,
         pack_func, unpack_func, flags))
FAILING(int, gnutls_server_name_set,
        (gnutls_session_t session, gnutls_server_name_type_t type,
         const void *name, size_t name_length),
        (session, type, name, name_length))
FAILING(int, gnutls_rnd, (gnutls_rnd_level_t level, void *data, size_t len),
        (level, data, len))
FAILING(ssize_t, gnutls_record_send,
        (gnutls_session_t session, const void *data, size_t data_size),
        (session, data, data_size))
FAILING(ssize_t, gnutls_record_recv,
        (gnutls_session_t session, void *data, size_t data_size),
        (session, data, data_size))
FAILING(int, gnutls_record_get_state,
        (gnutls_session_t session, unsigned read, gnutls_datum_t *mac_key,
         gnutls_datum_t *IV, gnutls_datum_t *cipher_key,
         unsigned char seq_number[8]),
        (session, read, mac_key, IV, cipher_key, seq_number))
FAILING(int, gnutls_pubkey_init, (gnutls_pubkey_t * key), (key))
FAILING(int, gnutls_pubkey_import_privkey,
        (gnutls_pubkey_t key, gnutls_privkey_t pkey, unsigned int usage,
         unsigned int flags),
        (key, pkey, usage, flags))
FAILING(int, gnutls_pubkey_import,
        (gnutls_pubkey_t key, const gnutls_datum_t *data,
         gnutls_x509_crt_fmt_t format),
        (key, data, format))
FAILING(int, gnutls_pubkey_get_key_id,
        (gnutls_pubkey_t key, unsigned int flags, unsigned char *output_data,
         size_t *output_data_size),
        (key, flags, output_data, output_data_size))
FAILING(int, gnutls_pubkey_export2,
        (gnutls_pubkey_t key, gnutls_x509_crt_fmt_t format,
         gnutls_datum_t *out),
        (key, format, out))
FAILING(int, gnutls_psk_set_client_credentials2,
        (gnutls_psk_client_credentials_t res, const gnutls_datum_t *username,
         const gnutls_datum_t *key, gnutls_psk_key_flags flags),
        (res, username, key, flags))
FAILING(int, gnutls_psk_allocate_server_credentials,
        (gnutls_psk_server_credentials_t * sc), (sc))
FAILING(int, gnutls_psk_allocate_client_credentials,
        (gnutls_psk_client_credentials_t * sc), (sc))
FAILING(int, gnutls_privkey_init, (gnutls_privkey_t * key), (key))
FAILING(int, gnutls_privkey_import_x509_raw,
        (gnutls_privkey_t pkey, const gnutls_datum_t *data,
         gnutls_x509_crt_fmt_t format, const char *password,
         unsigned int flags),
        (pkey, data, format, password, flags))
FAILING(int, gnutls_priority_set_direct,
        (gnutls_session_t session, const char *priorities,
         const char **err_pos),
        (session, priorities, err_pos))
FAILING(int, gnutls_init, (gnutls_session_t * session, unsigned int flags),
        (session, flags))
FAILING(int, gnutls_dtls_cookie_verify,
        (gnutls_datum_t * key, void *client_data, size_t client_data_size,
         void *_msg, size_t msg_size, gnutls_dtls_prestate_st *prestate),
        (key, client_data, client_data_size, _msg, msg_size, prestate))
FAILING(int, gnutls_dtls_cookie_send,
        (gnutls_datum_t * key, void *client_data, size_t client_data_size,
         gnutls_dtls_prestate_st *prestate, gnutls_transport_ptr_t ptr,
         gnutls_push_func push_func),
        (key, client_data, client_data_size, prestate, ptr, push_func))
FAILING(int, gnutls_credentials_set,
        (gnutls_session_t session, gnutls_credentials_type_t type, void *cred),
        (session, type, cred))
FAILING(int, gnutls_certificate_verify_peers,
        (gnutls_session_t session, gnutls_typed_vdata_st *data,
         unsigned int elements, unsigned int *status),
        (session, data, elements, status))
FAILING(int, gnutls_certificate_set_x509_trust_mem,
        (gnutls_certificate_credentials_t res, const gnutls_datum_t *ca,
         gnutls_x509_crt_fmt_t type),
        (res, ca, type))
FAILING(int, gnutls_certificate_set_x509_system_trust,
        (gnutls_certificate_credentials_t cred), (cred))
FAILING(int, gnutls_certificate_set_x509_key_mem2,
        (gnutls_certificate_credentials_t res, const gnutls_datum_t *cert,
         const gnutls_datum_t *key, gnutls_x509_crt_fmt_t type,
         const char *pass, unsigned int flags),
        (res, cert, key, type, pass, flags))
FAILING(int, gnutls_certificate_set_rawpk_key_mem,
        (gnutls_certificate_credentials_t cred, const gnutls_datum_t *spki,
         const gnutls_datum_t *pkey, gnutls_x509_crt_fmt_t format,
         const char *pass, unsigned int key_usage, const char **names,
         unsigned int names_length, unsigned int flags),
        (cred, spki, pkey, format, pass, key_usage, names, names_length, flags))
FAILING(int, gnutls_certificate_allocate_credentials,
        (gnutls_certificate_credentials_t * res), (res))
FAILING(int, gnutls_bye, (gnutls_session_t session, gnutls_close_request_t how),
        (session, how))
FAILING(int, gnutls_buffer_append_data,
        (gnutls_buffer_t buffer, const void *data, size_t data_size),
        (buffer, data, data_size))
FAILING(int, gnutls_alpn_set_protocols,
        (gnutls_session_t session, const gnutls_datum_t *protocols,
         unsigned protocols_size, unsigned flags),
        (session, protocols, protocols_size, flags))
FAILING(int, gnutls_alpn_get_selected_protocol,
        (gnutls_session_t session, gnutls_datum_t *protocol),
        (session, protocol))
FAILING(int, gnutls_alert_send,
        (gnutls_session_t session, gnutls_alert_level_t level,
         gnutls_alert_description_t desc),
        (session, level, desc))
FAILING(int, gnutls_alert_send_appropriate, (gnutls_session_t session, int err),
        (session, err))
FAILING(int, gnutls_aead_cipher_init,
        (gnutls_aead_cipher_hd_t * handle, gnutls_cipher_algorithm_t cipher,
         const gnutls_datum_t *key),
        (handle, cipher, key))
FAILING(int, gnutls_aead_cipher_encrypt,
        (gnutls_aead_cipher_hd_t handle, const void *nonce, size_t nonce_len,
         const void *auth, size_t auth_len, size_t tag_size, const void *ptext,
         size_t ptext_len, void *ctext, size_t *ctext_len),
        (handle, nonce, nonce_len, auth, auth_len, tag_size, ptext, ptext_len,
         ctext, ctext_len))
FAILING(int, gnutls_aead_cipher_decrypt,
        (gnutls_aead_cipher_hd_t handle, const void *nonce, size_t nonce_len,
         const void *auth, size_t auth_len, size_t tag_size, const void *ctext,
         size_t ctext_len, void *ptext, size_t *ptext_len),
        (handle, nonce, nonce_len, auth, auth_len, tag_size, ctext, ctext_len,
         ptext, ptext_len))

const gnutls_datum_t *gnutls_certificate_get_peers(gnutls_session_t session,
                                                   unsigned *size)
{
    return gnutls_fails("gnutls_certificate_get_peers")
               ? NULL
               : REAL(gnutls_certificate_get_peers)(session, size);
}

const char *gnutls_psk_server_get_username(gnutls_session_t session)
{
    return gnutls_fails("gnutls_psk_server_get_username")
               ? NULL
               : REAL(gnutls_psk_server_get_username)(session);
}

#pragma GCC visibility pop
#endif
