"""./dev bench tcp: what a tunnel costs, `protocol: tcp`, beside HAProxy's mode tcp and a bare relay.

The load (trade.c) and the upstream (respond_tcp.c) speak no HTTP: so many bytes up, then so many down. They read without
copying, so that at long trades the proxy is the slowest of the three. Throughput and CPU are compared within a cycle.
HAProxy takes part twice: as it is by default, which is what the gates compare with, and with `option splice-auto`, by
which bytes of busy connections go from socket to socket by way of a pipe.
"""

import contextlib
import json
import sys

from contenders import BUILD, HAPROXY_LISTEN, PEERS, POLICY, PROGRAMS, PROXY_CONFIG, Contender, Responder, free_port
from measure import MB, cpu_of, cycles_of, on_core, table

NEEDED = {"outrigger", "haproxy"}
FIT = ["outrigger", "haproxy", "haproxy_splice", "relay"]
HEAD = 16  # of a trade, see respond_tcp.c
LONG = 64 * 2**20
SHORT = 1024
BULK = {f"{way} {count}": (way, count) for way in ("down", "up") for count in (1, 8)}
SHORTFALL, CPU_RATIO = 0.1, 1.0


def gates_of_bulk(key):
    way, count = BULK[key]
    what = f"{way} over {count} connection{'s' * (count > 1)}"
    return [(f"MB/s {what}, what is missing to HAProxy's", lambda r: 1 - r["bulk"][key]["outrigger"]["rate_ratio"][1],
             SHORTFALL),
            (f"CPU per MB {what}, of HAProxy's", lambda r: r["bulk"][key]["outrigger"]["ratio"][1], CPU_RATIO)]


# What the figures must be: (text, function of the result) -> value, and the limit.
GATES = [
    *(gate for key in BULK for gate in gates_of_bulk(key)),
    ("CPU per exchange of small messages, of HAProxy's", lambda r: r["small"]["outrigger"]["ratio"][1], CPU_RATIO),
    ("CPU per new connection, of HAProxy's", lambda r: r["new"]["outrigger"]["ratio"][1], CPU_RATIO),
]

LISTENER = """
    - {{listen: "127.0.0.1:{port}", upstream: "127.0.0.1:{upstream}", protocol: tcp}}"""

HAPROXY = """
global
    nbthread 1
    maxconn 6000
defaults
    mode tcp{more}
    timeout connect 1s
    timeout client 300s
    timeout server 300s
"""


class TcpContender(Contender):
    """A proxy under test, that passes bytes to one upstream."""

    def _outrigger(self, upstream):
        config = self.folder / "bench.yaml"
        config.write_text(POLICY.format(name="bench", target='{host: "*"}', more="", **self.OUTRIGGER)
                          + PROXY_CONFIG.format(listeners=LISTENER.format(port=self.port, upstream=upstream),
                                                outbound=free_port(), admin=free_port()))
        return [str(BUILD / "release/outrigger"), "proxy", "-c", str(config)]

    def _haproxy(self, upstream, more=""):
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(more=more)
                          + HAPROXY_LISTEN.format(port=self.port, upstream=upstream, protocol="", more=""))
        return [str(PEERS / "haproxy"), "-db", "-f", str(config)]

    def _haproxy_splice(self, upstream):
        return self._haproxy(upstream, "\n    option splice-auto")


def add_arguments(parser):
    parser.add_argument("--small-connections", type=int, default=16, help="connections of small messages (16)")
    parser.add_argument("--new-callers", type=int, default=16, help="who make new connections at a time (16)")


def trade(contender, core, up, down, connections, seconds, how):
    """Returns (trades, seconds)."""
    done = on_core(core, [PROGRAMS / "trade", contender.port, up, down, connections, seconds, how], seconds + 60)
    if done.returncode:
        sys.exit(f"bench: trades by {contender.name} failed: {done.stderr}")
    seen = json.loads(done.stdout)
    return seen["trades"], seen["seconds"]


def measure(contenders, core, args, label, work, unit=1):
    """`work` is (up, down, connections, how); `unit` is what a trade counts as."""
    up, down, connections, how = work

    def burst(contender):
        def load():
            trades, load.seconds = trade(contender, core, up, down, connections, args.burst, how)
            return trades * unit

        count, cpu_us = cpu_of(contender, load)
        return count / load.seconds, cpu_us

    return cycles_of(contenders, burst, args.cycles, label)


def bulk_work(way, connections):
    return (HEAD, LONG, connections, "keep") if way == "down" else (HEAD + LONG, 1, connections, "keep")


def run(args, folder, proxy_core, load_core):
    named = set(args.contenders.split(","))
    names = [name for name in FIT if name.split("_")[0] in named]
    with contextlib.ExitStack() as running:
        upstream = Responder(folder, load_core, program="respond_tcp")
        running.callback(upstream.stop)
        contenders = [TcpContender(name, folder, proxy_core, upstream.port) for name in names]
        for contender in contenders:
            running.callback(contender.stop)
        bulk = {key: measure(contenders, load_core, args, f"bulk, {key}", bulk_work(*BULK[key]), LONG / MB)
                for key in BULK}
        small = measure(contenders, load_core, args, "small messages", (SHORT, SHORT, args.small_connections, "keep"))
        new = measure(contenders, load_core, args, "new connections", (SHORT, SHORT, args.new_callers, "new"))
    return {"bulk": bulk, "small": small, "new": new}


def gates_of(_):
    return GATES


def tell_rows(rows, rate, cpu):
    def cells(values, digits):
        return [f"{values[1]:.{digits}f}", f"{values[0]:.{digits}f}-{values[2]:.{digits}f}"]

    table(["", rate, "quartiles", "of haproxy", "quartiles", cpu, "quartiles", "of haproxy", "quartiles"],
          [[name, *cells(row["rate"], 0), *cells(row["rate_ratio"], 3), *cells(row["cpu_us"], 1),
            *cells(row["ratio"], 3)] for name, row in rows.items()])


def tell(result):
    settings = result["settings"]
    cycles = f"{settings['cycles']} cycles of {settings['burst']} s; median (quartiles)"
    for key, rows in result["bulk"].items():
        way, count = BULK[key]
        print(f"\nLong trades {way}, {LONG / 2**20:.0f} MiB each, {count} at a time, {cycles}\n")
        tell_rows(rows, "MB/s", "CPU us/MB")
    print(f"\nSmall messages, {SHORT} B up and down, {settings['small_connections']} connections that stay, {cycles}\n")
    tell_rows(result["small"], "exchanges/s", "CPU us each")
    print(f"\nNew connections, each for one such exchange, {settings['new_callers']} at a time, {cycles}\n")
    tell_rows(result["new"], "connections/s", "CPU us each")
