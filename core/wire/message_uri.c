/* Where a message goes, and where it leaves from. */
#include "wire/message_text.h"
#include "wire/uri.h"

/* The most options that text can become: the host, and what begins with one of
 * these. */
static size_t count_uri_options(const char *text)
{
    size_t n = 1;

    for (; *text != '\0'; text++)
        n += *text == '/' || *text == '?' || *text == '&';
    return n;
}

static void remove_uri_options(copal_msg *m)
{
    cp_msg_remove(m, COPAL_OPT_URI_HOST);
    cp_msg_remove(m, COPAL_OPT_URI_PORT);
    cp_msg_remove(m, COPAL_OPT_URI_PATH);
    cp_msg_remove(m, COPAL_OPT_URI_QUERY);
}

/* RFC 7252 6.4 steps 5 to 9; room was made. No Uri-Port, since the request is
 * sent to that port, and no Uri-Host of a literal, since it is sent to that
 * address. */
static int add_uri_options(copal_msg *m, const struct cp_uri *uri)
{
    copal_bytes rest = uri->path;
    uint8_t part[256];
    size_t len;
    int err = 0;

    if (!uri->is_literal)
        err = cp_msg_add(m, COPAL_OPT_URI_HOST,
                         cp_bytes_of_text(m->target->host));
    while (err == 0 && cp_uri_next_segment(&rest, part, &len))
        err = cp_msg_add(m, COPAL_OPT_URI_PATH, cp_bytes(part, len));
    rest = uri->query;
    while (err == 0 && uri->has_query &&
           cp_uri_next_argument(&rest, part, &len))
        err = cp_msg_add(m, COPAL_OPT_URI_QUERY, cp_bytes(part, len));
    return err;
}

/* Reads a literal once for all requests that m will be. A zone may name an
 * interface that comes only later: it is read anew each time, and does not
 * matter to what kind of address this is. Gives whether that is a group's. */
static bool read_literal(struct cp_target *t)
{
    struct cp_address a;
    char host[320];

    if (!t->is_literal || strlen(t->host) >= sizeof(host))
        return false;
    strcpy(host, t->host);
    host[strcspn(host, "%")] = '\0';
    if (!cp_address_read(host, &a))
        return false;
    if (strchr(t->host, '%') == NULL)
        t->address = a;
    return cp_address_is_multicast(&a);
}

/* A bad URI stays with the message, to be told by END. */
static int refuse_uri(copal_msg *m, const char *text, int error)
{
    struct cp_target *bad =
        cp_target_bad(m->mem, text, error, cp_why_text(m->mem));

    if (bad == NULL)
        return COPAL_ENOMEM;
    cp_target_free(m->mem, m->target);
    m->target = bad;
    m->is_multicast = false;
    remove_uri_options(m);
    return error;
}

int copal_msg_set_uri(copal_msg *m, const char *uri)
{
    const char *text = uri == NULL ? "" : uri;
    struct cp_target *target, *former;
    struct cp_uri parts;
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    err = cp_uri_split(m->mem, text, &parts);
    if (err != 0)
        return refuse_uri(m, text, err);
    /* Room first: then nothing can fail once the old options are gone. */
    err = cp_msg_reserve(m, strlen(text));
    if (err == 0)
        err = cp_msg_reserve_options(m, count_uri_options(text));
    if (err != 0)
        return err;
    target = cp_target_new(m->mem, text, &parts);
    if (target == NULL)
        return COPAL_ENOMEM;
    former = m->target;
    m->target = target;
    m->is_multicast = read_literal(target);
    remove_uri_options(m);
    err = add_uri_options(m, &parts);
    cp_target_free(m->mem, former); /* last: text may be its */
    return err;
}

int copal_msg_set_from(copal_msg *m, const char *local_uri)
{
    const char *text = local_uri == NULL ? "" : local_uri;
    struct cp_address from;
    struct cp_uri parts;
    char host[320];
    int err = cp_msg_check_writable(m);

    if (err == 0)
        err = cp_uri_split_base(m->mem, text, &parts);
    if (err != 0)
        return err;
    cp_uri_host_text(&parts, host);
    if (!cp_address_read(host, &from))
        return cp_why(m->mem, COPAL_EURI,
                      "%s: not an address of this host; write one in digits, "
                      "such as coap://192.0.2.1",
                      text);
    from.port = parts.port;
    m->from = from;
    return 0;
}
