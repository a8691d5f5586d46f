/* verdict.h - what an attempt's end means: for the breaker, for a retry, for the call's fate. Pure
 * questions, but for verdict_retry, which charges the budget. */
#ifndef OUTRIGGER_CALL_VERDICT_H
#define OUTRIGGER_CALL_VERDICT_H

#include "call/call.h"

enum judgement verdict_of_head(const struct call *call, mono_ns now);
/* Of an answer. DEADLINE_EXCEEDED within a caller's own short deadline proves nothing: the server
 * was told of that deadline, and may say so before our timer does (POLICY section 3). */

enum judgement verdict_of_failure(enum reason reason, enum outcome *outcome);
/* What a failure without a head proves; local troubles (no descriptor, no endpoint) prove nothing
 * about the upstream. */

const struct timeouts_config *verdict_timeouts(const struct call *call);
/* The timeouts in force; with mode: off, none. */

mono_ns verdict_deadline(const struct call *call);
/* Until when the call may take; MONO_NEVER without a deadline that is enforced. */

bool verdict_retry(struct call *call, mono_ns now);
/* Is the attempt that just ended made again? Sets not_before and retry_cause when so; else counts
 * why not, and marks the answer as exhausted where retries ended in failure. */

enum policy_family verdict_family(enum reason refusal);
enum retry_skip verdict_skip(enum reason refusal);
enum fate verdict_fate(const struct call *call);

#endif
