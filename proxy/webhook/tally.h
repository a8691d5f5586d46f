/* tally.h - what the admission webhook has done, for its own /metrics. The loop's thread alone. */
#ifndef OUTRIGGER_WEBHOOK_TALLY_H
#define OUTRIGGER_WEBHOOK_TALLY_H

#include "inject/review.h"
#include "telemetry/histogram.h"
#include "telemetry/text.h"

#include <stdint.h>

#define X(name, word) +1
enum { REVIEW_RESULT_COUNT = 0 REVIEW_RESULT_LIST(X) };
#undef X

struct tally {
    uint64_t reviews[REVIEW_RESULT_COUNT];
    struct histogram durations;
    uint64_t reloads_done; /* of the certificate */
    uint64_t reloads_failed;
    uint64_t connections_cut; /* for time or room */
    uint64_t handshakes_failed;
    int64_t not_after; /* of the certificate, seconds since 1970 */
};

void tally_write(const struct tally *tally, struct text *out);
/* In the text format of Prometheus. */

#endif
