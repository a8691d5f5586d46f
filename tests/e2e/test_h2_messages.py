"""What RFC 9113 section 8 demands of a request: a malformed one is a stream error or our own 400, and reaches no upstream."""

import pytest
from harness import h2
from harness.h2 import RawClient
from harness.h2_pair import assert_refused_as_malformed, client, open_stream, pair, proxy, server, still_serves
from harness.h2_upstream import answer
from harness.waiting import wait_until


def test_rfc9113_8_1_a_second_header_block_without_end_stream_is_malformed(client, server, open_stream):
    client.send(h2.headers(open_stream, h2.block([("not", "the end")])))
    client.expect_reset(open_stream, h2.PROTOCOL_ERROR)
    wait_until(lambda: server.requests[-1].gone_at)
    assert not server.requests[-1].is_complete
    still_serves(client)


@pytest.mark.parametrize("trailer", [(":path", "/"), (":method", "GET"), (":status", "200")])
def test_rfc9113_8_1_trailers_with_a_pseudo_header_are_malformed(client, server, open_stream, trailer):
    client.send(h2.headers(open_stream, h2.block([("fine", "1"), trailer]), end=True))
    client.expect_reset(open_stream, h2.PROTOCOL_ERROR)
    wait_until(lambda: server.requests[-1].gone_at)
    assert not server.requests[-1].is_complete


def test_rfc9113_8_1_an_answer_that_is_complete_before_the_request_stops_it_with_no_error(client, server):
    server.plan(answer(200, b"early", reads_body=False))
    stream = client.request("POST", "/", end=False)
    response = client.response_so_far(stream)
    client.read_until(lambda: response.is_complete, what="the whole answer")
    client.read_until(lambda: response.reset is not None, what="RST_STREAM")
    assert (response.status, response.body, response.reset) == (200, b"early", h2.NO_ERROR)
    still_serves(client)


LENGTHS = {
    "more than announced": ("3", b"abcd"),
    "less than announced": ("5", b"abcd"),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_rfc9113_8_1_1_a_body_that_is_not_as_long_as_it_said_is_malformed(client, server, name):
    length, body = LENGTHS[name]
    seen = len(server.requests)
    stream = client.open(h2.fields("POST", "/", [("content-length", length)]), end=False)
    client.send(h2.data(stream, body, end=True))
    assert_refused_late(client, stream, server, seen)


def assert_refused_late(client, stream, server, seen):
    """The head may have gone on before the fault showed; a complete request may not."""
    response = client.response(stream)
    assert (response.reset, response.status) == (h2.PROTOCOL_ERROR, None) or response.reason == "bad_request"
    still_serves(client)
    assert not any(request.is_complete for request in server.requests[seen:-1])


def test_rfc9113_8_1_1_a_length_without_a_body_is_malformed(client, server):
    seen = len(server.requests)
    stream = client.open(h2.fields("POST", "/", [("content-length", "5")]))
    assert_refused_late(client, stream, server, seen)


def test_rfc9113_8_1_1_a_length_that_trailers_cut_short_is_malformed(client, server):
    seen = len(server.requests)
    stream = client.open(h2.fields("POST", "/", [("content-length", "5")]), end=False)
    client.send(h2.data(stream, b"abc"), h2.headers(stream, h2.block([("x-end", "1")]), end=True))
    assert_refused_late(client, stream, server, seen)


def test_rfc9113_8_1_1_a_length_of_0_without_a_body_is_fine(client, server):
    stream = client.open(h2.fields("POST", "/", [("content-length", "0")]))
    assert client.response(stream).status == 200


MALFORMED = {
    # 8.1.1
    "8.1.1 two lengths": h2.fields("POST", more=[("content-length", "0"), ("content-length", "1")]),
    "8.1.1 a list of lengths": h2.fields("POST", more=[("content-length", "0, 1")]),
    "8.1.1 a signed length": h2.fields("POST", more=[("content-length", "+0")]),
    "8.1.1 a negative length": h2.fields("POST", more=[("content-length", "-1")]),
    "8.1.1 an empty length": h2.fields("POST", more=[("content-length", "")]),
    "8.1.1 a length of letters": h2.fields("POST", more=[("content-length", "abc")]),
    "8.1.1 a length that overflows": h2.fields("POST", more=[("content-length", "18446744073709551616")]),
    # 8.2.1
    "8.2.1 an upper-case name": h2.fields(more=[("X-Upper", "1")]),
    "8.2.1 one upper-case letter": h2.fields(more=[("x-uppeR", "1")]),
    "8.2.1 an empty name": h2.fields(more=[("", "1")]),
    "8.2.1 a space in a name": h2.fields(more=[("x y", "1")]),
    "8.2.1 a space after a name": h2.fields(more=[("x ", "1")]),
    "8.2.1 a colon in a name": h2.fields(more=[("x:y", "1")]),
    "8.2.1 a NUL in a name": h2.fields(more=[("x\0", "1")]),
    "8.2.1 a CR in a name": h2.fields(more=[("x\r", "1")]),
    "8.2.1 an LF in a name": h2.fields(more=[("x\ny", "1")]),
    "8.2.1 a DEL in a name": h2.fields(more=[("x\x7f", "1")]),
    "8.2.1 a high byte in a name": h2.fields(more=[("x\xe4", "1")]),
    "8.2.1 a NUL in a value": h2.fields(more=[("x", "a\0b")]),
    "8.2.1 a CR in a value": h2.fields(more=[("x", "a\rb")]),
    "8.2.1 an LF in a value": h2.fields(more=[("x", "a\nb")]),
    "8.2.1 a whole header in a value": h2.fields(more=[("x", "a\r\nevil: 1")]),
    "8.2.1 a space before a value": h2.fields(more=[("x", " a")]),
    "8.2.1 a tab after a value": h2.fields(more=[("x", "a\t")]),
    # 8.2.2
    "8.2.2 connection": h2.fields(more=[("connection", "close")]),
    "8.2.2 connection and what it names": h2.fields(more=[("connection", "x-secret"), ("x-secret", "1")]),
    "8.2.2 keep-alive": h2.fields(more=[("keep-alive", "timeout=5")]),
    "8.2.2 proxy-connection": h2.fields(more=[("proxy-connection", "keep-alive")]),
    "8.2.2 transfer-encoding": h2.fields("POST", more=[("transfer-encoding", "chunked")]),
    "8.2.2 transfer-encoding identity": h2.fields("POST", more=[("transfer-encoding", "identity")]),
    "8.2.2 upgrade": h2.fields(more=[("upgrade", "websocket")]),
    "8.2.2 te other than trailers": h2.fields(more=[("te", "gzip")]),
    "8.2.2 te with trailers and more": h2.fields(more=[("te", "trailers, deflate;q=0.5")]),
    # 8.3
    "8.3 no method": h2.fields(method=None),
    "8.3 no scheme": h2.fields(scheme=None),
    "8.3 no path": h2.fields(path=None),
    "8.3 no pseudo-header at all": [("host", "app.test")],
    "8.3 two methods": [(":method", "GET"), *h2.fields()],
    "8.3 two schemes": [(":scheme", "http"), *h2.fields()],
    "8.3 two paths": [(":path", "/"), *h2.fields()],
    "8.3 two authorities": [(":authority", "app.test"), *h2.fields()],
    "8.3 an unknown pseudo-header": [*h2.fields(), (":foo", "bar")],
    "8.3 an empty pseudo-header name": [*h2.fields(), (":", "bar")],
    "8.3 a status in a request": [*h2.fields(), (":status", "200")],
    "8.3 a pseudo-header after a header": [*h2.fields(path=None), ("x", "1"), (":path", "/")],
    "8.3 an authority after a header": [*h2.fields(authority=None), ("x", "1"), (":authority", "app.test")],
    # 8.3.1
    "8.3.1 an empty path": h2.fields(path=""),
    "8.3.1 a path without a slash": h2.fields(path="index.html"),
    "8.3.1 an absolute URI as path": h2.fields(path="http://other.test/"),
    "8.3.1 a star for GET": h2.fields(path="*"),
    "8.3.1 a space in the path": h2.fields(path="/a b"),
    "8.3.1 a CR LF in the path": h2.fields(path="/ HTTP/1.1\r\nevil: 1"),
    "8.3.1 a NUL in the path": h2.fields(path="/\0"),
    "8.3.1 a control character in the path": h2.fields(path="/\x01"),
    "8.3.1 a user in the authority": h2.fields(authority="user@app.test"),
    "8.3.1 a user and a password in the authority": h2.fields(authority="user:secret@app.test"),
    "8.3.1 a path in the authority": h2.fields(authority="app.test/evil"),
    "8.3.1 a space in the authority": h2.fields(authority="app test"),
    "8.3.1 a bad port in the authority": h2.fields(authority="app.test:99999"),
    "8.3.1 a CR LF in the authority": h2.fields(authority="app.test\r\nevil: 1"),
    "8.3.1 an empty authority and no host": h2.fields(authority=""),
    "8.3.1 no authority and no host": h2.fields(authority=None),
    "8.3.1 a host that is not the authority": h2.fields(more=[("host", "other.test")]),
    "8.3.1 two hosts": h2.fields(authority=None, more=[("host", "app.test"), ("host", "other.test")]),
    "8.3.1 a space in the method": h2.fields(method="GET / HTTP/1.1"),
    "8.3.1 a CR LF in the method": h2.fields(method="GET\r\n"),
    "8.3.1 an empty method": h2.fields(method=""),
    "8.3.1 a bracket in the method": h2.fields(method="G(T"),
    "8.3.1 a scheme that is none": h2.fields(scheme="ht tp"),
    # 8.4, 8.5
    "8.4 a protocol that nobody offered": [*h2.fields("CONNECT"), (":protocol", "websocket")],
    "8.5 CONNECT with a path": h2.fields("CONNECT", "/", scheme=None),
    "8.5 CONNECT with a scheme": h2.fields("CONNECT", None),
    "8.5 CONNECT without an authority": h2.fields("CONNECT", None, authority=None, scheme=None),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_rfc9113_8_a_malformed_request_is_refused_and_reaches_nobody(client, server, name):
    seen = len(server.requests)
    stream = client.open(MALFORMED[name])
    assert_refused_as_malformed(client, stream, server, seen)


WELL_FORMED = {
    "8.2.1 bytes above 127 in a value": h2.fields(more=[("x", "gr\xfc\xdf")]),
    "8.2.1 every byte that a name may have": h2.fields(more=[("!#$%&'*+-.^_`|~09az", "1")]),
    "8.2.1 a tab within a value": h2.fields(more=[("x", "a\tb")]),
    "8.2.1 an empty value": h2.fields(more=[("x", "")]),
    "8.2.2 te: trailers": h2.fields(more=[("te", "trailers")]),
    "8.3.1 a host that is the authority": h2.fields(more=[("host", "app.test")]),
    "8.3.1 a host instead of an authority": h2.fields(authority=None, more=[("host", "app.test")]),
    "8.3.1 pseudo-headers in any order": sorted(h2.fields()),
    "8.3.1 a star for OPTIONS": h2.fields("OPTIONS", "*"),
    "8.3.1 a query": h2.fields(path="/a?b=c&d=%00"),
    "8.3.1 a port in the authority": h2.fields(authority="app.test:8080"),
    "8.3.1 an IPv6 authority": h2.fields(authority="[::1]:8080"),
    "9.1 a method that nobody knows": h2.fields(method="BREW"),
}


@pytest.mark.parametrize("name", WELL_FORMED)
def test_rfc9113_8_an_unusual_request_is_served(client, server, name):
    stream = client.open(WELL_FORMED[name])
    assert client.response(stream).status == 200
    sent, came = dict(WELL_FORMED[name]), server.requests[-1]
    assert came.method == sent[":method"] and came.target == sent[":path"]
    assert came.header("x") == sent.get("x")
    assert (came.authority or came.header("host")) == sent.get(":authority", sent.get("host"))


def test_rfc9113_8_3_1_host_and_authority_never_differ_upstream(client, server):
    client.call(more=[("host", "app.test")])
    came = server.requests[-1]
    assert came.authority == "app.test" and came.all("host") in ([], ["app.test"])


def test_rfc9113_8_5_a_connect_gets_an_answer(client):
    """What it is depends on the listener; a stream that hangs is no answer."""
    stream = client.open(h2.fields("CONNECT", None, authority="app.test:443", scheme=None))
    response = client.response_so_far(stream)
    client.read_until(lambda: response.fields or response.is_over, what="an answer to CONNECT")
    still_serves(client)


def test_rfc9113_10_5_1_a_header_list_beyond_the_limits_is_431(client, server):
    seen = len(server.requests)
    stream = client.open(h2.fields(more=[(f"x-{number}", "v" * 8000) for number in range(1)]))
    assert client.response(stream).status == 200
    large = h2.fields(more=[(f"x-{number}", "v" * 7000) for number in range(10)])
    assert h2.list_size(large) > 64 * 1024
    stream = client.new_stream()
    client.send(h2.split_block(stream, h2.block(large), 16384, end=True))
    response = client.response(stream)
    assert (response.status, response.reason) == (431, "header_too_large")
    still_serves(client)
    assert len(server.requests) == seen + 2


def test_rfc9113_10_5_1_too_many_headers_are_431(client, server):
    stream = client.open(h2.fields(more=[("x", "1")] * 101))
    response = client.response(stream)
    assert (response.status, response.reason) == (431, "header_too_large")
    still_serves(client)


def test_rfc9113_6_5_2_the_size_of_a_field_counts_32_more(make_proxy, h2_upstream):
    """Just below the limit is served, just above is not."""
    proxy = make_proxy(h2_upstream, spec="limits: {maxHeaderBytes: 4KiB}").start()
    with RawClient(proxy.port) as client:
        client.settle()
        assert client.peer_settings[h2.MAX_HEADER_LIST_SIZE] >= 4096
        rest = 4096 - h2.list_size(h2.fields(more=[("x", "")]))
        stream = client.open(h2.fields(more=[("x", "v" * rest)]))
        assert client.response(stream).status == 200
        stream = client.open(h2.fields(more=[("x", "v" * (rest + 1))]))
        assert client.response(stream).status == 431
