"""An ambiguous or broken message is refused and never forwarded, whichever side it comes from."""

import contextlib

import pytest
from harness.client import encode
from harness.upstream import raw
from harness.waiting import IS_DEBUG_BUILD, slack, wait_until

HOST = b"Host: app.test\r\n"
POST, GET = b"POST / HTTP/1.1\r\n" + HOST, b"GET / HTTP/1.1\r\n" + HOST
BAD_REQUESTS = {
    "length and chunked": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a list of lengths": POST + b"Content-Length: 3, 4\r\n\r\nabcd",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": POST + b"Content-Length: \r\n\r\nabc",
    "a length that overflows": POST + b"Content-Length: 18446744073709551617\r\n\r\na",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab in the coding": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\n" + b"Host: app.test\n\n",
    "a bare LF between headers": GET + b"A: 1\nB: 2\r\n\r\n",
    "a bare CR in a value": GET + b"A: 1\rB: 2\r\n\r\n",
    "a folded header": GET + b"A: 1\r\n 2\r\n\r\n",
    "a folded first header": b"GET / HTTP/1.1\r\n A: 1\r\n" + HOST + b"\r\n",
    "a space before the colon": GET + b"A : 1\r\n\r\n",
    "a header without a name": GET + b": 1\r\n\r\n",
    "a header without a colon": GET + b"A\r\n\r\n",
    "a NUL in a value": GET + b"A: \x00\r\n\r\n",
    "a NUL in a name": GET + b"A\x00: 1\r\n\r\n",
    "two hosts": GET + b"Host: other.test\r\n\r\n",
    "the same host twice": b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET / HTTP/1.1\r\nA: 1\r\n\r\n",
    "a host with a space": b"GET / HTTP/1.1\r\nHost: app test\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: user@app.test\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: app.test/evil\r\n\r\n",
    "a host with a bad port": b"GET / HTTP/1.1\r\nHost: app.test:99999\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control character in the target": b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces in the request line": b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n" + HOST + b"\r\n",
    "a lower case version": b"GET / http/1.1\r\n" + HOST + b"\r\n",
    "a version to come": b"GET / HTTP/3.0\r\n" + HOST + b"\r\n",
    "a bad method": b"G(T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a target without a slash": b"GET evil HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "noise": b"\xff\xfe\xfd\r\n\r\n",
}


@pytest.fixture(scope="module")
def quiet_proxy(tmp_path_factory):
    """One proxy and one upstream for all of these; each must leave both as they were."""
    from harness.proxy import Proxy
    from harness.upstream import Upstream

    upstream = Upstream()
    proxy = Proxy(tmp_path_factory.mktemp("strict") / "proxy", upstream).start()
    yield proxy, upstream
    proxy.stop()
    upstream.close()


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_and_not_forwarded(quiet_proxy, name):
    proxy, upstream = quiet_proxy
    before = len(upstream.requests)
    with proxy.client() as client:
        client.send(BAD_REQUESTS[name])
        response = client.read_response()
        assert (response.status, response.reason) == (400, "bad_request")
        assert client.is_closed_by_peer()
    assert proxy.get().status == 200
    assert len(upstream.requests) == before + 1, f"{name} reached the upstream: {upstream.requests[before:]}"


BAD_CHUNKS = {
    "letters as size": b"xyz\r\n",
    "a size that overflows": b"10000000000000000\r\n",
    "a signed size": b"+3\r\nabc\r\n",
    "a size with a space before it": b" 3\r\nabc\r\n",
    "a hexadecimal prefix": b"0x3\r\nabc\r\n",
    "no CRLF after the data": b"3\r\nabcXX",
    "a bare LF after the size": b"3\nabc\r\n",
    "a bare LF after the data": b"3\r\nabc\n",
    "a bare CR in an extension": b"3;a\rb\r\nabc\r\n",
    "a bad trailer": b"0\r\nA : 1\r\n\r\n",
    "an endless extension": b"3;" + b"a" * 200_000,
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_never_completes_a_request(quiet_proxy, name):
    proxy, upstream = quiet_proxy
    before = len(upstream.requests)
    with proxy.client() as client:
        with contextlib.suppress(OSError):  # it may close while we still send
            client.send(encode("POST", "/", [("Transfer-Encoding", "chunked")]) + b"1\r\nA\r\n" + BAD_CHUNKS[name])
        answered = client.read_until_close()
    assert answered == b"" or answered.startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))
    forwarded = upstream.requests[before:]
    assert not any(request.is_complete for request in forwarded)
    assert proxy.get().status == 200


def test_a_refused_request_is_not_followed_by_what_was_behind_it(quiet_proxy):
    proxy, upstream = quiet_proxy
    before = len(upstream.requests)
    with proxy.client() as client:
        client.send(BAD_REQUESTS["length and chunked"] + encode("GET", "/smuggled"))
        assert client.read_response().status == 400
        assert client.is_closed_by_peer()
    assert proxy.get("/honest").status == 200
    assert [request.target for request in upstream.requests[before:]] == ["/honest"]


BAD_RESPONSES = {
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "an unknown coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "a bare CR": b"HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\nContent-Length: 0\r\n\r\n",
    "a folded header": b"HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "a space before the colon": b"HTTP/1.1 200 OK\r\nA : 1\r\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "noise": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a header that is too large": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000 + b"\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 2000 + b"\r\n",
    "an unasked upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_RESPONSES)
def test_a_bad_response_is_a_protocol_error(quiet_proxy, name):
    proxy, upstream = quiet_proxy
    upstream.plan(raw(BAD_RESPONSES[name], keep=True))
    response = proxy.post()
    assert (response.status, response.reason) == (502, "protocol_error")
    assert proxy.get().body == b"ok"


@pytest.mark.parametrize("name", ["letters as size", "a size that overflows", "no CRLF after the data",
                                  "a bare LF after the size"])
def test_a_bad_chunk_of_a_response_cuts_it_short(quiet_proxy, name):
    proxy, upstream = quiet_proxy
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n" + BAD_CHUNKS[name], keep=True))
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        answered = client.read_until_close()
    assert answered.startswith(b"HTTP/1.1 502") or not answered.endswith(b"0\r\n\r\n")
    assert proxy.get().body == b"ok"


def test_a_head_without_end_is_refused_and_costs_no_memory(quiet_proxy):
    proxy, upstream = quiet_proxy
    before, memory = len(upstream.requests), proxy.memory()[0]
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\n" + HOST)
        with contextlib.suppress(OSError):  # it may close while we still send
            for number in range(100_000):
                client.send(b"X-%d: y\r\n" % number)
        answered = client.read_until_close()
    assert answered == b"" or answered.startswith(b"HTTP/1.1 431")
    assert len(upstream.requests) == before
    assert IS_DEBUG_BUILD or proxy.memory()[0] - memory < 1024 * 1024


@pytest.mark.parametrize("name, request_bytes", [
    ("line", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("header line", b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 20_000 + b"\r\n\r\n"),
    ("header bytes", GET + b"".join(b"A%d: %s\r\n" % (n, b"a" * 8000) for n in range(10)) + b"\r\n"),
    ("header count", GET + b"".join(b"A%d: 1\r\n" % n for n in range(101)) + b"\r\n"),
], ids=["line", "header line", "header bytes", "header count"])
def test_what_is_larger_than_the_limits_is_431(quiet_proxy, name, request_bytes):
    proxy, upstream = quiet_proxy
    before = len(upstream.requests)
    with proxy.client() as client:
        client.send(request_bytes)
        response = client.read_response()
        assert (response.status, response.reason) == (431, "header_too_large")
        assert client.is_closed_by_peer()
    assert len(upstream.requests) == before


@pytest.mark.parametrize("limit, request_bytes", [
    ("maxLineBytes: 256", b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n" + HOST + b"\r\n"),
    ("maxHeaderBytes: 1KiB", b"GET / HTTP/1.1\r\n" + HOST + b"A: 12345678901234567890\r\n" * 60 + b"\r\n"),
    ("maxHeaders: 8", b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\r\n" * 8 + b"\r\n"),
], ids=["line", "header", "headers"])
def test_each_limit_can_be_set(start, upstream, limit, request_bytes):
    proxy = start(spec=f"limits: {{{limit}}}")
    with proxy.client() as client:
        client.send(request_bytes)
        assert client.read_response().status == 431
    assert proxy.get().status == 200


def test_a_header_that_does_not_come_is_408(start, upstream):
    proxy = start(spec="limits: {headerTimeout: 300ms}")
    with proxy.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a")
        response = client.read_response()
        assert (response.status, response.reason) == (408, "header_timeout")
        assert client.is_closed_by_peer()


def test_a_header_that_drips_is_408(start, upstream):
    proxy = start(spec="limits: {headerTimeout: 400ms}")
    with proxy.client(timeout=0.05) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")

        def answered():
            try:
                client.send(b"A: 1\r\n")
                client.buffer += client.socket.recv(1000)
            except (TimeoutError, ConnectionError):
                pass
            return client.buffer

        assert wait_until(answered, slack(3)).startswith(b"HTTP/1.1 408")


def test_a_body_that_stands_still_is_408(start, upstream):
    proxy = start(spec="limits: {bodyIdleTimeout: 300ms}")
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "10")]) + b"half")
        response = client.read_response()
        assert (response.status, response.reason) == (408, "body_timeout")
    wait_until(lambda: upstream.open_connections == 0, what="the half request given up")
    assert not upstream.requests or not upstream.requests[0].is_complete
