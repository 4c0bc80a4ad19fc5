#include "net/ladder_line.h"
#include "base/utf8.h"
#include "wire/block.h"
#include "wire/missing.h"
#include "wire/uri.h"

enum {
    SHOWN_CHARACTERS = 32,
    SHOWN_NUMBERS = 16
};

void cp_ladder_line_put_code(struct cp_buf *b, int code)
{
    if (code == 0)
        cp_put_text(b, "empty");
    else if (cp_code_is_request(code))
        cp_put_text(b, cp_code_name(code));
    else
        cp_put_format(b, "%u.%02u", cp_code_class(code), cp_code_detail(code));
}

static void put_target(struct cp_buf *b, const copal_msg *m)
{
    bool is_first = true;

    cp_put_u8(b, ' ');
    if (!cp_msg_has(m, COPAL_OPT_URI_PATH))
        cp_put_u8(b, '/');
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == COPAL_OPT_URI_PATH)
            cp_uri_put_segment(b, cp_msg_option_value(m, &m->options[i]));
    for (size_t i = 0; i < m->option_count; i++)
        if (m->options[i].number == COPAL_OPT_URI_QUERY) {
            cp_uri_put_argument(b, cp_msg_option_value(m, &m->options[i]),
                                is_first);
            is_first = false;
        }
}

static int read_block(const copal_msg *m, copal_bytes value,
                      struct cp_block *block)
{
    return cp_scheme_is_stream(m->scheme) ? cp_block_decode_bert(value, block)
                                          : cp_block_decode(value, block);
}

static void put_block(struct cp_buf *b, const copal_msg *m, unsigned option,
                      const char *name)
{
    struct cp_block block;

    for (size_t i = 0; i < m->option_count; i++) {
        if (m->options[i].number != option)
            continue;
        if (read_block(m, cp_msg_option_value(m, &m->options[i]), &block) == 0)
            cp_put_format(b, " %s:%u/%d/%u%s", name, (unsigned)block.num,
                          block.more, (unsigned)block.size,
                          block.is_bert ? "+" : "");
        else
            cp_put_format(b, " %s:?", name);
    }
}

static void put_options(struct cp_buf *b, const copal_msg *m)
{
    const struct cp_option *observe = cp_msg_find(m, COPAL_OPT_OBSERVE);
    const struct cp_option *etag = cp_msg_find(m, COPAL_OPT_ETAG);
    const struct cp_option *tag = cp_msg_find(m, COPAL_OPT_REQUEST_TAG);

    if (observe != NULL && cp_code_is_request(m->code))
        cp_put_format(
            b, " obs=%llu",
            (unsigned long long)cp_bytes_uint(cp_msg_option_value(m, observe)));
    else if (observe != NULL)
        cp_put_text(b, " obs");
    put_block(b, m, COPAL_OPT_BLOCK1, "1");
    put_block(b, m, COPAL_OPT_BLOCK2, "2");
    put_block(b, m, COPAL_OPT_Q_BLOCK1, "q1");
    put_block(b, m, COPAL_OPT_Q_BLOCK2, "q2");
    if (etag != NULL) {
        cp_put_text(b, " etag=");
        cp_put_hex(b, cp_msg_option_value(m, etag));
    }
    if (tag != NULL) {
        cp_put_text(b, " tag=");
        cp_put_hex(b, cp_msg_option_value(m, tag));
    }
    if (cp_msg_find(m, COPAL_OPT_ECHO) != NULL)
        cp_put_text(b, " echo");
}

/* Is all of it printable? *shown: how much of it fits the line. */
static bool is_printable(copal_bytes text, copal_bytes *shown)
{
    size_t characters = 0, n;

    for (size_t i = 0; i < text.len; i += n) {
        bool valid;

        n = cp_utf8_length(text, i, &valid);
        if (!valid || cp_utf8_is_control(cp_bytes(text.data + i, n)))
            return false;
        if (characters++ < SHOWN_CHARACTERS)
            *shown = cp_bytes(text.data, i + n);
    }
    return true;
}

/* The blocks that a 4.08 asks for. False: it has no such list. */
static bool put_missing(struct cp_buf *b, const copal_msg *m)
{
    uint32_t nums[SHOWN_NUMBERS];
    size_t n;

    if (m->code != COPAL_INCOMPLETE ||
        cp_msg_uint_or(m, COPAL_OPT_CONTENT_FORMAT, 0) !=
            CP_FORMAT_MISSING_BLOCKS ||
        cp_missing_read(m->payload, UINT32_MAX, nums, SHOWN_NUMBERS, &n) != 0)
        return false;
    cp_put_text(b, " missing");
    for (size_t i = 0; i < n; i++)
        cp_put_format(b, "%c%u", i == 0 ? ' ' : ',', (unsigned)nums[i]);
    return true;
}

static void put_payload(struct cp_buf *b, const copal_msg *m)
{
    copal_bytes shown = {0}, payload = m->payload;
    bool is_request = cp_code_is_request(m->code);
    bool is_block =
        cp_msg_has(m, is_request ? COPAL_OPT_BLOCK1 : COPAL_OPT_BLOCK2) ||
        cp_msg_has(m, is_request ? COPAL_OPT_Q_BLOCK1 : COPAL_OPT_Q_BLOCK2);

    if (payload.len == 0 || put_missing(b, m))
        return;
    if ((is_block && payload.len > SHOWN_CHARACTERS) ||
        !is_printable(payload, &shown)) {
        cp_put_format(b, " (%zu bytes)", payload.len);
        return;
    }
    cp_put_text(b, " \"");
    cp_put_bytes(b, shown);
    cp_put_text(b, shown.len < payload.len ? "\"..." : "\"");
}

void cp_ladder_line_put_rest(struct cp_buf *b, const copal_msg *m)
{
    if (cp_code_is_request(m->code))
        put_target(b, m);
    if (cp_code_class(m->code) < 7) /* signals have options of their own */
        put_options(b, m);
    put_payload(b, m);
}
