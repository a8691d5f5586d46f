/* message_pack.h - the head of a request in as few bytes as it can be held in, for a call that
 * waits or streams for long: its bytes as they came, and numbers where a message has spans.
 *
 * An open stream is little more than its head, and a message with its list of fields is twice as
 * large as the bytes that it is about. It is packed when the call begins, and unpacked for what
 * asks later: another attempt, a key, the access log. Example: pack = message_pack(&msg, &arena);
 * ... message_unpack(pack, fields, &again); Ownership: the arena's. Pure. */
#ifndef OUTRIGGER_HTTP_MESSAGE_PACK_H
#define OUTRIGGER_HTTP_MESSAGE_PACK_H

#include "http/message.h"

struct message_pack;

struct message_pack *message_pack(const struct message *msg, struct arena *arena);
/* Of a request. NULL at the arena's limit. */

void message_unpack(const struct message_pack *pack, struct header *headers, struct message *msg);
/* The same message; its spans point into `pack`. `headers` has room for as many as it had. */

#endif
