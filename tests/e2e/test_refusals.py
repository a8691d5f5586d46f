"""What a refused caller sees: one reason, the same word everywhere, and where the policy stands that decided."""

import json
import re

import pytest
from harness.client import encode
from harness.upstream import answer, hang, raw, reset
from harness.waiting import wait_until


def refuse_open(start, upstream):
    return start("circuitBreaker: {mode: forceOpen}").get


def refuse_rate(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s}")
    proxy.get()
    return proxy.get


def refuse_timeout(start, upstream):
    upstream.default = hang()
    return start("timeouts: {request: 100ms}").get


def refuse_attempt(start, upstream):
    upstream.default = hang()
    return start("timeouts: {backendRequest: 100ms}").get


def refuse_reset(start, upstream):
    upstream.default = reset()
    return start("timeouts: {}").get


def refuse_protocol(start, upstream):
    upstream.default = raw(b"nonsense\r\n\r\n")
    return start("timeouts: {}").get


def refuse_connect(start, upstream):
    proxy = start("timeouts: {}")
    upstream.stop_listening()
    return proxy.get


CASES = [(refuse_open, 503, "circuit_open"), (refuse_rate, 429, "rate_limited"),
         (refuse_timeout, 504, "request_timeout"), (refuse_attempt, 504, "attempt_timeout"),
         (refuse_reset, 502, "connection_reset"), (refuse_protocol, 502, "protocol_error"),
         (refuse_connect, 503, "connect_refused")]
BY_POLICY = {"circuit_open": "circuitBreaker", "rate_limited": "rateLimit", "request_timeout": "timeouts",
             "attempt_timeout": "timeouts"}


@pytest.mark.parametrize("refuse, status, reason", CASES, ids=[reason for _, _, reason in CASES])
def test_a_refusal_explains_itself(start, upstream, refuse, status, reason):
    response = refuse(start, upstream)("/", [("X-Request-Id", "req-1")])
    assert (response.status, response.reason) == (status, reason)
    assert re.search(r"\berror=\w+", response.header("proxy-status"))
    assert response.header("content-type").startswith("application/json")
    said = json.loads(response.body)
    assert said["error"] == reason
    assert said["target"] == upstream.address
    assert said["requestId"] == "req-1"
    assert {"policy", "rule", "at", "retryAfterMs"} <= set(said)
    if reason in BY_POLICY:
        assert re.fullmatch(r".*policy\.yaml:\d+", said["at"])
    if response.header("retry-after"):
        assert said["retryAfterMs"] <= int(response.header("retry-after")) * 1000


def test_a_refusal_leaves_the_connection_open(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    with proxy.client() as client:
        for _ in range(3):
            assert client.get().reason == "circuit_open"


def test_a_refusal_that_leaves_a_body_unread_stays_in_step_or_says_that_it_closes(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    with proxy.client() as client:
        response = client.request("PUT", "/", body=b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        assert response.reason == "circuit_open"
        if response.header("connection") == "close":
            assert client.is_closed_by_peer()
        else:
            assert client.get().reason == "circuit_open"


def test_a_refused_head_has_no_body(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    with proxy.client() as client:
        assert client.request("HEAD", "/").status == 503
        assert client.get().reason == "circuit_open"


def test_a_refused_upload_need_not_be_read_to_its_end(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "1000000000"), ("Expect", "100-continue")]))
        response = client.read_response()
        assert response.reason == "circuit_open" and response.interim == []


def test_the_same_word_is_in_header_metric_and_log(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    reason = proxy.get("/", [("X-Request-Id", "look-for-me")]).reason
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_rejections_total", reason=reason) == 1
    assert metrics.sum("outrigger_requests_total", outcome=reason) == 1
    wait_until(lambda: any("look-for-me" in json.dumps(line) and reason in json.dumps(line) for line in proxy.logs()))


def test_an_error_of_the_upstream_passes_as_it_is(start, upstream):
    upstream.plan(answer(503, b"theirs", [("Content-Type", "text/plain")]))
    response = start("circuitBreaker: {}").get()
    assert (response.status, response.body, response.header("content-type")) == (503, b"theirs", "text/plain")
    assert response.reason is None and response.header("proxy-status") is None


def test_what_a_caller_sends_cannot_forge_a_log_line(start, upstream):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    proxy.get('/%0a{"level":"error","event":"forged"}', [("X-Request-Id", 'a"},{"event":"forged')])
    wait_until(proxy.logs)
    assert all(line.get("event") != "forged" for line in proxy.logs())


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", 'a"b\\c', "x" * 4000], ids=["HTML", "quotes", "long"])
def test_what_a_caller_sends_stays_a_string_in_the_answer(start, upstream, hostile):
    proxy = start("circuitBreaker: {mode: forceOpen}")
    response = proxy.get("/", [("X-Request-Id", hostile)])
    assert response.status == 503
    assert isinstance(json.loads(response.body)["requestId"], str)
