"""rateLimit: how many attempts pass, what the refused are told, and who shares a bucket with whom."""

import statistics
import time

from harness.client import encode
from harness.proxy import together
from harness.upstream import answer
from harness.waiting import slack, stays, wait_until


def test_the_burst_passes_and_the_rest_is_refused(start, upstream):
    proxy = start("rateLimit: {requests: 5, interval: 60s}")
    responses = [proxy.get() for _ in range(8)]
    assert [response.status for response in responses] == [200] * 5 + [429] * 3
    assert {response.reason for response in responses[5:]} == {"rate_limited"}
    assert len(upstream.requests) == 5
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", outcome="rate_limited") == 3
    assert metrics.sum("outrigger_rejections_total", reason="rate_limited") == 3


def test_a_refusal_says_when_to_come_back(start, upstream):
    proxy = start("rateLimit: {requests: 2, interval: 20s}")
    proxy.get()
    proxy.get()
    refused = proxy.get()
    assert 9 <= int(refused.header("retry-after")) <= 10  # one token every ten seconds
    assert refused.header("ratelimit")
    assert refused.header("ratelimit-policy")


def test_a_token_comes_back_in_its_time(start, upstream):
    proxy = start("rateLimit: {requests: 2, interval: 1s}")
    proxy.get()
    proxy.get()
    refused_at = time.monotonic()
    assert proxy.get().status == 429
    wait_until(lambda: proxy.get().status == 200, slack(2))
    assert time.monotonic() - refused_at > 0.2


def test_burst_may_be_smaller_than_the_rate(start, upstream):
    proxy = start("rateLimit: {requests: 60, interval: 60s, burst: 2}")
    assert [proxy.get().status for _ in range(4)] == [200, 200, 429, 429]


def test_at_most_burst_and_rate_pass_in_any_interval(start, upstream):
    proxy = start("rateLimit: {requests: 20, interval: 1s, burst: 5}")
    started = time.monotonic()
    wait_until(lambda: [proxy.get(), time.monotonic() - started > 1][1])
    passed = [request.at - upstream.requests[0].at for request in upstream.requests]
    for start_at in passed:
        assert sum(1 for at in passed if start_at <= at < start_at + 0.5) <= 5 + 10 + 1


def test_passing_answers_carry_the_fields_where_told(start, upstream):
    proxy = start("rateLimit: {requests: 5, interval: 60s, headers: true}")
    response = proxy.get()
    assert response.status == 200
    assert response.header("ratelimit") and response.header("ratelimit-policy")


def test_passing_answers_carry_no_fields_by_default(start, upstream):
    response = start("rateLimit: {requests: 5, interval: 60s}").get()
    assert response.header("ratelimit") is None and response.header("ratelimit-policy") is None


def test_a_wait_paces_the_calls(start, upstream):
    proxy = start("rateLimit: {requests: 10, interval: 1s, burst: 1, wait: 5s}")
    responses = together(6, lambda _: proxy.get())
    assert [response.status for response in responses] == [200] * 6
    at = sorted(request.at for request in upstream.requests)
    assert at[-1] - at[0] >= 0.45
    gaps = [later - earlier for earlier, later in zip(at, at[1:])]
    assert statistics.median(gaps) >= 0.08, gaps  # one that was seen late makes the next gap short
    assert proxy.metrics().sum("outrigger_rate_limit_wait_seconds_total") > 1


def test_who_would_wait_too_long_is_refused_on_arrival(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 10s, wait: 3s}")
    assert proxy.get().status == 200
    response = proxy.get()
    assert response.reason == "rate_limited"
    assert response.elapsed < slack(0.5)


def test_a_waiting_caller_that_leaves_gives_its_turn_to_the_next(start, upstream):
    proxy = start("rateLimit: {requests: 2, interval: 1s, burst: 1, wait: 10s}")
    assert proxy.get().status == 200
    leaving = proxy.client()
    leaving.send(encode("GET", "/left"))
    with proxy.client() as staying:
        staying.send(encode("GET", "/stayed"))
        leaving.close()
        assert staying.read_response().status == 200
    assert [request.target for request in upstream.requests] == ["/", "/stayed"]


def test_each_key_has_its_own_bucket(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, key: 'header:x-tenant'}")
    for tenant in ("a", "b", "c"):
        assert proxy.get("/", [("X-Tenant", tenant)]).status == 200
        assert proxy.get("/", [("X-Tenant", tenant)]).status == 429


def test_a_path_can_be_the_key(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, key: path}")
    assert [proxy.get(path).status for path in ("/a", "/b", "/a?x=1", "/b")] == [200, 200, 429, 429]


def test_a_method_can_be_the_key(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, key: method}")
    assert [proxy.request(method, "/").status for method in ("GET", "PUT", "GET")] == [200, 200, 429]


def test_the_client_can_be_the_key(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, key: client}")
    assert [proxy.get().status for _ in range(2)] == [200, 429]


def test_cycling_keys_resets_nothing(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, key: 'header:x-tenant', maxKeys: 4}")
    statuses = [proxy.get("/", [("X-Tenant", f"{number}")]).status for number in range(12)]
    assert statuses[:4] == [200] * 4
    assert statuses.count(200) <= 5  # the four and, once, what all others share
    assert proxy.get("/", [("X-Tenant", "0")]).status == 429


def test_every_attempt_is_charged(start, upstream):
    upstream.default = answer(503, b"kept")
    proxy = start("""
        rateLimit: {requests: 2, interval: 60s}
        retry: {attempts: 5, backoff: 1ms, budget: {mode: off}}
    """)
    response = proxy.get()
    assert (response.status, response.body) == (503, b"kept")
    assert len(upstream.requests) == 2
    assert proxy.metrics().sum("outrigger_retries_skipped_total", reason="rate_limited") == 1


def test_a_refusal_by_the_bulkhead_takes_no_token(start, upstream):
    from harness.upstream import hang

    upstream.on("/hang", hang())
    proxy = start("rateLimit: {requests: 2, interval: 60s}\nbulkhead: {maxRequests: 1}")
    with proxy.client() as client:
        client.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        for _ in range(5):
            assert proxy.get().reason == "bulkhead_full"
    wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_inflight") == 0)
    assert proxy.get().status == 200
    assert proxy.get().reason == "rate_limited"


def test_the_rate_limit_is_named_before_the_bulkhead(start, upstream):
    from harness.upstream import hang

    upstream.on("/hang", hang())
    proxy = start("rateLimit: {requests: 1, interval: 60s}\nbulkhead: {maxRequests: 1}")
    with proxy.client() as client:
        client.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        assert proxy.get().reason == "rate_limited"


def test_who_waits_for_a_token_holds_no_slot(start, upstream):
    proxy = start("rateLimit: {requests: 1, interval: 60s, wait: 120s, key: 'header:x-tenant'}\n"
                  "bulkhead: {maxRequests: 1, maxPending: 0}")
    assert proxy.get("/", [("X-Tenant", "a")]).status == 200
    with proxy.client() as waiting:
        waiting.send(encode("GET", "/waits", [("X-Tenant", "a")]))
        stays(lambda: len(upstream.requests) == 1, 0.2)
        assert proxy.get("/", [("X-Tenant", "b")]).status == 200


def test_the_tokens_that_are_left_are_a_metric(start, upstream):
    proxy = start("rateLimit: {requests: 10, interval: 600s}")
    for _ in range(4):
        proxy.get()
    assert 6 <= proxy.metrics().sum("outrigger_rate_limit_tokens") < 6.5
