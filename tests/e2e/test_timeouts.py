"""timeouts: what each one covers, where it ends, and what it stands still for."""

import time

import pytest
from harness.client import encode
from harness.upstream import answer, chunked, hang, head, raw
from harness.waiting import slack, stays, wait_until


def test_request_ends_a_call_that_is_not_answered(start, upstream):
    upstream.default = hang()
    response = start("timeouts: {request: 300ms}").get()
    assert (response.status, response.reason) == (504, "request_timeout")
    assert 0.3 <= response.elapsed < 0.3 + slack(0.3)
    wait_until(lambda: upstream.requests[0].gone_at)


def test_backend_request_ends_an_attempt_that_is_not_answered(start, upstream):
    upstream.default = hang()
    response = start("timeouts: {backendRequest: 300ms}").get()
    assert (response.status, response.reason) == (504, "attempt_timeout")
    assert 0.3 <= response.elapsed < 0.3 + slack(0.3)
    wait_until(lambda: upstream.requests[0].gone_at)


def test_request_covers_all_attempts_and_the_waits_between(start, upstream):
    upstream.default = hang()
    response = start("""
        timeouts: {request: 700ms, backendRequest: 200ms}
        retry: {attempts: 9, backoff: 1ms, budget: {mode: off}}
    """).get()
    assert response.reason in ("request_timeout", "attempt_timeout")
    assert 0.55 <= response.elapsed < 0.7 + slack(0.3)
    assert 3 <= len(upstream.requests) <= 4


def test_no_attempt_starts_after_the_deadline(start, upstream):
    upstream.default = hang()
    proxy = start("""
        timeouts: {request: 400ms}
        retry: {attempts: 9, backoff: 1ms, budget: {mode: off}}
    """)
    started = time.monotonic()
    assert proxy.get().status == 504
    stays(lambda: all(request.at < started + 0.45 for request in upstream.requests), 0.4)
    assert len(upstream.requests) == 1


def test_connect_ends_a_connect_that_is_not_answered(start, black_hole):
    response = start("timeouts: {connect: 300ms}", to=black_hole).get()
    assert (response.status, response.reason) == (503, "connect_timeout")
    assert 0.3 <= response.elapsed < 0.3 + slack(0.3)


def test_request_ends_a_connect_too(start, black_hole):
    response = start("timeouts: {connect: 5s, request: 300ms}", to=black_hole).get()
    assert (response.status, response.reason) == (504, "request_timeout")


@pytest.mark.parametrize("timeout", ["request", "backendRequest"])
def test_timeouts_of_the_call_end_at_the_response_head(start, upstream, timeout):
    upstream.plan(chunked([b"a", b"b", b"c"], interval=0.25))
    response = start(f"timeouts: {{{timeout}: 400ms}}").get()
    assert (response.status, response.body) == (200, b"abc")
    assert response.elapsed > 0.5


def test_an_interim_response_does_not_end_them(start, upstream):
    async def only_interim(exchange):
        await exchange.send(head(103))
        await exchange.until_peer_leaves()
        return False

    upstream.default = only_interim
    assert start("timeouts: {backendRequest: 300ms}").get().reason == "attempt_timeout"


@pytest.mark.parametrize("timeout", ["request", "backendRequest"])
def test_they_stand_still_while_the_caller_sends_its_body(start, upstream, timeout):
    proxy = start(f"timeouts: {{{timeout}: 400ms}}")
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "10")]) + b"first")
        upstream.wait_for(1)
        stays(lambda: not upstream.requests[0].is_complete, 0.8)
        client.send(b"later")
        assert client.read_response().status == 200


def test_they_go_on_once_the_body_is_there(start, upstream):
    upstream.default = hang()
    proxy = start("timeouts: {request: 400ms}")
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "10")]) + b"first")
        upstream.wait_for(1)
        stays(lambda: not upstream.requests[0].is_complete, 0.6)
        client.send(b"later")
        assert client.read_response().reason == "request_timeout"


def test_idle_ends_an_answer_that_stands_still(start, upstream):
    upstream.default = hang(after=head(200, [("Content-Length", "100")]) + b"half")
    proxy = start("timeouts: {idle: 300ms}")
    with proxy.client() as client:
        started = time.monotonic()
        client.send(encode("GET", "/"))
        assert client.read_until_close().endswith(b"half")
        assert 0.25 <= time.monotonic() - started < 0.3 + slack(0.4)
    wait_until(lambda: upstream.requests[0].gone_at)


def test_idle_starts_again_with_every_byte(start, upstream):
    upstream.plan(chunked([b"a"] * 5, interval=0.15))
    response = start("timeouts: {idle: 400ms}").get()
    assert response.body == b"aaaaa"
    assert response.elapsed > 0.6


def test_max_duration_ends_an_answer_that_goes_on(start, upstream):
    upstream.plan(chunked([b"x"] * 200, interval=0.02))
    proxy = start("timeouts: {maxDuration: 500ms}")
    with proxy.client() as client:
        started = time.monotonic()
        client.send(encode("GET", "/"))
        assert not client.read_until_close().endswith(b"0\r\n\r\n")
        assert 0.45 <= time.monotonic() - started < 0.5 + slack(0.4)


def test_zero_switches_a_timeout_off(start, upstream):
    upstream.plan(answer(200, delay=0.5))
    assert start("timeouts: {request: 0s, backendRequest: 0s, connect: 0s, idle: 0s}").get().status == 200


def test_without_the_block_a_slow_answer_is_waited_for(start, upstream):
    upstream.plan(answer(200, delay=1.5))
    assert start().get().status == 200


def test_the_deadline_header_of_the_caller_is_honoured_where_it_is_earlier(start, upstream):
    upstream.default = hang()
    proxy = start("timeouts: {request: 5s, deadlineHeader: x-deadline-ms}")
    response = proxy.get("/", [("X-Deadline-Ms", "300")])
    assert (response.status, response.reason) == (504, "request_timeout")
    assert 0.3 <= response.elapsed < 0.3 + slack(0.3)


def test_the_deadline_header_never_makes_a_call_longer(start, upstream):
    upstream.default = hang()
    response = start("timeouts: {request: 300ms, deadlineHeader: x-deadline-ms}").get("/", [("X-Deadline-Ms", "60000")])
    assert response.reason == "request_timeout"
    assert response.elapsed < 0.3 + slack(0.3)


def test_the_deadline_header_is_rewritten_downward_on_every_attempt(start, upstream):
    upstream.plan(answer(503, delay=0.2))
    proxy = start("""
        timeouts: {deadlineHeader: x-deadline-ms}
        retry: {attempts: 1, backoff: 1ms}
    """)
    assert proxy.get("/", [("X-Deadline-Ms", "5000")]).status == 200
    first, second = (int(request.header("x-deadline-ms")) for request in upstream.requests)
    assert 4500 <= first <= 5000
    assert 3000 <= second <= first - 190


def test_a_timeout_before_the_head_leaves_the_callers_connection_usable(start, upstream):
    upstream.plan(hang())
    proxy = start("timeouts: {request: 200ms}")
    with proxy.client() as client:
        assert client.get().status == 504
        assert client.get().status == 200


def test_a_timeout_is_counted_by_its_name(start, upstream):
    upstream.default = hang()
    proxy = start("timeouts: {backendRequest: 200ms}")
    proxy.get()
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", outcome="timeout") == 1
    assert metrics.sum("outrigger_attempts_total", result="timeout") == 1


def test_a_peer_that_announces_its_keep_alive_time_is_left_a_second_earlier(start, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=2\r\n\r\nok", keep=True))
    proxy = start()
    assert proxy.get().status == 200
    wait_until(lambda: upstream.open_connections == 0, slack(2))
