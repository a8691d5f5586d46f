"""protocol: tcp - bytes that are passed on as they are, with the policies that make sense for connections."""

import threading
import time

import pytest

from harness.ports import free_port
from harness.tcp import Echo, Line
from harness.waiting import slack, stays, wait_until


@pytest.fixture
def echo():
    with Echo() as server:
        yield server


@pytest.fixture
def tcp(make_proxy, echo):
    """tcp(policy): a proxy whose listener passes bytes to the echo server."""

    def run(policy=None, to=None):
        return make_proxy(to or echo.address, policy, protocol="tcp").start()

    return run


def test_bytes_pass_as_they_are(tcp):
    with Line(tcp().port) as line:
        for data in (b"\0\r\n\r\nGET / HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\0\x01" + bytes(512)):
            line.send(data)
            assert line.read(len(data)) == data


def test_a_server_may_speak_first(make_proxy):
    with Echo(banner=b"220 hello\r\n") as server:
        proxy = make_proxy(server.address, protocol="tcp").start()
        began = time.monotonic()
        with Line(proxy.port) as line:
            assert line.read(11) == b"220 hello\r\n"
        assert time.monotonic() - began < slack(0.4), "nothing is waited for"


def test_a_lot_passes_in_both_directions_at_once(tcp):
    data = b"".join(number.to_bytes(8, "big") for number in range(1024 * 1024))
    with Line(tcp().port) as line:
        sender = threading.Thread(target=lambda: (line.send(data), line.end()))
        sender.start()
        assert line.read_all() == data
        sender.join(slack(10))


def test_one_direction_goes_on_when_the_other_has_ended(tcp):
    with Line(tcp().port) as line:
        line.send(b"last words")
        line.end()
        assert line.read_all() == b"last words"


def test_the_policy_says_it_too(make_proxy, echo):
    proxy = make_proxy(echo.address, "protocol: tcp").start()
    with Line(proxy.port) as line:
        line.send(b"\0")
        assert line.read(1) == b"\0"


def test_a_connect_that_fails_is_a_reset_and_counted(tcp):
    proxy = tcp(to=f"127.0.0.1:{free_port()}")
    with Line(proxy.port) as line:
        assert line.is_reset()
    assert proxy.metrics().sum("outrigger_attempts_total", result="connect_failure") == 1
    assert proxy.metrics().sum("outrigger_rejections_total", reason="connect_refused") == 1


def test_a_connect_is_retried_at_another_endpoint(make_proxy, echo):
    dead = f"127.0.0.1:{free_port()}"
    proxy = make_proxy("db.example:5432", f'discovery: {{addresses: ["{dead}", "{echo.address}"]}}\nprotocol: tcp\n'
                       "retry: {attempts: 1, backoff: 1ms, budget: {mode: off}}\n"
                       "loadBalancer: {algorithm: roundRobin}").start()
    for _ in range(6):
        with Line(proxy.port) as line:
            line.send(b"x")
            assert line.read(1) == b"x"
    assert echo.accepted == 6
    assert proxy.metrics().sum("outrigger_retries_total", reason="connect_failure") >= 5


def test_a_breaker_opens_on_connect_failures_and_closes_by_a_good_connect(make_proxy):
    port = free_port()
    proxy = make_proxy(f"127.0.0.1:{port}", "circuitBreaker: {consecutiveFailures: 3, openFor: 500ms, openJitter: 0, "
                       "halfOpenRequests: 1}", protocol="tcp").start()
    for _ in range(3):
        with Line(proxy.port) as line:
            assert line.is_reset()
    proxy.wait_breaker("open")
    with Line(proxy.port) as line:
        assert line.is_reset()
    assert proxy.metrics().sum("outrigger_rejections_total", reason="circuit_open") == 1
    with Echo(port=port) as server:
        proxy.wait_breaker("half_open")
        with Line(proxy.port) as line:
            line.send(b"x")
            assert line.read(1) == b"x"
        proxy.wait_breaker("closed")
        assert server.accepted == 1


def test_the_eleventh_connection_waits_for_a_place(tcp, echo):
    proxy = tcp("bulkhead: {maxConnections: 10, maxPending: 1, pendingTimeout: 30s}")
    lines = [Line(proxy.port) for _ in range(10)]
    wait_until(lambda: echo.open_connections == 10)
    with Line(proxy.port) as eleventh, Line(proxy.port) as twelfth:
        assert twelfth.is_reset() or eleventh.is_reset()
        assert proxy.metrics().sum("outrigger_rejections_total", reason="bulkhead_full") == 1
    for line in lines:
        line.close()
    wait_until(lambda: echo.open_connections == 0)
    lines = [Line(proxy.port) for _ in range(10)]
    wait_until(lambda: echo.open_connections == 10)
    with Line(proxy.port) as eleventh:
        eleventh.send(b"patient")
        stays(lambda: echo.open_connections == 10, 0.5)
        lines[0].close()
        assert eleventh.read(7) == b"patient"
    for line in lines:
        line.close()


def test_new_connections_take_tokens(tcp):
    proxy = tcp("rateLimit: {requests: 2, interval: 60s}")
    for _ in range(2):
        with Line(proxy.port) as line:
            line.send(b"x")
            assert line.read(1) == b"x"
    with Line(proxy.port) as line:
        assert line.is_reset()
    assert proxy.metrics().sum("outrigger_rejections_total", reason="rate_limited") == 1


def test_a_silent_connection_ends_after_idle(tcp):
    with Line(tcp("timeouts: {idle: 300ms}").port) as line:
        line.send(b"x")
        assert line.read(1) == b"x"
        assert line.is_reset()


def test_a_connection_outlives_the_timeouts_of_calls(tcp):
    with Line(tcp("timeouts: {request: 200ms, backendRequest: 100ms}").port) as line:
        for _ in range(4):
            line.send(b"x")
            assert line.read(1) == b"x"
            time.sleep(0.15)


def test_bytes_are_counted(tcp):
    proxy = tcp()
    with Line(proxy.port) as line:
        line.send(bytes(1000))
        assert len(line.read(1000)) == 1000
        assert proxy.metrics().sum("outrigger_tunnel_bytes_total", direction="up") == 1000
        assert proxy.metrics().sum("outrigger_tunnel_bytes_total", direction="down") == 1000


PATTERN = b"".join(number.to_bytes(8, "big") for number in range(512 * 1024))


def test_long_runs_stay_whole_and_counted_when_more_readers_are_slow_than_there_are_pipes(tcp):
    proxy = tcp()
    lines = [Line(proxy.port) for _ in range(20)]
    senders = [threading.Thread(target=lambda line=line: (line.send(PATTERN), line.end())) for line in lines]
    for sender in senders:
        sender.start()
    time.sleep(0.3)  # the buffers of all of them are full
    for line in lines:
        data = bytearray()
        while more := line.socket.recv(65536):
            data += more
        assert data == PATTERN
        line.close()
    for sender in senders:
        sender.join(slack(10))
    for direction in ("up", "down"):
        wait_until(lambda: proxy.metrics().sum("outrigger_tunnel_bytes_total", direction=direction)
                   == len(lines) * len(PATTERN))


def test_a_reader_that_stops_stops_the_sender(tcp, echo):
    proxy = tcp()
    with Line(proxy.port) as line:
        line.socket.settimeout(slack(1))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 2**30:
                sent += line.socket.send(PATTERN)
        assert sent < 128 * 2**20, "what sockets and a pipe hold"
        line.socket.settimeout(slack(10))
        line.end()
        left = sent
        while more := line.socket.recv(2**20):
            left -= len(more)
        assert left == 0


def test_a_slow_reader_is_not_idle(tcp):
    with Line(tcp("timeouts: {idle: 1s}").port) as line:
        sender = threading.Thread(target=lambda: (line.send(PATTERN), line.end()))
        sender.start()
        data = bytearray()
        while more := line.socket.recv(65536):
            data += more
            time.sleep(0.04)
        sender.join(slack(10))
        assert data == PATTERN


def test_a_caller_that_leaves_within_a_long_run_is_told_to_the_upstream(tcp, echo):
    proxy = tcp()
    for _ in range(40):  # more than there are pipes: each must come back
        line = Line(proxy.port)
        line.socket.settimeout(slack(0.05))
        with pytest.raises(TimeoutError):
            while True:
                line.socket.send(PATTERN)
        line.close()
    wait_until(lambda: echo.open_connections == 0)
    with Line(proxy.port) as line:
        sender = threading.Thread(target=lambda: (line.send(PATTERN), line.end()))
        sender.start()
        assert line.read_all() == PATTERN
        sender.join(slack(10))


def test_tls_is_the_apps_own(make_proxy, echo):
    proxy = make_proxy(echo.address, "protocol: tcp\ntls: {}").launch()
    assert proxy.wait_exit(slack(10)) == 2
    assert "spec.tls: with protocol: tcp no TLS is added" in proxy.stderr()
