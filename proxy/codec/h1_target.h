/* h1_target.h - the request line: method, one of the four target forms, version (RFC 9112 section
 * 3). Pure. */
#ifndef OUTRIGGER_CODEC_H1_TARGET_H
#define OUTRIGGER_CODEC_H1_TARGET_H

#include "http/message.h"

const char *h1_read_request_line(struct span line, struct message *msg);
/* `line` without its CRLF. Fills in method, target, path, query, version and, where the target has
 * one, authority. NULL, or what is wrong; static. */

const char *h1_read_authority(struct span text, struct message *msg);
/* Takes `text` as the message's authority: host, port. NULL, or what is wrong; static. */

void h1_split_path(struct span text, struct message *msg);
/* "/a?b": path and query of `msg`. */

#endif
