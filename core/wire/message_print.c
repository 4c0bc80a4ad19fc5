#include "wire/message_print.h"
#include "base/utf8.h"
#include "wire/block.h"
#include "wire/datagram.h"
#include "wire/message_text.h"
#include "wire/option.h"

/* ---- Strangers' text ---- */

/* Control characters, and the backslash that escapes begin with. */
static bool needs_escape(copal_bytes c)
{
    return c.data[0] == '\\' || cp_utf8_is_control(c);
}

void cp_put_visible(struct cp_buf *b, copal_bytes text)
{
    size_t n;

    for (size_t i = 0; i < text.len; i += n) {
        bool valid;
        copal_bytes c;

        n = cp_utf8_length(text, i, &valid);
        c = cp_bytes(text.data + i, n);
        if (valid && !needs_escape(c))
            cp_put_bytes(b, c);
        else
            for (size_t k = 0; k < n; k++)
                cp_put_format(b, "\\x%02x", c.data[k]);
    }
}

/* ---- One line for all ---- */

static void put_format(struct cp_buf *b, const copal_msg *m)
{
    int format = copal_msg_format(m);
    const char *name = cp_format_name(format);

    if (format == COPAL_NO_FORMAT)
        return;
    if (name != NULL)
        cp_put_format(b, ", %s", name);
    else
        cp_put_format(b, ", format %d", format);
}

/* Where to, or where from. */
static void put_place(struct cp_buf *b, const copal_msg *m)
{
    bool is_request = cp_code_is_request(m->code);
    const char *place = is_request ? copal_msg_uri(m) : copal_msg_remote(m);

    if (*place == '\0')
        return;
    cp_put_text(b, is_request ? " " : " from ");
    cp_put_visible(b, cp_bytes_of_text(place));
}

void cp_msg_put_line(struct cp_buf *b, const copal_msg *m)
{
    static const char *const types[] = {
        [CP_CON] = "CON", [CP_NON] = "NON", [CP_ACK] = "ACK", [CP_RST] = "RST"};

    cp_put_text(b, cp_code_name(m->code));
    put_place(b, m);
    if (m->received && m->type <= CP_RST && !cp_scheme_is_stream(m->scheme))
        cp_put_format(b, ", %s %04x", types[m->type], m->mid);
    if (m->received && m->token.len > 0) {
        cp_put_text(b, ", token ");
        cp_put_hex(b, m->token);
    }
    put_format(b, m);
    if (m->payload.len > 0)
        cp_put_format(b, ", %zu byte%s", m->payload.len,
                      m->payload.len == 1 ? "" : "s");
}

/* ---- Options ---- */

static void put_number(struct cp_buf *b, unsigned option, copal_bytes value)
{
    uint64_t n = cp_bytes_uint(value);
    bool is_format =
        option == COPAL_OPT_CONTENT_FORMAT || option == COPAL_OPT_ACCEPT;
    const char *name =
        is_format && n <= UINT16_MAX ? cp_format_name((int)n) : NULL;

    if (value.len > sizeof(n)) {
        cp_put_hex(b, value);
        return;
    }
    cp_put_format(b, "%llu", (unsigned long long)n);
    if (name != NULL)
        cp_put_format(b, " %s", name);
}

/* False: not a block's value. */
static bool put_block(struct cp_buf *b, unsigned option, copal_bytes value)
{
    struct cp_block block;

    if (option != COPAL_OPT_BLOCK1 && option != COPAL_OPT_BLOCK2 &&
        option != COPAL_OPT_Q_BLOCK1 && option != COPAL_OPT_Q_BLOCK2)
        return false;
    if (cp_block_decode_bert(value, &block) != 0)
        return false;
    cp_put_format(b, "%u/%d/%u", (unsigned)block.num, block.more, block.size);
    if (block.is_bert)
        cp_put_text(b, "+"); /* and as many more as the message holds */
    return true;
}

static const struct cp_option_def *def_of(const copal_msg *m, size_t i)
{
    return cp_option_of(m->code, m->options[i].number);
}

void cp_msg_put_option_name(struct cp_buf *b, const copal_msg *m, size_t i)
{
    const struct cp_option_def *def = def_of(m, i);

    if (def != NULL)
        cp_put_text(b, def->name);
    else
        cp_put_format(b, "%u", (unsigned)m->options[i].number);
}

void cp_msg_put_value(struct cp_buf *b, const copal_msg *m, size_t i)
{
    const struct cp_option_def *def = def_of(m, i);
    unsigned option = m->options[i].number;
    copal_bytes value = cp_msg_option_value(m, &m->options[i]);

    if (def != NULL && put_block(b, option, value))
        return;
    switch (def == NULL ? CP_OPAQUE : def->format) {
    case CP_STRING: cp_put_visible(b, value); break;
    case CP_UINT: put_number(b, option, value); break;
    default: cp_put_hex(b, value); break;
    }
}

/* Of a number, no bytes mean 0. */
static bool has_value(const copal_msg *m, size_t i)
{
    const struct cp_option_def *def = def_of(m, i);

    return (def != NULL && def->format == CP_UINT) ||
           cp_msg_option_value(m, &m->options[i]).len > 0;
}

void cp_msg_put_option_lines(struct cp_buf *b, const copal_msg *m)
{
    for (size_t i = 0; i < m->option_count; i++) {
        if (i > 0 && m->options[i - 1].number == m->options[i].number) {
            cp_put_text(b, " /");
        } else {
            cp_put_text(b, i > 0 ? "\n" : "");
            cp_msg_put_option_name(b, m, i);
            cp_put_u8(b, ':');
        }
        if (has_value(m, i)) {
            cp_put_u8(b, ' ');
            cp_msg_put_value(b, m, i);
        }
    }
}

const char *copal_msg_print(const copal_msg *m, copal_text what)
{
    enum cp_text_kind kind =
        what == COPAL_LINE ? CP_TEXT_LINE : CP_TEXT_OPTION_LINES;
    const char *text = m == NULL ? "" : cp_msg_kept(m, kind);
    struct cp_buf b;

    if (text != NULL)
        return text;
    b = cp_buf_new(m->mem);
    if (what == COPAL_LINE)
        cp_msg_put_line(&b, m);
    else
        cp_msg_put_option_lines(&b, m);
    text = cp_msg_keep(m, kind, &b);
    return text == NULL ? "" : text;
}
