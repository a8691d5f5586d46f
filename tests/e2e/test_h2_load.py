"""HTTP/2 under load, with the C programs of tests/bench: a storm of resets, and long bodies both ways."""

import json
import os
import pathlib
import socket
import subprocess

import pytest
from harness.ports import free_port
from harness.proxy import BINARY, Load
from harness.waiting import IS_DEBUG_BUILD, slack, wait_until

PROGRAMS = pathlib.Path(BINARY).parent / "bench"
IS_CI = os.environ.get("CI") == "true"
MIB = 1024 * 1024
PEAK_MEMORY = 64 * MIB  # of the proxy while a long body passes
BODY_BYTES = (1024 if IS_CI else 256) * MIB if not IS_DEBUG_BUILD else 32 * MIB
STORM_RATE = 2_000 if IS_DEBUG_BUILD else 10_000  # a second, all connections together: what each may do uncut
STORM_CONNECTIONS = 10
STORM_SECONDS = 10 if IS_CI else 5
PAUSE = 0.01  # between two calls of those who are served meanwhile
WORST_SECONDS = 1.0
CALL_SECONDS = 60  # a program of the load that takes longer hangs

POLICY = """
    timeouts: {connect: 1s, request: 20s, backendRequest: 10s, idle: 5m}
    retry: {attempts: 2, grpcCodes: [UNAVAILABLE], budget: {percent: 20, interval: 10s}}
    circuitBreaker:
      consecutiveFailures: 7
      failureRate: {percent: 50, window: 10s, minRequests: 20}
      slowCalls: {percent: 80, longerThan: 2s}
    bulkhead: {maxRequests: 1000, maxPending: 100, pendingTimeout: 1s}
    rateLimit: {requests: 1000000, interval: 1s}
    """


class Responder:
    """respond_h2, an upstream that answers by path (see its first lines)."""

    def __init__(self):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = subprocess.Popen([PROGRAMS / "respond_h2", str(self.port)])
        wait_until(self.listens, what="respond_h2 listens")

    def listens(self):
        assert self.process.poll() is None, "respond_h2 ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def counts(self):
        """How many calls to /hold are open; how many connections there have been."""
        held, accepted = run("call_h2", self.port, 1, 1, "/hold.Count/Get")["text"].split("/")
        return int(held), int(accepted)

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def responder():
    server = Responder()
    yield server
    server.close()


def begin(program, *arguments):
    return subprocess.Popen([PROGRAMS / program, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def end(process, seconds=CALL_SECONDS):
    """What the program found, as it says in JSON."""
    try:
        said, complaint = process.communicate(timeout=slack(seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}: {said}{complaint}"
    return json.loads(said)


def run(program, *arguments):
    return end(begin(program, *arguments))


def cpu_seconds(proxy):
    fields = pathlib.Path(f"/proc/{proxy.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---- resets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag_ms, path", [(0, "/shop.Quotes/Get"), (5, "/hold.Silent/Watch")],
                         ids=["at-once", "under-way-upstream"])
def test_a_storm_of_resets_costs_less_than_a_core_and_others_are_served(start, responder, lag_ms, path):
    proxy = start(POLICY, to=responder, protocol="http2")
    calls = int(STORM_SECONDS / PAUSE)
    with Load(proxy, callers=1, pause=PAUSE) as h1:
        h1.wait_calls(1)
        used = cpu_seconds(proxy)
        storm = begin("storm_h2", proxy.port, STORM_RATE, STORM_CONNECTIONS, STORM_SECONDS, lag_ms, path)
        h2 = begin("call_h2", proxy.port, calls, 10, "/shop.Quotes/Get", int(PAUSE * 1000))
        found = end(storm)
        used = cpu_seconds(proxy) - used
        served = end(h2)
    assert found["resets"] > 0.9 * STORM_RATE * STORM_SECONDS
    assert found["cut"] == 0
    assert [served[key] for key in ("calls", "good", "trailers")] == [calls] * 3
    assert served["worst_us"] / 1e6 < (slack(WORST_SECONDS) if IS_DEBUG_BUILD else WORST_SECONDS)
    assert not h1.broken
    assert {status for _, status, _ in h1.results} == {200}
    assert IS_DEBUG_BUILD or used < found["seconds"], f"{used:.2f} s of CPU in {found['seconds']:.2f} s"
    wait_until(lambda: responder.counts()[0] == 0, what="every call cancelled upstream")


def test_a_connection_that_resets_beyond_its_allowance_is_cut_and_others_are_served(start, responder):
    proxy = start(POLICY, to=responder, protocol="http2")
    run("call_h2", proxy.port, 1, 1)
    storm = begin("storm_h2", proxy.port, 2 * STORM_RATE, 1, 4)
    served = run("call_h2", proxy.port, 300, 10, "/shop.Quotes/Get", 10)
    found = end(storm)
    assert found["calmed"] > 0, found  # a connection that was cut and was told why
    assert served["good"] == 300
    cut = proxy.metrics().value("outrigger_http2_defences_total", side="downstream", kind="resets")
    assert found["calmed"] <= cut <= found["cut"] + 1  # the last may not have been seen any more


def test_calls_that_are_reset_while_their_connection_is_made_do_not_each_have_one_made(start, responder):
    proxy, (_, before) = start(POLICY, to=responder, protocol="http2"), responder.counts()
    found = run("storm_h2", proxy.port, 1000, 2, 1)
    assert found["resets"] > 500
    _, after = responder.counts()
    assert after - before < 100, f"{after - before} connections for {found['resets']} resets"


# ---- long bodies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ways", ["up", "down", "both"])
def test_a_long_body_arrives_as_it_was_in_bounded_memory(start, responder, ways):
    proxy = start(to=responder)
    found = run("stream_h2", proxy.port, ways, BODY_BYTES)
    assert found["up"] == (BODY_BYTES if ways != "down" else 0)
    assert found["down"] == (BODY_BYTES if ways != "up" else 0)
    assert IS_DEBUG_BUILD or proxy.memory()[1] < PEAK_MEMORY
