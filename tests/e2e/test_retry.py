"""retry: what is repeated, what never is, how long the wait is, and who pays for it."""

import email.utils
import time

import pytest
from harness.client import encode
from harness.proxy import together
from harness.upstream import answer, hang, head, raw, reset
from harness.waiting import IS_DEBUG_BUILD, slack, wait_until

QUICK = "retry: {attempts: 2, backoff: 1ms}"


def skipped(proxy, reason):
    return proxy.metrics().sum("outrigger_retries_skipped_total", reason=reason)


def test_a_failed_try_is_repeated_and_its_success_returned(start, upstream):
    upstream.plan(answer(503), answer(502))
    proxy = start(QUICK)
    assert proxy.get().body == b"ok"
    assert len(upstream.requests) == 3
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_retries_total") == 2
    assert metrics.sum("outrigger_requests_total", outcome="success_after_retry") == 1
    assert metrics.sum("outrigger_attempts_total") == 3


def test_when_tries_are_used_up_the_caller_gets_the_last_answer(start, upstream):
    upstream.plan(answer(503, b"one"), answer(503, b"two"), answer(503, b"three", [("X-Mine", "yes")]))
    proxy = start(QUICK)
    response = proxy.get()
    assert (response.status, response.body, response.header("x-mine")) == (503, b"three", "yes")
    assert response.reason is None
    assert response.header("x-outrigger-retries") == "exhausted"
    assert len(upstream.requests) == 3
    assert skipped(proxy, "attempts") == 1
    assert proxy.metrics().sum("outrigger_requests_total", outcome="failure_after_retry") == 1


def test_without_the_block_nothing_is_repeated(start, upstream):
    upstream.plan(answer(503))
    response = start().get()
    assert response.status == 503 and response.header("x-outrigger-retries") is None
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("status, tries", [(500, 1), (502, 3), (503, 3), (504, 3), (429, 1), (404, 1)])
def test_the_codes_of_the_default_are_502_503_504(start, upstream, status, tries):
    upstream.default = answer(status)
    assert start(QUICK).get().status == status
    assert len(upstream.requests) == tries


def test_codes_are_the_complete_list(start, upstream):
    upstream.on("/a", answer(500))
    upstream.on("/b", answer(503))
    proxy = start("retry: {attempts: 1, backoff: 1ms, codes: [500]}")
    proxy.get("/a")
    proxy.get("/b")
    assert [request.target for request in upstream.requests] == ["/a", "/a", "/b"]


@pytest.mark.parametrize("failure", [answer(503), reset(), hang(), raw(b"HTTP/1.1 200 OK\r\nContent-")],
                         ids=["status", "reset", "timeout", "half a head"])
def test_a_post_is_never_repeated(start, upstream, failure):
    upstream.default = failure
    proxy = start("timeouts: {backendRequest: 300ms}\n" + QUICK)
    assert proxy.post().status in (502, 503, 504)
    assert len(upstream.requests) == 1
    assert skipped(proxy, "method") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_idempotent_methods_are_repeated(start, upstream, method):
    upstream.plan(answer(503))
    assert start(QUICK).request(method, "/").status == 200
    assert len(upstream.requests) == 2


def test_methods_are_the_complete_list(start, upstream):
    upstream.default = answer(503)
    proxy = start("retry: {attempts: 1, backoff: 1ms, methods: [POST]}")
    proxy.post("/post")
    proxy.get("/get")
    assert [request.target for request in upstream.requests] == ["/post", "/post", "/get"]


def test_an_idempotency_key_admits_a_post(start, upstream):
    upstream.plan(answer(503))
    assert start(QUICK).post(headers=[("Idempotency-Key", '"8e03"')]).status == 200
    assert [request.body for request in upstream.requests] == [b"data", b"data"]


def test_an_idempotency_key_can_be_forbidden_to(start, upstream):
    upstream.plan(answer(503))
    proxy = start("retry: {attempts: 2, backoff: 1ms, honourIdempotencyKey: false}")
    assert proxy.post(headers=[("Idempotency-Key", '"8e03"')]).status == 503
    assert len(upstream.requests) == 1


def test_a_refused_connection_is_tried_again(start, upstream):
    proxy = start("retry: {attempts: 2, backoff: 1ms}")
    upstream.stop_listening()
    response = proxy.get()
    assert (response.status, response.reason) == (503, "connect_refused")
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_attempts_total", result="connect_failure") == 3
    assert metrics.sum("outrigger_retries_total", reason="connect_failure") == 2


def test_a_reset_on_a_fresh_connection_is_tried_again_and_paid_for(start, upstream):
    upstream.plan(reset())
    proxy = start(QUICK)
    assert proxy.get().status == 200
    assert proxy.metrics().sum("outrigger_retries_total", reason="reset") == 1


def test_a_timed_out_attempt_is_tried_again(start, upstream):
    upstream.plan(hang())
    proxy = start("timeouts: {backendRequest: 300ms}\n" + QUICK)
    assert proxy.get().status == 200
    assert proxy.metrics().sum("outrigger_retries_total", reason="timeout") == 1


def test_only_the_kinds_that_on_names_are_tried_again(start, upstream):
    upstream.default = reset()
    proxy = start("retry: {attempts: 2, backoff: 1ms, on: [connect_failure]}")
    assert proxy.get().reason == "connection_reset"
    assert len(upstream.requests) == 1
    assert skipped(proxy, "not_retryable") == 1


def test_a_body_is_repeated_as_it_was(start, upstream):
    upstream.plan(answer(503), answer(503))
    body = bytes(range(256)) * 200
    assert start(QUICK).request("PUT", "/", body=body).status == 200
    assert [request.body for request in upstream.requests] == [body] * 3


def test_a_chunked_body_is_repeated_as_it_was(start, upstream):
    upstream.plan(answer(503))
    proxy = start(QUICK)
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    assert [request.body for request in upstream.requests] == [b"helloworld"] * 2


def test_a_body_beyond_max_body_is_not_repeated(start, upstream):
    upstream.default = answer(503, b"failed")
    proxy = start("retry: {attempts: 2, backoff: 1ms, maxBody: 1KiB}")
    response = proxy.request("PUT", "/", body=bytes(2000))
    assert (response.status, response.body) == (503, b"failed")
    assert len(upstream.requests) == 1
    assert skipped(proxy, "body_too_large") == 1


def test_after_the_first_byte_of_an_answer_nothing_is_repeated(start, upstream):
    upstream.plan(reset(after=head(200, [("Content-Length", "100")]) + b"half"))
    proxy = start(QUICK)
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        assert client.read_until_close().endswith(b"half")
    assert len(upstream.requests) == 1


def test_the_wait_doubles_without_jitter(start, upstream):
    upstream.default = answer(503)
    start("retry: {attempts: 3, backoff: 100ms, maxBackoff: 200ms, jitter: none, budget: {mode: off}}").get()
    at = [request.at for request in upstream.requests]
    waits = [later - earlier for earlier, later in zip(at, at[1:])]
    for wait, least in zip(waits, (0.1, 0.2, 0.2)):  # maxBackoff caps the third
        assert least <= wait + 0.002 and wait < least + slack(0.1)


def test_full_jitter_stays_below_the_cap(start, upstream):
    upstream.default = answer(503)
    proxy = start("retry: {attempts: 5, backoff: 50ms, maxBackoff: 50ms, budget: {mode: off}}")
    proxy.get()
    at = [request.at for request in upstream.requests]
    assert len(at) == 6
    assert at[-1] - at[0] < 5 * 0.05 + slack(0.2)


def test_retry_after_is_the_least_wait(start, upstream):
    upstream.plan(answer(503, headers=[("Retry-After", "1")]))
    assert start(QUICK).get().status == 200
    assert upstream.requests[1].at - upstream.requests[0].at >= 0.99


def test_retry_after_as_a_date_is_the_least_wait(start, upstream):
    upstream.plan(answer(503, headers=[("Retry-After", email.utils.formatdate(time.time() + 2, usegmt=True))]))
    assert start(QUICK).get().status == 200
    assert upstream.requests[1].at - upstream.requests[0].at >= 0.9


@pytest.mark.parametrize("value", ["30", email.utils.formatdate(4102444800, usegmt=True)], ids=["seconds", "date"])
def test_a_retry_after_beyond_the_maximum_means_no_retry(start, upstream, value):
    upstream.plan(answer(503, b"later", [("Retry-After", value)]))
    proxy = start("retry: {attempts: 2, backoff: 1ms, maxRetryAfter: 5s}")
    response = proxy.get()
    assert (response.status, response.body, response.header("retry-after")) == (503, b"later", value)
    assert response.elapsed < slack(0.5)
    assert skipped(proxy, "retry_after") == 1


def test_a_wait_beyond_the_deadline_means_no_retry(start, upstream):
    upstream.plan(answer(503, b"kept"))
    proxy = start("timeouts: {request: 500ms}\nretry: {attempts: 2, backoff: 2s, maxBackoff: 2s, jitter: none}")
    response = proxy.get()
    assert (response.status, response.body) == (503, b"kept")
    assert response.elapsed < slack(0.4)
    assert skipped(proxy, "deadline") == 1


def test_a_kept_answer_is_returned_when_no_other_attempt_reaches_the_wire(start, upstream):
    async def fails_and_goes_down(exchange):
        exchange.upstream._server.close()
        await exchange.send(head(503, [("Content-Length", "5"), ("Connection", "close")]) + b"first")
        return False

    upstream.plan(fails_and_goes_down)
    proxy = start(QUICK)
    response = proxy.get()
    assert (response.status, response.body, response.reason) == (503, b"first", None)
    assert response.header("x-outrigger-retries") == "exhausted"
    assert len(upstream.requests) == 1


def test_without_a_kept_answer_the_reason_of_the_last_attempt_is_named(start, upstream):
    upstream.plan(answer(503, b"first", keep=False))  # or the reset would be a stale connection's
    upstream.default = reset()
    response = start("retry: {attempts: 1, backoff: 1ms}").get()
    assert (response.status, response.reason) == (502, "connection_reset")
    assert len(upstream.requests) == 2


def test_the_budget_holds_an_outage_of_ten_thousand_calls_at_a_fifth(start, upstream):
    calls = 1500 if IS_DEBUG_BUILD else 10_000
    upstream.default = answer(503)
    proxy = start("""
        retry: {attempts: 3, backoff: 1ms, maxBackoff: 1ms,
                budget: {percent: 20, interval: 60s, minRetryRate: {count: 1, interval: 60s}}}
    """)

    def caller(_):
        with proxy.client() as client:
            for _ in range(calls // 10):
                assert client.get().status == 503

    together(10, caller)
    metrics = proxy.metrics()
    retries = metrics.sum("outrigger_retries_total")
    assert len(upstream.requests) == calls + retries
    assert calls * 0.19 <= retries <= calls * 0.2 + 1
    assert metrics.sum("outrigger_retries_skipped_total", reason="budget") > calls * 0.5


def test_a_quiet_target_has_its_minimum_of_retries(start, upstream):
    upstream.default = answer(503)
    proxy = start("""
        retry: {attempts: 9, backoff: 1ms,
                budget: {percent: 1, interval: 10s, minRetryRate: {count: 3, interval: 10s}}}
    """)
    proxy.get()
    assert len(upstream.requests) == 1 + 3
    assert skipped(proxy, "budget") == 1


def test_the_budget_can_be_switched_off(start, upstream):
    upstream.default = answer(503)
    start("retry: {attempts: 20, backoff: 1ms, maxBackoff: 1ms, budget: {mode: off}}").get()
    assert len(upstream.requests) == 21


def test_the_budget_that_is_left_is_a_metric(start, upstream):
    upstream.plan(answer(503))
    proxy = start("retry: {attempts: 1, backoff: 1ms, budget: {percent: 20, interval: 60s, "
                  "minRetryRate: {count: 10, interval: 60s}}}")
    proxy.get()
    assert proxy.metrics().sum("outrigger_retry_budget_available") == 9


def test_retries_that_an_upstream_proxy_exhausted_are_believed_only_where_told(start, upstream):
    upstream.default = answer(503, headers=[("X-Outrigger-Retries", "exhausted")])
    proxy = start("""
        retry: {attempts: 1, backoff: 1ms}
        rules:
          - name: trusting
            matches: [{path: {type: PathPrefix, value: /trusting}}]
            retry: {trustUpstreamMarks: true}
    """)
    proxy.get("/doubting")
    proxy.get("/trusting")
    assert [request.target for request in upstream.requests] == ["/doubting", "/doubting", "/trusting"]
    assert skipped(proxy, "exhausted_upstream") == 1


# ---- reused connections ----------------------------------------------------------------------------------------


def dies_when_used_again(upstream):
    """The next connection answers once; its second request is met with an RST."""
    upstream.plan(answer(200, b"first"), reset())


def test_a_stale_connection_costs_an_idempotent_call_nothing(start, upstream):
    dies_when_used_again(upstream)
    proxy = start("circuitBreaker: {consecutiveFailures: 1}")
    assert proxy.get().body == b"first"
    assert proxy.get().body == b"ok"
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_retries_total", reason="transparent") == 1
    assert proxy.breaker_state() == "closed"
    assert metrics.sum("outrigger_requests_total", outcome="success") == 2
    assert upstream.accepted == 2


def test_a_transparent_retry_is_made_once(start, upstream):
    upstream.plan(answer(200), reset(), reset())
    proxy = start()
    assert proxy.get().status == 200
    assert proxy.get().reason == "connection_reset"
    assert len(upstream.requests) == 3


def test_a_stale_connection_never_repeats_a_post(start, upstream):
    dies_when_used_again(upstream)
    proxy = start()
    assert proxy.get().body == b"first"
    response = proxy.post("/charge")
    assert (response.status, response.reason) == (502, "connection_reset")
    assert [request.target for request in upstream.requests] == ["/", "/charge"]


def test_a_connection_that_the_upstream_closed_is_not_taken(start, upstream):
    proxy = start()
    assert proxy.get().status == 200
    upstream.close_idle()
    wait_until(lambda: upstream.open_connections == 0)
    assert proxy.post("/charge").status == 200
    assert [request.target for request in upstream.requests] == ["/", "/charge"]
    assert proxy.metrics().sum("outrigger_retries_total") == 0


def test_a_post_does_not_take_a_connection_that_idled_longer_than_a_second(start, upstream):
    proxy = start()
    assert proxy.get().status == 200
    idle_since = time.monotonic()
    wait_until(lambda: time.monotonic() > idle_since + 1.2)
    assert proxy.post().status == 200
    assert upstream.requests[1].connection != upstream.requests[0].connection
    assert proxy.get().status == 200
    assert upstream.accepted == 2
