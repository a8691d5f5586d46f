"""A server of plain bytes: it says a banner first where it has one, then gives back what it gets, to the end.

    with Echo(banner=b"hello\n") as server:
        ... server.address, server.open_connections, server.accepted ...
"""

import contextlib
import socket
import threading

from .waiting import slack


class Echo:
    def __init__(self, banner=b"", host="127.0.0.1", port=0):
        self.banner, self.accepted, self._open = banner, 0, set()
        self._listener = socket.create_server((host, port))
        self.host, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def open_connections(self):
        return len(self._open)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(self.banner)
            while data := connection.recv(65536):
                connection.sendall(data)
        self._open.discard(connection)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Line:
    """A caller's connection; reads with a deadline."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket, self._was_reset = None, False
        try:
            self.socket = socket.create_connection((host, port), timeout=slack(10))
        except ConnectionResetError:  # accepted and reset, sooner than connect() returned
            self._was_reset = True

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        """Exactly `count` bytes, or what came before the end."""
        data = b""
        while len(data) < count and (more := self.socket.recv(min(65536, count - len(data)))):
            data += more
        return data

    def read_all(self):
        data = b""
        while more := self.socket.recv(65536):
            data += more
        return data

    def end(self):
        self.socket.shutdown(socket.SHUT_WR)

    def is_reset(self):
        """Does the other side end it, without a byte?"""
        if self._was_reset:
            return True
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        if self.socket is not None:
            self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
