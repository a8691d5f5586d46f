"""Policies on gRPC: what status means what, who is repeated, who is refused and in which words."""

import time

import pytest
from harness.grpc_peer import (ABORTED, DATA_LOSS, DEADLINE_EXCEEDED, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, OK,
                               RESOURCE_EXHAUSTED, UNAVAILABLE, UNIMPLEMENTED, UNKNOWN, Outbox, behave, wire_call)
from harness.upstream import answer, chunked
from harness.waiting import slack, stays, wait_until

SMALL = "circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, maxOpenFor: 10s, openJitter: 0, halfOpenRequests: 1}"
LONG = "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s, openJitter: 0}"
QUICK = "retry: {attempts: 2, backoff: 1ms, grpcCodes: [UNAVAILABLE]}"
FAILURES = [UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS]
TRAILERS_ONLY, AFTER_MESSAGES = {}, {"after": 2}


@pytest.fixture
def through(start, quotes, dial):
    """A channel through a proxy with that policy in front of the shared server; the proxy is its `proxy`."""

    def make(policy, **options):
        return dial(start(policy, to=quotes), **options)

    return make


def fail(caller, times, code=UNAVAILABLE, **how):
    for _ in range(times):
        assert caller.watch(behave(fail=code, **how)).code == code


def is_refused(answered, code=UNAVAILABLE, reason="circuit_open"):
    return (answered.code, answered.details, answered.reason, answered.messages) == (code, reason, reason, [])


def open_stream(caller):
    """A server stream that has sent a message and stands still."""
    stream = caller.start_watch(behave(count=1, hang=True))
    stream.read()
    return stream


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


# ---- retries ---------------------------------------------------------------------------------------------------


FORMS = {"get": lambda caller, how: caller.get(b"hello", how),
         "upload": lambda caller, how: caller.upload([b"hello", b"you"], how),
         "watch": lambda caller, how: caller.watch(how, b"hello")}


@pytest.mark.parametrize("form", FORMS)
def test_a_status_that_is_named_is_tried_again(through, quotes, form):
    caller = through(QUICK)
    assert FORMS[form](caller, behave(fail=UNAVAILABLE, key=form, until=2)).code == OK
    tries = quotes.calls()
    assert [call.ended for call in tries] == ["failed", "failed", "ok"]
    assert tries[-1].received_bytes == (8 if form == "upload" else 5)
    assert [call.meta("x-outrigger-attempt") for call in tries] == ["1", "2", "3"]
    assert [call.meta("grpc-previous-rpc-attempts") for call in tries] == [None, "1", "2"]
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_retries_total") == 2
    assert metrics.sum("outrigger_requests_total", outcome="success_after_retry") == 1
    assert metrics.sum("outrigger_attempts_total", result="failure") == 2
    assert metrics.sum("outrigger_attempts_total", result="success") == 1


def test_the_tries_that_the_caller_made_itself_are_added(through, quotes):
    caller = through(QUICK)
    how = behave(fail=UNAVAILABLE, key="it", until=1) + [("grpc-previous-rpc-attempts", "3")]
    assert caller.get(b"", how).code == OK
    assert [call.all("grpc-previous-rpc-attempts") for call in quotes.calls()] == [["3"], ["4"]]
    assert [call.meta("x-outrigger-attempt") for call in quotes.calls()] == ["1", "2"]


def test_when_tries_are_used_up_the_caller_gets_the_last_answer(through, quotes):
    caller = through(QUICK)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, details="still not") + [("x-trail-a", "1")])
    assert (answered.code, answered.details, answered.trailer("x-trail-a")) == (UNAVAILABLE, "still not", "1")
    assert answered.trailer("x-outrigger-retries") == "exhausted"
    assert answered.reason is None
    assert len(quotes.calls()) == 3
    assert caller.proxy.metrics().sum("outrigger_requests_total", outcome="failure_after_retry") == 1


@pytest.mark.parametrize("policy, code, tries", [
    ("retry: {attempts: 2, backoff: 1ms}", UNAVAILABLE, 1),
    ("retry: {attempts: 2, backoff: 1ms, codes: [502, 503]}", UNAVAILABLE, 1),
    (QUICK, ABORTED, 1),
    ("retry: {attempts: 2, backoff: 1ms, grpcCodes: [ABORTED, NOT_FOUND]}", NOT_FOUND, 3),
    ("retry: {attempts: 2, backoff: 1ms, methods: [GET], grpcCodes: [UNAVAILABLE]}", UNAVAILABLE, 3),
    ("retry: {attempts: 2, backoff: 1ms, grpcCodes: [RESOURCE_EXHAUSTED]}", RESOURCE_EXHAUSTED, 3),
    ("circuitBreaker: {consecutiveFailures: 9}", UNAVAILABLE, 1),
], ids=["no grpcCodes", "codes do not apply", "another code", "other codes", "methods do not apply", "throttled",
        "no retry"])
def test_grpc_codes_are_the_consent_and_the_complete_list(through, quotes, policy, code, tries):
    assert through(policy).get(b"", behave(fail=code)).code == code
    assert len(quotes.calls()) == tries


@pytest.mark.parametrize("how", [{"head": True}, {"after": 1}], ids=["after headers", "after messages"])
def test_once_headers_have_arrived_nothing_is_tried_again(through, quotes, how):
    assert through(QUICK).watch(behave(fail=UNAVAILABLE, **how)).code == UNAVAILABLE
    assert len(quotes.calls()) == 1


def test_a_message_beyond_max_body_is_not_sent_again(through, quotes):
    caller = through("retry: {attempts: 2, backoff: 1ms, maxBody: 1KiB, grpcCodes: [UNAVAILABLE]}")
    assert caller.get(bytes(20_000), behave(fail=UNAVAILABLE)).code == UNAVAILABLE
    assert len(quotes.calls()) == 1
    assert caller.proxy.metrics().sum("outrigger_retries_skipped_total", reason="body_too_large") == 1


def test_a_server_that_is_down_for_a_moment_is_tried_again(make_quotes, start, dial):
    quotes = make_quotes()
    quotes.kill()
    caller = dial(start("retry: {attempts: 8, backoff: 100ms, maxBackoff: 300ms, jitter: none, "
                        "grpcCodes: [UNAVAILABLE], budget: {mode: off}}", to=quotes))
    call = caller.start_get(b"hello")
    caller.proxy.wait_metric(1, "outrigger_attempts_total", result="connect_failure")
    make_quotes(port=quotes.port)
    assert call.finish().messages == [b"hello"]


def test_a_pushback_is_the_least_wait(through, quotes):
    caller = through(QUICK)
    assert caller.get(b"", behave(fail=UNAVAILABLE, key="it", until=1, pushback=400)).code == OK
    first, second = quotes.calls()
    assert 0.39 <= second.at - first.at < 0.4 + slack(0.3)


@pytest.mark.parametrize("pushback", [-1, 60_000], ids=["negative", "beyond maxRetryAfter"])
def test_a_pushback_may_forbid_to_try_again(through, quotes, pushback):
    caller = through(QUICK)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, pushback=pushback))
    assert answered.code == UNAVAILABLE
    assert answered.trailer("grpc-retry-pushback-ms") == str(pushback)
    assert answered.elapsed < slack(0.5)
    assert len(quotes.calls()) == 1
    assert caller.proxy.metrics().sum("outrigger_retries_skipped_total", reason="retry_after") == 1


def test_a_pushback_after_messages_is_the_callers_to_obey(through):
    answered = through(QUICK).watch(behave(fail=UNAVAILABLE, after=1, pushback=70))
    assert answered.trailer("grpc-retry-pushback-ms") == "70"


def test_the_budget_holds_retries_down(through, quotes):
    caller = through("""
        retry: {attempts: 3, backoff: 1ms, maxBackoff: 1ms, grpcCodes: [UNAVAILABLE],
                budget: {percent: 20, interval: 60s, minRetryRate: {count: 1, interval: 60s}}}
    """)
    calls = [caller.start_get(b"", behave(fail=UNAVAILABLE)) for _ in range(200)]
    assert {call.finish().code for call in calls} == {UNAVAILABLE}
    metrics = caller.proxy.metrics()
    retries = metrics.sum("outrigger_retries_total")
    assert 35 <= retries <= 41
    assert len(quotes.calls()) == 200 + retries
    assert metrics.sum("outrigger_retries_skipped_total", reason="budget") > 100


def test_an_open_breaker_ends_the_retries(through, quotes):
    caller = through("retry: {attempts: 9, backoff: 1ms, grpcCodes: [UNAVAILABLE], budget: {mode: off}}\n" + LONG)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, details="the third"))
    assert (answered.code, answered.details, answered.reason) == (UNAVAILABLE, "the third", None)
    assert len(quotes.calls()) == 3


def test_waiting_for_the_next_try_ends_when_the_caller_leaves(through, quotes):
    caller = through("retry: {attempts: 2, backoff: 500ms, maxBackoff: 500ms, jitter: none, grpcCodes: [UNAVAILABLE]}")
    call = caller.start_get(b"", behave(fail=UNAVAILABLE))
    caller.proxy.wait_metric(1, "outrigger_attempts_total", result="failure")
    call.cancel()
    caller.proxy.wait_metric(1, "outrigger_requests_total", outcome="cancelled")
    stays(lambda: len(quotes.calls()) == 1, 0.7)


# ---- deadlines -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout, reason", [("request", "request_timeout"), ("backendRequest", "attempt_timeout")])
def test_a_timeout_of_the_policy_is_named(through, quotes, timeout, reason):
    caller = through(f"timeouts: {{{timeout}: 300ms}}")
    answered = caller.get(b"", behave(hang=True))
    assert is_refused(answered, DEADLINE_EXCEEDED, reason)
    assert 0.3 <= answered.elapsed < 0.3 + slack(0.3)
    quotes.wait_ended("cancelled")
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_requests_total", outcome="timeout") == 1
    assert metrics.sum("outrigger_attempts_total", result="timeout") == 1


@pytest.mark.parametrize("timeout", ["request", "backendRequest"])
def test_a_timeout_of_the_policy_ends_a_call_before_the_callers_deadline(through, timeout):
    answered = through(f"timeouts: {{{timeout}: 300ms}}").get(b"", behave(hang=True), timeout=10)
    assert answered.code == DEADLINE_EXCEEDED
    assert 0.25 <= answered.elapsed < 0.3 + slack(0.3)


@pytest.mark.parametrize("policy", ["timeouts: {request: 10s, backendRequest: 5s}", "circuitBreaker: {}"],
                         ids=["timeouts", "no timeouts"])
def test_the_callers_deadline_ends_a_call_before_a_timeout_of_the_policy(through, policy):
    caller = through(policy)
    for text, seconds in (("300m", 0.3), ("300000u", 0.3), ("99999999n", 0.1)):
        wire = wire_call(caller.proxy.port, metadata=behave(hang=True) + [("grpc-timeout", text)], message=b"")
        assert (wire.status, wire.headers["grpc-status"]) == (200, "4")  # curl itself would have waited
        assert seconds - 0.02 <= wire.elapsed < seconds + slack(0.4)


def test_a_deadline_in_a_bulkheads_queue_is_named(through, quotes):
    caller = through("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    call = caller.start_get(b"", behave(hang=True))
    quotes.wait_calls(1)
    wire = wire_call(caller.proxy.port, metadata=[("grpc-timeout", "300m")])
    assert (wire.headers["grpc-status"], wire.headers["grpc-message"]) == ("4", "request_timeout")
    assert len(quotes.calls()) == 1
    call.cancel()


def test_a_deadline_that_is_over_before_it_began_reaches_no_server(through, quotes):
    caller = through("circuitBreaker: {}")
    wire = wire_call(caller.proxy.port, metadata=[("grpc-timeout", "1n")])
    assert (wire.headers["grpc-status"], wire.headers["grpc-message"]) == ("4", "request_timeout")
    assert [call for call in quotes.calls() if call.ended == "ok"] == []


def test_the_server_is_told_the_callers_deadline_not_those_of_the_policy(through, quotes):
    # The policy's end at the response head: a server that knew of them would end a stream that may go on.
    caller = through("""
        rules:
          - {name: u, matches: [{grpc: {method: Upload}}], timeouts: {request: 3s}}
          - {name: w, matches: [{grpc: {method: Watch}}], timeouts: {backendRequest: 2s}}
          - {name: c, matches: [{grpc: {method: Chat}}], timeouts: {request: 30s, backendRequest: 20s}}
    """)
    for answered in (caller.get(b"", timeout=10), caller.upload([b"a"], timeout=10), caller.watch(timeout=10),
                     caller.chat([b"a"], timeout=10)):
        assert answered.code == OK
    for call, most in zip(quotes.calls(), (10, 10, 10, 10)):
        assert most - 1 < call.remaining <= most * 1.02  # grpc rounds the caller's upward


def test_a_call_without_a_deadline_is_given_none(through, quotes):
    # What it would end at the server is the whole call, while these timeouts end at the response head.
    assert through("timeouts: {request: 3s, backendRequest: 2s}").get(b"").code == OK
    assert quotes.calls()[0].remaining is None


def test_the_deadline_is_less_on_every_attempt(through, quotes):
    caller = through(QUICK)
    assert caller.get(b"", behave(sleep=0.3, fail=UNAVAILABLE, key="it", until=2), timeout=10).code == OK
    first, second, third = (call.remaining for call in quotes.calls())
    assert 9 < first <= 10.2
    assert second <= first - 0.28
    assert third <= second - 0.28
    assert third > 7


def test_no_attempt_starts_after_the_callers_deadline(through, quotes):
    caller = through("retry: {attempts: 9, backoff: 1ms, grpcCodes: [UNAVAILABLE], budget: {mode: off}}")
    began = time.monotonic()
    wire = wire_call(caller.proxy.port, message=b"",
                     metadata=behave(sleep=0.15, fail=UNAVAILABLE) + [("grpc-timeout", "400m")])
    assert wire.headers["grpc-status"] in ("4", "14")
    stays(lambda: all(call.at < began + 0.4 + slack(0.1) for call in quotes.calls()), 0.4)
    assert 2 <= len(quotes.calls()) <= 3


def test_a_callers_short_deadline_proves_nothing(through):
    caller = through("timeouts: {backendRequest: 2s}\n" + LONG)
    for _ in range(5):
        assert caller.get(b"", behave(hang=True), timeout=0.05).code == DEADLINE_EXCEEDED
    wait_until(lambda: caller.proxy.metrics().sum("outrigger_requests_total") == 5)
    assert caller.proxy.breaker_state() == "closed"


def test_the_timeouts_of_a_call_end_at_its_head(through):
    caller = through("timeouts: {request: 300ms, backendRequest: 300ms}")
    answered = caller.watch(behave(count=8, interval=0.1))
    assert (answered.code, len(answered.messages)) == (OK, 8)
    assert answered.elapsed > 0.7


def test_the_callers_deadline_holds_for_a_stream_after_its_head(through, quotes):
    caller = through("timeouts: {request: 10s}")
    wire = wire_call(caller.proxy.port, "Watch", behave(count=1, hang=True) + [("grpc-timeout", "500m")], b"")
    assert wire.body.startswith(b"\0\0\0\0\n")
    assert wire.trailers["grpc-status"] == "4"
    assert 0.45 <= wire.elapsed < 0.5 + slack(0.4)
    quotes.wait_ended("cancelled")


@pytest.mark.parametrize("policy, how, reason", [
    ("timeouts: {idle: 400ms}", {"count": 1, "hang": True}, "idle_timeout"),
    ("timeouts: {maxDuration: 500ms}", {"count": -1, "interval": 0.05}, "max_duration"),
])
def test_a_stream_that_is_over_its_time_ends_with_trailers(through, quotes, policy, how, reason):
    caller = through(policy)
    answered = caller.watch(behave(**how))
    assert (answered.code, answered.details, answered.reason) == (DEADLINE_EXCEEDED, reason, reason)
    assert 0.35 <= answered.elapsed < 0.5 + slack(0.4)
    assert len(answered.messages) >= 1
    quotes.wait_ended("cancelled")


def test_a_message_in_either_direction_starts_idle_again(through):
    caller, outbox = through("timeouts: {idle: 500ms}"), Outbox()
    upload = caller.start_upload(outbox, behave(head=True))
    chat = caller.start_watch(behave(count=6, interval=0.2))
    for _ in range(6):
        outbox.send(b"x")
        chat.read()
    outbox.close()
    assert (upload.finish().messages, chat.finish().code) == ([b"[6, 6]"], OK)


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
