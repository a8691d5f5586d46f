/* demo_upstream.h - the built-in upstream of the demo: an HTTP/1.1 server that can be told to fail.
 *
 *   /flaky    503 to the first try of a call, 200 to its retry (it reads x-outrigger-attempt)
 *   /broken   always 500
 *   others    200, or 503 while it is told to fail (/limited is one of them: the proxy limits it)
 * Example: demo_upstream_start(loop, &up); ... demo_upstream_fail(up, true); ...
 * demo_upstream_stop(up). Bounds: heads of 16 KiB, bodies by Content-Length only (anything else is
 * a close), 256 connections. Listens on a free port of 127.0.0.1. Single-threaded, on the caller's
 * libuv loop. */
#ifndef OUTRIGGER_CLI_DEMO_UPSTREAM_H
#define OUTRIGGER_CLI_DEMO_UPSTREAM_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct demo_upstream;

enum err demo_upstream_start(uv_loop_t *loop, struct demo_upstream **upstream) MUST_CHECK;

uint16_t demo_upstream_port(const struct demo_upstream *upstream);

void demo_upstream_fail(struct demo_upstream *upstream, bool is_failing);
/* From now on 503 (true) or 200 (false) to what is not /flaky or /broken. */

uint64_t demo_upstream_calls(const struct demo_upstream *upstream);
/* Requests that it has answered so far. */

void demo_upstream_stop(struct demo_upstream *upstream);
/* Closes everything; the memory goes when the loop has run the close callbacks. */

#endif
