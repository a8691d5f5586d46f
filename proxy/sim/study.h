/* study.h - several runs of one scenario, side by side: what a report shows.
 *
 * A contender is a way to treat the calls: the user's policy, the one it is compared with, and two
 * yardsticks made of the user's own: its timeouts and retries alone, and its timeouts alone
 * (without any, a call that comes after an hour would count as good). Each is run with several
 * seeds; equal seeds mean equal arrivals and equal luck of each call, so differences are the
 * policy's. Deterministic. Owns its memory. */
#ifndef OUTRIGGER_SIM_STUDY_H
#define OUTRIGGER_SIM_STUDY_H

#include "sim/result.h"

#include "base/err.h"
#include "config/policy_set.h"

#define STUDY_CONTENDERS_MAX 4
#define STUDY_SWEEP_STEPS 24 /* up, and as many down */

struct sweep_point {
    double load;    /* calls a second that were offered */
    double goodput; /* calls a second that ended well */
};

struct contender {
    const char *name; /* "policies/default.yaml", "timeouts and retries" */
    bool is_yardstick;
    struct result *result; /* with the first seed */
    size_t seed_count;
    double *low;    /* goodput, share of 1, a bucket each: lowest, median, highest of the seeds; */
    double *median; /* NAN where no call was made */
    double *high;
    double *amplification; /* of each seed */
    dur_ns *recovery;      /* of each seed, after the last fault; DUR_FOREVER: never */
    bool has_sweep;
    struct sweep_point up[STUDY_SWEEP_STEPS]; /* load rising step by step ... */
    struct sweep_point
        down[STUDY_SWEEP_STEPS]; /* ... and falling again, in one run: history shows */
};

struct heat_map { /* the user's policy with other numbers of retries, under other loads */
    size_t column_count;
    size_t row_count;
    double *loads;      /* calls a second, a column each */
    uint32_t *attempts; /* retry.attempts, a row each */
    double *goodput;    /* share of 1 after the last fault's end; [row * column_count + column] */
    size_t user_column; /* where the scenario and the policy are */
    size_t user_row;
};

struct study {
    const struct scenario *scenario;
    size_t contender_count;
    struct contender contenders[STUDY_CONTENDERS_MAX]; /* [0]: the user's */
    bool has_comparison;                               /* [1] is the policy it is compared with */
    bool has_heat;
    struct heat_map heat;
    const char *without; /* what was left out for its cost, as a sentence; NULL: nothing */
};

struct study_order {
    const struct scenario *scenario;
    const struct policy_set *policy;
    const char *policy_name;
    const struct policy_set *other; /* NULL: nothing to compare with */
    const char *other_name;
    size_t seed_count; /* at least 1 */
    bool has_plots;    /* sweep, heat map and yardsticks, for a report */
};

enum err study_run(const struct study_order *order, struct study **out) MUST_CHECK;
/* ERR_NO_MEMORY. */

void study_free(struct study **study);

#endif
