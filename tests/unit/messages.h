/* Messages for tests: made here, or as if they had been received. */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

#include "wire/message.h"

/* What they are made from; the end fails if any of it was not freed. */
extern struct cp_mem *messages_mem;

int messages_set_up(void **state);
int messages_tear_down(void **state);

copal_msg *messages_new(int code);

/* A datagram that coap://192.0.2.1:40000 sent to coap://[::1]. */
copal_msg *messages_received(const void *datagram, size_t len);
#define MESSAGE_RECEIVED(datagram) \
    messages_received((datagram), sizeof(datagram) - 1)

static inline copal_bytes messages_text(const char *text)
{
    return cp_bytes_of_text(text);
}

#endif
