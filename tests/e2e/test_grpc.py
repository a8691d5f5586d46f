"""gRPC through the proxy with policies on: Python's grpc on both sides, which knows nothing of a proxy between them."""

import itertools
import signal
import subprocess
import sys
import time

import pytest
from harness.grpc_peer import (ABORTED, CANCELLED, DEADLINE_EXCEEDED, OK, UNAVAILABLE, UNIMPLEMENTED,
                               GrpcCaller, Outbox, UnaryLoad, behave)
from harness.proxy import together
from harness.waiting import IS_DEBUG_BUILD, slack, stays, wait_until

# Everything is on, and nothing of it is in the way.
POLICIES = """
    timeouts: {request: 30s, backendRequest: 20s, idle: 60s}
    retry: {attempts: 1, backoff: 1ms, grpcCodes: [UNAVAILABLE]}
    circuitBreaker: {consecutiveFailures: 100}
    bulkhead: {maxRequests: 2000}
    rateLimit: {requests: 100000, interval: 1s}
"""
WAYS = ["listener", "outbound", "tunnel"]
MIB = 1024 * 1024
SMALL_WINDOW = {"grpc__http2__bdp_probe": 0, "grpc__http2__lookahead_bytes": 65536}


@pytest.fixture
def through(start, quotes, dial):
    """A channel through a proxy in front of the shared server; the proxy is its `proxy`."""

    def make(way="listener", policy=POLICIES, spec="", **options):
        return dial(start(policy, to=quotes, spec=spec), way, quotes, **options)

    return make


# ---- the four forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_unary_call_goes_through(through, quotes, way):
    answer = through(way).get(b"hello")
    assert (answer.code, answer.messages) == (OK, [b"hello"])
    call, = quotes.calls()
    assert call.meta("x-outrigger-attempt") == "1"
    assert call.meta("via").startswith("2 outrigger-")


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_of_the_caller_goes_through(through, way):
    answer = through(way).upload([b"a", b"", b"c" * 100])
    assert (answer.code, answer.messages) == (OK, [b"[3, 101]"])


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_of_the_server_goes_through(through, way):
    answer = through(way).watch(behave(count=5, size=100))
    assert (answer.code, answer.messages) == (OK, [bytes(100)] * 5)


@pytest.mark.parametrize("way", WAYS)
def test_a_stream_both_ways_goes_through(through, way):
    answer = through(way).chat([b"one", b"two", b"three"])
    assert (answer.code, answer.messages) == (OK, [b"one", b"two", b"three"])


@pytest.mark.parametrize("protocol", ["auto", "http2", "grpc"])
def test_the_protocol_of_a_listener_may_say_what_it_is(start, quotes, dial, protocol):
    proxy = start(POLICIES, to=quotes, protocol=protocol)
    assert dial(proxy).get(b"hello").messages == [b"hello"]


def test_messages_of_a_chat_are_held_up_by_nothing(through):
    outbox = Outbox()
    chat = through().start_chat(outbox)
    for number in range(20):
        outbox.send(b"%d" % number)
        assert chat.read() == b"%d" % number  # before the next one is sent
    outbox.close()
    assert chat.finish().code == OK


def test_headers_arrive_before_the_first_message(through):
    watch = through().start_watch(behave(head=True, count=0, hang=True) + [("x-echo-a", "1")])
    assert ("x-echo-a", "1") in watch.wait_head()
    watch.cancel()


def test_streams_without_a_message_end_well(through):
    caller = through()
    assert caller.get(b"").messages == [b""]
    assert caller.upload([]).messages == [b"[0, 0]"]
    assert caller.watch(behave(count=0)).code == OK
    assert caller.chat([]).code == OK


def test_a_server_that_answers_early_ends_the_callers_stream(through):
    outbox = Outbox()
    outbox.send(b"first")
    chat = through().start_chat(outbox, behave(fail=ABORTED, after=1))
    answer = chat.finish()  # the outbox was never closed
    assert (answer.code, answer.messages) == (ABORTED, [b"first"])
    outbox.close()


# ---- what is carried -------------------------------------------------------------------------------------------


def test_metadata_pass_both_ways(through, quotes):
    sent = [("x-echo-one", "1"), ("x-echo-one", "2"), ("x-echo-raw-bin", bytes(range(256))), ("x-echo-raw-bin", b""),
            ("x-echo-long", "v" * 4000), ("x-trail-two", "3"), ("x-trail-two", "4"), ("x-trail-raw-bin", b"\0\xff,")]
    caller = through()
    for answer in (caller.get(b"hello", sent), caller.watch(sent), caller.chat([b"a"], sent)):
        assert answer.code == OK
        assert [pair for pair in answer.headers if pair[0].startswith("x-echo")] == sent[:5]
        assert [pair for pair in answer.trailers if pair[0].startswith("x-trail")] == sent[5:]
    for call in quotes.calls():
        assert [pair for pair in call.metadata if pair[0].startswith(("x-echo", "x-trail"))] == sent
        assert call.meta("user-agent").startswith("grpc-python/")


def test_nothing_of_ours_is_in_an_answer_of_the_server(through):
    answer = through().get(b"hello")
    assert answer.reason is None
    assert not [key for key, _ in (*answer.headers, *answer.trailers) if key.startswith("x-outrigger")]


def test_a_message_of_three_megabytes_passes_both_ways(through, quotes):
    message = bytes(range(256)) * (3 * MIB // 256)
    caller = through()
    assert caller.get(message).messages == [message]
    assert caller.chat([message] * 3).messages == [message] * 3
    assert caller.upload([message] * 3).messages == [b"[3, %d]" % (9 * MIB)]
    assert caller.watch(behave(count=3, size=3 * MIB)).messages == [bytes(3 * MIB)] * 3


def test_many_small_messages_pass_both_ways(through):
    count = 500 if IS_DEBUG_BUILD else 3000
    caller = through()
    assert caller.upload([b"0123456789"] * count).messages == [b"[%d, %d]" % (count, count * 10)]
    assert len(caller.watch(behave(count=count)).messages) == count
    assert len(caller.chat([b"x"] * (count // 10)).messages) == count // 10


def test_compressed_messages_pass_as_they_are(through):
    caller = through(grpc__default_compression_algorithm=2)  # gzip
    assert caller.get(b"z" * 100_000).messages == [b"z" * 100_000]
    assert caller.chat([b"z" * 1000] * 3).messages == [b"z" * 1000] * 3


# ---- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"after": 2}, {"head": True}],
                         ids=["trailers only", "after messages", "after headers"])
def test_every_status_of_the_server_reaches_the_caller(through, how):
    caller = through()
    for code in range(1, 17):
        details = f"no {code}: naïve, 100% ✓"
        answer = caller.watch(behave(fail=code, details=details, **how) + [("x-trail-a", "1")])
        assert (answer.code, answer.details) == (code, details)
        assert len(answer.messages) == how.get("after", 0)
        assert answer.trailer("x-trail-a") == "1"
        assert answer.reason is None


def test_a_method_that_the_server_does_not_have_is_its_to_refuse(through):
    caller = through()
    answer = caller.unary("/shop.Quotes/Nothing")
    assert (answer.code, answer.reason) == (UNIMPLEMENTED, None)


# ---- deadlines -------------------------------------------------------------------------------------------------


def test_the_deadline_of_the_caller_reaches_the_server(through, quotes):
    caller = through(policy="circuitBreaker: {}")
    assert caller.get(b"", timeout=5).code == OK
    assert caller.get(b"").code == OK
    with_deadline, without = quotes.calls()
    assert 4 < with_deadline.remaining <= 5.1  # grpc itself rounds upward
    assert without.remaining is None


def test_a_deadline_that_is_over_ends_the_work_of_the_server(through, quotes):
    caller = through()
    for call in (caller.start_get, lambda message, *how, **more: caller.start_watch(*how, **more)):
        answer = call(b"", behave(hang=True, count=1), timeout=0.3).finish()
        assert answer.code == DEADLINE_EXCEEDED
        assert 0.25 <= answer.elapsed < 0.3 + slack(0.3)
    assert len(quotes.wait_ended("cancelled", 2)) == 2


# ---- cancellation ----------------------------------------------------------------------------------------------


def begin(caller, form):
    """A call that the server keeps open; for the forms where the caller streams, its own side is still open too."""
    outbox = Outbox()
    if form == "get":
        return caller.start_get(b"", behave(hang=True))
    if form == "watch":
        return caller.start_watch(behave(count=1, hang=True))
    if form == "endless watch":
        return caller.start_watch(behave(count=-1, interval=0.01))
    outbox.send(b"first")
    start = caller.start_upload if form == "upload" else caller.start_chat
    return start(outbox, behave(head=True))


FORMS = ["get", "upload", "watch", "endless watch", "chat"]


@pytest.mark.parametrize("form", FORMS)
def test_a_call_that_the_caller_cancels_stops_at_the_server_at_once(through, quotes, form):
    call = begin(through(), form)
    wait_until(lambda: any(seen.received == 1 for seen in quotes.calls()))
    if form in ("watch", "endless watch", "chat"):
        call.read()
    cancelled_at = time.monotonic()
    call.cancel()
    seen, = quotes.wait_ended("cancelled")
    assert seen.ended_at - cancelled_at < slack(0.25)
    assert call.finish().code == CANCELLED


def test_a_cancelled_call_is_counted_as_such(through):
    caller = through()
    call = caller.start_get(b"", behave(hang=True))
    wait_until(lambda: caller.proxy.metrics().sum("outrigger_bulkhead_inflight") == 1)
    call.cancel()
    caller.proxy.wait_metric(1, "outrigger_requests_total", outcome="cancelled")
    assert caller.proxy.metrics().sum("outrigger_attempts_total", result="cancelled") == 1
    wait_until(lambda: caller.proxy.metrics().sum("outrigger_bulkhead_inflight") == 0)


def test_a_cancelled_call_harms_no_other_of_its_connection(through, quotes):
    caller = through()
    kept, others = caller.start_chat(outbox := Outbox()), [begin(caller, form) for form in FORMS * 4]
    quotes.wait_calls(1 + len(others))
    for other in others:
        other.cancel()
    quotes.wait_ended("cancelled", len(others))
    outbox.send(b"still here")
    assert kept.read() == b"still here"
    outbox.close()
    assert kept.finish().code == OK
    assert len({call.peer for call in quotes.calls()}) == 1


CALLER = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from harness.grpc_peer import GrpcCaller, behave
caller = GrpcCaller(sys.argv[2])
calls = [caller.start_get(b"", behave(hang=True)) for _ in range(10)]
calls += [caller.start_watch(behave(count=1, hang=True)) for _ in range(10)]
threading.Event().wait()
"""


def test_a_caller_that_dies_stops_its_calls_at_the_server_at_once(start, quotes, request):
    proxy = start(POLICIES, to=quotes)
    process = subprocess.Popen([sys.executable, "-c", CALLER, str(request.path.parent), f"127.0.0.1:{proxy.port}"])
    quotes.wait_calls(20)
    process.kill()
    died_at = time.monotonic()
    process.wait()
    assert max(call.ended_at for call in quotes.wait_ended("cancelled", 20)) - died_at < slack(0.5)
    proxy.wait_metric(20, "outrigger_requests_total", outcome="cancelled")


# ---- many calls ------------------------------------------------------------------------------------------------


def test_two_hundred_calls_at_once_on_one_channel(through, quotes):
    caller = through()
    assert caller.get(b"first").code == OK  # the connections are there
    started = time.monotonic()
    calls = [caller.start_get(b"%d" % number, behave(sleep=0.3)) for number in range(200)]
    answers = [call.finish() for call in calls]
    assert time.monotonic() - started < 0.3 + slack(1)
    assert [(answer.code, answer.messages) for answer in answers] == [(OK, [b"%d" % n]) for n in range(200)]
    assert len({call.peer for call in quotes.calls()}) == 1  # all of them on one connection
    assert caller.proxy.metrics().sum("outrigger_bulkhead_inflight") == 0


def test_two_hundred_streams_at_once_on_one_channel(through):
    caller = through()
    boxes = [Outbox() for _ in range(200)]
    chats = [caller.start_chat(box) for box in boxes]
    for turn in range(3):
        for number, box in enumerate(boxes):
            box.send(b"%d.%d" % (number, turn))
        for number, chat in enumerate(chats):
            assert chat.read() == b"%d.%d" % (number, turn)
    for box in boxes:
        box.close()
    assert {chat.finish().code for chat in chats} == {OK}


def test_many_channels(through, quotes):
    first = through()
    channels = [GrpcCaller(f"127.0.0.1:{first.proxy.port}") for _ in range(40)]

    def calls(index):
        answers = [channels[index].get(b"%d" % index, behave(sleep=0.02)) for _ in range(5)]
        return {(answer.code, answer.messages[0]) for answer in answers}

    assert together(40, calls) == [{(OK, b"%d" % index)} for index in range(40)]
    for channel in channels:
        channel.close()
    assert len(quotes.calls()) == 200
    # Callers that share a server share the connections to it.
    assert len({call.peer for call in quotes.calls()}) < 10


def test_a_server_that_takes_few_streams_gets_more_connections(make_quotes, start, dial):
    quotes = make_quotes(grpc__max_concurrent_streams=5)
    caller = dial(start(POLICIES, to=quotes))
    started = time.monotonic()
    calls = [caller.start_get(b"", behave(sleep=0.5)) for _ in range(40)]
    assert {call.finish().code for call in calls} == {OK}
    assert time.monotonic() - started < 0.5 + slack(1)
    seen = [call.peer for call in quotes.calls()]
    assert max(seen.count(peer) for peer in seen) == 5
    assert len(set(seen)) == 8
    assert caller.get(b"again").code == OK
    assert len({call.peer for call in quotes.calls()}) == 8


# ---- who is slow -----------------------------------------------------------------------------------------------


def settled(value):
    """What `value()` is once it has not changed for half a second."""
    last = [None, time.monotonic()]

    def has_settled():
        now = value()
        if now != last[0]:
            last[:] = now, time.monotonic()
        return time.monotonic() - last[1] > 0.5

    wait_until(has_settled)
    return last[0]


def test_a_caller_that_reads_nothing_stops_the_server(through, quotes):
    caller = through(**SMALL_WINDOW)
    before = caller.proxy.memory()[0]
    watch = caller.start_watch(behave(count=-1, size=65536))
    watch.read()
    sent = settled(lambda: quotes.calls()[0].sent_bytes)
    assert sent < 16 * MIB
    assert IS_DEBUG_BUILD or caller.proxy.memory()[1] - before < 4 * MIB
    assert caller.get(b"others are not held up").code == OK
    for _ in range(1000):
        watch.read()
    assert quotes.calls()[0].sent_bytes > sent + 32 * MIB
    watch.cancel()
    quotes.wait_ended("cancelled")


def test_a_server_that_reads_nothing_stops_the_caller(through, quotes):
    caller, sent = through(**SMALL_WINDOW), itertools.count()
    before = caller.proxy.memory()[0]

    def endless():
        while True:
            next(sent)
            yield bytes(65536)

    upload = caller.start_upload(endless(), behave(reads=False))
    quotes.wait_calls(1)
    count = settled(lambda: sent.__reduce__()[1][0])
    assert count * 65536 < 16 * MIB
    assert IS_DEBUG_BUILD or caller.proxy.memory()[1] - before < 4 * MIB
    assert caller.get(b"others are not held up").code == OK
    upload.cancel()
    quotes.wait_ended("cancelled")


def test_fifty_slow_callers_hold_up_nobody_and_take_little_memory(through, quotes):
    caller = through(**SMALL_WINDOW)
    before = caller.proxy.memory()[0]
    watches = [caller.start_watch(behave(count=-1, size=65536)) for _ in range(50)]
    for watch in watches:
        watch.read()
    settled(lambda: sum(call.sent for call in quotes.calls()))
    assert IS_DEBUG_BUILD or caller.proxy.memory()[1] - before < 50 * MIB
    assert caller.get(bytes(MIB)).code == OK
    for watch in watches:
        watch.cancel()
    quotes.wait_ended("cancelled", 50)


# ---- servers that go -------------------------------------------------------------------------------------------


def test_a_server_that_dies_ends_its_calls_by_name_and_is_found_again(make_quotes, start, dial):
    quotes = make_quotes()
    caller = dial(start("circuitBreaker: {consecutiveFailures: 100}", to=quotes))
    get, watch, chat = (begin(caller, form) for form in ("get", "watch", "chat"))
    quotes.wait_calls(3)
    watch.read()
    chat.read()
    quotes.kill()
    for call, messages in ((get, 0), (watch, 1), (chat, 1)):
        answer = call.finish()
        assert (answer.code, answer.details, answer.reason) == (UNAVAILABLE, "connection_reset", "connection_reset")
        assert len(answer.messages) == messages
        assert answer.elapsed < slack(1)
    refused = caller.get(b"")
    assert (refused.code, refused.details) == (UNAVAILABLE, "connect_refused")
    make_quotes(port=quotes.port)
    assert caller.get(b"back").messages == [b"back"]


def numbers_seen(*servers):
    return sorted(int(call.meta("x-number")) for server in servers for call in server.calls())


# Without `retry`: what is repeated here is repeated because the server has not begun it.
NO_RETRY = "circuitBreaker: {consecutiveFailures: 1}"


def test_a_server_that_ends_its_connections_again_and_again_loses_no_call(make_quotes, start, dial):
    quotes = make_quotes(grpc__max_connection_age_ms=100)
    caller = dial(start(NO_RETRY, to=quotes))
    with UnaryLoad(caller) as load:
        wait_until(lambda: len({call.peer for call in quotes.calls()}) >= 8)
    assert load.failures() == []
    assert numbers_seen(quotes) == sorted(int(message) for message, _ in load.answers)  # each of them once


def test_a_stream_that_runs_ends_well_while_its_server_stops(make_quotes, start, dial):
    quotes = make_quotes()
    caller = dial(start(NO_RETRY, to=quotes))
    watch = caller.start_watch(behave(count=30, interval=0.03))
    watch.read()
    quotes.stop()
    answer = watch.finish()
    assert (answer.code, len(answer.messages)) == (OK, 30)


# ---- a proxy that goes -----------------------------------------------------------------------------------------


def test_no_call_is_lost_when_one_of_two_proxies_drains(make_proxy, quotes):
    drain = "drain: {mode: refuse, timeout: 12s}"
    one, two = (make_proxy(quotes, POLICIES, spec=drain).start() for _ in range(2))
    # A caller of two addresses, as of a headless service; GOAWAY tells it what it may send elsewhere.
    with GrpcCaller(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{two.port}", "quotes.test", grpc__enable_retries=1,
                    grpc__service_config='{"loadBalancingConfig": [{"round_robin": {}}]}') as caller:
        with UnaryLoad(caller) as load:
            load.wait_calls(200)
            assert one.metrics().sum("outrigger_requests_total", outcome="success") > 50
            one.process.terminate()
            told_at = time.monotonic()
            assert one.wait_exit() == 0
            assert time.monotonic() - told_at < slack(3)  # what runs is short, and nothing is added
            load.wait_calls(100)
    # Who comes back to it meanwhile may be sent away, by name, or find it gone; nothing is done twice or lost halfway.
    reasons = [answer.reason for answer in load.failures()]
    assert set(reasons) <= {"shutdown", None} and reasons.count(None) <= 16  # those under way at the end
    done = sorted(int(message) for message, answer in load.answers if answer.code == OK)
    assert numbers_seen(quotes) == done


@pytest.mark.parametrize("mode", ["refuse", "serve"])
def test_calls_that_run_end_well_while_the_proxy_drains(through, quotes, mode):
    caller = through(spec=f"drain: {{mode: {mode}, timeout: 10s}}")
    get, watch = caller.start_get(b"late", behave(sleep=0.8)), caller.start_watch(behave(count=30, interval=0.03))
    quotes.wait_calls(2)
    caller.proxy.process.terminate()
    caller.proxy.wait_log("drain_started")
    assert get.finish().messages == [b"late"]
    answer = watch.finish()
    assert (answer.code, len(answer.messages)) == (OK, 30)
    assert caller.proxy.wait_exit() == 0


def test_a_proxy_that_serves_while_it_drains_takes_new_calls(through, quotes):
    caller = through(spec="drain: {mode: serve, timeout: 10s}")
    assert caller.get(b"before").code == OK
    caller.proxy.process.terminate()
    caller.proxy.wait_log("drain_started")
    for _ in range(10):
        assert caller.get(b"during").code == OK
    assert caller.proxy.wait_exit() == 0


def test_what_hangs_is_cut_when_the_drain_is_over(through, quotes):
    caller = through(spec="drain: {mode: refuse, timeout: 500ms}")
    watch = begin(caller, "watch")
    watch.read()
    caller.proxy.process.terminate()
    answer = watch.finish()
    assert answer.code == UNAVAILABLE
    assert answer.elapsed < slack(2)
    quotes.wait_ended("cancelled")
    assert caller.proxy.wait_exit() == 0


# ---- PINGs -----------------------------------------------------------------------------------------------------


def test_pings_of_both_sides_are_answered(make_quotes, start, dial):
    often = {"grpc__keepalive_time_ms": 200, "grpc__keepalive_timeout_ms": 1000,
             "grpc__http2__max_pings_without_data": 0, "grpc__http2__min_time_between_pings_ms": 200}
    caller = dial(start(POLICIES, to=make_quotes(**often)), **often)
    chat = caller.start_chat(outbox := Outbox())
    outbox.send(b"first")
    assert chat.read() == b"first"
    stays(lambda: chat.call.is_active(), 1.2)
    outbox.send(b"last")
    assert chat.read() == b"last"
    outbox.close()
    assert chat.finish().code == OK


def test_a_server_that_no_longer_answers_a_ping_is_given_up(make_quotes, start, dial):
    quotes = make_quotes()
    caller = dial(start(POLICIES, to=quotes, spec="http2: {keepAliveInterval: 300ms, keepAliveTimeout: 300ms}"))
    watch = begin(caller, "watch")
    watch.read()
    with quotes.frozen():
        answer = watch.finish()
    assert (answer.code, answer.reason) == (UNAVAILABLE, "connection_reset")
    assert caller.proxy.metrics().sum("outrigger_http2_defences_total", side="upstream", kind="keep_alive") == 1
    assert caller.get(b"again").code == OK


def test_a_caller_that_no_longer_answers_a_ping_is_given_up(start, quotes, request):
    proxy = start(POLICIES, to=quotes, spec="http2: {keepAliveInterval: 300ms, keepAliveTimeout: 300ms}")
    process = subprocess.Popen([sys.executable, "-c", CALLER, str(request.path.parent), f"127.0.0.1:{proxy.port}"])
    quotes.wait_calls(20)
    process.send_signal(signal.SIGSTOP)
    quotes.wait_ended("cancelled", 20)
    assert proxy.metrics().sum("outrigger_http2_defences_total", side="downstream", kind="keep_alive") == 1
    process.kill()
    process.wait()
