/* Reading and writing messages: what copal.h promises of them. Setters check
 * before they change anything: a failure leaves the message as it was. */
#include "wire/message.h"
#include "wire/block.h"
#include "wire/datagram.h"
#include "wire/option.h"
#include "wire/params.h"
#include "wire/uri.h"

enum {
    MAX_VALUE = 65804, /* bytes; what RFC 7252 3.1 can encode */
    MAX_NUMBER = 65535,
    ALL_FLAGS = COPAL_NON | COPAL_STREAM_IN | COPAL_STREAM_OUT |
                COPAL_RAW_BLOCKS | COPAL_WATCH | COPAL_TELL_PROGRESS |
                COPAL_ANY_PORT | COPAL_NO_CACHE | COPAL_CON
};

/* ---- Reading ---- */

const char *copal_msg_why(const copal_msg *m)
{
    return m == NULL ? "" : cp_why_text(m->mem);
}

int copal_msg_code(const copal_msg *m)
{
    return m == NULL ? COPAL_ENOMEM : m->code;
}

copal_bytes copal_msg_payload(const copal_msg *m)
{
    return m == NULL ? (copal_bytes){0} : m->payload;
}

int copal_msg_format(const copal_msg *m)
{
    int64_t format = copal_msg_uint(m, COPAL_OPT_CONTENT_FORMAT);

    return format < 0 || format > UINT16_MAX ? COPAL_NO_FORMAT : (int)format;
}

int copal_msg_option(const copal_msg *m, size_t i, copal_bytes *value)
{
    if (m == NULL)
        return COPAL_ENOMEM;
    if (i >= m->option_count)
        return COPAL_ENOENT;
    if (value != NULL)
        *value = cp_msg_option_value(m, &m->options[i]);
    return m->options[i].number;
}

int copal_msg_value(const copal_msg *m, int option, size_t i,
                    copal_bytes *value)
{
    const struct cp_option *o, *end;

    if (m == NULL)
        return COPAL_ENOMEM;
    if (option < 0 || option > MAX_NUMBER)
        return COPAL_ENOENT;
    o = cp_msg_find(m, (unsigned)option);
    end = m->options + m->option_count;
    /* Those of one number stand together. */
    if (o == NULL || i >= (size_t)(end - o) || o[i].number != option)
        return COPAL_ENOENT;
    if (value != NULL)
        *value = cp_msg_option_value(m, &o[i]);
    return 0;
}

int64_t copal_msg_uint(const copal_msg *m, int option)
{
    copal_bytes value;
    uint64_t n;
    int err = copal_msg_value(m, option, 0, &value);

    if (err != 0)
        return err;
    n = cp_bytes_uint(value);
    /* More than 8 bytes, or a negative result: not a number that is there. */
    return value.len > sizeof(n) || n > INT64_MAX ? COPAL_ENOENT : (int64_t)n;
}

const char *copal_msg_identity(const copal_msg *m)
{
    return m == NULL || !m->received ? NULL : m->identity;
}

/* size is what the caller was compiled with and stays: of a smaller struct
 * only what fits is filled, what a larger one has more is zeroed. */
int copal_msg_wire(const copal_msg *m, copal_wire *out)
{
    copal_wire wire = {.type = -1, .mid = -1};
    const size_t begin = offsetof(copal_wire, type);
    size_t size;

    if (m == NULL)
        return COPAL_ENOMEM;
    if (out == NULL || out->size < begin)
        return cp_why(m->mem, COPAL_EINVAL,
                      "copal_msg_wire: set size to sizeof(copal_wire)");
    if (m->received && m->type <= CP_RST && !cp_scheme_is_stream(m->scheme)) {
        wire.type = m->type;
        wire.mid = m->mid;
    }
    wire.multicast = m->is_multicast || (m->received && m->path.is_multicast);
    wire.if_index = m->path.if_index;
    wire.token = m->token;
    size = out->size < sizeof(wire) ? out->size : sizeof(wire);
    memset((char *)out + begin, 0, out->size - begin);
    memcpy((char *)out + begin, (char *)&wire + begin, size - begin);
    return 0;
}

/* ---- Writing ---- */

int cp_msg_check_writable(const copal_msg *m)
{
    if (m == NULL)
        return COPAL_ENOMEM;
    if (m->frozen)
        return cp_why(m->mem, COPAL_ESTATE,
                      "the message was handed over and cannot change any more; "
                      "change a copy of it (copal_msg_copy(), copy())");
    return 0;
}

int copal_msg_set_flags(copal_msg *m, unsigned flags)
{
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    if ((flags & ~(unsigned)ALL_FLAGS) != 0)
        return cp_why(m->mem, COPAL_EINVAL, "flags 0x%x: no such flag",
                      flags & ~(unsigned)ALL_FLAGS);
    m->flags = flags;
    return 0;
}

int copal_msg_tune(copal_msg *m, copal_param p, int64_t value)
{
    int err = cp_msg_check_writable(m);

    if (err == 0)
        err = cp_params_check(m->mem, p, value, 'M');
    if (err != 0)
        return err;
    if (m->tuned == NULL)
        m->tuned = cp_zalloc(m->mem, CP_MAX_TUNED * sizeof(*m->tuned));
    if (m->tuned == NULL)
        return COPAL_ENOMEM;
    for (size_t i = 0; i < CP_MAX_TUNED; i++) {
        struct cp_tuned *t = &m->tuned[i];

        if (t->param == COPAL_P_NONE || t->param == (int)p) {
            *t = (struct cp_tuned){.param = (int)p, .value = value};
            return 0;
        }
    }
    return cp_why(m->mem, COPAL_ELIMIT, "at most %d parameters of one message",
                  CP_MAX_TUNED);
}

/* ---- Options ---- */

/* Signals have options of their own. */
static const char *name_of(const copal_msg *m, int option)
{
    int kind = m->code >> 5 == 7 ? COPAL_SIGNAL_OPTION(m->code, 0) : 0;

    return copal_name(COPAL_OPTIONS, kind | option);
}

static int check_length(const copal_msg *m, int option, size_t len)
{
    const struct cp_option_def *def = cp_option_of(m->code, (unsigned)option);
    size_t shortest = def == NULL ? 0 : def->shortest;
    size_t longest = def == NULL ? MAX_VALUE : def->longest;

    if (len > longest)
        return cp_why(m->mem, COPAL_EINVAL, "%s: %zu bytes, at most %zu",
                      name_of(m, option), len, longest);
    if (len < shortest)
        return cp_why(m->mem, COPAL_EINVAL, "%s: %zu bytes, at least %zu",
                      name_of(m, option), len, shortest);
    return 0;
}

static int check_repeat(const copal_msg *m, int option)
{
    const struct cp_option_def *def = cp_option_of(m->code, (unsigned)option);

    if (def == NULL || cp_msg_find(m, (unsigned)option) == NULL)
        return 0;
    if (!def->repeatable)
        return cp_why(
            m->mem, COPAL_EINVAL,
            "%s: there already, and only once in a message; remove it "
            "first",
            def->name);
    /* An ETag names one representation, but asks about many: RFC 7252 5.10.6. */
    if (option == COPAL_OPT_ETAG && !cp_code_is_request(m->code))
        return cp_why(
            m->mem, COPAL_EINVAL,
            "ETag: there already, and only a request may have several");
    return 0;
}

/* RFC 7252 5.10.1, 5.10.7. */
static int check_dots(const copal_msg *m, int option, copal_bytes value)
{
    if (option != COPAL_OPT_URI_PATH && option != COPAL_OPT_LOCATION_PATH)
        return 0;
    if (cp_bytes_is_text(value, ".") || cp_bytes_is_text(value, ".."))
        return cp_why(m->mem, COPAL_EINVAL,
                      "%s: must not be \".\" or \"..\"; resolve the path first",
                      name_of(m, option));
    return 0;
}

int copal_msg_add(copal_msg *m, int option, copal_bytes value)
{
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    if (option < 0 || option > MAX_NUMBER)
        return cp_why(m->mem, COPAL_EINVAL, "option %d: 0 to %d", option,
                      MAX_NUMBER);
    if (value.data == NULL && value.len > 0)
        return cp_why(m->mem, COPAL_EINVAL, "%s: no bytes but a length",
                      name_of(m, option));
    err = check_length(m, option, value.len);
    if (err == 0)
        err = check_repeat(m, option);
    if (err == 0)
        err = check_dots(m, option, value);
    if (err == 0)
        err = cp_msg_add(m, (unsigned)option, value);
    if (err == COPAL_ELIMIT)
        cp_why(m->mem, err, "%s: the message has too many options already",
               name_of(m, option));
    return err;
}

int copal_msg_add_uint(copal_msg *m, int option, uint32_t value)
{
    uint8_t bytes[8];

    return copal_msg_add(m, option, cp_bytes_of_uint(value, bytes));
}

int copal_msg_add_text(copal_msg *m, int option, const char *value)
{
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    if (value == NULL)
        return cp_why(m->mem, COPAL_EINVAL, "%s: no text", name_of(m, option));
    return copal_msg_add(m, option, cp_bytes_of_text(value));
}

int copal_msg_remove(copal_msg *m, int option)
{
    int err = cp_msg_check_writable(m);

    if (err == 0 && (option < 0 || option > MAX_NUMBER))
        err = cp_why(m->mem, COPAL_EINVAL, "option %d: 0 to %d", option,
                     MAX_NUMBER);
    if (err == 0)
        cp_msg_remove(m, (unsigned)option); /* if it is there */
    return err;
}

/* ---- Payload ---- */

/* Changes nothing when it fails. */
static int replace_format(copal_msg *m, int format)
{
    bool is_there = cp_msg_has(m, COPAL_OPT_CONTENT_FORMAT);

    if (format != COPAL_NO_FORMAT && is_there) {
        int err = cp_msg_reserve(m, sizeof(uint16_t));
        if (err != 0)
            return err;
    }
    if (is_there) /* which leaves its place in the index to the new one */
        cp_msg_remove(m, COPAL_OPT_CONTENT_FORMAT);
    if (format == COPAL_NO_FORMAT)
        return 0;
    return cp_msg_add_uint(m, COPAL_OPT_CONTENT_FORMAT, (uint64_t)format);
}

int copal_msg_set_payload(copal_msg *m, int format, copal_bytes body)
{
    uint8_t *p = NULL;
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    if (format < COPAL_NO_FORMAT || format > UINT16_MAX)
        return cp_why(m->mem, COPAL_EINVAL, "Content-Format %d: 0 to 65535",
                      format);
    if (body.data == NULL && body.len > 0)
        return cp_why(m->mem, COPAL_EINVAL, "payload: no bytes but a length");
    if (body.len > 0) {
        p = cp_alloc(m->mem, body.len);
        if (p == NULL)
            return COPAL_ENOMEM;
        memcpy(p, body.data, body.len);
    }
    err = replace_format(m, format);
    if (err != 0) {
        cp_free(m->mem, p);
        return err;
    }
    cp_msg_give_payload(m, p, body.len);
    return 0;
}

/* ---- Transfers ---- */

/* In which words m cannot go on at offset; NULL: it can. */
static const char *why_not_resumed(const copal_msg *m, uint64_t offset,
                                   copal_bytes etag)
{
    if (etag.len > sizeof(m->resume_etag) ||
        (etag.len > 0 && etag.data == NULL))
        return "an ETag is 1 to 8 bytes";
    if (offset >> 30 != 0)
        return "blocks reach up to 1 GiB";
    if (etag.len > 0 && !cp_code_is_safe(m->code))
        return "to do it again for the rest of its answer is only safe with "
               "GET and FETCH";
    if (etag.len == 0 && (m->code == COPAL_GET || m->code == COPAL_DELETE))
        return "the rest of an answer needs the ETag of its beginning";
    if (etag.len == 0 && offset % CP_BLOCK_MIN_SIZE != 0)
        return "an upload goes on where PROGRESS said, or at another multiple "
               "of "
               "16";
    return NULL;
}

int copal_msg_resume(copal_msg *m, uint64_t offset, copal_bytes etag)
{
    int err = cp_msg_check_writable(m);
    const char *why;

    if (err != 0)
        return err;
    why = why_not_resumed(m, offset, etag);
    if (why != NULL)
        return cp_why(m->mem, COPAL_EINVAL, "resume: %s", why);
    m->resumed = true;
    m->resume_at = offset;
    m->resume_etag_len = (uint8_t)etag.len;
    if (etag.len > 0)
        memcpy(m->resume_etag, etag.data, etag.len);
    return 0;
}
