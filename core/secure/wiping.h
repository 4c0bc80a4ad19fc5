/* Libraries that read secrets, and free what they made of them on the way as it
 * is: for that time they free by what wipes. What they free with is one for the
 * process, and who uses them beside us may free by this meanwhile, what malloc()
 * gave all the same; so one at a time changes it, and puts it back. Where an
 * application gave a library an allocator of its own, of which we know no sizes,
 * nothing changes. Nothing else is done, and nobody called, between the two. */
#ifndef CP_SECURE_WIPING_H
#define CP_SECURE_WIPING_H

#include <stdbool.h>

void cp_wiping_jansson(void);
void cp_wiping_jansson_over(void);

void cp_wiping_gnutls(void);
void cp_wiping_gnutls_over(void);

/* ---- For those ---- */

void cp_wiping_lock(void);
void cp_wiping_unlock(void);
/* As free(). */
void cp_wiping_free(void *p);

#endif
