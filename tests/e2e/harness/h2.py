"""HTTP/2 frame by frame (RFC 9113): its bytes, and a caller that sends exactly what it is told to.

    with RawClient(proxy.port) as client:
        stream = client.request("GET", "/")
        assert client.response(stream).status == 200
        client.send(h2.data(7, b"x"))          # a stream that was never opened
        client.expect_goaway(h2.PROTOCOL_ERROR)

Nothing happens behind a test's back: the socket is read only while a method waits for something. What is read is
kept in `frames`; SETTINGS and PINGs are acknowledged and windows are opened again unless a switch says otherwise. The
upstream that speaks HTTP/2 is in h2_upstream.py.
"""

import collections
import contextlib
import hashlib
import select
import socket
import struct
import time

import hpack

from .client import CHUNK, KEPT_BODY, Client
from .waiting import DEADLINE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION) = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM) = range(12)
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES = 8, 9

DEFAULT_WINDOW = 65535
DEFAULT_FRAME = 16384
LARGEST_WINDOW = 2 ** 31 - 1
HEAD_BYTES = 9
KEPT_PAYLOAD = 64  # of a DATA frame, in the list of frames: tens of thousands of them are no burden
GENEROUS = 2 ** 24  # a header list that the harness itself may receive
NAMES = ["DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE",
         "CONTINUATION"]


# ---- bytes -----------------------------------------------------------------------------------------------------


class Frame(collections.namedtuple("Frame", "kind flags stream payload length at")):
    """A frame that was read; `payload` of DATA is cut to what is worth showing."""

    def __repr__(self):
        name = NAMES[self.kind] if self.kind < len(NAMES) else f"type {self.kind:#x}"
        return f"<{name} {self.flags:#x} on {self.stream}, {self.length} bytes {self.payload[:16].hex()}>"

    @property
    def code(self):
        """The error code of an RST_STREAM or a GOAWAY."""
        return struct.unpack(">I", self.payload[4:8] if self.kind == GOAWAY else self.payload[:4])[0]

    @property
    def last_stream(self):
        return struct.unpack(">I", self.payload[:4])[0] & LARGEST_WINDOW

    @property
    def increment(self):
        return struct.unpack(">I", self.payload)[0] & LARGEST_WINDOW


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """Any frame; `length` lies about the payload."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind & 0xff, flags, stream) + payload


def data(stream, payload=b"", end=False, padding=None):
    flags = END_STREAM if end else 0
    if padding is not None:
        flags, payload = flags | PADDED, bytes([padding]) + payload + bytes(padding)
    return frame(DATA, flags, stream, payload)


def headers(stream, block, end=False, end_headers=True, flags=0):
    return frame(HEADERS, flags | (END_STREAM if end else 0) | (END_HEADERS if end_headers else 0), stream, block)


def continuation(stream, block, end_headers=True):
    return frame(CONTINUATION, END_HEADERS if end_headers else 0, stream, block)


def split_block(stream, block, size, end=False):
    """A header block as HEADERS and as many CONTINUATIONs as pieces of `size` bytes need."""
    pieces = [block[at:at + size] for at in range(0, len(block), size)] or [b""]
    last = len(pieces) - 1
    return headers(stream, pieces[0], end, not last) + b"".join(
        continuation(stream, piece, number == last) for number, piece in enumerate(pieces) if number)


def priority(stream, depends_on=0, weight=15):
    return frame(PRIORITY, 0, stream, struct.pack(">IB", depends_on, weight))


def rst_stream(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def settings(values=()):
    """`values` is a dict or a list of pairs, sent in that order."""
    pairs = values.items() if isinstance(values, dict) else values
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", key, value) for key, value in pairs))


SETTINGS_ACK = frame(SETTINGS, ACK)


def ping(payload=b"outrigge", ack=False):
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last_stream=0, code=NO_ERROR, debug=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, code) + debug)


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def push_promise(stream, promised, block):
    return frame(PUSH_PROMISE, END_HEADERS, stream, struct.pack(">I", promised) + block)


def integer(value, prefix, first=0):
    """RFC 7541, 5.1: an integer whose first byte has `prefix` bits free."""
    limit = (1 << prefix) - 1
    if value < limit:
        return bytes([first | value])
    encoded, value = [first | limit], value - limit
    while value >= 128:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def literal(name, value, first=0x00):
    """One field with its name and value spelled out; `first` is 0x40 where the receiver shall remember it."""
    name, value = as_bytes(name), as_bytes(value)
    return bytes([first]) + integer(len(name), 7) + name + integer(len(value), 7) + value


def indexed(number):
    return integer(number, 7, 0x80)


def block(fields):
    """A header block that needs no table and says exactly what `fields` say, however wrong."""
    return b"".join(literal(name, value) for name, value in fields)


def fields(method="GET", path="/", more=(), authority="app.test", scheme="http"):
    """The field list of a request; what is None is left out."""
    pseudo = [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path)]
    return [(name, value) for name, value in pseudo if value is not None] + \
        list(more.items() if isinstance(more, dict) else more)


def list_size(pairs):
    """What a header list costs (RFC 9113, 6.5.2)."""
    return sum(len(as_bytes(name)) + len(as_bytes(value)) + 32 for name, value in pairs)


# ---- messages --------------------------------------------------------------------------------------------------


class Message:
    """What one side has said on a stream so far."""

    def __init__(self):
        self.fields = []  # pseudo-headers too, in their order
        self.body = b""
        self.body_bytes = 0
        self.body_sha256 = hashlib.sha256()
        self.trailers = []
        self.is_complete = False  # END_STREAM has come
        self.reset = None  # the code of its RST_STREAM
        self.at = time.monotonic()

    @property
    def headers(self):
        return [(name, value) for name, value in self.fields if not name.startswith(":")]

    def all(self, name):
        return [value for key, value in self.fields if key == name.lower()]

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def trailer(self, name):
        return dict(self.trailers).get(name)

    def keep(self, piece):
        self.body_bytes += len(piece)
        self.body_sha256.update(piece)
        if self.body_bytes <= KEPT_BODY:
            self.body += piece


class H2Response(Message):
    def __init__(self):
        super().__init__()
        self.interim = []  # field lists of the 1xx responses

    @property
    def status(self):
        return int(self.header(":status")) if self.header(":status") else None

    @property
    def reason(self):
        """Why Outrigger answered by itself; None when the upstream did."""
        return self.header("x-outrigger-reason")

    @property
    def is_over(self):
        return self.is_complete or self.reset is not None

    def __repr__(self):
        return f"<{self.status} {self.reason or ''} {self.body[:100]!r} complete={self.is_complete} reset={self.reset}>"


class Wire:
    """What both ends of a connection share: cutting the stream of bytes into frames, header blocks, the peer's
    settings and windows."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = bytearray()
        self.frames = []
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder(GENEROUS)
        self.peer_settings = {}
        self.settings_seen = 0  # SETTINGS frames of the peer that were no ACKs
        self.windows = {0: DEFAULT_WINDOW}  # what the peer allows us; of a stream: beside its initial window
        self.goaways = []
        self._block = None  # (stream, flags, bytes) of a header block that goes on

    def cut_frame(self):
        """The next whole frame of the buffer as (Frame, full payload), or None."""
        if len(self.buffer) < HEAD_BYTES:
            return None
        size = int.from_bytes(self.buffer[:3], "big")
        if len(self.buffer) < HEAD_BYTES + size:
            return None
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:HEAD_BYTES])
        payload = bytes(self.buffer[HEAD_BYTES:HEAD_BYTES + size])
        del self.buffer[:HEAD_BYTES + size]
        shown = payload[:KEPT_PAYLOAD] if kind == DATA else payload
        found = Frame(kind, flags, stream & LARGEST_WINDOW, shown, size, time.monotonic())
        self.frames.append(found)
        return found, payload

    def window(self, stream):
        """How many bytes of DATA the peer takes now on that stream."""
        initial = self.peer_settings.get(INITIAL_WINDOW_SIZE, DEFAULT_WINDOW)
        return min(self.windows[0], initial + self.windows.get(stream, 0))

    def spend(self, stream, count):
        self.windows[0] -= count
        self.windows[stream] = self.windows.get(stream, 0) - count

    def largest_frame(self):
        return self.peer_settings.get(MAX_FRAME_SIZE, DEFAULT_FRAME)

    def note_settings(self, payload):
        self.settings_seen += 1
        for at in range(0, len(payload), 6):
            key, value = struct.unpack(">HI", payload[at:at + 6])
            self.peer_settings[key] = value
        if HEADER_TABLE_SIZE in self.peer_settings:
            self.encoder.header_table_size = min(4096, self.peer_settings[HEADER_TABLE_SIZE])

    def note_window(self, found):
        base = DEFAULT_WINDOW if found.stream == 0 else 0
        self.windows[found.stream] = self.windows.get(found.stream, base) + found.increment

    def note_block(self, found, payload):
        """Collects a header block; returns (stream, flags of its HEADERS, fields) when it is whole."""
        if found.kind == HEADERS:
            if found.flags & PADDED:
                payload = payload[1:len(payload) - payload[0]]
            if found.flags & WITH_PRIORITY:
                payload = payload[5:]
            self._block = (found.stream, found.flags, payload)
        else:
            stream, flags, so_far = self._block
            self._block = (stream, flags, so_far + payload)
        if not found.flags & END_HEADERS:
            return None
        stream, flags, whole = self._block
        decoded = [(name.decode("latin-1"), value.decode("latin-1"))
                   for name, value in self.decoder.decode(whole, raw=True)]
        return stream, flags, decoded

    def resets(self, stream=None):
        """The RST_STREAMs that came, of one stream or of all."""
        return [found for found in self.frames if found.kind == RST_STREAM and stream in (None, found.stream)]


def body_of(found, payload):
    return payload[1:len(payload) - payload[0]] if found.flags & PADDED else payload


# ---- the caller ------------------------------------------------------------------------------------------------


class RawClient(Wire):
    """A connection with prior knowledge. `over` is a Client whose socket is taken as it is (a CONNECT tunnel)."""

    def __init__(self, address=None, values=(), *, over=None, shakes_hands=True, grants_window=True, acks=True,
                 answers_pings=True, receive_buffer=None, timeout=DEADLINE):
        self.client = over or Client(address, timeout, receive_buffer)
        super().__init__(self.client.socket)
        self.timeout = timeout
        self.grants_window, self.acks, self.answers_pings = grants_window, acks, answers_pings
        self.responses = {}
        self.acknowledged = 0  # SETTINGS of ours
        self.pongs = []
        self.is_ended = False  # FIN or RST of the peer
        self.next_stream = 1
        if shakes_hands:
            self.send(PREFACE, settings(values))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.client.close()

    def reset_connection(self):
        """Leaves with a TCP RST."""
        self.client.reset()

    # out

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def try_send(self, *parts):
        """Sends what a peer that closes meanwhile need not take."""
        with contextlib.suppress(OSError):
            self.send(*parts)

    def new_stream(self):
        self.next_stream += 2
        return self.next_stream - 2

    def open(self, pairs, end=True, stream=None):
        """HEADERS with exactly these fields, spelled out; returns the stream."""
        stream = stream or self.new_stream()
        self.send(headers(stream, block(pairs), end))
        return stream

    def request(self, method="GET", path="/", more=(), body=None, trailers=None, authority="app.test", end=True):
        """A request as a good client sends it, compressed; `end=False` leaves it open. Returns the stream."""
        stream = self.new_stream()
        ends_with_head = end and body is None and trailers is None
        encoded = self.encoder.encode(fields(method, path, more, authority))
        self.send(split_block(stream, encoded, DEFAULT_FRAME, ends_with_head))
        if body is not None:
            self.send_body(stream, body, end and trailers is None)
        if trailers is not None:
            self.send(headers(stream, self.encoder.encode(trailers), end=True))
        return stream

    def send_body(self, stream, body, end=True):
        """DATA within the peer's windows; reads while it waits for them to open."""
        view = memoryview(body)
        while True:
            size = min(len(view), self.largest_frame(), max(0, self.window(stream)))
            if size or not len(view):
                self.spend(stream, size)
                self.send(data(stream, bytes(view[:size]), end and size == len(view)))
                view = view[size:]
            if not len(view):
                return
            if self.window(stream) <= 0:
                self.read_until(lambda: self.window(stream) > 0, what=f"a window for stream {stream}")

    def send_until_full(self, stream, most, quiet=0.5):
        """DATA until the peer's windows or its socket take no more for `quiet` seconds; returns the bytes of it."""
        sent = 0
        while sent < most:
            size = min(most - sent, self.largest_frame(), max(0, self.window(stream)))
            if size:
                _, writable, _ = select.select([], [self.socket], [], quiet)
                if not writable:
                    return sent
                self.spend(stream, size)
                self.send(data(stream, bytes(size)))
                sent += size
            elif not self.read_some(quiet):
                return sent
        return sent

    def flood(self, chunk, times, reads=True, seconds=DEADLINE):
        """Sends `chunk` (or what chunk(turn) returns) so often, or until the peer ends the connection; reads meanwhile
        unless told not to. Returns the turns that went out whole."""
        end = time.monotonic() + seconds
        for turn in range(times):
            left = memoryview(chunk(turn) if callable(chunk) else chunk)
            while len(left):
                if self.is_ended or time.monotonic() > end:
                    return turn
                readable, writable, _ = select.select([self.socket] if reads else [], [self.socket], [], 0.2)
                if readable:
                    self.read_some(0)
                if writable:
                    try:
                        left = left[self.socket.send(left):]
                    except TimeoutError:
                        continue
                    except OSError:
                        return turn
        return times

    # in

    def read_some(self, timeout):
        """Reads what comes within `timeout` seconds; False when nothing does or the connection is over."""
        if self.is_ended:
            return False
        readable, _, _ = select.select([self.socket], [], [], timeout)
        if not readable:
            return False
        try:
            received = self.socket.recv(CHUNK)
        except ConnectionError:
            received = b""
        if not received:
            self.is_ended = True
            return False
        self.buffer += received
        while found := self.cut_frame():
            self._note(*found)
        return True

    def read_until(self, condition, timeout=None, what=None):
        """Reads frames until `condition()` is true and returns what it returned; an end of the connection fails it."""
        timeout = self.timeout if timeout is None else timeout
        end = time.monotonic() + timeout
        while not (value := condition()):
            if self.is_ended:
                raise EOFError(f"the connection ended before {what}; the last frames are {self.frames[-8:]}")
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"within {timeout} s there was no {what}; the last frames are {self.frames[-8:]}")
            self.read_some(min(left, 0.2))
        return value

    def read_while(self, condition, seconds, what=None):
        """Reads for `seconds` and fails as soon as `condition()` is false: for what must not happen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not self.is_ended:
            self.read_some(left)
            assert condition(), f"did not stay so: {what or condition}; the last frames are {self.frames[-8:]}"

    def _note(self, found, payload):
        if found.kind == SETTINGS and found.flags & ACK:
            self.acknowledged += 1
        elif found.kind == SETTINGS:
            self.note_settings(payload)
            if self.acks:
                self.try_send(SETTINGS_ACK)
        elif found.kind == PING and found.flags & ACK:
            self.pongs.append(payload)
        elif found.kind == PING:
            if self.answers_pings:
                self.try_send(ping(payload, ack=True))
        elif found.kind == GOAWAY:
            self.goaways.append(found)
        elif found.kind == WINDOW_UPDATE:
            self.note_window(found)
        elif found.kind == RST_STREAM:
            self.response_so_far(found.stream).reset = found.code
        elif found.kind == DATA:
            self._note_data(found, body_of(found, payload))
        elif found.kind in (HEADERS, CONTINUATION):
            if whole := self.note_block(found, payload):
                self._note_fields(*whole)

    def _note_data(self, found, body):
        response = self.response_so_far(found.stream)
        response.keep(body)
        response.is_complete = response.is_complete or bool(found.flags & END_STREAM)
        if self.grants_window and found.length:
            self.try_send(window_update(0, found.length),
                          b"" if response.is_complete else window_update(found.stream, found.length))

    def _note_fields(self, stream, flags, pairs):
        response = self.response_so_far(stream)
        if response.fields:
            response.trailers = pairs
        elif dict(pairs)[":status"].startswith("1"):
            response.interim.append(pairs)
        else:
            response.fields = pairs
        response.is_complete = response.is_complete or bool(flags & END_STREAM)

    def response_so_far(self, stream):
        return self.responses.setdefault(stream, H2Response())

    # what a test asks

    def response(self, stream, timeout=None):
        """The response once it is complete or reset."""
        response = self.response_so_far(stream)
        self.read_until(lambda: response.is_over, timeout, f"end of the response on stream {stream}")
        return response

    def head(self, stream, timeout=None):
        """The response once its head is there."""
        response = self.response_so_far(stream)
        self.read_until(lambda: response.fields or response.is_over, timeout, f"response head on stream {stream}")
        return response

    def call(self, method="GET", path="/", more=(), body=None, trailers=None, authority="app.test"):
        return self.response(self.request(method, path, more, body, trailers, authority))

    def get(self, path="/", more=()):
        return self.call("GET", path, more)

    def settle(self):
        """Both sides have seen each other's SETTINGS, and all that was sent before has been taken."""
        self.read_until(lambda: self.settings_seen and self.acknowledged, what="exchange of SETTINGS")
        self.round_trip()
        return self

    def round_trip(self):
        """A PING there and back."""
        payload = b"%08d" % (len(self.pongs) + 1)
        self.send(ping(payload))
        self.read_until(lambda: payload in self.pongs, what="answer to a PING")

    @property
    def errors(self):
        """GOAWAYs that name an error."""
        return [found for found in self.goaways if found.code != NO_ERROR]

    def expect_goaway(self, *codes, timeout=None):
        """The connection ends with one of these codes, and nothing else of it is left."""
        self.read_until(lambda: self.errors, timeout, "GOAWAY with an error")
        assert self.errors[-1].code in codes, f"GOAWAY with {self.errors[-1].code}, not {codes}"
        self.expect_end(timeout)
        return self.errors[-1]

    def expect_end(self, timeout=None):
        """The peer closes."""
        with contextlib.suppress(EOFError):
            self.read_until(lambda: self.is_ended, timeout, "end of the connection")

    def expect_reset(self, stream, *codes, timeout=None):
        """That stream is reset with one of these codes, and the connection lives."""
        response = self.response_so_far(stream)
        self.read_until(lambda: response.reset is not None or self.errors, timeout, f"RST_STREAM on {stream}")
        assert not self.errors, f"the connection ended with {self.errors[-1]}"
        assert response.reset in codes, f"RST_STREAM with {response.reset}, not {codes}"

    def expect_error(self, stream, *codes, timeout=None):
        """A stream error of one of these codes; 5.4.1 lets a connection error take its place."""
        response = self.response_so_far(stream)
        self.read_until(lambda: response.reset is not None or self.errors, timeout, f"an error on stream {stream}")
        code = self.errors[-1].code if self.errors else response.reset
        assert code in codes, f"an error with {code}, not {codes}"
        if self.errors:
            self.expect_end(timeout)

    def is_alive(self):
        """Whether the connection still answers."""
        try:
            self.round_trip()
            return not self.errors
        except (EOFError, OSError):
            return False


def shut(sock):
    """Both directions, so that a thread that reads it wakes up."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
