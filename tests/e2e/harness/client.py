"""A caller that sends exactly the bytes it is told to, and reads what comes back message by message."""

import contextlib
import hashlib
import socket
import struct
import time

from .waiting import DEADLINE

CHUNK = 256 * 1024
KEPT_BODY = 4 * 1024 * 1024


class Response:
    def __init__(self, raw_head):
        lines = raw_head.decode("latin-1").split("\r\n")
        self.raw_head = raw_head
        self.version, status, *reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:] if line]
        self.body = b""
        self.body_bytes = 0
        self.body_sha256 = hashlib.sha256()
        self.trailers = []
        self.interim = []  # the 1xx responses that came before
        self.elapsed = 0.0

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    @property
    def reason(self):
        """Why Outrigger answered by itself; None when the upstream did."""
        return self.header("x-outrigger-reason")

    def __repr__(self):
        return f"<{self.status} {self.reason or ''} {self.body[:200]!r}>"


def encode(method, target, headers=(), body=None, host="app.test"):
    """The bytes of a request; `headers` is a dict or a list of pairs."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers)
    names = {name.lower() for name, _ in pairs}
    if host is not None and "host" not in names:
        pairs.insert(0, ("Host", host))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    fields = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1") + (body or b"")


class Client:
    """One connection. `address` is a port on 127.0.0.1, (host, port), or the path of a Unix socket."""

    def __init__(self, address, timeout=DEADLINE, receive_buffer=None):
        if isinstance(address, int):
            address = ("127.0.0.1", address)
        family = socket.AF_UNIX if isinstance(address, str) else \
            socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        if family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def request(self, method, target, headers=(), body=None, host="app.test"):
        started = time.monotonic()
        self.send(encode(method, target, headers, body, host))
        response = self.read_response(method)
        response.elapsed = time.monotonic() - started
        return response

    def get(self, target="/", headers=(), host="app.test"):
        return self.request("GET", target, headers, host=host)

    def read_response(self, method="GET"):
        """The next final response, with the 1xx ones before it in `interim`."""
        interim = []
        while True:
            response = self.read_head()
            if response.status >= 200 or response.status == 101:
                break
            interim.append(response)
        response.interim = interim
        self.read_body(response, method)
        return response

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill("a response head")
        raw_head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return Response(raw_head)

    def read_body(self, response, method="GET"):
        if method == "HEAD" or response.status in (101, 204, 304) or \
                (method == "CONNECT" and response.status == 200):
            return
        if (response.header("transfer-encoding") or "").lower() == "chunked":
            self._read_chunks(response)
        elif response.header("content-length") is not None:
            self._take(response, int(response.header("content-length")))
        else:
            self._keep(response, self.read_until_close())

    def read_exactly(self, count):
        while len(self.buffer) < count:
            self._fill(f"{count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def read_line(self):
        while b"\r\n" not in self.buffer:
            self._fill("a line")
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def read_until_close(self):
        """Everything up to the peer's FIN; an RST ends it too."""
        parts = [self.buffer]
        self.buffer = b""
        with contextlib.suppress(ConnectionError):
            while data := self.socket.recv(CHUNK):
                parts.append(data)
        return b"".join(parts)

    def is_closed_by_peer(self):
        """Waits until the peer has closed; False when it sent bytes instead."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def reset(self):
        """Leaves with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def _fill(self, what):
        data = self.socket.recv(CHUNK)
        if not data:
            raise EOFError(f"the connection ended before {what}; there is {self.buffer[:200]!r}")
        self.buffer += data

    def _take(self, response, count):
        while count:
            if not self.buffer:
                self._fill(f"{count} more bytes of the body")
            part, self.buffer = self.buffer[:count], self.buffer[count:]
            count -= len(part)
            self._keep(response, part)

    def _keep(self, response, data):
        response.body_bytes += len(data)
        response.body_sha256.update(data)
        if response.body_bytes <= KEPT_BODY:
            response.body += data

    def _read_chunks(self, response):
        while size := int(self.read_line().split(b";")[0], 16):
            self._take(response, size)
            assert self.read_line() == b""
        while line := self.read_line():
            name, value = line.decode("latin-1").split(":", 1)
            response.trailers.append((name.strip(), value.strip()))
