/* hop.h - what belongs to one hop: connection options, Via, Keep-Alive (RFC 9110 section 7.6).
 * Pure. */
#ifndef OUTRIGGER_HTTP_HOP_H
#define OUTRIGGER_HTTP_HOP_H

#include "base/span.h"
#include "http/message.h"

#include <stdbool.h>
#include <stdint.h>

/* A message may name so many connection options. Each is looked for among the fields, so a line
 * full of them would buy work that is (options x fields); real messages have three. */
#define HOP_MAX_OPTIONS 32

struct hop_options {
    bool is_close;
    bool is_keep_alive;
    bool is_upgrade;
    bool is_te;
};

const char *hop_read_connection(struct message *msg, struct hop_options *options);
/* Reads all Connection fields, and marks the fields that they nominate (header.is_nominated),
 * except HEADER_FIXED ones. NULL when they are well-formed, else what is wrong; static. */

bool hop_is_cut(const struct header *header);
/* Must this field not be forwarded as it came: hop-by-hop, nominated, framing, or Outrigger's own?
 */

bool hop_is_loop(const struct message *msg, struct span pseudonym);
/* Does a Via field hold `pseudonym` as received-by? Then the message has been here before. */

bool hop_accepts_trailers(const struct message *msg);
/* Does TE say `trailers`? */

uint32_t hop_keep_alive_seconds(const struct message *msg);
/* `timeout` of Keep-Alive: how long the peer will keep the idle connection; 0 when it does not say
 * (or says 0). */

#endif
