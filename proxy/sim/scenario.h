/* scenario.h - what a simulation plays: callers, upstreams, faults, and what is expected of it all.
 *
 * kind: Scenario in a YAML file of its own, read by the same tables and with the same errors as a
 * policy. Immutable once loaded; one arena holds everything. Times are virtual and count from the
 * beginning of the scenario. Single-threaded.
 * Example: struct scenario *s = NULL; if (scenario_load("storm.yaml", &s, &diag) != OK) ... */
#ifndef OUTRIGGER_SIM_SCENARIO_H
#define OUTRIGGER_SIM_SCENARIO_H

#include "base/arena.h"
#include "base/err.h"
#include "base/mono.h"
#include "base/span.h"
#include "config/address.h"
#include "config/diagnostics.h"
#include "config/policy_set.h"
#include "config/schema.h"
#include "sim/expectation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCENARIO_REPLICAS_MAX 10000
#define SCENARIO_ENDPOINTS_MAX 256
#define SCENARIO_UNLIMITED UINT32_MAX

enum arrivals { /* how calls are spaced, open loop: nobody waits for an answer */
                ARRIVALS_POISSON = 0, /* by chance, as independent users make them */
                ARRIVALS_CONSTANT,    /* evenly */
};

struct load_point { /* between two points the rate changes evenly; after the last it stays */
    dur_ns at;
    uint32_t rate; /* calls a second, of all replicas together */
};

struct call_kind { /* one kind of call of the mix */
    uint32_t weight;
    struct span method;
    struct span path;
    const struct name_value *headers;
    size_t header_count;
    uint64_t body_bytes;
    const char
        *upstream; /* of a service's own calls; of a caller's: NULL or another than its own */
};

struct scenario_caller {
    const char *name;
    const char *upstream;
    uint32_t replicas; /* sidecars, each with breakers, buckets and budgets of its own */
    uint32_t rate;     /* 0 where `load` is given */
    enum arrivals arrivals;
    const struct load_point *load;
    size_t load_count;
    const struct call_kind *calls;
    size_t call_count;
    dur_ns give_up_after; /* the app's own timeout; 0 = it waits for ever */
};

enum service_distribution {
    SERVICE_FIXED = 0,
    SERVICE_EXPONENTIAL,
    SERVICE_LOGNORMAL, /* from mean and p99 */
    SERVICE_HISTOGRAM, /* evenly within each of its steps */
};

struct histogram_step {
    dur_ns up_to;
    uint32_t weight;
};

struct service_time {
    enum service_distribution distribution;
    dur_ns mean;
    dur_ns p99;
    const struct histogram_step *steps;
    size_t step_count;
};

struct overload {   /* thrashing: each request in the house beyond `above` makes service slower */
    uint32_t above; /* SCENARIO_UNLIMITED: never */
    uint32_t slower_permille;
};

struct quota {         /* of all endpoints together, in fixed windows; past it 429 at once */
    uint32_t requests; /* 0: none */
    dur_ns interval;
    bool has_retry_after; /* tells when the next window begins */
};

struct scenario_upstream {
    const char *name;
    struct address_config address; /* what policies match by, and the target's name */
    uint32_t endpoints;
    uint32_t concurrency; /* requests that an endpoint works on at a time */
    uint32_t max_queue;   /* requests that wait at an endpoint; past it 503 at once */
    bool notices_cancels; /* drops a queued request whose caller has gone */
    dur_ns round_trip;
    struct service_time service;
    struct overload overload;
    struct quota quota;
    const struct call_kind
        *calls; /* what it calls itself, one after the other, by its own sidecar */
    size_t call_count;
    bool copies_exhausted_mark; /* tells its caller that its own retries ended in failure */
};

/* FAULT(NAME, word, sentence) */
#define FAULT_KIND_LIST(X)                                                                         \
    X(CRASH, crash, "connections are refused, and what it worked on is lost")                      \
    X(STALL, stall, "it takes connections and requests, but works on nothing")                     \
    X(BROWN_OUT, brownOut, "service takes `factor` times as long")                                 \
    X(ERRORS, errors, "`percent` of the requests are answered with `status`")                      \
    X(LATENCY, latency, "each answer comes `add` later")                                           \
    X(CONNECT_LOSS, connectLoss, "`percent` of the packets of a connect are lost")

enum fault_kind {
#define X(name, word, text) FAULT_##name,
    FAULT_KIND_LIST(X)
#undef X
        FAULT_KIND_COUNT
};

struct scenario_fault {
    enum fault_kind kind;
    const char *upstream; /* NULL: the only one */
    uint32_t upstream_index;
    uint32_t endpoint; /* from 1; 0: all of them */
    dur_ns at;
    dur_ns lasts;
    uint32_t permille;
    uint32_t factor;
    dur_ns add;
    uint32_t status;
    dur_ns retry_after; /* that errors carry; 0 = none */
};

struct scenario {
    struct arena arena;
    const char *file;
    const char *name;
    const char *description; /* "" = none */
    dur_ns duration;
    uint64_t seed;
    const struct scenario_caller *callers;
    size_t caller_count;
    struct scenario_upstream *upstreams;
    size_t upstream_count;
    struct scenario_fault *faults;
    size_t fault_count;
    const struct expectation *expectations;
    size_t expectation_count;
};

enum err scenario_load(const char *path, struct scenario **out,
                       struct diagnostics *diag) MUST_CHECK;
/* ERR_INVALID: the file is wrong, `diag` says where; ERR_NOT_FOUND, ERR_ACCESS, ERR_SYSTEM: it
 * cannot be read (said in `diag` too); ERR_NO_MEMORY. */

enum err scenario_load_text(const char *name, const char *text, size_t len, struct scenario **out,
                            struct diagnostics *diag) MUST_CHECK;
/* The same for a file that is in memory already; `name` stands for it in messages. */

void scenario_free(struct scenario **scenario);
/* Harmless on NULL. */

uint32_t scenario_upstream_index(const struct scenario *scenario, const char *name);
/* UINT32_MAX where there is none of that name. NULL means the only one. */

double scenario_rate(const struct scenario_caller *caller, dur_ns at);
/* Calls a second at that time. */

const char *fault_kind_word(enum fault_kind kind);

extern const struct block scenario_document_block;
/* scenario_schema.c: the tables; `out` is a struct scenario. */

#endif
