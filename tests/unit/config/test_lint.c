/* Each warning: where it must be said, and the nearest policy about which it must not be. */
#include "support.h"

#include <criterion/criterion.h>

#define SOME_TIMEOUT ", timeouts: {request: 1m}"

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
    silent("timeouts: {request: 1m}, retry: {}, circuitBreaker: {}, rateLimit: {requests: 1}");
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
    warns("circuitBreaker: {failureRate: {minRequests: 13}}, rateLimit: {requests: 1, burst: "
          "2}" SOME_TIMEOUT,
          "spec.circuitBreaker.failureRate.minRequests: the rate limit lets at most 12 calls into "
          "the window, the rates "
          "count from 13 on (a smaller minRequests or a longer window) [OUT0402]");
    silent("circuitBreaker: {failureRate: {minRequests: 12}}, rateLimit: {requests: 1, burst: "
           "2}" SOME_TIMEOUT);
    silent("circuitBreaker: {failureRate: {calls: 100, minRequests: 13}}, rateLimit: {requests: 1, "
           "burst: 2}" SOME_TIMEOUT);
    silent("circuitBreaker: {}, rateLimit: {requests: 1}" SOME_TIMEOUT);
    silent("circuitBreaker: {failureRate: {}}, rateLimit: {requests: 1, key: client}" SOME_TIMEOUT);
    silent(
        "circuitBreaker: {failureRate: {}}, rateLimit: {requests: 1, mode: shadow}" SOME_TIMEOUT);
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
    silent("circuitBreaker: {openFor: 1s, maxOpenFor: 1s}" SOME_TIMEOUT);
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
    warns("circuitBreaker: {consecutiveFailures: 0}" SOME_TIMEOUT,
          "spec.circuitBreaker: every way to trip is switched off, so it never opens");
    warns("circuitBreaker: {consecutiveFailures: 0, slowCalls: {longerThan: 0s}}" SOME_TIMEOUT,
          "so it never opens");
    silent("circuitBreaker: {consecutiveFailures: 0, slowCalls: {}}" SOME_TIMEOUT);
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

Test(lint, breaker_needs_a_timeout_to_see_what_hangs)
{
    warns("circuitBreaker: {}",
          "spec.circuitBreaker: an upstream that hangs never opens the circuit: nothing ends its "
          "calls (set timeouts.backendRequest) [OUT0418]");
    warns("circuitBreaker: {mode: shadow}", "[OUT0418]");
    silent("circuitBreaker: {mode: off}");
    silent("circuitBreaker: {mode: forceOpen}");
    silent("circuitBreaker: {}, timeouts: {backendRequest: 1s}");
}

Test(lint, callers_mistakes_are_no_failures)
{
    warns("circuitBreaker: {failureCodes: [429, 500, 404]}" SOME_TIMEOUT,
          "spec.circuitBreaker.failureCodes: 404 counts as a failure");
    warns("circuitBreaker: {failureGrpcCodes: [UNAVAILABLE, NOT_FOUND]}" SOME_TIMEOUT,
          "spec.circuitBreaker.failureGrpcCodes: NOT_FOUND counts as a failure");
    silent("circuitBreaker: {failureCodes: [408, 409, 421, 423, 425, 429, 500-599]}" SOME_TIMEOUT);
    silent("circuitBreaker: {failureGrpcCodes: [ABORTED, RESOURCE_EXHAUSTED]}" SOME_TIMEOUT);
    silent("circuitBreaker: {mode: off, failureCodes: [404]}");
}

Test(lint, circuit_should_not_stay_open_for_minutes)
{
    warns("circuitBreaker: {maxOpenFor: 61s}" SOME_TIMEOUT,
          "spec.circuitBreaker.maxOpenFor: callers may be refused for 1m1s after the upstream is "
          "back (30s is a good start) [OUT0422]");
    silent("circuitBreaker: {maxOpenFor: 60s}" SOME_TIMEOUT);
    silent("circuitBreaker: {maxOpenFor: 61s, mode: shadow}" SOME_TIMEOUT);
}

Test(lint, retries_should_be_spread)
{
    warns("retry: {jitter: none}", "spec.retry.jitter: callers that failed together come back");
    warns("retry: {backoff: 0s, jitter: none}", "spec.retry.backoff: a retry follows at once");
    warns("rules: [{name: a, retry: {jitter: none}}]", "spec.rules[0].retry.jitter: callers");
    silent("retry: {jitter: none, attempts: 0}");
    silent("retry: {jitter: equal, backoff: 1ms}");
}

Test(lint, permanent_answers_should_not_be_retried)
{
    warns("retry: {codes: [503, 404]}", "spec.retry.codes: 404 is retried");
    warns("retry: {codes: [501, 503]}", "spec.retry.codes: 501 is retried");
    warns("retry: {codes: [503, 505]}", "spec.retry.codes: 505 is retried");
    warns("retry: {grpcCodes: [UNAVAILABLE, UNIMPLEMENTED]}",
          "spec.retry.grpcCodes: UNIMPLEMENTED is retried");
    silent("retry: {codes: [408, 425, 429, 500, 502-504], grpcCodes: [UNAVAILABLE, ABORTED]}");
    silent("retry: {codes: [404], attempts: 0}");
}

Test(lint, timeout_is_retried_only_where_an_attempt_has_one)
{
    warns("retry: {on: [timeout, reset]}, timeouts: {request: 1m}", "spec.retry.on: timeout is");
    warns("rules: [{name: a, retry: {on: [timeout]}}]", "spec.rules[0].retry.on: timeout is");
    silent("retry: {on: [reset]}");
    silent("retry: {}");
    silent("retry: {on: [timeout]}, timeouts: {backendRequest: 1s}");
}

Test(lint, budget_should_allow_something)
{
    warns("retry: {budget: {percent: 0, minRetryRate: {count: 0}}}",
          "spec.retry.budget: 0 percent");
    warns("retry: {budget: {percent: 0, interval: 1s, minRetryRate: {count: 1, interval: 2s}}}",
          "[OUT0423]");
    silent("retry: {budget: {percent: 0, interval: 2s, minRetryRate: {count: 1, interval: 2s}}}");
    silent("retry: {budget: {percent: 0.1, minRetryRate: {count: 0}}}");
    silent("retry: {attempts: 0, budget: {percent: 0, minRetryRate: {count: 0}}}");
    silent("retry: {budget: {percent: 0, minRetryRate: {count: 0}, mode: shadow}}");
}

Test(lint, retry_after_must_not_outlast_the_request)
{
    warns("timeouts: {request: 2s}, retry: {maxRetryAfter: 2s}",
          "spec.retry.maxRetryAfter: a call may wait 2s, but ends after 2s");
    silent("timeouts: {request: 2s}, retry: {}");
    silent("timeouts: {request: 2s}, retry: {maxRetryAfter: 2s, attempts: 0}");
}

#define DOCUMENT(name, spec)                                                                       \
    "---\napiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: " name      \
    ", namespace: shop}\nspec: {" spec "}\n"

static void says(const char *text, const char *warning)
{
    const char *said = findings(text);
    if (*warning)
        cr_assert_not_null(strstr(said, warning), "%s\nsays: %s", text, said);
    else
        cr_assert_str_empty(said, "%s\nsays: %s", text, said);
}

Test(lint, target_should_not_be_covered_by_another_of_its_document)
{
    says(DOCUMENT("p", "targets: [{host: a, ports: [1, 2]}, {host: a, ports: [2]}]"),
         "t.yaml:5:51: warning: spec.targets[1]: \"a\" takes all of its hosts and ports already");
    says(DOCUMENT("p", "targets: [{host: x.a.b}, {host: \"*.b\"}]"), "spec.targets[0]: \"*.b\"");
    says(DOCUMENT("p", "targets: [{host: a}, {host: a}]"), "spec.targets[1]: \"a\"");
    says(DOCUMENT("p", "targets: [{host: \"*.a.b\"}, {host: \"*.b\"}]"),
         "spec.targets[0]: \"*.b\"");
    says(DOCUMENT("p", "targets: [{host: b}, {host: \"*.b\"}, {host: xb}]"), "");
    says(DOCUMENT("p", "targets: [{host: a}, {host: \"*\", ports: [1]}]"), "");
    says(DOCUMENT("p", "targets: [{host: a, ports: [1]}, {host: a, ports: [2]}]"), "");
}

#define WIDE(host)                                                                                 \
    DOCUMENT("wide", "targets: [{host: \"" host "\"}], bulkhead: {}, timeouts: {request: 1s}")

Test(lint, document_should_repeat_what_protects_the_wider_one)
{
    says(WIDE("*") DOCUMENT("p", "targets: [{host: a}]"),
         "t.yaml:10:25: warning: spec.targets[0]: documents are not merged: timeouts and bulkhead "
         "of "
         "\"wide\" do not hold for \"a\"");
    says(WIDE("*.b") DOCUMENT("p", "targets: [{host: a.b}], timeouts: {}"),
         "documents are not merged: bulkhead of");
    says(WIDE("*.b") DOCUMENT("p", "targets: [{host: \"*.a.b\"}], timeouts: {}"), "[OUT0415]");
    says(WIDE("a") DOCUMENT("p", "targets: [{host: a, ports: [1]}], timeouts: {}"), "[OUT0415]");
    says(WIDE("*") DOCUMENT("p", "targets: [{host: a}], timeouts: {}, bulkhead: {mode: off}"), "");
    says(WIDE("*.b") DOCUMENT("p", "targets: [{host: b}]"), "");
    says(DOCUMENT("p", "targets: [{host: a}, {host: b, ports: [1]}], timeouts: {request: 1s}"), "");
}

Test(lint, listener_should_have_the_policy_that_names_its_host)
{
#define LISTENER                                                                                   \
    "apiVersion: outrigger.dev/v1alpha1\nkind: ProxyConfig\nmetadata: {name: a}\nspec: "           \
    "{listeners: "                                                                                 \
    "[{listen: \"127.0.0.1:1\", upstream: \"a:80\"}]}\n"
    says(LISTENER DOCUMENT("p", "targets: [{host: a, ports: [8080]}]"),
         "t.yaml:4:54: warning: spec.listeners: \"p\" is for this host, but not for port 80: no "
         "policy holds instead (add the port to the target, or leave its ports out) [OUT0416]");
    says(LISTENER DOCUMENT("p", "targets: [{host: a, ports: [8080]}]")
             DOCUMENT("q", "targets: [{host: \"*\"}]"),
         "policy q holds instead");
    says(LISTENER DOCUMENT("p", "targets: [{host: a, ports: [8080, 80]}]"), "");
    says(LISTENER DOCUMENT("p", "targets: [{host: a, ports: [1]}, {host: a, ports: [80]}]"), "");
    says(LISTENER DOCUMENT("p", "targets: [{host: a}]"), "");
}
