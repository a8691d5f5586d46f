"""`outrigger run --transparent`: whatever an unmodified program calls comes to the proxy, as root and as anybody else.

The "host" is the namespace `app` of a pair: it has a wire to the servers, and services of its own on loopback.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest

from harness.go import build
from harness.names import NameServer
from harness.open_folder import open_folder
from harness.ports import free_port
from harness.postgres import Postgres, cluster, psql
from harness.proxy import BINARY, policy_document, sanitizer_env
from harness.redis import Redis
from harness.tcp import Echo, Line
from harness.upstream import Upstream, answer
from harness.waiting import DEADLINE, slack, wait_until
from harness.wrapper import descendants, finished, is_gone, proxy_of

pytestmark = pytest.mark.usefixtures("open_checkout")

NOBODY = 65534
RETRY = "retry: {attempts: 2, backoff: 1ms, budget: {mode: off}}"


@pytest.fixture(params=["root", "nobody"])
def uid(request):
    return {"root": 0, "nobody": NOBODY}[request.param]


@pytest.fixture
def nobody():
    return NOBODY


@pytest.fixture
def place(request):
    """Where runs have their temporary folders, and nothing else; at the end of each test all have gone."""
    owner = request.getfixturevalue("uid") if "uid" in request.fixturenames else NOBODY
    with open_folder(owner) as folder:
        yield folder
        wait_until(lambda: list(folder.iterdir()) == [], what="an empty folder")


@pytest.fixture
def policies():
    """policies(text...) writes a folder with one file for each, which everybody may read."""
    with open_folder() as folder:

        def write(*texts):
            for number, text in enumerate(texts):
                (folder / f"{number}.yaml").write_text(text)
            return str(folder)

        yield write


@pytest.fixture
def run(request, app, place):
    """run([OPTION...], COMMAND, ...) starts it in the namespace of the "host"."""
    owner = request.getfixturevalue("uid") if "uid" in request.fixturenames else NOBODY
    started = []

    def start(options, *command, env=None, uid=owner, quiet=True, **how):
        clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
               "cwd": "/", **how}
        process = app.popen([BINARY, "run", "--transparent", *(["-q"] if quiet else []), *options, *command], uid,
                            env={**clean, **sanitizer_env(place / "report"), "TMPDIR": str(place),
                                 "HOME": "/nonexistent", **(env or {})}, **how)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def servers(peer, pair, tmp_path):
    """A name server at the other end of the wire, on port 53."""
    with pair.server.inside(), NameServer(peer("dnsmasq"), tmp_path, host=pair.server.ipv4, port=53) as server:
        yield server


def called(run, options, *command, **how):
    """What the command says, which must go well."""
    code, said, told = finished(run(options, *command, **how))
    assert code == 0, said + told
    return said


def python(text, *arguments):
    return [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]


# clients that know nothing


def test_curl_is_retried_by_name_by_address_and_by_ipv6(run, policies, pair, serve, servers, uid):
    upstream, upstream6 = serve(Upstream), serve(Upstream, host=pair.server.ipv6)
    servers.set("shop.test", [upstream.host])
    upstream.plan(answer(503), answer(200, b"name"), answer(503), answer(200, b"address"))
    upstream6.plan(answer(503), answer(200, b"six"))
    said = called(run, ["-c", policies(policy_document(RETRY)), "--dns", servers.address], "curl", "-sSg",
                  f"http://shop.test:{upstream.port}/", f"http://{upstream.address}/", f"http://{upstream6.address}/")
    assert said == "nameaddresssix"
    assert [request.header("host") for request in upstream.requests] == [f"shop.test:{upstream.port}"] * 2 + [
        upstream.address] * 2


FETCHES = {
    "python": lambda url: python("import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).status)", url),
    "node": lambda url: ["node", "-e", "fetch(process.argv[1]).then(answer => console.log(answer.status))", url],
}


@pytest.mark.parametrize("client", FETCHES)
def test_clients_of_other_languages_are_retried(run, policies, serve, servers, client):
    upstream = serve(Upstream)
    servers.set("shop.test", [upstream.host])
    upstream.plan(answer(503), answer(200))
    options = ["-c", policies(policy_document(RETRY)), "--dns", servers.address]
    assert called(run, options, *FETCHES[client](f"http://shop.test:{upstream.port}/")) == "200\n"
    assert [request.header("x-outrigger-attempt") for request in upstream.requests] == ["1", "2"]


def test_go_is_retried_to_localhost_as_well(run, policies, peer, app):
    """Go heeds no proxy variable for localhost."""
    with contextlib.closing(Upstream()) as upstream, open_folder() as folder:
        program = build(peer("go"), folder)
        upstream.plan(answer(503), answer(200))
        said = called(run, ["-c", policies(policy_document(RETRY))], program, f"http://localhost:{upstream.port}/", 1)
        assert said == "200 new\n"
        assert len(upstream.requests) == 2


def test_redis_is_reached_by_name(run, peer, pair, servers):
    with Redis(peer, pair.server) as redis:
        servers.set("cache.test", [redis.host])
        assert called(run, ["--dns", servers.address], peer("redis-cli"), "-h", "cache.test", "ping") == "PONG\n"


def test_psql_is_served_by_address(run, peer, pair):
    with cluster(peer("initdb")) as data, Postgres(peer, pair.server, data) as postgres:
        postgres.start()
        said = called(run, [], *psql(peer("psql"), postgres.host, str(postgres.port), "-c", "select 41 + 1"))
        assert said == "42\n"


# loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_services_on_the_hosts_loopback_are_reached(run, policies, app, host, uid):
    with contextlib.closing(Upstream(host=host)) as upstream:
        upstream.plan(answer(503), answer(200, b"database"))
        said = called(run, ["-c", policies(policy_document(RETRY))], "curl", "-sSg", f"http://{upstream.address}/")
        assert said == "database"


def test_what_the_command_itself_listens_on_is_its_own(run, app, uid):
    """Also where the host has somebody on the same port."""
    with Echo(banner=b"the host") as echo:
        said = called(run, [], *python("""
            import socket, sys
            port = int(sys.argv[1])
            for address in ("0.0.0.0", "127.0.0.1"):
                with socket.create_server((address, port)) as own, socket.create_connection(("127.0.0.1", port)) as line:
                    own.accept()[0].send(b"the command ")
                    print(line.recv(100).decode(), end="")
            print(socket.create_connection(("127.0.0.1", port)).recv(100).decode())
            """, echo.port))
        assert said == "the command the command the host\n"


def test_where_nobody_listens_a_call_fails_at_once(run, app, uid):
    began = time.monotonic()
    code, said, _ = finished(run([], "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                                 f"http://127.0.0.1:{free_port()}/"))
    assert (code, said) == (0, "503")
    assert time.monotonic() - began < slack(5)


def test_urls_of_targets_and_of_the_proxy_work_in_there(run, policies, serve):
    upstream = serve(Upstream)
    upstream.plan(answer(503), answer(200, b"target "), answer(503), answer(200, b"proxy "))
    folder = policies(policy_document(RETRY, host=upstream.host, port=upstream.port, name="orders"))
    said = called(run, ["-c", folder], "sh", "-c", f"""
        curl -sS "$OUTRIGGER_ORDERS_URL/"; curl -sS -x "$OUTRIGGER_PROXY_URL" http://{upstream.address}/
        curl -sS -o /dev/null -w '%{{http_code}}' "$OUTRIGGER_ADMIN_URL/live" """)
    assert said == "target proxy 200"


# policies


def test_a_breaker_opens_on_a_dead_upstream(run, policies, pair):
    spec = "circuitBreaker: {consecutiveFailures: 2, openFor: 60s}"
    said = called(run, ["-c", policies(policy_document(spec))], "sh", "-c",
                  f"for call in 1 2 3; do curl -sS http://{pair.server.ipv4}:9/; echo; done")
    assert [json.loads(line)["error"] for line in said.split("\n") if line] == ["connect_refused"] * 2 + ["circuit_open"]


def test_host_picks_the_policy(run, policies, serve, servers):
    upstream = serve(Upstream)
    servers.set("a.test", [upstream.host])
    servers.set("b.test", [upstream.host])
    folder = policies(policy_document("rateLimit: {requests: 1, interval: 1h}", host="a.test", name="a"))
    codes = called(run, ["-c", folder, "--dns", servers.address], "curl", "-sS", "-o", "/dev/null", "-o", "/dev/null",
                   "-o", "/dev/null", "-o", "/dev/null", "-w", "%{http_code} ",
                   *(f"http://{name}.test:{upstream.port}/" for name in "aabb"))
    assert codes.split() == ["200", "429", "200", "200"]


# names


ASK = """
import socket, struct, sys
server, transport = sys.argv[1], sys.argv[2]
query = b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4shop\\4test\\0\\0\\1\\0\\1"
if transport == "udp":
    line = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    line.settimeout(20)
    line.connect((server, 53))
    line.send(query)
    answer = line.recv(4096)
else:
    line = socket.create_connection((server, 53), timeout=20)
    line.sendall(struct.pack("!H", len(query)) + query)
    reader = line.makefile("rb")
    answer = reader.read(struct.unpack("!H", reader.read(2))[0])
assert answer[:2] == b"\\x12\\x34"
print(answer[3] & 15, socket.inet_ntoa(answer[-4:]) if answer[3] & 15 == 0 else "")
"""


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_name_queries_go_to_the_server_that_they_are_for(run, pair, servers, transport, uid):
    servers.set("shop.test", ["192.0.2.77"])
    assert called(run, [], *python(ASK, pair.server.ipv4, transport)) == "0 192.0.2.77\n"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("server", ["203.0.113.53", "127.0.0.53", "2001:db8:53::1"])
def test_with_dns_all_queries_go_to_that_server(run, servers, server, transport):
    servers.set("shop.test", ["192.0.2.77"])
    assert called(run, ["--dns", servers.address], *python(ASK, server, transport)) == "0 192.0.2.77\n"


def test_a_name_server_that_is_not_there_fails_a_query_at_once(run, pair):
    began = time.monotonic()
    assert called(run, [], *python(ASK, pair.server.ipv4, "udp")) == "2 \n"
    assert time.monotonic() - began < slack(5)


def test_a_dead_name_server_stalls_nobody_else(run, pair, servers, app):
    servers.set("shop.test", ["192.0.2.77"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 53))
        said = called(run, [], *python("""
            import socket, subprocess, sys
            dead = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(100)]
            for line in dead:
                line.sendto(b"\\x12\\x34\\x01\\0\\0\\1\\0\\0\\0\\0\\0\\0\\1x\\0\\0\\1\\0\\1", ("127.0.0.1", 53))
            subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[2], "udp"], check=True)
            """, ASK, pair.server.ipv4))
    assert said == "0 192.0.2.77\n"


def test_other_udp_is_refused_at_once(run, pair, uid):
    said = called(run, [], *python("""
        import socket, sys
        for port in (443, 8125):
            line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            line.settimeout(20)
            line.connect((sys.argv[1] if port == 443 else "127.0.0.1", port))
            line.send(b"hello")
            try: line.recv(1)
            except ConnectionRefusedError: print("refused")
        """, pair.server.ipv4))
    assert said == "refused\n" * 2


def test_ipv6_has_no_route_in_there_where_the_host_has_none(run, app):
    """Or clients would prefer a family that leads nowhere, and never learn of it."""
    app.ip("-6", "route", "del", "default")
    said = called(run, [], *python("""
        import socket
        line = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        print(line.connect_ex(("2001:db8:9::1", 80)))
        """))
    assert said == "101\n"  # ENETUNREACH


# who it is, and how it ends


def test_the_command_is_who_called_and_sees_no_proxy_variables(run, uid):
    said = called(run, [], "sh", "-c", "id -u; id -g; env | grep -i _proxy= || echo none; grep CapEff /proc/self/status")
    caps = "0" * 16 if uid else None
    lines = said.splitlines()
    assert lines[:3] == [str(uid), str(uid), "none"]
    assert caps is None or lines[3].endswith(caps)


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("no-such-command", 127)])
def test_the_exit_code_is_the_commands(run, script, code, uid):
    assert finished(run([], "sh", "-c", script))[0] == code


def test_signals_reach_the_command_which_decides(run, uid):
    process = run([], *python("""
        import signal, sys, time
        def on(number, frame):
            print(signal.Signals(number).name, flush=True)
            if number == signal.SIGTERM: sys.exit(7)
        for name in ("INT", "TERM", "HUP"): signal.signal(getattr(signal, "SIG" + name), on)
        print("ready", flush=True)
        while True: time.sleep(1)
        """))
    assert process.stdout.readline() == "ready\n"
    for name in ("HUP", "INT", "TERM"):
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.readline() == f"SIG{name}\n"
    assert finished(process)[0] == 7


@pytest.mark.parametrize("how", ["end", "term", "kill"])
def test_nothing_stays(run, place, how, uid):
    process = run(["--publish", str(free_port())], "sh", "-c", "echo up; read -r line", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    pids = descendants(process.pid)
    assert len(pids) == 3  # the command, the proxy, the door
    if how == "end":
        process.stdin.close()
        process.wait(DEADLINE)
    else:
        process.send_signal({"term": signal.SIGTERM, "kill": signal.SIGKILL}[how])
        process.wait(DEADLINE)
    wait_until(lambda: all(map(is_gone, pids)))
    wait_until(lambda: list(place.iterdir()) == [])


def test_the_end_of_the_proxy_is_told_and_calls_fail_at_once(run, serve):
    upstream = serve(Upstream)
    process = run([], "sh", "-c", f"echo up; read -r line; curl -sS http://{upstream.address}/; exit $?",
                  stdin=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    os.kill(proxy_of(process), signal.SIGKILL)
    assert "the proxy ended by itself (signal 9)" in process.stderr.readline()
    process.stdin.write("\n")
    code, _, told = finished(process)
    assert code == 7, told  # curl: could not connect


# published ports


SERVE = """
import socket, sys
with socket.create_server((sys.argv[2], int(sys.argv[1])),
                          family=socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET,
                          dualstack_ipv6=":" in sys.argv[2]) as own:
    print("up", flush=True)
    while True:
        line = own.accept()[0]
        line.send(b"hello " + line.recv(100))
        line.close()
"""


@pytest.mark.parametrize("inside", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_published_port_leads_to_the_commands_server(run, app, uid, inside):
    port = free_port()
    process = run(["--publish", str(port)], *python(SERVE, port, inside))
    assert process.stdout.readline() == "up\n"
    for name in (b"one", b"two"):
        with socket.create_connection(("127.0.0.1", port), timeout=slack(10)) as line:
            line.sendall(name)
            assert line.recv(100) == b"hello " + name


def test_a_published_port_of_nobody_ends_its_callers(run, app):
    port = free_port()
    process = run(["--publish", str(port)], "sh", "-c", "echo up; read -r line", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    with Line(port) as line:
        assert line.is_reset(), "and it does not come back to itself by the proxy"


def test_without_publish_a_port_of_the_command_is_not_the_hosts(run, app):
    port = free_port()
    process = run([], *python(SERVE, port, "0.0.0.0"))
    assert process.stdout.readline() == "up\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=slack(10))


def test_a_published_port_that_is_taken_is_told_and_nothing_runs(run, app, place):
    with Echo() as echo:
        code, _, told = finished(run(["--publish", str(echo.port)], "touch", str(place / "trace")))
        assert code == 2 and f"--publish {echo.port}" in told and "ss -ltnp" in told


def test_what_is_set_up_is_said(run):
    port = free_port()
    code, said, told = finished(run(["--publish", str(port)], "true", quiet=False))
    assert (code, said) == (0, "") and f"all that true calls by TCP comes to it; published: 127.0.0.1:{port}\n" in told
    assert "no port is published (--publish PORT)\n" in finished(run([], "true", quiet=False))[2]


# refusals


FORBID = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
uid, gid = os.geteuid(), os.getegid()
assert libc.unshare(0x10000000) == 0
for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
    with open(f"/proc/self/{name}", "w") as file: file.write(text)
with open(f"/proc/sys/user/{sys.argv[1]}", "w") as file: file.write("0")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("limit", ["max_user_namespaces", "max_net_namespaces"])
def test_where_namespaces_are_not_to_be_had_the_setting_is_named(app, place, limit):
    """In a user namespace of the test's own, so nobody else meets the limit."""
    trace = place / "trace"
    done = app.run([*python(FORBID, limit), BINARY, "run", "--transparent", "touch", trace], uid=NOBODY, cwd="/",
                   env={**os.environ, **sanitizer_env(place / "report"), "TMPDIR": str(place)})
    assert (done.returncode, done.stdout) == (2, "") and not trace.exists()
    assert f"sysctl -w user.{limit}=" in done.stderr
    assert "--transparent" in done.stderr and "HTTP_PROXY" in done.stderr


def test_without_outrigger_init_it_says_what_is_missing(app, place):
    with open_folder() as folder:
        alone = folder / "outrigger"
        shutil.copy(BINARY, alone)
        done = app.run([alone, "run", "--transparent", "true"], uid=NOBODY, cwd="/",
                       env={**os.environ, **sanitizer_env(place / "report"), "TMPDIR": str(place)})
    assert done.returncode == 2
    assert f"{folder}/outrigger-init is not there" in done.stderr


@pytest.mark.parametrize("arguments", [["--publish", "80", "true"], ["--transparent", "--publish", "0", "true"],
                                       ["--transparent", "--publish", "8080x", "true"], ["--transparent", "--demo"],
                                       ["--transparent", *["--publish", "1"] * 17, "true"], ["--transparent"]])
def test_bad_usage_is_told_with_what_to_do(arguments):
    done = subprocess.run([BINARY, "run", *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and "Try: outrigger run" in done.stderr


def test_help_fits_a_screen():
    done = subprocess.run([BINARY, "run", "--transparent", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and len(done.stdout.splitlines()) <= 32
    assert max(map(len, done.stdout.splitlines())) <= 100 and "--publish" in done.stdout


# sockets that a proxy was started with


INHERITED = """apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {name: inherited}
spec:
  outbound: {listen: ""}
  admin: {listen: ""}
  listeners: [{listen: "fd:%d", upstream: "%s"}]
"""


def test_a_proxy_serves_a_listening_socket_that_it_was_started_with(upstream, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as door:
        (tmp_path / "proxy.yaml").write_text(INHERITED % (door.fileno(), upstream.address))
        process = subprocess.Popen([BINARY, "proxy", "-c", str(tmp_path)], stderr=subprocess.DEVNULL,
                                   pass_fds=[door.fileno()])
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{door.getsockname()[1]}/", timeout=slack(10)) as response:
                assert response.read() == b"ok"
        finally:
            process.terminate()
            assert process.wait(DEADLINE) == 0


@pytest.mark.parametrize("options, told", [([], "fd:900: there is no such descriptor"),
                                           (["--relay-dns", "2"], "a descriptor from 3 up"),
                                           (["--relay-dns", "x"], "a descriptor from 3 up"),
                                           (["--relay-dns", "9"], "descriptor 9 is no UDP socket")])
def test_a_socket_that_was_not_left_to_a_proxy_is_told(tmp_path, options, told):
    port = free_port()
    config = INHERITED % (900, "a:1") if not options else INHERITED.replace("fd:%d", "127.0.0.1:%d") % (port, "a:1")
    (tmp_path / "proxy.yaml").write_text(config)
    done = subprocess.run([BINARY, "proxy", "-c", str(tmp_path), *options], capture_output=True, text=True,
                          timeout=slack(20))
    assert done.returncode == 2 and told in done.stderr
