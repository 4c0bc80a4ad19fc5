/* What happens, as JSON objects for whoever listens (copal_trace). Nothing is
 * formatted when nobody does. */
#ifndef CP_ENGINE_TRACE_H
#define CP_ENGINE_TRACE_H

#include "engine/core.h"

enum cp_trace_way {
    CP_TRACE_IN,
    CP_TRACE_OUT,
    CP_TRACE_AGAIN
};

/* A datagram crossed link. {"t":12,"ev":"in","peer":"coap://[::1]:5683",
 * "type":"CON","code":"0.01","mid":4660,"token":"0a0b","len":13,
 * "options":[["Uri-Path","temp"]],"payload":"text"} or "payload_hex"; a
 * malformed one has "malformed":true and "hex". */
void cp_trace_datagram(struct cp_engine *e, enum cp_trace_way way,
                       struct cp_link *link, const struct cp_path *path,
                       copal_bytes datagram);

/* A message crossed a connection: the same without type and message id. */
void cp_trace_message(struct cp_engine *e, enum cp_trace_way way,
                      const struct cp_connection *c, copal_bytes bytes);

/* Something changed within: {"t":12,"ev":"limit","what":"max_peers"}. */
void cp_trace_state(struct cp_engine *e, const char *ev, const char *what);

/* The same of handshakes: {"t":12,"ev":"handshake","what":"TLS1.3 as me"}. */
void cp_trace_security(struct cp_engine *e, const char *ev, const char *what);

#endif
