/* Each warning: where it must be said, and the nearest policy about which it must not be. */
#include "support.h"

#include <criterion/criterion.h>

static void warns(const char *spec, const char *warning)
{
    const char *said = spec_findings(spec);
    cr_assert_not_null(strstr(said, warning), "%s\nsays: %s", spec, said);
    const char *first_end = strchr(said, '\n');
    cr_assert_str_empty(first_end + 1, "%s\nsays more: %s", spec, said);
}

static void silent(const char *spec)
{
    cr_assert_str_empty(spec_findings(spec), "%s\nsays: %s", spec, spec_findings(spec));
}

Test(lint, says_nothing_of_an_empty_policy)
{
    silent("");
    silent("timeouts: {}, retry: {}, circuitBreaker: {}, rateLimit: {requests: 1}");
}

Test(lint, tries_must_fit_into_the_request)
{
    warns("timeouts: {request: 9074ms, backendRequest: 3s}, retry: {}",
          "t.yaml:1:134: warning: spec.timeouts.request: 3 tries with their waits may take 9s75ms, "
          "the call ends after "
          "9s74ms (a longer request, a shorter backendRequest or fewer attempts) [OUT0401]");
    silent("timeouts: {request: 9075ms, backendRequest: 3s}, retry: {}");
    silent("timeouts: {request: 5s, backendRequest: 3s}, retry: {attempts: 0}");
    silent("timeouts: {request: 5s, backendRequest: 3s}, retry: {mode: off}");
    silent("timeouts: {request: 5s}, retry: {}");
}

Test(lint, of_a_rule_points_at_the_rule_where_it_has_the_field)
{
    warns("timeouts: {request: 9s, backendRequest: 1s}, retry: {}, rules: [{name: a, timeouts: "
          "{backendRequest: 4s}}]",
          "warning: spec.rules[0].timeouts.request: 3 tries");
    warns("timeouts: {request: 9s, backendRequest: 1s}, retry: {}, rules: [{name: a, retry: "
          "{attempts: 9}}]",
          "warning: spec.timeouts.request: in rule \"a\": 10 tries");
    silent("timeouts: {request: 9s, backendRequest: 1s}, retry: {}, rules: [{name: a, timeouts: "
           "{backendRequest: 2s}}]");
}

Test(lint, of_a_document_is_not_repeated_for_its_rules)
{
    warns("timeouts: {request: 5s, backendRequest: 3s}, retry: {}, rules: [{name: a, matches: "
          "[{method: PUT}], "
          "bulkhead: {}}, {name: b, circuitBreaker: {}}]",
          "spec.timeouts.request: 3 tries");
}

Test(lint, attempt_must_not_outlast_the_request)
{
    warns("timeouts: {request: 1s, backendRequest: 2s}",
          "spec.timeouts.backendRequest: one attempt may take 2s, but the call ends after 1s (make "
          "it shorter, or leave "
          "it out) [OUT0410]");
    silent("timeouts: {request: 2s, backendRequest: 2s}");
}

Test(lint, min_requests_must_be_reachable_under_the_rate_limit)
{
    warns("circuitBreaker: {failureRate: {minRequests: 13}}, rateLimit: {requests: 1, burst: 2}",
          "spec.circuitBreaker.failureRate.minRequests: the rate limit lets at most 12 calls into "
          "the window, the rates "
          "count from 13 on (a smaller minRequests or a longer window) [OUT0402]");
    silent("circuitBreaker: {failureRate: {minRequests: 12}}, rateLimit: {requests: 1, burst: 2}");
    silent("circuitBreaker: {failureRate: {calls: 100, minRequests: 13}}, rateLimit: {requests: 1, "
           "burst: 2}");
    silent("circuitBreaker: {}, rateLimit: {requests: 1}");
    silent("circuitBreaker: {failureRate: {}}, rateLimit: {requests: 1, key: client}");
    silent("circuitBreaker: {failureRate: {}}, rateLimit: {requests: 1, mode: shadow}");
}

Test(lint, unsafe_methods_should_not_be_retried)
{
    warns("retry: {methods: [GET, POST]}",
          "spec.retry.methods: POST is retried, though the first try may have done its work (take "
          "it out: an "
          "Idempotency-Key header admits the calls that may be repeated) [OUT0403]");
    warns("rules: [{name: a, matches: [{method: PATCH}], retry: {methods: [PATCH]}}]",
          "PATCH is retried");
    warns("rules: [{name: a, matches: [{path: {value: /a}}], retry: {methods: [PATCH]}}]",
          "PATCH is retried");
    silent("rules: [{name: a, matches: [{method: GET}], retry: {methods: [GET, PATCH]}}]");
    silent("rules: [{name: a, matches: [{grpc: {service: s}}], retry: {methods: [POST]}}]");
    silent("retry: {methods: [GET, POST], attempts: 0}");
    silent("retry: {methods: [GET, PURGE]}");
}

Test(lint, retries_should_have_a_budget)
{
    warns("retry: {attempts: 3, budget: {mode: off}}",
          "spec.retry.budget: in an outage every call is sent 4 times (percent: 20 is a good "
          "start) [OUT0404]");
    silent("retry: {attempts: 0, budget: {mode: off}}");
    silent("retry: {budget: {mode: shadow}}");
}

Test(lint, bulkhead_needs_a_timeout)
{
    warns("bulkhead: {maxRequests: 9}",
          "spec.bulkhead: an upstream that hangs keeps all 9 slots, nothing ends its calls "
          "(set timeouts.backendRequest) [OUT0405]");
    silent("bulkhead: {}, timeouts: {request: 1m}");
    silent("bulkhead: {mode: shadow}");
}

#define SOME_TIMEOUT ", timeouts: {request: 1m}"

Test(lint, queue_must_be_able_to_drain)
{
    warns("bulkhead: {maxPending: 1, pendingTimeout: 0s}" SOME_TIMEOUT,
          "spec.bulkhead.pendingTimeout: maxPending is 1, but nobody may wait (set pendingTimeout, "
          "or maxPending: 0) "
          "[OUT0406]");
    warns("bulkhead: {maxRequests: 2, maxPending: 21, pendingTimeout: 10ms}" SOME_TIMEOUT,
          "spec.bulkhead.maxPending: 21 calls may wait 10ms each, in which time only 20 get "
          "through even if each takes "
          "only 1ms (a shorter queue, or a longer pendingTimeout) [OUT0406]");
    silent("bulkhead: {maxRequests: 2, maxPending: 20, pendingTimeout: 10ms}" SOME_TIMEOUT);
    warns("bulkhead: {maxPending: 14}, rateLimit: {requests: 10, burst: 3}" SOME_TIMEOUT,
          "only 13 get through at the pace of the rate limit");
    silent("bulkhead: {maxPending: 13}, rateLimit: {requests: 10, burst: 3}" SOME_TIMEOUT);
    silent("bulkhead: {maxPending: 0, pendingTimeout: 0s}" SOME_TIMEOUT);
}

Test(lint, wait_must_not_outlast_the_request)
{
    warns("timeouts: {request: 1s}, bulkhead: {maxPending: 1, pendingTimeout: 1s}",
          "spec.bulkhead.pendingTimeout: a call may wait 1s, but ends after 1s (wait for less time "
          "than the call may "
          "take) [OUT0411]");
    warns("timeouts: {request: 1s}, rateLimit: {requests: 1, wait: 2s}",
          "spec.rateLimit.wait: a call may wait 2s");
    silent("timeouts: {request: 1s}, bulkhead: {pendingTimeout: 1s}, rateLimit: {requests: 1, "
           "wait: 999ms}");
}

Test(lint, rule_must_be_reachable)
{
    warns("rules: [{name: a, matches: [{path: {value: /a}}]}, {name: b, matches: [{path: {value: "
          "/a/b}}]}]",
          "t.yaml:1:165: warning: spec.rules[1]: never reached: \"a\" at t.yaml:1 matches all of "
          "its calls first (put it "
          "before that one) [OUT0407]");
    silent("rules: [{name: a, matches: [{path: {value: /a/b}}]}, {name: b, matches: [{path: "
           "{value: /a}}]}]");
}

Test(lint, circuit_should_open_for_longer_than_a_probe_takes)
{
    warns("timeouts: {backendRequest: 5s}, circuitBreaker: {openFor: 1s, maxOpenFor: 4s}",
          "spec.circuitBreaker.maxOpenFor: the circuit is open for 4s at most, a probe may hang "
          "for 5s: most of an outage "
          "is spent probing (at least backendRequest) [OUT0408]");
    silent("timeouts: {backendRequest: 4s}, circuitBreaker: {openFor: 1s, maxOpenFor: 4s}");
    silent("timeouts: {backendRequest: 1m}, circuitBreaker: {openFor: 1s, maxOpenFor: 10s}");
    silent("circuitBreaker: {openFor: 1s, maxOpenFor: 1s}");
}

Test(lint, call_must_be_slow_before_it_is_cut_off)
{
    warns("timeouts: {backendRequest: 2s}, circuitBreaker: {slowCalls: {}}",
          "spec.circuitBreaker.slowCalls.longerThan: a call is slow after 2s, but is cut off after "
          "2s");
    silent("timeouts: {backendRequest: 2s}, circuitBreaker: {slowCalls: {longerThan: 1999ms}}");
    silent("timeouts: {request: 2s}, circuitBreaker: {slowCalls: {}}");
}

Test(lint, breaker_must_be_able_to_trip)
{
    warns("circuitBreaker: {consecutiveFailures: 0}",
          "spec.circuitBreaker: every way to trip is switched off, so it never opens");
    warns("circuitBreaker: {consecutiveFailures: 0, slowCalls: {longerThan: 0s}}",
          "so it never opens");
    silent("circuitBreaker: {consecutiveFailures: 0, slowCalls: {}}");
    silent("circuitBreaker: {consecutiveFailures: 0, mode: forceOpen}");
    silent("circuitBreaker: {consecutiveFailures: 0, mode: off}");
}

Test(lint, probes_must_fit_into_the_bulkhead)
{
    warns("circuitBreaker: {}, bulkhead: {maxRequests: 2}" SOME_TIMEOUT,
          "spec.circuitBreaker.halfOpenRequests: 3 probes, but only 2 slots (at most "
          "bulkhead.maxRequests) [OUT0412]");
    silent("circuitBreaker: {}, bulkhead: {maxRequests: 3}" SOME_TIMEOUT);
}
