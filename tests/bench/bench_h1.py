"""./dev bench: CPU, memory and latency of HTTP/1.1 calls.

At saturation the load generator's core is the limit, so calls per second are no capacity figure: CPU per call is.
Latency is measured at a fixed rate by an open-loop client (rate.c); "added" is against the same calls sent straight to
the upstream, pooled over many short runs in random order, since a single run on shared cores is noise.
"""

import random
import socket
import sys

from contenders import PEERS, Contender, Responder
from measure import at_rate, cpu_of, cpu_table, cycles_of, on_core, percentile, pool, progress, table

NEEDED = {"outrigger", "haproxy"}
WARM_UP_CALLS = 200

# What the figures must be: (text, function of the result) -> value, and the limit.
GATES = [
    ("CPU per call, all policies on, of plain HAProxy's", lambda r: r["cpu"]["outrigger"]["ratio"][1], 0.75),
    ("idle memory, MiB", lambda r: r["memory"]["outrigger"]["idle_bytes"] / 2**20, 7),
    ("bytes per idle connection", lambda r: r["memory"]["outrigger"]["bytes_per_connection"], 1024),
]


def add_arguments(parser):
    parser.add_argument("--connections", type=int, default=64, help="connections of the load (64)")
    parser.add_argument("--body", type=int, default=1024, help="bytes of a response (1024)")
    parser.add_argument("--idle-connections", type=int, default=1000, help="idle connections to weigh (1000)")
    parser.add_argument("--rate", type=int, default=8000, help="calls a second for latency (8000)")
    parser.add_argument("--rate-runs", type=int, default=10, help="runs that are pooled; 0 leaves latency out (10)")
    parser.add_argument("--rate-seconds", type=int, default=2, help="seconds of such a run (2)")


# ---- CPU -------------------------------------------------------------------------------------------------------


def load(contender, core, connections, seconds):
    """A burst of load by wrk; returns its calls."""
    done = on_core(core, [PEERS / "wrk", "-t1", f"-c{connections}", f"-d{seconds}s",
                          f"http://127.0.0.1:{contender.port}/bench"], seconds + 30)
    lines = done.stdout.splitlines()
    calls = next((int(line.split()[0]) for line in lines if " requests in " in line), 0)
    if calls == 0 or any("Non-2xx" in line for line in lines):
        sys.exit(f"bench: the load on {contender.name} failed:\n{done.stdout}{done.stderr}")
    return calls


def measure_cpu(contenders, core, args):
    def burst(contender):
        calls, cpu_us = cpu_of(contender, lambda: load(contender, core, args.connections, args.burst))
        return calls / args.burst, cpu_us

    return cycles_of(contenders, burst, args.cycles, "CPU")


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
    idle = contender.idle_bytes()
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


def measure_latency(contenders, upstream, core, args):
    places = [("direct", upstream.port)] + [(contender.name, contender.port) for contender in contenders]
    pooled = {name: {} for name, _ in places}
    for number in range(args.rate_runs):
        for name, port in random.sample(places, len(places)):
            pool(pooled[name], at_rate(port, core, args.rate, args.rate_seconds, args.connections))
        progress(f"latency: run {number + 1} of {args.rate_runs}")
    direct = {share: percentile(pooled["direct"], share) for share in (0.5, 0.99)}
    result = {}
    for name, histogram in pooled.items():
        p50, p99 = percentile(histogram, 0.5), percentile(histogram, 0.99)
        result[name] = {"calls": sum(histogram.values()), "p50_us": p50, "p99_us": p99,
                        "added_p50_us": p50 - direct[0.5], "added_p99_us": p99 - direct[0.99]}
    return result


# ---- the whole -------------------------------------------------------------------------------------------------


def run(args, folder, proxy_core, load_core):
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


def gates_of(_):
    return GATES


def tell(result):
    settings = result["settings"]
    print(f"\nCPU per call: {settings['connections']} connections, {settings['body']} B bodies, "
          f"{settings['cycles']} cycles of {settings['burst']} s; median (quartiles)\n")
    cpu_table(result["cpu"])
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
