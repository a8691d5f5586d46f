"""A caller of HTTP/1.1 and an upstream of HTTP/2, and which of the two is spoken."""

import base64
import socket

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import Client, encode
from harness.h2 import RawClient
from harness.h2_bridge import call, lower, to_h1, to_h2  # noqa: F401 (fixtures)
from harness.h2_upstream import begun
from harness.proxy import policy_document
from harness.upstream import websocket_echo
from harness.waiting import wait_until

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
    assert answered.startswith(b"HTTP/1.1 200") or answered == b""  # the reset may overtake the head
    assert not answered.endswith(b"0\r\n\r\n")


def test_a_cut_answer_of_an_http_2_upstream_is_a_reset_in_http_2(make_proxy, h2_upstream):
    def resets(exchange):
        begun(b"half")(exchange)
        exchange.reset(h2.CANCEL)

    h2_upstream.plan(resets)
    response = call(make_proxy(h2_upstream).start())
    assert response.status in (200, None)  # the reset may overtake the head here, too
    assert (response.is_complete, response.reset) == (False, h2.INTERNAL_ERROR)


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
