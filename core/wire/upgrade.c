#include "wire/upgrade.h"
#include "base/address.h"
#include "base/base64.h"
#include "wire/http_head.h"

#include <stdio.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* ---- Reading ---- */

static bool equals(copal_bytes a, const char *text)
{
    return cp_http_is_called(a, text); /* neither do these values know case */
}

static copal_bytes trim(copal_bytes v)
{
    while (v.len > 0 && (v.data[0] == ' ' || v.data[0] == '\t'))
        v = cp_bytes(v.data + 1, v.len - 1);
    while (v.len > 0 && (v.data[v.len - 1] == ' ' || v.data[v.len - 1] == '\t'))
        v.len--;
    return v;
}

/* Of a list like "keep-alive, Upgrade". */
static bool lists(copal_bytes value, const char *what)
{
    while (value.len > 0) {
        const uint8_t *comma = memchr(value.data, ',', value.len);
        size_t n = comma == NULL ? value.len : (size_t)(comma - value.data);

        if (equals(trim(cp_bytes(value.data, n)), what))
            return true;
        n += comma != NULL;
        value = cp_bytes(value.data + n, value.len - n);
    }
    return false;
}

/* A field that may be there once only. */
static int once(copal_bytes *field, copal_bytes value)
{
    if (field->data != NULL)
        return CP_HTTP_BAD_REQUEST;
    *field = value;
    return CP_HTTP_OK;
}

static int take_field(void *user, copal_bytes name, copal_bytes value)
{
    struct cp_upgrade *u = user;

    if (equals(name, "Host"))
        return once(&u->host, value);
    if (equals(name, "Origin"))
        return once(&u->origin, value);
    if (equals(name, "Sec-WebSocket-Key"))
        return once(&u->key, value);
    if (equals(name, "Sec-WebSocket-Accept"))
        return once(&u->accept, value);
    if (equals(name, "Upgrade"))
        u->has_upgrade |= lists(value, "websocket");
    else if (equals(name, "Connection"))
        u->has_connection |= lists(value, "Upgrade");
    else if (equals(name, "Sec-WebSocket-Protocol"))
        u->is_coap |= lists(value, "coap");
    else if (equals(name, "Sec-WebSocket-Version"))
        u->is_version13 = equals(value, "13");
    return CP_HTTP_OK;
}

/* 0, or COPAL_E*, of what the reader of heads says. */
static int result_of(int status, copal_bytes bytes, struct cp_upgrade *out,
                     const struct cp_http_head *head)
{
    out->size = head->len;
    out->status = head->status;
    out->method = head->method;
    out->target = head->path;
    if (status == CP_HTTP_MORE)
        return bytes.len > CP_UPGRADE_LONGEST ? COPAL_ELIMIT : COPAL_ESTATE;
    if (status != CP_HTTP_OK || head->is_old)
        return COPAL_EFORMAT;
    return head->len > CP_UPGRADE_LONGEST ? COPAL_ELIMIT : 0;
}

int cp_upgrade_read_request(copal_bytes bytes, struct cp_upgrade *out)
{
    struct cp_http_head head;

    *out = (struct cp_upgrade){0};
    return result_of(cp_http_request_read(bytes, &head, take_field, out), bytes,
                     out, &head);
}

int cp_upgrade_read_response(copal_bytes bytes, struct cp_upgrade *out)
{
    struct cp_http_head head;

    *out = (struct cp_upgrade){0};
    return result_of(cp_http_response_read(bytes, &head, take_field, out),
                     bytes, out, &head);
}

/* ---- Judging ---- */

int cp_upgrade_judge(const struct cp_upgrade *r,
                     bool (*origin_is_allowed)(void *user, copal_bytes origin,
                                               copal_bytes host),
                     void *user)
{
    uint8_t key[16];
    size_t len;

    if (!cp_bytes_is_text(r->target, "/.well-known/coap"))
        return 404;
    if (!cp_bytes_is_text(r->method, "GET"))
        return 405;
    if (!r->has_upgrade || !r->has_connection || !r->is_version13)
        return 426;
    if (r->host.len == 0 || !r->is_coap ||
        cp_base64_read(r->key, key, sizeof(key), &len) != 0 || len != 16)
        return 400;
    if (r->origin.len > 0 && !origin_is_allowed(user, r->origin, r->host))
        return 403;
    return 101;
}

copal_bytes cp_upgrade_without_port(copal_bytes host)
{
    size_t n = host.len;

    while (n > 0 && host.data[n - 1] >= '0' && host.data[n - 1] <= '9')
        n--;
    return n > 0 && host.data[n - 1] == ':' ? cp_bytes(host.data, n - 1) : host;
}

bool cp_upgrade_is_own_host(copal_bytes host)
{
    char text[CP_ADDRESS_TEXT];
    struct cp_address address;
    bool is_v6;

    host = cp_upgrade_without_port(host);
    is_v6 = host.len > 2 && host.data[0] == '[';
    if (is_v6 && host.data[host.len - 1] != ']')
        return false;
    if (is_v6)
        host = cp_bytes(host.data + 1, host.len - 2);
    if (equals(host, "localhost"))
        return !is_v6;
    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return cp_address_read(text, &address) &&
           (address.family == CP_IPV6) == is_v6;
}

/* ---- Writing ---- */

/* A zone means something on this host only: "[fe80::1%25eth0]:8080" goes without
 * it. RFC 6874 4. */
static void put_host(struct cp_buf *out, const char *host)
{
    const char *zone = host[0] == '[' ? strchr(host, '%') : NULL;
    const char *rest = zone == NULL ? NULL : strchr(zone, ']');

    if (rest == NULL) {
        cp_put_text(out, host);
        return;
    }
    cp_put_bytes(out, cp_bytes(host, (size_t)(zone - host)));
    cp_put_text(out, rest);
}

void cp_upgrade_put_request(struct cp_buf *out, const char *host,
                            const char *key)
{
    cp_put_text(out, "GET /.well-known/coap HTTP/1.1\r\nHost: ");
    put_host(out, host);
    cp_put_text(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: coap\r\nSec-WebSocket-Key: ");
    cp_put_text(out, key);
    cp_put_text(out, "\r\n\r\n");
}

void cp_upgrade_put_response(struct cp_buf *out, int status, const char *accept)
{
    char line[64];

    if (status == 101) {
        cp_put_text(out, "HTTP/1.1 101 Switching Protocols\r\n"
                         "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Protocol: coap\r\n"
                         "Sec-WebSocket-Accept: ");
        cp_put_text(out, accept);
        cp_put_text(out, "\r\n\r\n");
        return;
    }
    snprintf(line, sizeof(line), "HTTP/1.1 %d %s\r\n", status,
             cp_http_reason(status));
    cp_put_text(out, line);
    if (status == 426)
        cp_put_text(out, "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    if (status == 405)
        cp_put_text(out, "Allow: GET\r\n");
    cp_put_text(out, "Connection: close\r\nContent-Length: 0\r\n\r\n");
}

void cp_upgrade_accept(copal_bytes key,
                       void (*sha1)(copal_bytes in, uint8_t out[20]),
                       char out[CP_UPGRADE_ACCEPT + 1])
{
    uint8_t joined[CP_UPGRADE_KEY + sizeof(guid)], digest[20];
    struct cp_buf in = cp_buf_fixed(joined, sizeof(joined));
    struct cp_buf text = cp_buf_fixed(out, CP_UPGRADE_ACCEPT);

    cp_put_bytes(&in, key);
    cp_put_bytes(&in, cp_bytes(guid, sizeof(guid) - 1));
    sha1(cp_bytes(joined, in.len), digest);
    cp_put_base64(&text, cp_bytes(digest, sizeof(digest)));
    out[CP_UPGRADE_ACCEPT] = '\0';
}

int cp_upgrade_check_origin(struct cp_mem *mem, const char *origin)
{
    const char *host = strstr(origin, "://");

    if (strcmp(origin, "*") == 0 ||
        (host != NULL && origin[strlen(origin) - 1] != '/'))
        return 0;
    return cp_why(mem, COPAL_EINVAL,
                  "%s: no origin; write it like https://example.org, or * for "
                  "any",
                  origin);
}

/* As a URI has it and a browser writes it: what else may stand in a name would
 * never be met. RFC 3986 3.2.2, RFC 9110 7.2. */
int cp_upgrade_check_host(struct cp_mem *mem, const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz"
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~");

    if (strcmp(name, "*") == 0 || (n > 0 && name[n] == '\0'))
        return 0;
    return cp_why(mem, COPAL_EINVAL,
                  "%s: no name of a host; write it like device.example, "
                  "without scheme and port, or * for any",
                  name);
}
