#include "wire/datagram.h"
#include "wire/option.h"
#include <stdio.h>

/* The walk of datagram.c once more, for people: here speed is nothing and where
 * it stopped is everything. */
struct walk {
    copal_bytes all;
    size_t at;
    struct cp_buf *out;
};

static size_t left(const struct walk *w)
{
    return w->all.len - w->at;
}

/* Reads what a nibble announces. False: said what is wrong with it. */
static bool take_extended(struct walk *w, unsigned nibble, const char *what,
                          uint32_t *n)
{
    size_t more = nibble == 13 ? 1 : nibble == 14 ? 2 : 0;

    if (nibble == 15) {
        cp_put_format(w->out, "byte %zu: %s is 15, which is reserved",
                      w->at == 0 ? 0 : w->at - 1, what);
        return false;
    }
    if (left(w) < more) {
        cp_put_format(w->out,
                      "byte %zu: the datagram ends within the bytes of %s",
                      w->at, what);
        return false;
    }
    *n = nibble;
    if (more > 0)
        *n = (more == 1 ? 13u : 269u) +
             (uint32_t)cp_bytes_uint(cp_bytes(w->all.data + w->at, more));
    w->at += more;
    return true;
}

/* Skips len bytes of what. False: there are fewer, and that is said. */
static bool skip(struct walk *w, uint32_t len, const char *what)
{
    if (left(w) >= len) {
        w->at += len;
        return true;
    }
    cp_put_format(w->out,
                  "byte %zu: %s is to have %u byte%s, the datagram ends after "
                  "%zu",
                  w->at, what, (unsigned)len, len == 1 ? "" : "s", left(w));
    return false;
}

/* False: that was the last, or a fault. */
static bool walk_option(struct walk *w, uint32_t *number)
{
    uint8_t first = w->all.data[w->at++];
    uint32_t delta, len;
    char what[64];

    if (first == 0xff) {
        if (left(w) == 0)
            cp_put_format(
                w->out, "byte %zu: a payload marker with no payload behind it",
                w->at - 1);
        return false;
    }
    if (first >> 4 == 15) {
        cp_put_format(w->out,
                      "byte %zu: the option delta is 15, which only a "
                      "payload marker (ff) has",
                      w->at - 1);
        return false;
    }
    if (!take_extended(w, first >> 4, "an option's delta", &delta))
        return false;
    *number += delta;
    if (*number > UINT16_MAX) {
        cp_put_format(w->out, "byte %zu: option %u; 65535 is the last number",
                      w->at - 1, (unsigned)*number);
        return false;
    }
    snprintf(what, sizeof(what), "the length of option %u (%.30s)",
             (unsigned)*number, copal_name(COPAL_OPTIONS, (int)*number));
    if (!take_extended(w, first & 15, what, &len))
        return false;
    return skip(w, len, what + strlen("the length of "));
}

static void walk_datagram(struct walk *w)
{
    uint32_t token_len, number = 0;
    const uint8_t *bytes = w->all.data;

    if (w->all.len < 4) {
        cp_put_format(w->out, "%zu byte%s; a CoAP message has at least 4",
                      w->all.len, w->all.len == 1 ? "" : "s");
        return;
    }
    if (bytes[0] >> 6 != 1) {
        cp_put_format(w->out, "byte 0: version %u; CoAP's is 1", bytes[0] >> 6);
        return;
    }
    w->at = 4;
    if ((bytes[0] & 15) == 15) {
        cp_put_text(w->out,
                    "byte 0: the token length is 15, which is reserved");
        return;
    }
    if (bytes[1] == COPAL_EMPTY && (w->all.len > 4 || (bytes[0] & 15) > 0)) {
        cp_put_text(w->out, "byte 4: an empty message (0.00) has no token, no "
                            "options and no payload");
        return;
    }
    if (!take_extended(w, bytes[0] & 15, "the token length", &token_len) ||
        !skip(w, token_len, "the token"))
        return;
    while (left(w) > 0 && walk_option(w, &number))
        ;
}

void cp_datagram_put_fault(struct cp_buf *out, copal_bytes datagram)
{
    struct walk w = {.all = datagram, .out = out};

    walk_datagram(&w);
}
