"""A proxy and an HTTP/2 upstream that the tests of RFC 9113 share, and what they ask of both."""

import pytest

from . import h2
from .h2 import RawClient
from .h2_upstream import RawUpstream, hang
from .proxy import Proxy


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One proxy and one HTTP/2 upstream for nearly all of these; each test must leave both as they were."""
    upstream = RawUpstream()
    upstream.on("/hang", hang(reads_body=False))
    proxy = Proxy(tmp_path_factory.mktemp("h2") / "proxy", upstream).start()
    yield proxy, upstream
    proxy.stop()
    upstream.close()


@pytest.fixture
def proxy(pair):
    if pair[0].process.poll() is not None:  # the test before killed it, and says so
        pair[0].start()
    yield pair[0]
    code = pair[0].process.poll()
    assert code is None, f"the proxy has ended with {code}: {pair[0].sanitizer()}"


@pytest.fixture
def server(pair):
    return pair[1]


@pytest.fixture
def client(proxy):
    with RawClient(proxy.port) as connection:
        yield connection.settle()


@pytest.fixture
def hanging(client, server):
    """A stream whose request is complete and has no answer: half-closed (remote) for the proxy."""
    seen = len(server.requests)
    stream = client.request("GET", "/hang")
    server.wait_for(seen + 1)
    return stream


@pytest.fixture
def open_stream(client, server):
    """A stream whose request goes on."""
    seen = len(server.requests)
    stream = client.request("POST", "/hang", end=False)
    server.wait_for(seen + 1)
    return stream


def still_serves(client):
    response = client.get()
    assert (response.status, response.body, response.is_complete) == (200, b"ok", True)


def nothing_happens(client):
    """What was sent is ignored: two PINGs come back (a PING may overtake one error, not two), a call is served."""
    client.round_trip()
    client.round_trip()
    assert not client.errors and not client.resets(), client.frames[-8:]
    still_serves(client)


def assert_refused_as_malformed(client, stream, server, seen):
    """RST_STREAM PROTOCOL_ERROR or our own 400; the connection lives; nothing reached the upstream."""
    response = client.response(stream)
    if response.status is None:
        assert response.reset == h2.PROTOCOL_ERROR
    else:
        assert (response.status, response.reason) == (400, "bad_request")
    still_serves(client)
    assert len(server.requests) == seen + 1, f"it reached the upstream: {server.requests[seen:]}"
