"""./dev bench h2: CPU of unary gRPC calls over HTTP/2, and the memory of streams that are held open.

A call is POST /shop.Quotes/Get with a message of 105 bytes, answered with one of 128 and grpc-status: 0 in trailers
(gRPC's five bytes in front are counted in both). The load is h2load's; as it does not look at trailers, call_h2 makes
some calls around each burst that are looked at whole. The upstream is respond_h2, which is as cheap as nghttp2 allows;
the relay passes bytes and multiplexes nothing, it is there for scale. A held stream is the HEADERS of a call whose
caller then says nothing: once with an upstream that has answered its head, once with one that has not. "8x10-plain" are
calls without trailers, for comparison: with them HAProxy sends each answer by itself, and a WINDOW_UPDATE for each (as
strace shows), which doubles its cost and flatters whoever stands beside it.
"""

import contextlib
import json
import re
import subprocess
import sys

from contenders import PEERS, PROGRAMS, Contender, Responder
from measure import cpu_of, cpu_table, cycles_of, on_core, progress, table

NEEDED = {"haproxy"}
REQUEST = bytes([0, 0, 0, 0, 100]) + bytes(100)
RESPONSE_BYTES = 128
SHAPES = ["8x10", "1x50", "64x1", "8x10-plain"]  # connections x streams on each; the first is the gate's
CHECKED_CALLS = 100
WARM_UP_CALLS = 200
HELD_CONNECTIONS = 100
HELD = {"head": "/hold.Head/Watch", "silent": "/hold.Silent/Watch"}
HELD_LIMIT_MIB = 24

# What the figures must be: (text, function of the result) -> value, the limit, and the goal.
GATES = [
    ("CPU per gRPC call, all policies on, of plain HAProxy's", lambda r: r["cpu"][SHAPES[0]]["outrigger"]["ratio"][1],
     0.75, 0.65),
]
MEMORY_GATES = [
    ("MiB with 10 000 streams that have their head", lambda r: r["memory"]["outrigger"]["head_bytes"] / 2**20,
     HELD_LIMIT_MIB),
    ("MiB with 10 000 streams that have none yet", lambda r: r["memory"]["outrigger"]["silent_bytes"] / 2**20,
     HELD_LIMIT_MIB),
]


class Shape:
    """Of a load: so many connections x so many calls at a time on each, "-plain" for calls that are not gRPC's."""

    def __init__(self, text):
        self.text = text
        numbers, _, kind = text.partition("-")
        self.connections, self.streams = map(int, numbers.split("x"))
        self.has_trailers = kind != "plain"
        self.path = "/shop.Quotes/Get" if self.has_trailers else "/plain.Quotes/Get"
        self.fields = ["te: trailers", "content-type: application/grpc"] if self.has_trailers else \
            ["content-type: application/octet-stream"]


class GrpcContender(Contender):
    OUTRIGGER = {**Contender.OUTRIGGER, "codes": "grpcCodes: [UNAVAILABLE], "}
    HAPROXY = {"protocol": " proto h2"}
    NGINX = {"protocol": " http2", "connections": 8192, "server":
             "http2_max_concurrent_streams 1000; location / { grpc_pass grpc://bench; }"}


class HoldingContender(GrpcContender):
    """With room and time for all streams that are held."""

    OUTRIGGER = {**GrpcContender.OUTRIGGER, "request": "10m", "attempt": "10m", "in_flight": 100000}
    NGINX = {**GrpcContender.NGINX, "connections": 12000}


def add_arguments(parser):
    parser.add_argument("--shapes", default=SHAPES[0],
                        help=f"connections x streams[-plain], or all: {','.join(SHAPES)} (8x10)")
    parser.add_argument("--held", type=int, default=10000, help="streams to hold; 0 leaves memory out (10000)")


# ---- CPU -------------------------------------------------------------------------------------------------------


def check_calls(contender, core, shape):
    """Some calls, each looked at."""
    done = on_core(core, [PROGRAMS / "call_h2", contender.port, CHECKED_CALLS, shape.streams, shape.path], 60)
    contender.check_alive()
    seen = json.loads(done.stdout or "{}")
    wanted = {"calls": CHECKED_CALLS, "good": CHECKED_CALLS, "trailers": CHECKED_CALLS * shape.has_trailers,
              "data_bytes": CHECKED_CALLS * RESPONSE_BYTES}
    if done.returncode or any(seen.get(key) != value for key, value in wanted.items()):
        sys.exit(f"bench: calls by {contender.name} are not answered as they should: {done.stdout}{done.stderr}")


def load(contender, core, shape, seconds, message):
    """A burst of load by h2load; returns its calls, all of them good."""
    fields = [word for field in shape.fields for word in ("-H", field)]
    done = on_core(core, [PEERS / "h2load", "-t1", f"-c{shape.connections}", f"-m{shape.streams}", f"-D{seconds}",
                          "-d", message, *fields, f"http://127.0.0.1:{contender.port}{shape.path}"], seconds + 30)
    requests = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", done.stdout)
    statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
    data = re.search(r"\((\d+)\) data", done.stdout)
    counts = [int(count) for found in (requests, statuses) if found for count in found.groups()]
    ended = counts[0] if len(counts) == 9 else 0
    begun = ended + shape.connections * shape.streams  # with those that were under way when the time was over
    is_good = counts[:5] == [ended, ended, 0, 0, 0] and ended <= counts[5] <= begun and not any(counts[6:])
    if ended == 0 or not is_good or not data or not ended <= int(data[1]) / RESPONSE_BYTES <= begun:
        sys.exit(f"bench: the load on {contender.name} failed:\n{done.stdout}{done.stderr}")
    return ended


def measure_cpu(contenders, core, shape, args, message):
    def burst(contender):
        check_calls(contender, core, shape)
        calls, cpu_us = cpu_of(contender, lambda: load(contender, core, shape, args.burst, message))
        check_calls(contender, core, shape)
        return calls / args.burst, cpu_us

    return cycles_of(contenders, burst, args.cycles, f"CPU, {shape.text}")


# ---- memory ----------------------------------------------------------------------------------------------------


def held_at(upstream, core):
    """How many streams the upstream holds."""
    done = on_core(core, [PROGRAMS / "call_h2", upstream.port, 1, 1, "/hold.Count/Get"], 60)
    return int(json.loads(done.stdout)["text"].split("/")[0])


def hold(contender, upstream, core, kind, count):
    """Opens `count` streams; returns the contender's memory while they are open, None for a peer that cannot."""
    command = ["taskset", "-c", str(core), str(PROGRAMS / "hold_h2"), str(contender.port), str(HELD_CONNECTIONS),
               str(count // HELD_CONNECTIONS), HELD[kind]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        said = holder.stdout.readline().strip()
        arrived, resident = held_at(upstream, core), contender.resident_bytes()
        holder.stdin.close()
        said += ", " + holder.stdout.read().strip()
    if said == f"open {count} heads {count if kind == 'head' else 0}, lost 0" and arrived == count:
        return resident
    problem = f"bench: {contender.name} does not hold {count} streams ({kind}): {said}; {arrived} at the upstream"
    if contender.name == "outrigger":
        sys.exit(problem)
    print(problem, file=sys.stderr)
    return None


def measure_memory(name, folder, proxy_core, load_core, upstream, args):
    """Fresh processes: idle, and with streams open."""
    row, count = {}, args.held // HELD_CONNECTIONS * HELD_CONNECTIONS
    for kind in HELD:
        contender = HoldingContender(name, folder, proxy_core, upstream.port)
        try:
            row["idle_bytes"] = contender.idle_bytes()
            on_core(load_core, [PROGRAMS / "call_h2", contender.port, WARM_UP_CALLS, 1], 60)
            warmed = contender.resident_bytes()
            held = hold(contender, upstream, load_core, kind, count)
        finally:
            contender.stop()
        row[f"{kind}_bytes"] = held
        row[f"{kind}_bytes_per_stream"] = held and max(0, held - warmed) / count
        progress(f"memory: {name}, {kind}")
    return row


# ---- the whole -------------------------------------------------------------------------------------------------


def run(args, folder, proxy_core, load_core):
    message = folder / "message"
    message.write_bytes(REQUEST)
    names = args.contenders.split(",")
    shapes = [Shape(text) for text in (SHAPES if args.shapes == "all" else args.shapes.split(","))]
    with contextlib.ExitStack() as running:
        def start(contender):
            running.callback(contender.stop)
            return contender

        upstream = start(Responder(folder, load_core, program="respond_h2"))
        memory = {name: measure_memory(name, folder, proxy_core, load_core, upstream, args)
                  for name in names if name != "relay"} if args.held else {}
        contenders = [start(GrpcContender(name, folder, proxy_core, upstream.port)) for name in names]
        cpu = {shape.text: measure_cpu(contenders, load_core, shape, args, message) for shape in shapes}
    return {"cpu": cpu, "memory": memory}


def gates_of(result):
    """Those that the run has figures for."""
    gates = GATES if "outrigger" in result["cpu"].get(SHAPES[0], {}) else []
    return gates + (MEMORY_GATES if "outrigger" in result["memory"] and result["settings"]["held"] == 10000 else [])


def mebibytes(value):
    return "-" if value is None else f"{value / 2**20:.1f}"


def number(value):
    return "-" if value is None else f"{value:.0f}"


def tell(result):
    settings = result["settings"]
    for text, cpu in result["cpu"].items():
        shape = Shape(text)
        what = "gRPC call" if shape.has_trailers else "HTTP/2 call without trailers"
        print(f"\nCPU per {what}: {shape.connections} connections x {shape.streams} streams, {settings['cycles']} "
              f"cycles of {settings['burst']} s; median (quartiles)\n")
        cpu_table(cpu)
    if result["memory"]:
        print(f"\nMemory: idle, and with {settings['held']} open streams on {HELD_CONNECTIONS} connections\n")
        table(["", "idle MiB", "with heads MiB", "bytes/stream", "without MiB", "bytes/stream"],
              [[name, mebibytes(row["idle_bytes"]), mebibytes(row["head_bytes"]), number(row["head_bytes_per_stream"]),
                mebibytes(row["silent_bytes"]), number(row["silent_bytes_per_stream"])]
               for name, row in result["memory"].items()])
