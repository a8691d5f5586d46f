/* balancer.h - which endpoint an attempt goes to, among those that the caller's mask admits, and
 * preferring those that this call has not tried yet.
 *
 * leastRequest (the default) and peakEwma compare two drawn at random (power of two choices),
 * roundRobin takes each in its turn, ringHash gives equal keys to the same endpoint. With a slow
 * start a candidate that is new takes part in a growing share of the picks only.
 *
 * Example: struct balancer_query query = {.rng = &loop->rng,
 *                                         .now = loop->now,
 *                                         .may_use = breaker_admits,
 *                                         .context = call,
 *                                         .tried = call->tried,
 *                                         .tried_count = call->tries};
 *          struct candidate *c = balancer_pick(&set->balancer, &query); // NULL: none may be used
 *          if (c != NULL) balancer_take(&set->balancer, c);
 *
 * Pure: time and chance are arguments. Allocates nothing, owns nothing: candidates are embedded in
 * their endpoints, the array of them is their owner's. Two hosts: upstream/endpoint and sim. */
#ifndef OUTRIGGER_UPSTREAM_BALANCER_H
#define OUTRIGGER_UPSTREAM_BALANCER_H

#include "base/balance.h"
#include "base/list.h"
#include "base/mono.h"
#include "base/outcome.h"
#include "base/rng.h"
#include "base/span.h"
#include "upstream/ewma.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct candidate {       /* what the balancer knows of an endpoint */
    uint64_t id;         /* never 0; ringHash goes by it, so it is the same in every sidecar */
    uint32_t in_flight;  /* attempts, counted by whoever makes them */
    bool is_unhealthy;   /* by a check of its own: picked only where that is asked for */
    mono_ns warm_since;  /* its slow start began then; 0: it had none */
    struct ewma latency; /* kept with peakEwma only */
    struct list turn;    /* balancer.turns */
};

struct balancer_config {
    enum balance algorithm;
    dur_ns slow_start; /* 0 = off */
};

struct balancer {
    struct balancer_config cfg;
    struct candidate **candidates;
    size_t count;
    mono_ns warmed_at; /* the latest warm_since; 0: none */
    struct list turns; /* candidate.turn of all, whose turn is next first */
};

struct balancer_query {
    struct rng *rng;
    mono_ns now;
    uint64_t key; /* of ringHash (balancer_key); 0: the call has none, leastRequest chooses */
    bool (*may_use)(void *context,
                    const struct candidate *candidate); /* NULL: all; without side effect */
    void *context;
    bool takes_unhealthy;  /* as if they were not */
    const uint64_t *tried; /* ids of endpoints that earlier attempts of this call went to */
    size_t tried_count;
};

void balancer_init(struct balancer *balancer);
void candidate_init(struct candidate *candidate, uint64_t id);

void balancer_set(struct balancer *balancer, struct candidate **candidates, size_t count,
                  struct rng *rng);
/* These it are from now on. Those it knew keep their turn, further ones come last, and the first
 * ones of all stand in a random order (which that of the array becomes): a thousand sidecars must
 * not begin with the same one. Those that are none any more have left before. */

void balancer_leave(struct candidate *candidate);
/* It is no candidate any more; harmless when it was none. */

struct candidate *balancer_pick(struct balancer *balancer, const struct balancer_query *query);
/* NULL when the mask admits none that is healthy. One that was tried before is returned only when
 * nothing else may be used. */

struct candidate *balancer_find(const struct balancer *balancer, uint64_t id);
/* NULL: it is none. */

void balancer_take(struct balancer *balancer, struct candidate *candidate);
/* An attempt goes there: its turn is over. */

void balancer_warm(struct balancer *balancer, struct candidate *candidate, mono_ns now);
/* It is new, or back: its slow start begins. */

void balancer_observe(const struct balancer *balancer, struct candidate *candidate, dur_ns took,
                      enum outcome outcome, mono_ns now);
/* What came of an attempt. THROTTLED counts as a failure: it asks for less. */

uint64_t balancer_key(struct span value);
/* The same in every sidecar and every version; 0 for an empty value. */

#endif
