/* A thread that writes while the loop goes on: what is durable takes
 * milliseconds, in which thousands of datagrams come. One thing after another,
 * in the order in which they were handed over. */
#ifndef CP_SECURE_STORE_WRITER_H
#define CP_SECURE_STORE_WRITER_H

#include "secure/store.h"

struct cp_store_writer;

/* Writes below fd. over is called on the engine's thread, within a turn, when op
 * has its error. NULL: out of memory, or of threads. */
struct cp_store_writer *cp_store_writer_new(
    struct cp_mem *mem, struct cp_engine *e, int fd,
    void (*over)(struct cp_store_op *op));

/* PUT or DELETE. */
void cp_store_writer_take(struct cp_store_writer *w, struct cp_store_op *op);

/* Waits until all that was handed over is done, and tells over. */
void cp_store_writer_drain(struct cp_store_writer *w);

/* Nothing may be left that is begun. The engine is still there. */
void cp_store_writer_free(struct cp_store_writer *w);

/* What the thread does, for who does it himself. */
void cp_store_writer_do(int fd, struct cp_store_op *op);

#endif
