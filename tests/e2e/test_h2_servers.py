"""What RFC 9113 has a client refuse of a server: the upstream's side of the proxy. The section is in each test's name."""

import re

import hpack
import pytest
from harness import h2
from harness.h2 import RawClient
from harness.h2_pair import client, pair, proxy  # noqa: F401 (fixtures)
from harness.h2_upstream import raw
from harness.waiting import wait_until


@pytest.fixture
def front(make_proxy, h2_upstream):
    """A proxy whose upstream speaks HTTP/2 whatever the caller speaks."""
    return make_proxy(h2_upstream, protocol="http2").start()


def assert_bad_upstream(front, h2_upstream):
    """The caller gets 502 protocol_error, and the next call is served, on another connection if need be."""
    response = front.post()
    assert (response.status, response.reason) == (502, "protocol_error"), response
    h2_upstream.values = ()
    h2_upstream.on_connect = None
    assert front.get().body == b"ok"


def status(*pairs):
    return h2.block([(":status", "200"), *pairs])


BAD_ANSWERS = {
    "8.1 data before headers": lambda s: h2.data(s, b"x", end=True),
    "8.1 an informational answer that ends": lambda s: h2.headers(s, h2.block([(":status", "103")]), end=True),
    "8.1 only trailers after an informational answer": lambda s: h2.headers(
        s, h2.block([(":status", "103")])) + h2.headers(s, h2.block([("x", "1")]), end=True),
    "8.1.1 two lengths": lambda s: h2.headers(s, status(("content-length", "1"), ("content-length", "2"))),
    "8.1.1 a length of letters": lambda s: h2.headers(s, status(("content-length", "abc"))),
    "8.1.1 a length without a body": lambda s: h2.headers(s, status(("content-length", "5")), end=True),
    "8.2.1 an upper-case name": lambda s: h2.headers(s, status(("X-Upper", "1")), end=True),
    "8.2.1 a NUL in a value": lambda s: h2.headers(s, status(("x", "a\0")), end=True),
    "8.2.1 a header within a value": lambda s: h2.headers(s, status(("x", "a\r\nset-cookie: evil")), end=True),
    "8.2.1 a space in a name": lambda s: h2.headers(s, status(("x y", "1")), end=True),
    "8.2.2 connection": lambda s: h2.headers(s, status(("connection", "close")), end=True),
    "8.2.2 transfer-encoding": lambda s: h2.headers(s, status(("transfer-encoding", "chunked"))),
    "8.2.2 upgrade": lambda s: h2.headers(s, status(("upgrade", "h2c")), end=True),
    "8.2.2 keep-alive": lambda s: h2.headers(s, status(("keep-alive", "timeout=1")), end=True),
    "8.3.2 no status": lambda s: h2.headers(s, h2.block([("x", "1")]), end=True),
    "8.3.2 two statuses": lambda s: h2.headers(s, status((":status", "200")), end=True),
    "8.3.2 a status of letters": lambda s: h2.headers(s, h2.block([(":status", "abc")]), end=True),
    "8.3.2 a status of two digits": lambda s: h2.headers(s, h2.block([(":status", "20")]), end=True),
    "8.3.2 a status of four digits": lambda s: h2.headers(s, h2.block([(":status", "2000")]), end=True),
    "8.3.2 a status below 100": lambda s: h2.headers(s, h2.block([(":status", "099")]), end=True),
    "8.3 a status after a header": lambda s: h2.headers(s, h2.block([("x", "1"), (":status", "200")]), end=True),
    "8.3 a path in an answer": lambda s: h2.headers(s, status((":path", "/")), end=True),
    "8.3 an unknown pseudo-header": lambda s: h2.headers(s, status((":foo", "1")), end=True),
    "8.6 switching protocols": lambda s: h2.headers(s, h2.block([(":status", "101")])),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_rfc9113_8_a_malformed_answer_is_a_protocol_error(front, h2_upstream, name):
    h2_upstream.plan(raw(BAD_ANSWERS[name]))
    assert_bad_upstream(front, h2_upstream)
    if name == "8.1 data before headers":  # taken for a connection error, which section 5.4.1 allows
        wait_until(lambda: h2_upstream.connections[0].goaways, what="GOAWAY to the upstream")
        return
    wait_until(lambda: h2_upstream.requests[0].reset is not None, what="RST_STREAM to the upstream")
    assert h2_upstream.requests[0].reset == h2.PROTOCOL_ERROR
    assert h2_upstream.accepted == 1, "a stream error cost the connection that all calls share"


BAD_ENDS = {
    "more body than announced": lambda s: h2.headers(s, status(("content-length", "3"))) + h2.data(
        s, b"abcd", end=True),
    "less body than announced": lambda s: h2.headers(s, status(("content-length", "5"))) + h2.data(
        s, b"abc", end=True),
    "a second head without end": lambda s: h2.headers(s, status()) + h2.data(s, b"x") + h2.headers(s, status()),
    "a pseudo-header in trailers": lambda s: h2.headers(s, status()) + h2.data(s, b"x") + h2.headers(
        s, status(("x", "1")), end=True),
    "an upper-case trailer": lambda s: h2.headers(s, status()) + h2.data(s, b"x") + h2.headers(
        s, h2.block([("Upper", "1")]), end=True),
}


@pytest.mark.parametrize("name", BAD_ENDS)
def test_rfc9113_8_1_1_an_answer_that_goes_wrong_after_its_head_never_looks_whole(front, h2_upstream, name):
    h2_upstream.plan(raw(BAD_ENDS[name]))
    with RawClient(front.port) as client:
        response = client.get()
        assert not (response.is_complete and response.status == 200), response
    assert front.get().body == b"ok"
    wait_until(lambda: h2_upstream.requests[0].reset == h2.PROTOCOL_ERROR, what="RST_STREAM to the upstream")


BAD_CONNECTIONS = {
    "4.2 a frame that is too large": (lambda s: h2.frame(h2.HEADERS, h2.END_HEADERS, s, bytes(20000)),
                                      h2.FRAME_SIZE_ERROR),
    "4.3 a block that cannot be decompressed": (lambda s: h2.headers(s, b"\x80"), h2.COMPRESSION_ERROR),
    "5.1 data on an idle stream": (lambda s: h2.data(s + 2, b"x"), h2.PROTOCOL_ERROR),
    "5.1 a reset of an idle stream": (lambda s: h2.rst_stream(s + 2), h2.PROTOCOL_ERROR),
    "5.1 a window of an idle stream": (lambda s: h2.window_update(s + 2, 1), h2.PROTOCOL_ERROR),
    "5.1.1 a stream that the server opens": (lambda s: h2.headers(2, h2.block(h2.fields())), h2.PROTOCOL_ERROR),
    "6.1 data on stream 0": (lambda s: h2.data(0, b"x"), h2.PROTOCOL_ERROR),
    "6.4 a reset of stream 0": (lambda s: h2.rst_stream(0), h2.PROTOCOL_ERROR),
    "6.5 settings on a stream": (lambda s: h2.frame(h2.SETTINGS, 0, s), h2.PROTOCOL_ERROR),
    "6.5.2 push switched on by the server": (lambda s: h2.settings({h2.ENABLE_PUSH: 1}), h2.PROTOCOL_ERROR),
    "6.5.2 a window of 2^31": (lambda s: h2.settings({h2.INITIAL_WINDOW_SIZE: 2 ** 31}), h2.FLOW_CONTROL_ERROR),
    "6.5.2 a frame size of 0": (lambda s: h2.settings({h2.MAX_FRAME_SIZE: 0}), h2.PROTOCOL_ERROR),
    "6.6 a push promise": (lambda s: h2.push_promise(s, 2, h2.block(h2.fields())), h2.PROTOCOL_ERROR),
    "6.7 a ping of 7 bytes": (lambda s: h2.frame(h2.PING, 0, 0, bytes(7)), h2.FRAME_SIZE_ERROR),
    "6.8 a goaway on a stream": (lambda s: h2.frame(h2.GOAWAY, 0, s, bytes(8)), h2.PROTOCOL_ERROR),
    "6.9 an increment of 0": (lambda s: h2.window_update(0, 0), h2.PROTOCOL_ERROR),
    "6.9.1 a window that overflows": (lambda s: h2.window_update(0, h2.LARGEST_WINDOW), h2.FLOW_CONTROL_ERROR),
    "6.10 a ping within a block": (lambda s: h2.headers(s, status()[:5], end_headers=False) + h2.ping(),
                                   h2.PROTOCOL_ERROR),
    "6.10 a continuation of nothing": (lambda s: h2.continuation(s, status()), h2.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", BAD_CONNECTIONS)
def test_rfc9113_5_4_1_a_server_that_breaks_the_protocol_loses_the_connection(front, h2_upstream, name):
    parts, code = BAD_CONNECTIONS[name]
    h2_upstream.plan(raw(parts))
    assert_bad_upstream(front, h2_upstream)
    broken = h2_upstream.connections[0]
    wait_until(lambda: broken.is_over, what="the connection closed")
    assert [found.code for found in broken.goaways] == [code]
    assert h2_upstream.accepted == 2


def test_rfc9113_3_4_a_server_whose_first_frame_is_not_settings_is_refused(front, h2_upstream):
    h2_upstream.values = None
    h2_upstream.on_connect = lambda connection: connection.send(h2.ping())
    assert_bad_upstream(front, h2_upstream)
    assert not h2_upstream.connections[0].exchanges


def test_rfc9113_3_4_a_server_that_speaks_http_1_only_is_a_protocol_error(front, h2_upstream):
    h2_upstream.values = None
    h2_upstream.on_connect = lambda connection: connection.send(
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert_bad_upstream(front, h2_upstream)


def test_rfc9113_3_4_the_first_request_waits_for_the_servers_settings(make_proxy, h2_upstream):
    """Or else its limit of streams and its windows would be guesses."""
    proxy = make_proxy(h2_upstream, "timeouts: {connect: 400ms}", protocol="http2").start()
    h2_upstream.values = None
    response = proxy.get()
    assert response.status in (502, 503, 504) and response.reason
    assert h2_upstream.requests == []
    h2_upstream.values = ()
    assert proxy.get().status == 200


def test_rfc9113_3_4_the_preface_to_an_upstream_switches_push_off(front, h2_upstream):
    assert front.get().status == 200
    connection = h2_upstream.connections[0]
    assert connection.preface == h2.PREFACE
    first = connection.frames[0]
    assert (first.kind, first.flags) == (h2.SETTINGS, 0)
    assert connection.peer_settings[h2.ENABLE_PUSH] == 0
    assert connection.peer_settings[h2.MAX_HEADER_LIST_SIZE] >= 64 * 1024
    wait_until(lambda: connection.acknowledged == 1, what="ACK of the SETTINGS")


def test_rfc9113_5_1_1_requests_to_an_upstream_use_rising_odd_streams(front, h2_upstream):
    for _ in range(5):
        front.get()
    streams = [request.stream for request in h2_upstream.requests]
    assert streams == sorted(set(streams)) and all(stream % 2 for stream in streams)


def test_rfc9113_6_5_2_a_request_keeps_to_the_upstreams_frame_size(front, h2_upstream):
    assert front.post(body=bytes(200_000)).status == 200
    assert max(found.length for found in h2_upstream.connections[0].frames) <= 16384
    assert h2_upstream.requests[0].body_bytes == 200_000


def test_rfc9113_6_7_a_ping_of_an_upstream_is_answered(front, h2_upstream):
    front.get()
    connection = h2_upstream.connections[0]
    connection.send(h2.ping(b"upstream"))
    wait_until(lambda: b"upstream" in connection.pongs)


def test_rfc9113_6_9_a_request_keeps_to_the_upstreams_window(make_proxy, h2_upstream):
    h2_upstream.values, h2_upstream.grants_window = {h2.INITIAL_WINDOW_SIZE: 10}, False
    proxy = make_proxy(h2_upstream, protocol="http2").start()
    with proxy.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n" + b"x" * 15)
        request = h2_upstream.wait_for(1)[0]
        wait_until(lambda: request.body_bytes == 10)
        h2_upstream.connections[0].send(h2.window_update(request.stream, 4))
        wait_until(lambda: request.body_bytes == 14)
        h2_upstream.connections[0].send(h2.settings({h2.INITIAL_WINDOW_SIZE: 11}))
        assert client.read_response().status == 200
    assert request.body == b"x" * 15


def test_rfc9113_6_9_1_more_data_than_we_allowed_is_a_flow_control_error(front, h2_upstream):
    h2_upstream.plan(raw(lambda s: h2.headers(s, status()), lambda s: h2.data(s, bytes(16384)) * 1000))
    with RawClient(front.port, grants_window=False) as client:
        client.request()
        connection = wait_until(lambda: h2_upstream.connections and h2_upstream.connections[0])
        wait_until(lambda: connection.goaways or any(request.reset is not None for request in h2_upstream.requests),
                   what="an error")
    reset = h2_upstream.requests[0].reset
    code = connection.goaways[0].code if reset is None else reset
    assert code == h2.FLOW_CONTROL_ERROR


def test_rfc9113_8_2_nothing_upper_case_is_sent_upstream(front, h2_upstream):
    front.request("GET", "/", [("X-Upper-Case", "Value"), ("Accept", "*/*")])
    names = [name for name, _ in h2_upstream.requests[0].fields]
    assert all(name == name.lower() for name in names)
    assert h2_upstream.requests[0].header("x-upper-case") == "Value"


def test_rfc9113_8_3_a_request_to_an_upstream_has_its_pseudo_headers_first(front, h2_upstream):
    front.post("/path?query", headers=[("A", "1")])
    names = [name for name, _ in h2_upstream.requests[0].fields]  # 8.3.1: :authority is made of Host
    pseudo = [name for name in names if name.startswith(":")]
    assert sorted(pseudo) == [":authority", ":method", ":path", ":scheme"]
    assert names[:4] == pseudo
    assert h2_upstream.requests[0].header(":scheme") == "http"


def test_rfc7541_5_2_the_literals_of_the_harness_are_what_a_decoder_reads():
    """The hand-made literals of the harness, by an independent decoder."""
    pairs = h2.fields(more=[("x", "v" * 300), ("y", "")])
    assert [tuple(pair) for pair in hpack.Decoder().decode(h2.block(pairs))] == pairs


def test_rfc9113_0_each_name_tells_its_section():
    with open(__file__, encoding="utf-8") as source:
        names = re.findall(r"^def (test_\w+)", source.read(), re.M)
    assert [name for name in names if not re.match(r"test_rfc\d+_\d", name)] == []
