"""An end comes whenever it likes: with SIGTERM in the middle of everything that a proxy can be in the middle of, the process
ends by itself, in time, with exit code 0 and nothing leaked or kept (the debug build looks at both)."""

import contextlib
import random
import socket
import time

import pytest

from harness import h2_upstream as h2_calls
from harness.client import encode
from harness.proxy import policy_document
from harness.upstream import answer, generated, hang, reset, websocket_echo
from harness.waiting import slack

CHECKS = "interval: 3s, timeout: 3s, unhealthyThreshold: 1"
CALLERS = 40


@pytest.fixture
def silent():
    """(TCP, UDP) addresses where nobody ever says a word: of TLS, of DNS."""
    with contextlib.ExitStack() as held:
        door = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
        names = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        names.bind(("127.0.0.1", 0))
        yield tuple(f"127.0.0.1:{sock.getsockname()[1]}" for sock in (door, names))


def policies(upstream, h2, hole, mute):
    """Hosts by what their calls wait for."""

    def policy(name, addresses, rest):
        listed = ", ".join(f'"{address}"' for address in addresses)
        return policy_document(f"discovery: {{addresses: [{listed}]}}\n{rest}", f"{name}.test", name=name)

    return "---\n".join([
        policy("plain", [upstream, hole], f"timeouts: {{connect: 5s}}\nhealthCheck: {{path: /, {CHECKS}}}\n"
                                          "connectionPool: {warmConnections: 2}\nloadBalancer: {algorithm: roundRobin}"),
        policy("retried", [upstream], "retry: {attempts: 5, codes: [500], backoff: 100ms, budget: {percent: 100}}"),
        policy("queued", [upstream], "bulkhead: {maxRequests: 2, maxPending: 50, pendingTimeout: 10s}"),
        policy("paced", [upstream], "rateLimit: {requests: 1, interval: 5s, wait: 10s}"),
        policy("shared", [h2, hole], f"protocol: http2\ntimeouts: {{connect: 5s}}\nhealthCheck: {{type: grpc, {CHECKS}}}"),
        policy("secret", [mute], f"tls: {{}}\ntimeouts: {{connect: 5s}}\nhealthCheck: {{type: tcp, {CHECKS}}}"),
        policy_document("timeouts: {connect: 5s}", "unknown.test", name="unknown")])


def some_call(luck):
    """What a caller sends, whole or cut somewhere."""
    host = luck.choice(["plain", "plain", "retried", "queued", "paced", "shared", "shared", "secret", "unknown"]) + ".test"
    path = luck.choice(["/", "/500", "/hang", "/half", "/long", "/reset"])
    kind = luck.choice(["get", "get", "get", "post", "connect", "upgrade"])
    if kind == "connect":
        data = encode("CONNECT", f"{host}:80", [], None, f"{host}:80") + b"hello"
    elif kind == "upgrade":
        data = encode("GET", f"http://{host}/ws", [("Upgrade", "websocket"), ("Connection", "Upgrade")], None, host)
    elif kind == "post":
        data = encode("POST", f"http://{host}{path}", [("Content-Length", "100000")], None, host) + bytes(
            luck.choice([0, 10, 50000, 100000]))
    else:
        data = encode("GET", f"http://{host}{path}", [], None, host)
    return data if luck.random() < 0.9 else data[:luck.randrange(1, len(data))]


def call(port, luck):
    """A caller that has begun; it may leave, or say that it has ended, before the proxy does."""
    caller = socket.create_connection(("127.0.0.1", port))
    caller.sendall(some_call(luck))
    leaves = luck.random()
    if leaves < 0.1:
        caller.close()
    elif leaves < 0.2:
        caller.shutdown(socket.SHUT_WR)
    return caller


@pytest.mark.parametrize("seed", range(12))
def test_an_end_in_the_middle_of_everything(make_proxy, upstream, h2_upstream, black_hole, silent, seed):
    luck = random.Random(seed)
    plain = {"/": answer(), "/500": answer(500), "/hang": hang(), "/half": hang(after=b"HTTP/1.1 200 OK\r\n"),
             "/long": generated(10**7), "/reset": reset(), "/ws": websocket_echo()}
    for path, script in plain.items():
        upstream.on(path, script)
    h2_upstream.on("/hang", h2_calls.hang())
    h2_upstream.on("/half", h2_calls.begun())
    proxy = make_proxy(None, policies(upstream.address, h2_upstream.address, black_hole.address, silent[0]), dns=silent[1],
                       spec=f"drain: {{mode: {luck.choice(['refuse', 'serve'])}, timeout: 50ms}}")
    proxy.start()
    callers = []
    until = time.monotonic() + luck.choice([0.0, 0.05, 0.3, 2.0])
    for number in range(CALLERS):
        callers.append(call(proxy.outbound, luck))
        time.sleep(max(0, until - time.monotonic()) / (CALLERS - number))
    begun = time.monotonic()
    proxy.stop()
    assert time.monotonic() - begun < slack(5)
    for caller in callers:
        caller.close()
