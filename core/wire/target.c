#include "wire/target.h"
#include "base/siphash.h"
#include "wire/uri.h"

enum {
    OPTION_HEAD = 3, /* of an option kept: its number and length */
    KNOWN = 64,      /* URIs that are read once */
    LONGEST_KNOWN = 255
};

/* The URIs asked for last, each where its text hashes to. A client asks a few
 * again and again, and to read one costs more than the rest of a request. */
struct known {
    struct cp_dead dead;
    struct cp_mem *mem;
    struct cp_target *all[KNOWN];
};

/* ---- Counted ---- */

struct cp_target *cp_target_ref(struct cp_target *t)
{
    if (t != NULL)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void cp_target_unref(struct cp_mem *mem, struct cp_target *t)
{
    if (t != NULL &&
        atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        cp_free(mem, t);
}

/* ---- Made ---- */

static char *append(char **at, const char *text)
{
    char *copy = *at;
    size_t size = strlen(text) + 1;

    memcpy(copy, text, size);
    *at += size;
    return copy;
}

struct cp_target *cp_target_bad(struct cp_mem *mem, const char *text, int error,
                                const char *why)
{
    size_t size = strlen(text) + 1 + strlen(why) + 1;
    struct cp_target *t = cp_alloc(mem, sizeof(*t) + size);
    char *at;

    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof(*t));
    at = (char *)(t + 1);
    atomic_init(&t->refs, 1);
    t->error = error;
    t->uri = append(&at, text);
    t->uri_len = strlen(text);
    t->why = append(&at, why);
    return t;
}

/* The most options that text can become: the host, and what begins with one of
 * these. */
static size_t count_options(const char *text)
{
    size_t n = 1;

    for (; *text != '\0'; text++)
        n += *text == '/' || *text == '?' || *text == '&';
    return n;
}

/* Reads a literal once for all requests. A zone may name an interface that
 * comes only later: it is read anew each time, and does not matter to what kind
 * of address this is. */
static void read_literal(struct cp_target *t)
{
    struct cp_address a;
    char host[320];

    if (!t->is_literal)
        return;
    strcpy(host, t->host);
    host[strcspn(host, "%")] = '\0';
    if (!cp_address_read(host, &a))
        return;
    if (strchr(t->host, '%') == NULL)
        t->address = a;
    t->is_multicast = cp_address_is_multicast(&a);
}

static uint8_t *put_option(struct cp_target *t, uint8_t *at, uint8_t number,
                           copal_bytes value)
{
    at[0] = number;
    at[1] = (uint8_t)(value.len >> 8);
    at[2] = (uint8_t)value.len;
    if (value.len > 0)
        memcpy(at + OPTION_HEAD, value.data, value.len);
    t->option_count++;
    t->value_size += (uint32_t)value.len;
    return at + OPTION_HEAD + value.len;
}

/* RFC 7252 6.4 steps 5 to 9. No Uri-Port, since the request is sent to that
 * port, and no Uri-Host of a literal, since it is sent to that address. */
static void put_options(struct cp_target *t, const struct cp_uri *uri)
{
    copal_bytes rest = uri->path;
    uint8_t *at = t->options, part[256];
    size_t len;

    if (!uri->is_literal)
        at = put_option(t, at, COPAL_OPT_URI_HOST, cp_bytes_of_text(t->host));
    while (cp_uri_next_segment(&rest, part, &len))
        at = put_option(t, at, COPAL_OPT_URI_PATH, cp_bytes(part, len));
    rest = uri->query;
    while (uri->has_query && cp_uri_next_argument(&rest, part, &len))
        at = put_option(t, at, COPAL_OPT_URI_QUERY, cp_bytes(part, len));
}

static struct cp_target *target_new(struct cp_mem *mem, const char *text,
                                    const struct cp_uri *uri)
{
    char host[320];
    size_t text_size = strlen(text) + 1, host_size;
    struct cp_target *t;
    char *at;

    cp_uri_host_text(uri, host);
    host_size = strlen(host) + 1;
    /* Decoded, all is as long as the text at most. */
    t = cp_alloc(mem, sizeof(*t) + 2 * (text_size + host_size) +
                          OPTION_HEAD * count_options(text));
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof(*t));
    at = (char *)(t + 1);
    atomic_init(&t->refs, 1);
    t->uri = append(&at, text);
    t->uri_len = strlen(text);
    t->host = append(&at, host);
    t->options = (uint8_t *)at;
    t->scheme = uri->scheme;
    t->port = uri->port;
    t->is_literal = uri->is_literal;
    read_literal(t);
    put_options(t, uri);
    return t;
}

/* ---- Known ---- */

static void known_reap(struct cp_dead *dead)
{
    struct known *k = cp_container_of(dead, struct known, dead);
    struct cp_mem *mem = k->mem;

    for (size_t i = 0; i < KNOWN; i++)
        cp_target_unref(mem, k->all[i]);
    cp_free(mem, k);
}

/* Any does that spreads what texts differ by: where two meet, one is read anew. */
static size_t slot_of(const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)text;
    uint64_t sum = len;

    for (; len >= 8; len -= 8, p += 8)
        sum = (sum ^ cp_sip_read(p)) * UINT64_C(0x9e3779b97f4a7c15);
    for (; len > 0; len--)
        sum = (sum ^ *p++) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(sum >> 32) % KNOWN;
}

/* Where text is if it is known. NULL: it is too long, or there is no memory. */
static struct cp_target **place_of(struct cp_mem *mem, const char *text)
{
    size_t len = strlen(text);
    struct cp_dead *kept = cp_mem_kept(mem);
    struct known *k;

    if (len > LONGEST_KNOWN)
        return NULL;
    if (kept == NULL) {
        k = cp_zalloc(mem, sizeof(*k));
        if (k == NULL)
            return NULL;
        k->mem = mem;
        k->dead.reap = known_reap;
        if (!cp_mem_keep(mem, &k->dead)) {
            cp_free(mem, k);
            return NULL;
        }
    } else {
        k = cp_container_of(kept, struct known, dead);
    }
    return &k->all[slot_of(text, len)];
}

int cp_target_find(struct cp_mem *mem, const char *text, struct cp_target **out)
{
    struct cp_target **place = place_of(mem, text), *t;
    struct cp_uri parts;
    int err;

    if (place != NULL && *place != NULL && strcmp((*place)->uri, text) == 0) {
        *out = cp_target_ref(*place);
        return 0;
    }
    err = cp_uri_split(mem, text, &parts);
    if (err != 0)
        return err;
    t = target_new(mem, text, &parts);
    if (t == NULL)
        return COPAL_ENOMEM;
    *out = t;
    if (place != NULL) {
        /* Last: text may be that of the one before. */
        struct cp_target *before = *place;

        *place = cp_target_ref(t);
        cp_target_unref(mem, before);
    }
    return 0;
}

/* ---- Set ---- */

static void remove_options(copal_msg *m)
{
    static const uint8_t of_uris[] = {COPAL_OPT_URI_HOST, COPAL_OPT_URI_PORT,
                                      COPAL_OPT_URI_PATH, COPAL_OPT_URI_QUERY};

    for (size_t i = 0; i < sizeof(of_uris); i++)
        if (cp_msg_has(m, of_uris[i]))
            cp_msg_remove(m, of_uris[i]);
}

int cp_target_set(struct cp_target *t, copal_msg *m)
{
    const uint8_t *at = t->options;
    struct cp_target *former = m->target;
    /* Room first: then nothing can fail once the old options are gone. */
    int err = cp_msg_reserve(m, t->value_size);

    if (err == 0)
        err = cp_msg_reserve_options(m, t->option_count);
    if (err != 0)
        return err;
    m->target = cp_target_ref(t);
    m->is_multicast = t->is_multicast;
    remove_options(m);
    for (size_t i = 0; i < t->option_count; i++) {
        size_t len = (size_t)at[1] << 8 | at[2];

        cp_msg_add(m, at[0], cp_bytes(at + OPTION_HEAD, len));
        at += OPTION_HEAD + len;
    }
    cp_target_unref(m->mem, former);
    return 0;
}
