"""What RFC 9113 section 6 demands of each kind of frame. The section is in each test's name."""

import pytest
from harness import h2
from harness.h2 import RawClient
from harness.h2_pair import client, hanging, nothing_happens, open_stream, pair, proxy, server, still_serves
from harness.h2_upstream import answer, generated
from harness.waiting import wait_until

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
