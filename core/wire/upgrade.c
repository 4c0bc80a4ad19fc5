#include "wire/upgrade.h"
#include "base/base64.h"

#include <stdio.h>
#include <strings.h>

static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* ---- Parts of HTTP ---- */

static bool is_token_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;
}

static bool equals(copal_bytes a, const char *text)
{
    return a.len == strlen(text) &&
           strncasecmp((const char *)a.data, text, a.len) == 0;
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

/* The next line, without its CR LF. A bare LF or CR is none: who reads it
 * otherwise would see other lines. */
static int take_line(copal_bytes *rest, copal_bytes *line)
{
    for (size_t i = 0; i < rest->len; i++) {
        uint8_t c = rest->data[i];

        if (c == '\r' && i + 1 == rest->len)
            return COPAL_ESTATE;
        if (c == '\r' && rest->data[i + 1] == '\n') {
            *line = cp_bytes(rest->data, i);
            *rest = cp_bytes(rest->data + i + 2, rest->len - i - 2);
            return 0;
        }
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return COPAL_EFORMAT;
    }
    return COPAL_ESTATE;
}

static copal_bytes take_word(copal_bytes *line)
{
    const uint8_t *space = memchr(line->data, ' ', line->len);
    size_t n = space == NULL ? line->len : (size_t)(space - line->data);
    copal_bytes word = cp_bytes(line->data, n);

    n += space != NULL;
    *line = cp_bytes(line->data + n, line->len - n);
    return word;
}

/* A field that may be there once only. */
static int once(copal_bytes *field, copal_bytes value)
{
    if (field->data != NULL)
        return COPAL_EFORMAT;
    *field = value;
    return 0;
}

static int take_field(copal_bytes name, copal_bytes value,
                      struct cp_upgrade *out, bool *is_upgrade,
                      bool *is_connection)
{
    if (equals(name, "Host"))
        return once(&out->host, value);
    if (equals(name, "Origin"))
        return once(&out->origin, value);
    if (equals(name, "Sec-WebSocket-Key"))
        return once(&out->key, value);
    if (equals(name, "Sec-WebSocket-Accept"))
        return once(&out->accept, value);
    if (equals(name, "Upgrade"))
        *is_upgrade |= lists(value, "websocket");
    else if (equals(name, "Connection"))
        *is_connection |= lists(value, "Upgrade");
    else if (equals(name, "Sec-WebSocket-Protocol"))
        out->is_coap |= lists(value, "coap");
    else if (equals(name, "Sec-WebSocket-Version"))
        out->is_version13 = equals(value, "13");
    else if (equals(name, "Transfer-Encoding") ||
             (equals(name, "Content-Length") && !equals(value, "0")))
        return COPAL_EFORMAT; /* neither message has a body */
    return 0;
}

static int read_field(copal_bytes line, struct cp_upgrade *out,
                      bool *is_upgrade, bool *is_connection)
{
    size_t n = 0;

    while (n < line.len && is_token_char(line.data[n]))
        n++;
    if (n == 0 || n == line.len || line.data[n] != ':')
        return COPAL_EFORMAT; /* also a line that continues another */
    return take_field(cp_bytes(line.data, n),
                      trim(cp_bytes(line.data + n + 1, line.len - n - 1)), out,
                      is_upgrade, is_connection);
}

/* The first line goes to *first. */
static int read_head(copal_bytes bytes, copal_bytes *first,
                     struct cp_upgrade *out)
{
    copal_bytes rest = bytes, line;
    bool is_upgrade = false, is_connection = false;
    int err = take_line(&rest, first);

    *out = (struct cp_upgrade){0};
    while (err == 0 && (err = take_line(&rest, &line)) == 0 && line.len > 0)
        err = read_field(line, out, &is_upgrade, &is_connection);
    out->size = bytes.len - rest.len;
    out->is_websocket = is_upgrade && is_connection;
    if (err == COPAL_ESTATE && bytes.len > CP_UPGRADE_LONGEST)
        return COPAL_ELIMIT;
    return err == 0 && out->size > CP_UPGRADE_LONGEST ? COPAL_ELIMIT : err;
}

int cp_upgrade_read_request(copal_bytes bytes, struct cp_upgrade *out)
{
    copal_bytes first;
    int err = read_head(bytes, &first, out);

    if (err != 0)
        return err;
    out->method = take_word(&first);
    out->target = take_word(&first);
    return cp_bytes_is_text(first, "HTTP/1.1") && out->method.len > 0 &&
                   out->target.len > 0
               ? 0
               : COPAL_EFORMAT;
}

int cp_upgrade_read_response(copal_bytes bytes, struct cp_upgrade *out)
{
    copal_bytes first, code;
    int err = read_head(bytes, &first, out);

    if (err != 0)
        return err;
    if (!cp_bytes_is_text(take_word(&first), "HTTP/1.1"))
        return COPAL_EFORMAT;
    code = take_word(&first);
    if (code.len != 3)
        return COPAL_EFORMAT;
    for (size_t i = 0; i < 3; i++) {
        if (code.data[i] < '0' || code.data[i] > '9')
            return COPAL_EFORMAT;
        out->status = out->status * 10 + code.data[i] - '0';
    }
    return 0;
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
    if (!r->is_websocket || !r->is_version13)
        return 426;
    if (r->host.len == 0 || !r->is_coap ||
        cp_base64_read(r->key, key, sizeof(key), &len) != 0 || len != 16)
        return 400;
    if (r->origin.len > 0 && !origin_is_allowed(user, r->origin, r->host))
        return 403;
    return 101;
}

/* ---- Writing ---- */

void cp_upgrade_put_request(struct cp_buf *out, const char *host,
                            const char *key)
{
    cp_put_text(out, "GET /.well-known/coap HTTP/1.1\r\nHost: ");
    cp_put_text(out, host);
    cp_put_text(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: coap\r\nSec-WebSocket-Key: ");
    cp_put_text(out, key);
    cp_put_text(out, "\r\n\r\n");
}

static const char *reason_of(int status)
{
    switch (status) {
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 426: return "Upgrade Required";
    case 431: return "Request Header Fields Too Large";
    default: return "Bad Request";
    }
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
             reason_of(status));
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
