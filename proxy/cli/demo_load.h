/* demo_load.h - the built-in load of the demo: calls at a fixed rate, whether the last ones are
 * back or not.
 *
 * Example: struct demo_load *load = demo_load_start(loop, 15010, "/orders", 20);
 *          struct demo_counts so_far = demo_load_counts(load);
 * Bounds: 64 calls in flight; past that a call is left out rather than queued.
 * Single-threaded, on the caller's libuv loop. */
#ifndef OUTRIGGER_CLI_DEMO_LOAD_H
#define OUTRIGGER_CLI_DEMO_LOAD_H

#include <stdint.h>
#include <uv.h>

#define DEMO_REASON_SIZE 32

struct demo_load;

struct demo_counts {
    uint64_t succeeded;            /* 200 */
    uint64_t failed;               /* another status of the upstream, or no answer */
    uint64_t refused;              /* answered by the proxy itself, with a reason */
    char reason[DEMO_REASON_SIZE]; /* of the latest refusal: "circuit_open"; "" while there is none
                                    */
};

struct demo_load *demo_load_start(uv_loop_t *loop, uint16_t port, const char *path,
                                  unsigned calls_per_second);
/* `path` is borrowed. Aborts without memory. */

struct demo_counts demo_load_counts(const struct demo_load *load);

void demo_load_stop(struct demo_load *load);
/* Calls in flight are cut; the memory goes when the loop has run the close callbacks. */

#endif
