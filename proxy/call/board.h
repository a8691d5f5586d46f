/* board.h - the breakers of a target's endpoints, one seat each, for one family: circuitBreaker
 * with scope: endpoint, or outlier.
 *
 * Seats are made when their endpoint is first chosen. At most BOARD_SEATS; the oldest that nobody
 * uses and that has nothing to say makes room. Example: seat = board_seat(&instance->outliers, id,
 * "10.0.0.1:80", now); if (seat != NULL) breaker_peek(&seat->seat.breaker, true, now);
 * Ownership: embedded in its instance, whose config it reads. Single-threaded. */
#ifndef OUTRIGGER_CALL_BOARD_H
#define OUTRIGGER_CALL_BOARD_H

#include "base/list.h"
#include "call/seat.h"

#include <stdbool.h>
#include <stdint.h>

#define BOARD_SEATS 256 /* further endpoints are not judged one by one */

struct endpoint_seat {
    struct list link;
    uint64_t endpoint_id;
    uint32_t users;  /* calls between choosing this endpoint and the end of their attempt */
    bool has_served; /* it has given a good answer, ever */
    struct seat seat;
    char label[64];
};

struct endpoint_board {
    struct instance *instance;
    const struct breaker_config *cfg; /* in the instance */
    enum policy_family family;
    struct list seats; /* endpoint_seat.link, oldest first */
    uint32_t count;
    uint32_t ejected; /* of them, those that are not CLOSED */
};

void board_init(struct endpoint_board *board, struct instance *instance, enum policy_family family,
                const struct breaker_config *cfg);
void board_fini(struct endpoint_board *board);

void board_configure(struct endpoint_board *board, bool is_begun_anew, mono_ns now);
/* The config has changed: new numbers for all; with is_begun_anew they start empty. */

struct endpoint_seat *board_find(const struct endpoint_board *board, uint64_t endpoint_id);
/* NULL: it has none. */

struct endpoint_seat *board_seat(struct endpoint_board *board, uint64_t endpoint_id,
                                 const char *label, mono_ns now);
/* Made if need be; NULL when there is no room or no memory: that endpoint is then not judged by
 * itself. */

void board_note(struct endpoint_board *board, const struct breaker_transition *transition);
/* One of its breakers moved. */

void board_prune(struct endpoint_board *board,
                 bool (*is_listed)(const void *context, uint64_t endpoint_id), const void *context);
/* Seats of endpoints that are no longer the target's go, unless calls use them. */

mono_ns board_next_probe(const struct endpoint_board *board);
/* When the first of them will let a probe through; MONO_NEVER if none will. */

#endif
