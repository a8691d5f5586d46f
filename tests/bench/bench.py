"""./dev bench: CPU, memory and latency of Outrigger beside HAProxy, nginx and a bare TCP relay, in one run.

Method. Every contender runs on one core, the load generator and the upstream on the other; all stay up. A cycle visits
all of them in random order with a burst of load each. CPU per call is the change of /proc/PID/task/*/schedstat over
the calls of the burst; the ratio to HAProxy is taken within the cycle; the figures are medians and quartiles over the
cycles. Absolute numbers differ from machine to machine (and by a fifth from hour to hour), ratios hardly do. At
saturation the load generator's core is the limit, so calls per second are no capacity figure: CPU per call is.
Latency is measured at a fixed rate by an open-loop client (rate.c); "added" is against the same calls sent straight to
the upstream, pooled over many short runs in random order, since a single run on shared cores is noise.
"""

import argparse
import contextlib
import datetime
import json
import os
import pathlib
import platform
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
PEERS = BUILD / "peers/bin"
PROGRAMS = BUILD / "release/bench"
RESULTS = BUILD / "bench"
BASELINE = "haproxy"
WARM_UP_CALLS = 200
START_SECONDS = 10

# What the figures must be: (text, function of the result) -> value, and the limit.
GATES = [
    ("CPU per call, all policies on, of plain HAProxy's", lambda r: r["cpu"]["outrigger"]["ratio"][1], 0.75),
    ("idle memory, MiB", lambda r: r["memory"]["outrigger"]["idle_bytes"] / 2**20, 7),
    ("bytes per idle connection", lambda r: r["memory"]["outrigger"]["bytes_per_connection"], 1024),
]

POLICY = """
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: {{name: bench}}
spec:
  targets: [{{host: "*"}}]
  timeouts: {{connect: 1s, request: 10s, backendRequest: 3s, idle: 5m}}
  retry: {{attempts: 2, budget: {{percent: 20, interval: 10s}}}}
  circuitBreaker:
    consecutiveFailures: 7
    failureRate: {{percent: 50, window: 10s, minRequests: 20}}
    slowCalls: {{percent: 80, longerThan: 2s}}
  bulkhead: {{maxRequests: 1000, maxPending: 100, pendingTimeout: 1s}}
  rateLimit: {{requests: 1000000, interval: 1s}}
---
apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {{name: bench}}
spec:
  outbound: {{listen: ["127.0.0.1:{outbound}"]}}
  listeners:
    - {{listen: "127.0.0.1:{port}", upstream: "127.0.0.1:{upstream}"}}
  admin: {{listen: "127.0.0.1:{admin}"}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 6000
defaults
    mode http
    http-reuse always
    timeout connect 1s
    timeout client 300s
    timeout server 300s
    timeout http-keep-alive 300s
listen bench
    bind 127.0.0.1:{port}
    server upstream 127.0.0.1:{upstream}
"""

NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_timeout 300s; keepalive_requests 100000000;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream bench {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


class Contender:
    """A proxy under test: how it is started on a core, what it has used."""

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
        config.write_text(POLICY.format(port=self.port, outbound=free_port(), admin=free_port(), upstream=upstream))
        return [str(BUILD / "release/outrigger"), "proxy", "-c", str(config)]

    def _haproxy(self, upstream):
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(port=self.port, upstream=upstream))
        return [str(PEERS / "haproxy"), "-db", "-f", str(config)]

    def _nginx(self, upstream):
        config = self.folder / "nginx.conf"
        config.write_text(NGINX.format(port=self.port, upstream=upstream, folder=self.folder))
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
        for line in pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("no Rss in smaps_rollup")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, contender):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if contender.process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    contender.log.flush()
    sys.exit(f"bench: {contender.name} did not start:\n{(contender.folder / 'log').read_text()}")


class Responder(Contender):
    """The upstream."""

    def __init__(self, folder, core, body):
        self.body = body
        super().__init__("respond", folder, core, None)

    def _respond(self, _):
        return [str(PROGRAMS / "respond"), str(self.port), str(self.body)]


# ---- CPU -------------------------------------------------------------------------------------------------------


def burst(contender, core, connections, seconds):
    """A burst of load by wrk; returns (calls per second, CPU microseconds per call)."""
    before = contender.cpu_ns()
    done = subprocess.run(["taskset", "-c", str(core), str(PEERS / "wrk"), "-t1", f"-c{connections}",
                           f"-d{seconds}s", f"http://127.0.0.1:{contender.port}/bench"],
                          capture_output=True, text=True, timeout=seconds + 30)
    used = contender.cpu_ns() - before
    lines = done.stdout.splitlines()
    calls = next((int(line.split()[0]) for line in lines if " requests in " in line), 0)
    if calls == 0 or any("Non-2xx" in line for line in lines):
        sys.exit(f"bench: the load on {contender.name} failed:\n{done.stdout}{done.stderr}")
    if used == 0:
        sys.exit("bench: /proc/PID/task/*/schedstat does not count here: the kernel lacks CONFIG_SCHED_INFO")
    return calls / seconds, used / 1000 / calls


def quartiles(values):
    if len(values) == 1:
        return [values[0]] * 3
    return list(statistics.quantiles(values, n=4, method="inclusive"))


def measure_cpu(contenders, core, args):
    figures = {contender.name: {"rate": [], "cpu_us": [], "ratio": []} for contender in contenders}
    for cycle in range(-1, args.cycles):  # the first warms up and is thrown away
        order = random.sample(contenders, len(contenders))
        seen = {contender.name: burst(contender, core, args.connections, args.burst) for contender in order}
        progress(f"CPU: cycle {cycle + 1} of {args.cycles}")
        if cycle < 0:
            continue
        for name, (rate, cpu_us) in seen.items():
            figures[name]["rate"].append(rate)
            figures[name]["cpu_us"].append(cpu_us)
            figures[name]["ratio"].append(cpu_us / seen[BASELINE][1])
    return {name: {key: quartiles(values) for key, values in rows.items()} for name, rows in figures.items()}


# ---- memory ----------------------------------------------------------------------------------------------------


def call_once(sock):
    sock.sendall(b"GET /bench HTTP/1.1\r\nHost: bench.test\r\n\r\n")
    received = b""
    while b"\r\n\r\n" not in received:
        received += sock.recv(65536)
    head, body = received.split(b"\r\n\r\n", 1)
    fields = [line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:]]
    length = next(int(value) for name, value in fields if name == b"content-length")
    while len(body) < length:
        body += sock.recv(65536)


def measure_memory(name, folder, core, upstream, args):
    """A fresh process: idle, and with many idle keep-alive connections that have each served a call."""
    contender = Contender(name, folder, core, upstream)
    idle = contender.resident_bytes()
    with socket.create_connection(("127.0.0.1", contender.port)) as warm:
        for _ in range(WARM_UP_CALLS):
            call_once(warm)
    warmed, sockets = contender.resident_bytes(), []
    for _ in range(args.idle_connections):
        sockets.append(socket.create_connection(("127.0.0.1", contender.port)))
        call_once(sockets[-1])
    held = contender.resident_bytes()
    for held_socket in sockets:
        held_socket.close()
    contender.stop()
    progress(f"memory: {name}")
    return {"idle_bytes": idle, "warm_bytes": warmed,
            "bytes_per_connection": max(0, held - warmed) / args.idle_connections}


# ---- latency ---------------------------------------------------------------------------------------------------


def at_rate(port, core, args):
    done = subprocess.run(["taskset", "-c", str(core), str(PROGRAMS / "rate"), str(port), str(args.rate),
                           str(args.rate_seconds), str(args.connections)],
                          capture_output=True, text=True, timeout=args.rate_seconds + 30)
    if done.returncode:
        sys.exit(f"bench: the load at a fixed rate failed: {done.stderr}")
    return json.loads(done.stdout)


def percentile(pooled, share):
    wanted, seen = share * sum(pooled.values()), 0
    for us in sorted(pooled):
        seen += pooled[us]
        if seen >= wanted:
            return us
    return 0


def measure_latency(contenders, upstream, core, args):
    places = [("direct", upstream.port)] + [(contender.name, contender.port) for contender in contenders]
    pooled = {name: {} for name, _ in places}
    for number in range(args.rate_runs):
        for name, port in random.sample(places, len(places)):
            for us, count in at_rate(port, core, args)["histogram"]:
                pooled[name][us] = pooled[name].get(us, 0) + count
        progress(f"latency: run {number + 1} of {args.rate_runs}")
    direct = {share: percentile(pooled["direct"], share) for share in (0.5, 0.99)}
    result = {}
    for name, histogram in pooled.items():
        p50, p99 = percentile(histogram, 0.5), percentile(histogram, 0.99)
        result[name] = {"calls": sum(histogram.values()), "p50_us": p50, "p99_us": p99,
                        "added_p50_us": p50 - direct[0.5], "added_p99_us": p99 - direct[0.99]}
    return result


# ---- telling ---------------------------------------------------------------------------------------------------


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def table(header, rows):
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for number, row in enumerate([header, *rows]):
        cells = [str(row[0]).ljust(widths[0])] + [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells))
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def tell(result):
    progress("")
    settings = result["settings"]
    print(f"\nCPU per call: {settings['connections']} connections, {settings['body']} B bodies, "
          f"{settings['cycles']} cycles of {settings['burst']} s; median (quartiles)\n")
    table(["", "calls/s", "CPU us/call", "quartiles", f"of {BASELINE}", "quartiles"],
          [[name, f"{row['rate'][1]:.0f}", f"{row['cpu_us'][1]:.2f}",
            f"{row['cpu_us'][0]:.2f}-{row['cpu_us'][2]:.2f}", f"{row['ratio'][1]:.3f}",
            f"{row['ratio'][0]:.3f}-{row['ratio'][2]:.3f}"]
           for name, row in sorted(result["cpu"].items(), key=lambda item: item[1]["ratio"][1])])
    print(f"\nMemory: idle, and per idle keep-alive connection ({settings['idle_connections']} of them)\n")
    table(["", "idle MiB", "bytes/connection"],
          [[name, f"{row['idle_bytes'] / 2**20:.1f}", f"{row['bytes_per_connection']:.0f}"]
           for name, row in result["memory"].items()])
    if result["latency"]:
        print(f"\nLatency at {settings['rate']} calls/s, {settings['rate_runs']} runs of "
              f"{settings['rate_seconds']} s pooled; added = against the upstream itself\n")
        table(["", "p50 us", "p99 us", "added p50", "added p99"],
              [[name, row["p50_us"], row["p99_us"], row["added_p50_us"], row["added_p99_us"]]
               for name, row in result["latency"].items()])
    print()
    for gate in result["gates"]:
        verdict = "holds " if gate["holds"] else "BROKEN"
        print(f"  {verdict}  {gate['what']}: {gate['value']:.3g} (at most {gate['limit']})")


def judge(result):
    for what, value_of, limit in GATES:
        value = value_of(result)
        yield {"what": what, "value": value, "limit": limit, "holds": value <= limit}


def versions():
    def first_line(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().split("\n")[0]

    return {"outrigger": first_line(str(BUILD / "release/outrigger"), "--version"),
            "haproxy": first_line(str(PEERS / "haproxy"), "-v"), "nginx": first_line(str(PEERS / "nginx"), "-v")}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0],
                                     epilog="example: ./dev bench --cycles 3 --rate-runs 2   (a quick look)")
    parser.add_argument("--cycles", type=int, default=8, help="cycles of bursts (8)")
    parser.add_argument("--burst", type=int, default=1, help="seconds of a burst (1)")
    parser.add_argument("--connections", type=int, default=64, help="connections of the load (64)")
    parser.add_argument("--body", type=int, default=1024, help="bytes of a response (1024)")
    parser.add_argument("--idle-connections", type=int, default=1000, help="idle connections to weigh (1000)")
    parser.add_argument("--rate", type=int, default=8000, help="calls a second for latency (8000)")
    parser.add_argument("--rate-runs", type=int, default=10, help="runs that are pooled; 0 leaves latency out (10)")
    parser.add_argument("--rate-seconds", type=int, default=2, help="seconds of such a run (2)")
    parser.add_argument("--contenders", default="outrigger,haproxy,nginx,relay", help="who takes part")
    parser.add_argument("--gate", action="store_true", help="exit code 1 when a figure is beyond its limit")
    parser.add_argument("--seed", type=int, default=None, help="order of the visits")
    return parser.parse_args()


def run(args, folder):
    proxy_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    upstream = Responder(folder, load_core, args.body)
    names = args.contenders.split(",")
    memory = {name: measure_memory(name, folder, proxy_core, upstream.port, args) for name in names}
    contenders = [Contender(name, folder, proxy_core, upstream.port) for name in names]
    try:
        cpu = measure_cpu(contenders, load_core, args)
        latency = measure_latency(contenders, upstream, load_core, args) if args.rate_runs else {}
    finally:
        for contender in [*contenders, upstream]:
            contender.stop()
    return {"cpu": cpu, "memory": memory, "latency": latency}


def main():
    args = parse_arguments()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: two cores are needed, one for the proxies and one for the load")
    if not {"outrigger", BASELINE} <= set(args.contenders.split(",")):
        sys.exit(f"bench: --contenders must name outrigger and {BASELINE}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, hard), hard))
    seed = args.seed if args.seed is not None else random.randrange(2**32)
    random.seed(seed)
    at = datetime.datetime.now(datetime.timezone.utc)
    with tempfile.TemporaryDirectory(prefix="outrigger-bench-") as folder:
        result = run(args, pathlib.Path(folder))
    result = {"at": at.isoformat(timespec="seconds"), "machine": platform.platform(), "seed": seed,
              "settings": vars(args), "versions": versions(), **result}
    result["gates"] = list(judge(result))
    tell(result)
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n  kept as {path.relative_to(ROOT)}")
    sys.exit(1 if args.gate and not all(gate["holds"] for gate in result["gates"]) else 0)


if __name__ == "__main__":
    main()
