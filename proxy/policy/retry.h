/* retry.h - may this failed attempt be made again, and if not, why not.
 *
 * retry_judge asks in a fixed order, and each "no" has its own name: consent of the layer above
 * (exhausted mark), kind of failure, method, commit point, replayable body, tries left,
 * Retry-After, deadline, budget. Only the last one has an effect: the budget is charged by a yes.
 * Example: attempts 2, codes [503], a GET answered 503 with Retry-After: 1 at t = 10 s, 9 s left:
 * yes, not_before = 11 s; the same with 1 s left: no, RETRY_SKIP_DEADLINE; a POST: no,
 * RETRY_SKIP_METHOD. Ownership: config and facts are borrowed for the call. Units: ns. Transparent
 * retries are not asked here: they cost no attempt and no budget. Pure, single-threaded; a "no" is
 * an answer, not an error. */
#ifndef OUTRIGGER_POLICY_RETRY_H
#define OUTRIGGER_POLICY_RETRY_H

#include "base/codes.h"
#include "base/mono.h"
#include "base/outcome.h"
#include "base/reason.h"
#include "policy/backoff.h"
#include "policy/mode.h"
#include "policy/retry_budget.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retry_config {
    enum policy_mode mode;
    uint32_t attempts;                /* retries after the first try */
    struct code_set codes;            /* HTTP statuses; and grpcCodes, empty unless named */
    uint32_t on;                      /* mask of enum reason_group */
    uint32_t methods;                 /* mask of method_bit() */
    const char *const *other_methods; /* further methods, NULL-terminated; may be NULL */
    bool honours_idempotency_key;
    bool trusts_upstream_marks;
    struct backoff_config backoff;
    dur_ns max_retry_after;
    uint64_t max_body_bytes;
    struct retry_budget_config budget;
};

enum replayability { REPLAY_OK = 0, REPLAY_COMMITTED, REPLAY_BODY_TOO_LARGE, REPLAY_POOL_EMPTY };

struct retry_facts {
    bool is_grpc;             /* grpcCodes decide; `methods` and `codes` do not apply */
    int http_status;          /* of the response head, 0 if there was none */
    int grpc_status;          /* of a trailers-only answer, -1 if none */
    enum reason reason;       /* of a failure without a head, REASON_NONE if there was a head */
    bool is_method_listed;    /* in `methods`, or admitted by an Idempotency-Key */
    bool is_exhausted_marked; /* upstream says x-outrigger-retries: exhausted */
    enum replayability replay;
    uint32_t retries_made;
    dur_ns retry_after;    /* 0 = none given; DUR_FOREVER = "do not" (negative gRPC push-back) */
    dur_ns previous_delay; /* of the retry before, for decorrelated jitter */
    mono_ns deadline;      /* of the call, MONO_NEVER if none */
};

struct retry_verdict {
    bool may_retry;
    bool is_shadow; /* mode: shadow, and it would have been retried; may_retry is false, nothing is
                       charged */
    enum retry_skip skip;   /* when neither */
    enum retry_cause cause; /* when so, or is_shadow */
    dur_ns delay;           /* what back-off was drawn (for previous_delay) */
    mono_ns not_before;     /* when the attempt may start */
};

bool retry_is_wanted(const struct retry_config *cfg, const struct retry_facts *facts,
                     enum retry_cause *cause);
/* Is this a failure that the policy names at all? `cause` is set on true, untouched on false (also
 * with mode OFF). gRPC goes by grpcCodes, everything else by codes; failures without a head by
 * `on`. */

struct retry_verdict retry_judge(const struct retry_config *cfg, const struct retry_facts *facts,
                                 struct retry_budget *budget, struct rng *rng, mono_ns now);
/* The decision. `budget` may be NULL (no cap). Charges the budget when may_retry; with mode SHADOW
 * only looks whether it would. */

#endif
