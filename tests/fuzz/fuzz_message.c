/* A message that came, whatever is in it: it can be looked at, its URI asks for
 * the same again, and a copy of it can be changed. */
#include "decoder.h"
#include "wire/datagram.h"
#include "wire/message_print.h"

/* One line each, whatever strangers wrote. */
static void look_at(const copal_msg *m)
{
    copal_wire wire = {.size = sizeof(wire)};
    copal_problem problem = {.size = sizeof(problem)};
    copal_bytes value;
    int number;

    require(strpbrk(copal_msg_print(m, COPAL_LINE), "\n\x1b\x7f") == NULL);
    require(strpbrk(copal_msg_print(m, COPAL_OPTION_LINES), "\x1b\x7f") ==
            NULL);
    copal_msg_query(m, "a");
    require(copal_msg_path(m)[0] == '/');
    require(strcmp(copal_msg_path(m), copal_msg_path(m)) == 0);
    require(copal_msg_uri(m) != NULL && copal_msg_remote(m) != NULL);
    require(copal_msg_local(m) != NULL && copal_msg_identity(m) == NULL);
    require(copal_msg_format(m) >= COPAL_NO_FORMAT);
    require(copal_msg_wire(m, &wire) == 0 && wire.mid == m->mid);
    copal_msg_problem(m, &problem);
    for (size_t i = 0; (number = copal_msg_option(m, i, &value)) >= 0; i++)
        require(copal_msg_uint(m, number) >= COPAL_ENOENT);
}

/* "." and "..", which no URI leads to. RFC 7252 5.10.1. */
static bool has_dots(const copal_msg *m)
{
    copal_bytes part;

    for (size_t i = 0; copal_msg_value(m, COPAL_OPT_URI_PATH, i, &part) == 0;
         i++)
        if (cp_bytes_is_text(part, ".") || cp_bytes_is_text(part, ".."))
            return true;
    return false;
}

/* By its URI the same can be asked for, unless that stands in Proxy-Uri, is of
 * a host whose name is none, or longer than a URI's parts may be. RFC 7252 6.4,
 * 6.5. */
static void ask_again(const copal_msg *m)
{
    copal_msg *again = cp_msg_new(memory(), COPAL_GET, 0);
    const char *uri = copal_msg_uri(m);
    char *text;

    require(again != NULL);
    if (copal_msg_set_uri(again, uri) == 0 && !has_dots(m) &&
        !cp_msg_has(m, COPAL_OPT_PROXY_URI)) {
        require(strcmp(copal_msg_path(again), copal_msg_path(m)) == 0);
        for (size_t i = 0;; i++) {
            copal_bytes a = {0}, b = {0};
            int err = copal_msg_value(m, COPAL_OPT_URI_QUERY, i, &a);

            require(err == copal_msg_value(again, COPAL_OPT_URI_QUERY, i, &b));
            require(cp_bytes_equal(a, b));
            if (err != 0)
                break;
        }
    }
    text = text_of(m->payload);
    copal_msg_set_from(again, text);
    copal_msg_add_text(again, COPAL_OPT_URI_PATH, text);
    cp_free(memory(), text);
    copal_msg_unref(again);
}

/* What users may try with an option of a received message. */
static void set_all(copal_msg *m, const copal_msg *from)
{
    copal_bytes value;
    int number;

    for (size_t i = 0; (number = copal_msg_option(from, i, &value)) >= 0; i++) {
        copal_msg_add(m, number, value);
        copal_msg_add_uint(m, number, (uint32_t)cp_bytes_uint(value));
        if (i % 3 == 1)
            copal_msg_remove(m, number);
        copal_msg_resume(m, cp_bytes_uint(value), value);
        copal_msg_tune(m, (copal_param)(number % 40),
                       (int64_t)cp_bytes_uint(value));
    }
}

static void change(copal_msg *m)
{
    struct cp_buf before = cp_buf_new(memory()), after = cp_buf_new(memory());
    copal_bytes first = {0};
    copal_msg *copy;

    cp_msg_check_options(m, NULL, NULL);
    copal_msg_option(m, 0, &first);
    require(cp_msg_add(m, 65000, first) == 0); /* which may move everything */
    cp_msg_add(m, 11, cp_bytes("0123456789012345678901234567890123", 34));
    copy = copal_msg_copy(m);
    require(copy != NULL);
    require(cp_options_encode(m, &before) == 0);
    require(cp_options_encode(copy, &after) == 0);
    require(cp_bytes_equal(cp_bytes(before.data, before.len),
                           cp_bytes(after.data, after.len)));
    set_all(copy, m);
    require(copal_msg_print(copy, COPAL_OPTION_LINES) != NULL);
    cp_buf_free(&before);
    cp_buf_free(&after);
    copal_msg_unref(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cp_header header;
    copal_msg *m = NULL;

    if (cp_header_read(cp_bytes(data, size), &header) != 0)
        return 0;
    if (cp_datagram_decode(memory(), &header, &m) == 0) {
        look_at(m);
        ask_again(m);
        change(m);
        copal_msg_unref(m);
    }
    require_all_back();
    return 0;
}
