"""Upgrade (WebSocket) and CONNECT: after the switch, bytes are bytes."""

import base64
import contextlib
import socket
import threading

import pytest
from harness import h2
from harness.client import DEADLINE, Client, encode
from harness.h2 import RawClient
from harness.proxy import together
from harness.upstream import answer, websocket_echo
from harness.waiting import stays, wait_until

UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode())]


def open_websocket(proxy, target="/ws"):
    client = proxy.client()
    response = client.get(target, UPGRADE)
    return client, response


def test_a_websocket_echoes(start, upstream):
    upstream.on("/ws", websocket_echo())
    client, response = open_websocket(start())
    with client:
        assert response.status == 101
        assert response.header("upgrade").lower() == "websocket"
        assert response.header("sec-websocket-accept") == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
        frame = b"\x82\x7e\x04\x00" + bytes(range(256)) * 4
        for _ in range(3):
            client.send(frame)
            assert client.read_exactly(len(frame)) == frame
    assert upstream.requests[0].header("upgrade").lower() == "websocket"
    assert "upgrade" in upstream.requests[0].header("connection").lower()


def test_a_tunnel_carries_a_lot_in_both_directions_at_once(start, upstream):
    upstream.on("/ws", websocket_echo())
    data = b"".join(number.to_bytes(8, "big") for number in range(1024 * 1024))  # no place is like another
    proxy = start()
    for _ in range(3):
        client, response = open_websocket(proxy)
        with client:
            assert response.status == 101
            _, echoed = together(2, lambda side: client.read_exactly(len(data)) if side else client.send(data))
            differs = next((at for at in range(0, len(data), 8) if echoed[at : at + 8] != data[at : at + 8]), None)
            assert differs is None


def test_a_tunnel_ends_for_the_upstream_when_the_caller_leaves(start, upstream):
    upstream.on("/ws", websocket_echo())
    client, _ = open_websocket(start())
    client.close()
    wait_until(lambda: upstream.requests[0].gone_at)


def test_a_tunnel_ends_for_the_caller_when_the_upstream_leaves(start, upstream):
    upstream.on("/ws", websocket_echo())
    client, response = open_websocket(start())
    with client:
        assert response.status == 101
        upstream.close_idle()
        assert client.is_closed_by_peer()


def test_an_upgrade_that_the_upstream_declines_is_an_ordinary_answer(start, upstream):
    upstream.on("/ws", answer(200, b"no"))
    client, response = open_websocket(start())
    with client:
        assert (response.status, response.body) == (200, b"no")
        assert client.get("/next").status == 200


def test_an_upgrade_is_not_retried_into_a_tunnel(start, upstream):
    upstream.plan(answer(503))
    upstream.default = websocket_echo()
    client, response = open_websocket(start("retry: {attempts: 1, backoff: 1ms}"))
    with client:
        assert response.status in (101, 503)
        assert len(upstream.requests) <= 2


def test_open_tunnels_count_in_max_connections(start, upstream):
    upstream.on("/ws", websocket_echo())
    proxy = start("bulkhead: {maxRequests: 1, maxConnections: 2}")
    first, opened = open_websocket(proxy)
    second, opened_too = open_websocket(proxy)
    with first, second:
        assert (opened.status, opened_too.status) == (101, 101)
        assert proxy.get("/call").status == 200  # tunnels hold no slot of maxRequests
        third, refused = open_websocket(proxy)
        third.close()
        assert (refused.status, refused.reason) == (503, "bulkhead_full")
        first.close()
        wait_until(lambda: open_websocket(proxy)[1].status == 101)


def connect_through(proxy, authority):
    client = Client(proxy.outbound)
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    return client, client.read_response("CONNECT")


def test_connect_opens_a_plain_tunnel(start, upstream):
    client, response = connect_through(start(), upstream.address)
    with client:
        assert response.status == 200
        assert client.get("/inside").status == 200
        assert client.get("/inside-too").status == 200
    # What is inside is not ours to read: no header is added.
    assert upstream.requests[0].header("via") is None
    assert upstream.requests[0].header("x-request-id") is None


def test_connect_passes_what_was_sent_with_it(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        client.send(f"CONNECT {upstream.address} HTTP/1.1\r\nHost: {upstream.address}\r\n\r\n".encode()
                    + encode("GET", "/early"))
        assert client.read_response("CONNECT").status == 200
        assert client.read_response().status == 200
    assert upstream.requests[0].target == "/early"


def test_a_tunnel_keeps_one_direction_when_the_other_has_ended(start, upstream):
    proxy = start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        client, response = connect_through(proxy, f"127.0.0.1:{server.getsockname()[1]}")
        with client:
            assert response.status == 200
            peer, _ = server.accept()
            client.send(b"question")
            client.socket.shutdown(socket.SHUT_WR)
            received = b""
            while data := peer.recv(100):
                received += data
            assert received == b"question"
            peer.sendall(b"answer")
            peer.close()
            assert client.read_until_close() == b"answer"


def test_connect_to_nothing_is_connect_refused(start, upstream):
    upstream.stop_listening()
    client, response = connect_through(start(), upstream.address)
    with client:
        assert (response.status, response.reason) == (503, "connect_refused")


def test_a_tunnel_without_bytes_ends_after_idle(start, upstream):
    upstream.on("/ws", websocket_echo())
    client, response = open_websocket(start("timeouts: {idle: 300ms}"))
    with client:
        assert response.status == 101
        client.send(b"x")
        assert client.read_exactly(1) == b"x"
        assert client.is_closed_by_peer()
    wait_until(lambda: upstream.requests[0].gone_at)


def test_a_tunnel_outlives_the_timeouts_of_calls(start, upstream):
    upstream.on("/ws", websocket_echo())
    client, response = open_websocket(start("timeouts: {request: 300ms, backendRequest: 300ms}"))
    with client:
        assert response.status == 101
        stays(lambda: upstream.requests[0].gone_at is None, 0.7)
        client.send(b"still here")
        assert client.read_exactly(10) == b"still here"


LAST_WORDS = bytes(range(256)) * 20


@pytest.fixture
def last_words():
    """last_words(speaks_first): the address of a server that says LAST_WORDS and ends when its caller has ended, or before."""
    with contextlib.ExitStack() as held:
        def serve(speaks_first):
            door = held.enter_context(socket.create_server(("127.0.0.1", 0)))
            door.settimeout(DEADLINE)

            def run():
                line, _ = door.accept()
                with line:
                    line.settimeout(DEADLINE)
                    if speaks_first:
                        line.sendall(LAST_WORDS)
                        line.shutdown(socket.SHUT_WR)
                    while line.recv(65536):
                        pass
                    if not speaks_first:
                        line.sendall(LAST_WORDS)

            thread = threading.Thread(target=run)
            thread.start()
            held.callback(thread.join)
            return f"127.0.0.1:{door.getsockname()[1]}"

        yield serve


@pytest.mark.parametrize("window", [65535, 100])
@pytest.mark.parametrize("speaks_first", [True, False])
def test_a_tunnel_of_http2_ends_with_its_last_byte(start, last_words, speaks_first, window):
    address = last_words(speaks_first)
    with RawClient(start().outbound, [(h2.INITIAL_WINDOW_SIZE, window)], grants_window=False) as client:
        stream = client.open(h2.fields("CONNECT", None, authority=address, scheme=None), end=False)
        response = client.response_so_far(stream)
        client.read_until(lambda: response.fields, what="the answer to CONNECT")
        assert response.status == 200
        if speaks_first:
            client.read_until(lambda: len(response.body) == min(window, len(LAST_WORDS)), what="what the window takes")
        client.send(h2.data(stream, b"and goodbye", end=True))
        client.read_until(lambda: len(response.body) >= min(window, len(LAST_WORDS)), what="what the window takes")
        client.read_while(lambda: response.reset is None, 0.3)
        client.send(h2.window_update(stream, 65535))
        client.read_until(lambda: response.is_over, what="the end")
        assert response.reset is None and response.body == LAST_WORDS
