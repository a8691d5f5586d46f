"""What the proxy takes away from a message, and what it adds."""

import pytest
from harness.upstream import answer, reset


def test_hop_by_hop_headers_of_a_request_are_cut(start, upstream):
    start().get("/", [("Connection", "keep-alive, X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"),
                      ("Proxy-Connection", "keep-alive"), ("Proxy-Authorization", "Basic eA=="), ("TE", "gzip"),
                      ("Upgrade", "h2c"), ("X-Kept", "1")])
    names = {name.lower() for name, _ in upstream.requests[0].headers}
    assert names & {"x-secret", "keep-alive", "proxy-connection", "te", "upgrade"} == set()
    assert "x-kept" in names


def test_hop_by_hop_headers_of_a_response_are_cut(start, upstream):
    upstream.plan(answer(200, headers=[("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"),
                                       ("Proxy-Connection", "keep-alive"), ("X-Kept", "1")]))
    response = start().get()
    names = {name.lower() for name, _ in response.headers}
    assert names & {"x-secret", "keep-alive", "proxy-connection"} == set()
    assert "x-kept" in names


def test_via_is_added_in_both_directions(start, upstream):
    upstream.plan(answer(200, headers=[("Via", "1.1 inner")]))
    response = start().get("/", [("Via", "1.0 outer")])
    sent = ", ".join(upstream.requests[0].all("via"))
    assert sent.startswith("1.0 outer, 1.1 ")
    received = ", ".join(response.all("via"))
    assert received.startswith("1.1 inner, 1.1 ")


def test_via_is_made_where_there_is_none(start, upstream):
    response = start().get()
    assert upstream.requests[0].header("via").startswith("1.1 ")
    assert response.header("via").startswith("1.1 ")


def test_a_request_gets_an_id_of_its_own(start, upstream):
    proxy = start()
    for _ in range(20):
        proxy.get()
    ids = [request.header("x-request-id") for request in upstream.requests]
    assert all(ids) and len(set(ids)) == 20


def test_a_request_id_of_the_caller_is_kept(start, upstream):
    start().get("/", [("X-Request-Id", "abc-123")])
    assert upstream.requests[0].all("x-request-id") == ["abc-123"]


def test_attempts_of_one_call_share_its_id_and_are_numbered(start, upstream):
    upstream.plan(answer(503), answer(503))
    start("retry: {attempts: 2, backoff: 1ms}").get()
    assert [request.header("x-outrigger-attempt") for request in upstream.requests] == ["1", "2", "3"]
    assert len({request.header("x-request-id") for request in upstream.requests}) == 1


def test_the_attempt_number_cannot_be_forged(start, upstream):
    start().get("/", [("X-Outrigger-Attempt", "7")])
    assert upstream.requests[0].all("x-outrigger-attempt") == ["1"]


def test_a_reason_from_upstream_is_removed(start, upstream):
    upstream.plan(answer(503, headers=[("X-Outrigger-Reason", "circuit_open")]))
    response = start().get()
    assert response.status == 503 and response.reason is None


def test_a_reason_from_us_is_there(start, upstream):
    upstream.plan(reset())
    assert start().post().reason == "connection_reset"


@pytest.mark.parametrize("host", ["app.test", "APP.test:8080", "127.0.0.1", "[::1]:80", "payments"])
def test_the_host_that_the_app_sends_passes_unchanged(start, upstream, host):
    proxy = start()
    with proxy.client() as client:
        assert client.get("/", host=host).status == 200
    assert upstream.requests[0].all("host") == [host]
