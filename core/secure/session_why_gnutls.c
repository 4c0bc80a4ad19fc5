/* Why a handshake failed, in words that tell what to do. */
#include "secure/session_gnutls.h"

#include <stdarg.h>
#include <stdio.h>

void cp_session_say(struct cp_session *s, int status, const char *format, ...)
{
    va_list list;

    s->status = status;
    va_start(list, format);
    vsnprintf(s->why, sizeof(s->why), format, list);
    va_end(list);
}

/* What the peer finds wrong, and what is likely behind it. */
static void explain_alert(struct cp_session *s)
{
    gnutls_alert_description_t alert = gnutls_alert_get(s->library);
    const char *name = gnutls_alert_get_name(alert);
    bool by_psk = s->psk_client != NULL || s->psk_server != NULL;
    const char *hint;

    switch (alert) {
    case GNUTLS_A_BAD_CERTIFICATE:
    case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
    case GNUTLS_A_CERTIFICATE_REVOKED:
    case GNUTLS_A_CERTIFICATE_EXPIRED:
    case GNUTLS_A_CERTIFICATE_UNKNOWN:
    case GNUTLS_A_UNKNOWN_CA:
    case GNUTLS_A_ACCESS_DENIED:
        hint = "it does not believe our certificate or public key";
        break;
    case GNUTLS_A_CERTIFICATE_REQUIRED:
        hint =
            "it wants a certificate or public key of ours; give one with its "
            "private key";
        break;
    case GNUTLS_A_NO_APPLICATION_PROTOCOL:
        hint = "CoAP is not spoken there";
        break;
    case GNUTLS_A_PROTOCOL_VERSION:
        hint = "it knows neither TLS 1.2 nor 1.3";
        break;
    default:
        hint = by_psk
                   ? "is the identity known there, and the key the same? Has "
                     "it credentials at all?"
                   : "has it credentials of a kind that we have, too?";
    }
    cp_session_say(s, COPAL_EAUTH, "the peer broke off the handshake (%s): %s",
                   name == NULL ? "unknown alert" : name, hint);
}

void cp_session_explain(struct cp_session *s, int error)
{
    if (s->status != 0)
        return;
    switch (error) {
    case GNUTLS_E_MEMORY_ERROR:
        cp_session_say(s, COPAL_ENOMEM, "out of memory");
        break;
    case GNUTLS_E_WARNING_ALERT_RECEIVED:
    case GNUTLS_E_FATAL_ALERT_RECEIVED: explain_alert(s); break;
    case GNUTLS_E_PREMATURE_TERMINATION:
        cp_session_say(
            s, COPAL_EAUTH,
            "the peer closed the connection amid the handshake; has it "
            "credentials for us?");
        break;
    case GNUTLS_E_UNEXPECTED_PACKET:
    case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
    case GNUTLS_E_RECORD_OVERFLOW:
        cp_session_say(
            s, COPAL_EFORMAT,
            "the peer speaks no TLS 1.2 or 1.3 (%s); is the port right?",
            gnutls_strerror(error));
        break;
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
    case GNUTLS_E_NO_COMMON_KEY_SHARE:
        cp_session_say(
            s, COPAL_EAUTH,
            "both have no cipher suite or kind of credentials in common; give "
            "credentials for \"*\"");
        break;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        cp_session_say(s, COPAL_EAUTH,
                       "the peer showed no certificate or public key");
        break;
    default:
        cp_session_say(s, COPAL_EAUTH, "the handshake failed: %s%s",
                       gnutls_strerror(error),
                       s->psk_server != NULL || s->psk_client != NULL
                           ? "; are identity and key the same at both ends?"
                           : "");
    }
}
