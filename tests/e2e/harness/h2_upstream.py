"""An upstream that speaks HTTP/2 as a test says, well or badly, and remembers every frame.

    up = RawUpstream(values={h2.MAX_CONCURRENT_STREAMS: 1})
    up.plan(refuse(h2.REFUSED_STREAM), answer(200, b"fine"))   # the next two requests, in order
    up.on("/slow", hang())                                     # always for that path
    ... up.requests[0].header("via"), up.requests[0].reset, up.connections[0].goaways ...

A script is `def script(exchange)`, a plain function on a thread of its own; what it sends with `exchange.send` reaches
the wire as it is, what it sends with `exchange.data` keeps to the proxy's windows. None as a script leaves a request
without an answer and without a thread: for thousands of them.
"""

import collections
import contextlib
import socket
import threading
import time

from . import h2
from .client import CHUNK
from .h2 import Message, Wire, shut
from .waiting import DEADLINE, wait_until


class Gone(Exception):
    """The proxy has reset the stream or left: what stays of a script is moot."""


class H2Request(Message):
    """One request as it came off the wire."""

    def __init__(self, connection, stream, pairs):
        super().__init__()
        self.connection = connection  # number of the connection, from 0
        self.stream = stream
        self.fields = pairs
        self.gone_at = None  # when the peer reset it or left while its answer was pending

    @property
    def method(self):
        return self.header(":method")

    @property
    def target(self):
        return self.header(":path")

    @property
    def authority(self):
        return self.header(":authority")

    def __repr__(self):
        return f"<{self.method} {self.target} on {self.connection}.{self.stream}>"


class Exchange:
    """A request, and the means to answer it."""

    def __init__(self, connection, request):
        self.connection, self.request = connection, request
        self.upstream, self.stream = connection.upstream, request.stream
        self.is_answered = False

    def send(self, *frames):
        self.connection.send(*frames)

    def head(self, status=200, fields=(), end=False):
        pairs = [(":status", str(status)), *fields]
        if end:
            self.is_answered = True
        self.send(h2.headers(self.stream, h2.block(pairs), end))

    def data(self, payload=b"", end=False):
        """DATA as far as the windows let it, waiting for them where they are shut."""
        view = memoryview(payload)
        while True:
            count = self.connection.take_window(self, len(view)) if len(view) else 0
            is_last = count == len(view)
            if is_last and end:
                self.is_answered = True
            self.send(h2.data(self.stream, bytes(view[:count]), end and is_last))
            view = view[count:]
            if is_last:
                return

    def trailers(self, pairs):
        self.is_answered = True
        self.send(h2.headers(self.stream, h2.block(pairs), end=True))

    def reset(self, code):
        self.is_answered = True
        self.send(h2.rst_stream(self.stream, code))

    def read_body(self):
        """Waits for the end of the request."""
        self.connection.wait(lambda: self.request.is_complete or self.is_gone)
        if not self.request.is_complete:
            raise Gone()

    def until_peer_leaves(self, timeout=60):
        self.connection.wait(lambda: self.is_gone, timeout)

    def sleep(self, seconds):
        """A pause that ends with Gone when the peer leaves."""
        self.connection.wait(lambda: self.is_gone, seconds)
        if self.is_gone:
            raise Gone()

    @property
    def is_gone(self):
        return self.request.reset is not None or self.connection.is_over


# ---- scripts ---------------------------------------------------------------------------------------------------


def answer(status=200, body=b"ok", fields=(), trailers=None, delay=0, interim=(), reads_body=True, has_length=True):
    """A whole response."""

    def script(exchange):
        if reads_body:
            exchange.read_body()
        for code in interim:
            exchange.head(code, [("x-interim", "yes")])
        if delay:
            exchange.sleep(delay)
        is_bare = status in (204, 304) or exchange.request.method == "HEAD"
        pairs = list(fields)
        if has_length and status != 204 and trailers is None and "content-length" not in dict(pairs):
            pairs.append(("content-length", str(len(body))))
        is_over = (is_bare or not body) and trailers is None
        exchange.head(status, pairs, end=is_over)
        if not is_over and not is_bare:
            exchange.data(body, end=trailers is None)
        if trailers is not None:
            exchange.trailers(trailers)

    return script


def hang(after=None, reads_body=True):
    """Never answers, or never ends what `after(exchange)` began; notes when the caller leaves."""

    def script(exchange):
        if reads_body:
            exchange.read_body()
        if after:
            after(exchange)
        exchange.until_peer_leaves()

    return script


def begun(body=b"half", fields=()):
    """For hang(after=...): a head and the beginning of a body."""

    def begin(exchange):
        exchange.head(200, fields)
        exchange.data(body)

    return begin


def refuse(code=h2.REFUSED_STREAM, reads_body=False):
    """RST_STREAM at once."""

    def script(exchange):
        if reads_body:
            exchange.read_body()
        exchange.reset(code)

    return script


def go_away(last_stream=None, code=h2.NO_ERROR, closes=True):
    """GOAWAY instead of an answer; `last_stream` defaults to the stream before, so that this one was not worked on."""

    def script(exchange):
        last = max(0, exchange.stream - 2) if last_stream is None else last_stream
        exchange.send(h2.goaway(last, code))
        if closes:
            exchange.connection.finish()

    return script


def raw(*parts, closes=False):
    """Exactly these bytes; a part may be a function of the stream."""

    def script(exchange):
        exchange.read_body()
        exchange.send(*(part(exchange.stream) if callable(part) else part for part in parts))
        if closes:
            exchange.connection.finish()
        exchange.until_peer_leaves()

    return script


def close_connection(after=None):
    """FIN, after `after(exchange)`."""

    def script(exchange):
        if after:
            after(exchange)
        exchange.connection.finish()

    return script


def generated(size, piece=64 * 1024):
    """A body of `size` zero bytes, counted in `exchange.upstream.sent`."""

    def script(exchange):
        exchange.read_body()
        exchange.head(200, [("content-length", str(size))])
        left = size
        while left:
            count = min(left, piece)
            left -= count
            exchange.data(bytes(count), end=left == 0)
            exchange.upstream.sent += count

    return script


# ---- the server ------------------------------------------------------------------------------------------------


class ServerConnection(Wire):
    """One connection of the proxy; its thread reads, the scripts' threads write."""

    def __init__(self, upstream, sock, number):
        super().__init__(sock)
        self.upstream, self.number = upstream, number
        self.preface = b""
        self.exchanges = {}
        self.acknowledged = 0
        self.pongs = []
        self.ended_at = None
        self.most_at_once = 0  # streams that were open side by side
        self._changed = threading.Condition()
        self._writing = threading.Lock()

    @property
    def is_over(self):
        return self.ended_at is not None

    @property
    def open_streams(self):
        return sum(1 for exchange in self.exchanges.values() if not exchange.is_answered and not exchange.is_gone)

    def send(self, *parts):
        try:
            with self._writing:
                self.socket.sendall(b"".join(parts))
        except OSError as error:
            raise Gone() from error

    def finish(self):
        """FIN; what the proxy still sends is read."""
        with contextlib.suppress(OSError), self._writing:
            self.socket.shutdown(socket.SHUT_WR)

    def wait(self, condition, timeout=DEADLINE):
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def take_window(self, exchange, wanted):
        """At least one byte of what the windows allow on that stream, once they do."""
        with self._changed:
            self._changed.wait_for(lambda: self.window(exchange.stream) > 0 or exchange.is_gone, 60)
            if exchange.is_gone or self.window(exchange.stream) <= 0:
                raise Gone()
            count = min(wanted, self.window(exchange.stream), self.largest_frame())
            self.spend(exchange.stream, count)
            return count

    # reading

    def run(self):
        try:
            self._greet()
            while received := self._receive():
                with self._changed:
                    self.buffer += received
                    while found := self.cut_frame():
                        self._note(*found)
                    self._changed.notify_all()
        except (OSError, Gone):
            pass
        finally:
            with self._changed:
                self.ended_at = time.monotonic()
                for exchange in self.exchanges.values():
                    self._leave(exchange)
                self._changed.notify_all()
            shut(self.socket)

    def _receive(self):
        self.upstream.may_read.wait()
        return self.socket.recv(CHUNK)

    def _greet(self):
        while len(self.preface) < len(h2.PREFACE):
            received = self.socket.recv(len(h2.PREFACE) - len(self.preface))
            if not received:
                raise Gone()
            self.preface += received
        if self.preface != h2.PREFACE:
            raise Gone()
        if self.upstream.values is not None:
            self.send(h2.settings(self.upstream.values))
        if self.upstream.on_connect:
            self.upstream.run_script(self.upstream.on_connect, self)

    def _note(self, found, payload):
        if found.kind == h2.SETTINGS and found.flags & h2.ACK:
            self.acknowledged += 1
        elif found.kind == h2.SETTINGS:
            self.note_settings(payload)
            if self.upstream.acks:
                self.send(h2.SETTINGS_ACK)
        elif found.kind == h2.PING and found.flags & h2.ACK:
            self.pongs.append(payload)
        elif found.kind == h2.PING:
            if self.upstream.answers_pings:
                self.send(h2.ping(payload, ack=True))
        elif found.kind == h2.GOAWAY:
            self.goaways.append(found)
        elif found.kind == h2.WINDOW_UPDATE:
            self.note_window(found)
        elif found.kind == h2.RST_STREAM and found.stream in self.exchanges:
            exchange = self.exchanges[found.stream]
            exchange.request.reset = found.code
            self._leave(exchange)
        elif found.kind == h2.DATA:
            self._note_data(found, h2.body_of(found, payload))
        elif found.kind in (h2.HEADERS, h2.CONTINUATION):
            if whole := self.note_block(found, payload):
                self._note_fields(*whole)

    def _note_data(self, found, body):
        request = self.exchanges[found.stream].request
        request.keep(body)
        request.is_complete = request.is_complete or bool(found.flags & h2.END_STREAM)
        if self.upstream.grants_window and found.length:
            self.send(h2.window_update(0, found.length),
                      b"" if request.is_complete else h2.window_update(found.stream, found.length))

    def _note_fields(self, stream, flags, pairs):
        if stream in self.exchanges:
            request = self.exchanges[stream].request
            request.trailers = pairs
            request.is_complete = request.is_complete or bool(flags & h2.END_STREAM)
            return
        request = H2Request(self.number, stream, pairs)
        request.is_complete = bool(flags & h2.END_STREAM)
        exchange = self.exchanges[stream] = Exchange(self, request)
        self.most_at_once = max(self.most_at_once, self.open_streams)
        self.upstream.requests.append(request)
        if script := self.upstream.pick(request):
            self.upstream.run_script(script, exchange)

    def _leave(self, exchange):
        if not exchange.is_answered and exchange.request.gone_at is None:
            exchange.request.gone_at = time.monotonic()


class RawUpstream:
    """`values` are its SETTINGS (None: it never sends them); the switches may be turned at any time."""

    def __init__(self, values=((h2.MAX_CONCURRENT_STREAMS, 1000),), default=None, port=0, grants_window=True, acks=True,
                 answers_pings=True, on_connect=None):
        self.values, self.default, self.on_connect = values, answer() if default is None else default, on_connect
        self.grants_window, self.acks, self.answers_pings = grants_window, acks, answers_pings
        self.may_read = threading.Event()  # cleared: not one more byte is read
        self.may_read.set()
        self.requests = []
        self.connections = []
        self.sent = 0
        self.failures = []  # of scripts: of the test's own making
        self._by_path = {}
        self._plan = collections.deque()
        self._listener = None
        self.port = port
        self.listen()

    # what a test says

    def on(self, path, script):
        self._by_path[path] = script

    def plan(self, *scripts):
        self._plan.extend(scripts)

    def forget(self):
        self.requests.clear()

    def listen(self):
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop_listening(self):
        """Connections are refused from now on; those that are open are closed."""
        shut(self._listener)
        for connection in list(self.connections):
            shut(connection.socket)

    def close(self):
        self.may_read.set()
        self.stop_listening()
        assert not self.failures, f"scripts of the upstream failed: {self.failures}"

    # what a test asks

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def accepted(self):
        return len(self.connections)

    @property
    def open_connections(self):
        return sum(1 for connection in self.connections if not connection.is_over)

    def wait_for(self, count):
        """The requests, once there are at least `count`."""
        wait_until(lambda: len(self.requests) >= count, what=f"{count} requests at the upstream")
        return self.requests

    # its inside

    def pick(self, request):
        path = (request.target or "").split("?")[0]
        if path in self._by_path:
            return self._by_path[path]
        return self._plan.popleft() if self._plan else self.default

    def run_script(self, script, subject):
        threading.Thread(target=self._run, args=(script, subject), daemon=True).start()

    def _run(self, script, subject):
        try:
            script(subject)
        except Gone:
            pass
        except Exception as failure:  # shown when the upstream is closed, on the thread of the test
            self.failures.append(failure)

    def _accept(self, listener):
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = ServerConnection(self, accepted, len(self.connections))
            self.connections.append(connection)
            threading.Thread(target=connection.run, daemon=True).start()
