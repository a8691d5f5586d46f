/* h1_write.h - the heads that we send: what may pass is copied in runs of raw lines, the rest is
 * written anew.
 *
 * Cut always: hop-by-hop fields and what Connection nominates, framing fields (written anew from
 * the message's framing), Proxy-Authorization, Proxy-Connection, x-outrigger-reason and
 * x-outrigger-attempt of a peer. Our version is always HTTP/1.1. Every function writes into the
 * caller's buffer and says ERR_TOO_LARGE when that is too small. Example: struct h1_request_edit
 * edit = {.via = SPAN("outrigger-1f2e"), .request_id = id, .attempt = 1}; enum err e =
 * h1_write_request(&msg, &edit, buf, sizeof(buf), &len); Works on messages of h1_head (raw lines),
 * copied by message_copy or not. Pure. */
#ifndef OUTRIGGER_CODEC_H1_WRITE_H
#define OUTRIGGER_CODEC_H1_WRITE_H

#include "base/err.h"
#include "base/span.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct h1_line { /* a field of ours: RateLimit, grpc-timeout, timeouts.deadlineHeader ... */
    struct span name;
    struct span value;
    bool replaces; /* fields of that name in the message are cut */
};

struct h1_request_edit {
    struct span via;        /* our pseudonym; absent: no Via */
    struct span request_id; /* x-request-id where the message has none; absent: none */
    struct span
        host; /* Host where the message has none (HTTP/1.0); an absolute-form's authority wins */
    uint32_t attempt;       /* x-outrigger-attempt; 0: none */
    bool is_upgrade_passed; /* pass the message's Upgrade (msg->is_upgrade) */
    bool is_last;           /* Connection: close */
    const struct h1_line *lines;
    size_t line_count;
};

enum h1_connection {
    H1_CONNECTION_DEFAULT = 0, /* no word: HTTP/1.1 persists */
    H1_CONNECTION_CLOSE,
    H1_CONNECTION_KEEP_ALIVE, /* towards HTTP/1.0 clients that asked for it */
};

enum h1_retries_mark {
    H1_RETRIES_PASS = 0,  /* x-outrigger-retries of the upstream passes */
    H1_RETRIES_REMOVE,    /* it is cut */
    H1_RETRIES_EXHAUSTED, /* it is ours: exhausted */
};

struct h1_response_edit {
    enum body_framing framing; /* how we shall send the body: h1_response_framing */
    enum h1_connection connection;
    enum h1_retries_mark retries;
    struct span via;        /* our pseudonym; absent: no Via */
    bool is_upgrade_passed; /* a 101 that the client gets */
    const struct h1_line *lines;
    size_t line_count;
};

MUST_CHECK enum err h1_write_request(const struct message *msg, const struct h1_request_edit *edit,
                                     char *buf, size_t cap, size_t *len);
/* In origin-form ("*" and CONNECT's authority stay). The body follows in msg->framing. */

MUST_CHECK enum err h1_write_response(const struct message *msg,
                                      const struct h1_response_edit *edit, char *buf, size_t cap,
                                      size_t *len);
/* Content-Length is said when the message has it and edit->framing is BODY_LENGTH or BODY_NONE
 * (HEAD, 304). */

enum body_framing h1_response_framing(const struct message *msg, uint8_t client_minor);
/* A body without a length goes chunked to an HTTP/1.1 client and until close to an HTTP/1.0 one
 * (which then must get H1_CONNECTION_CLOSE). */

#define H1_CHUNK_HEAD_MAX 18 /* 16 digits, CRLF */
#define H1_CHUNK_TAIL "\r\n" /* behind the payload of every chunk */

size_t h1_write_chunk_head(char *buf, uint64_t size);
/* "1a2b\r\n" into H1_CHUNK_HEAD_MAX bytes; `size` > 0. Returns its length. */

MUST_CHECK enum err h1_write_last_chunk(struct span trailers, char *buf, size_t cap, size_t *len);
/* "0\r\n", trailer lines (each with its CRLF, as h1_chunked_trailers gives them; may be empty),
 * "\r\n". */

#endif
