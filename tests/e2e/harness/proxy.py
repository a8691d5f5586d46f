"""The proxy as a process: configuration in a folder of its own, free ports, logs and metrics at hand."""

import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import textwrap
import threading
import time

from .client import Client
from .crew import Crew
from .metrics import Metrics
from .ports import free_port
from .waiting import slack, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("OUTRIGGER", str(ROOT / "build/release/outrigger"))
START_SECONDS = 10
STOP_SECONDS = 20


def sanitizer_env(log_path):
    """Sanitizers write to files of their own: a word there is a failure, whatever the exit code says."""
    return {"ASAN_OPTIONS": f"log_path={log_path}:detect_leaks=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": f"log_path={log_path}:print_stacktrace=1",
            "LSAN_OPTIONS": f"print_suppressions=0:suppressions={ROOT}/tests/lsan.supp"}


def indent(text, columns=2):
    return textwrap.indent(textwrap.dedent(text).strip("\n"), " " * columns)


def policy_document(spec, host="*", port=None, name="test"):
    """A ResiliencePolicy; `spec` holds the blocks below `targets`."""
    ports = f", ports: [{port}]" if port else ""
    return "\n".join([
        "apiVersion: outrigger.dev/v1alpha1",
        "kind: ResiliencePolicy",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  targets: [{{host: \"{host}\"{ports}}}]",
        indent(spec),
        "",
    ])


class Proxy:
    """Made by the fixtures `start` and `make_proxy`. `upstream` is an Upstream or an address; `port` is its first
    explicit listener, `outbound` its forward proxy port."""

    def __init__(self, folder, upstream=None, policy=None, *, listeners=None, spec="", documents=(), protocol=None,
                 fd_limit=None, env=None, dns=None):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "config"
        self.config.mkdir(parents=True)
        self.port, self.outbound, self.admin_port = free_port(), free_port(), free_port()
        self.stderr_path = self.folder / "stderr"
        self.sanitizer_path = self.folder / "sanitizer"
        self.fd_limit, self.env = fd_limit, env or {}
        self.options = ["--dns", dns] if dns else []
        self.exit_code = None
        self.write("proxy.yaml", self._proxy_document(upstream, listeners, spec, protocol))
        if policy is not None:
            self.set_policy(policy)
        for number, document in enumerate(documents):
            self.write(f"more-{number}.yaml", document)

    def _proxy_document(self, upstream, listeners, spec, protocol):
        if listeners is None:
            address = upstream if isinstance(upstream, str) else upstream and upstream.address
            listeners = [(f"127.0.0.1:{self.port}", address)] if upstream else []
        extra = f", protocol: {protocol}" if protocol else ""
        lines = ["apiVersion: outrigger.dev/v1alpha1", "kind: ProxyConfig", "metadata: {name: test}", "spec:",
                 f"  admin: {{listen: \"127.0.0.1:{self.admin_port}\"}}"]
        if listeners:
            lines.append("  listeners:")
            lines += [f"    - {{listen: \"{listen}\", upstream: \"{to}\"{extra}}}" for listen, to in listeners]
        for block, default in (("outbound", f'{{listen: ["127.0.0.1:{self.outbound}"]}}'),
                               ("log", "{format: json, level: debug, access: all}"),
                               ("drain", "{mode: refuse, timeout: 1s}")):
            if not re.search(rf"^\s*{block}:", spec, re.M):
                lines.append(f"  {block}: {default}")
        return "\n".join([*lines, indent(spec), ""])

    # files

    def write(self, name, text):
        """Replaces a file of the configuration at once, as editors and kubelet do."""
        path = self.config / name
        fresh = self.folder / f".{name}.new"
        fresh.write_text(text)
        fresh.rename(path)
        return path

    def set_policy(self, spec, **how):
        """`spec` is the body of one policy for every target, or whole documents."""
        is_whole = "kind: ResiliencePolicy" in spec
        return self.write("policy.yaml", spec if is_whole else policy_document(spec, **how))

    # life

    def launch(self, arguments=None):
        """Starts the process; returns at once."""
        self.exit_code = None
        env = {**os.environ, **sanitizer_env(self.sanitizer_path), **self.env}
        limit = self.fd_limit

        def limits():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if limit:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

        with open(self.stderr_path, "ab") as stderr:
            self.process = subprocess.Popen([BINARY, *(arguments or ["proxy", "-c", str(self.config), *self.options])],
                                            stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, env=env,
                                            preexec_fn=limits)
        return self

    def start(self):
        self.launch()
        wait_until(lambda: self.process.poll() is not None or self.is_ready(), START_SECONDS,
                   f"ready on port {self.admin_port}; it says:\n{self.stderr()}")
        assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.stderr()}"
        return self

    def is_ready(self):
        try:
            return self.admin("/ready").status == 200
        except OSError:
            return False

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def wait_exit(self, timeout=STOP_SECONDS):
        self.exit_code = self.process.wait(timeout)
        return self.exit_code

    def stop(self):
        """SIGTERM, then everything that must be true of an end: exit code 0, no word from a sanitizer."""
        if self.exit_code is None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                self.exit_code = self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not stop within {STOP_SECONDS} s of SIGTERM:\n{self.stderr()[-4000:]}")
            assert self.exit_code == 0, f"exit code {self.exit_code}:\n{self.stderr()[-4000:]}{self.sanitizer()}"
        assert not self.sanitizer(), self.sanitizer()

    def sanitizer(self):
        return "".join(path.read_text(errors="replace")[:8000] for path in self.folder.glob("sanitizer.*"))

    # what it says

    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def logs(self):
        """The log lines that are JSON, as dicts."""
        lines = []
        for line in self.stderr().splitlines():
            if line.startswith("{") and line.endswith("}"):
                lines.append(json.loads(line))
        return lines

    def wait_log(self, text):
        wait_until(lambda: text in self.stderr(), what=f"{text!r} in the log")

    def admin(self, path, method="GET", body=None, headers=()):
        with Client(self.admin_port) as client:
            return client.request(method, path, [*headers, ("Connection", "close")], body, host="127.0.0.1")

    def metrics(self):
        response = self.admin("/metrics")
        assert response.status == 200
        return Metrics(response.body.decode())

    def wait_metric(self, at_least, name, **labels):
        wait_until(lambda: self.metrics().sum(name, **labels) >= at_least,
                   what=f"{name}{labels} >= {at_least}, it is {self.metrics().sum(name, **labels)}")

    def breaker_state(self, **labels):
        """The one state whose gauge is 1, of the breaker that `labels` pick."""
        found = [labels_["state"] for labels_, value in
                 self.metrics().all("outrigger_circuit_breaker_state", **labels) if value == 1]
        assert len(found) == 1, f"states at 1: {found}"
        return found[0]

    def wait_breaker(self, state, **labels):
        wait_until(lambda: self.breaker_state(**labels) == state, what=f"the breaker {state}")

    def memory(self):
        """Resident bytes now, and at their highest."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return tuple(int(re.search(rf"^{key}:\s+(\d+) kB", status, re.M)[1]) * 1024 for key in ("VmRSS", "VmHWM"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def loop_cpu_seconds(self):
        """On-CPU time of the thread that moves all calls (the first)."""
        pid = self.process.pid
        return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    # calls through it

    def client(self, **how):
        return Client(self.port, **how)

    def request(self, method, target, headers=(), body=None, host="app.test"):
        """One call on a connection of its own."""
        with self.client() as client:
            return client.request(method, target, headers, body, host)

    def get(self, target="/", headers=()):
        return self.request("GET", target, headers)

    def post(self, target="/", body=b"data", headers=()):
        return self.request("POST", target, headers, body)


class Load(Crew):
    """Callers in a closed loop until `stop`; keeps every status with its reason, and every broken call.

    `pause` is the time between two calls of one caller."""

    def __init__(self, proxy, callers=4, target="/", method="GET", pause=0.0):
        self.proxy, self.target, self.method, self.pause_seconds = proxy, target, method, pause
        self.results = []  # (time, status, reason)
        self.broken = []
        super().__init__(*[self._call] * callers)

    def _call(self):
        client = None
        while not self.is_over:
            try:
                client = client or self.proxy.client()
                response = client.request(self.method, self.target)
                self.results.append((time.monotonic(), response.status, response.reason))
                if (response.header("connection") or "").lower() == "close":
                    client.close()
                    client = None
            except (OSError, EOFError) as error:
                self.broken.append(error)
                client = None
            self.pause(self.pause_seconds)
        if client:
            client.close()

    def count(self, status):
        return sum(1 for _, code, _ in self.results if code == status)

    def wait_calls(self, more):
        target = len(self.results) + more
        wait_until(lambda: len(self.results) >= target or self.broken, what=f"{more} more calls")


def together(count, function):
    """Runs function(0) ... function(count - 1) at once; returns their results in order."""
    results, errors = [None] * count, []

    def one(index):
        try:
            results[index] = function(index)
        except Exception as error:  # re-raised below, on the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=one, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(slack(30))
    if errors:
        raise errors[0]
    return results
