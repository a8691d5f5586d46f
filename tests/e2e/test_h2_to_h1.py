"""A caller of HTTP/2 and an upstream of HTTP/1.1: the same message, nothing smuggled."""

import re

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import encode
from harness.h2 import RawClient
from harness.h2_bridge import call, lower, to_h1, to_h2  # noqa: F401 (fixtures)
from harness.proxy import Proxy
from harness.upstream import Upstream, answer, chunked, raw
from harness.waiting import wait_until

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
