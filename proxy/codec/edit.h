/* edit.h - what a proxy changes in a head that passes, whichever HTTP it is written in.
 *
 * Example: struct request_edit edit = {.via = SPAN("outrigger-1f2e"), .request_id = id,
 *                                      .attempt = 1};
 *          back_send_request(back, &msg, &edit);
 * Borrowed for the call; the spans may point anywhere. Plain values. */
#ifndef OUTRIGGER_CODEC_EDIT_H
#define OUTRIGGER_CODEC_EDIT_H

#include "base/span.h"
#include "http/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct header_line { /* a field of ours: RateLimit, grpc-timeout, timeouts.deadlineHeader ... */
    struct span name;
    struct span value;
    bool replaces; /* fields of that name in the message are cut */
};

struct request_edit {
    struct span via;        /* our pseudonym; absent: no Via */
    struct span request_id; /* x-request-id where the message has none; absent: none */
    struct span
        host; /* Host where the message has none (HTTP/1.0); an authority in the target wins */
    uint32_t attempt;       /* x-outrigger-attempt; 0: none */
    bool is_upgrade_passed; /* pass the message's Upgrade (msg->is_upgrade); HTTP/1.1 only */
    bool is_last;           /* Connection: close; HTTP/1.1 only */
    const struct header_line *lines;
    size_t line_count;
};

enum h1_connection {
    H1_CONNECTION_DEFAULT = 0, /* no word: HTTP/1.1 persists */
    H1_CONNECTION_CLOSE,
    H1_CONNECTION_KEEP_ALIVE, /* towards HTTP/1.0 clients that asked for it */
};

enum retries_mark {
    RETRIES_PASS = 0,  /* x-outrigger-retries of the upstream passes */
    RETRIES_REMOVE,    /* it is cut */
    RETRIES_EXHAUSTED, /* it is ours: exhausted */
};

struct response_edit {
    enum body_framing framing;     /* HTTP/1.1 only: how the body will be sent; set by the codec */
    enum h1_connection connection; /* HTTP/1.1 only; set by the codec, CLOSE may be asked for */
    enum retries_mark retries;
    struct span via;        /* our pseudonym; absent: no Via */
    bool is_upgrade_passed; /* a 101 that the client gets */
    const struct header_line *lines;
    size_t line_count;
};

#endif
