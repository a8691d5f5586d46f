/* deadline.h - until when a call and its attempts may take, on a clock that stands still while we
 * wait for the caller.
 *
 * `request` covers the call with its retries and waits, `backendRequest` one attempt, `connect`
 * DNS, TCP and TLS; all end at the final response head and stand still while the caller's own body
 * is awaited. After the head, `idle` and `maxDuration` apply. Example: request 10 s, backendRequest
 * 3 s: an attempt that starts at t = 8 s ends at 10 s; if the caller's body was awaited from 8.5 s
 * to 9.5 s, at 11 s. The numbers rule, whatever the block's mode is: with mode SHADOW the owner
 * counts what expired, tells deadline_forget, and goes on. Ownership: a plain value; nothing is
 * armed, deadline_next says when to look. Units: ns, MONO_NEVER is "none". Pure, single-threaded;
 * there are no errors. */
#ifndef OUTRIGGER_POLICY_DEADLINE_H
#define OUTRIGGER_POLICY_DEADLINE_H

#include "base/mono.h"
#include "base/reason.h"
#include "policy/mode.h"

#include <stdbool.h>

struct timeouts_config {
    enum policy_mode mode;
    dur_ns connect; /* DNS, TCP and TLS; 0 = off (all of these) */
    dur_ns request;
    dur_ns backend_request;
    dur_ns idle;
    dur_ns max_duration;
    dur_ns pool_idle;
    dur_ns pool_max_age;         /* 0 = no limit */
    const char *deadline_header; /* lower case, NULL = off; milliseconds */
};

struct deadline {
    mono_ns call_at;    /* MONO_NEVER = none */
    mono_ns attempt_at; /* of the attempt that runs */
    mono_ns connect_at; /* while it connects */
    mono_ns paused_at;  /* MONO_NEVER while the clock runs */
    mono_ns fixed_at; /* of the caller, on its own clock, which never stands still: grpc-timeout */
};

void deadline_init(struct deadline *deadline, dur_ns request, dur_ns from_caller, mono_ns now);
/* The earlier of the policy's `request` (0 = off) and the caller's own (grpc-timeout,
 * deadlineHeader; DUR_FOREVER = none, 0 = over already). The clock runs. */

void deadline_fix(struct deadline *deadline, mono_ns at);
/* The caller gives up at that time, whoever waits for whom. */

void deadline_start_attempt(struct deadline *deadline, const struct timeouts_config *cfg,
                            mono_ns now);
/* attempt_at = min(now + backendRequest, call_at); connect_at = min(now + connect, attempt_at). */

void deadline_connected(struct deadline *deadline);
/* The attempt has its connection: connect_at is off. */

void deadline_reconnect(struct deadline *deadline, const struct timeouts_config *cfg, mono_ns now);
/* The same attempt goes to a fresh connection: connect_at starts anew, within attempt_at. */

void deadline_forget(struct deadline *deadline, enum reason reason);
/* Switches the one that `reason` (as deadline_expired names it) stands for off, and the shorter
 * ones where it had cut them off: a shadow timeout that was counted. */

void deadline_end_attempt(struct deadline *deadline);
/* Head, failure or cancel: only the call's own deadline is left. */

void deadline_pause(struct deadline *deadline, mono_ns now);
void deadline_resume(struct deadline *deadline, mono_ns now);
/* The clock stands still between the two: every time that is set moves later by that much. Both are
 * harmless when repeated. */

dur_ns deadline_left(const struct deadline *deadline, mono_ns now);
/* Of the call; DUR_FOREVER when it has none; as of the pause while paused. */

mono_ns deadline_of_call(const struct deadline *deadline);
/* The earlier of the call's two ends: no attempt starts after it. */

dur_ns deadline_attempt_left(const struct deadline *deadline, mono_ns now);
/* Of the attempt, for the header that tells the upstream; DUR_FOREVER when it has none. */

mono_ns deadline_next(const struct deadline *deadline);
/* The earliest of them; while paused only the fixed one; MONO_NEVER when there is none. */

enum reason deadline_expired(const struct deadline *deadline, mono_ns now);
/* REQUEST_TIMEOUT, ATTEMPT_TIMEOUT or CONNECT_TIMEOUT (asked in this order), REASON_NONE when none
 * has passed; as of the pause while paused. */

bool deadline_is_evidence(const struct timeouts_config *cfg, dur_ns attempt_ran);
/* A timeout proves something about the upstream only after min(backendRequest, 1 s) (POLICY section
 * 2). */

dur_ns deadline_cancel_threshold(const struct timeouts_config *cfg, dur_ns slow_longer_than);
/* min(slowCalls.longerThan, backendRequest / 2), what is off drops out; both off: 1 s. */

#endif
