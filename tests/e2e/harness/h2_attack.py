"""Attacks by HTTP/2, and honest neighbours beside them: another connection is always served, and the proxy's memory stays
where it was.
"""

import contextlib
import pathlib
import time

import pytest

from . import h2, h2_upstream as scripts
from .client import Client, encode
from .crew import Crew
from .h2 import RawClient
from .waiting import IS_DEBUG_BUILD, slack, wait_until

MIB = 1024 * 1024
KINDS = {"header_list", "malformed", "stream_limit", "glitches", "resets", "protocol_error", "outbound_queue",
         "write_timeout", "keep_alive"}
MAY_GROW = 8 * MIB  # of resident memory, under any of these
BATCH = 100  # frames in one send
BATCHES = 5000  # more than any allowance
SHORT = "limits: {writeTimeout: 1s}"
REQUEST = h2.block(h2.fields())


def defences(proxy, side, kind):
    return proxy.metrics().value("outrigger_http2_defences_total", side=side, kind=kind)


def wait_defence(proxy, side, kind, at_least=1):
    wait_until(lambda: defences(proxy, side, kind) >= at_least, what=f"{kind} counted {side}: {shown(proxy)}")


def shown(proxy):
    return {(labels["side"], labels["kind"]): value
            for labels, value in proxy.metrics().all("outrigger_http2_defences_total") if value}


class Neighbour(Crew):
    """Honest callers of both protocols beside an attack: none of their calls takes longer than a second."""

    def __init__(self, proxy, port=None):
        self.port = port or proxy.port
        self.worst, self.calls, self.broken = 0.0, 0, []
        super().__init__(self._over_http_1, self._over_http_2)

    def _over_http_1(self):
        self._run(lambda: Client(self.port))

    def _over_http_2(self):
        self._run(lambda: RawClient(self.port).settle())

    def _run(self, connect):
        try:
            with connect() as client:
                while not self.is_over:
                    started = time.monotonic()
                    response = client.get("/honest")
                    self.worst = max(self.worst, time.monotonic() - started)
                    self.calls += 1
                    if response.status != 200:
                        self.broken.append(response)
                    self.pause(0.02)
        except (OSError, EOFError, AssertionError) as error:
            self.broken.append(error)

    def __enter__(self):
        super().__enter__()
        wait_until(lambda: self.calls >= 4 or self.broken, what="the neighbours' first calls")
        return self

    def __exit__(self, *failure):
        super().__exit__(*failure)
        if failure[0] is None:
            assert not self.broken, f"a neighbour was not served: {self.broken[:3]}"
            assert self.worst < slack(1), f"a neighbour waited {self.worst:.2f} s"


@contextlib.contextmanager
def bounded(proxy, most=MAY_GROW):
    """Resident memory never grows by more than `most`."""
    pathlib.Path(f"/proc/{proxy.process.pid}/clear_refs").write_text("5")  # the highest is what it is now
    before = proxy.memory()[0]
    yield
    grown = proxy.memory()[1] - before
    assert IS_DEBUG_BUILD or grown < most, f"the proxy grew by {grown / MIB:.1f} MiB"


@pytest.fixture
def under_attack(make_proxy, h2_upstream):
    """under_attack(spec) runs a proxy with honest neighbours; how they and its memory fared is looked at in the end."""
    h2_upstream.on("/honest", scripts.answer())
    h2_upstream.on("/hang", None)
    with contextlib.ExitStack() as stack:

        def begin(spec="", policy=None, protocol="http2"):
            proxy = make_proxy(h2_upstream, policy, protocol=protocol, spec=spec).start()
            stack.enter_context(Neighbour(proxy))
            stack.enter_context(bounded(proxy))
            return proxy

        yield begin


def assert_cut(client, proxy, kind, *codes):
    """The connection has ended with one of these codes, for that reason."""
    client.expect_end()
    assert client.errors and client.errors[-1].code in codes, client.frames[-4:]
    wait_defence(proxy, "downstream", kind)


def assert_served(proxy):
    with RawClient(proxy.port) as client:
        assert client.get("/honest").status == 200


def bomb(stream, size=16384, status=None):
    """One frame whose first field is as large as the table and whose every further byte repeats it."""
    start = REQUEST if status is None else h2.block([(":status", status)])
    start += h2.literal("x-bomb", "b" * 4000, 0x40)
    return h2.headers(stream, start + h2.indexed(62) * (size - len(start)), end=True)


ASKING = {
    "PING": h2.ping(),
    "SETTINGS": h2.settings(),
    "SETTINGS with values": h2.settings([(h2.INITIAL_WINDOW_SIZE, 65535)] * 10),
}
PINGING = "http2: {keepAliveInterval: 1s, keepAliveTimeout: 1s}"


def pings(client):
    return [found for found in client.frames if found.kind == h2.PING and not found.flags & h2.ACK]


def attack(proxy, path="/attack", timeout=30):
    """One call into the hostile script; what its caller sees."""
    with proxy.client(timeout=timeout) as client:
        client.send(encode("POST", path, body=b"x"))
        return client.read_until_close() if path == "/endless" else client.read_response()
