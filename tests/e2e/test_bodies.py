"""Bodies of any size, both ways, with backpressure, in memory that does not grow with them."""

import hashlib
import os
import socket
import threading

import pytest
from harness.client import CHUNK, encode
from harness.upstream import generated, reads_nothing
from harness.waiting import IS_DEBUG_BUILD, slack, stays, wait_until

MIB = 1024 * 1024
GIB = 1024 * MIB
PROXY_MEMORY = 16 * MIB  # what the proxy may use while any body passes
# Sanitizers copy at a tenth of the speed, and their memory is no measure of ours.
CHECKED_SIZE = 64 * MIB if IS_DEBUG_BUILD else GIB
LONG_SIZE = int(os.environ.get("OUTRIGGER_LONG_BODY_GIB", "2")) * GIB
release_only = pytest.mark.skipif(IS_DEBUG_BUILD, reason="memory is measured in the release build")


def noise(size, seed=b"outrigger"):
    """Yields `size` bytes that are the same every time and like no other place in the stream."""
    block = b"".join(hashlib.sha256(seed + number.to_bytes(4, "big")).digest() for number in range(CHUNK // 32))
    for number in range(size // CHUNK):
        yield number.to_bytes(8, "big") + block[8:]


def test_a_gibibyte_uploaded_arrives_as_it_was(start, upstream):
    proxy, sent = start(), hashlib.sha256()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", str(CHECKED_SIZE))]))
        for part in noise(CHECKED_SIZE):
            sent.update(part)
            client.send(part)
        assert client.read_response().status == 200
    received = upstream.requests[0]
    assert received.body_bytes == CHECKED_SIZE
    assert received.body_sha256.digest() == sent.digest()


def test_a_gibibyte_downloaded_arrives_as_it_was(start, upstream):
    sent = hashlib.sha256()

    async def script(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % CHECKED_SIZE)
        for part in noise(CHECKED_SIZE):
            sent.update(part)
            await exchange.send(part)
        return True

    upstream.plan(script)
    response = start().get()
    assert response.body_bytes == CHECKED_SIZE
    assert response.body_sha256.digest() == sent.digest()


@release_only
def test_an_upload_of_many_gibibytes_needs_no_memory(start, upstream):
    proxy = start()
    counted = []

    async def counts(exchange):
        left = LONG_SIZE
        while left:
            left -= len(await exchange.reader.read(min(left, CHUNK)))
        counted.append(LONG_SIZE - left)
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return True

    upstream.plan(counts)
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", str(LONG_SIZE))]))
        zeros = bytes(CHUNK)
        for _ in range(LONG_SIZE // CHUNK):
            client.send(zeros)
        assert client.read_response().status == 200
    assert counted == [LONG_SIZE]
    assert proxy.memory()[1] < PROXY_MEMORY


@release_only
def test_a_download_of_many_gibibytes_needs_no_memory(start, upstream):
    upstream.plan(generated(LONG_SIZE))
    proxy = start()
    with proxy.client() as client:
        client.send(encode("GET", "/"))
        client.read_head()
        left, space = LONG_SIZE - len(client.buffer), bytearray(CHUNK)
        while left:
            left -= client.socket.recv_into(space, min(left, CHUNK))
    assert proxy.memory()[1] < PROXY_MEMORY


def send_until_full(sock, quiet=0.5):
    """Writes zeros until the peer takes no more for a while; returns how many it took."""
    sock.settimeout(slack(quiet))
    sent, zeros = 0, bytes(CHUNK)
    while True:
        try:
            sent += sock.send(zeros)
        except TimeoutError:
            return sent


def test_an_upstream_that_does_not_read_stops_the_caller(start, upstream):
    upstream.plan(reads_nothing())
    proxy = start()
    before = proxy.memory()[0]
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", str(GIB))]))
        sent = send_until_full(client.socket)
        assert sent < 64 * MIB  # what the kernel's four socket buffers hold, far from a gibibyte
        assert proxy.memory()[0] - before < 4 * MIB


def test_an_upload_goes_on_when_the_upstream_reads_again(start, upstream):
    size = 32 * MIB
    upstream.plan(reads_nothing())
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", str(size))]))
        writer = threading.Thread(target=lambda: client.send(bytes(size)))
        writer.start()
        upstream.wait_for(1)
        stays(lambda: not upstream.requests[0].is_complete, 0.2)
        upstream.release()
        assert client.read_response().status == 200
        writer.join()
    assert upstream.requests[0].body_bytes == size


def test_a_caller_that_does_not_read_stops_the_upstream(start, upstream):
    sent = []

    async def endless(exchange):
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % GIB)
        while True:
            await exchange.send(bytes(CHUNK))
            sent.append(CHUNK)

    upstream.plan(endless)
    proxy = start()
    before = proxy.memory()[0]
    with proxy.client(receive_buffer=64 * 1024) as client:
        client.send(encode("GET", "/"))
        wait_until(lambda: sent)
        taken = 0
        while taken != sum(sent):  # until nothing more moves for a while
            taken = sum(sent)
            stays(lambda: True, 0.3)
        assert taken < 64 * MIB
        assert proxy.memory()[0] - before < 4 * MIB
    wait_until(lambda: upstream.open_connections == 0, what="the upstream call given up")


def test_a_slow_caller_still_gets_every_byte(start, upstream):
    size = 8 * MIB
    upstream.plan(generated(size))
    proxy = start()
    with proxy.client(receive_buffer=16 * 1024) as client:
        assert client.request("GET", "/").body_bytes == size


def test_many_bodies_pass_at_once(start, upstream):
    from harness.proxy import together

    body = b"".join(noise(1 * MIB))
    proxy = start()

    def upload(index):
        return proxy.request("PUT", f"/{index}", body=body).status

    assert together(16, upload) == [200] * 16
    digests = {request.body_sha256.digest() for request in upstream.requests}
    assert digests == {hashlib.sha256(body).digest()}


def test_a_body_that_ends_with_a_reset_does_not_look_whole(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
        upstream.wait_for(1)
        client.reset()
    wait_until(lambda: upstream.open_connections == 0)
    assert not upstream.requests[0].is_complete


def test_a_caller_that_closes_its_sending_side_has_left(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.send(encode("PUT", "/", [("Content-Length", "10")]) + b"half")
        upstream.wait_for(1)
        client.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: upstream.open_connections == 0)
    assert not upstream.requests[0].is_complete
