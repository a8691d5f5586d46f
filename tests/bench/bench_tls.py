"""./dev bench tls: what TLS to an upstream costs, plain HTTP in and TLS out, beside HAProxy in the same role.

The upstream is nginx with a P-256 certificate, TLS 1.2 and one cipher a port; both contenders verify its chain and
name. New connections: nginx closes after each answer, so each call has a handshake; once nginx knows tickets, once
neither tickets nor a cache. What each answer's handshake was stands in its body, and is checked around each burst.
CPU is that of all threads of the contender; Outrigger has its loop and two threads for handshakes on the one core
that all of them get. Bulk: bodies that go by one after another on one connection, down and up, with the cipher of the
port. Idle: calls whose bodies are withheld until so many connections to the upstream are open, which then stay in the
pool; the same in clear text for comparison. Beside handshakes: a target without TLS is called at a fixed rate, once
with quiet around, once with full handshakes to another target at a fixed rate; "later" is the difference of the two
p99 of one run. The runs on two cores say what a caller sees who has them, those on one how well a loop and its
handshakes share one.
"""

import contextlib
import json
import random
import re
import socket
import sys
import threading
import time

from contenders import (BUILD, HAPROXY, HAPROXY_LISTEN, LISTENER, PEERS, POLICY, PROXY_CONFIG, ROOT, Contender,
                        Responder, free_port, free_ports)
from measure import MB, at_rate, cpu_of, cpu_table, cycles_of, on_core, percentile, pool, progress, quartiles, table

sys.path.insert(0, str(ROOT / "tests/e2e"))
from harness.tls import Authority  # noqa: E402 (after the path)

NEEDED = {"outrigger", "haproxy"}
NAME = "bench.test"
CONNECTIONS = 16
CHECKED_CALLS = 5
CIPHERS = {"aes": "ECDHE-ECDSA-AES128-GCM-SHA256", "chacha": "ECDHE-ECDSA-CHACHA20-POLY1305"}
ROLES = ["full", "resumed", "aes", "chacha", "clear", "plain"]  # what a listener of a contender leads to
ENCRYPTED = ROLES[:4]
HELD_SECONDS = 60
AT_ONCE = 32
WARM_UP = 4

# What the figures must be: (text, function of the result) -> value, and the limit.
GATES = [
    ("ms at p99 that a call without TLS is later beside handshakes",
     lambda r: r["beside"]["outrigger"]["later_p99_us"][1] / 1000, 2),
]

UPSTREAM = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 100000000; client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    ssl_certificate {pair.cert}; ssl_certificate_key {pair.key}; ssl_protocols TLSv1.2; ssl_ecdh_curve prime256v1;
    server {{ listen 127.0.0.1:{port}; }}{servers}
}}
"""

SERVER = """
    server {{
        listen 127.0.0.1:{port}{ssl} backlog=2048;
        {how}
        root {folder};
        location /bench {{ return 200 "$ssl_protocol $ssl_cipher $ssl_session_reused"; }}
        location /sink {{ dav_methods PUT; }}
        location /hold {{ proxy_pass http://127.0.0.1:{clear}/bench; }}
    }}"""

CLOSES = "keepalive_timeout 0; ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256; "
HOW = {
    "full": CLOSES + "ssl_session_tickets off; ssl_session_cache none;",
    "resumed": CLOSES + "ssl_session_tickets on;",
    "aes": f"keepalive_timeout 300s; ssl_ciphers {CIPHERS['aes']};",
    "chacha": f"keepalive_timeout 300s; ssl_ciphers {CIPHERS['chacha']};",
    "clear": "keepalive_timeout 300s;",
}


class TlsUpstream(Contender):
    """nginx, with a port for each role but "plain", which is respond's."""

    def __init__(self, folder, core, authority):
        self.authority, self.pair = authority, authority.issue(NAME)
        super().__init__("upstream", folder, core, None)

    def _upstream(self, _):
        self.port, *ports = free_ports(1 + len(HOW))
        self.ports = dict(zip(HOW, ports))
        servers = "".join(SERVER.format(port=port, how=HOW[role], folder=self.folder, clear=self.ports["clear"],
                                        ssl=" ssl" if role in ENCRYPTED else "")
                          for role, port in self.ports.items())
        config = self.folder / "nginx.conf"
        config.write_text(UPSTREAM.format(port=self.port, folder=self.folder, pair=self.pair, servers=servers))
        return [str(PEERS / "nginx"), "-p", str(self.folder), "-c", str(config), "-e", str(self.folder / "error.log")]


class TlsContender(Contender):
    """With a listener for each role. `upstream` is a TlsUpstream."""

    OUTRIGGER = {**Contender.OUTRIGGER, "in_flight": 4000}

    def __init__(self, name, folder, core, upstream, plain):
        self.ports = dict(zip(ROLES, free_ports(len(ROLES))))
        self.upstreams = {**upstream.ports, "plain": plain.port}
        self.authority = upstream.authority
        super().__init__(name, folder, core, upstream)

    def _outrigger(self, _):
        self.port = self.ports["plain"]  # the one that is waited for
        tls = f"\n  tls: {{caFile: {self.authority.cert}, serverName: {NAME}}}"
        ports = ", ".join(str(self.upstreams[role]) for role in ENCRYPTED)
        documents = [POLICY.format(name="bench", target='{host: "*"}', more="", **self.OUTRIGGER),
                     POLICY.format(name="bench-tls", target=f'{{host: "127.0.0.1", ports: [{ports}]}}', more=tls,
                                   **self.OUTRIGGER)]
        listeners = "".join(LISTENER.format(port=self.ports[role], upstream=self.upstreams[role]) for role in ROLES)
        config = self.folder / "bench.yaml"
        config.write_text("---".join(documents)
                          + PROXY_CONFIG.format(listeners=listeners, outbound=free_port(), admin=free_port()))
        return [str(BUILD / "release/outrigger"), "proxy", "-c", str(config)]

    def _haproxy(self, _):
        self.port = self.ports["plain"]
        tls = f" ssl verify required ca-file {self.authority.cert} verifyhost {NAME} sni str({NAME})"
        keeps = " pool-purge-delay 600s pool-low-conn 4000"  # by its defaults it lets idle ones go every five seconds
        listens = [HAPROXY_LISTEN.format(port=self.ports[role], upstream=self.upstreams[role], protocol="",
                                         more=keeps + (tls if role in ENCRYPTED else "")) for role in ROLES]
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(more="\n    tune.pool-high-fd-ratio 90\n    tune.pool-low-fd-ratio 80")
                          + "".join(listens))
        return [str(PEERS / "haproxy"), "-db", "-f", str(config)]


def add_arguments(parser):
    parser.add_argument("--bulk-mib", type=int, default=64, help="MiB of a long body; 0 leaves them out (64)")
    parser.add_argument("--idle-tls", type=int, default=1000, help="idle connections to weigh; 0: none (1000)")
    parser.add_argument("--beside-runs", type=int, default=6, help="runs beside handshakes; 0 leaves them out (6)")
    parser.add_argument("--beside-rate", type=int, default=2000, help="calls a second without TLS (2000)")
    parser.add_argument("--handshakes", type=int, default=100, help="full handshakes a second beside them (100)")


# ---- new connections -------------------------------------------------------------------------------------------


def answer_of(sock):
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(sock)
    head, body = received.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1])
    while len(body) < length:
        body += receive(sock)
    return int(head.split()[1]), body.decode("latin-1")


def receive(sock):
    data = sock.recv(65536)
    if not data:
        raise EOFError("the connection was closed")
    return data


def check_handshakes(contender, role):
    """Some calls, whose answers say what handshake they came by."""
    wanted = f"TLSv1.2 {CIPHERS['aes']} {'r' if role == 'resumed' else '.'}"
    with socket.create_connection(("127.0.0.1", contender.ports[role]), timeout=30) as sock:
        for number in range(CHECKED_CALLS + 1):
            sock.sendall(f"GET /bench HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
            seen = answer_of(sock)
            if number and seen != (200, wanted):  # before the first one there was no session
                sys.exit(f"bench: {contender.name} got {seen} instead of {wanted!r} where it should be {role}")


def wrk(contender, core, role, seconds):
    done = on_core(core, [PEERS / "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s",
                          f"http://127.0.0.1:{contender.ports[role]}/bench"], seconds + 30)
    calls = next((int(line.split()[0]) for line in done.stdout.splitlines() if " requests in " in line), 0)
    if calls == 0 or "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        sys.exit(f"bench: new connections by {contender.name} ({role}) failed:\n{done.stdout}{done.stderr}")
    return calls


def measure_new(contenders, core, role, args):
    def burst(contender):
        check_handshakes(contender, role)
        calls, cpu_us = cpu_of(contender, lambda: wrk(contender, core, role, args.burst))
        check_handshakes(contender, role)
        return calls / args.burst, cpu_us

    return cycles_of(contenders, burst, args.cycles, f"new connections, {role}")


# ---- bulk ------------------------------------------------------------------------------------------------------


def measure_bulk(contenders, core, role, way, args):
    """Rate: MB per second; CPU: us per MB."""
    size = args.bulk_mib * 2**20

    def burst(contender):
        program = [sys.executable, ROOT / "tests/bench/bulk.py", contender.ports[role], way, size, args.burst]

        def load():
            done = on_core(core, program, args.burst + 60)
            if done.returncode:
                sys.exit(f"bench: long bodies by {contender.name} failed:\n{done.stdout}{done.stderr}")
            seen = json.loads(done.stdout)
            load.rate = seen["bytes"] / MB / seen["seconds"]
            return seen["bytes"] / MB

        _, cpu_us = cpu_of(contender, load)
        return load.rate, cpu_us

    return cycles_of(contenders, burst, args.cycles, f"bulk, {role} {way}")


# ---- idle connections ------------------------------------------------------------------------------------------


def established(port):
    """How many connections to that port of this machine are open, as their dialling side sees it."""
    wanted, count = f"0100007F:{port:04X}", 0
    with open("/proc/net/tcp") as lines:
        for line in lines:
            fields = line.split()
            count += fields[2] == wanted and fields[3] == "01"
    return count


def wait_for(condition, what):
    end = time.monotonic() + HELD_SECONDS
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"bench: after {HELD_SECONDS} s still not: {what()}")
        time.sleep(0.05)


def hold(contender, role, count):
    """Makes `count` connections to the upstream and leaves them idle; returns how many have stayed, and memory."""
    port, sockets = contender.upstreams[role], []
    for number in range(count):
        if number % AT_ONCE == 0:  # more would be a storm, which is refused
            wait_for(lambda: established(port) >= number, lambda: f"{contender.name} opens {number} connections")
        sockets.append(socket.create_connection(("127.0.0.1", contender.ports[role]), timeout=HELD_SECONDS))
        sockets[-1].sendall(f"POST /hold HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 2\r\n\r\nx".encode())
    wait_for(lambda: established(port) >= count, lambda: f"{contender.name} has {established(port)} of {count} open")
    for held in sockets:
        held.sendall(b"y")
    for held in sockets:
        status, _ = answer_of(held)
        if status != 200:
            sys.exit(f"bench: {contender.name} answers {status} to a call that was held")
        held.close()
    time.sleep(1)  # until it has seen that they are closed
    return established(port), contender.resident_bytes()


def measure_idle(name, folder, core, upstream, plain, args):
    """Fresh processes: idle, warm, and with idle connections to the upstream, with TLS and in clear text."""
    row = {}
    for role in ("aes", "chacha", "clear"):
        contender = TlsContender(name, folder, core, upstream, plain)
        row["idle_bytes"] = contender.idle_bytes()
        hold(contender, role, WARM_UP)
        warmed = contender.resident_bytes()
        kept, held = hold(contender, role, args.idle_tls)
        row[role] = {"kept": kept, "bytes": held, "bytes_per_connection": max(0, held - warmed) / args.idle_tls}
        contender.stop()
        progress(f"idle: {name}, {role}")
    return row


# ---- beside handshakes -----------------------------------------------------------------------------------------


class Handshakes:
    """with Handshakes(...): so many calls a second, each on a new connection, from a program of their own."""

    def __init__(self, contender, core, rate, seconds):
        self.contender, self.arguments = contender, (contender.ports["full"], core, rate, seconds, CONNECTIONS)
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        self.seen = at_rate(*self.arguments)

    def __enter__(self):
        self.thread.start()
        time.sleep(0.3)  # it has begun
        return self

    def __exit__(self, *_):
        self.thread.join()
        wanted = self.arguments[2] * self.arguments[3]
        if sum(self.seen.values()) < 0.9 * wanted:
            print(f"bench: {self.contender.name} made only {sum(self.seen.values())} of {wanted} handshakes in time",
                  file=sys.stderr)


def measure_beside(contenders, core, args):
    seconds, rows = 2, {}
    for contender in contenders:
        rows[contender.name] = {"quiet": {}, "beside": {}, "handshakes": {}, "later": []}
    for number in range(args.beside_runs):
        for contender in random.sample(contenders, len(contenders)):
            row, port = rows[contender.name], contender.ports["plain"]
            quiet = at_rate(port, core, args.beside_rate, seconds, CONNECTIONS)
            with Handshakes(contender, core, args.handshakes, seconds + 1) as handshakes:
                beside = at_rate(port, core, args.beside_rate, seconds, CONNECTIONS)
            for name, histogram in (("quiet", quiet), ("beside", beside), ("handshakes", handshakes.seen)):
                pool(row[name], histogram)
            row["later"].append(percentile(beside, 0.99) - percentile(quiet, 0.99))
        progress(f"beside handshakes: run {number + 1} of {args.beside_runs}")
    return {name: {**{f"{kind}_p{share * 100:.0f}_us": percentile(row[kind], share)
                      for kind in ("quiet", "beside", "handshakes") for share in (0.5, 0.99)},
                   "later_p99_us": quartiles(row["later"])} for name, row in rows.items()}


# ---- the whole -------------------------------------------------------------------------------------------------


def run(args, folder, proxy_core, load_core):
    names = [name for name in args.contenders.split(",") if name in NEEDED]
    both = f"{proxy_core},{load_core}"
    with contextlib.ExitStack() as running:
        def start(contender):
            running.callback(contender.stop)
            return contender

        upstream = start(TlsUpstream(folder, load_core, Authority(folder)))
        plain = start(Responder(folder, load_core, 128))
        (upstream.folder / "sink").mkdir()
        (upstream.folder / "blob").write_bytes(bytes(args.bulk_mib * 2**20))
        idle = {name: measure_idle(name, folder, proxy_core, upstream, plain, args) for name in names} \
            if args.idle_tls else {}
        contenders = [start(TlsContender(name, folder, proxy_core, upstream, plain)) for name in names]
        new = {role: measure_new(contenders, load_core, role, args) for role in ("full", "resumed")}
        bulk = {f"{role} {way}": measure_bulk(contenders, load_core, role, way, args)
                for role in CIPHERS for way in ("down", "up")} if args.bulk_mib else {}
        beside, beside_both = {}, {}
        if args.beside_runs:
            beside = measure_beside(contenders, load_core, args)
            free = [start(TlsContender(name, folder, both, upstream, plain)) for name in names]
            beside_both = measure_beside(free, load_core, args)
    return {"idle": idle, "new": new, "bulk": bulk, "beside": beside, "beside_both": beside_both}


def gates_of(result):
    return GATES if result["beside"] else []


def tell(result):
    settings = result["settings"]
    cycles = f"{settings['cycles']} cycles of {settings['burst']} s; median (quartiles)"
    for role, what in (("full", "full handshakes (the upstream resumes nothing)"), ("resumed", "resumed by ticket")):
        print(f"\nNew TLS connections, one a call, {what}: {CONNECTIONS} callers, {cycles}\n")
        cpu_table(result["new"][role])
    for text, rows in result["bulk"].items():
        role, way = text.split()
        print(f"\nLong bodies {way}, {CIPHERS[role]}: {settings['bulk_mib']} MiB each on one connection, {cycles}\n")
        table(["", "MB/s", "MB/CPU s", "quartiles", "CPU of haproxy", "quartiles"],
              [[name, f"{row['rate'][1]:.0f}", f"{1e6 / row['cpu_us'][1]:.0f}",
                f"{1e6 / row['cpu_us'][2]:.0f}-{1e6 / row['cpu_us'][0]:.0f}", f"{row['ratio'][1]:.3f}",
                f"{row['ratio'][0]:.3f}-{row['ratio'][2]:.3f}"] for name, row in rows.items()])
    if result["idle"]:
        print(f"\nMemory: idle, and per idle connection in the pool ({settings['idle_tls']} were made)\n")
        table(["", "idle MiB", "AES-GCM", "kept", "ChaCha20", "kept", "clear", "kept"],
              [[name, f"{row['idle_bytes'] / 2**20:.1f}",
                *(cell for role in ("aes", "chacha", "clear")
                  for cell in (f"{row[role]['bytes_per_connection']:.0f} B", row[role]["kept"]))]
               for name, row in result["idle"].items()])
    for key, cores in (("beside", "one core"), ("beside_both", "two cores")):
        if not result[key]:
            continue
        print(f"\nCalls without TLS, {settings['beside_rate']}/s, beside {settings['handshakes']} full handshakes/s to "
              f"another target, proxies on {cores}; {settings['beside_runs']} runs of 2 s pooled, in us\n")
        table(["", "quiet p50", "p99", "beside p50", "p99", "later p99", "quartiles", "TLS call p50", "p99"],
              [[name, row["quiet_p50_us"], row["quiet_p99_us"], row["beside_p50_us"], row["beside_p99_us"],
                f"{row['later_p99_us'][1]:.0f}", f"{row['later_p99_us'][0]:.0f}-{row['later_p99_us'][2]:.0f}",
                row["handshakes_p50_us"], row["handshakes_p99_us"]] for name, row in result[key].items()])
