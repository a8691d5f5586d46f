"""Real gRPC on both sides: a server in a process of its own (grpc_server.py), and callers as Python's grpc makes them.

    server = GrpcServer()
    caller = GrpcCaller(f"127.0.0.1:{proxy.port}")
    answer = caller.get(b"hello", behave(fail=UNAVAILABLE))     # never raises
    ... answer.code, answer.details, answer.trailer("x-outrigger-reason"), server.calls()[0].meta("x-outrigger-attempt")
"""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time

os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"  # we start processes, we do not fork into Python

import grpc  # noqa: E402 (after the variable that it reads)

from .crew import Crew  # noqa: E402
from .ports import free_port  # noqa: E402
from .waiting import DEADLINE, wait_until  # noqa: E402

(OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
 RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS,
 UNAUTHENTICATED) = range(17)

SERVICE = "/shop.Quotes/"
SERVER = pathlib.Path(__file__).with_name("grpc_server.py")
SERVER_OPTIONS = {"grpc.so_reuseport": 0, "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}
CALLER_OPTIONS = {"grpc.enable_http_proxy": 0,
                  "grpc.enable_retries": 0,  # or a caller would hide what the proxy did
                  "grpc.use_local_subchannel_pool": 1,  # each channel its own connection
                  "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}


def behave(**how):
    """Metadata that tell the server what to do; the words are those of grpc_server.py."""
    return [("x-behave", json.dumps(how))]


class Call:
    """A call as the server saw it."""

    def __init__(self, record):
        self.__dict__.update(record)
        self.metadata = [(key, value if isinstance(value, str) else base64.b64decode(value["base64"]))
                         for key, value in record["metadata"]]

    def all(self, name):
        return [value for key, value in self.metadata if key == name]

    def meta(self, name):
        values = self.all(name)
        return values[0] if values else None

    def __repr__(self):
        return f"<{self.method} {self.ended} received {self.received} sent {self.sent}>"


class GrpcServer:
    """`options` are channel arguments of grpc's, {"grpc.max_concurrent_streams": 5} say."""

    def __init__(self, port=None, host="127.0.0.1", **options):
        self.port = port or free_port()
        self.address = f"{host}:{self.port}"
        arguments = {**SERVER_OPTIONS, **{key.replace("__", "."): value for key, value in options.items()}}
        self._process = subprocess.Popen([sys.executable, str(SERVER), host, str(self.port), json.dumps(arguments)],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._read_line() == "ready"

    def _read_line(self):
        ready, _, _ = select.select([self._process.stdout], [], [], DEADLINE)
        assert ready, "the gRPC server says nothing"
        return self._process.stdout.readline().strip()

    def _ask(self, **command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._read_line())

    def calls(self, method=None):
        return [Call(record) for record in self._ask(do="calls") if method in (None, record["method"])]

    def wait_calls(self, count):
        """The calls, once there are at least `count`."""
        return wait_until(lambda: len(calls := self.calls()) >= count and calls, what=f"{count} calls at the server")

    def wait_ended(self, how, count=1):
        """The calls, once `count` of them have ended in this way."""

        def are_there():
            found = [call for call in self.calls() if call.ended == how]
            return len(found) >= count and found

        return wait_until(are_there, what=f"{count} calls that ended {how}")

    def forget(self):
        self._ask(do="forget")

    def set_health(self, status, service=""):
        """What grpc.health.v1.Health/Check answers from now on: 1 is SERVING, 2 NOT_SERVING."""
        self._ask(do="health", service=service, status=status)

    def stop(self, grace=DEADLINE):
        """Begins to stop: GOAWAY, no new call, `grace` seconds for those that run."""
        self._ask(do="stop", grace=grace)

    @contextlib.contextmanager
    def frozen(self):
        """It stands still, and its connections stay."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait(DEADLINE)

    def close(self):
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()


class Answer:
    """How a call ended, and what it brought."""

    def __init__(self, call, messages, elapsed):
        self.code, self.details = call.code().value[0], call.details()
        self.messages, self.elapsed = messages, elapsed
        self.headers, self.trailers = call.initial_metadata() or (), call.trailing_metadata() or ()

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)

    def trailer(self, name):
        return next((value for key, value in self.trailers if key == name), None)

    @property
    def reason(self):
        """Why Outrigger ended the call by itself; None when the server did."""
        return self.trailer("x-outrigger-reason") or self.header("x-outrigger-reason")

    def __repr__(self):
        return f"<{self.code} {self.details!r} {len(self.messages)} messages, trailers {self.trailers}>"


class Stream:
    """A call of any form that is under way; `is_one`: its answer is one message."""

    def __init__(self, call, is_one):
        self.call, self.is_one, self.messages, self.started = call, is_one, [], time.monotonic()

    @contextlib.contextmanager
    def _watched(self):
        """What does not come about within DEADLINE is cancelled, and the test fails."""
        watchdog = threading.Timer(DEADLINE, self.call.cancel)
        watchdog.start()
        try:
            yield
        finally:
            watchdog.cancel()

    def read(self):
        """The next message."""
        with self._watched():
            self.messages.append(next(self.call))
        return self.messages[-1]

    def wait_head(self):
        with self._watched():
            return self.call.initial_metadata()

    def finish(self):
        """Reads to the end."""
        with self._watched(), contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
            if self.is_one:
                self.messages.append(self.call.result())
            else:
                self.messages.extend(self.call)
        return Answer(self.call, self.messages, time.monotonic() - self.started)

    def cancel(self):
        self.call.cancel()


@contextlib.contextmanager
def proxy_variables(url):
    """grpc takes its proxy from the environment, when a channel is made."""
    names = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    if url:
        os.environ["grpc_proxy"] = url
    try:
        yield
    finally:
        os.environ.pop("grpc_proxy", None)
        os.environ.update(before)


class GrpcCaller:
    """A channel to an address, or to `authority` by way of it, or to it through a `tunnel` (the URL of a proxy). No
    call has a deadline but where `timeout` says so."""

    def __init__(self, address, authority=None, tunnel=None, **options):
        arguments = {**CALLER_OPTIONS, **{key.replace("__", "."): value for key, value in options.items()}}
        if authority:
            arguments["grpc.default_authority"] = authority
        if tunnel:
            arguments["grpc.enable_http_proxy"] = 1
        with proxy_variables(tunnel):
            self.channel = grpc.insecure_channel(address, options=list(arguments.items()))
        self._get = self.channel.unary_unary(SERVICE + "Get")
        self._upload = self.channel.stream_unary(SERVICE + "Upload")
        self._watch = self.channel.unary_stream(SERVICE + "Watch")
        self._chat = self.channel.stream_stream(SERVICE + "Chat")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.channel.close()

    # under way

    def start_get(self, message=b"", metadata=(), **how):
        return Stream(self._get.future(message, metadata=metadata, **how), is_one=True)

    def start_upload(self, messages, metadata=(), **how):
        return Stream(self._upload.future(iter(messages), metadata=metadata, **how), is_one=True)

    def start_watch(self, metadata=(), message=b"", **how):
        return Stream(self._watch(message, metadata=metadata, **how), is_one=False)

    def start_chat(self, messages, metadata=(), **how):
        return Stream(self._chat(iter(messages), metadata=metadata, **how), is_one=False)

    # to the end

    def unary(self, path, message=b"", metadata=()):
        """A unary call of whatever method."""
        return Stream(self.channel.unary_unary(path).future(message, metadata=metadata), is_one=True).finish()

    def get(self, message=b"", metadata=(), **how):
        return self.start_get(message, metadata, **how).finish()

    def upload(self, messages, metadata=(), **how):
        return self.start_upload(messages, metadata, **how).finish()

    def watch(self, metadata=(), message=b"", **how):
        return self.start_watch(metadata, message, **how).finish()

    def chat(self, messages, metadata=(), **how):
        return self.start_chat(messages, metadata, **how).finish()


class Outbox:
    """Messages that a test hands over one by one to a call that streams them."""

    def __init__(self):
        self._ready = threading.Condition()
        self._messages, self._is_closed = [], False

    def send(self, message):
        with self._ready:
            self._messages.append(message)
            self._ready.notify()

    def close(self):
        with self._ready:
            self._is_closed = True
            self._ready.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._ready:
            self._ready.wait_for(lambda: self._messages or self._is_closed)
            if self._messages:
                return self._messages.pop(0)
        raise StopIteration


class UnaryLoad(Crew):
    """Threads that make unary calls one after another until `stop`; every call has a number of its own."""

    def __init__(self, caller, callers=8):
        self.caller, self.answers, self.numbers = caller, [], itertools.count()
        super().__init__(*[self._call] * callers)

    def _call(self):
        while not self.is_over:
            message = b"%d" % next(self.numbers)
            answer = self.caller.get(message, behave(sleep=0.005) + [("x-number", message.decode())])
            self.answers.append((message, answer))

    def wait_calls(self, more):
        target = len(self.answers) + more
        wait_until(lambda: len(self.answers) >= target, what=f"{more} more calls")

    def failures(self):
        return [answer for message, answer in self.answers if (answer.code, answer.messages) != (OK, [message])]


class WireAnswer:
    def __init__(self, dump, body, elapsed):
        head, _, tail = dump.partition("\r\n\r\n")
        status, *fields = head.split("\r\n")
        self.status = int(status.split(" ")[1])
        self.headers = dict(field.split(": ", 1) for field in fields)
        self.trailers = dict(field.split(": ", 1) for field in tail.split("\r\n") if field)
        self.body, self.elapsed = body, elapsed

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r} {self.trailers}>"


def wire_call(port, method="Get", metadata=(), message=None, content_type="application/grpc", path=None):
    """A gRPC call by curl, which knows no gRPC: it tells headers from trailers, and leaves deadlines to the others.

    Without `message` nothing is sent at all: curl 7.88 may fail (92) where an answer comes before its body has gone."""
    body = [] if message is None else ["--data-binary", "@-"]
    pairs = [("content-type", content_type), ("te", "trailers"), *metadata]
    fields = [argument for key, value in pairs for argument in ("-H", f"{key}: {value}")]
    started = time.monotonic()
    with tempfile.NamedTemporaryFile() as dump:
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--http2-prior-knowledge", "--max-time", str(DEADLINE),
                               "-D", dump.name, "-X", "POST", *body, *fields,
                               f"http://127.0.0.1:{port}{path or SERVICE + method}"],
                              input=b"\0" + len(message or b"").to_bytes(4, "big") + (message or b""),
                              capture_output=True)
        elapsed = time.monotonic() - started
        exit_code, complaint = done.returncode, done.stderr.decode()
        assert exit_code == 0, complaint
        return WireAnswer(dump.read().decode(), done.stdout, elapsed)
