"""A name with addresses of both families, of which only one is served."""

import socket

import pytest

from harness.ports import free_port
from harness.upstream import Upstream
from harness.waiting import slack

OUTLIER = "outlier: {consecutiveFailures: 1, ejectFor: 10s}\nretry: {attempts: 0}"
POLICIES = {"no policy": None, "outlier": OUTLIER, "a circuit of each": "circuitBreaker: {scope: endpoint}"}


@pytest.fixture
def sixth(names):
    """An upstream on ::1 alone, whose name has 127.0.0.1 as well; `port` is free there."""
    upstream = Upstream("::1", port=free_port())
    names.set("both.test", ["127.0.0.1", "::1"])
    yield upstream
    upstream.close()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_family_that_refuses_costs_nothing(sixth, names, make_proxy, policy):
    proxy = make_proxy(f"both.test:{sixth.port}", POLICIES[policy], dns=names.address).start()
    assert [proxy.get().status for _ in range(10)] == [200] * 10
    assert len(sixth.requests) == 10
    assert proxy.metrics().sum("outrigger_attempts_total", result="connect_failure") == 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_family_that_does_not_answer_costs_a_quarter_of_a_second_once(sixth, names, make_proxy, policy):
    with socket.create_server(("127.0.0.1", sixth.port), backlog=0):
        crowd = [socket.socket() for _ in range(8)]
        for one in crowd:  # the queue of connections that nobody accepts is full: no SYN is answered any more
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", sixth.port))
        proxy = make_proxy(f"both.test:{sixth.port}", POLICIES[policy], dns=names.address).start()
        first = proxy.get()
        assert first.status == 200
        assert 0.2 < first.elapsed < 0.25 + slack(0.7)
        assert all(proxy.get().status == 200 for _ in range(10))
        assert len(sixth.requests) == 11
        for one in crowd:
            one.close()
