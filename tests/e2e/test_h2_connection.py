"""What RFC 9113 demands of a connection, frame by frame: preface, sizes, compression, states, errors. The section is in
each test's name.

Where the RFC says "connection error", only a GOAWAY with that code will do; where it says "stream error", 5.4.1 lets a
connection error take its place.
"""

import struct

import pytest
from harness import h2
from harness.client import Client
from harness.h2 import RawClient
from harness.h2_pair import client, hanging, nothing_happens, open_stream, pair, proxy, server, still_serves
from harness.h2_upstream import answer, hang
from harness.waiting import wait_until

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
