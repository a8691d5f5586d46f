"""Real callers, a real upstream: curl, Python's http.client and Node's fetch, through the proxy to nginx."""

import hashlib
import http.client
import json
import os
import subprocess

import pytest
from harness.client import Client
from harness.ports import free_port
from harness.waiting import wait_until

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_timeout 30s; client_max_body_size 0;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/www;
        location /hello {{ default_type text/plain; return 200 "hello $http_x_name\\n"; }}
        location /down {{ return 503 "down\\n"; }}
        location /upload {{ client_body_in_file_only clean; proxy_pass http://127.0.0.1:{port}/sink; }}
        location /sink {{ return 200 "$content_length\\n"; }}
        location /gzip {{ gzip on; gzip_types text/plain; gzip_min_length 1; alias {folder}/www/; }}
    }}
}}
"""
SIZE = 20_000_000  # a multiple of 256


@pytest.fixture(scope="module")
def nginx(peer, tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    (folder / "www").mkdir(mode=0o755)
    (folder / "www" / "big.txt").write_bytes(bytes(range(256)) * (SIZE // 256))
    user = f"user {os.environ.get('USER', 'root')};" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, user=user))
    process = subprocess.Popen([peer("nginx"), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")],
                               stdin=subprocess.DEVNULL)

    def is_up():
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            with Client(port) as client:
                return client.get("/hello").status == 200
        except OSError:
            return False

    wait_until(is_up)
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


def digest(data):
    return hashlib.sha256(data).hexdigest()


WHOLE = digest(bytes(range(256)) * (SIZE // 256))


@pytest.fixture
def proxy(make_proxy, nginx):
    return make_proxy(nginx, "retry: {attempts: 1, backoff: 1ms}\ncircuitBreaker: {}\nbulkhead: {}").start()


def curl(*arguments, **how):
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", "30", *arguments], capture_output=True,
                          timeout=60, **how)
    exit_code, complaint = done.returncode, done.stderr.decode()
    assert exit_code == 0, complaint
    return done.stdout


def test_curl_gets(proxy):
    assert curl(f"http://127.0.0.1:{proxy.port}/hello", "-H", "X-Name: curl") == b"hello curl\n"


def test_curl_downloads(proxy):
    received = curl(f"http://127.0.0.1:{proxy.port}/big.txt")
    assert digest(received) == WHOLE


def test_curl_gets_a_range(proxy):
    assert curl("-r", "256-259", f"http://127.0.0.1:{proxy.port}/big.txt") == bytes(range(4))


def test_curl_uploads(proxy):
    sent = os.urandom(3_000_000)
    assert curl("-T", "-", "-H", f"Content-Length: {len(sent)}", "-H", "Transfer-Encoding:",
                f"http://127.0.0.1:{proxy.port}/sink", input=sent) == b"3000000\n"


def test_curl_uploads_in_chunks_with_expect(proxy):
    said = curl("-T", "-", "-H", "Expect: 100-continue", "-w", "%{http_code}",
                f"http://127.0.0.1:{proxy.port}/upload", input=os.urandom(3_000_000))
    assert said.endswith(b"200")


def test_curl_sees_a_head(proxy):
    assert b"content-length: %d\r\n" % SIZE in curl("-I", f"http://127.0.0.1:{proxy.port}/big.txt").lower()


def test_curl_uses_it_as_forward_proxy(proxy, nginx):
    said = subprocess.run(["curl", "-sS", "--max-time", "30", "--proxy", f"http://127.0.0.1:{proxy.outbound}",
                           f"http://{nginx}/hello"], capture_output=True, timeout=60)
    assert said.stdout == b"hello \n", said.stderr


def test_curl_tunnels_with_connect(proxy, nginx):
    said = subprocess.run(["curl", "-sS", "--max-time", "30", "--proxytunnel", "--proxy",
                           f"http://127.0.0.1:{proxy.outbound}", f"http://{nginx}/hello"],
                          capture_output=True, timeout=60)
    assert said.stdout == b"hello \n", said.stderr


def test_python_keeps_its_connection(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    for name in ("a", "b", "c"):
        connection.request("GET", "/hello", headers={"X-Name": name})
        response = connection.getresponse()
        assert (response.status, response.read()) == (200, f"hello {name}\n".encode())
    connection.request("GET", "/big.txt")
    assert digest(connection.getresponse().read()) == WHOLE
    connection.request("POST", "/sink", body=iter([b"abc", b"def"]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
    assert connection.getresponse().status == 200
    connection.close()


def test_node_fetches(proxy, peer):
    script = """
        const base = process.argv[1], crypto = require('crypto');
        (async () => {
            const out = {};
            out.hello = await (await fetch(base + '/hello', {headers: {'x-name': 'node'}})).text();
            const big = Buffer.from(await (await fetch(base + '/big.txt')).arrayBuffer());
            out.digest = crypto.createHash('sha256').update(big).digest('hex');
            out.gzip = (await (await fetch(base + '/gzip/big.txt')).arrayBuffer()).byteLength;
            const status = async () => (await fetch(base + '/hello')).status;
            out.statuses = await Promise.all(Array.from({length: 20}, status));
            out.posted = await (await fetch(base + '/sink', {method: 'POST', body: 'x'.repeat(1000)})).text();
            const aborted = new AbortController();
            const pending = fetch(base + '/big.txt', {signal: aborted.signal});
            aborted.abort();
            out.aborted = await pending.then(() => 'no', error => error.name);
            console.log(JSON.stringify(out));
        })();
    """
    done = subprocess.run([peer("node"), "-e", script, f"http://127.0.0.1:{proxy.port}"], capture_output=True,
                          timeout=60)
    exit_code, complaint = done.returncode, done.stderr.decode()
    assert exit_code == 0, complaint
    said = json.loads(done.stdout)
    assert said["hello"] == "hello node\n"
    assert said["digest"] == WHOLE
    assert said["gzip"] == SIZE
    assert said["statuses"] == [200] * 20
    assert said["posted"] == "1000\n"
    assert said["aborted"] == "AbortError"


def test_nginx_that_fails_opens_the_circuit_for_all_of_them(make_proxy, nginx):
    proxy = make_proxy(nginx, "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s}").start()
    for _ in range(3):
        assert curl(f"http://127.0.0.1:{proxy.port}/down") == b"down\n"
    said = curl("-i", f"http://127.0.0.1:{proxy.port}/hello")
    assert said.startswith(b"HTTP/1.1 503") and b"x-outrigger-reason: circuit_open" in said.lower()
