"""Which gRPC calls are repeated, when, and what the server is told of it."""

import pytest
from harness.grpc_peer import ABORTED, NOT_FOUND, OK, RESOURCE_EXHAUSTED, UNAVAILABLE, behave
from harness.grpc_policies import LONG, QUICK, through  # noqa: F401 (fixtures)
from harness.waiting import slack, stays


FORMS = {"get": lambda caller, how: caller.get(b"hello", how),
         "upload": lambda caller, how: caller.upload([b"hello", b"you"], how),
         "watch": lambda caller, how: caller.watch(how, b"hello")}


@pytest.mark.parametrize("form", FORMS)
def test_a_status_that_is_named_is_tried_again(through, quotes, form):
    caller = through(QUICK)
    assert FORMS[form](caller, behave(fail=UNAVAILABLE, key=form, until=2)).code == OK
    tries = quotes.calls()
    assert [call.ended for call in tries] == ["failed", "failed", "ok"]
    assert tries[-1].received_bytes == (8 if form == "upload" else 5)
    assert [call.meta("x-outrigger-attempt") for call in tries] == ["1", "2", "3"]
    assert [call.meta("grpc-previous-rpc-attempts") for call in tries] == [None, "1", "2"]
    metrics = caller.proxy.metrics()
    assert metrics.sum("outrigger_retries_total") == 2
    assert metrics.sum("outrigger_requests_total", outcome="success_after_retry") == 1
    assert metrics.sum("outrigger_attempts_total", result="failure") == 2
    assert metrics.sum("outrigger_attempts_total", result="success") == 1


def test_the_tries_that_the_caller_made_itself_are_added(through, quotes):
    caller = through(QUICK)
    how = behave(fail=UNAVAILABLE, key="it", until=1) + [("grpc-previous-rpc-attempts", "3")]
    assert caller.get(b"", how).code == OK
    assert [call.all("grpc-previous-rpc-attempts") for call in quotes.calls()] == [["3"], ["4"]]
    assert [call.meta("x-outrigger-attempt") for call in quotes.calls()] == ["1", "2"]


def test_when_tries_are_used_up_the_caller_gets_the_last_answer(through, quotes):
    caller = through(QUICK)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, details="still not") + [("x-trail-a", "1")])
    assert (answered.code, answered.details, answered.trailer("x-trail-a")) == (UNAVAILABLE, "still not", "1")
    assert answered.trailer("x-outrigger-retries") == "exhausted"
    assert answered.reason is None
    assert len(quotes.calls()) == 3
    assert caller.proxy.metrics().sum("outrigger_requests_total", outcome="failure_after_retry") == 1


@pytest.mark.parametrize("policy, code, tries", [
    ("retry: {attempts: 2, backoff: 1ms}", UNAVAILABLE, 1),
    ("retry: {attempts: 2, backoff: 1ms, codes: [502, 503]}", UNAVAILABLE, 1),
    (QUICK, ABORTED, 1),
    ("retry: {attempts: 2, backoff: 1ms, grpcCodes: [ABORTED, NOT_FOUND]}", NOT_FOUND, 3),
    ("retry: {attempts: 2, backoff: 1ms, methods: [GET], grpcCodes: [UNAVAILABLE]}", UNAVAILABLE, 3),
    ("retry: {attempts: 2, backoff: 1ms, grpcCodes: [RESOURCE_EXHAUSTED]}", RESOURCE_EXHAUSTED, 3),
    ("circuitBreaker: {consecutiveFailures: 9}", UNAVAILABLE, 1),
], ids=["no grpcCodes", "codes do not apply", "another code", "other codes", "methods do not apply", "throttled",
        "no retry"])
def test_grpc_codes_are_the_consent_and_the_complete_list(through, quotes, policy, code, tries):
    assert through(policy).get(b"", behave(fail=code)).code == code
    assert len(quotes.calls()) == tries


@pytest.mark.parametrize("how", [{"head": True}, {"after": 1}], ids=["after headers", "after messages"])
def test_once_headers_have_arrived_nothing_is_tried_again(through, quotes, how):
    assert through(QUICK).watch(behave(fail=UNAVAILABLE, **how)).code == UNAVAILABLE
    assert len(quotes.calls()) == 1


def test_a_message_beyond_max_body_is_not_sent_again(through, quotes):
    caller = through("retry: {attempts: 2, backoff: 1ms, maxBody: 1KiB, grpcCodes: [UNAVAILABLE]}")
    assert caller.get(bytes(20_000), behave(fail=UNAVAILABLE)).code == UNAVAILABLE
    assert len(quotes.calls()) == 1
    assert caller.proxy.metrics().sum("outrigger_retries_skipped_total", reason="body_too_large") == 1


def test_a_server_that_is_down_for_a_moment_is_tried_again(make_quotes, start, dial):
    quotes = make_quotes()
    quotes.kill()
    caller = dial(start("retry: {attempts: 8, backoff: 100ms, maxBackoff: 300ms, jitter: none, "
                        "grpcCodes: [UNAVAILABLE], budget: {mode: off}}", to=quotes))
    call = caller.start_get(b"hello")
    caller.proxy.wait_metric(1, "outrigger_attempts_total", result="connect_failure")
    make_quotes(port=quotes.port)
    assert call.finish().messages == [b"hello"]


def test_a_pushback_is_the_least_wait(through, quotes):
    caller = through(QUICK)
    assert caller.get(b"", behave(fail=UNAVAILABLE, key="it", until=1, pushback=400)).code == OK
    first, second = quotes.calls()
    assert 0.39 <= second.at - first.at < 0.4 + slack(0.3)


@pytest.mark.parametrize("pushback", [-1, 60_000], ids=["negative", "beyond maxRetryAfter"])
def test_a_pushback_may_forbid_to_try_again(through, quotes, pushback):
    caller = through(QUICK)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, pushback=pushback))
    assert answered.code == UNAVAILABLE
    assert answered.trailer("grpc-retry-pushback-ms") == str(pushback)
    assert answered.elapsed < slack(0.5)
    assert len(quotes.calls()) == 1
    assert caller.proxy.metrics().sum("outrigger_retries_skipped_total", reason="retry_after") == 1


def test_a_pushback_after_messages_is_the_callers_to_obey(through):
    answered = through(QUICK).watch(behave(fail=UNAVAILABLE, after=1, pushback=70))
    assert answered.trailer("grpc-retry-pushback-ms") == "70"


def test_the_budget_holds_retries_down(through, quotes):
    caller = through("""
        retry: {attempts: 3, backoff: 1ms, maxBackoff: 1ms, grpcCodes: [UNAVAILABLE],
                budget: {percent: 20, interval: 60s, minRetryRate: {count: 1, interval: 60s}}}
    """)
    calls = [caller.start_get(b"", behave(fail=UNAVAILABLE)) for _ in range(200)]
    assert {call.finish().code for call in calls} == {UNAVAILABLE}
    metrics = caller.proxy.metrics()
    retries = metrics.sum("outrigger_retries_total")
    assert 35 <= retries <= 41
    assert len(quotes.calls()) == 200 + retries
    assert metrics.sum("outrigger_retries_skipped_total", reason="budget") > 100


def test_an_open_breaker_ends_the_retries(through, quotes):
    caller = through("retry: {attempts: 9, backoff: 1ms, grpcCodes: [UNAVAILABLE], budget: {mode: off}}\n" + LONG)
    answered = caller.get(b"", behave(fail=UNAVAILABLE, details="the third"))
    assert (answered.code, answered.details, answered.reason) == (UNAVAILABLE, "the third", None)
    assert len(quotes.calls()) == 3


def test_waiting_for_the_next_try_ends_when_the_caller_leaves(through, quotes):
    caller = through("retry: {attempts: 2, backoff: 500ms, maxBackoff: 500ms, jitter: none, grpcCodes: [UNAVAILABLE]}")
    call = caller.start_get(b"", behave(fail=UNAVAILABLE))
    caller.proxy.wait_metric(1, "outrigger_attempts_total", result="failure")
    call.cancel()
    caller.proxy.wait_metric(1, "outrigger_requests_total", outcome="cancelled")
    stays(lambda: len(quotes.calls()) == 1, 0.7)
