#include "net/ladder.h"
#include "net/ladder_line.h"
#include "wire/datagram.h"
#include "wire/uri.h"

enum {
    KEPT_AT_FIRST = 1 << 20
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

/* ---- Lines ---- */

static void put_message(struct cp_ladder *l, const struct cp_address *from,
                        const struct cp_address *to, const struct cp_header *h,
                        const copal_msg *m)
{
    static const char types[][4] = {"CON", "NON", "ACK", "RST"};
    struct cp_buf *b = &l->text;

    cp_put_text(b, types[h->type & 3]);
    cp_put_u8(b, ' ');
    cp_ladder_line_put_code(b, h->code);
    cp_put_format(b, " %04x", number_of(l, from, to, h));
    if (h->code != 0)
        cp_ladder_line_put_rest(b, m);
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
        cp_ladder_line_put_code(&l->text, m->code);
        cp_ladder_line_put_rest(&l->text, m);
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
