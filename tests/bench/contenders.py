"""Who takes part in a bench: how each is configured, started on a core, and what it has used."""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PEERS = BUILD / "peers/bin"
PROGRAMS = BUILD / "release/bench"
START_SECONDS = 10
SETTLE_SECONDS = 1  # after which a process that idles has done what a start needs

POLICY = """
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: {{name: {name}}}
spec:
  targets: [{target}]{more}
  timeouts: {{connect: 1s, request: {request}, backendRequest: {attempt}, idle: 5m}}
  retry: {{attempts: 2, {codes}budget: {{percent: 20, interval: 10s}}}}
  circuitBreaker:
    consecutiveFailures: 7
    failureRate: {{percent: 50, window: 10s, minRequests: 20}}
    slowCalls: {{percent: 80, longerThan: 2s}}
  bulkhead: {{maxRequests: {in_flight}, maxPending: 100, pendingTimeout: 1s}}
  rateLimit: {{requests: 1000000, interval: 1s}}
  outlier: {{}}
"""

PROXY_CONFIG = """---
apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {{name: bench}}
spec:
  outbound: {{listen: ["127.0.0.1:{outbound}"]}}
  listeners:{listeners}
  admin: {{listen: "127.0.0.1:{admin}"}}
"""

LISTENER = """
    - {{listen: "127.0.0.1:{port}", upstream: "127.0.0.1:{upstream}"}}"""

HAPROXY = """
global
    nbthread 1
    maxconn 6000{more}
defaults
    mode http
    http-reuse always
    timeout connect 1s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
"""

HAPROXY_LISTEN = """
listen bench-{port}
    bind 127.0.0.1:{port}{protocol}
    server upstream 127.0.0.1:{upstream}{protocol}{more}
"""

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off; keepalive_timeout 300s; keepalive_requests 100000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream bench {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port}{protocol} backlog=1024;
        {server}
    }}
}}
"""


class Contender:
    """A proxy under test, for HTTP/1.1. What differs for other protocols are the class's tables of words."""

    OUTRIGGER = {"request": "10s", "attempt": "3s", "codes": "", "in_flight": 1000}
    HAPROXY = {"protocol": ""}
    NGINX = {"protocol": "", "connections": 8192, "server":
             'location / { proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; }'}

    def __init__(self, name, folder, core, upstream):
        self.name, self.core = name, core
        self.folder = folder / f"{name}-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.port = free_port()
        self.command = getattr(self, f"_{name}")(upstream)
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["taskset", "-c", str(core), *self.command], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        wait_for_port(self.port, self)

    def _outrigger(self, upstream):
        config = self.folder / "bench.yaml"
        listener = LISTENER.format(port=self.port, upstream=upstream)
        config.write_text(POLICY.format(name="bench", target='{host: "*"}', more="", **self.OUTRIGGER)
                          + PROXY_CONFIG.format(listeners=listener, outbound=free_port(), admin=free_port()))
        return [str(BUILD / "release/outrigger"), "proxy", "-c", str(config)]

    def _haproxy(self, upstream):
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(more="")
                          + HAPROXY_LISTEN.format(port=self.port, upstream=upstream, more="", **self.HAPROXY))
        return [str(PEERS / "haproxy"), "-db", "-f", str(config)]

    def _nginx(self, upstream):
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(port=self.port, upstream=upstream, folder=self.folder, **self.NGINX))
        return [str(PEERS / "nginx"), "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "error.log")]

    def _relay(self, upstream):
        return [str(PROGRAMS / "relay"), str(self.port), str(upstream)]

    def cpu_ns(self):
        """On-CPU time of all its threads."""
        total = 0
        for path in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(path.read_text().split()[0])
        return total

    def resident_bytes(self):
        self.check_alive()
        for line in pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no Rss in smaps_rollup")

    def idle_bytes(self):
        """What it holds before its first call."""
        time.sleep(SETTLE_SECONDS)
        return self.resident_bytes()

    def check_alive(self):
        if self.process.poll() is None:
            return
        self.log.flush()
        sys.exit(f"bench: {self.name} ended with {self.process.returncode}:\n{(self.folder / 'log').read_text()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Responder(Contender):
    """The upstream: respond PORT BODY_BYTES, or respond_h2 PORT."""

    def __init__(self, folder, core, *arguments, program="respond"):
        self.program, self.arguments = program, arguments
        super().__init__("respond", folder, core, None)

    def _respond(self, _):
        return [str(PROGRAMS / self.program), str(self.port), *map(str, self.arguments)]


def free_ports(count):
    """Different ones, as they are all held at once."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def free_port():
    return free_ports(1)[0]


def wait_for_port(port, contender):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        contender.check_alive()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    sys.exit(f"bench: {contender.name} does not listen after {START_SECONDS} s")


def versions():
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().split("\n")[0]

    return {"outrigger": first_line(str(BUILD / "release/outrigger"), "--version"),
            "haproxy": first_line(str(PEERS / "haproxy"), "-v"), "nginx": first_line(str(PEERS / "nginx"), "-v")}
