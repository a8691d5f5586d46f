"""Who outlives whom: answers after the caller has gone, uploads after the answer, ends with bytes still on the way."""

import asyncio
import os
import socket
import threading
import time

import pytest
from harness.client import Client, encode
from harness.proxy import policy_document, together
from harness.upstream import CHUNK, answer, generated, hang, head, raw, reset, websocket_echo
from harness.waiting import stays, wait_until

UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade")]


def cpu_seconds(proxy):
    fields = open(f"/proc/{proxy.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(after=b""):
    """A tunnel whose upstream never stops to send; notes when it was cut."""

    async def script(exchange):
        await exchange.send(head(101, UPGRADE) + after)
        try:
            while True:
                await exchange.send(bytes(4096))
                await asyncio.sleep(0.001)
        except ConnectionError:
            exchange.request.gone_at = time.monotonic()
        return False

    return script


def says_fin_then_reads():
    """A tunnel whose upstream has nothing to say but reads on."""

    async def script(exchange):
        await exchange.send(head(101, UPGRADE) + b"bye")
        exchange.writer.write_eof()
        while data := await exchange.reader.read(CHUNK):
            exchange.request.body += data
        exchange.request.gone_at = time.monotonic()
        return False

    return script


def answers_and_resets(status):
    """Reads a little of the body, answers, and resets: what is on its way to it meets an RST."""

    async def script(exchange):
        await exchange.reader.read(CHUNK)
        await exchange.send(head(status, [("Content-Length", "3"), ("Connection", "close")]) + b"no\n")
        await asyncio.sleep(0.2)
        return False

    return script


# ---- tunnels ---------------------------------------------------------------------------------------------------


def test_a_tunnel_that_is_half_closed_by_the_upstream_costs_no_cpu(start, upstream):
    upstream.on("/ws", says_fin_then_reads())
    proxy = start()
    with proxy.client() as client:
        assert client.get("/ws", UPGRADE).status == 101
        assert client.read_until_close() == b"bye"
        before = cpu_seconds(proxy)
        stays(lambda: upstream.requests[0].gone_at is None, 0.5)
        assert cpu_seconds(proxy) - before < 0.2
        client.send(b"still there")
        wait_until(lambda: upstream.requests[0].body == b"still there")
    wait_until(lambda: upstream.requests[0].gone_at)


def test_a_tunnel_ends_when_the_caller_is_gone_and_the_upstream_goes_on_sending(start, upstream):
    upstream.on("/ws", flood())
    with start().client() as client:
        assert client.get("/ws", UPGRADE).status == 101
        client.read_exactly(10_000)
    wait_until(lambda: upstream.requests[0].gone_at)


def test_a_tunnel_ends_when_a_half_closed_caller_resets(start, upstream):
    upstream.on("/ws", flood())
    with start().client() as client:
        assert client.get("/ws", UPGRADE).status == 101
        client.socket.shutdown(socket.SHUT_WR)
        client.read_exactly(10_000)
        client.reset()
    wait_until(lambda: upstream.requests[0].gone_at)


def test_bytes_behind_a_refused_connect_are_not_taken_for_a_request(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        client.send(b"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n" + encode("GET", "/smuggled", host=upstream.address))
        refusal = client.read_response()
        assert refusal.status == 503
        assert refusal.header("connection") == "close"
        assert client.is_closed_by_peer()
    assert not upstream.requests


def test_a_switch_of_protocols_before_the_end_of_the_request_is_refused(start, upstream):
    upstream.default = websocket_echo()
    with start().client() as client:
        client.send(encode("POST", "/ws", [*UPGRADE, ("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\n")
        refusal = client.read_response()
        assert (refusal.status, refusal.reason) == (502, "protocol_error")


# ---- answers before the end of the request ---------------------------------------------------------------------


def test_an_answer_is_read_though_the_upstream_resets_the_upload(start, upstream):
    upstream.default = answers_and_resets(413)
    proxy = start()
    for _ in range(5):
        with proxy.client() as client:
            client.send(b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 400000000\r\n\r\n")
            received = []

            def send():
                try:
                    for _ in range(400):
                        client.send(bytes(1_000_000))
                except OSError:
                    pass

            together(2, lambda side: received.append(client.read_response()) if side else send())
            assert received[0].status == 413
            assert received[0].reason is None


def test_a_refused_expectation_closes_the_connection_in_so_many_words(start, upstream):
    upstream.default = answer(417, b"no", reads_body=False)
    with start().client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        refusal = client.read_response()
        assert (refusal.status, refusal.body) == (417, b"no")
        assert refusal.header("connection") == "close"
        client.send(encode("GET", "/next"))
        assert client.is_closed_by_peer()
    assert [request.target for request in upstream.requests] == ["/"]


def test_a_bad_chunk_is_answered_though_the_caller_goes_on_sending(start, upstream):
    upstream.default = hang()
    with start().client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        for _ in range(20):
            client.send(bytes(100_000))
        refusal = client.read_response()
        assert (refusal.status, refusal.reason) == (400, "bad_request")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""  # a FIN, not an RST that could have eaten the answer


# ---- replay ----------------------------------------------------------------------------------------------------


def test_a_body_of_several_megabytes_is_sent_again_to_a_slow_upstream(start, upstream):
    async def reads_late(exchange):
        exchange.writer.transport.pause_reading()
        await asyncio.sleep(0.3)
        exchange.writer.transport.resume_reading()
        await exchange.read_body()
        await exchange.send(head(200, [("Content-Length", "2")]) + b"ok")
        return True

    upstream.plan(answer(503), reads_late)
    body = os.urandom(7_000_000)
    proxy = start("retry: {attempts: 1, backoff: 1ms, methods: [PUT], maxBody: 8MiB, codes: [503]}")
    with proxy.client() as client:
        assert client.request("PUT", "/", body=body).status == 200
    assert [request.body_bytes for request in upstream.requests] == [len(body)] * 2
    assert upstream.requests[0].body_sha256.digest() == upstream.requests[1].body_sha256.digest()


def test_a_chunked_body_that_is_still_coming_is_sent_again_from_its_start(start, upstream):
    async def fails_early(exchange):
        await exchange.reader.readexactly(8)
        await exchange.send(head(503, [("Content-Length", "0"), ("Connection", "close")]))
        return False

    upstream.plan(fails_early, answer(200))
    with start("retry: {attempts: 1, backoff: 1ms, methods: [PUT], codes: [503]}").client() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        upstream.wait_for(2)
        client.send(b"3\r\ndef\r\n0\r\nx-end: yes\r\n\r\n")
        assert client.read_response().status == 200
    assert upstream.requests[1].body == b"abcdef"
    assert upstream.requests[1].trailers == [("x-end", "yes")]


def test_an_upload_goes_on_when_the_retry_it_was_stopped_for_is_not_made(start, upstream):
    async def fails_early_and_reads_on(exchange):
        await exchange.reader.readexactly(3)
        await exchange.send(head(503, [("Content-Length", "8")]) + b"too")
        exchange.request.body = await exchange.reader.readexactly(3)
        await exchange.send(b" late")
        return True

    upstream.plan(fails_early_and_reads_on)
    proxy = start("""
        retry: {attempts: 3, backoff: 200ms, methods: [PUT], codes: [503]}
        rateLimit: {requests: 1, interval: 1h, burst: 1}
        """)
    with proxy.client() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        response = client.read_head()
        assert response.status == 503
        client.send(b"def")
        client.read_body(response)
        assert response.body == b"too late"
    assert upstream.requests[0].body == b"def"


# ---- the end of a connection -----------------------------------------------------------------------------------


def test_a_response_head_in_two_pieces_leaves_the_connection_reusable(start, upstream):
    async def in_pieces(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-")
        await asyncio.sleep(0.05)
        await exchange.send(b"Length: 2\r\n\r\nok")
        return True

    upstream.default = in_pieces
    proxy = start()
    for _ in range(3):
        assert proxy.get().body == b"ok"
    assert upstream.accepted == 1


def test_a_body_until_close_that_ends_in_a_reset_is_not_passed_on_as_whole(start, upstream):
    async def breaks_off(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of")
        await asyncio.sleep(0.05)
        exchange.reset()
        return False

    upstream.default = breaks_off
    with start().client() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert client.read_head().status == 200
        try:
            while client.socket.recv(1000):
                pass
            is_reset = False
        except ConnectionResetError:
            is_reset = True
        assert is_reset


def test_a_caller_that_pipelines_and_reads_late_gets_every_answer(start, upstream):
    upstream.default = answer(200, b"x" * 20_000)
    count = 400
    with start().client(receive_buffer=4096) as client:
        sender = encode("GET", "/") * count
        thread = threading.Thread(target=client.send, args=(sender,))
        thread.start()
        wait_until(lambda: len(upstream.requests) > 20)
        stays(lambda: len(upstream.requests) < count, 0.5, "a caller that reads nothing has no further calls made")
        for _ in range(count):
            response = client.read_response()
            assert (response.status, response.body_bytes) == (200, 20_000)
        thread.join()


def test_refusals_to_a_caller_that_pipelines_and_reads_late_are_bounded_and_complete(start, upstream):
    count = 5000
    with start("rateLimit: {requests: 1, interval: 1h, burst: 1}").client(receive_buffer=4096) as client:
        thread = threading.Thread(target=client.send, args=(encode("GET", "/") * count,))
        thread.start()
        time.sleep(0.3)  # nothing is read meanwhile
        statuses = [client.read_response().status for _ in range(count)]
        thread.join()
    assert statuses == [200] + [429] * (count - 1)


def test_answers_that_wait_for_a_slow_caller_are_sent_before_a_drain_ends(start, upstream):
    upstream.default = answer(200, b"x" * 60_000)
    proxy = start(spec="drain: {mode: refuse, timeout: 10s}")
    with proxy.client(receive_buffer=4096) as client:
        client.send(encode("GET", "/") * 300)
        wait_until(lambda: len(upstream.requests) > 20)
        made = 0
        while made != len(upstream.requests):
            made = len(upstream.requests)
            time.sleep(0.3)
        assert made < 300
        proxy.process.terminate()
        proxy.wait_log("drain_started")
        for _ in range(made):
            assert client.read_response().body_bytes == 60_000
        assert client.is_closed_by_peer()


def test_a_caller_that_leaves_while_a_response_waits_for_it_frees_the_upstream(start, upstream):
    upstream.default = generated(50_000_000)
    with start().client(receive_buffer=4096) as client:
        client.send(encode("GET", "/"))
        assert client.read_head().status == 200
    wait_until(lambda: upstream.open_connections == 0)


def test_a_caller_that_leaves_between_two_attempts_has_no_second_one_made(start, upstream):
    upstream.default = answer(503)
    proxy = start("retry: {attempts: 3, backoff: 400ms, maxBackoff: 400ms, jitter: none, codes: [503]}")
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        upstream.wait_for(1)
        proxy.wait_metric(1, "outrigger_attempts_total")
    proxy.wait_metric(1, "outrigger_requests_total", outcome="cancelled")
    stays(lambda: len(upstream.requests) == 1, 0.6)


def test_a_pooled_connection_with_unread_bytes_serves_no_other_call(start, upstream):
    # The first read of the proxy ends exactly at the end of the response: what is behind it stays in the socket.
    start_of = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    size = 65536 - len(start_of % 65000)
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    upstream.plan(raw(start_of % size + bytes(size) + poison, keep=True))
    proxy = start("bulkhead: {maxRequests: 1, maxPending: 10, pendingTimeout: 5s}")
    bodies = together(3, lambda _: proxy.get().body)
    assert not any(b"poison" in body for body in bodies)


def test_a_refusal_does_not_speak_of_an_earlier_failure(start, upstream):
    upstream.plan(reset(), hang())
    proxy = start("""
        retry: {attempts: 1, backoff: 1ms, on: [reset]}
        timeouts: {backendRequest: 300ms}
        """)
    refusal = proxy.get()
    assert refusal.reason == "attempt_timeout"
    assert "the connection" not in refusal.header("proxy-status")


def test_reloads_that_are_under_way_at_the_end_do_no_harm(make_proxy, upstream):
    names = range(400)
    proxy = make_proxy(upstream, None, documents=[
        policy_document("retry: {attempts: 1}", host=f"h{number}.test", name=f"p{number}") for number in names]).start()
    proxy.process.terminate()
    while "drain_finished" not in proxy.stderr():
        proxy.reload()
        time.sleep(0.002)
    assert proxy.wait_exit() == 0


@pytest.mark.parametrize("protocol", ["http1", "http2"])
def test_a_connection_that_is_too_old_takes_no_further_call(make_proxy, upstream, h2_upstream, protocol):
    server = upstream if protocol == "http1" else h2_upstream
    proxy = make_proxy(server, "timeouts: {poolMaxAge: 300ms}", protocol=protocol).start()
    assert [proxy.get().status for _ in range(3)] == [200] * 3
    assert server.accepted == 1
    wait_until(lambda: proxy.get().status == 200 and server.accepted == 2, what="a connection in its place")
