/* Recordings without payloads. */
#ifndef CP_ENGINE_RECORD_BARE_H
#define CP_ENGINE_RECORD_BARE_H

#include "base/bytes.h"

/* Overwrites with zeroes what records of size bytes in all have of payloads: in
 * datagrams, messages and pieces written. What is no whole record is left. */
void cp_record_strip(uint8_t *records, size_t size);

/* The same of a datagram. */
void cp_record_strip_datagram(uint8_t *datagram, size_t size);

#endif
