/* result.h - what one run of a scenario was, second by second and in all.
 *
 * A call counts in the bucket in which the app made it, however late it ended; an attempt in the
 * bucket in which it was started. Made by `world`, read by everything that tells. Owns its memory;
 * borrows the scenario, which outlives it. Times are from the beginning of the scenario. */
#ifndef OUTRIGGER_SIM_RESULT_H
#define OUTRIGGER_SIM_RESULT_H

#include "base/outcome.h"
#include "base/reason.h"
#include "policy/breaker.h"
#include "sim/latency.h"
#include "sim/scenario.h"

#define RESULT_TRANSITIONS_MAX 20000 /* that are kept; all are counted */
#define RECOVERED_SHARE 0.95         /* goodput from which on a scenario has recovered */

struct result_bucket {
    uint32_t offered;                       /* calls made by the callers of the scenario */
    uint32_t ended;                         /* of those */
    uint32_t good;                          /* fates success and success_after_retry */
    uint32_t fates[FATE_COUNT];             /* of those that ended */
    uint32_t retries;                       /* decided in this bucket, by all sidecars */
    uint32_t queue;                         /* the longest queue of any endpoint */
    uint32_t in_flight;                     /* calls that the callers had open at its end */
    uint32_t breakers[BREAKER_STATE_COUNT]; /* how many were in that state at its end */
    double budget_left; /* retries that the budgets allowed at its end, mean of the callers'
                           sidecars; -1: no budget */
    double tokens_left; /* of the rate limits, the same */
};

struct result_upstream {
    const char *name;
    uint64_t calls;     /* of callers, that lead to it directly or through other services */
    uint64_t attempts;  /* that were made to it */
    uint64_t served;    /* that it worked on to the end */
    uint64_t wasted;    /* of those: nobody waited for the answer any more */
    uint64_t throttled; /* by its quota */
    uint64_t shed;      /* by its full queue */
    uint32_t longest_queue;
    uint32_t *attempts_by_bucket; /* result.bucket_count of them */
};

struct result_transition {
    dur_ns at;
    uint32_t sidecar; /* from 0, callers' replicas first, in the order of the scenario */
    char target[64];
    char instance[64]; /* "target", "rule:charge", "target/endpoint:10.0.0.1:80" */
    enum breaker_state from;
    enum breaker_state to;
    enum breaker_cause cause;
    dur_ns open_for;
    uint32_t calls; /* of the window, at that moment */
    uint32_t failures;
    uint32_t slow;
};

struct result_fault { /* how the callers came through scenario->faults[i] */
    dur_ns trip; /* from its beginning to the first breaker that opened; DUR_FOREVER: none did */
    dur_ns
        half_trip;   /* ... to the moment when half of the callers' sidecars had one open at once */
    dur_ns recovery; /* from its end until goodput was RECOVERED_SHARE again, for good; DUR_FOREVER:
                        never */
};

struct result {
    const struct scenario *scenario;
    const char *policy; /* what the policies are called: the file, or a variant of it; owned */
    uint64_t seed;
    dur_ns bucket;
    size_t bucket_count;
    struct result_bucket *buckets;
    struct result_upstream *upstreams; /* scenario->upstream_count */
    struct result_fault *faults;       /* scenario->fault_count */
    struct result_transition *transitions;
    size_t transition_count; /* kept */
    uint64_t moves;          /* of breakers, all of them */
    uint64_t trips;          /* of those: to OPEN */
    uint64_t calls;          /* made by callers */
    uint64_t good;
    uint64_t
        unfinished; /* calls still open when the scenario was over and had been given its time */
    uint64_t fates[FATE_COUNT];
    uint64_t reasons[REASON_COUNT];      /* why calls were refused or failed by our own answer */
    uint64_t outcomes[OUTCOME_COUNT];    /* of the callers' attempts */
    uint64_t retries[RETRY_CAUSE_COUNT]; /* of all sidecars */
    uint64_t skipped[RETRY_SKIP_COUNT];
    uint64_t attempts;        /* of the callers' sidecars */
    struct latency took;      /* calls of callers that ended well */
    struct latency ended;     /* all that ended */
    struct latency *windowed; /* one for each expectation: calls made in its window */
    uint64_t events;          /* that the simulation played: its own cost */
};

struct result *result_new(const struct scenario *scenario, const char *policy, uint64_t seed);
/* Zeros. NULL when there is no memory. */

void result_free(struct result **result);

void result_conclude(struct result *result);
/* Once, when all has been counted: works out `faults`. */

double result_amplification(const struct result *result, const struct time_window *window);
/* Attempts per call at the upstream where that is highest; NULL: all the time. 1 without calls. */

size_t result_busiest(const struct result *result);
/* That upstream. */

double result_goodput(const struct result *result, const struct time_window *window);
/* Share of the calls made in that time that ended well; 1 without calls. */

dur_ns result_recovery(const struct result *result, dur_ns from);
/* From `from` until goodput was RECOVERED_SHARE again, for good; DUR_FOREVER: never. */

dur_ns result_trip(const struct result *result, dur_ns from);
/* From `from` to the next time that a breaker opened; DUR_FOREVER: none did. */

uint64_t result_refused(const struct result *result);
/* Calls that no upstream saw: circuit_open, bulkhead_full, queue_timeout, rate_limited. */

bool expectation_is_met(const struct result *result, size_t index, char *found, size_t size);
/* Of scenario->expectations[index]; `found` says what was measured. */

#endif
