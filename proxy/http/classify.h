/* classify.h - what an upstream's answer says about the upstream.
 *
 * Failure is what the sets name: by default 5xx except 501, and gRPC UNAVAILABLE, INTERNAL,
 * UNKNOWN, DATA_LOSS and DEADLINE_EXCEEDED. 429 and RESOURCE_EXHAUSTED are throttled: a word of
 * their own in the metrics, and no failure unless throttledIsFailure or the sets say so. Where
 * there is a gRPC status it decides; the HTTP status else. Pure. */
#ifndef OUTRIGGER_HTTP_CLASSIFY_H
#define OUTRIGGER_HTTP_CLASSIFY_H

#include "base/codes.h"
#include "base/outcome.h"

#include <stdbool.h>

enum evidence { EVIDENCE_SUCCESS = 0, EVIDENCE_FAILURE, EVIDENCE_THROTTLED };

struct classification {
    enum outcome outcome;   /* for the metrics: success, failure or throttled */
    enum evidence evidence; /* for the breaker */
};

struct classification classify(int status, int grpc_status, const struct code_set *failures,
                               bool throttled_is_failure);
/* `grpc_status` is -1 when there is none. */

void classify_default_failures(struct code_set *failures);
/* The default sets (failureCodes, failureGrpcCodes). */

#endif
