#include "wire/http_head.h"

#include <strings.h>

struct head {
    struct cp_http_head *out;
    cp_http_field *field;
    void *user;
    bool has_host, has_length;
};

/* RFC 9110 5.6.2. */
static bool is_token(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_visible(uint8_t c)
{
    return c > 0x20 && c < 0x7f;
}

/* RFC 9110 5.5: obs-text is taken as what it is, bytes without a meaning. */
static bool is_of_value(uint8_t c)
{
    return c == '\t' || c == ' ' || is_visible(c) || c >= 0x80;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Takes from *rest what is of a kind. */
static copal_bytes take(copal_bytes *rest, bool (*is_of)(uint8_t c))
{
    size_t n = 0;
    copal_bytes taken;

    while (n < rest->len && is_of(rest->data[n]))
        n++;
    taken = cp_bytes(rest->data, n);
    *rest = cp_bytes(rest->data + n, rest->len - n);
    return taken;
}

static bool take_char(copal_bytes *rest, char c)
{
    if (rest->len == 0 || rest->data[0] != (uint8_t)c)
        return false;
    *rest = cp_bytes(rest->data + 1, rest->len - 1);
    return true;
}

const char *cp_http_reason(int status)
{
    switch (status) {
    case CP_HTTP_OK: return "OK";
    case CP_HTTP_BAD_REQUEST: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 426: return "Upgrade Required";
    case 431: return "Request Header Fields Too Large";
    case CP_HTTP_VERSION_NOT_SUPPORTED: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

bool cp_http_is_called(copal_bytes name, const char *wanted)
{
    return name.len == strlen(wanted) &&
           strncasecmp((const char *)name.data, wanted, name.len) == 0;
}

/* The path in an origin-form or an absolute-form, RFC 9112 3.2; what stands for
 * no path has none. */
static copal_bytes path_of(copal_bytes target)
{
    static const char scheme[] = "http://";
    size_t begin = 0, end;

    if (target.len >= sizeof(scheme) - 1 &&
        strncasecmp((const char *)target.data, scheme, sizeof(scheme) - 1) == 0)
        for (begin = sizeof(scheme) - 1;
             begin < target.len && target.data[begin] != '/'; begin++)
            if (target.data[begin] == '?')
                return (copal_bytes){0};
    if (begin == target.len || target.data[begin] != '/')
        return (copal_bytes){0};
    for (end = begin; end < target.len && target.data[end] != '?'; end++)
        continue;
    return cp_bytes(target.data + begin, end - begin);
}

/* HTTP-version: RFC 9112 2.3. */
static int take_version(struct head *h, copal_bytes *line)
{
    static const char protocol[] = "HTTP/";
    copal_bytes version;

    for (const char *c = protocol; *c != '\0'; c++)
        if (!take_char(line, *c))
            return CP_HTTP_BAD_REQUEST;
    version = take(line, is_visible);
    if (version.len != 3 || !is_digit(version.data[0]) ||
        version.data[1] != '.' || !is_digit(version.data[2]))
        return CP_HTTP_BAD_REQUEST;
    h->out->is_old = version.data[2] == '0';
    return version.data[0] == '1' ? CP_HTTP_OK : CP_HTTP_VERSION_NOT_SUPPORTED;
}

/* HTTP-version SP status-code SP [ reason-phrase ]: RFC 9112 4. */
static int read_status_line(struct head *h, copal_bytes line)
{
    int status = take_version(h, &line);
    copal_bytes code;

    if (status != CP_HTTP_OK || !take_char(&line, ' '))
        return CP_HTTP_BAD_REQUEST;
    code = take(&line, is_digit);
    if (code.len != 3 || (line.len > 0 && !take_char(&line, ' ')))
        return CP_HTTP_BAD_REQUEST;
    for (size_t i = 0; i < code.len; i++)
        h->out->status = h->out->status * 10 + code.data[i] - '0';
    return CP_HTTP_OK;
}

/* method SP request-target SP HTTP-version: RFC 9112 3. */
static int read_request_line(struct head *h, copal_bytes line)
{
    copal_bytes target;
    int status;

    h->out->method = take(&line, is_token);
    if (h->out->method.len == 0 || !take_char(&line, ' '))
        return CP_HTTP_BAD_REQUEST;
    target = take(&line, is_visible);
    if (target.len == 0 || !take_char(&line, ' '))
        return CP_HTTP_BAD_REQUEST;
    h->out->path = path_of(target);
    status = take_version(h, &line);
    return status == CP_HTTP_OK && line.len > 0 ? CP_HTTP_BAD_REQUEST : status;
}

/* A length of 0 is the one that brings no body. */
static bool is_zero(copal_bytes value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] != '0')
            return false;
    return value.len > 0;
}

/* field-name ":" OWS field-value OWS: RFC 9112 5. A line that begins with a
 * blank would go on with the one before: it has no name. */
static int read_field(struct head *h, copal_bytes line)
{
    copal_bytes name = take(&line, is_token), value;

    if (name.len == 0 || !take_char(&line, ':'))
        return CP_HTTP_BAD_REQUEST;
    while (take_char(&line, ' ') || take_char(&line, '\t'))
        continue;
    value = take(&line, is_of_value);
    if (line.len > 0)
        return CP_HTTP_BAD_REQUEST;
    while (value.len > 0 && (value.data[value.len - 1] == ' ' ||
                             value.data[value.len - 1] == '\t'))
        value.len--;
    if (cp_http_is_called(name, "Host")) {
        if (h->has_host || memchr(value.data, ' ', value.len) != NULL)
            return CP_HTTP_BAD_REQUEST;
        h->has_host = true;
    } else if (cp_http_is_called(name, "Content-Length")) {
        if (h->has_length || !is_zero(value))
            return CP_HTTP_BAD_REQUEST;
        h->has_length = true;
    } else if (cp_http_is_called(name, "Transfer-Encoding")) {
        return CP_HTTP_BAD_REQUEST;
    }
    return h->field == NULL ? CP_HTTP_OK : h->field(h->user, name, value);
}

/* CP_HTTP_OK: *line is the next line without its CRLF, *rest is behind it. */
static int next_line(copal_bytes *rest, copal_bytes *line)
{
    size_t n = 0;

    while (n < rest->len && rest->data[n] != '\r' && rest->data[n] != '\n' &&
           is_of_value(rest->data[n]))
        n++;
    *line = cp_bytes(rest->data, n);
    if (n == rest->len)
        return CP_HTTP_MORE;
    if (rest->data[n] != '\r')
        return CP_HTTP_BAD_REQUEST;
    if (n + 1 == rest->len)
        return CP_HTTP_MORE;
    if (rest->data[n + 1] != '\n')
        return CP_HTTP_BAD_REQUEST;
    *rest = cp_bytes(rest->data + n + 2, rest->len - n - 2);
    return CP_HTTP_OK;
}

static int read_head(struct head *h, copal_bytes input,
                     int (*read_first)(struct head *h, copal_bytes line))
{
    copal_bytes rest = input, line;
    int status = next_line(&rest, &line);

    *h->out = (struct cp_http_head){0};
    if (status == CP_HTTP_OK)
        status = read_first(h, line);
    while (status == CP_HTTP_OK) {
        status = next_line(&rest, &line);
        if (status == CP_HTTP_OK && line.len == 0)
            break;
        if (status == CP_HTTP_OK)
            status = read_field(h, line);
    }
    h->out->len = input.len - rest.len;
    return status;
}

int cp_http_request_read(copal_bytes input, struct cp_http_head *out,
                         cp_http_field *field, void *user)
{
    struct head h = {.out = out, .field = field, .user = user};
    int status = read_head(&h, input, read_request_line);

    if (status != CP_HTTP_OK)
        return status;
    return h.has_host || out->is_old ? CP_HTTP_OK : CP_HTTP_BAD_REQUEST;
}

int cp_http_response_read(copal_bytes input, struct cp_http_head *out,
                          cp_http_field *field, void *user)
{
    struct head h = {.out = out, .field = field, .user = user};

    return read_head(&h, input, read_status_line);
}

int cp_http_head_read(copal_bytes input, struct cp_http_head *out)
{
    return cp_http_request_read(input, out, NULL, NULL);
}
