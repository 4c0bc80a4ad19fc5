/* Any bytes as the head of an HTTP request: what is taken has a method and no
 * byte that could mean something to another reader; it is taken at its last
 * byte and not before; and what was refused stays refused, whatever follows. */
#include "wire/http_head.h"
#include "fuzz.h"

static void check_taken(copal_bytes input, const struct cp_http_head *head)
{
    require(head->method.len > 0);
    require(head->len >= 4 && head->len <= input.len);
    require(memcmp(input.data + head->len - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i < head->path.len; i++)
        require(head->path.data[i] > 0x20 && head->path.data[i] < 0x7f);
    require(head->path.len == 0 || head->path.data[0] == '/');
    for (size_t i = 0; i < head->len; i++) {
        uint8_t c = input.data[i];

        require(c >= 0x20 || c == '\t' || c == '\r' || c == '\n');
        require(c != '\n' || (i > 0 && input.data[i - 1] == '\r'));
        require(c != '\r' || input.data[i + 1] == '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_http_head head, part;
    int status = CP_HTTP_MORE;
    size_t len = 0;

    if (size > 1024) /* each length of it is tried */
        return 0;
    for (; len <= size && status == CP_HTTP_MORE; len++)
        status = cp_http_head_read(cp_bytes(data, len), &part);
    require(cp_http_head_read(cp_bytes(data, size), &head) == status);
    if (status == CP_HTTP_OK) {
        require(head.len == len - 1 && part.len == head.len);
        check_taken(cp_bytes(data, size), &head);
    }
    return 0;
}
