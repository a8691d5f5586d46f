"""What RFC 9113 demands of a server and of a client, frame by frame. The section is in each test's name.

Where the RFC says "connection error", only a GOAWAY with that code will do; where it says "stream error", 5.4.1 lets a
connection error take its place. A malformed request is a stream error or our own 400, and reaches no upstream.
"""

import re
import struct

import hpack
import pytest
from harness import h2
from harness.client import Client
from harness.h2 import RawClient
from harness.h2_upstream import RawUpstream, answer, generated, hang, raw
from harness.proxy import Proxy
from harness.waiting import wait_until


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


# ---- 3.4 the preface -------------------------------------------------------------------------------------------


def test_rfc9113_3_4_the_first_frame_of_the_server_is_settings(proxy):
    with RawClient(proxy.port) as client:
        client.read_until(lambda: client.frames, what="first frame")
        first = client.frames[0]
        assert (first.kind, first.flags, first.stream) == (h2.SETTINGS, 0, 0)


def test_rfc9113_3_4_the_server_does_not_wait_for_our_settings_to_send_its_own(proxy):
    with RawClient(proxy.port, shakes_hands=False) as client:
        client.send(h2.PREFACE)
        client.read_until(lambda: client.settings_seen, what="SETTINGS")


def test_rfc9113_3_4_requests_may_follow_the_preface_at_once(proxy):
    with RawClient(proxy.port, shakes_hands=False) as client:
        client.send(h2.PREFACE, h2.settings(), h2.headers(1, h2.block(h2.fields()), end=True))
        assert client.response(1).status == 200


def test_rfc9113_3_4_a_preface_in_pieces_is_still_a_preface(proxy):
    with RawClient(proxy.port, shakes_hands=False) as client:
        for at in range(len(h2.PREFACE)):
            client.send(h2.PREFACE[at:at + 1])
        client.send(h2.settings())
        assert client.settle().get().status == 200


@pytest.mark.parametrize("wrong", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
                                   b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_rfc9113_3_4_a_wrong_preface_ends_the_connection(proxy, server, wrong):
    seen = len(server.requests)
    with Client(proxy.port) as client:
        client.send(wrong + h2.settings() + h2.headers(1, h2.block(h2.fields()), end=True))
        answered = client.read_until_close()
    assert b"HTTP/1.1 2" not in answered
    assert len(server.requests) == seen


@pytest.mark.parametrize("first", [
    h2.headers(1, h2.block(h2.fields()), end=True), h2.ping(), h2.window_update(0, 1), h2.goaway(), h2.SETTINGS_ACK,
    h2.data(1, b"x"), h2.frame(0x42)], ids=["HEADERS", "PING", "WINDOW_UPDATE", "GOAWAY", "SETTINGS ACK", "DATA",
                                            "unknown"])
def test_rfc9113_3_4_a_preface_without_settings_is_a_connection_error(proxy, server, first):
    seen = len(server.requests)
    with RawClient(proxy.port, shakes_hands=False) as client:
        client.send(h2.PREFACE, first)
        client.expect_end()  # 3.4: the GOAWAY may be omitted
        assert all(found.code == h2.PROTOCOL_ERROR for found in client.errors)
    assert len(server.requests) == seen


# ---- 4.1, 4.2 frames and their size -----------------------------------------------------------------------------


def test_rfc9113_4_1_the_reserved_bit_of_a_stream_id_is_ignored(client):
    client.send(h2.headers(1 | 1 << 31, h2.block(h2.fields()), end=True))
    assert client.response(1).status == 200


def test_rfc9113_4_1_flags_without_meaning_are_ignored(client):
    client.send(h2.headers(1, h2.block(h2.fields()), end=True, flags=0xd2 & ~h2.PADDED & ~h2.WITH_PRIORITY),
                h2.frame(h2.PING, 0xfe, 0, b"8 bytes."))
    assert client.response(1).status == 200
    client.read_until(lambda: b"8 bytes." in client.pongs, what="answer to the PING")


def test_rfc9113_4_2_a_data_frame_of_16384_bytes_is_taken(client, server):
    assert client.call("POST", "/", body=bytes(16384)).status == 200
    assert server.requests[-1].body_bytes == 16384


def test_rfc9113_4_2_a_data_frame_that_is_too_large_is_a_frame_size_error(client, open_stream):
    client.try_send(h2.data(open_stream, bytes(client.largest_frame() + 1)))
    client.expect_error(open_stream, h2.FRAME_SIZE_ERROR)


def long_block(size):
    """A good block of more than `size` bytes."""
    return h2.block(h2.fields(more=[("x-long", "v" * size)]))


TOO_LARGE = {
    "HEADERS": lambda size: h2.headers(1, long_block(size), end=True),
    "SETTINGS": lambda size: h2.settings([(0x4a4a, 1)] * (size // 6 + 1)),
    "CONTINUATION": lambda size: h2.headers(1, b"", end=True, end_headers=False) + h2.continuation(1, long_block(size)),
    "GOAWAY": lambda size: h2.goaway(0, 0, bytes(size)),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
def test_rfc9113_4_2_a_frame_with_state_that_is_too_large_is_a_connection_error(client, kind):
    client.try_send(TOO_LARGE[kind](client.largest_frame() + 1))
    client.expect_goaway(h2.FRAME_SIZE_ERROR)


WRONG_SIZES = {
    "6.4 RST_STREAM of 3 bytes": lambda s: h2.frame(h2.RST_STREAM, 0, s, bytes(3)),
    "6.4 RST_STREAM of 5 bytes": lambda s: h2.frame(h2.RST_STREAM, 0, s, bytes(5)),
    "6.5 SETTINGS of 5 bytes": lambda s: h2.frame(h2.SETTINGS, 0, 0, bytes(5)),
    "6.5 SETTINGS of 7 bytes": lambda s: h2.frame(h2.SETTINGS, 0, 0, bytes(7)),
    "6.5 SETTINGS ACK of 6 bytes": lambda s: h2.frame(h2.SETTINGS, h2.ACK, 0, struct.pack(">HI", 3, 1)),
    "6.7 PING of 7 bytes": lambda s: h2.frame(h2.PING, 0, 0, bytes(7)),
    "6.7 PING of 9 bytes": lambda s: h2.frame(h2.PING, 0, 0, bytes(9)),
    "6.7 PING ACK of 7 bytes": lambda s: h2.frame(h2.PING, h2.ACK, 0, bytes(7)),
    "6.8 GOAWAY of 7 bytes": lambda s: h2.frame(h2.GOAWAY, 0, 0, bytes(7)),
    "6.9 WINDOW_UPDATE of 3 bytes on the connection": lambda s: h2.frame(h2.WINDOW_UPDATE, 0, 0, bytes(3)),
    "6.9 WINDOW_UPDATE of 5 bytes on a stream": lambda s: h2.frame(h2.WINDOW_UPDATE, 0, s, b"\0\0\0\1\0"),
}


@pytest.mark.parametrize("name", WRONG_SIZES)
def test_rfc9113_6_a_frame_of_the_wrong_size_is_a_connection_error(client, hanging, name):
    client.send(WRONG_SIZES[name](hanging))
    client.expect_goaway(h2.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("size", [4, 6])
def test_rfc9113_6_3_a_priority_of_the_wrong_size_is_a_stream_error(client, hanging, size):
    client.send(h2.frame(h2.PRIORITY, 0, hanging, bytes(size)))
    client.expect_error(hanging, h2.FRAME_SIZE_ERROR)


@pytest.mark.parametrize("kind, payload", [(h2.HEADERS, b""), (h2.DATA, b"")], ids=["HEADERS", "DATA"])
def test_rfc9113_6_a_padded_frame_without_its_pad_length_is_a_connection_error(client, open_stream, kind, payload):
    stream = open_stream if kind == h2.DATA else client.new_stream()
    client.send(h2.frame(kind, h2.PADDED | h2.END_HEADERS, stream, payload))
    client.expect_goaway(h2.FRAME_SIZE_ERROR, h2.PROTOCOL_ERROR)  # 4.2: too small to hold what it must hold


def test_rfc9113_6_2_a_header_with_priority_that_has_no_room_for_it_is_a_connection_error(client):
    client.send(h2.frame(h2.HEADERS, h2.WITH_PRIORITY | h2.END_HEADERS, 1, bytes(4)))
    client.expect_goaway(h2.FRAME_SIZE_ERROR, h2.PROTOCOL_ERROR)


# ---- 4.3 header compression ------------------------------------------------------------------------------------

GOOD = h2.block(h2.fields())
BAD_BLOCKS = {
    "index 0": GOOD + b"\x80",
    "an index beyond the table": GOOD + h2.indexed(62),
    "an index far beyond the table": GOOD + h2.indexed(1_000_000),
    "an integer without end": GOOD + b"\xff" + b"\xff" * 12,
    "a name index beyond the table": GOOD + h2.integer(70, 6, 0x40) + b"\x01x",
    "a literal that is cut short": GOOD + b"\x00\x05ab",
    "a value longer than the block": GOOD + b"\x00\x01a" + h2.integer(5000, 7) + b"x",
    "a table size beyond the limit": h2.integer(1_000_000, 5, 0x20) + GOOD,
    "a table size in the middle": GOOD[:-3] + GOOD[-3:] + h2.integer(0, 5, 0x20) + h2.literal("a", "b"),
    "a table size at the end": GOOD + h2.integer(0, 5, 0x20),
    "Huffman padding of more than 7 bits": GOOD + b"\x00\x01a\x82\x1f\xff",
    "Huffman padding of zeros": GOOD + b"\x00\x01a\x81\x18",
    "Huffman's EOS in a string": GOOD + b"\x00\x01a\x84\xff\xff\xff\xfc",
}


@pytest.mark.parametrize("name", BAD_BLOCKS)
def test_rfc9113_4_3_a_block_that_cannot_be_decompressed_is_a_connection_error(client, server, name):
    seen = len(server.requests)
    client.send(h2.headers(1, BAD_BLOCKS[name], end=True))
    client.expect_goaway(h2.COMPRESSION_ERROR)
    assert len(server.requests) == seen


def test_rfc9113_4_3_trailers_that_cannot_be_decompressed_are_a_connection_error(client, open_stream):
    client.send(h2.headers(open_stream, b"\x80", end=True))
    client.expect_goaway(h2.COMPRESSION_ERROR)


def test_rfc9113_4_3_the_block_of_a_refused_stream_still_counts_for_the_table(client, server):
    """What the malformed request adds to the table is what the next one refers to."""
    client.send(h2.headers(1, h2.block(h2.fields()) + h2.literal("x-kept", "yes", 0x40) + h2.literal("UPPER", "1"),
                           end=True))
    assert client.response(1).is_over
    client.next_stream = 3
    stream = client.new_stream()
    client.send(h2.headers(stream, h2.block(h2.fields()) + h2.indexed(62), end=True))
    assert client.response(stream).status == 200
    assert server.requests[-1].header("x-kept") == "yes"


def test_rfc9113_4_3_1_a_table_of_size_0_is_respected(proxy, server):
    """The proxy may refer to nothing that it has sent before, and says so at the start of a block."""
    with RawClient(proxy.port, {h2.HEADER_TABLE_SIZE: 0}) as client:
        client.settle()
        client.decoder.max_allowed_table_size = 0  # from here on the decoder refuses what the table would need
        for _ in range(3):
            server.plan(answer(200, b"ok", [("x-same", "value")]))
            assert client.get().header("x-same") == "value"


# ---- 5.1 the states of a stream --------------------------------------------------------------------------------

ON_IDLE = {
    "data": h2.data(5, b"x"),
    "empty_data": h2.data(5, b"", end=True),
    "rst_stream": h2.rst_stream(5),
    "window_update": h2.window_update(5, 1),
    "continuation": h2.continuation(5, h2.block(h2.fields())),
}


@pytest.mark.parametrize("kind", ON_IDLE)
def test_rfc9113_5_1_a_frame_on_an_idle_stream_is_a_connection_error(client, kind):
    client.send(ON_IDLE[kind])
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_5_1_priority_on_an_idle_stream_is_ignored(client):
    client.send(h2.priority(5), h2.priority(101, 5))
    nothing_happens(client)


def test_rfc9113_5_1_data_after_the_end_of_the_request_is_stream_closed(client, hanging):
    client.send(h2.data(hanging, b"more", end=True))
    client.expect_error(hanging, h2.STREAM_CLOSED)


def test_rfc9113_5_1_headers_after_the_end_of_the_request_are_stream_closed(client, hanging):
    client.send(h2.headers(hanging, h2.block([("late", "1")]), end=True))
    client.expect_error(hanging, h2.STREAM_CLOSED)


def test_rfc9113_5_1_window_update_and_priority_after_the_end_of_the_request_are_fine(client, hanging):
    client.send(h2.window_update(hanging, 10), h2.priority(hanging))
    nothing_happens(client)


def test_rfc9113_5_1_rst_stream_after_the_end_of_the_request_cancels_it(client, server, hanging):
    client.send(h2.rst_stream(hanging, h2.CANCEL))
    wait_until(lambda: server.requests[-1].gone_at, what="the upstream call given up")
    assert server.requests[-1].reset == h2.CANCEL
    still_serves(client)


LATE = {
    "data": lambda stream: h2.data(stream, b"late", end=True),
    "headers": lambda stream: h2.headers(stream, h2.block(h2.fields(path="/again")), end=True),
}


def assert_discarded_or_closed(client, server):
    """5.1 on closed streams: minimal processing, or an error; never a second life."""
    try:
        client.round_trip()
        client.round_trip()
        assert all(found.code == h2.STREAM_CLOSED for found in client.resets())
    except EOFError:
        assert client.errors[-1].code in (h2.STREAM_CLOSED, h2.PROTOCOL_ERROR)
    assert not any(request.target == "/again" for request in server.requests)


@pytest.mark.parametrize("kind", LATE)
def test_rfc9113_5_1_a_frame_on_a_stream_that_we_have_reset_brings_nothing_back(client, server, open_stream, kind):
    client.send(h2.rst_stream(open_stream))
    wait_until(lambda: server.requests[-1].gone_at)
    client.try_send(LATE[kind](open_stream))
    assert_discarded_or_closed(client, server)


@pytest.mark.parametrize("kind", LATE)
def test_rfc9113_5_1_a_frame_on_a_stream_that_has_ended_brings_nothing_back(client, server, kind):
    stream = client.request("GET", "/")
    assert client.response(stream).status == 200
    client.try_send(LATE[kind](stream))
    assert_discarded_or_closed(client, server)


@pytest.mark.parametrize("late", [h2.window_update(1, 100), h2.rst_stream(1), h2.priority(1)],
                         ids=["WINDOW_UPDATE", "RST_STREAM", "PRIORITY"])
def test_rfc9113_5_1_what_may_come_late_on_an_ended_stream_is_ignored(client, late):
    assert client.get().status == 200
    client.send(late)
    nothing_happens(client)


def test_rfc9113_5_1_1_an_even_stream_id_is_a_connection_error(client):
    client.open(h2.fields(), stream=2)
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_5_1_1_a_stream_id_below_an_earlier_one_is_a_connection_error(client, server):
    client.open(h2.fields(), stream=5)
    assert client.response(5).status == 200
    seen = len(server.requests)
    client.open(h2.fields(path="/again"), stream=3)
    client.expect_goaway(h2.PROTOCOL_ERROR)
    assert len(server.requests) == seen


def test_rfc9113_5_1_1_stream_ids_may_skip(client):
    client.open(h2.fields(), stream=1001)
    assert client.response(1001).status == 200


def test_rfc9113_5_1_1_the_largest_stream_id_is_served(client):
    client.open(h2.fields(), stream=h2.LARGEST_WINDOW)
    assert client.response(h2.LARGEST_WINDOW).status == 200


def test_rfc9113_5_1_2_a_stream_beyond_the_limit_is_refused_and_the_others_live(make_proxy, h2_upstream):
    h2_upstream.on("/hang", hang())
    proxy = make_proxy(h2_upstream, spec="http2: {maxConcurrentStreams: 3}").start()
    with RawClient(proxy.port) as client:
        client.settle()
        assert client.peer_settings[h2.MAX_CONCURRENT_STREAMS] == 3
        streams = [client.request("GET", "/hang") for _ in range(3)]
        h2_upstream.wait_for(3)
        client.expect_reset(client.request("GET", "/fourth"), h2.REFUSED_STREAM)
        client.send(h2.rst_stream(streams[0]))
        still_serves(client)
        assert not client.resets(streams[1])
    assert [request.target for request in h2_upstream.requests] == ["/hang"] * 3 + ["/"]


def test_rfc9113_5_1_2_streams_that_have_ended_do_not_count(make_proxy, h2_upstream):
    proxy = make_proxy(h2_upstream, spec="http2: {maxConcurrentStreams: 2}").start()
    with RawClient(proxy.port) as client:
        for _ in range(20):
            still_serves(client)


# ---- 5.3 priority, 5.4 errors, 5.5 extensions ------------------------------------------------------------------


def test_rfc9113_5_3_a_request_with_priority_is_served(client):
    block = struct.pack(">IB", 0x80000000, 200) + h2.block(h2.fields())
    client.send(h2.headers(1, block, end=True, flags=h2.WITH_PRIORITY))
    assert client.response(1).status == 200


def test_rfc9113_5_3_priority_is_ignored_on_any_stream(client, hanging):
    client.send(h2.priority(hanging, 99), h2.priority(99, hanging), h2.priority(2, 1))
    nothing_happens(client)


def test_rfc9113_5_4_1_the_goaway_of_an_error_names_the_last_stream(client):
    assert client.get().status == 200
    assert client.get().status == 200
    client.send(h2.data(99, b"x"))
    assert client.expect_goaway(h2.PROTOCOL_ERROR).last_stream == 3


def test_rfc9113_5_4_1_a_connection_error_ends_the_upstream_calls(client, server, hanging):
    client.send(h2.data(99, b"x"))
    client.expect_goaway(h2.PROTOCOL_ERROR)
    wait_until(lambda: server.requests[-1].gone_at, what="the upstream call given up")


def test_rfc9113_5_4_2_a_stream_error_leaves_the_others_alone(client, hanging):
    stream = client.open(h2.fields(more=[("UPPER", "1")]))
    client.response(stream)
    assert not client.resets(hanging)
    nothing_before = client.response_so_far(hanging)
    assert not nothing_before.is_over
    still_serves(client)


def test_rfc9113_5_4_2_a_reset_is_not_answered_with_a_reset(client, server, hanging):
    client.send(h2.rst_stream(hanging, h2.CANCEL))
    nothing_happens(client)


@pytest.mark.parametrize("stream", [0, 1, 7, 2])
def test_rfc9113_5_5_an_unknown_frame_is_ignored(client, stream):
    client.send(h2.frame(0xbe, 0xff, stream, b"whatever"))
    nothing_happens(client)


def test_rfc9113_5_5_an_unknown_frame_within_a_request_is_ignored(client, server):
    stream = client.request("POST", "/", body=b"one", end=False)
    client.send(h2.frame(0x0c, 0, stream, b"whatever"), h2.data(stream, b"two", end=True))
    assert client.response(stream).status == 200
    assert server.requests[-1].body == b"onetwo"


def test_rfc9113_5_5_an_unknown_frame_within_a_header_block_is_a_connection_error(client):
    block = h2.block(h2.fields())
    client.send(h2.headers(1, block[:10], end_headers=False), h2.frame(0xbe, 0, 1), h2.continuation(1, block[10:]))
    client.expect_goaway(h2.PROTOCOL_ERROR)


# ---- 6 the frames ----------------------------------------------------------------------------------------------

ON_STREAM_0 = {
    "6.1 DATA": h2.data(0, b"x"),
    "6.2 HEADERS": h2.headers(0, h2.block(h2.fields()), end=True),
    "6.3 PRIORITY": h2.priority(0),
    "6.4 RST_STREAM": h2.rst_stream(0),
    "6.10 CONTINUATION": h2.continuation(0, b""),
}


@pytest.mark.parametrize("kind", ON_STREAM_0)
def test_rfc9113_6_a_frame_that_needs_a_stream_is_a_connection_error_without_one(client, kind):
    client.send(ON_STREAM_0[kind])
    client.expect_goaway(h2.PROTOCOL_ERROR)


ON_A_STREAM = {
    "6.5 SETTINGS": lambda stream: h2.frame(h2.SETTINGS, 0, stream),
    "6.5 SETTINGS ACK": lambda stream: h2.frame(h2.SETTINGS, h2.ACK, stream),
    "6.7 PING": lambda stream: h2.frame(h2.PING, 0, stream, bytes(8)),
    "6.8 GOAWAY": lambda stream: h2.frame(h2.GOAWAY, 0, stream, bytes(8)),
}


@pytest.mark.parametrize("kind", ON_A_STREAM)
def test_rfc9113_6_a_frame_of_the_connection_is_a_connection_error_on_a_stream(client, hanging, kind):
    client.send(ON_A_STREAM[kind](hanging))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_1_padding_is_taken_off(client, server):
    stream = client.request("POST", "/", end=False)
    client.send(h2.data(stream, b"abc", padding=200), h2.data(stream, b"", padding=255),
                h2.data(stream, b"def", end=True, padding=0))
    assert client.response(stream).status == 200
    assert server.requests[-1].body == b"abcdef"


def test_rfc9113_6_1_padding_counts_for_the_window_and_is_given_back(client, server):
    """A megabyte of padding: the windows would be shut for good if it were forgotten."""
    stream = client.request("POST", "/", end=False)
    for _ in range(4096):
        client.read_until(lambda: client.window(stream) >= 257, what="a window")
        client.spend(stream, 257)
        client.send(h2.data(stream, b"x", padding=255))
    client.send(h2.data(stream, b"", end=True))
    assert client.response(stream).status == 200
    assert server.requests[-1].body_bytes == 4096


@pytest.mark.parametrize("padding", [3, 4, 255])
def test_rfc9113_6_1_padding_longer_than_the_frame_is_a_connection_error(client, open_stream, padding):
    client.send(h2.frame(h2.DATA, h2.PADDED, open_stream, bytes([padding]) + b"ab"))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_2_padding_of_headers_is_taken_off(client):
    block = bytes([10]) + h2.block(h2.fields()) + bytes(10)
    client.send(h2.headers(1, block, end=True, flags=h2.PADDED))
    assert client.response(1).status == 200


def test_rfc9113_6_2_padding_longer_than_the_headers_is_a_connection_error(client):
    block = h2.block(h2.fields())
    client.send(h2.headers(1, bytes([255]) + block[:100], end=True, flags=h2.PADDED))
    client.expect_goaway(h2.PROTOCOL_ERROR)


BETWEEN = {
    "data": h2.data(1, b"x"),
    "headers of another stream": h2.headers(3, h2.block(h2.fields()), end=True),
    "headers of the same stream": h2.headers(1, h2.block(h2.fields()), end=True),
    "ping": h2.ping(),
    "settings": h2.settings(),
    "window_update": h2.window_update(0, 1),
    "rst_stream": h2.rst_stream(1),
    "priority": h2.priority(1),
    "continuation of another stream": h2.continuation(3, b""),
}


@pytest.mark.parametrize("kind", BETWEEN)
def test_rfc9113_6_2_anything_else_within_a_header_block_is_a_connection_error(client, server, kind):
    seen = len(server.requests)
    client.send(h2.headers(1, h2.block(h2.fields())[:20], end=True, end_headers=False), BETWEEN[kind])
    client.expect_goaway(h2.PROTOCOL_ERROR)
    assert len(server.requests) == seen


def test_rfc9113_6_5_settings_are_acknowledged_one_by_one(client):
    before = client.acknowledged
    client.send(h2.settings({h2.ENABLE_PUSH: 0}), h2.settings(), h2.settings({h2.MAX_FRAME_SIZE: 20000}))
    client.read_until(lambda: client.acknowledged == before + 3, what="three ACKs")
    nothing_happens(client)


def test_rfc9113_6_5_2_what_the_proxy_announces(client):
    said = client.peer_settings
    assert said[h2.MAX_CONCURRENT_STREAMS] == 1000
    assert said[h2.MAX_HEADER_LIST_SIZE] >= 64 * 1024
    assert said[h2.INITIAL_WINDOW_SIZE] == 256 * 1024
    assert said[h2.NO_RFC7540_PRIORITIES] == 1
    assert said.get(h2.ENABLE_PUSH, 0) == 0  # a server must not send 1
    assert 16384 <= said.get(h2.MAX_FRAME_SIZE, 16384) <= 2 ** 24 - 1


BAD_SETTINGS = {
    "ENABLE_PUSH of 2": ((h2.ENABLE_PUSH, 2), h2.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE of 2^31": ((h2.INITIAL_WINDOW_SIZE, 2 ** 31), h2.FLOW_CONTROL_ERROR),
    "MAX_FRAME_SIZE of 16383": ((h2.MAX_FRAME_SIZE, 16383), h2.PROTOCOL_ERROR),
    "MAX_FRAME_SIZE of 2^24": ((h2.MAX_FRAME_SIZE, 2 ** 24), h2.PROTOCOL_ERROR),
    "ENABLE_CONNECT_PROTOCOL of 2": ((h2.ENABLE_CONNECT_PROTOCOL, 2), h2.PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_rfc9113_6_5_2_a_value_out_of_range_is_a_connection_error(client, name):
    pair, code = BAD_SETTINGS[name]
    client.send(h2.settings([pair]))
    client.expect_goaway(code)


def test_rfc9113_6_5_2_unknown_settings_are_ignored(client):
    client.send(h2.settings([(0x4a4a, 7), (0xffff, 2 ** 32 - 1), (0, 0)]))
    nothing_happens(client)


def test_rfc9113_6_5_2_frames_keep_to_the_receivers_size(proxy, server):
    server.plan(generated(200_000))
    with RawClient(proxy.port) as client:
        assert client.get().body_bytes == 200_000
        assert max(found.length for found in client.frames) <= 16384


def test_rfc9113_6_5_3_settings_are_applied_in_their_order(client, server):
    client.send(h2.settings([(h2.INITIAL_WINDOW_SIZE, 0), (h2.INITIAL_WINDOW_SIZE, 3), (h2.INITIAL_WINDOW_SIZE, 1)]))
    server.plan(answer(200, b"abc"))
    stream = client.request()
    client.read_until(lambda: client.response_so_far(stream).body, what="the first byte")
    client.round_trip()
    assert client.response_so_far(stream).body[:1] == b"a"
    assert next(found.length for found in client.frames if found.kind == h2.DATA) == 1


def test_rfc9113_6_6_a_push_promise_of_a_client_is_a_connection_error(client, hanging):
    client.send(h2.push_promise(hanging, 2, h2.block(h2.fields())))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_7_a_ping_is_answered_with_its_own_bytes(client):
    client.send(h2.ping(b"\x00\xff\x01\xfe\x02\xfd\x03\xfc"))
    client.read_until(lambda: b"\x00\xff\x01\xfe\x02\xfd\x03\xfc" in client.pongs, what="answer to the PING")


def test_rfc9113_6_7_an_ack_of_no_ping_of_ours_is_ignored(client):
    client.send(h2.ping(b"8 bytes.", ack=True))
    nothing_happens(client)


def test_rfc9113_6_8_after_a_goaway_of_the_client_running_streams_end_well(client, server):
    server.plan(answer(200, b"whole", delay=0.2))
    stream = client.request()
    server.wait_for(1)
    client.send(h2.goaway(0, h2.NO_ERROR, b"bye"))
    assert client.response(stream).body == b"whole"


@pytest.mark.parametrize("code", [0x42, 0xffffffff])
def test_rfc9113_7_unknown_error_codes_have_no_special_meaning(client, server, hanging, code):
    client.send(h2.rst_stream(hanging, code))
    wait_until(lambda: server.requests[-1].gone_at)
    still_serves(client)


def test_rfc9113_7_an_unknown_code_in_a_goaway_lets_running_streams_end(client, server):
    server.plan(answer(200, b"whole", delay=0.2))
    stream = client.request()
    client.send(h2.goaway(0, 0x77777777))
    assert client.response(stream).body == b"whole"


# ---- 6.9 windows -----------------------------------------------------------------------------------------------


def test_rfc9113_6_9_an_increment_of_0_on_a_stream_is_a_stream_error(client, hanging):
    client.send(h2.window_update(hanging, 0))
    client.expect_error(hanging, h2.PROTOCOL_ERROR)


def test_rfc9113_6_9_an_increment_of_0_on_the_connection_is_a_connection_error(client):
    client.send(h2.window_update(0, 0))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_9_1_a_stream_window_that_overflows_is_a_stream_error(client, hanging):
    client.send(h2.window_update(hanging, h2.LARGEST_WINDOW), h2.window_update(hanging, h2.LARGEST_WINDOW))
    client.expect_error(hanging, h2.FLOW_CONTROL_ERROR)


def test_rfc9113_6_9_1_a_connection_window_that_overflows_is_a_connection_error(client):
    client.send(h2.window_update(0, h2.LARGEST_WINDOW))
    client.expect_goaway(h2.FLOW_CONTROL_ERROR)


def test_rfc9113_6_9_1_more_data_than_the_window_is_a_flow_control_error(proxy, server):
    server.grants_window = False  # so that nothing flows on
    try:
        with RawClient(proxy.port) as client:
            client.settle()
            stream = client.request("POST", "/hang", end=False)
            sent = client.send_until_full(stream, 8 * 1024 * 1024)
            assert sent < 2 * 1024 * 1024
            client.try_send(*[h2.data(stream, bytes(16384)) for _ in range(4)])
            client.expect_error(stream, h2.FLOW_CONTROL_ERROR)
    finally:
        server.grants_window = True
        for connection in list(server.connections):
            h2.shut(connection.socket)  # its windows are spent


def test_rfc9113_6_9_1_no_data_comes_through_a_window_of_0(proxy, server):
    server.plan(answer(200, b"abcdefgh"))
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        stream = client.settle().request()
        response = client.head(stream)
        assert response.status == 200
        client.read_while(lambda: response.body == b"", 0.1)
        client.send(h2.window_update(stream, 5))
        client.read_until(lambda: response.body == b"abcde", what="five bytes")
        client.round_trip()
        assert response.body == b"abcde" and not response.is_over
        client.send(h2.window_update(stream, 100))
        assert client.response(stream).body == b"abcdefgh"


def test_rfc9113_6_9_1_the_window_of_the_connection_holds_for_all_streams(proxy, server):
    server.plan(*[generated(40_000)] * 3)
    with RawClient(proxy.port, grants_window=False) as client:
        streams = [client.settle().request() for _ in range(3)]

        def taken():
            return sum(client.response_so_far(stream).body_bytes for stream in streams)

        client.read_until(lambda: taken() >= 65535, what="65535 bytes")
        client.read_while(lambda: taken() == 65535, 0.1)
        client.send(h2.window_update(0, 100_000))
        assert [client.response(stream).body_bytes for stream in streams] == [40_000] * 3


def test_rfc9113_6_9_1_a_window_of_0_lets_an_empty_answer_through(proxy, server):
    server.plan(answer(200, b""))
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        assert client.settle().get().is_complete


def test_rfc9113_6_9_2_a_larger_initial_window_opens_streams_that_wait(proxy, server):
    server.plan(answer(200, b"abcdefgh"))
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        stream = client.settle().request()
        client.head(stream)
        client.send(h2.settings({h2.INITIAL_WINDOW_SIZE: 3}))
        client.read_until(lambda: client.response_so_far(stream).body == b"abc", what="three bytes")
        client.send(h2.settings({h2.INITIAL_WINDOW_SIZE: 8}))
        assert client.response(stream).body == b"abcdefgh"


def test_rfc9113_6_9_2_a_smaller_initial_window_can_make_one_negative(proxy, server):
    server.plan(answer(200, b"abcdefghijkl"))
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 10}, grants_window=False) as client:
        stream = client.settle().request()
        response = client.response_so_far(stream)
        client.read_until(lambda: response.body_bytes == 10, what="ten bytes")
        client.send(h2.settings({h2.INITIAL_WINDOW_SIZE: 0}), h2.window_update(stream, 10))
        client.round_trip()
        client.read_while(lambda: response.body_bytes == 10, 0.1)
        client.send(h2.window_update(stream, 1))
        client.read_until(lambda: response.body_bytes == 11, what="the eleventh byte")
        client.round_trip()
        assert response.body_bytes == 11


def test_rfc9113_6_9_2_an_initial_window_that_overflows_a_stream_is_a_connection_error(client, hanging):
    client.send(h2.window_update(hanging, h2.LARGEST_WINDOW - h2.DEFAULT_WINDOW),
                h2.settings({h2.INITIAL_WINDOW_SIZE: h2.DEFAULT_WINDOW + 1}))
    client.expect_goaway(h2.FLOW_CONTROL_ERROR)


# ---- 6.10 continuation -----------------------------------------------------------------------------------------


def test_rfc9113_6_10_a_block_in_pieces_is_one_block(client, server):
    block = h2.block(h2.fields(more=[("x-long", "v" * 300)]))
    client.send(h2.split_block(1, block, 80, end=True))
    assert client.response(1).status == 200
    assert server.requests[-1].header("x-long") == "v" * 300


def test_rfc9113_6_10_an_empty_continuation_may_end_a_block(client):
    client.send(h2.headers(1, h2.block(h2.fields()), end=True, end_headers=False), h2.continuation(1, b""))
    assert client.response(1).status == 200


def test_rfc9113_6_10_a_block_in_pieces_may_start_with_none(client):
    client.send(h2.headers(1, b"", end=True, end_headers=False), h2.continuation(1, h2.block(h2.fields())))
    assert client.response(1).status == 200


def test_rfc9113_6_10_a_continuation_after_a_whole_block_is_a_connection_error(client, open_stream):
    client.send(h2.continuation(open_stream, h2.block([("late", "1")])))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_10_a_continuation_after_data_is_a_connection_error(client, open_stream):
    client.send(h2.data(open_stream, b"x"), h2.continuation(open_stream, b""))
    client.expect_goaway(h2.PROTOCOL_ERROR)


def test_rfc9113_6_10_trailers_may_come_in_pieces(client, server):
    stream = client.request("POST", "/", body=b"x", end=False)
    client.send(h2.split_block(stream, h2.block([("x-checksum", "1" * 50)]), 10, end=True))
    assert client.response(stream).status == 200
    assert server.requests[-1].trailers == [("x-checksum", "1" * 50)]


# ---- 8.1 messages ----------------------------------------------------------------------------------------------


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


# ---- what a client must refuse: the other side of the proxy ----------------------------------------------------


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
