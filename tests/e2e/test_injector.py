"""outrigger injector: the admission webhook over real TLS."""

import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

import jsonpatch
import pytest
import yaml

from harness.injector import NAME, Injector, admission_review, patch_of, pod
from harness.manifests import Loader, templates
from harness.proxy import BINARY
from harness.tls import Authority
from harness.waiting import slack, wait_until

MIB = 1 << 20
GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/inject"
UNREADABLE = {"bad-yaml", "duplicate-key", "laughs"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def make_injector(tmp_path, authority):
    made = []

    def make(*options, pair=None):
        made.append(Injector(tmp_path, pair or authority.issue(NAME), authority, *options))
        return made[-1]

    yield make
    for injector in made:
        if getattr(injector, "process", None) and injector.process.poll() is None:
            assert injector.stop() == 0, injector.stderr()


@pytest.fixture
def injector(make_injector):
    return make_injector().start()


@pytest.fixture(scope="module")
def lasting_injector(tmp_path_factory, authority):
    injector = Injector(tmp_path_factory.mktemp("injector"), authority.issue(NAME), authority).start()
    yield injector
    assert injector.stop() == 0, injector.stderr()


# ---- reviews ----

def test_a_pod_is_patched_and_its_uid_comes_back(injector):
    review = injector.review(pod(), uid="705ab4f5-6393-11e8-b7cc-42010a800002")
    assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert review["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert "outrigger-init" in json.dumps(patch_of(review)) and "startupProbe" in json.dumps(patch_of(review))
    assert injector.metric("reviews_total", '{result="patched"}') == 1


def test_who_opts_out_is_allowed_without_a_patch(injector):
    response = injector.review(pod(labels={"outrigger.dev/inject": "false"}))["response"]
    assert response["allowed"] is True and "patch" not in response
    assert injector.metric("reviews_total", '{result="skipped"}') == 1


def test_an_annotation_that_does_not_parse_is_a_warning_that_names_it_and_no_patch(injector):
    response = injector.review(pod(annotations={"outrigger.dev/opaque-ports": "80,http"}))["response"]
    assert response["allowed"] is True and "patch" not in response
    assert any("outrigger.dev/opaque-ports" in text and "http" in text for text in response["warnings"])
    assert injector.metric("reviews_total", '{result="refused"}') == 1


def review_text(**other):
    return json.dumps({**admission_review(pod(), uid="u"), **other}).encode()


NO_REVIEWS = {
    "nothing": b"", "half": b"{", "a list": b"[]", "null": b"null", "an empty object": b"{}",
    "no request": b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
    "an empty request": review_text(request={}), "binary": b"\x00\xff", "deep": b"[" * 100_000,
    "another version": review_text(apiVersion="admission.k8s.io/v1beta1"), "another kind": review_text(kind="Review"),
    "a pod without spec": json.dumps(admission_review({"kind": "Pod"}, uid="u")).encode(),
    "a list for a pod": json.dumps(admission_review([], uid="u")).encode(),
}


@pytest.mark.parametrize("body", NO_REVIEWS.values(), ids=NO_REVIEWS.keys())
def test_what_is_no_review_of_a_pod_is_no_patch(injector, body):
    status, answer = injector.post(body)
    if status == 200:  # a review, but of nothing that can be patched
        response = json.loads(answer)["response"]
        assert response["allowed"] is True and "patch" not in response and response["warnings"]
    else:
        assert status == 400 and len(answer) > 10
    assert "patch" not in answer.decode(errors="replace") or status == 200
    assert injector.review(pod())["response"]["patch"]


def test_a_body_of_ten_megabytes_is_refused_and_disturbs_nobody(injector):
    try:
        status, _ = injector.post(b" " * (10 * MIB))
    except OSError:  # it closed before it had read all
        status = 413
    assert status == 413
    assert injector.review(pod())["response"]["patch"]


def test_a_review_of_three_megabytes_is_served(injector):
    large = pod(annotations={f"note-{number}": "x" * 1024 for number in range(3 * 1024)})
    assert patch_of(injector.review(large))


def test_only_what_is_there_is_served(injector):
    connection = injector.connect()
    connection.request("GET", "/inject")
    assert connection.getresponse().status == 405
    assert injector.post(b"{}", path="/other")[0] == 404
    assert [injector.plain(path)[0] for path in ("/live", "/ready", "/metrics", "/inject", "/")] == [200] * 3 + [404] * 2


def test_a_connection_serves_many_reviews(injector):
    connection = injector.connect()
    before = connection.sock
    assert len({injector.review(pod(name=f"pod-{number}"), connection=connection)["response"]["uid"]
                for number in range(50)}) == 50
    assert connection.sock is before


def test_many_at_once_are_all_served(injector):
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        reviews = list(pool.map(lambda number: injector.review(pod(name=f"pod-{number}")), range(200)))
    assert all(review["response"]["patch"] for review in reviews)
    assert injector.metric("reviews_total", '{result="patched"}') == 200


def test_settings_of_the_command_line_are_defaults(make_injector):
    injector = make_injector("--set", "interception=none", "--set", "image=registry.test/outrigger:7").start()
    text = json.dumps(patch_of(injector.review(pod())))
    assert "registry.test/outrigger:7" in text and "HTTP_PROXY" in text and "NET_ADMIN" not in text


# ---- the same as offline ----

def golden_pods(name):
    """The templates of pods in a golden file, each as a pod."""
    (path,) = (GOLDEN / name).glob("input.*")
    for document in yaml.load_all(path.read_text(encoding="utf-8-sig"), Loader):
        for _, template in templates(document):
            words = {key: template[key] for key in ("metadata", "spec") if template.get(key) is not None}
            yield json.loads(json.dumps({"apiVersion": "v1", "kind": "Pod", **words}))  # aliases share, pods do not


def offline(obj):
    done = subprocess.run([BINARY, "inject", "-f", "-"], input=json.dumps(obj), capture_output=True, text=True,
                          timeout=20)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", sorted({path.name for path in GOLDEN.iterdir()} - UNREADABLE))
def test_a_pod_becomes_what_it_becomes_offline(lasting_injector, name):
    for obj in golden_pods(name):
        response = lasting_injector.review(obj)["response"]
        patched = jsonpatch.apply_patch(obj, patch_of({"response": response})) if "patch" in response else obj
        assert patched == offline(obj)


def test_the_golden_pods_are_there():
    assert sum(len(list(golden_pods(path.name))) for path in GOLDEN.iterdir() if path.name not in UNREADABLE) > 30


# ---- TLS ----

def test_it_speaks_tls_1_2_and_http_1_1_only(injector):
    context = injector.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(("127.0.0.1", injector.port)) as plain:
        with context.wrap_socket(plain, server_hostname=NAME) as tls:
            assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.2", "http/1.1")
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{injector.port}", "-tls1_1", "-cipher",
                           "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    assert done.returncode != 0
    wait_until(lambda: injector.metric("handshakes_failed_total") >= 1)


def test_bytes_that_are_no_tls_are_refused(injector):
    with socket.create_connection(("127.0.0.1", injector.port), timeout=5) as plain:
        plain.sendall(b"POST /inject HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        received = b""
        while chunk := plain.recv(4096):
            received += chunk
    assert b"HTTP/" not in received
    assert injector.review(pod())["response"]["patch"]


def swap(folder, pair, number):
    """As the kubelet updates a mounted Secret: a new folder, and `..data` moved over to it."""
    fresh = folder / f"..{number}"
    fresh.mkdir(parents=True)
    (fresh / "tls.crt").write_bytes(pair.cert.read_bytes())
    (fresh / "tls.key").write_bytes(pair.key.read_bytes())
    (folder / "..data_tmp").symlink_to(fresh.name)
    os.rename(folder / "..data_tmp", folder / "..data")


def serial(injector):
    connection = injector.connect()
    return connection.sock.getpeercert()["serialNumber"]


@pytest.fixture
def mounted(tmp_path, authority, make_injector):
    folder = tmp_path / "secret"
    folder.mkdir()
    pair = authority.issue(NAME)
    swap(folder, pair, 1)
    for name in ("tls.crt", "tls.key"):
        (folder / name).symlink_to(f"..data/{name}")
    mounted_pair = type(pair)(folder / "tls.crt", folder / "tls.key")
    return folder, make_injector(pair=mounted_pair).start()


def test_a_renewed_certificate_is_used_without_a_restart(mounted, authority):
    folder, injector = mounted
    connection, before = injector.connect(), serial(injector)
    swap(folder, authority.issue(NAME, days=60), 2)
    wait_until(lambda: serial(injector) != before)
    assert injector.review(pod(), connection=connection)["response"]["patch"]  # the old connection goes on
    assert injector.metric("certificate_reloads_total", '{result="success"}') == 1
    assert injector.metric("certificate_not_after_seconds") > time.time() + 50 * 86400


def test_a_renewed_certificate_that_cannot_be_used_changes_nothing(mounted, authority):
    folder, injector = mounted
    before = serial(injector)
    good, other = authority.issue(NAME), authority.issue(NAME)
    swap(folder, type(good)(good.cert, other.key), 2)
    wait_until(lambda: injector.metric("certificate_reloads_total", '{result="failure"}') == 1)
    assert serial(injector) == before
    assert "is not the one of the certificate" in injector.stderr()


@pytest.mark.parametrize("spoil, said", [
    (lambda pair: type(pair)(pair.cert.with_name("none"), pair.key), "--cert: "),
    (lambda pair: type(pair)(pair.key, pair.cert), "are the two files swapped?"),
])
def test_a_certificate_that_cannot_be_used_is_said_at_the_start(make_injector, authority, spoil, said):
    injector = make_injector(pair=spoil(authority.issue(NAME))).launch()
    assert injector.process.wait(slack(5)) == 2 and said in injector.stderr()


# ---- bounds ----

def test_a_port_in_use_is_said(injector, make_injector):
    other = make_injector()
    other.port = injector.port
    other.launch()
    assert other.process.wait(slack(5)) == 2
    assert f"cannot listen on 127.0.0.1:{injector.port} (--listen): address already in use" in other.stderr()


def test_who_holds_connections_keeps_nobody_out(injector):
    held = [injector.connect() for _ in range(256)]
    assert injector.review(pod())["response"]["patch"]  # the one that idled longest made room
    assert injector.is_ready()
    for connection in held:
        connection.close()


def test_the_slow_are_cut(injector):
    silent = socket.create_connection(("127.0.0.1", injector.port))
    halfway = injector.connect()
    halfway.putrequest("POST", "/inject")
    halfway.putheader("Content-Length", "100")
    halfway.endheaders(b"{")
    start = time.monotonic()
    silent.settimeout(30)
    assert silent.recv(1) == b""
    with pytest.raises((OSError, http.client.HTTPException)):
        halfway.getresponse()
    assert 9 < time.monotonic() - start < 12 + slack(2)
    assert injector.metric("connections_cut_total") == 2


# ---- the end ----

def test_it_serves_on_for_a_while_after_sigterm(injector):
    injector.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not injector.is_ready())
    assert injector.review(pod())["response"]["patch"]
    assert injector.process.wait(slack(10)) == 0


def test_wrong_usage_is_said():
    for arguments in ([], ["--cert", "x"], ["--what", "x"], ["--cert", "a", "--key", "b", "--listen", "localhost:1"],
                      ["--cert", "a", "--key", "b", "--set", "colour=red"],
                      ["--cert", "a", "--key", "b", "--set", "interception"]):
        done = subprocess.run([BINARY, "injector", *arguments], capture_output=True, text=True, timeout=10)
        assert done.returncode == 2 and "Try: outrigger inject" in done.stderr, (arguments, done)


def test_promtool_finds_nothing_to_say_of_its_metrics(injector, peer):
    injector.review(pod())
    done = subprocess.run([peer("promtool"), "check", "metrics"], input=injector.plain("/metrics")[1].encode(),
                          capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
