/* What a line of a ladder says of a message; ladder.h has its grammar. */
#ifndef CP_NET_LADDER_LINE_H
#define CP_NET_LADDER_LINE_H

#include "base/buf.h"
#include "wire/message.h"

/* "empty", "GET", "2.05". */
void cp_ladder_line_put_code(struct cp_buf *b, int code);

/* What follows code and id: target, options and payload, each behind a space. */
void cp_ladder_line_put_rest(struct cp_buf *b, const copal_msg *m);

#endif
