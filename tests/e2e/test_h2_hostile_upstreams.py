"""What hostile upstreams of HTTP/2 do, and what it costs them: each kind of outrigger_http2_defences_total."""

import contextlib
import time

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import encode
from harness.h2 import RawClient
from harness.h2_attack import (ASKING, attack, BATCH, BATCHES, bomb, bounded, defences, MIB, Neighbour, PINGING,
                               pings, SHORT, shown, wait_defence)
from harness.h2_upstream import begun
from harness.ports import free_port
from harness.upstream import hang
from harness.waiting import slack, wait_until


def flooding(frames, before=None, reads=True):
    """A script that floods its connection with frames (a function of the stream) until the proxy ends it."""

    def script(exchange):
        exchange.read_body()
        if not reads:
            exchange.upstream.may_read.clear()
        if before:
            before(exchange)
        chunk = frames(exchange.stream) * BATCH
        try:
            for _ in range(10 * BATCHES):
                exchange.send(chunk)
        finally:
            exchange.upstream.may_read.set()

    return script


def assert_upstream_cut(proxy, h2_upstream, kind, code):
    wait_defence(proxy, "upstream", kind)
    wait_until(lambda: any(connection.is_over for connection in h2_upstream.connections), what="a connection closed")
    codes = [found.code for connection in h2_upstream.connections for found in connection.goaways]
    assert code in codes
    assert proxy.get("/honest").status == 200


UPSTREAM_FLOODS = {
    "empty DATA": (lambda stream: h2.data(stream), begun()),
    "PRIORITY": (lambda stream: h2.priority(stream, 3), None),
    "WINDOW_UPDATE on the connection": (lambda stream: h2.window_update(0, 1), None),
    "WINDOW_UPDATE on the stream": (lambda stream: h2.window_update(stream, 1), None),
    "unknown frames": (lambda stream: h2.frame(0xbe, 0, 0, b"nothing"), None),
}


@pytest.fixture
def hostile(make_proxy, h2_upstream):
    """hostile(script) runs a proxy whose calls to /attack meet `script`. The neighbours have a listener of their own and
    an upstream of their own: calls that share a connection with an attack may end with it."""
    honest = scripts.RawUpstream()

    def begin(script, spec="", policy="timeouts: {request: 20s}"):
        h2_upstream.on("/attack", script)
        ports = [free_port(), free_port()]
        listeners = [(f"127.0.0.1:{port}", to.address) for port, to in zip(ports, (h2_upstream, honest))]
        proxy = make_proxy(None, policy, listeners=listeners, protocol="http2", spec=spec)
        proxy.port, proxy.honest_port = ports
        return proxy.start()

    yield begin
    honest.close()


@pytest.mark.parametrize("name", UPSTREAM_FLOODS)
def test_a_flood_of_an_upstream_is_cut(hostile, h2_upstream, name):
    frames, before = UPSTREAM_FLOODS[name]
    proxy = hostile(flooding(frames, before))
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        with contextlib.suppress(EOFError, ConnectionError):
            response = attack(proxy)
            assert response.status == 502 and response.reason or before
        assert_upstream_cut(proxy, h2_upstream, "glitches", h2.ENHANCE_YOUR_CALM)


def test_an_hpack_bomb_of_an_upstream_is_502(hostile, h2_upstream):
    proxy = hostile(lambda exchange: exchange.send(bomb(exchange.stream, status="200")))
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        for count in range(1, 4):  # some more, and the connection that all calls share is ended
            response = attack(proxy)
            assert (response.status, response.reason) == (502, "protocol_error")
            wait_defence(proxy, "upstream", "header_list", count)
        for _ in range(30):
            assert attack(proxy).status == 502
        assert proxy.get("/honest").status == 200


def test_too_many_headers_of_an_upstream_are_502(hostile, h2_upstream):
    many = h2.block([(":status", "200"), *[("x", "1")] * 101])
    proxy = hostile(lambda exchange: exchange.send(h2.headers(exchange.stream, many, end=True)))
    response = attack(proxy)
    assert (response.status, response.reason) == (502, "protocol_error")
    wait_defence(proxy, "upstream", "header_list")


def test_a_malformed_answer_is_counted(hostile, h2_upstream):
    bad = h2.block([(":status", "200"), ("UPPER", "1")])
    proxy = hostile(lambda exchange: exchange.send(h2.headers(exchange.stream, bad, end=True)))
    response = attack(proxy)
    assert (response.status, response.reason) == (502, "protocol_error")
    wait_defence(proxy, "upstream", "malformed")


def test_a_connection_error_of_an_upstream_is_counted(hostile, h2_upstream):
    proxy = hostile(lambda exchange: exchange.send(h2.data(0, b"x")))
    with Neighbour(proxy, proxy.honest_port):
        response = attack(proxy)
        assert (response.status, response.reason) == (502, "protocol_error")
        assert_upstream_cut(proxy, h2_upstream, "protocol_error", h2.PROTOCOL_ERROR)


def test_a_flood_of_informational_heads_ends(hostile, h2_upstream):
    """103 without end: the call fails by name, by a limit or by its deadline."""
    def heads(exchange):
        exchange.read_body()
        while True:
            exchange.send(h2.headers(exchange.stream, h2.block([(":status", "103"), ("x", "y" * 100)])) * 10)

    proxy = hostile(heads, policy="timeouts: {request: 3s}")
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        response = attack(proxy)
        assert response.status in (502, 504) and response.reason in ("protocol_error", "request_timeout")
        wait_until(lambda: h2_upstream.requests[-1].reset is not None or
                   any(connection.is_over for connection in h2_upstream.connections) or
                   any(request.reset is not None for request in h2_upstream.requests), what="the stream given up")


def test_a_flood_of_resets_of_an_upstream_is_cut(hostile, h2_upstream):
    def resets(exchange):
        exchange.read_body()
        exchange.send(h2.rst_stream(exchange.stream, h2.INTERNAL_ERROR))
        for _ in range(1000):
            exchange.send(h2.rst_stream(exchange.stream, h2.INTERNAL_ERROR) * 100)

    proxy = hostile(resets)
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        response = attack(proxy)
        assert (response.status, response.reason) == (502, "connection_reset")
        assert_upstream_cut(proxy, h2_upstream, "resets", h2.ENHANCE_YOUR_CALM)


@pytest.mark.parametrize("name", ASKING)
def test_an_upstream_that_makes_us_answer_and_does_not_read_is_cut(hostile, h2_upstream, name):
    proxy = hostile(flooding(lambda stream: ASKING[name], reads=False))
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        with contextlib.suppress(EOFError, ConnectionError):
            assert attack(proxy).status >= 500
        wait_until(lambda: defences(proxy, "upstream", "outbound_queue") or defences(proxy, "upstream", "glitches"),
                   what="the end of the connection counted")
        wait_until(lambda: proxy.get("/honest").status == 200)


@pytest.mark.parametrize("piece", [b"", h2.literal("x", "y" * 1000)], ids=["empty", "full"])
def test_a_continuation_flood_of_an_upstream_is_cut(hostile, h2_upstream, piece):
    proxy = hostile(flooding(lambda stream: h2.continuation(stream, piece, end_headers=False),
                             before=lambda exchange: exchange.send(
                                 h2.headers(exchange.stream, h2.block([(":status", "200")]), end_headers=False))))
    with Neighbour(proxy, proxy.honest_port), bounded(proxy):
        response = attack(proxy)
        assert (response.status, response.reason) == (502, "protocol_error")
        wait_until(lambda: any(defences(proxy, "upstream", kind)
                               for kind in ("header_list", "glitches", "protocol_error")))


def test_an_upstream_that_never_reads_is_closed(make_proxy, h2_upstream):
    h2_upstream.values = {h2.INITIAL_WINDOW_SIZE: h2.LARGEST_WINDOW}
    h2_upstream.on_connect = lambda connection: connection.send(
        h2.window_update(0, h2.LARGEST_WINDOW - h2.DEFAULT_WINDOW))
    h2_upstream.on("/upload", lambda exchange: exchange.upstream.may_read.clear())
    proxy = make_proxy(h2_upstream, protocol="http2", spec=SHORT).start()
    with proxy.client() as client, bounded(proxy):
        client.send(encode("PUT", "/upload", [("Content-Length", str(1024 * MIB))]))
        h2_upstream.wait_for(1)
        client.socket.settimeout(slack(3))
        with contextlib.suppress(OSError):
            for _ in range(1024):
                client.socket.send(bytes(MIB))
        wait_defence(proxy, "upstream", "write_timeout")
        answered = client.read_until_close()
        assert answered == b"" or answered.startswith(b"HTTP/1.1 50")
    h2_upstream.may_read.set()
    wait_until(lambda: proxy.get("/honest").status == 200)


def test_an_upstream_that_answers_no_ping_is_closed(make_proxy, h2_upstream):
    h2_upstream.answers_pings = False
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, protocol="http2", spec=PINGING).start()
    started = time.monotonic()
    response = proxy.post("/hang")
    assert (response.status, response.reason) == (502, "connection_reset")
    assert 1.8 < time.monotonic() - started < 2 + slack(1.5)
    wait_defence(proxy, "upstream", "keep_alive")
    assert pings(h2_upstream.connections[0])
    assert proxy.get("/honest").status == 200
    assert h2_upstream.accepted == 2


def test_an_upstream_that_answers_pings_stays(make_proxy, h2_upstream):
    h2_upstream.on("/slow", scripts.answer(200, b"late", delay=5.5))
    proxy = make_proxy(h2_upstream, protocol="http2", spec=PINGING).start()
    assert proxy.get("/slow").body == b"late"
    assert 2 <= len(pings(h2_upstream.connections[0])) <= 6
    assert shown(proxy) == {}


def test_an_idle_upstream_connection_gets_no_ping(make_proxy, h2_upstream):
    proxy = make_proxy(h2_upstream, protocol="http2", spec=PINGING).start()
    assert proxy.get().status == 200
    with pytest.raises(AssertionError):
        wait_until(lambda: pings(h2_upstream.connections[0]), 2.5)


def test_a_hostile_upstream_does_not_take_the_callers_connection_with_it(make_proxy, h2_upstream):
    h2_upstream.on("/attack", lambda exchange: exchange.send(h2.data(0, b"x")))
    h2_upstream.on("/hang", None)
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port) as client:
        stream = client.settle().request(path="/hang")
        h2_upstream.wait_for(1)
        assert client.get("/attack").reason == "protocol_error"
        shared = client.response(stream)
        assert shared.status == 502 and shared.reason in ("protocol_error", "connection_reset")
        assert client.get("/honest").status == 200
        assert not client.goaways


def test_a_hundred_hostile_connections_leave_nothing_behind(make_proxy, upstream):
    upstream.default = hang()
    proxy = make_proxy(upstream, protocol="http1").start()
    before = proxy.descriptors()
    clients = [RawClient(proxy.port) for _ in range(100)]
    for client in clients:
        client.request()
    upstream.wait_for(100)
    for client in clients:
        client.send(h2.data(99, b"x"))
        client.expect_goaway(h2.PROTOCOL_ERROR)
        client.close()
    wait_until(lambda: upstream.open_connections == 0, what="every call given up")
    wait_until(lambda: proxy.descriptors() <= before + 2, what="descriptors given back")
    wait_defence(proxy, "downstream", "protocol_error", 100)
