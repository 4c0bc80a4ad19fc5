/* Messages as text for people: see copal_msg_print(). */
#ifndef CP_WIRE_MESSAGE_PRINT_H
#define CP_WIRE_MESSAGE_PRINT_H

#include "wire/message.h"

/* COPAL_LINE and COPAL_OPTION_LINES, without a newline at the end. */
void cp_msg_put_line(struct cp_buf *b, const copal_msg *m);
void cp_msg_put_option_lines(struct cp_buf *b, const copal_msg *m);

/* The name, or number, and the value of one of m's options as there. */
void cp_msg_put_option_name(struct cp_buf *b, const copal_msg *m, size_t i);
void cp_msg_put_value(struct cp_buf *b, const copal_msg *m, size_t i);

/* Text that may have come from anywhere, so that it stays in its line and
 * cannot steer a terminal: control characters, backslashes and bytes that are
 * not UTF-8 as "\x1b". */
void cp_put_visible(struct cp_buf *b, copal_bytes text);

#endif
