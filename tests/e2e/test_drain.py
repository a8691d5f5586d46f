"""SIGTERM: /ready fails at once, what is in flight ends well, exit code 0."""

import signal
import time

from harness.client import Client, encode
from harness.proxy import Load
from harness.upstream import answer, hang
from harness.waiting import slack, stays, wait_until

SERVE = "drain: {mode: serve, timeout: 10s}"
REFUSE = "drain: {mode: refuse, timeout: 10s}"


def terminate(proxy):
    proxy.process.send_signal(signal.SIGTERM)


def test_ready_fails_at_once_while_live_does_not(start, upstream):
    upstream.on("/slow", answer(200, b"whole", delay=1.5))
    proxy = start(spec=SERVE)
    with proxy.client() as client:
        client.send(encode("GET", "/slow"))
        upstream.wait_for(1)
        terminate(proxy)
        wait_until(lambda: proxy.admin("/ready").status == 503, slack(1))
        assert proxy.admin("/live").status == 200
        assert client.read_response().body == b"whole"
    assert proxy.wait_exit() == 0


def test_serve_goes_on_for_the_app_until_it_is_idle(start, upstream):
    proxy = start(spec=SERVE)
    terminate(proxy)
    wait_until(lambda: proxy.admin("/ready").status == 503)
    for _ in range(5):
        assert proxy.get().status == 200
    idle_since = time.monotonic()
    assert proxy.wait_exit() == 0
    assert 1.5 <= time.monotonic() - idle_since < 2 + slack(2)


def test_refuse_takes_no_new_call_and_finishes_the_old(start, upstream):
    upstream.on("/slow", answer(200, b"whole", delay=1))
    proxy = start(spec=REFUSE)
    with proxy.client() as client, proxy.client() as idle:
        assert idle.get().status == 200
        client.send(encode("GET", "/slow"))
        upstream.wait_for(2)
        terminate(proxy)
        wait_until(lambda: proxy.admin("/ready").status == 503)
        try:
            assert idle.get("/new").reason == "shutdown"
        except (EOFError, ConnectionError):
            pass  # an idle connection may be closed instead
        assert client.read_response().body == b"whole"
    assert proxy.wait_exit() == 0
    assert [request.target for request in upstream.requests] == ["/", "/slow"]


def test_idle_connections_hold_nothing_up(start, upstream):
    proxy = start(spec=REFUSE)
    clients = [proxy.client() for _ in range(20)]
    for client in clients:
        assert client.get().status == 200
    started = time.monotonic()
    terminate(proxy)
    assert proxy.wait_exit() == 0
    assert time.monotonic() - started < slack(2)
    for client in clients:
        client.close()


def test_what_hangs_is_cut_when_the_drain_is_over(start, upstream):
    upstream.default = hang()
    proxy = start(spec="drain: {mode: refuse, timeout: 500ms}")
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        upstream.wait_for(1)
        started = time.monotonic()
        terminate(proxy)
        assert proxy.wait_exit() == 0
        assert 0.4 <= time.monotonic() - started < 0.5 + slack(1.5)
        answered = client.read_until_close()
        assert answered == b"" or b"x-outrigger-reason: shutdown" in answered.lower()


def test_sigint_drains_too(start, upstream):
    proxy = start(spec=REFUSE)
    proxy.process.send_signal(signal.SIGINT)
    assert proxy.wait_exit() == 0


def test_no_call_fails_while_it_drains(start, upstream):
    proxy = start(spec=SERVE)
    with Load(proxy, callers=3, pause=0.005) as load:
        load.wait_calls(30)
        terminate(proxy)
        wait_until(lambda: proxy.admin("/ready").status == 503)
        load.wait_calls(30)
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}
    assert proxy.wait_exit() == 0


def test_calls_that_wait_are_not_forgotten(start, upstream):
    upstream.on("/slow", answer(200, b"first", delay=0.5))
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 10s}", spec=REFUSE)
    with proxy.client() as first, proxy.client() as second:
        first.send(encode("GET", "/slow"))
        upstream.wait_for(1)
        second.send(encode("GET", "/second"))
        wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_queued") == 1)
        terminate(proxy)
        assert first.read_response().body == b"first"
        assert second.read_response().status in (200, 503)
    assert proxy.wait_exit() == 0


def test_a_tunnel_is_cut_when_the_drain_is_over(start, upstream):
    proxy = start(spec="drain: {mode: serve, timeout: 500ms}")
    with Client(proxy.outbound) as client:
        client.send(f"CONNECT {upstream.address} HTTP/1.1\r\nHost: {upstream.address}\r\n\r\n".encode())
        assert client.read_response("CONNECT").status == 200
        terminate(proxy)
        stays(lambda: proxy.process.poll() is None, 0.2)
        assert client.is_closed_by_peer()
    assert proxy.wait_exit() == 0


def test_a_listener_to_events_holds_nothing_up(start, upstream):
    proxy = start(spec=REFUSE)
    with Client(proxy.admin_port) as client:
        client.send(encode("GET", "/events", host="127.0.0.1"))
        assert client.read_head().status == 200
        started = time.monotonic()
        terminate(proxy)
        assert proxy.wait_exit() == 0
        assert time.monotonic() - started < slack(0.7)


def test_post_quit_drains_and_ends(start, upstream):
    upstream.on("/slow", answer(200, b"whole", delay=1))
    proxy = start(spec="drain: {mode: refuse, timeout: 10s}")
    with proxy.client() as client:
        client.send(encode("GET", "/slow"))
        upstream.wait_for(1)
        assert [proxy.admin("/quit", "POST").status for _ in range(2)] == [202, 202]  # a second one cuts nothing
        assert client.read_response().body == b"whole"
    assert proxy.wait_exit() == 0


def test_quit_needs_a_post(start):
    proxy = start()
    assert proxy.admin("/quit").status == 405
    assert proxy.is_ready()
