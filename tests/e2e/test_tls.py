"""TLS to upstreams: who is trusted, what is told of who is not, certificates that change."""

import contextlib
import socket
import ssl
import subprocess
import threading

import pytest
from harness.client import DEADLINE, Client, encode
from harness.nginx import Nginx
from harness.ports import free_port
from harness.proxy import Load, policy_document
from harness.tls import Authority, self_signed, server_context
from harness.upstream import Upstream, answer, chunked, websocket_echo
from harness.waiting import wait_until

NAME = "localhost"  # a name that every machine resolves to the upstream's address


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def serve():
    """serve(pair, **how): an upstream that speaks TLS with that certificate."""
    made = []

    def make(pair, **how):
        made.append(Upstream(tls=server_context(pair, **how)))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def through(make_proxy):
    """through(server, tls): a proxy in front of it, under that tls block."""

    def make(server, tls, more="", **how):
        port = getattr(server, "port", server)
        return make_proxy(f"{NAME}:{port}", f"tls: {tls}\n{more}", **how).start()

    return make


def test_a_good_chain_is_spoken_to(authority, serve, through):
    server = serve(authority.issue(NAME))
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    for _ in range(3):
        response = proxy.get()
        assert (response.status, response.body) == (200, b"ok")
    assert len({request.connection for request in server.requests}) == 1  # one handshake, then the pool
    assert proxy.post("/", b"x" * 300_000).status == 200
    assert server.requests[-1].body == b"x" * 300_000


def test_files_are_found_from_the_folder_of_the_policy(authority, serve, make_proxy):
    server = serve(authority.issue(NAME))
    proxy = make_proxy(f"{NAME}:{server.port}", "tls: {caFile: certs/ca.pem}")
    (proxy.config / "certs").mkdir()
    (proxy.config / "certs/ca.pem").write_bytes(authority.cert.read_bytes())
    assert proxy.start().get().status == 200


REFUSED = {
    "another name": (lambda authority, folder: authority.issue("else.test"), "tls_name_mismatch", "else.test"),
    "expired": (lambda authority, folder: authority.issue(NAME, days=-1), "tls_expired", "expired"),
    "self-signed": (lambda authority, folder: self_signed(folder, NAME), "tls_untrusted", ""),
    "another authority": (lambda authority, folder: Authority(folder, "other").issue(NAME), "tls_untrusted", ""),
    "not for servers": (lambda authority, folder: authority.issue(NAME, usage="clientAuth"), "tls_untrusted", ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_cannot_be_trusted_is_refused_by_name(authority, serve, through, tmp_path, case):
    make, reason, words = REFUSED[case]
    server = serve(make(authority, tmp_path))
    proxy = through(server, f"{{caFile: {authority.cert}}}", "retry: {attempts: 0}")
    response = proxy.get()
    assert (response.status, response.reason) == (503, reason)
    assert words in response.header("proxy-status")
    assert server.requests == []
    assert proxy.metrics().sum("outrigger_rejections_total", reason=reason) == 1
    assert proxy.metrics().sum("outrigger_tls_handshakes_total", result="failed") == 1
    assert reason in proxy.stderr()


def test_an_upstream_without_tls_is_never_spoken_to_in_clear(upstream, authority, through):
    proxy = through(upstream, f"{{caFile: {authority.cert}}}", "timeouts: {connect: 300ms}")
    assert proxy.get().reason in ("tls_failure", "connect_timeout")  # it makes no sense of our first bytes
    assert upstream.requests == []


def test_a_server_that_never_answers_the_handshake_is_a_connect_timeout(authority, through):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = through(silent.getsockname()[1], f"{{caFile: {authority.cert}}}", "timeouts: {connect: 300ms}")
        response = proxy.get()
        assert (response.status, response.reason) == (503, "connect_timeout")


def test_a_name_of_its_own_is_asked_for_and_verified(authority, serve, through):
    server = serve(authority.issue("shop.internal"))
    assert through(server, f"{{caFile: {authority.cert}, serverName: shop.internal}}").get().status == 200
    assert through(server, f"{{caFile: {authority.cert}, serverName: else.internal}}").get().reason == "tls_name_mismatch"


def test_an_identity_is_verified_instead_of_the_name(authority, serve, through):
    identity = "spiffe://cluster.local/ns/shop/sa/pay"
    server = serve(authority.issue("URI:" + identity))
    good = through(server, f'{{caFile: {authority.cert}, subjectAltNames: ["{identity}", other.test]}}')
    assert good.get().status == 200
    bad = through(server, f'{{caFile: {authority.cert}, subjectAltNames: ["{identity}2"]}}')
    assert bad.get().reason == "tls_name_mismatch"


def test_an_address_is_verified_as_one(authority, serve, make_proxy):
    server = serve(authority.issue("IP:127.0.0.1"))
    policy = f"tls: {{caFile: {authority.cert}}}"
    assert make_proxy(server.address, policy).start().get().status == 200
    other = serve(authority.issue("IP:127.0.0.9"))
    assert make_proxy(other.address, policy).start().get().reason == "tls_name_mismatch"


# ---- mutual ----------------------------------------------------------------------------------------------------


def mutual(authority, pair):
    return f"{{mode: mutual, caFile: {authority.cert}, certFile: {pair.cert}, keyFile: {pair.key}}}"


def test_a_certificate_of_ours_is_shown_where_the_policy_says_so(authority, serve, through):
    server = serve(authority.issue(NAME), clients=authority)
    ours = authority.issue("me.test", usage="clientAuth")
    assert through(server, mutual(authority, ours)).get().status == 200
    response = through(server, f"{{caFile: {authority.cert}}}").get()
    assert (response.status, response.reason) == (503, "tls_client_cert")


def test_a_certificate_of_ours_that_is_not_trusted_is_told(authority, serve, through, tmp_path):
    server = serve(authority.issue(NAME), clients=authority)
    stranger = Authority(tmp_path, "stranger").issue("me.test", usage="clientAuth")
    response = through(server, mutual(authority, stranger)).get()
    assert (response.status, response.reason) == (503, "tls_client_cert")


def test_no_call_fails_while_certificates_are_rotated(authority, serve, through, tmp_path):
    server = serve(authority.issue(NAME), clients=authority)
    stem = tmp_path / "ours"
    ours = authority.issue("me.test", usage="clientAuth", into=stem)
    proxy = through(server, mutual(authority, ours))
    with Load(proxy, callers=4, pause=0.002) as load:
        for _ in range(5):
            load.wait_calls(30)
            authority.issue("me.test", usage="clientAuth", into=stem)
            reloads = proxy.metrics().sum("outrigger_config_reloads_total", result="success")
            wait_until(lambda: proxy.metrics().sum("outrigger_config_reloads_total", result="success") > reloads,
                       what="the new certificate read")
        load.wait_calls(30)
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}


def test_a_certificate_that_cannot_be_used_changes_nothing(authority, serve, through, tmp_path):
    server = serve(authority.issue(NAME), clients=authority)
    ours = authority.issue("me.test", usage="clientAuth", into=tmp_path / "ours")
    proxy = through(server, mutual(authority, ours))
    assert proxy.get().status == 200
    ours.key.write_text("no key at all\n")
    wait_until(lambda: "config_reload_failed" in proxy.stderr(), what="the failed reload")
    assert "OUT0109" in proxy.stderr() and "keyFile" in proxy.stderr()
    assert proxy.get().status == 200


# ---- files that change -----------------------------------------------------------------------------------------


def reloads(proxy):
    return proxy.metrics().sum("outrigger_config_reloads_total", result="success")


@pytest.mark.parametrize("alpn", [["http/1.1"], ["h2", "http/1.1"]], ids=["http/1.1", "http/2"])
def test_a_connection_is_not_used_again_when_its_authority_is_not_trusted_any_more(authority, through, peer, tmp_path,
                                                                                   alpn):
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.cert.read_bytes())
    with Nginx(peer("nginx"), tmp_path, authority.issue(NAME), http2="h2" in alpn) as server:
        proxy = through(server, f"{{caFile: {trusted}}}", "retry: {attempts: 0}")
        assert [proxy.get().status for _ in range(2)] == [200, 200]
        before = reloads(proxy)
        trusted.write_bytes(Authority(tmp_path, "other").cert.read_bytes())
        wait_until(lambda: reloads(proxy) > before, what="the new authority read")
        assert proxy.get().reason == "tls_untrusted"


def serial_of(pair):
    done = subprocess.run(["openssl", "x509", "-in", pair.cert, "-noout", "-serial"], capture_output=True, text=True)
    return int(done.stdout.strip().removeprefix("serial="), 16)


def tells_serial(exchange):
    """A script: the body is the serial of the certificate that the caller has shown."""
    return answer(200, exchange.writer.get_extra_info("peercert")["serialNumber"].encode())(exchange)


def test_a_new_certificate_is_shown_from_the_next_call_on_and_what_is_under_way_ends_undisturbed(
        authority, serve, through, tmp_path):
    server = serve(authority.issue(NAME), clients=authority)
    server.default = tells_serial
    server.on("/long", chunked([b"x" * 1000] * 40, interval=0.05))
    ours = authority.issue("me.test", usage="clientAuth", into=tmp_path / "ours")
    proxy = through(server, mutual(authority, ours))
    assert int(proxy.get().body, 16) == serial_of(ours)
    with proxy.client() as client:
        client.send(encode("GET", "/long"))
        response = client.read_head()
        before = reloads(proxy)
        authority.issue("me.test", usage="clientAuth", into=tmp_path / "ours")
        wait_until(lambda: reloads(proxy) > before, what="the new certificate read")
        assert int(proxy.get().body, 16) == serial_of(ours)
        client.read_body(response)
        assert response.body == b"x" * 40_000
    assert int(proxy.get().body, 16) == serial_of(ours)


def test_a_certificate_that_changes_while_others_are_read_is_not_missed(authority, serve, make_proxy, tmp_path):
    server = serve(authority.issue(NAME), clients=authority)
    server.default = tells_serial
    ours = authority.issue("me.test", usage="clientAuth", into=tmp_path / "ours")
    many = tmp_path / "many.pem"  # so many authorities that the time to read them can be hit
    many.write_bytes(authority.cert.read_bytes() * 400)
    proxy = make_proxy(f"{NAME}:{server.port}", "\n---\n".join([
        policy_document(f"tls: {mutual(authority, ours)}", NAME, name="a"),
        policy_document(f"tls: {{caFile: {many}}}", "else.test", name="b")])).start()
    usual = proxy.threads()
    for turn in range(4):
        before = reloads(proxy)
        shown = authority.issue("me.test", usage="clientAuth", into=tmp_path / "next")
        with open(many, "a") as file:
            file.write("\n")
        wait_until(lambda: proxy.threads() > usual or reloads(proxy) > before, what="a thread that reads")
        for fresh, path in zip(shown, ours):
            fresh.rename(path)
        wait_until(lambda: reloads(proxy) > before, what="a reload")
        wait_until(lambda: int(proxy.get().body, 16) == serial_of(ours), what=f"certificate {turn} in use")


# ---- what is agreed on -----------------------------------------------------------------------------------------


def test_http_1_is_spoken_where_the_upstream_chooses_it(authority, serve, through):
    server = serve(authority.issue(NAME), alpn=["http/1.1"])
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    assert [proxy.get().status for _ in range(3)] == [200] * 3


def test_http_2_that_is_asked_for_and_not_spoken_is_a_tls_failure(authority, serve, make_proxy):
    server = serve(authority.issue(NAME), alpn=["http/1.1"])
    proxy = make_proxy(f"{NAME}:{server.port}", f"tls: {{caFile: {authority.cert}}}", protocol="http2").start()
    response = proxy.get()
    assert (response.status, response.reason) == (503, "tls_failure")


def test_a_websocket_goes_by_http_1_over_tls(authority, serve, through):
    server = serve(authority.issue(NAME), alpn=["h2", "http/1.1"])
    server.on("/ws", websocket_echo())
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    with proxy.client() as client:
        client.send(encode("GET", "/ws", [("Connection", "Upgrade"), ("Upgrade", "websocket"),
                                          ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                                          ("Sec-WebSocket-Version", "13")]))
        assert client.read_response().status == 101


def test_a_connect_tunnel_is_left_alone(authority, serve, through):
    server = serve(authority.issue(NAME))
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    with Client(proxy.outbound) as client:
        client.send(f"CONNECT {NAME}:{server.port} HTTP/1.1\r\nHost: {NAME}:{server.port}\r\n\r\n".encode())
        assert client.read_response("CONNECT").status == 200
        context = ssl.create_default_context(cafile=str(authority.cert))
        client.socket.settimeout(10)
        with context.wrap_socket(client.socket, server_hostname=NAME) as inner:
            inner.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert inner.recv(64).startswith(b"HTTP/1.1 200")


# ---- being loud ------------------------------------------------------------------------------------------------


def test_no_verification_is_possible_and_loud(serve, through, tmp_path):
    server = serve(self_signed(tmp_path, "anything"))
    proxy = through(server, "{insecureSkipVerify: true}")
    assert proxy.get().status == 200
    assert "OUT0424" in proxy.stderr()
    assert proxy.metrics().sum("outrigger_tls_unverified") == 1


def test_tls_that_is_switched_on_by_a_reload_holds_for_the_next_call(authority, serve, make_proxy):
    server = serve(authority.issue(NAME))
    proxy = make_proxy(f"{NAME}:{server.port}", "retry: {attempts: 0}").start()
    assert proxy.get().status != 200  # clear text to a TLS server
    proxy.set_policy(f"tls: {{caFile: {authority.cert}}}")
    wait_until(lambda: proxy.get().status == 200, what="TLS after the reload")


def test_a_session_is_resumed(authority, serve, through):
    server = serve(authority.issue(NAME))
    server.default = answer(200, keep=False)
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    assert [proxy.get().status for _ in range(3)] == [200] * 3
    assert proxy.metrics().sum("outrigger_tls_handshakes_total", result="resumed") == 2
    assert proxy.metrics().sum("outrigger_tls_handshakes_total", result="full") == 1


def test_it_speaks_to_openssl(authority, through):
    pair, port = authority.issue(NAME), free_port()
    with subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", pair.cert, "-key", pair.key,
                           "-www", "-quiet"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            proxy = through(port, f"{{caFile: {authority.cert}}}")
            wait_until(lambda: proxy.get().status == 200, what="an answer of openssl's")
        finally:
            process.kill()


@pytest.mark.parametrize("http2, offer, spoken", [(True, "", b"HTTP/2.0"), (False, "", b"HTTP/1.1"),
                                                  (True, ", alpn: [http/1.1]", b"HTTP/1.1"),
                                                  (True, ", alpn: [h2]", b"HTTP/2.0")],
                         ids=["http/2", "http/1.1", "http/1.1 alone", "http/2 alone"])
def test_alpn_chooses_with_nginx(authority, through, peer, tmp_path, http2, offer, spoken):
    with Nginx(peer("nginx"), tmp_path, authority.issue(NAME), http2=http2) as server:
        proxy = through(server, f"{{caFile: {authority.cert}{offer}}}")
        assert {proxy.get().body for _ in range(5)} == {spoken}


class HalfCloser(threading.Thread):
    """Speaks TLS, switches protocols, ends its side, and hears how the other side ends: `heard` and `ending`."""

    def __init__(self, context):
        super().__init__()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(DEADLINE)
        self.port = self.door.getsockname()[1]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.heard, self.ending = b"", None

    def until_done(self, step):
        """Carries bytes between socket and TLS until step() needs no more of them."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if self.outgoing.pending:
                    self.line.sendall(self.outgoing.read())
                received = self.line.recv(65536)
                self.incoming.write(received) if received else self.incoming.write_eof()

    def run(self):
        self.line, _ = self.door.accept()
        with self.door, self.line:
            self.line.settimeout(DEADLINE)
            self.until_done(self.tls.do_handshake)
            self.until_done(lambda: self.tls.read(65536))
            self.tls.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
            self.line.sendall(self.outgoing.read())
            self.line.shutdown(socket.SHUT_WR)
            self.ending = "cut"
            try:
                while piece := self.until_done(lambda: self.tls.read(65536)):
                    self.heard += piece
            except ssl.SSLZeroReturnError:  # close_notify
                self.ending = "said"


def test_a_tunnel_over_tls_says_its_end_to_who_has_ended_first(authority, through):
    server = HalfCloser(server_context(authority.issue(NAME)))
    server.start()
    proxy = through(server, f"{{caFile: {authority.cert}}}")
    with proxy.client() as client:
        client.send(encode("GET", "/ws", [("Connection", "Upgrade"), ("Upgrade", "websocket")]))
        assert client.read_response().status == 101
        assert client.socket.recv(1) == b""  # the upstream's end has come through
        client.send(b"last words")
        client.socket.shutdown(socket.SHUT_WR)
        server.join(DEADLINE)
    assert (server.heard, server.ending) == (b"last words", "said")
