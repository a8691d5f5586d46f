/* deadline.h - until when a call and its attempts may take, on a clock that stands still while we wait for the caller.
 *
 * `request` covers the call with its retries and waits, `backendRequest` one attempt; both end at the final response
 * head and stand still while the caller's own body is awaited. After the head, `idle` and `maxDuration` apply.
 * Pure, single-threaded. */
#ifndef OUTRIGGER_POLICY_DEADLINE_H
#define OUTRIGGER_POLICY_DEADLINE_H

#include "base/mono.h"
#include "base/reason.h"
#include "policy/mode.h"

#include <stdbool.h>

struct timeouts_config {
    enum policy_mode mode;
    dur_ns connect;         /* DNS, TCP and TLS; 0 = off (all of these) */
    dur_ns request;
    dur_ns backend_request;
    dur_ns idle;
    dur_ns max_duration;
    dur_ns pool_idle;
    const char *deadline_header; /* lower case, NULL = off; milliseconds */
};

struct deadline {
    mono_ns call_at;    /* MONO_NEVER = none */
    mono_ns attempt_at; /* of the attempt that runs */
    mono_ns connect_at; /* while it connects */
    mono_ns paused_at;  /* MONO_NEVER while the clock runs */
};

void deadline_init(struct deadline *deadline, dur_ns request, dur_ns from_caller, mono_ns now);
/* The earlier of the policy's `request` (0 = off) and the caller's own (grpc-timeout, deadlineHeader; DUR_FOREVER = none). */

void deadline_start_attempt(struct deadline *deadline, const struct timeouts_config *cfg, mono_ns now);
/* attempt_at = min(now + backendRequest, call_at); connect_at = min(now + connect, attempt_at). */

void deadline_connected(struct deadline *deadline);
void deadline_end_attempt(struct deadline *deadline);

void deadline_pause(struct deadline *deadline, mono_ns now);
void deadline_resume(struct deadline *deadline, mono_ns now);
/* The clock stands still between the two: every time that is set moves later by that much. Both are harmless when
 * repeated. */

dur_ns deadline_left(const struct deadline *deadline, mono_ns now);
/* Of the call; DUR_FOREVER when it has none; as of the pause while paused. */

mono_ns deadline_next(const struct deadline *deadline);
/* The earliest of the three; MONO_NEVER while paused or when there is none. */

enum reason deadline_expired(const struct deadline *deadline, mono_ns now);
/* REQUEST_TIMEOUT, ATTEMPT_TIMEOUT or CONNECT_TIMEOUT (asked in this order), REASON_NONE when none has passed. */

bool deadline_is_evidence(const struct timeouts_config *cfg, dur_ns attempt_ran);
/* A timeout proves something about the upstream only after min(backendRequest, 1 s) (POLICY section 2). */

dur_ns deadline_cancel_threshold(const struct timeouts_config *cfg, dur_ns slow_longer_than);
/* min(slowCalls.longerThan, backendRequest / 2), what is off drops out; both off: 1 s. */

#endif
