"""A channel through a proxy with a policy in front of the shared gRPC server."""

import pytest

from .grpc_peer import DATA_LOSS, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, UNKNOWN, behave

SMALL = "circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, maxOpenFor: 10s, openJitter: 0, halfOpenRequests: 1}"
LONG = "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s, openJitter: 0}"
QUICK = "retry: {attempts: 2, backoff: 1ms, grpcCodes: [UNAVAILABLE]}"
FAILURES = [UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS]
TRAILERS_ONLY, AFTER_MESSAGES = {}, {"after": 2}


@pytest.fixture
def through(start, quotes, dial):
    """A channel through a proxy with that policy in front of the shared server; the proxy is its `proxy`."""

    def make(policy, **options):
        return dial(start(policy, to=quotes), **options)

    return make


def fail(caller, times, code=UNAVAILABLE, **how):
    for _ in range(times):
        assert caller.watch(behave(fail=code, **how)).code == code


def is_refused(answered, code=UNAVAILABLE, reason="circuit_open"):
    return (answered.code, answered.details, answered.reason, answered.messages) == (code, reason, reason, [])


def open_stream(caller):
    """A server stream that has sent a message and stands still."""
    stream = caller.start_watch(behave(count=1, hang=True))
    stream.read()
    return stream
