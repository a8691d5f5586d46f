"""circuitBreaker: what trips it, what it refuses, how it finds out that the upstream is back."""

import time

import pytest
from harness.client import Client, encode
from harness.proxy import together
from harness.upstream import answer, hang, reset
from harness.waiting import IS_DEBUG_BUILD, slack, stays, wait_until

# Small numbers, no jitter: the third failure opens it for half a second.
SMALL = "circuitBreaker: {consecutiveFailures: 3, openFor: 500ms, maxOpenFor: 10s, openJitter: 0}"
LONG = "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s, openJitter: 0}"


def fail(proxy, upstream, times, script=None):
    upstream.plan(*[script or answer(500)] * times)
    return [proxy.get() for _ in range(times)]


def is_refused(response):
    return (response.status, response.reason) == (503, "circuit_open")


def test_it_trips_refuses_by_name_probes_and_closes(start, upstream):
    proxy = start(SMALL)
    assert [response.status for response in fail(proxy, upstream, 3)] == [500, 500, 500]
    assert proxy.breaker_state() == "open"
    for _ in range(5):
        assert is_refused(proxy.get())
    assert len(upstream.requests) == 3
    proxy.wait_breaker("half_open")
    for _ in range(3):
        assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"
    metrics = proxy.metrics()
    for source, to in (("closed", "open"), ("open", "half_open"), ("half_open", "closed")):
        assert metrics.sum("outrigger_circuit_breaker_transitions_total", **{"from": source, "to": to}) == 1
    assert metrics.sum("outrigger_requests_total", outcome="circuit_open") == 5
    assert metrics.sum("outrigger_rejections_total", reason="circuit_open") == 5


def test_a_refusal_says_when_to_come_back(start, upstream):
    proxy = start(LONG)
    fail(proxy, upstream, 3)
    assert 55 <= int(proxy.get().header("retry-after")) <= 60


def test_a_success_starts_the_count_again(start, upstream):
    proxy = start(LONG)
    for _ in range(3):
        fail(proxy, upstream, 2)
        assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"


def test_consecutive_failures_can_be_switched_off(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 0}")
    fail(proxy, upstream, 30)
    assert proxy.breaker_state() == "closed"


def test_a_failure_rate_trips_it_from_min_requests_on(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 0, failureRate: {percent: 50, window: 60s, minRequests: 8}}")
    for _ in range(3):
        fail(proxy, upstream, 1)
        proxy.get()
    fail(proxy, upstream, 1)
    assert proxy.breaker_state() == "closed"  # 4 of 7
    fail(proxy, upstream, 1)
    assert proxy.breaker_state() == "open"  # 5 of 8
    assert proxy.metrics().sum("outrigger_circuit_breaker_transitions_total", to="open") == 1


def test_a_failure_rate_below_the_percentage_does_not_trip_it(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 0, failureRate: {percent: 50, window: 60s, minRequests: 4}}")
    for _ in range(10):
        proxy.get()
        proxy.get()
        fail(proxy, upstream, 1)
    assert proxy.breaker_state() == "closed"


def test_slow_calls_trip_it_although_they_succeed(start, upstream):
    upstream.default = answer(200, delay=0.15)
    proxy = start("""circuitBreaker: {failureRate: {percent: 100, window: 60s, minRequests: 4},
                                      slowCalls: {percent: 80, longerThan: 100ms}}""")
    assert [proxy.get().status for _ in range(4)] == [200] * 4
    assert is_refused(proxy.get())


def test_a_long_body_is_not_a_slow_call(start, upstream):
    from harness.upstream import chunked

    upstream.default = chunked([b"a", b"b", b"c"], interval=0.1)
    proxy = start("""circuitBreaker: {failureRate: {percent: 100, window: 60s, minRequests: 3},
                                      slowCalls: {percent: 50, longerThan: 150ms}}""")
    for _ in range(4):
        assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"


@pytest.mark.parametrize("status, is_failure", [(500, True), (502, True), (503, True), (599, True),
                                                (501, False), (404, False), (429, False)])
def test_server_errors_but_501_are_failures(start, upstream, status, is_failure):
    proxy = start(LONG)
    fail(proxy, upstream, 4, answer(status))
    assert proxy.breaker_state() == ("open" if is_failure else "closed")


def test_failure_codes_are_the_complete_list(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, failureCodes: [418]}")
    fail(proxy, upstream, 5, answer(500))
    assert proxy.breaker_state() == "closed"
    fail(proxy, upstream, 3, answer(418))
    assert proxy.breaker_state() == "open"


def test_a_throttled_call_leaves_the_consecutive_count_alone(start, upstream):
    proxy = start(LONG)
    fail(proxy, upstream, 2)
    fail(proxy, upstream, 1, answer(429))
    assert proxy.breaker_state() == "closed"
    fail(proxy, upstream, 1)
    assert proxy.breaker_state() == "open"


def test_a_throttled_call_can_be_declared_a_failure(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, throttledIsFailure: true}")
    fail(proxy, upstream, 3, answer(429))
    assert proxy.breaker_state() == "open"


def test_resets_are_failures(start, upstream):
    proxy = start(LONG)
    fail(proxy, upstream, 3, reset())
    assert is_refused(proxy.get())


def test_refused_connections_are_failures(start, upstream):
    proxy = start(LONG)
    upstream.stop_listening()
    assert [proxy.get().reason for _ in range(4)] == ["connect_refused"] * 3 + ["circuit_open"]


def test_timeouts_are_failures(start, upstream):
    upstream.default = hang()
    proxy = start("timeouts: {backendRequest: 200ms}\n" + LONG)
    assert [proxy.get().reason for _ in range(4)] == ["attempt_timeout"] * 3 + ["circuit_open"]


def test_a_callers_short_deadline_proves_nothing(start, upstream):
    upstream.default = hang()
    proxy = start("timeouts: {backendRequest: 2s, deadlineHeader: x-deadline-ms}\n" + LONG)
    for _ in range(6):
        assert proxy.get("/", [("X-Deadline-Ms", "20")]).reason == "request_timeout"
    assert proxy.breaker_state() == "closed"


def test_a_local_refusal_is_never_an_upstream_failure(start, upstream):
    proxy = start(LONG + "\nrateLimit: {requests: 1, interval: 60s}")
    assert proxy.get().status == 200
    for _ in range(10):
        assert proxy.get().reason == "rate_limited"
    assert proxy.breaker_state() == "closed"


def test_a_bad_request_of_the_caller_is_no_failure(start, upstream):
    proxy = start(LONG)
    for _ in range(5):
        with proxy.client() as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
            assert client.read_response().status == 400
    assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"


# ---- half open -------------------------------------------------------------------------------------------------


def test_an_idle_breaker_becomes_half_open_on_a_timer(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 3)
    opened = time.monotonic()
    proxy.wait_breaker("half_open")
    assert 0.4 <= time.monotonic() - opened < 0.5 + slack(0.5)
    assert len(upstream.requests) == 3


def test_at_most_three_probes_are_let_through(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    upstream.default = answer(200, delay=0.5)
    responses = together(20, lambda _: proxy.get())
    assert sorted(response.status for response in responses) == [200] * 3 + [503] * 17
    assert all(is_refused(response) for response in responses if response.status == 503)
    assert len(upstream.requests) == 3 + 3
    assert proxy.breaker_state() == "closed"


def test_the_number_of_probes_can_be_set(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0, halfOpenRequests: 1}")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"


def test_a_failing_probe_opens_it_for_twice_as_long(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    fail(proxy, upstream, 1)
    assert is_refused(proxy.get())
    reopened = time.monotonic()
    proxy.wait_breaker("half_open")
    assert 0.9 <= time.monotonic() - reopened < 1 + slack(0.5)


def test_closing_starts_with_an_empty_window(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    for _ in range(3):
        proxy.get()
    fail(proxy, upstream, 2)
    assert proxy.breaker_state() == "closed"
    fail(proxy, upstream, 1)
    assert proxy.breaker_state() == "open"


def test_a_slow_probe_that_succeeds_is_a_success(start, upstream):
    proxy = start("""circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0, halfOpenRequests: 1,
                                      failureRate: {percent: 90, window: 60s, minRequests: 10},
                                      slowCalls: {percent: 80, longerThan: 50ms}}""")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    upstream.plan(answer(200, delay=0.2))
    assert proxy.get().status == 200
    assert proxy.breaker_state() == "closed"


def test_a_probe_that_is_not_answered_in_time_is_a_failure(start, upstream):
    proxy = start("timeouts: {backendRequest: 300ms}\n" + SMALL)
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    upstream.plan(hang())
    assert proxy.get().reason == "attempt_timeout"
    assert proxy.breaker_state() == "open"


def test_a_cancelled_probe_gives_its_place_back(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0, halfOpenRequests: 1}")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    for _ in range(5):
        upstream.plan(hang())
        client = proxy.client()
        seen = len(upstream.requests)
        client.send(encode("GET", "/"))
        upstream.wait_for(seen + 1)
        client.close()
        wait_until(lambda: upstream.requests[-1].gone_at)
    assert proxy.breaker_state() == "half_open"
    wait_until(lambda: proxy.get().status == 200)
    assert proxy.breaker_state() == "closed"


def test_a_throttled_probe_opens_it_without_doubling(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    fail(proxy, upstream, 1, answer(429))
    assert proxy.breaker_state() == "open"
    reopened = time.monotonic()
    proxy.wait_breaker("half_open")
    assert time.monotonic() - reopened < 0.5 + slack(0.2)


def test_retries_of_one_call_are_no_further_probes(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0, halfOpenRequests: 3}\n"
                  "rules:\n"
                  "  - name: patient\n"
                  "    matches: [{path: {type: PathPrefix, value: /patient}}]\n"
                  "    retry: {attempts: 2, backoff: 1ms}\n")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    upstream.plan(answer(503), answer(200))
    assert proxy.get("/patient").status == 503
    assert len(upstream.requests) == 4


# ---- open ------------------------------------------------------------------------------------------------------


def test_retry_after_of_the_tripping_answer_keeps_it_open(start, upstream):
    proxy = start(SMALL)
    fail(proxy, upstream, 2)
    fail(proxy, upstream, 1, answer(503, headers=[("Retry-After", "2")]))
    opened = time.monotonic()
    stays(lambda: proxy.breaker_state() == "open", 1.2)
    proxy.wait_breaker("half_open")
    assert time.monotonic() - opened >= 1.8


def test_retry_after_cannot_keep_it_open_beyond_the_cap(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, maxOpenFor: 600ms, openJitter: 0}")
    fail(proxy, upstream, 2)
    fail(proxy, upstream, 1, answer(503, headers=[("Retry-After", "3600")]))
    opened = time.monotonic()
    proxy.wait_breaker("half_open")
    assert 0.5 <= time.monotonic() - opened < 0.6 + slack(0.5)


def test_calls_in_flight_finish_while_it_is_open(start, upstream):
    upstream.on("/slow", answer(200, b"late", delay=0.5))
    proxy = start(LONG)
    with proxy.client() as client:
        client.send(encode("GET", "/slow"))
        upstream.wait_for(1)
        fail(proxy, upstream, 3)
        assert is_refused(proxy.get())
        assert client.read_response().body == b"late"
    assert proxy.breaker_state() == "open"


def test_an_open_breaker_stops_the_retries_too(start, upstream):
    upstream.default = answer(503)
    proxy = start("retry: {attempts: 9, backoff: 1ms, budget: {mode: off}}\n" + LONG)
    response = proxy.get()
    assert len(upstream.requests) == 3
    assert response.status == 503 and response.reason is None  # the kept answer of the third try
    assert proxy.metrics().sum("outrigger_retries_skipped_total", reason="circuit_open") == 1


def test_a_refusal_takes_no_token(start, upstream):
    proxy = start(SMALL + "\nrateLimit: {requests: 4, interval: 60s}")
    fail(proxy, upstream, 3)
    for _ in range(10):
        assert is_refused(proxy.get())
    proxy.wait_breaker("half_open")
    assert proxy.get().status == 200  # the fourth token was still there
    assert proxy.get().reason == "rate_limited"


def test_two_targets_never_share_a_breaker(start, upstream, another_upstream):
    proxy = start(LONG)
    another_upstream.default = answer(500)
    with Client(proxy.outbound) as client:
        for _ in range(4):
            client.get("/", host=another_upstream.address)
        assert client.get("/", host=another_upstream.address).reason == "circuit_open"
        assert client.get("/", host=upstream.address).status == 200
    assert proxy.breaker_state(target=another_upstream.address) == "open"
    assert proxy.breaker_state(target=upstream.address) == "closed"


def test_scope_endpoint_has_a_breaker_for_each_address(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s, scope: endpoint}")
    fail(proxy, upstream, 3)
    assert is_refused(proxy.get())
    found = [labels for labels, value in proxy.metrics().all("outrigger_circuit_breaker_state", state="open")
             if value == 1]
    assert len(found) == 1 and f"/endpoint:127.0.0.1:{upstream.port}" in found[0]["instance"]


# ---- cancelled calls -------------------------------------------------------------------------------------------


def leave_after(proxy, upstream, seconds):
    seen = len(upstream.requests)
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        upstream.wait_for(seen + 1)
        if seconds:
            stays(lambda: upstream.requests[seen].gone_at is None, seconds)
    wait_until(lambda: upstream.requests[seen].gone_at)


PATIENT = """circuitBreaker: {consecutiveFailures: 2, failureRate: {percent: 100, window: 60s, minRequests: 4},
                              slowCalls: {percent: 80, longerThan: 200ms}, openFor: 60s, maxOpenFor: 60s}"""


def test_a_hung_upstream_behind_an_impatient_app_opens_it(start, upstream):
    upstream.default = hang()
    proxy = start(PATIENT)
    for _ in range(4):
        leave_after(proxy, upstream, 0.3)
    assert is_refused(proxy.get())


def test_callers_that_leave_at_once_prove_nothing(start, upstream):
    upstream.default = hang()
    proxy = start(PATIENT)
    for _ in range(8):
        leave_after(proxy, upstream, 0)
    assert proxy.breaker_state() == "closed"


def test_a_probe_whose_caller_leaves_late_has_failed(start, upstream):
    proxy = start("""circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0, halfOpenRequests: 1,
                                      failureRate: {percent: 100, window: 60s, minRequests: 10},
                                      slowCalls: {percent: 80, longerThan: 200ms}}""")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    upstream.default = hang()
    leave_after(proxy, upstream, 0.3)
    assert proxy.breaker_state() == "open"


# ---- those that wait -------------------------------------------------------------------------------------------


def test_all_that_wait_are_refused_when_it_opens(start, upstream):
    upstream.on("/hang", answer(500, delay=0.5))
    proxy = start("circuitBreaker: {consecutiveFailures: 1, openFor: 60s, maxOpenFor: 60s}\n"
                  "bulkhead: {maxRequests: 1, maxPending: 5, pendingTimeout: 20s}")

    def call(index):
        if index:
            upstream.wait_for(1)
        return proxy.get("/hang" if index == 0 else "/wait")

    started = time.monotonic()
    first, *waiting = together(5, call)
    assert first.status == 500
    assert all(is_refused(response) for response in waiting)
    assert time.monotonic() - started < 0.5 + slack(1)
    assert len(upstream.requests) == 1


def test_a_ramp_admits_some_calls_and_not_all(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 200ms, openJitter: 0, halfOpenRequests: 1, "
                  "rampUp: 60s}")
    fail(proxy, upstream, 3)
    proxy.wait_breaker("half_open")
    assert proxy.get().status == 200
    statuses = [proxy.get().status for _ in range(60)]
    assert statuses.count(503) > 30  # within the first second of sixty almost nothing is admitted


@pytest.mark.skipif(IS_DEBUG_BUILD, reason="memory is measured in the release build")
def test_many_targets_cost_little_memory(start, upstream):
    # Every dialled address is a target of its own under "*".
    proxy = start(LONG)
    before = proxy.memory()[0]
    with Client(proxy.outbound) as client:
        for number in range(250):
            client.get("/", host=f"127.0.0.{number + 1}:{upstream.port}")
    assert proxy.memory()[0] - before < 8 * 1024 * 1024
