"""Connections that the kernel redirects to the proxy: the real rules, an app that knows nothing, servers behind a wire."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from harness.grpc_peer import GrpcServer
from harness.interception import APP_UID
from harness.tcp import Echo
from harness.tls import Authority, server_context
from harness.upstream import Upstream, answer
from harness.waiting import slack, wait_until

TALK = """
import socket, ssl, sys
host, port, first = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode().decode("unicode_escape").encode("latin-1")
with socket.create_connection((host, port), timeout=20) as line:
    if sys.argv[4:]:
        context = ssl.create_default_context(cadata=sys.argv[5])
        line = context.wrap_socket(line, server_hostname=sys.argv[4])
    line.sendall(first)
    line.settimeout(20)
    sys.stdout.buffer.write(line.recv(65536))
"""


LINE = """
import socket, sys
line = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
line.sendall(sys.argv[3].encode().decode("unicode_escape").encode("latin-1"))
print("sent", flush=True)
print(line.recv(4096).decode(), flush=True)
sys.stdin.read()
"""


def curl(app, url, *words):
    done = app.run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}", *words, url], uid=APP_UID)
    body, _, code = done.stdout.rpartition("\n")
    return int(code or 0), body, done.returncode, done.stderr


def talk(app, host, port, first="", name=None, authority=None):
    """What a server says to the first words of a plain client, or of one with TLS."""
    tls = [name, authority] if name else []
    done = app.run([sys.executable, "-c", TALK, host, port, first, *tls], uid=APP_UID, check=True, text=False)
    return done.stdout.decode("latin-1")


def test_an_app_that_knows_nothing_is_served_by_the_policies(app, pair, serve, redirected):
    upstream = serve(Upstream)
    upstream.plan(answer(503))
    proxy = redirected("retry: {attempts: 1, backoff: 1ms, budget: {mode: off}}")
    assert curl(app, f"http://{upstream.address}/a")[:2] == (200, "ok")
    assert [request.header("x-outrigger-attempt") for request in upstream.requests] == ["1", "2"]
    assert upstream.requests[0].header("host") == upstream.address
    assert proxy.metrics().sum("outrigger_requests_total", target=upstream.address, outcome="success_after_retry") == 1


def test_ipv6_is_redirected_too(app, pair, serve, redirected):
    upstream = serve(Upstream, host=pair.server.ipv6)
    proxy = redirected()
    assert curl(app, f"http://{upstream.address}/", "--globoff")[0] == 200
    assert proxy.metrics().sum("outrigger_requests_total", target=upstream.address) == 1


def test_host_names_the_target_and_reaches_nothing_that_was_not_dialled(app, serve, redirected):
    dialled, other = serve(Upstream), serve(Upstream)
    proxy = redirected()
    assert curl(app, f"http://{dialled.address}/", "-H", f"Host: {other.address}")[0] == 200
    assert curl(app, f"http://{dialled.address}/", "-H", "Host: payments.shop:1")[0] == 200
    assert (len(dialled.requests), len(other.requests)) == (2, 0)
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", target=f"payments.shop:{dialled.port}") == 1
    assert metrics.sum("outrigger_requests_total", target=f"{other.host}:{dialled.port}") == 1


@pytest.mark.parametrize("outlier", ["", "outlier: {consecutiveFailures: 1}"])
def test_each_address_of_a_target_is_dialled_as_it_was(app, pair, serve, redirected, outlier):
    pair.server.add_address("198.51.100.7")
    pair.server.add_address("198.51.100.8")
    first = serve(Upstream, host="198.51.100.7", port=8080)
    second = serve(Upstream, host="198.51.100.8", port=8080)
    second.default = answer(503)
    redirected(outlier)
    for _ in range(3):
        assert curl(app, "http://198.51.100.7:8080/", "-H", "Host: shop")[0] == 200
        assert curl(app, "http://198.51.100.8:8080/", "-H", "Host: shop")[0] == 503
    assert (len(first.requests), len(second.requests)) == (3, 3)


@pytest.fixture
def shop(pair, serve):
    """Two addresses of one name."""
    for address in ("198.51.100.7", "198.51.100.8"):
        pair.server.add_address(address)
    return [serve(Upstream, host=address, port=8080) for address in ("198.51.100.7", "198.51.100.8")]


def call_shop(app, upstream):
    code, body, _, _ = curl(app, f"http://{upstream.address}/", "-H", "Host: shop")
    return code, "no_endpoint" in body


CHECKED = "healthCheck: {path: /healthz, interval: 100ms, timeout: 100ms, unhealthyThreshold: 2, healthyThreshold: 1%s}"


def wait_health(proxy, upstream, is_well):
    wait_until(lambda: [value for _, value in proxy.metrics().all(
        "outrigger_endpoint_healthy", instance=f"target/healthCheck:{upstream.address}")] == [is_well],
        what=f"{upstream.address} is {'well' if is_well else 'not well'}")


@pytest.mark.parametrize("outlier", ["", "outlier: {}"])
def test_an_address_that_is_known_to_be_unwell_is_refused_while_another_is_well(app, shop, redirected, outlier):
    """So an app that balances by itself tries another; in a panic it gets what it dialled."""
    well, unwell = shop
    unwell.on("/healthz", answer(503))
    proxy = redirected(CHECKED % "" + "\n" + outlier)
    assert [call_shop(app, upstream)[0] for upstream in shop] == [200, 200]
    wait_health(proxy, well, 1)
    wait_health(proxy, unwell, 0)
    assert [call_shop(app, upstream) for upstream in shop] == [(200, False), (503, True)]
    well.on("/healthz", answer(503))
    wait_health(proxy, well, 0)
    assert [call_shop(app, upstream)[0] for upstream in shop] == [200, 200], "none is well: panic is useAll"
    unwell.on("/healthz", answer(200))
    wait_health(proxy, unwell, 1)
    assert [call_shop(app, upstream) for upstream in shop] == [(503, True), (200, False)]


def test_the_only_address_is_refused_when_it_is_unwell_where_the_policy_says_so(app, shop, redirected):
    shop[0].on("/healthz", answer(503))
    proxy = redirected(CHECKED % ", panic: refuse")
    assert call_shop(app, shop[0])[0] == 200
    wait_health(proxy, shop[0], 0)
    assert call_shop(app, shop[0]) == (503, True)


def test_a_panic_about_an_address_that_was_dialled_says_so(app, shop, redirected):
    shop[1].default = answer(503)
    proxy = redirected("outlier: {consecutiveFailures: 1, ejectFor: 60s}")
    assert [call_shop(app, upstream)[0] for upstream in (*shop, shop[1])] == [200, 503, 503]
    assert [line["message"] for line in proxy.logs() if line.get("event") == "outlier_panic"] == [
        "the endpoint that was dialled is ejected, and no other will do: the ejection is ignored"]


@pytest.mark.parametrize("first, is_told", [(r"\0\0\0\x08\x04\xd2\x16\x2f", False), ("", False),
                                            (r"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True)])
def test_beyond_max_connections_what_is_not_known_as_http_is_reset(app, serve, redirected, first, is_told):
    """Nobody but a caller of HTTP/1.1 could read a 503. Its bytes are waited for by the kernel, not by us."""
    echo = serve(Echo, banner=b"hello")
    proxy = redirected("protocol: tcp", spec="limits: {maxConnections: 1}")

    def begin(words):
        return app.popen([sys.executable, "-c", LINE, echo.host, echo.port, words], uid=APP_UID, stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    holder = begin("")
    assert [holder.stdout.readline() for _ in range(2)] == ["sent\n", "hello\n"]
    proxy.process.send_signal(signal.SIGSTOP)  # so that what is said first is there when it is accepted
    caller = begin(first)
    assert caller.stdout.readline() == "sent\n"
    proxy.process.send_signal(signal.SIGCONT)
    said, told = caller.communicate(timeout=slack(10))
    assert ("overloaded" in said) == is_told, said + told
    assert is_told or (said == "" and "ConnectionResetError" in told)
    assert proxy.metrics().sum("outrigger_rejections_total", reason="overloaded") == 1


def test_a_policy_for_a_host_holds_for_redirected_calls(app, serve, redirected):
    upstream = serve(Upstream)
    proxy = redirected("rateLimit: {requests: 1, interval: 60s}")
    assert [curl(app, f"http://{upstream.address}/")[0] for _ in range(2)] == [200, 429]
    assert proxy.metrics().sum("outrigger_rejections_total", reason="rate_limited") == 1


def test_http_2_is_spoken_as_it_was(app, serve, redirected):
    quotes = serve(GrpcServer)
    redirected()
    call = ("import grpc, sys; channel = grpc.insecure_channel(sys.argv[1], [('grpc.enable_http_proxy', 0)]); "
            "print(channel.unary_unary('/shop.Quotes/Get')(b'hello', timeout=20).decode())")
    done = app.run([sys.executable, "-c", call, quotes.address], uid=APP_UID, check=True, timeout=slack(30))
    assert done.stdout == "hello\n"
    assert quotes.calls()[0].meta("x-outrigger-attempt") == "1"


def test_tls_passes_as_it_is_under_the_name_that_it_says(app, serve, redirected, tmp_path):
    authority = Authority(tmp_path)
    upstream = serve(Upstream, tls=server_context(authority.issue("shop.test")))
    proxy = redirected()
    said = talk(app, upstream.host, upstream.port, "GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n", "shop.test",
                pathlib.Path(authority.cert).read_text())
    assert said.startswith("HTTP/1.1 200")
    assert proxy.metrics().sum("outrigger_requests_total", target=f"shop.test:{upstream.port}") == 1
    assert upstream.requests[0].header("x-outrigger-attempt") is None, "nothing was decrypted"


def test_other_protocols_pass_as_they_are(app, serve, redirected):
    echo = serve(Echo)
    proxy = redirected()
    assert talk(app, echo.host, echo.port, r"\0\0\0\x08\x04\xd2\x16\x2f") == "\0\0\0\x08\x04\xd2\x16\x2f"
    assert talk(app, echo.host, echo.port, r"*1\r\n$4\r\nPING\r\n") == "*1\r\n$4\r\nPING\r\n"
    wait_until(lambda: proxy.metrics().sum("outrigger_requests_total", target=echo.address) == 2)


def test_a_server_that_speaks_first_is_heard_within_the_time_of_detection(app, serve, redirected):
    echo = serve(Echo, banner=b"220 hello\r\n")
    redirected()
    began = time.monotonic()
    assert talk(app, echo.host, echo.port) == "220 hello\r\n"
    assert 0.4 < time.monotonic() - began < 0.5 + slack(2)


def test_on_an_opaque_port_nothing_is_waited_for(app, serve, redirected):
    echo = serve(Echo, banner=b"220 hello\r\n", port=3306)
    redirected(spec="detectTimeout: 20s")
    began = time.monotonic()
    assert talk(app, echo.host, 3306) == "220 hello\r\n"
    assert time.monotonic() - began < slack(5)


def test_a_policy_can_say_that_nothing_is_waited_for(app, serve, redirected):
    echo = serve(Echo, banner=b"220 hello\r\n")
    redirected("protocol: tcp", spec="detectTimeout: 20s")
    began = time.monotonic()
    assert talk(app, echo.host, echo.port) == "220 hello\r\n"
    assert time.monotonic() - began < slack(5)


def test_a_request_that_comes_byte_by_byte_is_served(app, serve, redirected):
    upstream = serve(Upstream)
    redirected()
    slow = ("import socket, sys, time\n"
            "with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as line:\n"
            "    for byte in b'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n':\n"
            "        line.sendall(bytes([byte])); time.sleep(0.1)\n"
            "    print(line.recv(100).decode())\n")
    done = app.run([sys.executable, "-c", slow, upstream.host, upstream.port], uid=APP_UID, check=True,
                   timeout=slack(20))
    assert done.stdout.startswith("HTTP/1.1 200")


def test_who_calls_the_port_itself_uses_a_forward_proxy(app, serve, redirected):
    upstream = serve(Upstream)
    redirected()
    assert curl(app, f"http://{upstream.address}/", "-x", "http://127.0.0.1:15001")[0] == 200
    assert curl(app, "http://127.0.0.1:15001/")[0] == 508, "and never itself"


def test_without_the_proxy_the_app_fails_at_once_and_with_it_all_is_well_again(app, serve, redirected):
    upstream = serve(Upstream)
    proxy = redirected()
    url = f"http://{upstream.address}/"
    assert curl(app, url)[0] == 200
    proxy.process.kill()
    proxy.process.wait()
    began = time.monotonic()
    code, _, exit_code, said = curl(app, url)
    assert (code, exit_code) == (0, 7), said
    assert time.monotonic() - began < slack(2)
    proxy.start()
    assert curl(app, url)[0] == 200


def test_a_connect_that_fails_is_told_by_http_and_by_a_reset(app, pair, redirected):
    proxy = redirected()
    code, body, _, _ = curl(app, f"http://{pair.server.ipv4}:9/")
    assert code == 503 and "connect_refused" in body
    done = app.run([sys.executable, "-c", TALK, pair.server.ipv4, "9", r"\0"], uid=APP_UID)
    assert "ConnectionResetError" in done.stderr
    assert proxy.metrics().sum("outrigger_attempts_total", result="connect_failure") == 2


def test_python_and_its_http_client_are_redirected(app, serve, redirected):
    upstream = serve(Upstream)
    redirected()
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=20).status)"
    done = app.run([sys.executable, "-c", fetch, f"http://{upstream.address}/"], uid=APP_UID, check=True)
    assert done.stdout == "200\n"
    assert upstream.requests[0].header("x-outrigger-attempt") == "1"


def test_the_rules_leave_the_proxy_itself_alone(app, serve, redirected):
    upstream = serve(Upstream)
    redirected()
    done = subprocess.run(["curl", "-s", f"http://{upstream.address}/"], capture_output=True, text=True, check=True)
    assert done.stdout == "ok"
    assert upstream.requests[0].header("x-outrigger-attempt") is None
