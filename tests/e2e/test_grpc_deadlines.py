"""Whose deadline ends a gRPC call or stream, and what the server is told of it."""


import pytest
from harness.grpc_peer import DEADLINE_EXCEEDED, OK, Outbox, UNAVAILABLE, behave, wire_call
from harness.grpc_policies import is_refused, LONG, QUICK, through  # noqa: F401 (fixtures)
from harness.waiting import slack, stays, wait_until


@pytest.mark.parametrize("timeout, reason", [("request", "request_timeout"), ("backendRequest", "attempt_timeout")])
def test_a_timeout_of_the_policy_is_named(through, quotes, timeout, reason):
    caller = through(f"timeouts: {{{timeout}: 300ms}}")
    answered = caller.get(b"", behave(hang=True))
    assert is_refused(answered, DEADLINE_EXCEEDED, reason)
    assert 0.3 <= answered.elapsed < 0.3 + slack(0.3)
    quotes.wait_ended("cancelled")
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_requests_total", outcome="timeout") == 1
    assert metrics.sum("outrigger_attempts_total", result="timeout") == 1


@pytest.mark.parametrize("timeout", ["request", "backendRequest"])
def test_a_timeout_of_the_policy_ends_a_call_before_the_callers_deadline(through, timeout):
    answered = through(f"timeouts: {{{timeout}: 300ms}}").get(b"", behave(hang=True), timeout=10)
    assert answered.code == DEADLINE_EXCEEDED
    assert 0.25 <= answered.elapsed < 0.3 + slack(0.3)


@pytest.mark.parametrize("policy", ["timeouts: {request: 10s, backendRequest: 5s}", "circuitBreaker: {}"],
                         ids=["timeouts", "no timeouts"])
def test_the_callers_deadline_ends_a_call_before_a_timeout_of_the_policy(through, policy):
    caller = through(policy)
    for text, seconds in (("300m", 0.3), ("300000u", 0.3), ("99999999n", 0.1)):
        wire = wire_call(caller.proxy.port, metadata=behave(hang=True) + [("grpc-timeout", text)], message=b"")
        assert (wire.status, wire.headers["grpc-status"]) == (200, "4")  # curl itself would have waited
        assert seconds - 0.02 <= wire.elapsed < seconds + slack(0.4)


def test_a_deadline_in_a_bulkheads_queue_is_named(through, quotes):
    caller = through("bulkhead: {maxRequests: 1, maxPending: 1, pendingTimeout: 20s}")
    call = caller.start_get(b"", behave(hang=True))
    quotes.wait_calls(1)
    wire = wire_call(caller.proxy.port, metadata=[("grpc-timeout", "300m")])
    assert (wire.headers["grpc-status"], wire.headers["grpc-message"]) == ("4", "request_timeout")
    assert len(quotes.calls()) == 1
    call.cancel()


def test_a_deadline_that_is_over_before_it_began_is_that_to_the_caller(through, quotes):
    caller = through("circuitBreaker: {}")
    wire = wire_call(caller.proxy.port, metadata=[("grpc-timeout", "1n")])
    assert wire.headers["grpc-status"] == "4"  # the server may find out first
    assert [call for call in quotes.calls() if call.ended == "ok"] == []


def test_the_server_is_told_the_callers_deadline_not_those_of_the_policy(through, quotes):
    # The policy's end at the response head: a server that knew of them would end a stream that may go on.
    caller = through("""
        rules:
          - {name: u, matches: [{grpc: {method: Upload}}], timeouts: {request: 3s}}
          - {name: w, matches: [{grpc: {method: Watch}}], timeouts: {backendRequest: 2s}}
          - {name: c, matches: [{grpc: {method: Chat}}], timeouts: {request: 30s, backendRequest: 20s}}
    """)
    for answered in (caller.get(b"", timeout=10), caller.upload([b"a"], timeout=10), caller.watch(timeout=10),
                     caller.chat([b"a"], timeout=10)):
        assert answered.code == OK
    for call, most in zip(quotes.calls(), (10, 10, 10, 10)):
        assert most - 1 < call.remaining <= most * 1.02  # grpc rounds the caller's upward


def test_a_call_without_a_deadline_is_given_none(through, quotes):
    # What it would end at the server is the whole call, while these timeouts end at the response head.
    assert through("timeouts: {request: 3s, backendRequest: 2s}").get(b"").code == OK
    assert quotes.calls()[0].remaining is None


def test_the_deadline_is_less_on_every_attempt(through, quotes):
    caller = through(QUICK)
    assert caller.get(b"", behave(sleep=0.3, fail=UNAVAILABLE, key="it", until=2), timeout=10).code == OK
    first, second, third = (call.remaining for call in quotes.calls())
    assert 9 < first <= 10.2
    assert second <= first - 0.28
    assert third <= second - 0.28
    assert third > 7


def test_no_attempt_starts_after_the_callers_deadline(through, quotes):
    caller = through("retry: {attempts: 9, backoff: 1ms, grpcCodes: [UNAVAILABLE], budget: {mode: off}}")
    wire = wire_call(caller.proxy.port, message=b"",
                     metadata=behave(sleep=0.15, fail=UNAVAILABLE) + [("grpc-timeout", "400m")])
    assert wire.headers["grpc-status"] in ("4", "14")
    first = quotes.calls()[0].at
    stays(lambda: all(call.at < first + 0.4 + slack(0.1) for call in quotes.calls()), 0.4)
    assert 2 <= len(quotes.calls()) <= 3


def test_a_callers_short_deadline_proves_nothing(through):
    caller = through("timeouts: {backendRequest: 2s}\n" + LONG)

    def has_come():  # where the machine is slow, a call may end before it left its caller
        assert caller.get(b"", behave(hang=True), timeout=0.05).code == DEADLINE_EXCEEDED
        return caller.proxy.metrics().sum("outrigger_requests_total") >= 5

    wait_until(has_come)
    assert caller.proxy.breaker_state() == "closed"


def test_the_timeouts_of_a_call_end_at_its_head(through):
    caller = through("timeouts: {request: 300ms, backendRequest: 300ms}")
    answered = caller.watch(behave(count=8, interval=0.1))
    assert (answered.code, len(answered.messages)) == (OK, 8)
    assert answered.elapsed > 0.7


def test_the_callers_deadline_holds_for_a_stream_after_its_head(through, quotes):
    caller = through("timeouts: {request: 10s}")
    wire = wire_call(caller.proxy.port, "Watch", behave(count=1, hang=True) + [("grpc-timeout", "500m")], b"")
    assert wire.body.startswith(b"\0\0\0\0\n")
    assert wire.trailers["grpc-status"] == "4"
    assert 0.45 <= wire.elapsed < 0.5 + slack(0.4)
    quotes.wait_ended("cancelled")


@pytest.mark.parametrize("policy, how, reason", [
    ("timeouts: {idle: 400ms}", {"count": 1, "hang": True}, "idle_timeout"),
    ("timeouts: {maxDuration: 500ms}", {"count": -1, "interval": 0.05}, "max_duration"),
])
def test_a_stream_that_is_over_its_time_ends_with_trailers(through, quotes, policy, how, reason):
    caller = through(policy)
    answered = caller.watch(behave(**how))
    assert (answered.code, answered.details, answered.reason) == (DEADLINE_EXCEEDED, reason, reason)
    assert 0.35 <= answered.elapsed < 0.5 + slack(0.4)
    assert len(answered.messages) >= 1
    quotes.wait_ended("cancelled")


def test_a_message_in_either_direction_starts_idle_again(through):
    caller, outbox = through("timeouts: {idle: 500ms}"), Outbox()
    upload = caller.start_upload(outbox, behave(head=True))
    chat = caller.start_watch(behave(count=6, interval=0.2))
    for _ in range(6):
        outbox.send(b"x")
        chat.read()
    outbox.close()
    assert (upload.finish().messages, chat.finish().code) == ([b"[6, 6]"], OK)
