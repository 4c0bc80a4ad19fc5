/* Where a message goes, and where it leaves from. */
#include "wire/target.h"
#include "wire/uri.h"

/* A bad URI stays with the message, to be told by END. */
static int refuse_uri(copal_msg *m, const char *text, int error)
{
    struct cp_target *bad =
        cp_target_bad(m->mem, text, error, cp_why_text(m->mem));
    int err = bad == NULL ? COPAL_ENOMEM : cp_target_set(bad, m);

    cp_target_unref(m->mem, bad);
    return err != 0 ? err : error;
}

int copal_msg_set_uri(copal_msg *m, const char *uri)
{
    const char *text = uri == NULL ? "" : uri;
    struct cp_target *target;
    int err = cp_msg_check_writable(m);

    if (err != 0)
        return err;
    err = cp_target_find(m->mem, text, &target);
    if (err == COPAL_EURI)
        return refuse_uri(m, text, err);
    if (err != 0)
        return err;
    err = cp_target_set(target, m);
    cp_target_unref(m->mem, target);
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
