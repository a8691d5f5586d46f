"""What hostile callers of HTTP/2 do, and what it costs them: each kind of outrigger_http2_defences_total."""

import time

import pytest
from harness import h2, h2_upstream as scripts
from harness.client import encode
from harness.h2 import RawClient
from harness.h2_attack import (ASKING, assert_cut, assert_served, attack, BATCH, BATCHES, bomb, bounded, defences,
                               KINDS, MAY_GROW, MIB, Neighbour, PINGING, pings, REQUEST, SHORT, shown, under_attack,
                               wait_defence)
from harness.h2_upstream import generated
from harness.upstream import generated as generated_h1
from harness.waiting import slack, stays, wait_until

# ---- the metric ------------------------------------------------------------------------------------------------


def test_every_kind_is_there_from_the_start_on_both_sides(make_proxy, h2_upstream):
    proxy = make_proxy(h2_upstream).start()
    samples = proxy.metrics().all("outrigger_http2_defences_total")
    assert {(labels["side"], labels["kind"]) for labels, _ in samples} == \
        {(side, kind) for side in ("downstream", "upstream") for kind in KINDS}
    assert {value for _, value in samples} == {0}


def test_honest_calls_count_nothing(make_proxy, h2_upstream):
    proxy = make_proxy(h2_upstream).start()
    with RawClient(proxy.port) as client:
        for _ in range(200):
            assert client.call("POST", "/", body=b"x" * 1000).status == 200
    assert shown(proxy) == {}


# ---- callers: header lists -------------------------------------------------------------------------------------


def test_an_hpack_bomb_is_431_and_costs_no_memory(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        for _ in range(3):
            stream = client.new_stream()
            client.send(bomb(stream))
            response = client.response(stream)
            assert (response.status, response.reason) == (431, "header_too_large")
    wait_defence(proxy, "downstream", "header_list", 3)


def test_who_goes_on_sending_hpack_bombs_is_cut(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        client.flood(bomb(1) + b"".join(bomb(2 * n + 3) for n in range(20)), 1)
        client.expect_end()
        assert [found.code for found in client.errors] == [h2.ENHANCE_YOUR_CALM]
    wait_defence(proxy, "downstream", "glitches", 1)


@pytest.mark.parametrize("piece", [b"", h2.literal("x", "y" * 100), h2.literal("x", "y" * 16000)],
                         ids=["empty", "small", "large"])
def test_a_continuation_flood_is_cut(under_attack, h2_upstream, piece):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        client.send(h2.headers(1, h2.block(h2.fields(path="/flood")), end_headers=False))
        client.flood(h2.continuation(1, piece, end_headers=False) * 10, 2000)
        client.expect_end()
        assert all(found.code in (h2.ENHANCE_YOUR_CALM, h2.PROTOCOL_ERROR) for found in client.errors)
    wait_until(lambda: any(defences(proxy, "downstream", kind) for kind in ("header_list", "glitches",
                                                                            "protocol_error")))
    assert not any(request.target == "/flood" for request in h2_upstream.requests)


def test_a_malformed_request_is_counted(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        for count in range(1, 4):
            client.response(client.open(h2.fields(more=[("UPPER", "1")])))
            wait_defence(proxy, "downstream", "malformed", count)
        assert client.get("/honest").status == 200


def test_a_stream_beyond_the_limit_is_counted_and_refused(under_attack, h2_upstream):
    proxy = under_attack("http2: {maxConcurrentStreams: 5}")
    with RawClient(proxy.port) as client:
        client.settle()
        held = [client.request(path="/hang") for _ in range(5)]
        over = [client.request(path="/over") for _ in range(20)]
        for stream in over:
            client.expect_reset(stream, h2.REFUSED_STREAM)
        assert not any(client.resets(stream) for stream in held)
    wait_defence(proxy, "downstream", "stream_limit", 20)
    assert not any(request.target == "/over" for request in h2_upstream.requests)


def test_who_goes_on_opening_streams_beyond_the_limit_is_cut(under_attack):
    proxy = under_attack("http2: {maxConcurrentStreams: 5}")
    with RawClient(proxy.port) as client:
        client.settle()
        for _ in range(5):
            client.request(path="/hang")
        client.flood(lambda turn: h2.headers(2 * turn + 11, REQUEST, end=True), 50_000)
        assert_cut(client, proxy, "glitches", h2.ENHANCE_YOUR_CALM)
    assert_served(proxy)


def test_the_end_of_a_connection_is_in_the_log_with_kind_and_peer(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.send(h2.data(1, b"x"))
        client.expect_end()
    proxy.wait_log("http2_connection_ended")
    line = next(line for line in proxy.logs() if line["event"] == "http2_connection_ended")
    assert (line["kind"], line["side"], line["peer"]) == ("protocol_error", "downstream", "127.0.0.1")
    assert "RFC 9113" in line["message"]


def test_a_connection_error_is_counted(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.send(h2.data(1, b"x"))
        assert_cut(client, proxy, "protocol_error", h2.PROTOCOL_ERROR)


# ---- callers: frames that carry nothing ------------------------------------------------------------------------


FLOODS = {
    "empty DATA": h2.data(1),
    "padded empty DATA": h2.data(1, padding=0),
    "PRIORITY": h2.priority(1, 3),
    "PRIORITY on idle streams": h2.priority(101, 3),
    "WINDOW_UPDATE on the connection": h2.window_update(0, 1),
    "WINDOW_UPDATE on a stream": h2.window_update(1, 1),
    "unknown frames": h2.frame(0xbe, 0, 0, b"nothing"),
    "unknown frames on a stream": h2.frame(0x0c, 0, 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_that_carry_nothing_is_cut(under_attack, name):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle().request("POST", "/hang", end=False)
        client.flood(FLOODS[name] * BATCH, BATCHES)
        assert_cut(client, proxy, "glitches", h2.ENHANCE_YOUR_CALM)
    assert_served(proxy)


def overflow(turn):
    """MadeYouReset (CVE-2025-8671): the server is made to reset what the client opened."""
    stream = 2 * turn + 3
    return h2.headers(stream, h2.block(h2.fields(path="/hang")), end=True) + h2.window_update(stream, h2.LARGEST_WINDOW)


def second_head(turn):
    stream = 2 * turn + 3
    return h2.headers(stream, h2.block(h2.fields("POST", "/hang"))) + h2.headers(stream, h2.block([("a", "b")]))


def zero_increment(turn):
    stream = 2 * turn + 3
    return h2.headers(stream, h2.block(h2.fields(path="/hang")), end=True) + h2.window_update(stream, 0)


def data_after_end(turn):
    stream = 2 * turn + 3
    return h2.headers(stream, h2.block(h2.fields(path="/hang")), end=True) + h2.data(stream, b"x")


def malformed(turn):
    return h2.headers(2 * turn + 3, h2.block(h2.fields(path="/hang", more=[("UPPER", "1")])), end=True)


@pytest.mark.parametrize("attack", [overflow, second_head, zero_increment, data_after_end, malformed])
def test_who_makes_us_reset_stream_after_stream_is_cut(under_attack, h2_upstream, attack):
    """Where RFC 9113 lets us end the connection at the first of them, that is as good."""
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        client.flood(attack, 50_000, seconds=30)
        client.expect_end()
        assert client.errors[-1].code in (h2.ENHANCE_YOUR_CALM, h2.FLOW_CONTROL_ERROR, h2.PROTOCOL_ERROR,
                                          h2.STREAM_CLOSED)
    wait_until(lambda: defences(proxy, "downstream", "glitches") + defences(proxy, "downstream", "protocol_error") >= 1)
    wait_until(lambda: all(connection.is_over or connection.open_streams == 0
                           for connection in h2_upstream.connections), what="every call given up")


def test_made_you_reset_works_at_most_max_concurrent_streams_at_once(under_attack, h2_upstream):
    proxy = under_attack("http2: {maxConcurrentStreams: 50}")
    with RawClient(proxy.port) as client:
        client.settle()
        client.flood(overflow, 50_000, seconds=30)
        client.expect_end()
    assert max(connection.most_at_once for connection in h2_upstream.connections) <= 200  # cancels are on their way


# ---- callers: resets -------------------------------------------------------------------------------------------


def open_and_reset(turn):
    stream = 2 * turn + 3
    return h2.headers(stream, h2.block(h2.fields(path="/hang")), end=True) + h2.rst_stream(stream)


def test_a_rapid_reset_is_cut(under_attack, h2_upstream):
    """CVE-2023-44487."""
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        client.flood(open_and_reset, 100_000, seconds=30)
        assert_cut(client, proxy, "resets", h2.ENHANCE_YOUR_CALM)
    wait_until(lambda: all(connection.is_over or connection.open_streams == 0
                           for connection in h2_upstream.connections), what="every call given up")
    assert_served(proxy)


def test_resets_of_ours_buy_no_flood_of_unknown_frames(under_attack):
    """What may be under way on a stream that we reset is not charged; that is bounded, whatever was reset before."""
    proxy = under_attack("http2: {maxConcurrentStreams: 5}")
    with RawClient(proxy.port) as client:
        client.settle()
        for _ in range(5):
            client.request(path="/hang")
        for _ in range(100):
            client.expect_reset(client.request(path="/over"), h2.REFUSED_STREAM)
        client.flood(h2.frame(0xfa, 0, 0, bytes(16000)), 1250)  # 20 MB, less than the windows of 100 streams
        assert_cut(client, proxy, "glitches", h2.ENHANCE_YOUR_CALM)


def test_a_rapid_reset_against_local_replies_is_cut(under_attack):
    """No upstream is needed for it."""
    proxy = under_attack(policy="rules: [{name: shut, matches: [{path: {type: PathPrefix, value: /hang}}], "
                                "circuitBreaker: {mode: forceOpen}}]")
    with RawClient(proxy.port) as client:
        client.settle()
        client.flood(open_and_reset, 100_000, seconds=30)
        assert_cut(client, proxy, "resets", h2.ENHANCE_YOUR_CALM)


def test_a_thousand_honest_cancels_are_not_cut(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        for turn in range(1000):
            client.send(h2.headers(client.new_stream(), h2.block(h2.fields(path="/hang")), end=True))
            client.send(h2.rst_stream(client.next_stream - 2))
            if turn % 10 == 9:
                client.round_trip()
        assert client.get("/honest").status == 200
        assert not client.goaways
    assert shown(proxy) == {}


def test_a_burst_of_cancels_within_the_allowance_is_not_cut(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        assert client.flood(open_and_reset, 4000, seconds=30) == 4000
        client.next_stream = 20_001
        assert client.get("/honest").status == 200
    assert defences(proxy, "downstream", "resets") == 0


# ---- callers: what we have to answer ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ASKING)
def test_who_makes_us_answer_and_does_not_read_is_cut(under_attack, name):
    proxy = under_attack()
    with RawClient(proxy.port, receive_buffer=4096) as client:
        client.settle()
        client.flood(ASKING[name] * BATCH, 10 * BATCHES, reads=False, seconds=30)
        wait_until(lambda: defences(proxy, "downstream", "outbound_queue") or
                   defences(proxy, "downstream", "glitches"), what="the end of the connection counted")
        client.expect_end()


@pytest.mark.parametrize("name", ASKING)
def test_who_makes_us_answer_and_reads_harms_nobody(under_attack, name):
    """Answered or cut, as we like."""
    proxy = under_attack()
    with RawClient(proxy.port, acks=False) as client:
        client.settle()
        client.flood(ASKING[name] * BATCH, 500)
    assert_served(proxy)


# ---- callers that do not read ----------------------------------------------------------------------------------


def test_an_answer_that_a_window_of_0_does_not_take_is_given_up(under_attack, h2_upstream):
    proxy = under_attack(SHORT)
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        client.settle()
        started = time.monotonic()
        stream = client.request(path="/honest")
        response = client.response(stream)
        assert response.status == 200 and response.reset is not None and not response.is_complete
        assert 0.8 < time.monotonic() - started < 1 + slack(1.5)
        assert client.is_alive()
    wait_defence(proxy, "downstream", "write_timeout")


def test_an_answer_that_a_window_takes_drop_by_drop_is_not_given_up(under_attack, h2_upstream):
    h2_upstream.on("/six", scripts.answer(200, b"sixsix"))
    proxy = under_attack(SHORT)
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        stream = client.settle().request(path="/six")
        response = client.head(stream)
        for count in range(1, 7):
            client.read_while(lambda: response.reset is None, 0.4)
            client.send(h2.window_update(stream, 1))
            client.read_until(lambda: response.body_bytes == count, what=f"{count} bytes")
        assert client.response(stream).is_complete
    assert shown(proxy) == {}


def test_a_window_of_0_for_many_large_answers_costs_at_most_their_windows(make_proxy, h2_upstream):
    h2_upstream.on("/large", generated(MIB))
    proxy = make_proxy(h2_upstream, protocol="http2").start()
    with bounded(proxy, 200 * MIB // 4 + MAY_GROW), Neighbour(proxy), \
            RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: 0}, grants_window=False) as client:
        client.settle()
        for _ in range(200):
            client.request(path="/large")
        client.read_until(lambda: len(client.responses) == 200, what="200 heads")
        client.read_while(lambda: True, 0.5)


def test_a_caller_that_never_reads_is_closed(under_attack, h2_upstream):
    h2_upstream.on("/large", generated(64 * MIB))
    proxy = under_attack(SHORT)
    with RawClient(proxy.port, {h2.INITIAL_WINDOW_SIZE: h2.LARGEST_WINDOW}, receive_buffer=4096) as client:
        client.send(h2.window_update(0, h2.LARGEST_WINDOW - h2.DEFAULT_WINDOW))
        for number in range(10):
            client.send(h2.headers(2 * number + 1, h2.block(h2.fields(path="/large")), end=True))
        wait_defence(proxy, "downstream", "write_timeout")
        client.expect_end()
    wait_until(lambda: all(request.reset is not None or request.gone_at for request in h2_upstream.requests
                           if request.target == "/large"), what="the upstream calls given up")


def test_an_http_1_caller_that_reads_none_of_its_answers_is_closed(make_proxy, upstream):
    """Pipelined calls, so that the answer that the socket does not take is complete on our side."""
    upstream.default = generated_h1(16 * 1024)
    proxy = make_proxy(upstream, spec=SHORT).start()
    with proxy.client(receive_buffer=4096) as client:
        client.send(encode("GET", "/") * 1500)
        wait_until(lambda: proxy.metrics().sum("outrigger_connections", side="downstream") == 0, what="it closed")
    assert len(upstream.requests) < 1500


def test_an_http_1_caller_that_reads_slowly_is_not_closed(make_proxy, upstream):
    upstream.default = generated_h1(8 * MIB)
    proxy = make_proxy(upstream, spec=SHORT).start()
    with proxy.client(receive_buffer=4096) as client:
        client.send(encode("GET", "/"))
        client.read_head()
        for _ in range(6):
            client.read_exactly(4096)
            stays(lambda: True, 0.4, "what is tested is a pace")
        client.socket.setblocking(True)
        left = 8 * MIB - 6 * 4096 - len(client.buffer)
        while left:
            left -= len(client.socket.recv(65536))


# ---- callers: silence ------------------------------------------------------------------------------------------


def test_a_caller_that_answers_no_ping_is_closed(under_attack, h2_upstream):
    proxy = under_attack(PINGING)
    with RawClient(proxy.port, answers_pings=False) as client:
        client.settle().request(path="/hang")
        started = time.monotonic()
        client.read_until(lambda: pings(client), what="PING")
        assert 0.8 < time.monotonic() - started < 1 + slack(1)
        client.expect_end()
        assert 1.8 < time.monotonic() - started < 2 + slack(1.5)
    wait_defence(proxy, "downstream", "keep_alive")
    wait_until(lambda: any(request.reset == h2.CANCEL for request in h2_upstream.requests), what="the call given up")


def test_a_caller_that_answers_pings_stays(under_attack):
    proxy = under_attack(PINGING)
    with RawClient(proxy.port) as client:
        stream = client.settle().request(path="/hang")
        client.read_until(lambda: len(pings(client)) >= 3, what="three PINGs")
        assert not client.response_so_far(stream).is_over and not client.goaways
    assert shown(proxy) == {}


def test_a_connection_without_streams_gets_no_ping(under_attack):
    proxy = under_attack(PINGING)
    with RawClient(proxy.port, answers_pings=False) as client:
        assert client.settle().get("/honest").status == 200
        client.read_while(lambda: not pings(client), 2.5)
        assert not client.is_ended


def test_an_interval_of_0_sends_no_ping(under_attack):
    proxy = under_attack("http2: {keepAliveInterval: 0s, keepAliveTimeout: 1s}")
    with RawClient(proxy.port, answers_pings=False) as client:
        client.settle().request(path="/hang")
        client.read_while(lambda: not pings(client), 2.5)
        assert not client.is_ended


def test_a_header_block_that_does_not_end_is_given_up(under_attack):
    proxy = under_attack("limits: {headerTimeout: 500ms}")
    with RawClient(proxy.port) as client:
        client.settle()
        client.send(h2.headers(1, REQUEST[:20], end_headers=False))
        client.read_until(lambda: client.is_ended or client.errors or client.response_so_far(1).is_over,
                          slack(5), "an end")


@pytest.mark.parametrize("part", [h2.PREFACE[:1], h2.PREFACE[:-1], h2.PREFACE, h2.PREFACE + h2.settings()[:5]],
                         ids=["1 byte", "23 bytes", "no SETTINGS", "half SETTINGS"])
def test_a_preface_that_does_not_end_is_given_up(under_attack, part):
    proxy = under_attack("limits: {headerTimeout: 500ms}")
    with proxy.client() as client:
        client.send(part)
        client.read_until_close()


# ---- honest peers that look like hostile ones ------------------------------------------------------------------


def test_small_window_updates_and_pings_beside_real_data_are_not_cut(under_attack, h2_upstream):
    """Credit in pieces of 1 KiB and a PING every few frames: clumsy, and fine."""
    h2_upstream.on("/large", generated(4 * MIB))
    proxy = under_attack()
    with RawClient(proxy.port, grants_window=False) as client:
        stream = client.settle().request(path="/large")
        response, credited, number = client.response_so_far(stream), 0, 0
        while not response.is_complete:
            client.read_until(lambda: response.is_over or response.body_bytes - credited >= 1024, what="data")
            assert response.reset is None
            while response.body_bytes - credited >= 1024 and not response.is_complete:
                client.send(h2.window_update(0, 1024), h2.window_update(stream, 1024))
                credited, number = credited + 1024, number + 1
                if number % 50 == 0:
                    client.send(h2.ping())
        assert response.body_bytes == 4 * MIB
        client.send(h2.window_update(0, 4 * MIB))
        assert client.get("/honest").status == 200
    assert shown(proxy) == {}


def test_data_byte_by_byte_is_not_cut(under_attack, h2_upstream):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        stream = client.settle().request("POST", "/", end=False)
        for _ in range(200):
            client.send(h2.data(stream, b"x") * 100)
        client.send(h2.data(stream, b"", end=True))
        assert client.response(stream).status == 200
    assert shown(proxy) == {}
    assert any(request.body_bytes == 20_000 for request in h2_upstream.requests)


def test_a_few_frames_that_carry_nothing_are_nothing(under_attack):
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        stream = client.settle().request("POST", "/honest", end=False)
        for _ in range(20):
            client.send(h2.data(stream), h2.priority(stream), h2.window_update(0, 1), h2.frame(0xbe))
        client.send(h2.data(stream, b"", end=True))
        assert client.response(stream).status == 200
    assert shown(proxy) == {}


def test_many_calls_on_one_connection_are_not_cut(under_attack):
    """A PRIORITY and a WINDOW_UPDATE with each, as old browsers send them."""
    proxy = under_attack()
    with RawClient(proxy.port) as client:
        client.settle()
        for _ in range(2000):
            stream = client.request(path="/honest")
            client.send(h2.priority(stream, 0), h2.window_update(stream, 1000))
            assert client.response(stream).status == 200
    assert shown(proxy) == {}
