/* The transcript of a simulated network: one line a datagram, read like the
 * ladder diagrams of the RFCs and alike for every seed. Its grammar, exactly:
 *
 *   line      = time " " from " > " to " " message [ fate ] LF
 *   time      = ms of virtual time, right-aligned in 4 columns
 *   from, to  = "client"; "client:1024" after a move; "192.0.2.1"
 *   message   = "malformed (" bytes " bytes)"
 *             / type " empty " id
 *             / type " " method " " id " " target options [ payload ]
 *             / type " " dotted " " id options [ payload ]
 *   type      = "CON" / "NON" / "ACK" / "RST"
 *   method    = "GET", ...; an unknown one "0.30"
 *   dotted    = "2.05"; classes without a meaning too
 *   id        = 4 hex digits: the message id, counted from 0001, the first that
 *               its host used toward that address since it came up. Those of
 *               ACK and RST are in the numbering of whose message they answer;
 *               where that has none yet they are 0001
 *   target    = path and query as in a URI: "/", "/a/b", "/a?b=c&d"
 *   options   = [ " obs=" number ]             of a request, RFC 7641 2
 *               [ " obs" ]                     of a response
 *               [ " 1:" num "/" more "/" size ] Block1, as RFC 7959 3 has it
 *               [ " 2:" num "/" more "/" size ] Block2; "?" for an illegal one
 *               [ " etag=" hex ]               the first one
 *               [ " tag=" hex ]                the first Request-Tag, RFC 9175
 *                                              3.2; no other option
 *   payload   = " " DQUOTE text DQUOTE [ "..." ]  UTF-8 without control
 *               characters, its first 32 characters, nothing escaped
 *             / " (" bytes " bytes)"           all else, and a block of more
 *                                              than 32 bytes
 *             By a connection there is neither type nor id: method target ... or
 *             dotted ...; BERT is shown as "2:0/1/1024+". What is no whole
 *             message is "(" bytes " bytes)".
 *   fate      = " (lost)"     the network lost it
 *             / " (copy)"     the network made it, of the line above
 *             / " (nobody)"   no host that is up has that address
 *             / " (lost to " host ")"  of a group's: that member did not get it
 *             / " (copy to " host ")"  it got it twice
 *
 * A line has the time when the datagram was sent. One whose receiver went away
 * or moved while it travelled gets a second line, (nobody), at its arrival. */
#ifndef CP_NET_LADDER_H
#define CP_NET_LADDER_H

#include "base/address.h"
#include "base/buf.h"
#include "base/map.h"
#include "wire/stream.h"

enum cp_fate {
    CP_SENT,
    CP_LOST,
    CP_COPY,
    CP_NOBODY,
    CP_REFUSED
};

struct cp_ladder {
    struct cp_mem *mem;
    struct cp_buf text;
    size_t keep; /* bytes of text */
    struct cp_map numbers;
};

/* Keeps 1 MiB. */
void cp_ladder_init(struct cp_ladder *l, struct cp_mem *mem,
                    struct cp_random *random);
void cp_ladder_clear(struct cp_ladder *l);

/* Keeps only the newest bytes, cut at the beginning of a line. 0: nothing is
 * even looked at. */
void cp_ladder_keep(struct cp_ladder *l, size_t bytes);

/* Adds a line. member: of a group's, whose fate it is; NULL: everybody's. Out of
 * memory: the line is missing. */
void cp_ladder_add(struct cp_ladder *l, uint64_t now,
                   const struct cp_address *from, const struct cp_address *to,
                   copal_bytes datagram, enum cp_fate fate,
                   const struct cp_address *member);

/* A line of what one end of a connection sent: messages, which have no type and
 * no id there, "client > server GET /t"; bytes that are not one whole message
 * each are "(7 bytes)". */
void cp_ladder_add_stream(struct cp_ladder *l, uint64_t now,
                          const struct cp_address *from,
                          const struct cp_address *to, copal_bytes bytes,
                          enum cp_framing framing);

/* The host of that name (port aside) came up: its ids count anew. */
void cp_ladder_forget(struct cp_ladder *l, const struct cp_address *host);

/* Never NULL; good until the next call. */
const char *cp_ladder_text(struct cp_ladder *l);

#endif
