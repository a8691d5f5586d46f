"""Policies on gRPC: what status means what, who is refused and in which words, what is counted."""

import time

import pytest
from harness.grpc_peer import (ABORTED, DEADLINE_EXCEEDED, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, OK, Outbox,
                               RESOURCE_EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED, behave, wire_call)
from harness.grpc_policies import (AFTER_MESSAGES, fail, FAILURES, is_refused, LONG, open_stream, SMALL, through,
                                   TRAILERS_ONLY)
from harness.upstream import answer, chunked
from harness.waiting import slack, stays, wait_until

# ---- rules -----------------------------------------------------------------------------------------------------


def rule(matches):
    return "\n".join(["rules:", "  - name: refused", f"    matches: [{{grpc: {matches}}}]",
                      "    circuitBreaker: {mode: forceOpen}"])


def refused_methods(caller):
    """Which of the methods of two services are refused; the server has only the first service."""
    names = ["shop.Quotes/Get", "shop.Quotes/Watch", "shop.QuotesToo/Get"]
    return [name for name in names if caller.unary("/" + name, b"", behave(count=1)).reason == "circuit_open"]


@pytest.mark.parametrize("matches, refused", [
    ("{service: shop.Quotes, method: Get}", ["shop.Quotes/Get"]),
    ("{service: shop.Quotes}", ["shop.Quotes/Get", "shop.Quotes/Watch"]),
    ("{method: Get}", ["shop.Quotes/Get", "shop.QuotesToo/Get"]),
    ("{service: shop.Nothing}", []),
])
def test_rules_pick_services_and_methods(through, matches, refused):
    assert refused_methods(through(rule(matches))) == refused


def test_a_rule_for_a_method_leaves_the_others_alone(through):
    caller = through(rule("{service: shop.Quotes, method: Get}"))
    assert is_refused(caller.get(b""))
    assert caller.watch().code == OK
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_requests_total", rule="refused", outcome="circuit_open") == 1


def test_the_content_type_makes_a_call_grpc(start, upstream):
    proxy = start("protocol: http1\n" + rule("{service: shop.Quotes}"))
    for content_type in ("application/grpc", "application/grpc+proto", "application/json", "application/grpc-web"):
        wire = wire_call(proxy.port, content_type=content_type)
        assert wire.status == 200  # the upstream takes anything
        is_grpc = content_type in ("application/grpc", "application/grpc+proto")
        assert (wire.headers.get("x-outrigger-reason") == "circuit_open") == is_grpc
    assert [request.header("content-type") for request in upstream.requests] == ["application/json",
                                                                                 "application/grpc-web"]


def test_a_rule_has_policies_of_its_own(through, quotes):
    caller = through("""
        timeouts: {backendRequest: 10s}
        rules:
          - name: quick
            matches: [{grpc: {service: shop.Quotes, method: Get}}]
            timeouts: {backendRequest: 200ms}
            retry: {attempts: 1, backoff: 1ms, grpcCodes: [ABORTED]}
    """)
    assert caller.get(b"", behave(fail=ABORTED, key="get", until=1)).code == OK
    assert caller.get(b"", behave(sleep=0.5)).details == "attempt_timeout"
    assert caller.watch(behave(sleep=0.5)).code == OK
    assert caller.watch(behave(fail=ABORTED, key="watch", until=1)).code == ABORTED


# ---- the circuit breaker ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [TRAILERS_ONLY, AFTER_MESSAGES], ids=["trailers only", "after messages"])
def test_these_statuses_are_failures(through, quotes, how):
    caller = through(f"circuitBreaker: {{consecutiveFailures: {len(FAILURES)}, openFor: 60s, maxOpenFor: 60s}}")
    states = []
    for code in FAILURES:
        fail(caller, 1, code, **how)
        states.append(caller.proxy.breaker_state())
    assert states == ["closed"] * (len(FAILURES) - 1) + ["open"]  # each of them has counted
    assert is_refused(caller.get(b""))
    assert len(quotes.calls()) == len(FAILURES)


@pytest.mark.parametrize("how", [TRAILERS_ONLY, AFTER_MESSAGES], ids=["trailers only", "after messages"])
def test_the_other_statuses_are_not(through, how):
    caller = through("circuitBreaker: {consecutiveFailures: 1}")
    for code in sorted(set(range(1, 17)) - set(FAILURES)):
        fail(caller, 2, code, **how)
    assert caller.proxy.breaker_state() == "closed"
    assert caller.get(b"").code == OK


def test_failure_grpc_codes_are_the_complete_list(through):
    caller = through("circuitBreaker: {consecutiveFailures: 3, failureGrpcCodes: [NOT_FOUND, ABORTED]}")
    fail(caller, 5, UNAVAILABLE)
    assert caller.proxy.breaker_state() == "closed"
    fail(caller, 2, NOT_FOUND)
    fail(caller, 1, ABORTED, after=1)
    assert caller.proxy.breaker_state() == "open"


def test_a_success_starts_the_count_again(through):
    caller = through(LONG)
    for _ in range(3):
        fail(caller, 2)
        assert caller.get(b"").code == OK
    assert caller.proxy.breaker_state() == "closed"


def test_a_stream_whose_trailers_are_not_there_yet_is_not_judged(through):
    caller = through("circuitBreaker: {consecutiveFailures: 2}")
    fail(caller, 1)
    stream = caller.start_watch(behave(count=6, interval=0.1))
    stream.read()
    fail(caller, 1)  # a success at the stream's head would have started the count again
    assert caller.proxy.breaker_state() == "open"
    assert stream.finish().code == OK


def test_resource_exhausted_is_throttled(through):
    caller = through(LONG)
    fail(caller, 2)
    fail(caller, 5, RESOURCE_EXHAUSTED)
    fail(caller, 1, RESOURCE_EXHAUSTED, after=1)
    assert caller.proxy.breaker_state() == "closed"
    assert caller.proxy.metrics().sum("outrigger_attempts_total", result="throttled") == 6
    fail(caller, 1)  # the count of consecutive failures was left alone
    assert caller.proxy.breaker_state() == "open"


def test_resource_exhausted_can_be_declared_a_failure(through):
    caller = through("circuitBreaker: {consecutiveFailures: 3, throttledIsFailure: true}")
    fail(caller, 3, RESOURCE_EXHAUSTED)
    assert caller.proxy.breaker_state() == "open"


def test_a_refused_caller_is_told_why_and_when_to_come_back(through):
    caller = through(LONG)
    fail(caller, 3)
    for refused in (caller.get(b""), caller.upload([b"a"]), caller.watch(), caller.chat([b"a"])):
        assert is_refused(refused)
        assert 55_000 <= int(refused.trailer("grpc-retry-pushback-ms")) <= 60_000


def test_a_refusal_is_trailers_only(through):
    caller = through(LONG)
    fail(caller, 3)
    wire = wire_call(caller.proxy.port)
    assert (wire.status, wire.body, wire.trailers) == (200, b"", {})
    assert wire.headers["content-type"] == "application/grpc"
    assert wire.headers["grpc-status"] == "14"
    assert wire.headers["grpc-message"] == "circuit_open"
    assert wire.headers["x-outrigger-reason"] == "circuit_open"


def test_a_caller_that_streams_is_refused_without_its_stream(through):
    caller = through(LONG)
    fail(caller, 3)
    outbox = Outbox()
    assert is_refused(caller.upload(outbox))  # it never sends a message, nor an end
    outbox.close()


def test_it_opens_probes_and_closes(through):
    caller = through(SMALL)
    fail(caller, 3)
    assert is_refused(caller.get(b""))
    caller.proxy.wait_breaker("half_open")
    assert caller.get(b"").code == OK
    assert caller.proxy.breaker_state() == "closed"


@pytest.mark.parametrize("how", [TRAILERS_ONLY, AFTER_MESSAGES], ids=["trailers only", "after messages"])
def test_a_probe_that_fails_opens_it_again(through, how):
    caller = through(SMALL)
    fail(caller, 3)
    caller.proxy.wait_breaker("half_open")
    fail(caller, 1, **how)
    assert caller.proxy.breaker_state() == "open"


def test_a_probe_that_streams_for_ten_seconds_is_a_success(through):
    caller = through(SMALL)
    fail(caller, 3)
    caller.proxy.wait_breaker("half_open")
    stream, began = open_stream(caller), time.monotonic()
    stays(lambda: caller.proxy.breaker_state() == "half_open", 1)
    assert is_refused(caller.get(b""))  # its place is taken
    wait_until(lambda: caller.proxy.breaker_state() == "closed", 20)
    assert 9.5 <= time.monotonic() - began < 10 + slack(1)
    assert caller.get(b"").code == OK
    stream.cancel()


def test_a_probe_that_streams_at_the_end_of_its_lease_is_a_success(through):
    caller = through("timeouts: {backendRequest: 700ms}\n" + SMALL)
    fail(caller, 3)
    caller.proxy.wait_breaker("half_open")
    stream, began = open_stream(caller), time.monotonic()
    caller.proxy.wait_breaker("closed")
    assert 0.5 <= time.monotonic() - began < 0.7 + slack(0.5)
    stream.cancel()


def test_a_server_that_is_down_opens_it(make_quotes, start, dial):
    quotes = make_quotes()
    quotes.kill()
    caller = dial(start(LONG, to=quotes))
    assert [caller.get(b"").details for _ in range(4)] == ["connect_refused"] * 3 + ["circuit_open"]


def test_a_server_that_dies_in_the_middle_of_streams_opens_it(make_quotes, start, dial):
    quotes = make_quotes()
    caller = dial(start(LONG, to=quotes))
    streams = [open_stream(caller) for _ in range(3)]
    quotes.kill()
    assert {stream.finish().details for stream in streams} == {"connection_reset"}
    assert caller.proxy.breaker_state() == "open"


def test_cancelled_calls_prove_nothing(through, quotes):
    caller = through(LONG)
    for number in range(5):
        call = caller.start_get(b"", behave(hang=True))
        quotes.wait_calls(number + 1)
        call.cancel()
        quotes.wait_ended("cancelled", number + 1)
    assert caller.proxy.breaker_state() == "closed"


# ---- answers that are not quite gRPC ---------------------------------------------------------------------------


def answer_with(dial, start, upstream, policy, statuses):
    """The state of the breaker after each of these answers, which have no grpc-status."""
    caller, states = dial(start("protocol: http1\n" + policy)), []
    for status in statuses:
        upstream.default = answer(status, b"no gRPC")
        assert caller.get(b"").code != OK
        states.append(caller.proxy.breaker_state())
    return states


def test_an_answer_without_a_grpc_status_counts_as_what_grpc_takes_it_for(start, upstream, dial):
    statuses = [200, 400, 418, 429, 500, 502, 503, 504]  # UNKNOWN, INTERNAL, UNKNOWN, UNAVAILABLE, UNKNOWN, ...
    policy = f"circuitBreaker: {{consecutiveFailures: {len(statuses)}, openFor: 60s, maxOpenFor: 60s}}"
    assert answer_with(dial, start, upstream, policy, statuses) == ["closed"] * 7 + ["open"]


def test_an_answer_without_a_grpc_status_may_be_no_failure(start, upstream, dial):
    statuses = [401, 403, 404]  # UNAUTHENTICATED, PERMISSION_DENIED, UNIMPLEMENTED
    assert answer_with(dial, start, upstream, "circuitBreaker: {consecutiveFailures: 1}", statuses) == ["closed"] * 3


def test_a_status_in_trailers_of_http_1_reaches_the_caller_and_the_breaker(start, upstream, dial):
    message = b"\0\0\0\0\2ok"
    upstream.default = chunked([message], trailers=[("grpc-status", "14"), ("grpc-message", "gone%21")],
                               headers=[("content-type", "application/grpc")])
    caller = dial(start("protocol: http1\n" + LONG))
    for _ in range(3):
        answered = caller.watch()
        assert (answered.code, answered.details, answered.messages) == (UNAVAILABLE, "gone!", [b"ok"])
    assert is_refused(caller.get(b""))


# ---- limits ----------------------------------------------------------------------------------------------------


def test_beyond_the_rate_limit_a_call_is_resource_exhausted(through, quotes):
    caller = through("rateLimit: {requests: 2, interval: 60s}")
    assert [caller.get(b"").code for _ in range(2)] == [OK, OK]
    refused = caller.get(b"")
    assert is_refused(refused, RESOURCE_EXHAUSTED, "rate_limited")
    assert 1000 <= int(refused.trailer("grpc-retry-pushback-ms")) <= 30_000
    assert is_refused(caller.watch(), RESOURCE_EXHAUSTED, "rate_limited")
    assert len(quotes.calls()) == 2
    assert caller.proxy.metrics().sum("outrigger_requests_total", outcome="rate_limited") == 2


def test_beyond_the_bulkhead_a_call_is_unavailable(through, quotes):
    caller = through("bulkhead: {maxRequests: 2}")
    calls = [caller.start_get(b"", behave(hang=True)) for _ in range(2)]
    quotes.wait_calls(2)
    assert is_refused(caller.get(b""), UNAVAILABLE, "bulkhead_full")
    for call in calls:
        call.cancel()
    wait_until(lambda: caller.proxy.metrics().sum("outrigger_bulkhead_inflight") == 0)
    assert caller.get(b"").code == OK


def test_who_waits_too_long_is_refused_by_name(through, quotes):
    caller = through("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 200ms}")
    call = caller.start_get(b"", behave(hang=True))
    quotes.wait_calls(1)
    assert is_refused(caller.get(b""), UNAVAILABLE, "queue_timeout")
    call.cancel()


def test_who_waits_is_served_when_a_slot_is_free(through):
    caller = through("bulkhead: {maxRequests: 1, maxPending: 9, pendingTimeout: 20s}")
    calls = [caller.start_get(b"%d" % number, behave(sleep=0.05)) for number in range(8)]
    assert [call.finish().messages for call in calls] == [[b"%d" % number] for number in range(8)]


@pytest.mark.parametrize("form", ["watch", "chat"])
def test_a_stream_holds_its_slot_until_it_ends(through, form):
    caller, outbox = through("bulkhead: {maxRequests: 1}"), Outbox()
    if form == "watch":
        stream = open_stream(caller)
    else:
        outbox.send(b"first")
        stream = caller.start_chat(outbox)
        stream.read()
    assert is_refused(caller.get(b""), UNAVAILABLE, "bulkhead_full")
    assert caller.proxy.metrics().sum("outrigger_bulkhead_inflight") == 1
    stream.cancel()
    wait_until(lambda: caller.get(b"").code == OK)
    outbox.close()


# ---- metrics ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [TRAILERS_ONLY, AFTER_MESSAGES], ids=["trailers only", "after messages"])
def test_a_call_is_counted_by_its_grpc_status(through, how):
    caller, calls = through("circuitBreaker: {}"), 0
    for code, outcome, result in ((UNAVAILABLE, "failure", "failure"), (NOT_FOUND, "success", "success"),
                                  (INTERNAL, "failure", "failure"), (INVALID_ARGUMENT, "success", "success"),
                                  (DEADLINE_EXCEEDED, "failure", "failure"), (UNIMPLEMENTED, "success", "success"),
                                  (RESOURCE_EXHAUSTED, None, "throttled")):
        before, calls = caller.proxy.metrics(), calls + 1
        fail(caller, 1, code, **how)
        wait_until(lambda: caller.proxy.metrics().sum("outrigger_requests_total") == calls)
        metrics = caller.proxy.metrics()
        for name, labels in (("outrigger_attempts_total", {"result": result}),
                             ("outrigger_requests_total", {"outcome": outcome} if outcome else {})):
            assert metrics.sum(name, **labels) == before.sum(name, **labels) + 1, (code, name, labels)


def test_calls_and_attempts_that_succeed_are_counted(through):
    caller = through("circuitBreaker: {}")
    for answered in (caller.get(b""), caller.upload([b"a"]), caller.watch(), caller.chat([b"a"])):
        assert answered.code == OK
    wait_until(lambda: caller.proxy.metrics().sum("outrigger_requests_total", outcome="success") == 4)
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_requests_total", code="2xx") == 4
    assert metrics.sum("outrigger_attempts_total", result="success") == 4
    assert metrics.sum("outrigger_request_duration_seconds_count") == 4
    assert metrics.sum("outrigger_connections", side="downstream") >= 1
    assert metrics.sum("outrigger_connections", side="upstream") >= 1
