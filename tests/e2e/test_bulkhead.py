"""bulkhead: how many calls are in flight, who waits, for how long, and who is sent away."""

import threading
import time

from harness.client import encode
from harness.proxy import Load, together
from harness.upstream import answer, chunked, hang
from harness.waiting import slack, stays, wait_until


def inflight(proxy):
    return proxy.metrics().sum("outrigger_bulkhead_inflight")


def queued(proxy):
    return proxy.metrics().sum("outrigger_bulkhead_queued")


def occupy(proxy, upstream, count, target="/hang", headers=()):
    """`count` callers whose calls hang at the upstream."""
    upstream.on(target, hang())
    clients = [proxy.client() for _ in range(count)]
    seen = len(upstream.requests)
    for client in clients:
        client.send(encode("GET", target, headers))
    upstream.wait_for(seen + count)
    return clients


def test_a_call_beyond_the_limit_is_refused(start, upstream):
    proxy = start("bulkhead: {maxRequests: 2}")
    clients = occupy(proxy, upstream, 2)
    response = proxy.get()
    assert (response.status, response.reason) == (503, "bulkhead_full")
    assert inflight(proxy) == 2
    for client in clients:
        client.close()
    wait_until(lambda: inflight(proxy) == 0)
    assert proxy.get().status == 200


def test_the_limit_holds_under_many_callers(start, upstream):
    running, highest, lock = [0], [0], threading.Lock()

    async def counts(exchange):
        with lock:
            running[0] += 1
            highest[0] = max(highest[0], running[0])
        result = await answer(200, delay=0.02)(exchange)
        with lock:
            running[0] -= 1
        return result

    upstream.default = counts
    proxy = start("bulkhead: {maxRequests: 5, maxPending: 100, pendingTimeout: 30s}")
    with Load(proxy, callers=20) as load:
        load.wait_calls(300)
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}
    assert highest[0] == 5


def test_a_slot_is_held_until_the_body_has_passed(start, upstream):
    upstream.on("/long", chunked([b"x"] * 20, interval=0.05))
    proxy = start("bulkhead: {maxRequests: 1}")
    with proxy.client() as client:
        client.send(encode("GET", "/long"))
        client.read_head()
        assert proxy.get().reason == "bulkhead_full"
    wait_until(lambda: proxy.get().status == 200)


def test_who_waits_is_served_when_a_slot_is_free(start, upstream):
    upstream.on("/slow", answer(200, delay=0.4))
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 2, pendingTimeout: 20s}")
    responses = together(3, lambda _: proxy.get("/slow"))
    assert [response.status for response in responses] == [200] * 3
    assert max(response.elapsed for response in responses) >= 1.1


def test_who_waits_is_served_in_order(start, upstream):
    upstream.on("/hang", hang())
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 9, pendingTimeout: 20s}")
    first, = occupy(proxy, upstream, 1)
    clients = []
    for number in range(5):
        client = proxy.client()
        client.send(encode("GET", f"/{number}"))
        clients.append(client)
        wait_until(lambda: queued(proxy) == number + 1)
    first.close()
    assert [client.read_response().status for client in clients] == [200] * 5
    assert [request.target for request in upstream.requests[1:]] == [f"/{number}" for number in range(5)]
    for client in clients:
        client.close()


def test_a_full_queue_refuses(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    first, = occupy(proxy, upstream, 1)
    with proxy.client() as waiting:
        waiting.send(encode("GET", "/waits"))
        wait_until(lambda: queued(proxy) == 1)
        assert proxy.get().reason == "bulkhead_full"
        first.close()
        assert waiting.read_response().status == 200


def test_who_waits_too_long_is_refused_by_name(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 300ms}")
    first, = occupy(proxy, upstream, 1)
    response = proxy.get()
    assert (response.status, response.reason) == (503, "queue_timeout")
    assert 0.3 <= response.elapsed < 0.3 + slack(0.3)
    assert proxy.metrics().sum("outrigger_requests_total", outcome="queue_timeout") == 1
    first.close()


def test_the_deadline_of_a_call_ends_its_wait(start, upstream):
    upstream.on("/hang", hang())
    proxy = start("""
        timeouts: {request: 300ms}
        bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}
        rules:
          - name: patient
            matches: [{path: {type: Exact, value: /hang}}]
            timeouts: {request: 0s}
    """)
    first, = occupy(proxy, upstream, 1)
    response = proxy.get()
    assert (response.status, response.reason) == (504, "request_timeout")
    first.close()


def test_a_pending_timeout_of_zero_does_not_wait(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 5, pendingTimeout: 0s}")
    first, = occupy(proxy, upstream, 1)
    assert proxy.get().elapsed < slack(0.3)
    first.close()


def test_each_key_has_its_own_bulkhead(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1, key: 'header:x-tenant'}")
    first, = occupy(proxy, upstream, 1, headers=[("X-Tenant", "a")])
    assert proxy.get("/", [("X-Tenant", "a")]).reason == "bulkhead_full"
    assert proxy.get("/", [("X-Tenant", "b")]).status == 200
    first.close()


def test_retries_do_not_queue(start, upstream):
    upstream.plan(answer(503, b"kept", delay=0.3))
    proxy = start("""
        bulkhead: {maxRequests: 1, maxPending: 5, pendingTimeout: 20s}
        retry: {attempts: 1, backoff: 300ms, maxBackoff: 300ms, jitter: none}
    """)
    with proxy.client() as retrying:
        retrying.send(encode("GET", "/"))
        upstream.wait_for(1)
        # Takes the slot while the first call waits to try again.
        with proxy.client() as other:
            upstream.on("/hang", hang())
            other.send(encode("GET", "/hang"))
            upstream.wait_for(2)
            response = retrying.read_response()
            assert (response.status, response.body) == (503, b"kept")
    assert proxy.metrics().sum("outrigger_retries_skipped_total", reason="bulkhead_full") == 1


def test_a_wait_is_measured(start, upstream):
    upstream.on("/slow", answer(200, delay=0.3))
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    together(2, lambda _: proxy.get("/slow"))
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_bulkhead_wait_seconds_count") >= 1
    assert metrics.sum("outrigger_bulkhead_wait_seconds_sum") >= 0.2
    assert metrics.sum("outrigger_bulkhead_limit") == 1


def test_a_call_that_waits_reaches_nobody(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    first, = occupy(proxy, upstream, 1)
    with proxy.client() as waiting:
        waiting.send(encode("POST", "/waits", body=b"x" * 1000))
        wait_until(lambda: queued(proxy) == 1)
        stays(lambda: len(upstream.requests) == 1, 0.2)
        first.close()
        assert waiting.read_response().status == 200
    assert upstream.requests[1].body == b"x" * 1000


def test_a_refusal_is_quick(start, upstream):
    proxy = start("bulkhead: {maxRequests: 1}")
    first, = occupy(proxy, upstream, 1)
    started = time.monotonic()
    for _ in range(50):
        assert proxy.get().status == 503
    assert time.monotonic() - started < slack(2)
    first.close()
