"""A caller that leaves takes its call with it, at once."""

import time

import pytest
from harness.client import encode
from harness.upstream import hang, head
from harness.waiting import slack, stays, wait_until


def leave_by_fin(client):
    client.close()


def leave_by_reset(client):
    client.reset()


@pytest.mark.parametrize("leave", [leave_by_fin, leave_by_reset])
def test_leaving_before_the_answer_ends_the_upstream_call(start, upstream, leave):
    upstream.default = hang()
    proxy = start()
    client = proxy.client()
    client.send(encode("GET", "/"))
    upstream.wait_for(1)
    left_at = time.monotonic()
    leave(client)
    wait_until(lambda: upstream.requests[0].gone_at)
    assert upstream.requests[0].gone_at - left_at < slack(0.25)
    wait_until(lambda: proxy.metrics().sum("outrigger_requests_total", outcome="cancelled") == 1)
    assert proxy.metrics().sum("outrigger_attempts_total", result="cancelled") == 1


@pytest.mark.parametrize("leave", [leave_by_fin, leave_by_reset])
def test_leaving_in_the_middle_of_an_answer_ends_the_upstream_call(start, upstream, leave):
    upstream.default = hang(after=head(200, [("Content-Length", "100")]) + b"half")
    proxy = start()
    client = proxy.client()
    client.send(encode("GET", "/"))
    client.read_head()
    assert client.read_exactly(4) == b"half"
    leave(client)
    wait_until(lambda: upstream.requests[0].gone_at, slack(1))


def test_leaving_during_the_wait_between_tries_ends_the_call(start, upstream):
    upstream.default = hang()
    from harness.upstream import answer

    upstream.plan(answer(503))
    proxy = start("retry: {attempts: 2, backoff: 400ms, maxBackoff: 400ms, jitter: none}")
    client = proxy.client()
    client.send(encode("GET", "/"))
    upstream.wait_for(1)
    client.close()
    stays(lambda: len(upstream.requests) == 1, 0.8)
    assert proxy.metrics().sum("outrigger_retries_skipped_total", reason="cancelled") <= 1


def test_leaving_the_queue_of_a_bulkhead_gives_the_place_free(start, upstream):
    upstream.on("/hang", hang())
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    with proxy.client() as first:
        first.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        second = proxy.client()
        second.send(encode("GET", "/second"))
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 1)
        second.close()
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 0)
        third = proxy.client()
        third.send(encode("GET", "/third"))
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 1)
        first.close()
        assert third.read_response().status == 200
        third.close()
    assert [request.target for request in upstream.requests] == ["/hang", "/third"]


def test_what_was_pipelined_behind_a_call_that_left_is_not_sent(start, upstream):
    upstream.on("/hang", hang())
    proxy = start()
    client = proxy.client()
    client.send(encode("GET", "/hang") + encode("POST", "/second", body=b"x"))
    upstream.wait_for(1)
    client.reset()
    wait_until(lambda: upstream.requests[0].gone_at)
    stays(lambda: len(upstream.requests) == 1, 0.2)


def test_a_hundred_callers_that_leave_leave_nothing_behind(start, upstream):
    upstream.default = hang()
    proxy = start("bulkhead: {maxRequests: 100}")
    before = proxy.descriptors()
    clients = [proxy.client() for _ in range(100)]
    for client in clients:
        client.send(encode("GET", "/"))
    upstream.wait_for(100)
    for client in clients:
        client.reset()
    wait_until(lambda: upstream.open_connections == 0)
    wait_until(lambda: proxy.descriptors() <= before + 2, what="descriptors given back")
    assert proxy.metrics().sum("outrigger_bulkhead_inflight") == 0
