"""HTTP/1.1 on one side and HTTP/2 on the other: the same message, the same policies, nothing smuggled.

A listener's `protocol` says what the proxy speaks upstream; what the caller speaks is the caller's choice.
"""

import base64
import contextlib
import json
import re
import socket
import time

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import Client, encode
from harness.h2 import RawClient
from harness.h2_upstream import begun, generated
from harness.proxy import Proxy, policy_document, together
from harness.upstream import Upstream, answer, chunked, generated as generated_h1, hang, raw, reads_nothing, reset, \
    websocket_echo
from harness.waiting import slack, stays, wait_until

MIB = 1024 * 1024
HELD_BYTES = 2 * MIB  # what the proxy and the kernel may take in for a peer that reads nothing


@pytest.fixture
def to_h1(make_proxy, upstream):
    """to_h1(policy) runs a proxy that speaks HTTP/1.1 upstream whatever the caller speaks."""
    return lambda policy=None, **how: make_proxy(upstream, policy, protocol="http1", **how).start()


@pytest.fixture
def to_h2(make_proxy, h2_upstream):
    """to_h2(policy) runs a proxy that speaks HTTP/2 upstream whatever the caller speaks."""
    return lambda policy=None, **how: make_proxy(h2_upstream, policy, protocol="http2", **how).start()


def call(proxy, *args, **kwargs):
    """One call over HTTP/2 on a connection of its own."""
    with RawClient(proxy.port) as client:
        return client.call(*args, **kwargs)


# ---- HTTP/2 caller, HTTP/1.1 upstream ---------------------------------------------------------------------------


def test_a_call_over_http_2_reaches_an_http_1_upstream(to_h1, upstream):
    upstream.plan(answer(201, b"made", [("X-Kept", "1"), ("Content-Type", "text/plain")]))
    response = call(to_h1(), "GET", "/path?a=b", [("x-sent", "2"), ("accept", "*/*")])
    assert (response.status, response.body, response.header("x-kept")) == (201, b"made", "1")
    assert response.header("content-length") == "4" and response.header("content-type") == "text/plain"
    came = upstream.requests[0]
    assert (came.method, came.target, came.version) == ("GET", "/path?a=b", "HTTP/1.1")
    assert came.header("x-sent") == "2" and came.all("host") == ["app.test"]


def test_no_pseudo_header_is_left_in_http_1(to_h1, upstream):
    call(to_h1())
    assert not any(name.startswith(":") or not name for name, _ in upstream.requests[0].headers)
    assert b"\r\n:" not in upstream.requests[0].raw_head


def test_every_name_in_an_http_2_answer_is_lower_case(to_h1, upstream):
    upstream.plan(answer(200, b"ok", [("X-Upper-CASE", "Value"), ("ETag", '"a"')]))
    response = call(to_h1())
    assert all(name == name.lower() for name, _ in response.fields)
    assert response.header("x-upper-case") == "Value" and response.header("etag") == '"a"'


def test_a_body_with_a_length_keeps_it_in_http_1(to_h1, upstream):
    response = call(to_h1(), "POST", "/", [("content-length", "11")], b"hello world")
    assert response.status == 200
    came = upstream.requests[0]
    assert (came.header("content-length"), came.header("transfer-encoding")) == ("11", None)
    assert came.body == b"hello world"


def test_a_body_without_a_length_is_chunked_in_http_1(to_h1, upstream):
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        stream = client.request("POST", "/", end=False)
        client.send(h2.data(stream, b"hello "))
        came = upstream.wait_for(1)[0]
        wait_until(lambda: came.body == b"hello ", what="the first piece before the second is sent")
        client.send(h2.data(stream, b"world", end=True))
        assert client.response(stream).status == 200
    assert came.header("transfer-encoding") == "chunked" and came.header("content-length") is None
    assert came.body == b"hello world"


def test_a_body_that_ends_with_an_empty_frame_is_whole(to_h1, upstream):
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        stream = client.request("POST", "/", end=False)
        client.send(h2.data(stream, b"all"), h2.data(stream, b"", end=True))
        assert client.response(stream).status == 200
    assert upstream.requests[0].body == b"all" and upstream.requests[0].is_complete


def test_a_get_without_body_has_no_framing_in_http_1(to_h1, upstream):
    call(to_h1())
    assert upstream.requests[0].header("content-length") is None
    assert upstream.requests[0].header("transfer-encoding") is None


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65535, 65536, 300_000])
def test_bodies_of_any_size_go_both_ways(to_h1, to_h2, upstream, h2_upstream, size):
    sent = bytes(number % 251 for number in range(size))
    upstream.plan(answer(200, sent))
    h2_upstream.plan(scripts.answer(200, sent))
    response = call(to_h1(), "POST", "/", body=sent)
    assert (response.status, response.body) == (200, sent)
    assert upstream.requests[0].body == sent
    bridged = to_h2().post("/", sent)
    assert (bridged.status, bridged.body) == (200, sent)
    assert h2_upstream.requests[0].body == sent


def test_a_chunked_answer_loses_its_chunks_in_http_2(to_h1, upstream):
    upstream.plan(chunked([b"one", b"two", b"three"]))
    response = call(to_h1())
    assert response.body == b"onetwothree" and response.is_complete
    assert response.header("transfer-encoding") is None


def test_a_chunk_is_passed_on_before_the_next_one_comes(to_h1, upstream):
    upstream.plan(chunked([b"one", b"two"], interval=0.5))
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        response = client.response_so_far(client.request())
        client.read_until(lambda: response.body == b"one", what="the first chunk alone")
        client.read_until(lambda: response.is_complete, what="the end")


def test_an_answer_that_ends_with_the_connection_is_whole_in_http_2(to_h1, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\n\r\nuntil the end"))
    response = call(to_h1())
    assert (response.body, response.is_complete) == (b"until the end", True)


def test_an_http_1_answer_that_is_cut_short_is_a_reset_in_http_2(to_h1, upstream):
    upstream.plan(raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    response = call(to_h1())
    assert (response.status, response.body) == (200, b"half")
    assert not response.is_complete and response.reset == h2.INTERNAL_ERROR


def test_trailers_of_an_http_2_caller_reach_http_1(to_h1, upstream):
    response = call(to_h1(), "POST", "/", [("te", "trailers")], b"body", [("x-checksum", "abc")])
    assert response.status == 200
    assert lower(upstream.requests[0].trailers) == [("x-checksum", "abc")]
    assert upstream.requests[0].body == b"body"


def lower(pairs):
    """HTTP/1.1 may spell names as it likes."""
    return [(name.lower(), value) for name, value in pairs]


def test_trailers_of_an_http_1_upstream_reach_http_2(to_h1, upstream):
    upstream.plan(chunked([b"body"], [("X-Checksum", "abc")]))
    response = call(to_h1(), more=[("te", "trailers")])
    assert response.body == b"body" and response.trailers == [("x-checksum", "abc")]


def test_trailers_that_would_be_framing_are_dropped(to_h1, upstream):
    upstream.plan(chunked([b"body"], [("Content-Length", "1"), ("X-Fine", "1"), ("Transfer-Encoding", "chunked")]))
    response = call(to_h1())
    assert response.body == b"body"
    assert not {"content-length", "transfer-encoding"} & {name for name, _ in response.trailers}


@pytest.mark.parametrize("status", [200, 404])
def test_head_has_a_length_and_no_body(to_h1, to_h2, upstream, h2_upstream, status):
    upstream.plan(answer(status, b"unsent", [("Content-Length", "6")]))
    h2_upstream.plan(scripts.answer(status, b"unsent"))
    response = call(to_h1(), "HEAD")
    assert (response.status, response.header("content-length"), response.body) == (status, "6", b"")
    assert response.is_complete and response.reset is None
    with to_h2().client() as client:
        bridged = client.request("HEAD", "/")
        assert (bridged.status, bridged.header("content-length")) == (status, "6")
        assert client.get("/after").body == b"ok"  # in step: no body was sent


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_by_its_status(to_h1, to_h2, upstream, h2_upstream, status):
    upstream.plan(answer(status, b"", [("ETag", '"a"')]))
    h2_upstream.plan(scripts.answer(status, b"", [("etag", '"a"')], has_length=False))
    response = call(to_h1())
    assert (response.status, response.body, response.is_complete, response.header("etag")) == (status, b"", True, '"a"')
    with to_h2().client() as client:
        bridged = client.get()
        assert (bridged.status, bridged.body, bridged.header("etag")) == (status, b"", '"a"')
        assert bridged.header("transfer-encoding") is None
        assert client.get("/after").body == b"ok"


def test_informational_answers_pass_in_both_directions(to_h1, to_h2, upstream, h2_upstream):
    upstream.plan(answer(200, b"ok", interim=[103, 103]))
    h2_upstream.plan(scripts.answer(200, b"ok", interim=[103, 103]))
    response = call(to_h1())
    assert [dict(pairs)[":status"] for pairs in response.interim] == ["103", "103"]
    assert all(("x-interim", "yes") in pairs for pairs in response.interim)
    bridged = to_h2().get()
    assert [interim.status for interim in bridged.interim] == [103, 103]
    assert bridged.interim[0].header("x-interim") == "yes"


def test_100_continue_passes_to_an_http_2_caller(to_h1, upstream):
    async def continues(exchange):
        await exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await exchange.read_body()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    upstream.plan(continues)
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        stream = client.request("POST", "/", [("expect", "100-continue"), ("content-length", "4")], end=False)
        response = client.response_so_far(stream)
        client.read_until(lambda: response.interim, what="100 Continue")
        assert dict(response.interim[0])[":status"] == "100"
        client.send_body(stream, b"data")
        assert client.response(stream).status == 200
    assert upstream.requests[0].header("expect") == "100-continue"
    assert upstream.requests[0].body == b"data"


def test_100_continue_passes_from_an_http_2_upstream(to_h2, h2_upstream):
    def continues(exchange):
        exchange.head(100)
        exchange.read_body()
        exchange.head(200, end=True)

    h2_upstream.plan(continues)
    with to_h2().client() as client:
        client.send(encode("POST", "/", [("Expect", "100-continue"), ("Content-Length", "4")]))
        assert client.read_head().status == 100
        client.send(b"data")
        assert client.read_response().status == 200
    assert h2_upstream.requests[0].body == b"data"


def test_cookies_are_joined_for_http_1(to_h1, upstream):
    """RFC 9113, 8.2.3."""
    call(to_h1(), more=[("cookie", "a=b"), ("x-between", "1"), ("cookie", "c=d"), ("cookie", "e=f")])
    assert upstream.requests[0].all("cookie") == ["a=b; c=d; e=f"]


def test_set_cookies_stay_apart(to_h1, upstream):
    upstream.plan(answer(200, b"ok", [("Set-Cookie", "a=b; Path=/"), ("Set-Cookie", "c=d")]))
    assert call(to_h1()).all("set-cookie") == ["a=b; Path=/", "c=d"]


def test_fields_of_one_name_keep_their_order(to_h1, to_h2, upstream, h2_upstream):
    call(to_h1(), more=[("x-list", "1"), ("x-list", "2"), ("x-list", "3")])
    assert ", ".join(upstream.requests[0].all("x-list")) == "1, 2, 3"
    to_h2().get("/", [("X-List", "1"), ("X-List", "2"), ("X-List", "3")])
    assert ", ".join(h2_upstream.requests[0].all("x-list")) == "1, 2, 3"


@pytest.mark.parametrize("authority", ["app.test", "app.test:8080", "127.0.0.1", "[::1]:80", "payments"])
def test_the_authority_becomes_the_host(to_h1, upstream, authority):
    assert call(to_h1(), authority=authority).status == 200
    assert upstream.requests[0].all("host") == [authority]


def test_a_host_without_authority_becomes_the_host(to_h1, upstream):
    assert call(to_h1(), more=[("host", "app.test")], authority=None).status == 200
    assert upstream.requests[0].all("host") == ["app.test"]


def test_te_and_hop_by_hop_headers_of_http_1_do_not_reach_http_2(to_h1, upstream):
    upstream.plan(answer(200, b"ok", [("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"),
                                      ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"), ("X-Kept", "1")]))
    response = call(to_h1())
    names = {name for name, _ in response.fields}
    assert not names & {"connection", "x-secret", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding"}
    assert "x-kept" in names and response.status == 200


def test_via_names_the_version_that_came(to_h1, to_h2, upstream, h2_upstream):
    response = call(to_h1(), more=[("via", "1.0 outer")])
    assert re.fullmatch(r"1\.0 outer, 2 outrigger-\w{8}", ", ".join(upstream.requests[0].all("via")))
    assert re.fullmatch(r"1\.1 outrigger-\w{8}", response.header("via"))
    bridged = to_h2().get()
    assert re.fullmatch(r"1\.1 outrigger-\w{8}", h2_upstream.requests[0].header("via"))
    assert re.fullmatch(r"2 outrigger-\w{8}", bridged.header("via"))


def test_every_stream_has_a_request_id_of_its_own(to_h1, upstream):
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        streams = [client.request() for _ in range(20)]
        assert [client.response(stream).status for stream in streams] == [200] * 20
    ids = [request.header("x-request-id") for request in upstream.requests]
    assert all(ids) and len(set(ids)) == 20


def test_a_request_id_of_the_caller_is_kept(to_h1, to_h2, upstream, h2_upstream):
    call(to_h1(), more=[("x-request-id", "abc-123")])
    assert upstream.requests[0].all("x-request-id") == ["abc-123"]
    to_h2().get("/", [("X-Request-Id", "abc-123")])
    assert h2_upstream.requests[0].all("x-request-id") == ["abc-123"]


def test_forwarding_many_streams_at_once_mixes_nothing_up(to_h1, upstream):
    async def echo(exchange):
        await exchange.read_body()
        body = exchange.request.target.encode() + exchange.request.body
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    upstream.default = echo
    proxy = to_h1()
    with RawClient(proxy.port) as client:
        streams = {client.request("POST", f"/{number}", body=b"-%d" % number): number for number in range(100)}
        for stream, number in streams.items():
            assert client.response(stream).body == b"/%d-%d" % (number, number)


# ---- what HTTP/1.1 cannot carry --------------------------------------------------------------------------------

UNCARRIED = {
    "a CR in a value": h2.fields(more=[("x", "a\rb")]),
    "an LF in a value": h2.fields(more=[("x", "a\nb")]),
    "a second request in a value": h2.fields(more=[("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")]),
    "a NUL in a value": h2.fields(more=[("x", "a\0b")]),
    "a space in a name": h2.fields(more=[("x y", "1")]),
    "a space after a name": h2.fields(more=[("transfer-encoding ", "chunked")]),
    "a tab in a name": h2.fields(more=[("x\ty", "1")]),
    "a CR LF in a name": h2.fields(more=[("x: 1\r\ny", "1")]),
    "a NUL in a name": h2.fields(more=[("x\0", "1")]),
    "a colon in a name": h2.fields(more=[("transfer-encoding: chunked\r\nx", "1")]),
    "an empty name": h2.fields(more=[("", "1")]),
    "a CR LF in the path": h2.fields(path="/ HTTP/1.1\r\nHost: evil\r\n\r\nGET /smuggled"),
    "an LF in the path": h2.fields(path="/\n"),
    "a space in the path": h2.fields(path="/a b"),
    "a space and a version in the path": h2.fields(path="/ HTTP/1.1"),
    "a NUL in the path": h2.fields(path="/\0"),
    "a DEL in the path": h2.fields(path="/\x7f"),
    "a fragment-only path": h2.fields(path="#"),
    "an absolute path": h2.fields(path="http://evil.test/"),
    "an empty path": h2.fields(path=""),
    "a space in the method": h2.fields(method="GET /smuggled HTTP/1.1"),
    "a CR LF in the method": h2.fields(method="GET / HTTP/1.1\r\nX:"),
    "a tab in the method": h2.fields(method="GET\t"),
    "a CR LF in the authority": h2.fields(authority="app.test\r\nTransfer-Encoding: chunked"),
    "a space in the authority": h2.fields(authority="app.test evil"),
    "a user in the authority": h2.fields(authority="admin@app.test"),
    "a CR LF in a cookie": h2.fields(more=[("cookie", "a=b"), ("cookie", "c=d\r\nevil: 1")]),
    "a CR LF in the host": h2.fields(authority=None, more=[("host", "app.test\r\nevil: 1")]),
    "transfer-encoding": h2.fields("POST", more=[("transfer-encoding", "chunked")]),
    "connection": h2.fields(more=[("connection", "transfer-encoding")]),
    "two lengths": h2.fields("POST", more=[("content-length", "0"), ("content-length", "30")]),
}


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """One proxy and one HTTP/1.1 upstream for all of these; each must leave both as they were."""
    upstream = Upstream()
    proxy = Proxy(tmp_path_factory.mktemp("bridge") / "proxy", upstream, protocol="http1").start()
    yield proxy, upstream
    proxy.stop()
    upstream.close()


@pytest.mark.parametrize("name", UNCARRIED)
def test_what_http_1_cannot_carry_is_refused_and_not_forwarded(quiet, name):
    proxy, upstream = quiet
    before = len(upstream.requests)
    with RawClient(proxy.port) as client:
        response = client.response(client.open(UNCARRIED[name]))
        if response.status is None:
            assert response.reset == h2.PROTOCOL_ERROR
        else:
            assert (response.status, response.reason) == (400, "bad_request")
        assert client.get("/honest").status == 200
    assert [request.target for request in upstream.requests[before:]] == ["/honest"]


UNCARRIED_TRAILERS = {
    "a CR LF in a value": [("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")],
    "an upper-case name": [("X", "1")],
    "a space in a name": [("x y", "1")],
    "a pseudo-header": [(":path", "/smuggled")],
}


@pytest.mark.parametrize("name", UNCARRIED_TRAILERS)
def test_trailers_that_http_1_cannot_carry_never_complete_a_request(quiet, name):
    proxy, upstream = quiet
    before = len(upstream.requests)
    with RawClient(proxy.port) as client:
        stream = client.request("POST", "/", body=b"body", end=False)
        client.send(h2.headers(stream, h2.block(UNCARRIED_TRAILERS[name]), end=True))
        response = client.response(stream)
        assert response.reset == h2.PROTOCOL_ERROR or response.reason == "bad_request"
        assert client.get("/honest").status == 200
    came = upstream.requests[before:]
    assert not any(request.is_complete for request in came if request.target == "/")
    assert not any("smuggled" in request.target for request in came)


@pytest.mark.parametrize("length, body", [("3", b"abcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), ("50", b"abc")],
                         ids=["more", "less"])
def test_a_body_that_is_not_as_long_as_it_said_smuggles_nothing(quiet, length, body):
    proxy, upstream = quiet
    before = len(upstream.requests)
    with RawClient(proxy.port) as client:
        stream = client.open(h2.fields("POST", "/", [("content-length", length)]), end=False)
        client.send(h2.data(stream, body, end=True))
        response = client.response(stream)
        assert response.reset == h2.PROTOCOL_ERROR or response.reason == "bad_request"
        assert client.get("/honest").status == 200
    wait_until(lambda: any(request.target == "/honest" for request in upstream.requests[before:]))
    came = upstream.requests[before:]
    assert not any("smuggled" in request.target for request in came)
    assert not any(request.is_complete for request in came if request.target == "/")


BAD_FOR_H2 = {
    "an obs-fold": b"HTTP/1.1 200 OK\r\nA: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "a NUL": b"HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n",
    "a bare CR": b"HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "noise": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_FOR_H2)
def test_a_bad_http_1_answer_is_502_for_an_http_2_caller(quiet, name):
    proxy, upstream = quiet
    upstream.plan(raw(BAD_FOR_H2[name], keep=True))
    response = call(proxy, "POST")
    assert (response.status, response.reason) == (502, "protocol_error")


# ---- HTTP/1.1 caller, HTTP/2 upstream ---------------------------------------------------------------------------


def test_a_call_over_http_1_reaches_an_http_2_upstream(to_h2, h2_upstream):
    h2_upstream.plan(scripts.answer(201, b"made", [("x-kept", "1")]))
    response = to_h2().get("/path?a=b", [("X-Sent", "2")])
    assert (response.status, response.body, response.header("x-kept")) == (201, b"made", "1")
    came = h2_upstream.requests[0]
    assert (came.method, came.target, came.header(":scheme")) == ("GET", "/path?a=b", "http")
    assert came.authority == "app.test"
    assert came.header("x-sent") == "2"
    assert came.all("host") in ([], ["app.test"])


def test_hop_by_hop_headers_of_http_1_do_not_reach_an_http_2_upstream(to_h2, h2_upstream):
    to_h2().get("/", [("Connection", "keep-alive, X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"),
                      ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
                      ("TE", "gzip"), ("X-Kept", "1")])
    names = {name for name, _ in h2_upstream.requests[0].fields}
    assert not names & {"connection", "x-secret", "keep-alive", "proxy-connection", "upgrade", "http2-settings",
                        "transfer-encoding"}
    assert h2_upstream.requests[0].all("te") in ([], ["trailers"])
    assert "x-kept" in names


def test_a_chunked_body_loses_its_chunks(to_h2, h2_upstream):
    with to_h2().client() as client:
        client.send(encode("POST", "/", [("Transfer-Encoding", "chunked")]) + b"3\r\none\r\n")
        came = h2_upstream.wait_for(1)[0]
        wait_until(lambda: came.body == b"one", what="the first chunk before the second is sent")
        client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    assert came.body == b"onetwo"
    assert came.header("transfer-encoding") is None and came.header("content-length") is None


def test_a_length_stays_a_length(to_h2, h2_upstream):
    assert to_h2().post("/", b"hello").status == 200
    assert h2_upstream.requests[0].header("content-length") == "5"


def test_a_call_without_body_ends_with_its_head(to_h2, h2_upstream):
    assert to_h2().get().status == 200
    connection = h2_upstream.connections[0]
    assert not [found for found in connection.frames if found.kind == h2.DATA]
    assert next(found for found in connection.frames if found.kind == h2.HEADERS).flags & h2.END_STREAM


def test_an_answer_without_a_length_is_chunked_in_http_1(to_h2, h2_upstream):
    h2_upstream.plan(scripts.answer(200, b"body", has_length=False))
    with to_h2().client() as client:
        response = client.get()
        assert response.header("transfer-encoding") == "chunked" and response.body == b"body"
        assert client.get().body == b"ok"


def test_an_answer_without_body_or_length_is_empty_in_http_1(to_h2, h2_upstream):
    h2_upstream.plan(scripts.answer(200, b"", has_length=False))
    with to_h2().client() as client:
        assert client.get().body == b""
        assert client.get().body == b"ok"


def test_trailers_of_an_http_1_caller_reach_http_2(to_h2, h2_upstream):
    with to_h2().client() as client:
        client.send(encode("POST", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Checksum")])
                    + b"4\r\nbody\r\n0\r\nX-Checksum: abc\r\n\r\n")
        assert client.read_response().status == 200
    assert h2_upstream.requests[0].trailers == [("x-checksum", "abc")]


def test_trailers_of_an_http_2_upstream_reach_http_1(to_h2, h2_upstream):
    h2_upstream.plan(scripts.answer(200, b"body", trailers=[("x-checksum", "abc")]))
    response = to_h2().get("/", [("TE", "trailers")])
    assert (response.body, lower(response.trailers)) == (b"body", [("x-checksum", "abc")])


def test_trailers_between_two_http_2_sides_pass(make_proxy, h2_upstream):
    h2_upstream.plan(scripts.answer(200, b"body", trailers=[("x-down", "1")]))
    response = call(make_proxy(h2_upstream).start(), "POST", "/", body=b"up", trailers=[("x-up", "2")])
    assert response.trailers == [("x-down", "1")]
    assert h2_upstream.requests[0].trailers == [("x-up", "2")]


def test_an_absolute_form_is_taken_apart(to_h2, h2_upstream):
    proxy = to_h2()
    response = proxy.request("GET", "http://other.test/path", host="app.test")
    assert response.status == 200
    assert (h2_upstream.requests[0].authority, h2_upstream.requests[0].target) == ("other.test", "/path")


def test_options_star_stays_a_star(to_h1, to_h2, upstream, h2_upstream):
    assert to_h2().request("OPTIONS", "*").status == 200
    assert h2_upstream.requests[0].target == "*"
    assert call(to_h1(), "OPTIONS", "*").status == 200
    assert upstream.requests[0].target == "*"


def test_a_cut_answer_of_an_http_2_upstream_does_not_look_whole_in_http_1(to_h2, h2_upstream):
    def resets(exchange):
        begun(b"half")(exchange)
        exchange.reset(h2.INTERNAL_ERROR)

    h2_upstream.plan(resets)
    with to_h2().client() as client:
        client.send(encode("GET", "/"))
        answered = client.read_until_close()
    assert answered.startswith(b"HTTP/1.1 200") and not answered.endswith(b"0\r\n\r\n")


def test_a_cut_answer_of_an_http_2_upstream_is_a_reset_in_http_2(make_proxy, h2_upstream):
    def resets(exchange):
        begun(b"half")(exchange)
        exchange.reset(h2.CANCEL)

    h2_upstream.plan(resets)
    response = call(make_proxy(h2_upstream).start())
    assert (response.status, response.is_complete, response.reset) == (200, False, h2.INTERNAL_ERROR)


def test_pipelined_calls_keep_their_order_over_an_http_2_upstream(to_h2, h2_upstream):
    h2_upstream.on("/slow", scripts.answer(200, b"slow", delay=0.3))
    h2_upstream.on("/fast", scripts.answer(200, b"fast"))
    with to_h2().client() as client:
        client.send(encode("GET", "/slow") + encode("GET", "/fast"))
        assert [client.read_response().body for _ in range(2)] == [b"slow", b"fast"]


UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", base64.b64encode(bytes(16)).decode())]


def test_a_websocket_goes_by_http_1_where_the_protocol_is_http2(make_proxy, upstream):
    upstream.on("/ws", websocket_echo())
    proxy = make_proxy(upstream, protocol="http2").start()
    with proxy.client() as client:
        assert client.get("/ws", UPGRADE).status == 101
        client.send(b"echo")
        assert client.read_exactly(4) == b"echo"
    assert upstream.requests[0].version == "HTTP/1.1"


# ---- which protocol --------------------------------------------------------------------------------------------


def test_auto_speaks_what_the_caller_spoke(make_proxy, upstream, h2_upstream):
    assert make_proxy(upstream).start().get().status == 200
    assert upstream.requests[0].version == "HTTP/1.1"
    assert call(make_proxy(h2_upstream).start()).status == 200
    assert h2_upstream.requests[0].method == "GET"


@pytest.mark.parametrize("protocol", ["http2", "grpc"])
def test_the_protocol_of_a_policy_wins_over_the_listeners(make_proxy, h2_upstream, protocol):
    proxy = make_proxy(h2_upstream, f"protocol: {protocol}", protocol="http1").start()
    assert proxy.get().status == 200
    assert h2_upstream.requests[0].method == "GET"


def test_a_policy_can_say_http1(make_proxy, upstream):
    proxy = make_proxy(upstream, "protocol: http1", protocol="http2").start()
    assert call(proxy).status == 200
    assert upstream.requests[0].version == "HTTP/1.1"


def test_both_protocols_are_served_on_one_listener_at_once(to_h1, upstream):
    proxy = to_h1()
    with proxy.client() as first, RawClient(proxy.port) as second:
        for _ in range(3):
            assert first.get().status == 200
            assert second.get().status == 200


def test_h2c_on_the_outbound_port_goes_where_its_authority_says(make_proxy, h2_upstream):
    proxy = make_proxy().start()
    with RawClient(proxy.outbound) as client:
        response = client.call("GET", "/", authority=h2_upstream.address)
        assert response.status == 200
    assert h2_upstream.requests[0].authority == h2_upstream.address


def test_streams_on_the_outbound_port_may_go_to_different_targets(make_proxy, h2_upstream):
    other = scripts.RawUpstream(default=scripts.answer(200, b"other"))
    try:
        with RawClient(make_proxy().start().outbound) as client:
            assert client.call(authority=h2_upstream.address).body == b"ok"
            assert client.call(authority=other.address).body == b"other"
    finally:
        other.close()


def connect(proxy, authority):
    client = Client(proxy.outbound)
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
    assert client.read_response("CONNECT").status == 200
    return client


def test_h2c_inside_connect_is_calls_to_the_target_of_the_connect(make_proxy, h2_upstream):
    policy = policy_document("retry: {attempts: 1, backoff: 1ms}", host="127.0.0.1", port=h2_upstream.port)
    proxy = make_proxy(None, policy).start()
    h2_upstream.plan(scripts.answer(503))
    with RawClient(over=connect(proxy, h2_upstream.address)) as client:
        response = client.call(authority="whatever.test")
        assert response.status == 200
    assert [request.header("x-outrigger-attempt") for request in h2_upstream.requests] == ["1", "2"]
    assert [request.authority for request in h2_upstream.requests] == ["whatever.test"] * 2
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", target=h2_upstream.address, outcome="success_after_retry") == 1


def test_a_preface_that_came_with_the_connect_is_recognised(make_proxy, h2_upstream):
    proxy = make_proxy().start()
    client = Client(proxy.outbound)
    authority = h2_upstream.address
    client.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode() + h2.PREFACE + h2.settings()
                + h2.headers(1, h2.block(h2.fields()), end=True))
    assert client.read_response("CONNECT").status == 200
    inside = RawClient(over=client, shakes_hands=False)
    inside.buffer += client.buffer
    while found := inside.cut_frame():
        inside._note(*found)
    with inside:
        assert inside.response(1).status == 200
    assert h2_upstream.requests[0].header("x-request-id")


def test_a_broken_preface_inside_connect_is_a_plain_tunnel(make_proxy, upstream):
    """`PRI` alone says nothing: bytes are bytes."""
    proxy = make_proxy().start()
    with socket.create_server(("127.0.0.1", 0)) as server:
        with connect(proxy, f"127.0.0.1:{server.getsockname()[1]}") as client:
            client.send(b"PRINT something\r\n")
            peer, _ = server.accept()
            received = b""
            while len(received) < 17:
                received += peer.recv(100)
            assert received == b"PRINT something\r\n"
            peer.close()


# ---- policies --------------------------------------------------------------------------------------------------


@pytest.fixture(params=["h2 to h1", "h1 to h2", "h2 to h2"])
def way(request, make_proxy, upstream, h2_upstream):
    """(start, server, answer script, call): the same test over each pair of protocols in which HTTP/2 has a part."""
    came, goes = request.param.split(" to ")
    server, module = (upstream, None) if goes == "h1" else (h2_upstream, scripts)

    def start(policy, **how):
        return make_proxy(server, policy, protocol="http1" if goes == "h1" else "http2", **how).start()

    def ask(proxy, method="GET", path="/", more=(), body=None):
        return call(proxy, method, path, more, body) if came == "h2" else proxy.request(method, path, more, body)

    return start, server, module.answer if module else answer, ask


def test_a_failed_try_is_repeated(way):
    start, server, answers, ask = way
    server.plan(answers(503), answers(503), answers(200, b"fine"))
    response = ask(start("retry: {attempts: 2, backoff: 1ms}"))
    assert (response.status, response.body) == (200, b"fine")
    assert [request.header("x-outrigger-attempt") for request in server.requests] == ["1", "2", "3"]
    assert len({request.header("x-request-id") for request in server.requests}) == 1


def test_a_body_is_repeated_with_the_try(way):
    start, server, answers, ask = way
    server.plan(answers(503))
    assert ask(start("retry: {attempts: 1, backoff: 1ms}"), "PUT", "/", (), b"body" * 1000).status == 200
    assert [request.body for request in server.requests] == [b"body" * 1000] * 2


def test_the_kept_failure_is_what_the_caller_gets_when_tries_are_used_up(way):
    start, server, answers, ask = way
    server.default = answers(503, b"theirs")
    response = ask(start("retry: {attempts: 1, backoff: 1ms}"))
    assert (response.status, response.body) == (503, b"theirs")
    assert response.header("x-outrigger-retries") == "exhausted"


def test_a_breaker_opens_and_refuses(way):
    start, server, answers, ask = way
    server.default = answers(500)
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 60s, openJitter: 0}")
    for _ in range(3):
        assert ask(proxy).status == 500
    response = ask(proxy, more=[("x-request-id", "req-1")])
    assert (response.status, response.reason) == (503, "circuit_open")
    assert len(server.requests) == 3
    said = json.loads(response.body)
    assert (said["error"], said["requestId"], said["target"]) == ("circuit_open", "req-1", server.address)
    assert response.header("content-type").startswith("application/json")
    assert re.search(r"\berror=\w+", response.header("proxy-status"))
    assert 0 < int(response.header("retry-after")) <= 60


def test_a_breaker_closes_again(way):
    start, server, answers, ask = way
    server.plan(answers(500))
    proxy = start("circuitBreaker: {consecutiveFailures: 1, openFor: 200ms, openJitter: 0, halfOpenRequests: 1}")
    assert ask(proxy).status == 500
    wait_until(lambda: ask(proxy).status == 200)
    proxy.wait_breaker("closed")


def test_a_rate_limit_refuses_with_its_fields(way):
    start, server, answers, ask = way
    proxy = start("rateLimit: {requests: 1, interval: 60s, headers: true}")
    assert ask(proxy).status == 200
    response = ask(proxy)
    assert (response.status, response.reason) == (429, "rate_limited")
    assert int(response.header("retry-after")) > 0
    assert response.header("ratelimit") and response.header("ratelimit-policy")
    assert json.loads(response.body)["retryAfterMs"] > 0


def test_a_deadline_ends_a_call(way):
    start, server, answers, ask = way
    server.default = answers(200, delay=30)
    response = ask(start("timeouts: {request: 200ms}"))
    assert (response.status, response.reason) == (504, "request_timeout")
    wait_until(lambda: server.requests[0].gone_at, what="the upstream call given up")


def test_an_attempt_that_takes_too_long_is_repeated(way):
    start, server, answers, ask = way
    server.plan(answers(200, delay=30))
    response = ask(start("timeouts: {backendRequest: 200ms}\nretry: {attempts: 1, backoff: 1ms}"))
    assert response.status == 200 and len(server.requests) == 2
    wait_until(lambda: server.requests[0].gone_at)


def test_a_bulkhead_counts_streams(make_proxy, h2_upstream):
    h2_upstream.on("/hang", scripts.hang())
    proxy = make_proxy(h2_upstream, "bulkhead: {maxRequests: 2, maxPending: 0}").start()
    with RawClient(proxy.port) as client:
        held = [client.request(path="/hang") for _ in range(2)]
        h2_upstream.wait_for(2)
        refused = client.get()
        assert (refused.status, refused.reason) == (503, "bulkhead_full")
        client.send(h2.rst_stream(held[0]))
        wait_until(lambda: h2_upstream.requests[0].gone_at)
        assert client.get().status == 200


def test_a_local_reply_to_head_over_http_2_has_no_body(to_h1, upstream):
    response = call(to_h1("circuitBreaker: {mode: forceOpen}"), "HEAD")
    assert (response.status, response.reason, response.body) == (503, "circuit_open", b"")
    assert response.is_complete


def test_a_refused_upload_over_http_2_is_told_at_once(to_h1, upstream):
    proxy = to_h1("circuitBreaker: {mode: forceOpen}")
    with RawClient(proxy.port) as client:
        stream = client.request("PUT", "/", end=False)
        response = client.response_so_far(stream)
        client.read_until(lambda: response.is_complete, what="the refusal while the body goes on")
        assert response.reason == "circuit_open"
        client.read_until(lambda: response.reset is not None, what="RST_STREAM")
        assert response.reset == h2.NO_ERROR
        client.try_send(h2.data(stream, b"already on its way"))
        assert client.get().reason == "circuit_open"


def test_a_body_that_stands_still_is_408_over_http_2(to_h1, upstream):
    proxy = to_h1(spec="limits: {bodyIdleTimeout: 300ms}")
    with RawClient(proxy.port) as client:
        stream = client.request("PUT", "/", [("content-length", "10")], end=False)
        client.send(h2.data(stream, b"half"))
        response = client.head(stream)
        assert (response.status, response.reason) == (408, "body_timeout")
    wait_until(lambda: upstream.open_connections == 0, what="the half request given up")
    assert not any(request.is_complete for request in upstream.requests)


def test_an_upstream_that_is_not_there_is_connect_refused(way):
    start, server, _, ask = way
    proxy = start("timeouts: {}")
    server.stop_listening()
    response = ask(proxy)
    assert (response.status, response.reason) == (503, "connect_refused")


def test_an_http_1_upstream_that_resets_is_connection_reset_over_http_2(to_h1, upstream):
    upstream.plan(reset())
    response = call(to_h1(), "POST")
    assert (response.status, response.reason) == (502, "connection_reset")


@pytest.mark.parametrize("code", [h2.CANCEL, h2.INTERNAL_ERROR, h2.PROTOCOL_ERROR, h2.ENHANCE_YOUR_CALM, h2.NO_ERROR])
def test_a_reset_stream_of_the_upstream_is_connection_reset(to_h2, h2_upstream, code):
    h2_upstream.plan(scripts.refuse(code, reads_body=True))
    response = to_h2().post()
    assert (response.status, response.reason) == (502, "connection_reset")
    assert len(h2_upstream.requests) == 1


def test_a_reset_stream_of_the_upstream_leaves_the_connection_alone(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(h2.INTERNAL_ERROR))
    proxy = to_h2()
    assert proxy.get().status == 502
    assert proxy.get().status == 200
    assert h2_upstream.accepted == 1


def test_a_reset_stream_is_retried_where_the_policy_says_so(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(h2.INTERNAL_ERROR))
    assert to_h2("retry: {attempts: 1, backoff: 1ms, on: [reset]}").get().status == 200
    assert len(h2_upstream.requests) == 2


# ---- transparent retries ----------------------------------------------------------------------------------------


def transparent(proxy):
    return proxy.metrics().sum("outrigger_retries_total", reason="transparent")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_repeated_once_without_a_policy(to_h2, h2_upstream, method):
    h2_upstream.plan(scripts.refuse())
    proxy = to_h2()
    assert proxy.request(method, "/", body=b"body" if method == "POST" else None).status == 200
    assert [request.header("x-outrigger-attempt") for request in h2_upstream.requests] == ["1", "1"]
    assert transparent(proxy) == 1
    assert h2_upstream.requests[1].body == (b"body" if method == "POST" else b"")


def test_a_stream_refused_twice_is_the_callers_to_know(to_h2, h2_upstream):
    h2_upstream.default = scripts.refuse()
    proxy = to_h2()
    response = proxy.get()
    assert (response.status, response.reason) == (502, "refused_stream")
    assert len(h2_upstream.requests) == 2 and transparent(proxy) == 1


def test_a_stream_refused_twice_is_retried_by_the_policy(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse(), scripts.refuse())
    proxy = to_h2("retry: {attempts: 1, backoff: 1ms, on: [refused_stream]}")
    assert proxy.get().status == 200
    assert [request.header("x-outrigger-attempt") for request in h2_upstream.requests] == ["1", "1", "2"]


def test_a_transparent_retry_costs_no_budget_and_feeds_no_breaker(to_h2, h2_upstream):
    h2_upstream.plan(scripts.refuse())
    proxy = to_h2("retry: {attempts: 1, budget: {percent: 0, interval: 10s, minRetryRate: {count: 1, interval: 10s}}}\n"
                  "circuitBreaker: {consecutiveFailures: 1}")
    before = proxy.metrics().sum("outrigger_retry_budget_available")
    assert proxy.get().status == 200
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_retry_budget_available") >= before
    assert proxy.breaker_state() == "closed"


def test_a_goaway_below_our_stream_is_repeated_once_on_another_connection(to_h2, h2_upstream):
    h2_upstream.plan(scripts.go_away())
    proxy = to_h2()
    assert proxy.post("/", b"body").status == 200
    assert [request.connection for request in h2_upstream.requests] == [0, 1]
    assert transparent(proxy) == 1
    assert h2_upstream.requests[1].body == b"body"


def test_a_goaway_at_or_above_our_stream_repeats_nothing(to_h2, h2_upstream):
    """The upstream may have worked on it."""
    h2_upstream.plan(lambda exchange: scripts.go_away(exchange.stream)(exchange))
    proxy = to_h2()
    response = proxy.post("/", b"body")
    assert (response.status, response.reason) == (502, "connection_reset")
    assert len(h2_upstream.requests) == 1 and transparent(proxy) == 0


def test_a_goaway_lets_the_running_answer_end_and_sends_the_next_call_elsewhere(to_h2, h2_upstream):
    def graceful(exchange):
        exchange.send(h2.goaway(exchange.stream))
        exchange.sleep(0.2)
        scripts.answer(200, b"whole")(exchange)

    h2_upstream.plan(graceful)
    proxy = to_h2()
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        h2_upstream.wait_for(1)
        wait_until(lambda: h2_upstream.connections[0].frames and proxy.get("/other").status == 200)
        assert client.read_response().body == b"whole"
    assert proxy.get().status == 200
    assert [request.connection for request in h2_upstream.requests][-1] == 1
    wait_until(lambda: h2_upstream.connections[0].is_over, what="the connection of the GOAWAY closed")


def test_a_graceful_shutdown_of_the_upstream_in_two_steps_loses_nothing(to_h2, h2_upstream):
    """GOAWAY with 2^31-1 first, then with the last stream: RFC 9113, 6.8."""
    h2_upstream.on("/slow", scripts.answer(200, b"slow", delay=0.4))
    proxy = to_h2()

    def one(number):
        return proxy.get("/slow").status

    def shuts_down():
        h2_upstream.wait_for(1)
        connection = h2_upstream.connections[0]
        connection.send(h2.goaway(h2.LARGEST_WINDOW))
        connection.send(h2.goaway(max(connection.exchanges)))

    statuses = together(4, lambda number: one(number) if number else shuts_down())[1:]
    assert statuses == [200] * 3


def test_many_refused_streams_at_once_are_all_repeated(to_h2, h2_upstream):
    h2_upstream.plan(*[scripts.refuse()] * 10)
    proxy = to_h2()
    statuses = together(10, lambda number: proxy.get(f"/{number}").status)
    assert statuses.count(200) + statuses.count(502) == 10
    assert transparent(proxy) == len(h2_upstream.requests) - 10


def test_a_connection_that_dies_idle_costs_no_call(to_h2, h2_upstream):
    proxy = to_h2()
    assert proxy.get().status == 200
    h2_upstream.connections[0].finish()
    assert proxy.get().status == 200
    assert h2_upstream.accepted == 2


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
