/* Any text: what cp_uri_split() understands, put together again, is understood
 * again and is the same URI, which then no longer changes. RFC 7252 6. */
#include "decoder.h"
#include "wire/uri.h"

static void put_path(struct cp_buf *b, copal_bytes rest)
{
    uint8_t part[256];
    size_t len, count = 0;

    for (; cp_uri_next_segment(&rest, part, &len); count++) {
        /* RFC 7252 5.10.1. */
        require(!cp_bytes_is_text(cp_bytes(part, len), ".") &&
                !cp_bytes_is_text(cp_bytes(part, len), ".."));
        cp_uri_put_segment(b, cp_bytes(part, len));
    }
    if (count == 0)
        cp_put_u8(b, '/');
}

static void put_query(struct cp_buf *b, const struct cp_uri *uri)
{
    copal_bytes rest = uri->query;
    uint8_t part[256];
    size_t len, count = 0;

    if (!uri->has_query)
        return;
    for (; cp_uri_next_argument(&rest, part, &len); count++)
        cp_uri_put_argument(b, cp_bytes(part, len), count == 0);
    require(count > 0);
}

/* Gives false where text is no URI. */
static bool normalize(const char *text, struct cp_buf *out)
{
    struct cp_uri uri;
    char host[320];

    if (cp_uri_split(memory(), text, &uri) != 0) {
        require(cp_why_text(memory())[0] != '\0');
        return false;
    }
    cp_uri_host_text(&uri, host);
    require(host[0] != '\0');
    cp_uri_put_base(out, uri.scheme, host, uri.port);
    put_path(out, uri.path);
    put_query(out, &uri);
    return true;
}

/* A text just under the longest that is read may grow beyond it by the "/" and
 * the "%25" that it lacked. */
static void check(const char *text, size_t size)
{
    struct cp_buf once = cp_buf_new(memory()), twice = cp_buf_new(memory());
    struct cp_uri base;

    cp_uri_split_base(memory(), text, &base);
    if (size < 8000 && normalize(text, &once)) {
        require(normalize(cp_buf_text(&once), &twice));
        require(strcmp(cp_buf_text(&once), cp_buf_text(&twice)) == 0);
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(cp_bytes(data, size));

    check(text, size);
    cp_free(memory(), text);
    require_all_back();
    return 0;
}
