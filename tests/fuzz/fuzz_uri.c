/* Any text: what cp_uri_split() understands, put together again, is understood
 * again and is the same URI, which then no longer changes. RFC 7252 6. */
#include "wire/uri.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool fact)
{
    if (!fact)
        abort();
}

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
static bool normalize(struct cp_mem *mem, const char *text, struct cp_buf *out)
{
    struct cp_uri uri;
    char host[320];

    if (cp_uri_split(mem, text, &uri) != 0) {
        require(cp_why_text(mem)[0] != '\0');
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
static void check(struct cp_mem *mem, const char *text, size_t size)
{
    struct cp_buf once = cp_buf_new(mem), twice = cp_buf_new(mem);
    struct cp_uri base;

    cp_uri_split_base(mem, text, &base);
    if (size < 8000 && normalize(mem, text, &once)) {
        require(normalize(mem, cp_buf_text(&once), &twice));
        require(strcmp(cp_buf_text(&once), cp_buf_text(&twice)) == 0);
    }
    cp_buf_free(&once);
    cp_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_mem *mem = cp_mem_new(NULL, NULL);
    char *text =
        mem == NULL ? NULL : cp_copy_text(mem, (const char *)data, size);

    if (text != NULL)
        check(mem, text, size);
    cp_free(mem, text);
    if (mem != NULL)
        cp_mem_release(mem);
    return 0;
}
