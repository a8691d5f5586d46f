/* seat.h - where a circuit breaker sits at run time: the breaker, its timer, and the calls that
 * wait behind it.
 *
 * An instance has one seat of its own and, with scope: endpoint or outlier, one per endpoint. A
 * seat whose breaker moved puts itself on the engine's `moved` list; call_engine_settle then arms
 * its timer and, if it opened, refuses all who wait. Ownership: embedded in its instance or in an
 * endpoint_seat. Single-threaded. */
#ifndef OUTRIGGER_CALL_SEAT_H
#define OUTRIGGER_CALL_SEAT_H

#include "base/list.h"
#include "base/wheel.h"
#include "policy/breaker.h"
#include "policy/mode.h"

#include <stddef.h>

struct call_engine;
struct instance;

struct seat {
    struct breaker breaker;
    struct timer timer;
    struct list moved_link;
    struct list waiting; /* call.seat_link: calls in a line that have to pass this breaker */
    struct call_engine *engine;
    struct instance *instance;
    const char *endpoint;      /* "10.0.0.1:80"; "" for the instance's own seat */
    enum policy_family family; /* circuitBreaker or outlier: whose numbers it goes by */
    void *user;                /* the host's metrics of it */
};

void seat_init(struct seat *seat, struct instance *instance, enum policy_family family,
               const char *endpoint, const struct breaker_config *cfg, mono_ns now);

void seat_renew(struct seat *seat, const struct breaker_config *cfg, bool is_begun_anew,
                mono_ns now);
/* New numbers; with is_begun_anew it starts empty, unless the config keeps it open. */

void seat_force(struct seat *seat, enum breaker_state state, mono_ns now);
/* An operator's word; who waits behind a breaker that is forced open is refused before this
 * returns. */

void seat_fini(struct seat *seat);
/* INVARIANT: nobody waits. */

const char *seat_noun(const struct seat *seat);
/* "/endpoint:", "/outlier:", or "" for the instance's own: what stands before `endpoint`. */

void seat_label(const struct seat *seat, char *out, size_t size);
/* "target", "rule:charge", "target/endpoint:10.0.0.1:80", "target/outlier:10.0.0.1:80": the label
 * `instance`. */

void seat_rearm(struct seat *seat);
/* Sets the timer to the breaker's next tick. */

#endif
