/* h1_write.h - the heads that we send: what may pass is copied in runs of raw lines, the rest is
 * written anew.
 *
 * Cut always: hop-by-hop fields and what Connection nominates, framing fields (written anew from
 * the message's framing), Proxy-Authorization, Proxy-Connection, x-outrigger-reason and
 * x-outrigger-attempt of a peer. Our version is always HTTP/1.1. Every function writes into the
 * caller's buffer and says ERR_TOO_LARGE when that is too small. Example: struct request_edit
 * edit = {.via = SPAN("outrigger-1f2e"), .request_id = id, .attempt = 1}; enum err e =
 * h1_write_request(&msg, &edit, buf, sizeof(buf), &len); Works on messages of h1_head (raw lines),
 * copied by message_copy or not. Pure. */
#ifndef OUTRIGGER_CODEC_H1_WRITE_H
#define OUTRIGGER_CODEC_H1_WRITE_H

#include "base/err.h"
#include "base/span.h"
#include "codec/edit.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

MUST_CHECK enum err h1_write_request(const struct message *msg, const struct request_edit *edit,
                                     char *buf, size_t cap, size_t *len);
/* In origin-form ("*" and CONNECT's authority stay). The body follows in msg->framing. */

MUST_CHECK enum err h1_write_response(const struct message *msg, const struct response_edit *edit,
                                      char *buf, size_t cap, size_t *len);
/* Content-Length is said when the message has it and edit->framing is BODY_LENGTH or BODY_NONE
 * (HEAD, 304). */

enum body_framing h1_response_framing(const struct message *msg, uint8_t client_minor);
/* A body without a length goes chunked to an HTTP/1.1 client and until close to an HTTP/1.0 one
 * (which then must get H1_CONNECTION_CLOSE). */

#define H1_CHUNK_HEAD_MAX 18 /* 16 digits, CRLF */
#define H1_CHUNK_TAIL "\r\n" /* behind the payload of every chunk, and behind the trailers */
#define H1_LAST_CHUNK                                                                              \
    "0\r\n" /* before the trailer lines, each with its CRLF; there may be none                     \
             */

size_t h1_write_chunk_head(char *buf, uint64_t size);
/* "1a2b\r\n" into H1_CHUNK_HEAD_MAX bytes; `size` > 0. Returns its length. */

#endif
