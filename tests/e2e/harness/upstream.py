"""An upstream that does exactly what a test says, and remembers every request with its bytes and its time.

    up = Upstream()
    up.plan(answer(503), reset(), answer(200, b"fine"))   # the next three requests, in order
    up.on("/slow", answer(200, delay=1))                  # always for that path
    ... up.requests[0].header("via"), up.requests[0].gone_at ...

A script is `async def script(exchange) -> bool`: whether the connection stays open. Raw sockets under asyncio, on a
thread of its own; what a script sends reaches the wire as it is.
"""

import asyncio
import base64
import collections
import contextlib
import hashlib
import socket
import struct
import threading
import time

from .waiting import wait_until

KEPT_BODY = 4 * 1024 * 1024  # larger bodies are counted and hashed, not kept
CHUNK = 256 * 1024


class Request:
    """One request as it came off the wire."""

    def __init__(self, head, connection, index):
        lines = head.decode("latin-1").split("\r\n")
        self.raw_head = head
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        self.connection = connection  # number of the connection, from 0
        self.index = index  # number of the request on it, from 0
        self.at = time.monotonic()
        self.body = b""
        self.body_bytes = 0
        self.body_sha256 = hashlib.sha256()
        self.is_complete = False  # the whole body has arrived
        self.trailers = []
        self.gone_at = None  # when the peer left while its answer was pending

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.method} {self.target} on {self.connection}.{self.index}>"


class Exchange:
    """A request, and the means to answer it."""

    def __init__(self, upstream, reader, writer, request):
        self.upstream, self.reader, self.writer, self.request = upstream, reader, writer, request

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def read_body(self):
        request = self.request
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            await self._read_chunks()
        else:
            left = int(request.header("content-length") or 0)
            while left:
                left -= self._keep(await self._some(left))
        request.is_complete = True

    async def _read_chunks(self):
        while True:
            size = int((await self.reader.readline()).split(b";")[0], 16)
            if size == 0:
                break
            while size:
                size -= self._keep(await self._some(size))
            await self.reader.readexactly(2)
        while (line := await self.reader.readline()) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            self.request.trailers.append((name.strip(), value.strip()))

    async def _some(self, most):
        data = await self.reader.read(min(most, CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", most)
        return data

    def _keep(self, data):
        request = self.request
        request.body_bytes += len(data)
        request.body_sha256.update(data)
        if request.body_bytes <= KEPT_BODY:
            request.body += data
        return len(data)

    async def until_peer_leaves(self):
        """Waits for the peer's FIN or RST and writes down when it came."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(CHUNK):
                pass
        self.request.gone_at = time.monotonic()

    def reset(self):
        """RST: a close with nothing said."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


# ---- scripts ---------------------------------------------------------------------------------------------------


def head(status, headers=(), reason="Whatever"):
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {reason}\r\n{fields}\r\n".encode("latin-1")


def answer(status=200, body=b"ok", headers=(), delay=0, keep=True, interim=(), reads_body=True):
    """A whole response with Content-Length, after `delay` seconds."""

    async def script(exchange):
        if reads_body:
            await exchange.read_body()
        for code in interim:
            await exchange.send(head(code, [("x-interim", "yes")]))
        if delay:
            leaving = asyncio.ensure_future(exchange.reader.read(1))
            await asyncio.wait([leaving], timeout=delay)
            if leaving.done():
                exchange.request.gone_at = time.monotonic()
                return False
            leaving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await leaving
        has_body = status not in (204, 304) and exchange.request.method != "HEAD"
        fields = list(headers)
        if status != 204 and not any(name.lower() == "content-length" for name, _ in fields):
            fields.append(("Content-Length", str(len(body))))
        if not keep:
            fields.append(("Connection", "close"))
        await exchange.send(head(status, fields) + (body if has_body else b""))
        return keep

    return script


def chunked(chunks, trailers=(), headers=(), interval=0, status=200):
    """A chunked response, a chunk every `interval` seconds, with trailers."""

    async def script(exchange):
        await exchange.read_body()
        await exchange.send(head(status, [*headers, ("Transfer-Encoding", "chunked")]))
        for chunk in chunks:
            await exchange.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            await asyncio.sleep(interval)
        fields = "".join(f"{name}: {value}\r\n" for name, value in trailers).encode()
        await exchange.send(b"0\r\n" + fields + b"\r\n")
        return True

    return script


def raw(data, keep=False, reads_body=True):
    """Exactly these bytes, then close unless `keep`."""

    async def script(exchange):
        if reads_body:
            await exchange.read_body()
        await exchange.send(data)
        return keep

    return script


def reset(after=b""):
    """RST, after some bytes of an answer if `after` says so."""

    async def script(exchange):
        await exchange.read_body()
        if after:
            await exchange.send(after)
            await asyncio.sleep(0.05)  # an RST discards what the peer has not read yet
        exchange.reset()
        return False

    return script


def hang(after=b"", reads_body=True):
    """Never answers (or never ends an answer that it began); notes when the caller leaves."""

    async def script(exchange):
        if reads_body:
            await exchange.read_body()
        if after:
            await exchange.send(after)
        await exchange.until_peer_leaves()
        return False

    return script


def generated(size, delay=0):
    """A body of `size` zero bytes, made as it goes."""

    async def script(exchange):
        await exchange.read_body()
        await asyncio.sleep(delay)
        await exchange.send(head(200, [("Content-Length", str(size))]))
        zeros, left = bytes(CHUNK), size
        while left:
            await exchange.send(zeros[: min(left, CHUNK)])
            left -= min(left, CHUNK)
        return True

    return script


def reads_nothing():
    """Takes the head, then not one byte of the body: backpressure. Notes when the caller leaves."""

    async def script(exchange):
        exchange.writer.transport.pause_reading()
        await exchange.upstream.released()
        exchange.writer.transport.resume_reading()
        await exchange.read_body()
        await exchange.send(head(200, [("Content-Length", "2")]) + b"ok")
        return True

    return script


def websocket_echo():
    """Accepts an Upgrade (RFC 6455) and returns every byte that comes after it."""

    async def script(exchange):
        key = (exchange.request.header("sec-websocket-key") or "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        await exchange.send(head(101, [("Upgrade", "websocket"), ("Connection", "Upgrade"),
                                       ("Sec-WebSocket-Accept", accept)]))
        while data := await exchange.reader.read(CHUNK):
            await exchange.send(data)
        exchange.request.gone_at = time.monotonic()
        return False

    return script


# ---- the server ------------------------------------------------------------------------------------------------


class Upstream:
    def __init__(self, host="127.0.0.1", default=None, port=0, tls=None):
        self.host, self.tls = host, tls
        self.default = default or answer()
        self.requests = []
        self.accepted = 0
        self._by_path = {}
        self._plan = collections.deque()
        self._writers = set()
        self._server = None
        self._is_released = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = port
        self.listen()

    # what a test says

    def on(self, path, script):
        self._by_path[path] = script

    def plan(self, *scripts):
        self._plan.extend(scripts)

    def forget(self):
        self.requests.clear()

    def release(self):
        """Lets the scripts go on that wait (reads_nothing)."""
        self._is_released.set()

    # what a test asks

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def open_connections(self):
        return len(self._writers)

    def wait_for(self, count):
        """The requests, once there are at least `count`."""
        wait_until(lambda: len(self.requests) >= count, what=f"{count} requests at the upstream")
        return self.requests

    # the life of the server

    def listen(self):
        """Starts to accept, on the same port as before."""
        self._call(self._listen())

    def stop_listening(self):
        """Connections are refused from now on; those that are open are reset."""
        self._call(self._stop())

    def close_idle(self):
        """FIN on every connection, as an upstream does whose keep-alive time is over."""
        self._call(self._close_all())

    def close(self):
        with contextlib.suppress(Exception):
            self._call(self._stop())
            self._call(self._cancel_scripts())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def released(self):
        while not self._is_released.is_set():
            await asyncio.sleep(0.01)

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _listen(self):
        # Never a double bind: a proxy that dials itself would pass unseen.
        self._server = await asyncio.start_server(self._serve, self.host, self.port, backlog=1024, limit=CHUNK,
                                                  reuse_address=True, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for writer in list(self._writers):
            raw_socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _cancel_scripts(self):
        scripts = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in scripts:
            task.cancel()
        await asyncio.gather(*scripts, return_exceptions=True)

    async def _close_all(self):
        for writer in list(self._writers):
            writer.close()

    def _pick(self, request):
        path = request.target.split("?")[0]
        if path in self._by_path:
            return self._by_path[path]
        return self._plan.popleft() if self._plan else self.default

    async def _serve(self, reader, writer):
        number, index = self.accepted, 0
        self.accepted += 1
        self._writers.add(writer)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                request = Request(await reader.readuntil(b"\r\n\r\n"), number, index)
                self.requests.append(request)
                index += 1
                if not await self._pick(request)(Exchange(self, reader, writer, request)):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            with contextlib.suppress(Exception):
                writer.close()


class BlackHole:
    """An address where a connect neither succeeds nor fails: a listener whose backlog is full."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def close(self):
        for filler in self._fillers:
            filler.close()
        self._listener.close()
