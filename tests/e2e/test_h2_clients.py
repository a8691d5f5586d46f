"""Real callers of HTTP/2: curl, nghttp and h2load, in front of nghttpd (HTTP/2) and of an HTTP/1.1 server."""

import hashlib
import os
import re
import subprocess
import threading

import pytest
from harness.client import Client
from harness.ports import free_port
from harness.upstream import answer, chunked, generated
from harness.waiting import DEADLINE, IS_DEBUG_BUILD, slack, wait_until

MIB = 1024 * 1024
SIZE = (16 if IS_DEBUG_BUILD else 64) * MIB
CALLS = 2_000 if IS_DEBUG_BUILD else 10_000
POLICIES = "retry: {attempts: 1, backoff: 1ms}\ncircuitBreaker: {}\nbulkhead: {}\ntimeouts: {request: 30s}"
TO_HTTP_1 = POLICIES + "\nprotocol: http1"
CHECKSUM = "x-checksum: 42"


class Nghttpd:
    def __init__(self, command, folder):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        # What is sent to it comes back; every answer has a trailer.
        self._log = open(folder / "nghttpd.log", "wb")
        arguments = ["-d", str(folder / "www"), "--echo-upload", "--trailer", CHECKSUM, "-a", "127.0.0.1"]
        self._process = subprocess.Popen([command, "--no-tls", str(self.port), *arguments],
                                         stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        wait_until(self._is_up)

    def _is_up(self):
        assert self._process.poll() is None
        try:
            Client(self.port).close()
            return True
        except OSError:
            return False

    def close(self):
        self._process.terminate()
        self._process.wait(DEADLINE)
        self._log.close()


@pytest.fixture(scope="module")
def big():
    return os.urandom(MIB) * (SIZE // MIB)


@pytest.fixture(scope="module")
def nghttpd(peer, tmp_path_factory, big):
    folder = tmp_path_factory.mktemp("nghttpd")
    (folder / "www").mkdir()
    (folder / "www/hello").write_bytes(b"hello")
    (folder / "www/big").write_bytes(big)
    server = Nghttpd(peer("nghttpd"), folder)
    yield server
    server.close()


class Curl:
    """What curl did: the answer's head, its trailers, and its body."""

    def __init__(self, folder, url, *arguments, prior_knowledge=True, data=None):
        dump = folder / "curl-headers"
        version = ["--http2-prior-knowledge"] if prior_knowledge else []
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(slack(30)), "-D", str(dump), *version,
                               *arguments, url], input=data, capture_output=True)
        exit_code, complaint = done.returncode, done.stderr.decode()
        assert exit_code == 0, complaint
        self.body = done.stdout
        lines, _, tail = dump.read_bytes().decode().partition("\r\n\r\n")
        while lines.split(" ")[1].startswith("1"):
            lines, _, tail = tail.partition("\r\n\r\n")
        self.version, self.status = lines.split(" ")[0], int(lines.split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines.split("\r\n")[1:])
        self.trailers = dict(line.split(": ", 1) for line in tail.split("\r\n") if line)


@pytest.fixture
def curl(tmp_path):
    def run(proxy, path, *arguments, **how):
        return Curl(tmp_path, f"http://127.0.0.1:{proxy.port}{path}", *arguments, **how)

    return run


def digest(data):
    return hashlib.sha256(data).hexdigest()


# ---- curl ------------------------------------------------------------------------------------------------------


def test_curl_gets(start, nghttpd, curl):
    proxy = start(POLICIES, to=nghttpd)
    said = curl(proxy, "/hello")
    assert (said.version, said.status, said.body) == ("HTTP/2", 200, b"hello")
    assert said.headers["via"].startswith("2 outrigger-")


def test_curl_sees_a_head(start, nghttpd, upstream, curl):
    said = curl(start(POLICIES, to=nghttpd), "/big", "-I")
    assert (said.status, said.headers["content-length"]) == (200, str(SIZE))
    upstream.default = answer(200, headers=[("Content-Length", "12345")])
    said = curl(start(TO_HTTP_1), "/", "-I")
    assert (said.status, said.headers["content-length"]) == (200, "12345")
    assert upstream.requests[0].method == "HEAD"


def test_curl_posts(start, nghttpd, upstream, curl):
    assert curl(start(POLICIES, to=nghttpd), "/", "-d", "a=b").body == b"a=b"
    curl(start(TO_HTTP_1), "/", "-d", "a=b")
    request = upstream.requests[0]
    assert (request.method, request.body, request.all("content-length")) == ("POST", b"a=b", ["3"])


def test_curl_downloads(start, nghttpd, curl, big):
    proxy = start(POLICIES, to=nghttpd)
    assert digest(curl(proxy, "/big").body) == digest(big)
    assert IS_DEBUG_BUILD or proxy.memory()[1] < 64 * MIB


def test_curl_downloads_from_http_1(start, upstream, curl):
    upstream.default = generated(SIZE)
    assert digest(curl(start(TO_HTTP_1), "/").body) == digest(bytes(SIZE))


def test_curl_downloads_by_http_1_from_http_2(start, nghttpd, curl, big):
    said = curl(start(POLICIES + "\nprotocol: http2", to=nghttpd), "/big", prior_knowledge=False)
    assert said.version == "HTTP/1.1"
    assert digest(said.body) == digest(big)


@pytest.mark.parametrize("has_length", [True, False], ids=["with its length", "without a length"])
def test_curl_uploads(start, nghttpd, curl, big, has_length, tmp_path):
    proxy = start(POLICIES, to=nghttpd)
    (tmp_path / "sent").write_bytes(big)
    said = curl(proxy, "/", "-T", str(tmp_path / "sent")) if has_length else curl(proxy, "/", "-T", "-", data=big)
    assert digest(said.body) == digest(big)
    assert IS_DEBUG_BUILD or proxy.memory()[1] < 64 * MIB


@pytest.mark.parametrize("has_length", [True, False], ids=["with its length", "without a length"])
def test_curl_uploads_to_http_1(start, upstream, curl, big, has_length, tmp_path):
    proxy = start(TO_HTTP_1)
    (tmp_path / "sent").write_bytes(big)
    said = curl(proxy, "/", "-T", str(tmp_path / "sent")) if has_length else curl(proxy, "/", "-T", "-", data=big)
    request = upstream.requests[0]
    assert (said.status, request.body_sha256.hexdigest()) == (200, digest(big))
    assert request.all("content-length") == ([str(SIZE)] if has_length else [])
    assert request.all("transfer-encoding") == ([] if has_length else ["chunked"])


def test_curl_uploads_by_http_1_to_http_2(start, nghttpd, curl, big):
    said = curl(start(POLICIES + "\nprotocol: http2", to=nghttpd), "/", "-T", "-", prior_knowledge=False, data=big)
    assert digest(said.body) == digest(big)


def test_curl_sees_trailers(start, upstream, curl):
    upstream.default = chunked([b"a", b"b"], trailers=[("X-Checksum", "43")])
    said = curl(start(TO_HTTP_1), "/")
    assert (said.body, said.trailers) == (b"ab", {"x-checksum": "43"})


def test_curl_is_refused_by_name(start, upstream, curl):
    proxy = start(TO_HTTP_1.replace("circuitBreaker: {}", "circuitBreaker: {mode: forceOpen}"))
    said = curl(proxy, "/")
    assert (said.version, said.status, said.headers["x-outrigger-reason"]) == ("HTTP/2", 503, "circuit_open")
    assert b'"error":"circuit_open"' in said.body.replace(b": ", b":")
    assert upstream.requests == []


def test_curl_upgrades_to_nothing(start, upstream, curl):
    # `Upgrade: h2c` is gone from HTTP/2 (RFC 9113 3.1): the call goes on as HTTP/1.1.
    said = curl(start(TO_HTTP_1), "/", "--http2", prior_knowledge=False)
    assert (said.version, said.status, said.body) == ("HTTP/1.1", 200, b"ok")
    assert upstream.requests[0].all("upgrade") == upstream.requests[0].all("http2-settings") == []


# ---- nghttp ----------------------------------------------------------------------------------------------------


def test_nghttp_sends_trailers(start, upstream, peer, tmp_path):
    (tmp_path / "sent").write_bytes(b"data")
    proxy = start(TO_HTTP_1)
    done = subprocess.run([peer("nghttp"), "--no-content-length", "-d", str(tmp_path / "sent"), "--trailer",
                           "x-checksum: 44", f"http://127.0.0.1:{proxy.port}/"], capture_output=True, timeout=slack(20))
    assert done.stdout == b"ok", done
    request = upstream.requests[0]
    assert (request.body, request.trailers) == (b"data", [("x-checksum", "44")])


def test_nghttp_sees_trailers_behind_a_body_of_known_length(start, nghttpd, peer):
    proxy = start(POLICIES, to=nghttpd)
    done = subprocess.run([peer("nghttp"), "-v", f"http://127.0.0.1:{proxy.port}/hello"], capture_output=True,
                          timeout=slack(20), text=True)
    assert ") " + CHECKSUM in done.stdout.split("recv DATA")[1]


def test_nghttp_finds_no_fault_in_what_it_is_sent(start, nghttpd, peer):
    proxy = start(POLICIES, to=nghttpd)
    done = subprocess.run([peer("nghttp"), "-v", "-n", "-m", "20", f"http://127.0.0.1:{proxy.port}/hello"],
                          capture_output=True, timeout=slack(20), text=True)
    assert done.stdout.count(":status: 200") == 20
    assert not re.search(r"PROTOCOL_ERROR|INTERNAL_ERROR|\[INVALID|COMPRESSION", done.stdout)
    sent = done.stdout.split("send ")[0] + "".join(re.findall(r"recv SETTINGS frame.*?\n(?=\[)", done.stdout, re.S))
    assert "SETTINGS_MAX_CONCURRENT_STREAMS(0x03):1000" in sent
    assert "SETTINGS_INITIAL_WINDOW_SIZE(0x04):262144" in sent
    assert re.search(r"SETTINGS_MAX_HEADER_LIST_SIZE\(0x06\):\d+", sent)


# ---- h2load ----------------------------------------------------------------------------------------------------


class H2Load:
    """`calls` calls on 8 connections with 10 streams each; what it said of them."""

    def __init__(self, command, proxy, calls, path="/", *arguments):
        done = subprocess.run([command, "-n", str(calls), "-c", "8", "-m", "10", *arguments,
                               f"http://127.0.0.1:{proxy.port}{path}"], capture_output=True, text=True,
                              timeout=slack(40))
        self.text = done.stdout + done.stderr
        counted = re.search(r"^requests: (.*)$", self.text, re.M)
        assert counted, self.text
        self.counts = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", counted[1])}
        codes = re.search(r"^status codes: (.*)$", self.text, re.M)
        self.codes = {name: int(number) for number, name in re.findall(r"(\d+) (\dxx)", codes[1])}

    def __repr__(self):
        return f"<{self.counts} {self.codes}>"


def all_good(load, calls):
    return (load.counts["succeeded"], load.counts["failed"], load.counts["errored"], load.counts["timeout"],
            load.codes["2xx"]) == (calls, 0, 0, 0, calls)


def test_h2load_to_http_2(start, nghttpd, peer):
    proxy = start(POLICIES, to=nghttpd)
    load = H2Load(peer("h2load"), proxy, CALLS, "/hello")
    assert all_good(load, CALLS), load
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", outcome="success", code="2xx") == CALLS
    assert metrics.sum("outrigger_http2_defences_total") == 0


def test_h2load_to_http_1(start, upstream, peer):
    load = H2Load(peer("h2load"), start(TO_HTTP_1), CALLS // 2)
    assert all_good(load, CALLS // 2), load
    assert len(upstream.requests) == CALLS // 2
    assert upstream.accepted < 200  # its connections are used again


def test_h2load_posts(start, nghttpd, peer, tmp_path):
    (tmp_path / "sent").write_bytes(bytes(20_000))
    load = H2Load(peer("h2load"), start(POLICIES, to=nghttpd), CALLS // 10, "/", "-d", str(tmp_path / "sent"))
    assert all_good(load, CALLS // 10), load


def test_h2load_takes_answers_that_are_larger_than_its_windows(start, upstream, peer):
    upstream.default = answer(200, bytes(200_000))
    load = H2Load(peer("h2load"), start(TO_HTTP_1), CALLS // 20, "/", "-w", "10", "-W", "12")
    assert all_good(load, CALLS // 20), load


def test_h2load_over_a_bulkhead_that_queues(start, nghttpd, peer):
    proxy = start("bulkhead: {maxRequests: 10, maxPending: 100, pendingTimeout: 20s}", to=nghttpd)
    load = H2Load(peer("h2load"), proxy, CALLS // 5, "/hello")
    assert all_good(load, CALLS // 5), load
    assert proxy.metrics().sum("outrigger_bulkhead_inflight") == 0


def test_a_drain_under_h2load_breaks_nothing_off(start, upstream, peer):
    slow = answer(200, b"ok", delay=0.02)

    async def counts(exchange):
        result = await slow(exchange)
        answered.append(exchange.request)
        return result

    answered, load = [], []
    upstream.default = counts
    proxy = start(TO_HTTP_1, spec="drain: {mode: refuse, timeout: 20s}")
    thread = threading.Thread(target=lambda: load.append(H2Load(peer("h2load"), proxy, 100_000)))
    thread.start()
    upstream.wait_for(500)
    proxy.process.terminate()
    assert proxy.wait_exit() == 0
    thread.join(slack(30))
    # What reached the upstream was answered, and each answer reached h2load; the others never left.
    assert load[0].codes["2xx"] == len(upstream.requests) == len(answered), load
    assert load[0].codes["4xx"] == 0


def test_an_answer_that_takes_its_time_survives_a_drain(start, upstream, tmp_path):
    upstream.default = chunked([bytes(10_000)] * 40, interval=0.02)
    proxy = start(TO_HTTP_1, spec="drain: {mode: refuse, timeout: 20s}")
    url, said = f"http://127.0.0.1:{proxy.port}/", []
    thread = threading.Thread(target=lambda: said.append(Curl(tmp_path, url)))
    thread.start()
    upstream.wait_for(1)
    proxy.process.terminate()
    assert proxy.wait_exit() == 0
    thread.join(slack(10))
    assert len(said[0].body) == 400_000
