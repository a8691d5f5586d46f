"""What moves on HTTP/2 and what stops it: connections and their streams, cancels, windows, a drain."""

import contextlib
import socket
import time

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import Client, encode
from harness.h2 import RawClient
from harness.h2_bridge import HELD_BYTES, MIB, to_h1, to_h2  # noqa: F401 (fixtures)
from harness.h2_upstream import begun, generated
from harness.proxy import together
from harness.upstream import generated as generated_h1, hang, reads_nothing
from harness.waiting import slack, stays, wait_until

# ---- connections to an HTTP/2 upstream --------------------------------------------------------------------------


def test_calls_share_one_connection(to_h2, h2_upstream):
    h2_upstream.on("/slow", scripts.answer(200, delay=0.3))
    proxy = to_h2()
    assert proxy.get().status == 200
    assert together(20, lambda number: proxy.get("/slow").status) == [200] * 20
    assert h2_upstream.accepted == 1


def test_first_calls_that_come_together_share_a_connection_or_few(to_h2, h2_upstream):
    h2_upstream.on("/slow", scripts.answer(200, delay=0.3))
    proxy = to_h2()
    assert together(20, lambda number: proxy.get("/slow").status) == [200] * 20
    assert h2_upstream.accepted <= 2


def test_a_further_connection_is_opened_when_the_peers_limit_is_reached(make_proxy, h2_upstream):
    h2_upstream.values = {h2.MAX_CONCURRENT_STREAMS: 2}
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, protocol="http2").start()
    with RawClient(proxy.port) as client:
        assert client.get().status == 200
        for count in range(1, 6):
            client.request(path="/hang")
            h2_upstream.wait_for(1 + count)
        assert client.get().status == 200
        assert max(connection.most_at_once for connection in h2_upstream.connections) <= 2
        assert h2_upstream.accepted == 3
        assert not client.resets()


def test_a_limit_of_streams_that_shrinks_is_respected(make_proxy, h2_upstream):
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, protocol="http2").start()
    with RawClient(proxy.port) as client:
        assert client.get().status == 200
        first = h2_upstream.connections[0]
        first.send(h2.settings({h2.MAX_CONCURRENT_STREAMS: 1}))
        wait_until(lambda: first.acknowledged == 2)
        for count in range(1, 4):
            client.request(path="/hang")
            h2_upstream.wait_for(1 + count)
        assert first.most_at_once <= 1


def test_a_limit_of_no_streams_is_not_fatal(make_proxy, h2_upstream):
    """A peer that allows none cannot serve: the call fails by name within its time, and the next peer setting heals."""
    h2_upstream.values = {h2.MAX_CONCURRENT_STREAMS: 0}
    proxy = make_proxy(h2_upstream, "timeouts: {connect: 300ms, request: 600ms}", protocol="http2").start()
    response = proxy.get()
    assert response.status in (502, 503, 504) and response.reason
    h2_upstream.values = ()
    wait_until(lambda: proxy.get().status == 200)


def test_connections_are_counted_on_both_sides(to_h2, h2_upstream):
    proxy = to_h2()
    with RawClient(proxy.port) as client:
        assert client.get().status == 200
        metrics = proxy.metrics()
        assert metrics.sum("outrigger_connections", side="upstream") >= 1
        assert metrics.sum("outrigger_connections", side="downstream") >= 1
    wait_until(lambda: proxy.metrics().sum("outrigger_connections", side="downstream") == 0)


def test_a_connection_that_nobody_uses_leaves_after_pool_idle(to_h2, h2_upstream):
    proxy = to_h2("timeouts: {poolIdle: 300ms}")
    assert proxy.get().status == 200
    wait_until(lambda: h2_upstream.connections[0].is_over, what="the idle connection closed")
    assert not [found for found in h2_upstream.connections[0].goaways if found.code != h2.NO_ERROR]
    assert proxy.get().status == 200


def test_max_header_list_size_of_the_upstream_ends_one_call_not_the_connection(to_h2, h2_upstream):
    large = [(f"x-{number}", "v" * 7000) for number in range(10)]
    h2_upstream.plan(lambda exchange: exchange.send(
        h2.split_block(exchange.stream, h2.block([(":status", "200"), *large]), 16384, end=True)))
    proxy = to_h2()
    response = proxy.get()
    assert (response.status, response.reason) == (502, "protocol_error")
    assert proxy.get().status == 200


# ---- cancel ----------------------------------------------------------------------------------------------------


def test_a_reset_of_the_caller_closes_an_http_1_upstream_call(to_h1, upstream):
    upstream.default = hang()
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        stream = client.request()
        upstream.wait_for(1)
        left_at = time.monotonic()
        client.send(h2.rst_stream(stream, h2.CANCEL))
        wait_until(lambda: upstream.requests[0].gone_at)
        assert upstream.requests[0].gone_at - left_at < slack(0.25)
        assert client.is_alive()
    wait_until(lambda: proxy.metrics().sum("outrigger_requests_total", outcome="cancelled") == 1)


@pytest.mark.parametrize("after_head", [False, True])
def test_a_reset_of_the_caller_resets_the_http_2_upstream_stream(make_proxy, h2_upstream, after_head):
    h2_upstream.default = scripts.hang(after=begun() if after_head else None)
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port) as client:
        stream, other = client.request(), client.request()
        h2_upstream.wait_for(2)
        if after_head:
            client.read_until(lambda: client.response_so_far(stream).body == b"half", what="half an answer")
        client.send(h2.rst_stream(stream, h2.CANCEL))
        wait_until(lambda: h2_upstream.requests[0].reset is not None)
        assert h2_upstream.requests[0].reset == h2.CANCEL
        stays(lambda: h2_upstream.requests[1].reset is None, 0.1)
        assert not client.response_so_far(other).is_over


@pytest.mark.parametrize("how", ["close", "reset_connection"])
def test_a_caller_whose_connection_ends_cancels_all_its_streams(make_proxy, h2_upstream, how):
    h2_upstream.default = scripts.hang()
    proxy = make_proxy(h2_upstream).start()
    client = RawClient(proxy.port)
    for _ in range(5):
        client.request()
    h2_upstream.wait_for(5)
    getattr(client, how)()
    wait_until(lambda: all(request.reset == h2.CANCEL for request in h2_upstream.requests))
    assert h2_upstream.open_connections == 1
    wait_until(lambda: proxy.metrics().sum("outrigger_requests_total", outcome="cancelled") == 5)


def test_an_http_1_caller_that_leaves_resets_its_http_2_stream(to_h2, h2_upstream):
    h2_upstream.default = scripts.hang()
    proxy = to_h2()
    client = proxy.client()
    client.send(encode("GET", "/"))
    h2_upstream.wait_for(1)
    client.close()
    wait_until(lambda: h2_upstream.requests[0].reset == h2.CANCEL)
    assert h2_upstream.open_connections == 1


def test_a_caller_that_leaves_while_it_waits_in_a_queue_leaves_nothing(make_proxy, h2_upstream):
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, "bulkhead: {maxRequests: 1, maxPending: 5, pendingTimeout: 20s}").start()
    with RawClient(proxy.port) as client:
        client.request(path="/hang")
        h2_upstream.wait_for(1)
        waiting = client.request(path="/waiting")
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 1)
        client.send(h2.rst_stream(waiting))
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 0)
    assert len(h2_upstream.requests) == 1


def test_an_upstream_that_leaves_in_the_middle_resets_only_its_streams(make_proxy, h2_upstream):
    h2_upstream.values = {h2.MAX_CONCURRENT_STREAMS: 1}
    h2_upstream.default = scripts.hang(after=begun())
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port) as client:
        first = client.request()
        client.read_until(lambda: client.response_so_far(first).body, what="half of the first")
        second = client.request()
        client.read_until(lambda: client.response_so_far(second).body, what="half of the second")
        h2.shut(h2_upstream.connections[0].socket)
        client.expect_reset(first, h2.INTERNAL_ERROR)
        assert not client.response_so_far(second).is_over


# ---- backpressure ----------------------------------------------------------------------------------------------


def test_an_http_1_upstream_that_reads_nothing_stops_an_http_2_caller(to_h1, upstream):
    upstream.plan(reads_nothing())
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        stream = client.settle().request("PUT", "/", end=False)
        sent = client.send_until_full(stream, 64 * MIB)
        # Beside what we hold there are the socket buffers between the proxy and the upstream.
        assert sent < HELD_BYTES + kernel_bytes()
        assert client.get("/other").status == 200
        upstream.release()
        client.send_body(stream, b"")
        assert client.response(stream).status == 200
    assert upstream.requests[0].body_bytes == sent


def kernel_bytes():
    """What the two kernel buffers between a sender and a receiver that reads nothing may take, at their largest."""
    largest = 0
    for name in ("tcp_wmem", "tcp_rmem"):
        with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as file:
            largest += int(file.read().split()[2])
    return largest


def test_an_http_2_upstream_that_grants_no_window_stops_an_http_2_caller(make_proxy, h2_upstream):
    h2_upstream.grants_window = False
    h2_upstream.default = scripts.hang()
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port) as client:
        stream = client.settle().request("PUT", "/", end=False)
        assert client.send_until_full(stream, 64 * MIB) < HELD_BYTES


def test_an_http_2_upstream_that_grants_no_window_stops_an_http_1_caller(to_h2, h2_upstream):
    h2_upstream.grants_window = False
    h2_upstream.default = scripts.hang()
    proxy = to_h2()
    before = proxy.memory()[0]
    with Client(proxy.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        client.send(encode("PUT", "/", [("Content-Length", str(1024 * MIB))]))
        client.socket.settimeout(slack(0.5))
        with contextlib.suppress(TimeoutError):
            while True:
                client.socket.send(bytes(256 * 1024))
        assert h2_upstream.requests[0].body_bytes <= h2.DEFAULT_WINDOW
        assert proxy.memory()[0] - before < 4 * MIB


def test_an_http_2_caller_that_grants_no_window_stops_an_http_2_upstream(make_proxy, h2_upstream):
    h2_upstream.plan(generated(64 * MIB))
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port, grants_window=False) as client:
        client.send(h2.window_update(0, MIB))  # so that another stream may flow
        client.settle().request()
        client.read_until(lambda: h2_upstream.sent, what="something sent")
        settle_count(lambda: h2_upstream.sent, client)
        assert h2_upstream.sent < HELD_BYTES
        assert client.get("/other").status == 200


def settle_count(count, client):
    """Waits until `count()` stands still for a while."""
    seen = -1
    while seen != count():
        seen = count()
        client.read_while(lambda: True, 0.3)


def test_an_http_2_caller_that_grants_no_window_stops_an_http_1_upstream(to_h1, upstream):
    sent = []

    async def endless(exchange):
        exchange.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1024 * MIB))
        while True:
            await exchange.send(bytes(16384))
            sent.append(16384)

    upstream.plan(endless)
    proxy = to_h1()
    before = proxy.memory()[0]
    with RawClient(proxy.port, grants_window=False) as client:
        client.settle().request()
        client.read_until(lambda: sent, what="something sent")
        settle_count(lambda: sum(sent), client)
        assert sum(sent) < HELD_BYTES + kernel_bytes()
        assert proxy.memory()[0] - before < 4 * MIB


def test_an_http_1_caller_that_reads_nothing_stops_an_http_2_upstream(to_h2, h2_upstream):
    h2_upstream.plan(generated(64 * MIB))
    proxy = to_h2()
    with proxy.client(receive_buffer=16 * 1024) as client:
        client.send(encode("GET", "/"))
        wait_until(lambda: h2_upstream.sent)
        seen = -1
        while seen != h2_upstream.sent:
            seen = h2_upstream.sent
            stays(lambda: True, 0.3)
        assert h2_upstream.sent < HELD_BYTES + kernel_bytes()
        assert proxy.get("/other").status == 200  # another call on the same upstream connection


def test_a_stream_that_nobody_reads_does_not_hold_the_others_up(make_proxy, h2_upstream):
    """The window of the connection stays open for those that are read."""
    h2_upstream.on("/large", generated(8 * MIB))
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port, grants_window=False) as idle, RawClient(proxy.port) as busy:
        for _ in range(3):
            idle.request(path="/large")
        h2_upstream.wait_for(3)
        for _ in range(3):
            assert busy.get("/large").body_bytes == 8 * MIB


@pytest.mark.parametrize("size", [8 * MIB])
def test_a_slow_reader_still_gets_every_byte(to_h1, upstream, size):
    upstream.plan(generated_h1(size))
    proxy = to_h1()
    with RawClient(proxy.port, receive_buffer=16 * 1024) as client:
        response = client.get()
        assert response.body_bytes == size and response.is_complete


def test_an_upload_of_many_streams_at_once_arrives_whole(to_h2, h2_upstream):
    proxy = to_h2()

    def upload(number):
        with RawClient(proxy.port) as client:
            return client.call("PUT", f"/{number}", body=bytes([number]) * MIB).status

    assert together(8, upload) == [200] * 8
    for request in h2_upstream.requests:
        assert request.body == bytes([int(request.target[1:])]) * MIB


def test_an_answer_that_came_whole_outlives_its_connection(to_h2, h2_upstream):
    """The upstream says as much as it may, the end of it, and closes, while the caller has not read a byte."""
    sent = []

    def until_nothing_is_taken(exchange):
        exchange.head(200)
        window, quiet_since = exchange.connection.window, time.monotonic()
        while time.monotonic() - quiet_since < 0.3:
            while window(exchange.stream) > 0:
                sent.append(min(window(exchange.stream), 16384))
                exchange.data(bytes(sent[-1]))
                quiet_since = time.monotonic()
            exchange.connection.wait(lambda: window(exchange.stream) > 0, 0.1)
        exchange.data(end=True)

    h2_upstream.on("/", scripts.close_connection(until_nothing_is_taken))
    proxy = to_h2()
    with proxy.client(receive_buffer=4096) as client:
        client.send(encode("GET", "/"))
        wait_until(lambda: h2_upstream.connections and h2_upstream.connections[0].is_over, what="the proxy's side closed")
        assert client.read_response().body_bytes == sum(sent)


# ---- drain -----------------------------------------------------------------------------------------------------


def test_a_drain_that_refuses_says_goaway_twice_and_lets_streams_end(make_proxy, h2_upstream):
    h2_upstream.on("/slow", scripts.answer(200, b"whole", delay=0.7))
    proxy = make_proxy(h2_upstream, spec="drain: {mode: refuse, timeout: 10s}").start()
    with RawClient(proxy.port) as client:
        stream = client.settle().request(path="/slow")
        h2_upstream.wait_for(1)
        proxy.process.terminate()
        client.read_until(lambda: client.goaways, what="GOAWAY")
        assert (client.goaways[0].last_stream, client.goaways[0].code) == (h2.LARGEST_WINDOW, h2.NO_ERROR)
        assert client.response(stream).body == b"whole"
        client.expect_end()
        assert (client.goaways[-1].last_stream, client.goaways[-1].code) == (stream, h2.NO_ERROR)
    assert proxy.wait_exit() == 0


def test_a_drain_that_serves_goes_on_and_says_goaway_at_the_end(make_proxy, h2_upstream):
    proxy = make_proxy(h2_upstream, spec="drain: {mode: serve, timeout: 10s}").start()
    with RawClient(proxy.port) as client:
        client.settle()
        proxy.process.terminate()
        wait_until(lambda: proxy.admin("/ready").status == 503)
        for _ in range(5):
            assert client.get().status == 200
        client.expect_end()
        assert client.goaways and client.goaways[-1].code == h2.NO_ERROR
    assert proxy.wait_exit() == 0
