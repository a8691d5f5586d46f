"""How many connections there are to an endpoint: no more than may be, and some that are ready."""

import asyncio
import threading

import pytest

from harness.upstream import head
from harness.waiting import slack, stays, wait_until

TARGET = "payments.example:80"


def both(two):
    return "discovery: {addresses: [" + ", ".join(f'"{upstream.address}"' for upstream in two) + "]}"


def waits_for(gate):
    async def script(exchange):
        await exchange.read_body()
        while not gate.is_set():
            await asyncio.sleep(0.01)
        await exchange.send(head(200, [("Content-Length", "2")]) + b"ok")
        return True

    return script


class Calls:
    """`count` calls at the same time, whose answers come in `results` as they end."""

    def __init__(self, proxy, count):
        self.results = []
        self.threads = [threading.Thread(target=self._call, args=(proxy,), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _call(self, proxy):
        response = proxy.get()
        self.results.append((response.status, response.reason))

    def join(self):
        for thread in self.threads:
            thread.join(slack(20))
        return sorted(self.results)


@pytest.mark.parametrize("outlier", ["", "outlier: {}"])
def test_no_endpoint_gets_more_connections_than_it_may_have(two, make_proxy, outlier):
    gate = threading.Event()
    for upstream in two:
        upstream.default = waits_for(gate)
    proxy = make_proxy(TARGET, f"{both(two)}\nconnectionPool: {{maxConnections: 2}}\n{outlier}").start()
    if outlier:  # an endpoint that is new gets one call at a time
        gate.set()
        wait_until(lambda: proxy.get().status == 200 and all(upstream.requests for upstream in two))
        gate.clear()
    calls = Calls(proxy, 4)
    wait_until(lambda: sum(upstream.open_connections for upstream in two) == 4, what="all places taken")
    assert [upstream.open_connections for upstream in two] == [2, 2]
    refused = proxy.get()
    assert (refused.status, refused.reason) == (503, "overloaded")
    assert "connectionPool.maxConnections" in refused.header("proxy-status")
    gate.set()
    assert calls.join() == [(200, None)] * 4
    assert proxy.get().status == 200
    assert proxy.metrics().sum("outrigger_attempts_total", result="connect_failure") == 0


def test_connections_are_made_ready_after_the_first_call(two, make_proxy):
    proxy = make_proxy(TARGET, f"{both(two)}\nconnectionPool: {{warmConnections: 3}}").start()
    stays(lambda: sum(upstream.open_connections for upstream in two) == 0, 1.2)
    assert proxy.get().status == 200
    wait_until(lambda: [upstream.open_connections for upstream in two] == [3, 3], timeout=slack(5),
               what="three ready at each")
    for upstream in two:
        upstream.close_idle()
    wait_until(lambda: [upstream.open_connections for upstream in two] == [3, 3], timeout=slack(5),
               what="three ready again")
    assert [proxy.get().status for _ in range(6)] == [200] * 6
    stays(lambda: [upstream.open_connections for upstream in two] == [3, 3], 1.2)
