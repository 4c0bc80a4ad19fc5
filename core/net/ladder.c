#include "net/ladder.h"
#include "base/utf8.h"
#include "wire/block.h"
#include "wire/datagram.h"
#include "wire/missing.h"
#include "wire/uri.h"

enum {
    KEPT_AT_FIRST = 1 << 20,
    SHOWN_CHARACTERS = 32,
    SHOWN_NUMBERS = 16
};

/* Who used message ids toward whom, and the first of them. */
struct pair {
    struct cp_address host, peer; /* host without its port */
};

struct number {
    struct cp_map_node node;
    struct pair pair;
    uint16_t first;
};

void cp_ladder_init(struct cp_ladder *l, struct cp_mem *mem,
                    struct cp_random *random)
{
    l->mem = mem;
    l->keep = KEPT_AT_FIRST;
    l->text = cp_buf_new(mem);
    cp_map_init(&l->numbers, mem, random);
}

void cp_ladder_clear(struct cp_ladder *l)
{
    map_each (node, after, &l->numbers)
        cp_free(l->mem, cp_container_of(node, struct number, node));
    cp_map_clear(&l->numbers);
    cp_buf_free(&l->text);
}

static void trim(struct cp_ladder *l)
{
    struct cp_buf *text = &l->text;
    size_t cut;

    if (text->len <= l->keep)
        return;
    cut = text->len - l->keep;
    while (cut < text->len && text->data[cut - 1] != '\n')
        cut++;
    memmove(text->data, text->data + cut, text->len - cut);
    text->len -= cut;
}

void cp_ladder_keep(struct cp_ladder *l, size_t bytes)
{
    l->keep = bytes;
    trim(l);
}

const char *cp_ladder_text(struct cp_ladder *l)
{
    const char *text;

    trim(l);
    text = cp_buf_text(&l->text);
    l->text.failed = false;
    return text == NULL ? "" : text;
}

/* ---- Message ids ---- */

static struct pair pair_of(const struct cp_address *host,
                           const struct cp_address *peer)
{
    struct pair pair = {.host = *host, .peer = *peer};

    /* A host that moves goes on counting; its peers see somebody new. */
    pair.host.port = 0;
    return pair;
}

static struct number *find_number(const struct cp_ladder *l,
                                  const struct pair *pair, uint64_t hash)
{
    struct cp_map_node *node = cp_map_first(&l->numbers, hash);

    for (; node != NULL; node = cp_map_next(node)) {
        struct number *n = cp_container_of(node, struct number, node);
        if (memcmp(&n->pair, pair, sizeof(*pair)) == 0)
            return n;
    }
    return NULL;
}

static void note_number(struct cp_ladder *l, const struct pair *pair,
                        uint64_t hash, uint16_t mid)
{
    struct number *n = cp_zalloc(l->mem, sizeof(*n));

    if (n == NULL)
        return;
    n->pair = *pair;
    n->first = mid;
    cp_map_put(&l->numbers, &n->node, hash);
}

static uint16_t number_of(struct cp_ladder *l, const struct cp_address *from,
                          const struct cp_address *to,
                          const struct cp_header *h)
{
    bool is_answer = h->type == CP_ACK || h->type == CP_RST;
    struct pair pair = is_answer ? pair_of(to, from) : pair_of(from, to);
    uint64_t hash = cp_map_hash(&l->numbers, &pair, sizeof(pair));
    const struct number *n = find_number(l, &pair, hash);

    if (n != NULL)
        return (uint16_t)(h->mid - n->first + 1);
    if (!is_answer)
        note_number(l, &pair, hash, h->mid);
    return 1;
}

void cp_ladder_forget(struct cp_ladder *l, const struct cp_address *host)
{
    struct pair own = pair_of(host, host);

    map_each (node, after, &l->numbers) {
        struct number *n = cp_container_of(node, struct number, node);
        if (cp_address_equal(&n->pair.host, &own.host)) {
            cp_map_remove(&l->numbers, node);
            cp_free(l->mem, n);
        }
    }
}

/* ---- Parts of a line ---- */

static void put_code(struct cp_buf *b, int code)
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

static void put_rest(struct cp_buf *b, const copal_msg *m)
{
    if (cp_code_is_request(m->code))
        put_target(b, m);
    if (cp_code_class(m->code) < 7) /* signals have options of their own */
        put_options(b, m);
    put_payload(b, m);
}

static void put_message(struct cp_ladder *l, const struct cp_address *from,
                        const struct cp_address *to, const struct cp_header *h,
                        const copal_msg *m)
{
    static const char types[][4] = {"CON", "NON", "ACK", "RST"};
    struct cp_buf *b = &l->text;

    cp_put_text(b, types[h->type & 3]);
    cp_put_u8(b, ' ');
    put_code(b, h->code);
    cp_put_format(b, " %04x", number_of(l, from, to, h));
    if (h->code != 0)
        put_rest(b, m);
}

static void put_fate(struct cp_buf *b, enum cp_fate fate,
                     const struct cp_address *member)
{
    static const char *const fates[] = {"", "lost", "copy", "nobody",
                                        "refused"};
    char whose[CP_ADDRESS_TEXT];

    if (fate != CP_SENT && member != NULL) {
        cp_address_print(member, cp_scheme_port(CP_COAP), whose);
        cp_put_format(b, " (%s to %s)", fates[fate], whose);
    } else if (fate != CP_SENT) {
        cp_put_format(b, " (%s)", fates[fate]);
    }
    cp_put_u8(b, '\n');
}

void cp_ladder_add(struct cp_ladder *l, uint64_t now,
                   const struct cp_address *from, const struct cp_address *to,
                   copal_bytes datagram, enum cp_fate fate,
                   const struct cp_address *member)
{
    char sender[CP_ADDRESS_TEXT], receiver[CP_ADDRESS_TEXT];
    uint16_t port = cp_scheme_port(CP_COAP);
    struct cp_header header;
    copal_msg *m = NULL;
    size_t before = l->text.len;
    int err;

    if (l->keep == 0)
        return;
    err = cp_header_read(datagram, &header);
    if (err == 0)
        err = cp_datagram_decode(l->mem, &header, &m);
    if (err == COPAL_ENOMEM)
        return;
    cp_address_print(from, port, sender);
    cp_address_print(to, port, receiver);
    cp_put_format(&l->text, "%4llu %s > %s ", (unsigned long long)now, sender,
                  receiver);
    if (err == 0)
        put_message(l, from, to, &header, m);
    else if (datagram.len > 0 && datagram.data[0] >= 20 &&
             datagram.data[0] < 64) /* RFC 7983 7 */
        cp_put_format(&l->text, "DTLS (%zu bytes)", datagram.len);
    else
        cp_put_format(&l->text, "malformed (%zu bytes)", datagram.len);
    put_fate(&l->text, fate, member);
    if (l->text.failed)
        l->text.len = before;
    l->text.failed = false;
    copal_msg_unref(m);
    /* Half as much again may pile up, so that cutting costs little a line. */
    if (l->text.len > l->keep + l->keep / 2)
        trim(l);
}

void cp_ladder_add_stream(struct cp_ladder *l, uint64_t now,
                          const struct cp_address *from,
                          const struct cp_address *to, copal_bytes bytes,
                          enum cp_framing framing)
{
    char sender[CP_ADDRESS_TEXT], receiver[CP_ADDRESS_TEXT];
    size_t before = l->text.len;
    copal_msg *m = NULL;
    struct cp_frame f;

    if (l->keep == 0)
        return;
    if (cp_frame_read(bytes, framing, &f) == 0 && f.size == bytes.len)
        (void)cp_frame_decode(l->mem, &f, &m);
    cp_address_print(from, cp_scheme_port(CP_COAP), sender);
    cp_address_print(to, cp_scheme_port(CP_COAP), receiver);
    cp_put_format(&l->text, "%4llu %s > %s ", (unsigned long long)now, sender,
                  receiver);
    if (m != NULL) {
        m->scheme = CP_COAP_TCP;
        put_code(&l->text, m->code);
        put_rest(&l->text, m);
    } else {
        cp_put_format(&l->text, "(%zu bytes)", bytes.len);
    }
    cp_put_u8(&l->text, '\n');
    copal_msg_unref(m);
    if (l->text.failed) { /* the line is missing */
        l->text.failed = false;
        l->text.len = before;
    }
    if (l->text.len > 2 * l->keep)
        trim(l);
}
