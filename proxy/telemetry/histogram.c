/* histogram.c - the bounds (see histogram.h). */
#include "telemetry/histogram.h"

const dur_ns histogram_bounds[HISTOGRAM_BUCKETS] = {
#define X(us, word) (us) * NS_PER_US,
    HISTOGRAM_BOUND_LIST(X)
#undef X
        DUR_FOREVER,
};

const char *const histogram_bound_words[HISTOGRAM_BUCKETS] = {
#define X(us, word) word,
    HISTOGRAM_BOUND_LIST(X)
#undef X
        "+Inf",
};
