"""gRPC as @grpc/grpc-js speaks it: another HTTP/2, and one that finds its way through a forward proxy by itself."""

import json
import os
import pathlib
import subprocess

import pytest
from conftest import ROOT
from harness.grpc_peer import (ABORTED, CANCELLED, DEADLINE_EXCEEDED, NOT_FOUND, OK, UNAVAILABLE, UnaryLoad, behave,
                               proxy_variables)
from harness.ports import free_port
from harness.proxy import policy_document
from harness.waiting import DEADLINE, slack

HARNESS = pathlib.Path(__file__).parent / "harness"
MODULES = pathlib.Path(os.environ.get("OUTRIGGER_PEERS", ROOT / "build/peers/bin")).parent / "npm/node_modules"
POLICIES = """
    timeouts: {request: 30s, backendRequest: 15s}
    retry: {attempts: 1, backoff: 1ms, grpcCodes: [UNAVAILABLE]}
    circuitBreaker: {consecutiveFailures: 100}
    bulkhead: {maxRequests: 1000}
"""
LONG = "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s, openJitter: 0}"
MIB = 1024 * 1024
REFUSED = "Failed to connect to"  # what grpc-js writes when a CONNECT is not answered with 200
IS_CI = os.environ.get("CI") == "true"

pytestmark = pytest.mark.skipif(not IS_CI and not (MODULES / "@grpc/grpc-js").is_dir(),
                                reason="@grpc/grpc-js is not there: npm's registry could not be reached by ./dev test")


@pytest.fixture
def node(peer):
    """The command of a program of ours that uses grpc-js, and its environment."""

    def command(script, *arguments, **variables):
        with proxy_variables(None):
            env = {**os.environ, "NODE_PATH": str(MODULES), **variables}
        return [peer("node"), str(HARNESS / script), *arguments], env

    return command


@pytest.fixture
def call(node):
    """call(address, step, ...) makes the calls of grpc_js_caller.js; variables such as grpc_proxy by their names."""

    def run(address, *steps, **variables):
        command, env = node("grpc_js_caller.js", address, json.dumps(steps), **variables)
        done = subprocess.run(command, env=env, capture_output=True, timeout=slack(20), text=True)
        exit_code, complaints = done.returncode, [line for line in done.stderr.splitlines() if REFUSED not in line]
        assert exit_code == 0 and not complaints, done.stderr
        return json.loads(done.stdout)

    return run


def how(form="get", *, metadata=(), size=0, messages=0, deadline=0, cancel_after=0, together=False, **behaviour):
    """A step of grpc_js_caller.js; `behaviour` is what the server does then."""
    return {"form": form, "metadata": [*behave(**behaviour), *metadata], "size": size, "count": messages,
            "deadline": deadline, "cancelAfter": cancel_after, "together": together}


@pytest.fixture(params=["listener", "grpc_proxy", "http_proxy"])
def through(request, start, quotes, call):
    """Calls through an explicit listener, or in a tunnel that grpc-js asks the outbound port for."""

    def run(policy, *steps):
        proxy = run.proxy = start(policy, to=quotes)
        if request.param == "listener":
            return call(f"127.0.0.1:{proxy.port}", *steps)
        return call(quotes.address, *steps, **{request.param: f"http://127.0.0.1:{proxy.outbound}"})

    return run


def test_all_four_forms_go_through(through, quotes):
    answers = through(POLICIES, how("get", size=10), how("upload", size=10, messages=3), how("watch"),
                      how("chat", size=10, messages=5))
    assert [(answer["code"], answer["messages"]) for answer in answers] == [(OK, 1), (OK, 1), (OK, 3), (OK, 5)]
    assert [seen.meta("x-outrigger-attempt") for seen in quotes.calls()] == ["1"] * 4  # nothing went past the policies
    assert all(seen.meta("via").startswith("2 outrigger-") for seen in quotes.calls())


def test_large_messages_and_many_streams_go_through(through):
    answers = through(POLICIES, how("chat", size=3 * MIB, messages=3), how("upload", size=3 * MIB, messages=3),
                      *[how("get", size=1000, sleep=0.1, together=True) for _ in range(200)])
    assert [(answer["code"], answer["bytes"]) for answer in answers[:2]] == [(OK, 9 * MIB), (OK, len("[3, 9437184]"))]
    assert {(answer["code"], answer["bytes"]) for answer in answers[2:]} == {(OK, 1000)}


def test_metadata_and_statuses_pass(through):
    metadata = [("x-echo-a", "1"), ("x-echo-a", "2"), ("x-echo-b-bin", "AP8="), ("x-trail-c-bin", "/w==")]
    early, late = through(POLICIES, how("watch", fail=NOT_FOUND, details="naïve ✓"),
                          how("watch", fail=ABORTED, after=2, metadata=metadata))
    assert (early["code"], early["details"], early["messages"]) == (NOT_FOUND, "naïve ✓", 0)
    assert (late["code"], late["messages"]) == (ABORTED, 2)
    assert late["headers"]["x-echo-a"] in (["1", "2"], ["1, 2"])  # node joins what comes twice
    assert late["headers"]["x-echo-b-bin"] == ["AP8="]
    assert late["trailers"]["x-trail-c-bin"] == ["/w=="]


def test_the_breaker_of_the_target_refuses_by_name(through, quotes):
    answers = through(LONG, *[how(fail=UNAVAILABLE) for _ in range(3)], how(), how("chat", size=1, messages=1))
    assert [answer["details"] for answer in answers] == ["as asked"] * 3 + ["circuit_open"] * 2
    assert [answer["code"] for answer in answers] == [UNAVAILABLE] * 5
    assert answers[3]["trailers"]["x-outrigger-reason"] == ["circuit_open"]
    assert len(quotes.calls()) == 3
    metrics = through.proxy.metrics()
    assert metrics.sum("outrigger_requests_total", target=quotes.address, outcome="circuit_open") == 2


def test_what_fails_is_tried_again(through, quotes):
    answer, = through("retry: {attempts: 2, backoff: 1ms, grpcCodes: [UNAVAILABLE]}",
                      how(fail=UNAVAILABLE, key="it", until=2))
    assert answer["code"] == OK
    assert [seen.meta("grpc-previous-rpc-attempts") for seen in quotes.calls()] == [None, "1", "2"]


def test_the_deadline_reaches_the_server_and_ends_its_work(through, quotes):
    good, late = through("timeouts: {backendRequest: 3s}", how(deadline=10_000), how(deadline=300, hang=True))
    assert (good["code"], late["code"]) == (OK, DEADLINE_EXCEEDED)
    assert 9 < quotes.calls()[0].remaining <= 10.2  # the caller's own, whatever the policy gives an attempt
    quotes.wait_ended("cancelled")


def test_a_stream_that_is_cancelled_stops_at_the_server(through, quotes):
    answer, = through(POLICIES, how("watch", cancel_after=3, count=-1, interval=0.01))
    assert answer["code"] == CANCELLED
    quotes.wait_ended("cancelled")


# ---- tunnels ---------------------------------------------------------------------------------------------------


def test_a_tunnel_is_treated_by_the_policy_of_its_target(make_proxy, quotes, make_quotes, call):
    other = make_quotes()
    proxy = make_proxy(documents=[
        policy_document("circuitBreaker: {mode: forceOpen}", host="127.0.0.1", port=quotes.port, name="refused"),
        policy_document("rateLimit: {requests: 2, interval: 60s}", host="127.0.0.1", port=other.port, name="limited"),
    ]).start()
    tunnel = {"grpc_proxy": f"http://127.0.0.1:{proxy.outbound}"}
    refused = call(quotes.address, how(), how(), **tunnel)
    limited = [answer["details"] for answer in call(other.address, how(), how(), how(), **tunnel)]
    assert [answer["code"] for answer in refused] == [UNAVAILABLE] * 2  # even the CONNECT is refused
    assert (limited[0], limited[-1]) == ("", "rate_limited")
    assert (len(quotes.calls()), len(other.calls())) == (0, limited.count(""))


def test_a_tunnel_to_a_server_that_is_down_refuses_by_name(make_proxy, call):
    port = free_port()
    proxy = make_proxy(None, LONG).start()
    answers = call(f"127.0.0.1:{port}", *[how() for _ in range(2)], grpc_proxy=f"http://127.0.0.1:{proxy.outbound}")
    assert {answer["code"] for answer in answers} == {UNAVAILABLE}


# ---- grpc-js as the server -------------------------------------------------------------------------------------


class JsServer:
    def __init__(self, command, env, port):
        self.port, self.address = port, f"127.0.0.1:{port}"
        self.process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().strip() == "ready"

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


@pytest.fixture
def js_server(node):
    port = free_port()
    server = JsServer(*node("grpc_js_server.js", str(port)), port)
    yield server
    server.close()


def test_a_server_that_drains_its_connections_under_load_loses_no_call(js_server, start, dial):
    # Its GOAWAY names the last stream that it works on: what was on its way is not begun and goes elsewhere, once.
    caller = dial(start("circuitBreaker: {consecutiveFailures: 1}", to=js_server))
    with UnaryLoad(caller) as load:
        for _ in range(8):
            load.wait_calls(50)
            js_server.ask("drain")
        load.wait_calls(50)
    numbers, connections = js_server.ask("calls")
    assert load.failures() == []
    assert sorted(numbers) == sorted(int(message) for message, _ in load.answers)  # each of them once
    assert connections >= 8


def test_a_stream_of_a_server_that_drains_ends_well(js_server, start, dial):
    caller = dial(start("circuitBreaker: {consecutiveFailures: 1}", to=js_server))
    watch = caller.start_watch()
    watch.read()
    js_server.ask("drain")
    assert caller.get(b"elsewhere").messages == [b"elsewhere"]
    answer = watch.finish()
    assert (answer.code, len(answer.messages)) == (OK, 30)
