/* Messages from bytes that somebody else received. */
#include "endpoint.h"
#include "wire/datagram.h"

static int malformed(copal *c, copal_bytes datagram)
{
    struct cp_buf b = cp_buf_new(c->mem);
    const char *text;
    int err;

    cp_datagram_put_fault(&b, datagram);
    text = cp_buf_text(&b);
    err = text == NULL ? COPAL_ENOMEM
                       : cp_why(c->mem, COPAL_EFORMAT, "not CoAP: %s", text);
    cp_buf_free(&b);
    return err;
}

int copal_msg_decode(copal *c, copal_bytes datagram, copal_msg **out)
{
    struct cp_header header;
    copal_msg *m = NULL;
    int err;

    if (out == NULL)
        return cp_why(c->mem, COPAL_EINVAL,
                      "copal_msg_decode: nowhere to put the message");
    err = cp_header_read(datagram, &header);
    if (err == 0)
        err = cp_datagram_decode(c->mem, &header, &m);
    if (err == COPAL_EFORMAT || err == COPAL_ENOTSUP)
        return malformed(c, datagram);
    if (err == COPAL_ELIMIT)
        return cp_why(c->mem, err, "over 32768 options in one message");
    if (err != 0)
        return err;
    m->frozen = true;
    *out = m;
    return 0;
}
