#include "net/ws_inside.h"

#include <stdio.h>
#include "wire/uri.h"

enum {
    GOING_AWAY = 1001 /* RFC 6455 7.4.1 */
};

static struct cp_ws *of_pipe(const struct cp_pipe *p)
{
    return cp_container_of((struct cp_pipe *)p, struct cp_ws, pipe);
}

/* Whoever is above hears why when what is below has closed. */
void cp_ws_end(struct cp_ws *w, int status, const char *why)
{
    if (w->why != NULL)
        return;
    w->status = status;
    w->why = why;
    if (status == 0 || status == COPAL_ECLOSED)
        w->pipe.below->ops->close(w->pipe.below);
    else
        w->pipe.below->ops->dismiss(w->pipe.below);
}

/* ---- The pipe ---- */

static void opened(struct cp_pipe *p)
{
    struct cp_ws *w = of_pipe(p);

    if (w->host != NULL) /* else the client speaks first */
        cp_ws_shake_ask(w);
}

static void bytes(struct cp_pipe *p, copal_bytes b)
{
    struct cp_ws *w = of_pipe(p);

    if (w->why != NULL)
        return;
    if (w->frames == NULL)
        cp_ws_shake_hands(w, b);
    else if (w->rest.len > 0)
        cp_ws_frames_go_on(w, b);
    else
        cp_ws_frames_read(w, b);
}

static bool has_more(const struct cp_pipe *p)
{
    const struct cp_ws *w = of_pipe(p);

    return w->why == NULL && w->rest.len > 0;
}

static void drained(struct cp_pipe *p)
{
    p->above->ops->drained(p->above);
}

static void closed(struct cp_pipe *p, int status, const char *why)
{
    struct cp_ws *w = of_pipe(p);
    struct cp_mem *mem = w->net->driver->mem;
    struct cp_pipe *above = p->above;

    if (w->why != NULL) {
        status = w->status;
        why = w->why;
    }
    if (w->frames != NULL)
        wslay_event_context_free(w->frames);
    cp_buf_free(&w->head);
    cp_buf_free(&w->rest);
    cp_free(mem, w->host);
    cp_free(mem, w);
    if (above != NULL)
        above->ops->closed(above, status, why);
}

static int send_frame(struct cp_pipe *p, copal_bytes b)
{
    struct cp_ws *w = of_pipe(p);
    struct wslay_event_msg m = {
        .opcode = WSLAY_BINARY_FRAME, .msg = b.data, .msg_length = b.len};

    if (w->frames == NULL || w->why != NULL)
        return COPAL_ECLOSED;
    if (wslay_event_queue_msg(w->frames, &m) != 0)
        return COPAL_ENOMEM;
    cp_ws_frames_flush(w);
    return w->why == NULL ? 0 : w->status;
}

static void close_pipe(struct cp_pipe *p)
{
    struct cp_ws *w = of_pipe(p);

    if (w->frames != NULL && w->why == NULL) {
        wslay_event_queue_close(w->frames, GOING_AWAY, NULL, 0);
        (void)wslay_event_send(w->frames);
    }
    cp_ws_end(w, COPAL_ECLOSED, "closed here");
}

static void dismiss(struct cp_pipe *p)
{
    close_pipe(p);
    p->below->ops->dismiss(p->below);
}

static void cut(struct cp_pipe *p)
{
    p->below->ops->cut(p->below);
}

static size_t queued(const struct cp_pipe *p)
{
    return p->below->ops->queued(p->below);
}

static const struct cp_pipe_ops ws_ops = {
    .opened = opened,
    .bytes = bytes,
    .has_more = has_more,
    .drained = drained,
    .closed = closed,
    .send = send_frame,
    .close = close_pipe,
    .dismiss = dismiss,
    .cut = cut,
    .queued = queued,
};

/* As an URI has it: a port that is not the scheme's own, a literal in brackets.
 * RFC 6455 4.1, RFC 9110 7.2. NULL: out of memory. */
static char *host_of(struct cp_mem *mem, const struct cp_asked *asked)
{
    struct cp_buf b = cp_buf_new(mem);
    char *copy = NULL;
    const char *base;

    cp_uri_put_base(&b, asked->scheme, asked->host, asked->port);
    base = cp_buf_text(&b);
    if (base != NULL)
        base = strstr(base, "://") + 3;
    if (base != NULL)
        copy = cp_copy_text(mem, base, strlen(base));
    cp_buf_free(&b);
    return copy;
}

int cp_ws_new(struct cp_net *net, struct cp_pipe *below,
              const struct cp_asked *asked, struct cp_pipe **out)
{
    struct cp_mem *mem = net->driver->mem;
    struct cp_ws *w = cp_zalloc(mem, sizeof(*w));

    if (w == NULL)
        return COPAL_ENOMEM;
    if (asked->host != NULL && (w->host = host_of(mem, asked)) == NULL) {
        cp_free(mem, w);
        return COPAL_ENOMEM;
    }
    w->pipe.ops = &ws_ops;
    w->net = net;
    w->head = cp_buf_new(mem);
    w->rest = cp_buf_new(mem);
    cp_pipe_join(&w->pipe, below);
    *out = &w->pipe;
    return 0;
}

/* ---- Whose pages may connect, and by which names ---- */

static int allow(struct cp_net *net, struct cp_list *all, const char *text)
{
    size_t len = strlen(text);
    struct cp_ws_allowed *a = cp_alloc(net->driver->mem, sizeof(*a) + len + 1);

    if (a == NULL)
        return COPAL_ENOMEM;
    memcpy(a->text, text, len + 1);
    cp_list_append(all, &a->node);
    return 0;
}

int cp_ws_allow(struct cp_net *net, const char *origin)
{
    int err = cp_upgrade_check_origin(net->driver->mem, origin);

    return err != 0 ? err : allow(net, &net->origins, origin);
}

int cp_ws_allow_host(struct cp_net *net, const char *name)
{
    int err = cp_upgrade_check_host(net->driver->mem, name);

    return err != 0 ? err : allow(net, &net->hosts, name);
}

static void forget(struct cp_net *net, struct cp_list *all)
{
    list_each (node, after, all) {
        cp_list_remove(node);
        cp_free(net->driver->mem,
                cp_container_of(node, struct cp_ws_allowed, node));
    }
}

void cp_ws_forget(struct cp_net *net)
{
    forget(net, &net->origins);
    forget(net, &net->hosts);
}
