/* A pipe of WebSocket, as ws.c, ws_frames.c and ws_shake.c know it. */
#ifndef CP_NET_WS_INSIDE_H
#define CP_NET_WS_INSIDE_H

#include <wslay/wslay.h>
#include "base/buf.h"
#include "engine/flood.h"
#include "net/ws.h"
#include "wire/upgrade.h"

enum {
    CP_WS_LONGEST_HEAD = 14 /* bytes of a frame's: RFC 6455 5.2 */
};

/* Where in its frames the peer is, of which wslay tells only when one is over.
 * RFC 6455 5.2. */
struct cp_ws_place {
    uint8_t head[CP_WS_LONGEST_HEAD];
    size_t have;   /* bytes of head */
    uint64_t left; /* bytes of the payload still to come */
    size_t held;   /* bytes of the message that came so far */
    bool is_part;  /* a frame before said that more follow */
    bool is_empty; /* the frame that is over carried nothing, and is no control
                    * frame */
};

struct cp_ws {
    struct cp_pipe pipe;
    struct cp_net *net;
    wslay_event_context_ptr frames; /* NULL: the handshake is not over */
    struct cp_buf head;             /* of the handshake, as far as it came */
    copal_bytes in;                 /* what wslay reads from, for the moment */
    struct cp_buf rest;             /* what came and waits for its turn */
    struct cp_ws_place place;
    struct cp_flood pings; /* and Pongs, and frames that carry nothing */
    char *host;            /* of whom we ask; NULL: we were asked */
    char key[CP_UPGRADE_KEY + 1];
    const char *why; /* it ends; NULL: it does not */
    int status;
};

struct cp_ws_allowed { /* an origin; a name of ours */
    struct cp_list node;
    char text[];
};

/* It ends, and what is below; whoever is above hears why when that has closed. */
void cp_ws_end(struct cp_ws *w, int status, const char *why);

/* ---- ws_frames.c ---- */

/* The handshake is over. COPAL_ENOMEM. */
int cp_ws_frames_new(struct cp_ws *w);

/* Reads a few frames of what came; the rest is kept for later turns. */
void cp_ws_frames_read(struct cp_ws *w, copal_bytes bytes);

/* Such a turn, or bytes that have to wait behind what is kept. */
void cp_ws_frames_go_on(struct cp_ws *w, copal_bytes bytes);

/* What is to be said goes out; after a close frame that is all. */
void cp_ws_frames_flush(struct cp_ws *w);

/* ---- ws_shake.c ---- */

/* As a client: asks. */
void cp_ws_shake_ask(struct cp_ws *w);

/* Bytes of the handshake came, and perhaps of frames behind it. */
void cp_ws_shake_hands(struct cp_ws *w, copal_bytes bytes);

#endif
