"""HTTP/1.1 messages through the proxy: what goes in comes out, framed for whoever reads it."""

import pytest
from harness.client import encode
from harness.upstream import answer, chunked, generated, head, raw
from harness.waiting import stays, wait_until


def test_calls_on_one_connection_share_one_upstream_connection(start, upstream):
    proxy = start()
    with proxy.client() as client:
        for number in range(5):
            assert client.get(f"/{number}").status == 200
    assert [request.target for request in upstream.requests] == ["/0", "/1", "/2", "/3", "/4"]
    assert upstream.accepted == 1


def test_upstream_connections_are_shared_by_callers(start, upstream):
    proxy = start()
    for _ in range(5):
        assert proxy.get().status == 200
    assert upstream.accepted == 1


def test_pipelined_calls_are_answered_in_order(start, upstream):
    upstream.on("/slow", answer(200, b"slow", delay=0.2))
    upstream.on("/fast", answer(200, b"fast"))
    proxy = start()
    with proxy.client() as client:
        client.send(encode("GET", "/slow") + encode("POST", "/fast", body=b"abc") + encode("GET", "/fast"))
        assert [client.read_response().body for _ in range(3)] == [b"slow", b"fast", b"fast"]
    assert [request.body for request in upstream.requests] == [b"", b"abc", b""]


def test_pipelined_calls_that_arrive_byte_by_byte_are_the_same_calls(start, upstream):
    proxy = start()
    with proxy.client() as client:
        for byte in encode("POST", "/a", body=b"xyz") + encode("GET", "/b"):
            client.send(bytes([byte]))
        assert [client.read_response().status for _ in range(2)] == [200, 200]
    assert [(request.target, request.body) for request in upstream.requests] == [("/a", b"xyz"), ("/b", b"")]


@pytest.mark.parametrize("target", ["/a%2Fb/../c?x=%20&y=1;2", "/", "/?", "//double", "/%C3%BCmlaut"])
def test_a_target_passes_unchanged(start, upstream, target):
    start().get(target)
    assert upstream.requests[0].target == target


def test_options_asterisk_passes(start, upstream):
    assert start().request("OPTIONS", "*").status == 200
    assert upstream.requests[0].target == "*"


def test_an_unknown_method_passes(start, upstream):
    assert start().request("PURGE", "/x").status == 200
    assert upstream.requests[0].method == "PURGE"


def test_end_to_end_headers_pass_in_both_directions(start, upstream):
    upstream.plan(answer(200, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("ETag", '"x"')]))
    response = start().get("/", [("Accept", "text/*"), ("X-Twice", "1"), ("X-Twice", "2"), ("X-Empty", "")])
    assert upstream.requests[0].all("x-twice") == ["1", "2"]
    assert upstream.requests[0].header("accept") == "text/*"
    assert upstream.requests[0].header("x-empty") == ""
    assert response.all("set-cookie") == ["a=1", "b=2"]
    assert response.header("etag") == '"x"'


def test_an_empty_line_before_a_request_is_ignored(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.send(b"\r\n" + encode("GET", "/"))
        assert client.read_response().status == 200


def test_a_chunked_body_and_its_trailers_reach_upstream(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "x-check")]))
        client.send(b"3;ext=1\r\nabc\r\n5\r\ndefgh\r\n0\r\nX-Check: 42\r\n\r\n")
        assert client.read_response().status == 200
        assert client.get("/again").status == 200
    assert upstream.requests[0].body == b"abcdefgh"
    assert ("x-check", "42") in [(name.lower(), value) for name, value in upstream.requests[0].trailers]


def test_a_chunked_response_and_its_trailers_reach_the_caller(start, upstream):
    upstream.plan(chunked([b"one", b"two"], [("X-Check", "42")], [("Trailer", "X-Check")]))
    proxy = start()
    with proxy.client() as client:
        response = client.get("/", [("TE", "trailers"), ("Connection", "TE")])
        assert response.body == b"onetwo"
        assert ("x-check", "42") in [(name.lower(), value) for name, value in response.trailers]
        assert client.get("/again").status == 200


def test_a_request_body_streams_before_it_is_complete(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "10")]) + b"first")
        wait_until(lambda: upstream.requests and upstream.requests[0].body == b"first")
        client.send(b"later")
        assert client.read_response().status == 200
    assert upstream.requests[0].body == b"firstlater"


def test_a_response_body_streams_before_it_is_complete(start, upstream):
    async def in_two_parts(exchange):
        await exchange.send(head(200, [("Content-Length", "10")]) + b"first")
        await exchange.upstream.released()
        await exchange.send(b"later")
        return True

    upstream.plan(in_two_parts)
    proxy = start()
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        response = client.read_head()
        assert client.read_exactly(5) == b"first"
        upstream.release()
        assert client.read_exactly(5) == b"later"
        assert response.header("content-length") == "10"


def test_expect_100_continue_is_answered_by_the_upstream(start, upstream):
    async def asks_for_the_body(exchange):
        assert exchange.request.header("expect") == "100-continue"
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.read_body()
        await exchange.send(head(201, [("Content-Length", "0")]))
        return True

    upstream.plan(asks_for_the_body)
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "5"), ("Expect", "100-continue")]))
        assert client.read_head().status == 100
        client.send(b"hello")
        assert client.read_response().status == 201
    assert upstream.requests[0].body == b"hello"


def test_expect_100_continue_that_upstream_refuses_costs_no_body(start, upstream):
    upstream.plan(answer(413, b"too big", keep=False, reads_body=False))
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "5"), ("Expect", "100-continue")]))
        response = client.read_response()
        assert response.status == 413 and response.interim == []
    assert upstream.requests[0].body == b""


def test_interim_responses_pass(start, upstream):
    upstream.plan(answer(200, interim=[103, 103]))
    response = start().get()
    assert [interim.status for interim in response.interim] == [103, 103]
    assert response.interim[0].header("x-interim") == "yes"
    assert response.status == 200


def test_an_early_final_response_reaches_a_caller_that_still_sends(start, upstream):
    upstream.plan(answer(403, b"no", keep=False, reads_body=False))
    proxy = start()
    with proxy.client() as client:
        client.send(encode("POST", "/", [("Content-Length", "1000000")]) + b"x" * 1000)
        assert client.read_response().status == 403


def test_head_has_a_length_and_no_body(start, upstream):
    upstream.on("/h", answer(200, b"12345"))
    proxy = start()
    with proxy.client() as client:
        response = client.request("HEAD", "/h")
        assert (response.status, response.header("content-length"), response.body) == (200, "5", b"")
        assert client.get("/h").body == b"12345"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_body_keeps_the_connection_in_step(start, upstream, status):
    upstream.plan(answer(status, headers=[("Content-Length", "9")] if status == 304 else []))
    proxy = start()
    with proxy.client() as client:
        assert client.get().status == status
        assert client.get().body == b"ok"


def test_a_response_that_ends_with_its_connection_is_whole(start, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"))
    proxy = start()
    with proxy.client() as client:
        assert client.get().body == b"until the end"


def test_a_response_cut_short_is_cut_short_for_the_caller(start, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"))
    proxy = start()
    with proxy.client() as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.get()


def test_a_chunked_response_cut_short_is_cut_short_for_the_caller(start, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"))
    proxy = start()
    with proxy.client() as client:
        with pytest.raises((EOFError, ConnectionError)):
            client.get()


def test_connection_close_of_the_caller_is_obeyed(start, upstream):
    proxy = start()
    with proxy.client() as client:
        response = client.get("/", [("Connection", "close")])
        assert response.header("connection") == "close"
        assert client.is_closed_by_peer()
        # It is the caller's connection that closes, not the pooled one behind it.
    assert proxy.get().status == 200
    assert upstream.accepted == 1


def test_connection_close_of_the_upstream_stays_behind_the_proxy(start, upstream):
    upstream.plan(answer(200, keep=False))
    proxy = start()
    with proxy.client() as client:
        assert client.get().header("connection") != "close"
        assert client.get().status == 200
    assert upstream.accepted == 2


def test_an_http_1_0_caller_gets_no_chunks_and_a_close(start, upstream):
    upstream.plan(chunked([b"one", b"two"]))
    proxy = start()
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: app.test\r\n\r\n")
        answered, body = client.read_until_close().split(b"\r\n\r\n", 1)
        assert b"transfer-encoding" not in answered.lower()
        assert body == b"onetwo"


def test_an_http_1_0_caller_gets_no_interim_response(start, upstream):
    upstream.plan(answer(200, interim=[103]))
    proxy = start()
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.0\r\nHost: app.test\r\n\r\n")
        assert client.read_until_close().startswith(b"HTTP/1.1 200")


def test_an_http_1_0_caller_may_ask_to_stay(start, upstream):
    proxy = start()
    with proxy.client() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nHost: app.test\r\nConnection: keep-alive\r\n\r\n")
            assert client.read_response().body == b"ok"


def test_an_http_1_0_upstream_is_understood(start, upstream):
    upstream.plan(raw(b"HTTP/1.0 200 OK\r\n\r\nold"))
    assert start().get().body == b"old"


def test_a_large_response_crosses_many_reads_unharmed(start, upstream):
    upstream.on("/big", generated(3_000_000))
    response = start().get("/big")
    assert response.body == bytes(3_000_000)


def test_surplus_bytes_after_a_response_do_not_reach_the_next_caller(start, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
                      keep=True))
    proxy = start()
    assert proxy.get().body == b"ok"
    wait_until(lambda: upstream.open_connections == 0, what="the polluted connection closed")
    assert proxy.get().body == b"ok"
    assert upstream.accepted == 2


def test_an_idle_connection_stays_open(start, upstream):
    proxy = start()
    with proxy.client() as client:
        assert client.get().status == 200
        client.socket.setblocking(False)

        def is_silent():
            try:
                return client.socket.recv(1) is None
            except BlockingIOError:
                return True

        stays(is_silent, 0.5)
        client.socket.setblocking(True)
        assert client.get().status == 200
