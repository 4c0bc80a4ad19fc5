/* What a message keeps in words: where it goes, and texts made on demand. */
#ifndef CP_WIRE_MESSAGE_TEXT_H
#define CP_WIRE_MESSAGE_TEXT_H

#include "wire/message.h"
#include "wire/uri.h"

void cp_kept_text_free(struct cp_mem *mem, struct cp_kept_text *kept);

enum cp_text_kind {
    CP_TEXT_PATH,
    CP_TEXT_QUERY,
    CP_TEXT_URI,
    CP_TEXT_REMOTE,
    CP_TEXT_LOCAL,
    CP_TEXT_LINE,
    CP_TEXT_OPTION_LINES
};

/* The text of that kind that a frozen message keeps already; else NULL. */
const char *cp_msg_kept(const copal_msg *m, enum cp_text_kind kind);

/* Keeps what was written to b, without NULs, as long as m lives, and frees b.
 * A message that may still change can have several texts of one kind: those
 * handed out before stay good. NULL: out of memory. For the owner's thread, as
 * all that reads messages. */
const char *cp_msg_keep(const copal_msg *m, enum cp_text_kind kind,
                        struct cp_buf *b);

#endif
