/* http_get.h - one GET to an IP address, as bytes come, on the caller's libuv loop.
 *
 * For the client side of commands (the demo's load, the reading of /events, the plan of a reload),
 * not for the data path:
 * it owns itself and knows no HTTP beyond the bytes that it was told to send.
 * Example: http_get_start(loop, &(struct http_get_options){.port = 15020, .request = text,
 *                         .on_bytes = keep, .on_end = done, .context = call});
 * Life: on_end is called exactly once, when the peer has closed, nothing could be read or
 * http_get_cancel asked for it; the object is gone after it. Single-threaded. */
#ifndef OUTRIGGER_CLI_HTTP_GET_H
#define OUTRIGGER_CLI_HTTP_GET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define HTTP_GET_REQUEST_MAX 512

struct http_get;

struct http_get_options {
    const char *host; /* an IP address; NULL: 127.0.0.1 */
    uint16_t port;
    const char *request; /* whole; at most HTTP_GET_REQUEST_MAX bytes, copied */
    void (*on_bytes)(void *context, const char *data, size_t len);
    void (*on_failed)(void *context, int status); /* a uv error, before on_end; may be NULL */
    void (*on_end)(void *context);
    void *context;
};

struct http_get *http_get_start(uv_loop_t *loop, const struct http_get_options *options);
/* Connects and sends. Aborts without memory, and on a host that is no IP address. */

void http_get_cancel(struct http_get *get);
/* Closes; on_end follows in a later turn. */

#endif
