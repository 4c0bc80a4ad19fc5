/* Messages as TCP and WebSocket carry them: no type, no message id, and on a
 * stream their own length in front. RFC 8323 3.2, 4.2; tokens up to 65804
 * bytes by RFC 8974 2.1. */
#ifndef CP_WIRE_STREAM_H
#define CP_WIRE_STREAM_H

#include "wire/message.h"

enum cp_framing {
    CP_STREAMED, /* TCP: the length tells where a message ends */
    CP_FRAMED    /* WebSocket: one message a frame, its length field is 0 */
};

struct cp_frame {
    uint8_t code;
    copal_bytes token;
    copal_bytes rest; /* options and payload */
    uint64_t size;    /* bytes of all of it */
};

/* Reads the message at the beginning of bytes; of a frame, which has to be all
 * of them. 0; COPAL_ESTATE: more bytes are needed, out->size is that of the
 * whole message where that is known already, else 0, and where the token is all
 * there out->code and out->token are set, else that is NULL; COPAL_EFORMAT: token
 * length 15, or a frame that is not one message. */
int cp_frame_read(copal_bytes bytes, enum cp_framing framing,
                  struct cp_frame *out);

/* Copies it into *out, a message of mem's that is not yet frozen.
 * COPAL_EFORMAT: malformed; COPAL_ELIMIT: over 32768 options; COPAL_ENOMEM. */
int cp_frame_decode(struct cp_mem *mem, const struct cp_frame *frame,
                    copal_msg **out);

/* Bytes that cp_frame_encode() will write. */
size_t cp_frame_size(const copal_msg *m, copal_bytes token,
                     enum cp_framing framing);

/* Appends m to out under token. COPAL_EINVAL: token over 65804 bytes; COPAL_ELIMIT:
 * no length field holds it; or from the writer. */
int cp_frame_encode(const copal_msg *m, copal_bytes token,
                    enum cp_framing framing, struct cp_buf *out);

#endif
