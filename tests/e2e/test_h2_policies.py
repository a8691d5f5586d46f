"""The same policies whichever HTTP is spoken, and what HTTP/2 alone can repeat without asking."""

import json
import re

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import encode
from harness.h2 import RawClient
from harness.h2_bridge import call, to_h1, to_h2  # noqa: F401 (fixtures)
from harness.proxy import together
from harness.upstream import answer, reset
from harness.waiting import wait_until

# ---- policies --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["h2 to h1", "h1 to h2", "h2 to h2"])
def way(request, make_proxy, upstream, h2_upstream):
    """(start, server, answer script, call): the same test over each pair of protocols in which HTTP/2 has a part."""
    came, goes = request.param.split(" to ")
    server, module = (upstream, None) if goes == "h1" else (h2_upstream, scripts)

    def start(policy, **how):
        return make_proxy(server, policy, protocol="http1" if goes == "h1" else "http2", **how).start()

    def ask(proxy, method="GET", path="/", more=(), body=None):
        return call(proxy, method, path, more, body) if came == "h2" else proxy.request(method, path, more, body)

    return start, server, module.answer if module else answer, ask


def test_a_failed_try_is_repeated(way):
    start, server, answers, ask = way
    server.plan(answers(503), answers(503), answers(200, b"fine"))
    response = ask(start("retry: {attempts: 2, backoff: 1ms}"))
    assert (response.status, response.body) == (200, b"fine")
    assert [request.header("x-outrigger-attempt") for request in server.requests] == ["1", "2", "3"]
    assert len({request.header("x-request-id") for request in server.requests}) == 1


def test_a_body_is_repeated_with_the_try(way):
    start, server, answers, ask = way
    server.plan(answers(503))
    assert ask(start("retry: {attempts: 1, backoff: 1ms}"), "PUT", "/", (), b"body" * 1000).status == 200
    assert [request.body for request in server.requests] == [b"body" * 1000] * 2


def test_the_kept_failure_is_what_the_caller_gets_when_tries_are_used_up(way):
    start, server, answers, ask = way
    server.default = answers(503, b"theirs")
    response = ask(start("retry: {attempts: 1, backoff: 1ms}"))
    assert (response.status, response.body) == (503, b"theirs")
    assert response.header("x-outrigger-retries") == "exhausted"


def test_a_breaker_opens_and_refuses(way):
    start, server, answers, ask = way
    server.default = answers(500)
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 60s, openJitter: 0}")
    for _ in range(3):
        assert ask(proxy).status == 500
    response = ask(proxy, more=[("x-request-id", "req-1")])
    assert (response.status, response.reason) == (503, "circuit_open")
    assert len(server.requests) == 3
    said = json.loads(response.body)
    assert (said["error"], said["requestId"], said["target"]) == ("circuit_open", "req-1", server.address)
    assert response.header("content-type").startswith("application/json")
    assert re.search(r"\berror=\w+", response.header("proxy-status"))
    assert 0 < int(response.header("retry-after")) <= 60


def test_a_breaker_closes_again(way):
    start, server, answers, ask = way
    server.plan(answers(500))
    proxy = start("circuitBreaker: {consecutiveFailures: 1, openFor: 200ms, openJitter: 0, halfOpenRequests: 1}")
    assert ask(proxy).status == 500
    wait_until(lambda: ask(proxy).status == 200)
    proxy.wait_breaker("closed")


def test_a_rate_limit_refuses_with_its_fields(way):
    start, server, answers, ask = way
    proxy = start("rateLimit: {requests: 1, interval: 60s, headers: true}")
    assert ask(proxy).status == 200
    response = ask(proxy)
    assert (response.status, response.reason) == (429, "rate_limited")
    assert int(response.header("retry-after")) > 0
    assert response.header("ratelimit") and response.header("ratelimit-policy")
    assert json.loads(response.body)["retryAfterMs"] > 0


def test_a_deadline_ends_a_call(way):
    start, server, answers, ask = way
    server.default = answers(200, delay=30)
    response = ask(start("timeouts: {request: 200ms}"))
    assert (response.status, response.reason) == (504, "request_timeout")
    wait_until(lambda: server.requests[0].gone_at, what="the upstream call given up")


def test_an_attempt_that_takes_too_long_is_repeated(way):
    start, server, answers, ask = way
    server.plan(answers(200, delay=30))
    response = ask(start("timeouts: {backendRequest: 200ms}\nretry: {attempts: 1, backoff: 1ms}"))
    assert response.status == 200 and len(server.requests) == 2
    wait_until(lambda: server.requests[0].gone_at)


def test_a_bulkhead_counts_streams(make_proxy, h2_upstream):
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, "bulkhead: {maxRequests: 2, maxPending: 0}").start()
    with RawClient(proxy.port) as client:
        held = [client.request(path="/hang") for _ in range(2)]
        h2_upstream.wait_for(2)
        refused = client.get()
        assert (refused.status, refused.reason) == (503, "bulkhead_full")
        client.send(h2.rst_stream(held[0]))
        wait_until(lambda: h2_upstream.requests[0].gone_at)
        assert client.get().status == 200


def test_a_local_reply_to_head_over_http_2_has_no_body(to_h1, upstream):
    response = call(to_h1("circuitBreaker: {mode: forceOpen}"), "HEAD")
    assert (response.status, response.reason, response.body) == (503, "circuit_open", b"")
    assert response.is_complete


def test_a_refused_upload_over_http_2_is_told_at_once(to_h1, upstream):
    proxy = to_h1("circuitBreaker: {mode: forceOpen}")
    with RawClient(proxy.port) as client:
        stream = client.request("PUT", "/", end=False)
        response = client.response_so_far(stream)
        client.read_until(lambda: response.is_complete, what="the refusal while the body goes on")
        assert response.reason == "circuit_open"
        client.read_until(lambda: response.reset is not None, what="RST_STREAM")
        assert response.reset == h2.NO_ERROR
        client.try_send(h2.data(stream, b"already on its way"))
        assert client.get().reason == "circuit_open"


def test_a_body_that_stands_still_is_408_over_http_2(to_h1, upstream):
    proxy = to_h1(spec="limits: {bodyIdleTimeout: 300ms}")
    with RawClient(proxy.port) as client:
        stream = client.request("PUT", "/", [("content-length", "10")], end=False)
        client.send(h2.data(stream, b"half"))
        response = client.head(stream)
        assert (response.status, response.reason) == (408, "body_timeout")
    wait_until(lambda: upstream.open_connections == 0, what="the half request given up")
    assert not any(request.is_complete for request in upstream.requests)


def test_an_upstream_that_is_not_there_is_connect_refused(way):
    start, server, _, ask = way
    proxy = start("timeouts: {}")
    server.stop_listening()
    response = ask(proxy)
    assert (response.status, response.reason) == (503, "connect_refused")


def test_an_http_1_upstream_that_resets_is_connection_reset_over_http_2(to_h1, upstream):
    upstream.plan(reset())
    response = call(to_h1(), "POST")
    assert (response.status, response.reason) == (502, "connection_reset")


@pytest.mark.parametrize("code", [h2.CANCEL, h2.INTERNAL_ERROR, h2.PROTOCOL_ERROR, h2.ENHANCE_YOUR_CALM, h2.NO_ERROR])
def test_a_reset_stream_of_the_upstream_is_connection_reset(to_h2, h2_upstream, code):
    h2_upstream.plan(scripts.refuse(code, reads_body=True))
    response = to_h2().post()
    assert (response.status, response.reason) == (502, "connection_reset")
    assert len(h2_upstream.requests) == 1


def test_a_reset_stream_of_the_upstream_leaves_the_connection_alone(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(h2.INTERNAL_ERROR))
    proxy = to_h2()
    assert proxy.get().status == 502
    assert proxy.get().status == 200
    assert h2_upstream.accepted == 1


def test_a_reset_stream_is_retried_where_the_policy_says_so(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(h2.INTERNAL_ERROR))
    assert to_h2("retry: {attempts: 1, backoff: 1ms, on: [reset]}").get().status == 200
    assert len(h2_upstream.requests) == 2


# ---- transparent retries ----------------------------------------------------------------------------------------


def transparent(proxy):
    return proxy.metrics().sum("outrigger_retries_total", reason="transparent")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_repeated_once_without_a_policy(to_h2, h2_upstream, method):
    h2_upstream.plan(scripts.refuse())
    proxy = to_h2()
    assert proxy.request(method, "/", body=b"body" if method == "POST" else None).status == 200
    assert [request.header("x-outrigger-attempt") for request in h2_upstream.requests] == ["1", "1"]
    assert transparent(proxy) == 1
    assert h2_upstream.requests[1].body == (b"body" if method == "POST" else b"")


def test_a_stream_refused_twice_is_the_callers_to_know(to_h2, h2_upstream):
    h2_upstream.default = scripts.refuse()
    proxy = to_h2()
    response = proxy.get()
    assert (response.status, response.reason) == (502, "refused_stream")
    assert len(h2_upstream.requests) == 2 and transparent(proxy) == 1


def test_a_stream_refused_twice_is_retried_by_the_policy(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(), scripts.refuse())
    proxy = to_h2("retry: {attempts: 1, backoff: 1ms, on: [refused_stream]}")
    assert proxy.get().status == 200
    assert [request.header("x-outrigger-attempt") for request in h2_upstream.requests] == ["1", "1", "2"]


def test_a_transparent_retry_costs_no_budget_and_feeds_no_breaker(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse())
    proxy = to_h2("retry: {attempts: 1, budget: {percent: 0, interval: 10s, minRetryRate: {count: 1, interval: 10s}}}\n"
                  "circuitBreaker: {consecutiveFailures: 1}")
    before = proxy.metrics().sum("outrigger_retry_budget_available")
    assert proxy.get().status == 200
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_retry_budget_available") >= before
    assert proxy.breaker_state() == "closed"


def test_a_goaway_below_our_stream_is_repeated_once_on_another_connection(to_h2, h2_upstream):
    h2_upstream.plan(scripts.go_away())
    proxy = to_h2()
    assert proxy.post("/", b"body").status == 200
    assert [request.connection for request in h2_upstream.requests] == [0, 1]
    assert transparent(proxy) == 1
    assert h2_upstream.requests[1].body == b"body"


def test_a_goaway_at_or_above_our_stream_repeats_nothing(to_h2, h2_upstream):
    """The upstream may have worked on it."""
    h2_upstream.plan(lambda exchange: scripts.go_away(exchange.stream)(exchange))
    proxy = to_h2()
    response = proxy.post("/", b"body")
    assert (response.status, response.reason) == (502, "connection_reset")
    assert len(h2_upstream.requests) == 1 and transparent(proxy) == 0


def test_a_goaway_lets_the_running_answer_end_and_sends_the_next_call_elsewhere(to_h2, h2_upstream):
    def graceful(exchange):
        exchange.send(h2.goaway(exchange.stream))
        exchange.sleep(0.2)
        scripts.answer(200, b"whole")(exchange)

    h2_upstream.plan(graceful)
    proxy = to_h2()
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        h2_upstream.wait_for(1)
        wait_until(lambda: h2_upstream.connections[0].frames and proxy.get("/other").status == 200)
        assert client.read_response().body == b"whole"
    assert proxy.get().status == 200
    assert [request.connection for request in h2_upstream.requests][-1] == 1
    wait_until(lambda: h2_upstream.connections[0].is_over, what="the connection of the GOAWAY closed")


def test_a_graceful_shutdown_of_the_upstream_in_two_steps_loses_nothing(to_h2, h2_upstream):
    """GOAWAY with 2^31-1 first, then with the last stream: RFC 9113, 6.8."""
    h2_upstream.on("/slow", scripts.answer(200, b"slow", delay=0.4))
    proxy = to_h2()

    def one(number):
        return proxy.get("/slow").status

    def shuts_down():
        h2_upstream.wait_for(1)
        connection = h2_upstream.connections[0]
        connection.send(h2.goaway(h2.LARGEST_WINDOW))
        connection.send(h2.goaway(max(connection.exchanges)))

    statuses = together(4, lambda number: one(number) if number else shuts_down())[1:]
    assert statuses == [200] * 3


def test_many_refused_streams_at_once_are_all_repeated(to_h2, h2_upstream):
    h2_upstream.plan(*[scripts.refuse()] * 10)
    proxy = to_h2()
    statuses = together(10, lambda number: proxy.get(f"/{number}").status)
    assert statuses.count(200) + statuses.count(502) == 10
    assert transparent(proxy) == len(h2_upstream.requests) - 10


def test_a_connection_that_dies_idle_costs_no_call(to_h2, h2_upstream):
    proxy = to_h2()
    assert proxy.get().status == 200
    h2_upstream.connections[0].finish()
    assert proxy.get().status == 200
    assert h2_upstream.accepted == 2
