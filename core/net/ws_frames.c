/* Frames of WebSocket: wslay's work, a few at a time. RFC 6455 5. */
#include "net/ws_inside.h"

#include "engine/engine.h"
#include "net/turn.h"

enum {
    NO_SUCH_FRAME = 1002, /* RFC 6455 7.4.1 */
    NOT_BINARY = 1003,
    TOO_OFTEN = 1008,
    TOO_BIG = 1009,
    AT_ONCE = 64 /* frames in a row; then it is others' turn */
};

static ssize_t give_input(wslay_event_context_ptr frames, uint8_t *out,
                          size_t len, int flags, void *user)
{
    struct cp_ws *w = user;
    size_t n = w->in.len < len ? w->in.len : len;

    (void)flags;
    if (n == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(out, w->in.data, n);
    w->in = cp_bytes(w->in.data + n, w->in.len - n);
    return (ssize_t)n;
}

static ssize_t take_output(wslay_event_context_ptr frames, const uint8_t *data,
                           size_t len, int flags, void *user)
{
    struct cp_ws *w = user;

    (void)flags;
    if (w->pipe.below->ops->send(w->pipe.below, cp_bytes(data, len)) == 0)
        return (ssize_t)len;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static int make_mask(wslay_event_context_ptr frames, uint8_t *out, size_t len,
                     void *user)
{
    const struct cp_ws *w = user;

    (void)frames;
    cp_engine_random(w->net->driver->engine, out, len);
    return 0;
}

/* Says why by a close frame, and ends. */
static void break_off(struct cp_ws *w, uint16_t code, int status,
                      const char *why)
{
    wslay_event_queue_close(w->frames, code, NULL, 0);
    (void)wslay_event_send(w->frames);
    cp_ws_end(w, status, why);
}

/* wslay answers them by itself. */
static void on_control_frame(struct cp_ws *w, uint8_t opcode)
{
    if (opcode == WSLAY_CONNECTION_CLOSE ||
        !cp_flood_is_on(&w->pings, cp_turn_now(w->net->loop)))
        return;
    cp_engine_limited(w->net->driver->engine, "signals");
    break_off(w, TOO_OFTEN, COPAL_ELIMIT, "too many Pings of WebSocket");
}

static void on_frame(wslay_event_context_ptr frames,
                     const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct cp_ws *w = user;

    if (w->why != NULL)
        return;
    if (wslay_is_ctrl_frame(arg->opcode))
        on_control_frame(w, arg->opcode);
    else if (arg->opcode == WSLAY_BINARY_FRAME)
        w->pipe.above->ops->bytes(w->pipe.above,
                                  cp_bytes(arg->msg, arg->msg_length));
    else
        wslay_event_queue_close(frames, NOT_BINARY, NULL, 0);
}

int cp_ws_frames_new(struct cp_ws *w)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = give_input,
        .send_callback = take_output,
        .genmask_callback = make_mask,
        .on_msg_recv_callback = on_frame,
    };
    int err = w->host == NULL
                  ? wslay_event_context_server_init(&w->frames, &callbacks, w)
                  : wslay_event_context_client_init(&w->frames, &callbacks, w);

    if (err != 0) {
        w->frames = NULL;
        return COPAL_ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(
        w->frames,
        (uint64_t)cp_engine_param(w->net->driver->engine, COPAL_P_MAX_MESSAGE));
    return 0;
}

/* What it has to say goes out, a close frame too; then nothing is left. */
void cp_ws_frames_flush(struct cp_ws *w)
{
    int err = wslay_event_send(w->frames);

    if (err == WSLAY_ERR_NOMEM)
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
    else if (err != 0)
        cp_ws_end(w, COPAL_EIO, "a frame could not be sent");
    else if (wslay_event_get_close_sent(w->frames))
        cp_ws_end(w, 0, "the WebSocket was closed");
}

static size_t head_size(const struct cp_ws_place *p)
{
    unsigned len = p->have < 2 ? 0 : p->head[1] & 0x7f;

    return 2 +
           (p->have < 2  ? 0u
            : len == 126 ? 2u
            : len == 127 ? 8u
                         : 0u) +
           (p->have >= 2 && (p->head[1] & 0x80) != 0 ? 4u : 0u);
}

static uint64_t payload_size(const struct cp_ws_place *p)
{
    unsigned len = p->head[1] & 0x7f;

    if (len < 126)
        return len;
    return cp_bytes_uint(cp_bytes(p->head + 2, len == 126 ? 2 : 8));
}

static bool is_control(const struct cp_ws_place *p)
{
    return (p->head[0] & 8) != 0;
}

/* What wslay ends without saying why: a length longer than it need be, a control
 * frame in pieces or over 125 bytes, and a Close with half a code. RFC 6455 5.2,
 * 5.5. */
static bool is_wrong(const struct cp_ws_place *p)
{
    unsigned len = p->head[1] & 0x7f;

    if (is_control(p))
        return (p->head[0] & 0x80) == 0 || len > 125 ||
               ((p->head[0] & 15) == WSLAY_CONNECTION_CLOSE && len == 1);
    return (len == 126 && p->left < 126) ||
           (len == 127 && p->left <= UINT16_MAX);
}

/* A frame begins, of which head is all there. 0, or the code to close with. */
static unsigned begin_frame(struct cp_ws_place *p, uint64_t most)
{
    p->left = payload_size(p);
    p->have = 0;
    if (is_wrong(p))
        return NO_SUCH_FRAME;
    if (p->left > most)
        return TOO_BIG;
    p->is_empty = !is_control(p) && p->left == 0;
    if (!is_control(p)) /* which come amid others: RFC 6455 5.4 */
        p->is_part = (p->head[0] & 0x80) == 0;
    return 0;
}

/* Follows the bytes to the end of a frame, or to their own. How many those are;
 * 0: it is to be closed with *code. */
static size_t follow(struct cp_ws_place *p, copal_bytes b, uint64_t most,
                     unsigned *code)
{
    size_t i = 0;

    p->is_empty = false;
    while (i < b.len) {
        if (p->left > 0) {
            uint64_t n = b.len - i < p->left ? b.len - i : p->left;

            p->left -= n;
            p->held += (size_t)n;
            i += (size_t)n;
        } else {
            p->head[p->have++] = b.data[i++];
            if (p->have < 2 || p->have < head_size(p))
                continue;
            *code = begin_frame(p, most);
            if (*code != 0)
                return 0;
        }
        if (p->left == 0)
            break;
    }
    if (p->left == 0 && p->have == 0 && !p->is_part)
        p->held = 0;
    return i;
}

static size_t held(const struct cp_ws_place *p)
{
    return p->left > 0 || p->have > 0 || p->is_part ? p->held + 1 : 0;
}

static void refuse(struct cp_ws *w, unsigned code)
{
    if (code == TOO_BIG)
        break_off(w, TOO_BIG, COPAL_ELIMIT,
                  "a frame longer than Max-Message-Size");
    else
        break_off(w, NO_SUCH_FRAME, COPAL_EFORMAT,
                  "a frame that WebSocket does not know");
}

/* They take no room, and so are bounded by nothing else. */
static bool are_too_many_empty(struct cp_ws *w)
{
    if (!w->place.is_empty ||
        !cp_flood_is_on(&w->pings, cp_turn_now(w->net->loop)))
        return false;
    cp_engine_limited(w->net->driver->engine, "signals");
    break_off(w, TOO_OFTEN, COPAL_ELIMIT, "too many frames without anything");
    return true;
}

static void read_frame(struct cp_ws *w, copal_bytes bytes)
{
    int err;

    w->in = bytes;
    err = wslay_event_recv(w->frames);
    w->in = (copal_bytes){0};
    if (w->why == NULL && err == WSLAY_ERR_NOMEM)
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
}

/* Frame by frame, and not too many of them. How many bytes that took. */
static size_t read_some(struct cp_ws *w, copal_bytes bytes)
{
    uint64_t most =
        (uint64_t)cp_engine_param(w->net->driver->engine, COPAL_P_MAX_MESSAGE);
    size_t used = 0;

    for (int i = 0; i < AT_ONCE && used < bytes.len && w->why == NULL; i++) {
        copal_bytes left = cp_bytes(bytes.data + used, bytes.len - used);
        unsigned code = 0;
        size_t n = follow(&w->place, left, most, &code);

        if (n == 0) {
            refuse(w, code);
        } else if (are_too_many_empty(w)) {
            break;
        } else if (!w->pipe.above->ops->amid(w->pipe.above, held(&w->place))) {
            break_off(w, TOO_BIG, COPAL_ELIMIT,
                      "no room for a message that long");
        } else {
            read_frame(w, cp_bytes(left.data, n));
            used += n;
        }
    }
    return used;
}

static void keep(struct cp_ws *w, copal_bytes rest)
{
    cp_put_bytes(&w->rest, rest);
    if (w->rest.failed)
        cp_ws_end(w, COPAL_ENOMEM, "out of memory");
}

void cp_ws_frames_read(struct cp_ws *w, copal_bytes bytes)
{
    size_t used = read_some(w, bytes);

    if (w->why != NULL)
        return;
    keep(w, cp_bytes(bytes.data + used, bytes.len - used));
    if (w->why == NULL)
        cp_ws_frames_flush(
            w); /* also the close frame that says what was wrong */
}

/* What waited comes first. */
void cp_ws_frames_go_on(struct cp_ws *w, copal_bytes bytes)
{
    struct cp_buf before = w->rest;

    if (bytes.len > 0) {
        keep(w, bytes);
        return;
    }
    w->rest = cp_buf_new(w->net->driver->mem);
    cp_ws_frames_read(w, cp_bytes(before.data, before.len));
    cp_buf_free(&before);
}
