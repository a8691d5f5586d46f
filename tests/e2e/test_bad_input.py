"""Bad configuration, a busy port, no descriptors left: a clear word on what to do, and nothing else disturbed."""

import socket
import subprocess
import time

import pytest
from harness.proxy import BINARY, policy_document
from harness.upstream import answer
from harness.waiting import slack, wait_until


def refused_start(proxy):
    """Starts what must not start; returns what it says."""
    proxy.launch()
    assert proxy.wait_exit(slack(5)) == 2
    return proxy.stderr()


def run(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)


# ---- the command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("prox",), ("proxy", "--nonsense"), ("proxy", "-c"), ("check",)])
def test_bad_usage_is_exit_code_2_with_a_hint(arguments):
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == "" and "--help" in done.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("proxy", "--help"), ("check", "--help"), ("run", "--help")])
def test_help_fits_a_screen_and_has_an_example(arguments):
    done = run(*arguments)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 40
    assert "example" in done.stdout.lower()


def test_it_says_its_version():
    done = run("--version")
    assert done.returncode == 0 and "outrigger" in done.stdout.lower()


# ---- files -----------------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(make_proxy):
    proxy = make_proxy()
    proxy.launch(["proxy", "-c", str(proxy.folder / "no-such.yaml")])
    assert proxy.wait_exit(slack(5)) == 2
    assert "no-such.yaml" in proxy.stderr()


def test_all_errors_of_a_file_are_told_at_once_with_their_places(make_proxy, upstream):
    proxy = make_proxy(upstream)
    proxy.set_policy("""
        retry: {attemps: 3, backoff: soon}
        circuitBreaker:
          openFor: -1s
        bulkhead: {maxRequests: many}
        rateLimit: {}
    """)
    said = refused_start(proxy)
    for place in ("policy.yaml:6:", "policy.yaml:8:", "policy.yaml:9:", "policy.yaml:10:"):
        assert place in said, said
    assert "did you mean" in said and "attempts" in said


@pytest.mark.parametrize("text, word", [
    (policy_document("retry: &anchor {attempts: 1}"), "anchor"),
    (policy_document("retry: {attempts: 1}\nretry: {attempts: 2}"), "retry"),
    (policy_document("retry: !!map {attempts: 1}"), "tag"),
    (policy_document("retry: {attempts: 1}").replace("outrigger.dev/v1alpha1", "outrigger.dev/v9"), "apiVersion"),
    (policy_document("retry: {attempts: 1}").replace("ResiliencePolicy", "Policy"), "ResiliencePolicy"),
    (policy_document("retry: {attempts: -1}"), "attempts"),
    (policy_document("retry: {attempts: 99999999999999999999}"), "attempts"),
    (policy_document("timeouts: {request: 10}"), "10s"),
    (policy_document("circuitBreaker: {failureRate: {percent: 101}}"), "percent"),
    (policy_document("rules: [{name: a, retry: {budget: {percent: 1}}, matches: [{method: GET}]}]"), "budget"),
    (policy_document("rules: [{name: a}, {name: a}]"), "name"),
    (policy_document("retry: {attempts: \x01}"), "policy.yaml"),
    ("kind: [\n", "policy.yaml"),
])
def test_a_bad_policy_is_refused_with_a_word_on_why(make_proxy, upstream, text, word):
    proxy = make_proxy(upstream)
    proxy.write("policy.yaml", text)
    assert word in refused_start(proxy)


def test_two_documents_for_one_target_are_refused(make_proxy, upstream):
    proxy = make_proxy(upstream, "retry: {attempts: 1}", documents=[policy_document("retry: {attempts: 2}", name="b")])
    assert "more-0.yaml" in refused_start(proxy)


def test_two_proxy_configs_are_refused(make_proxy, upstream):
    proxy = make_proxy(upstream)
    proxy.write("second.yaml", (proxy.config / "proxy.yaml").read_text())
    said = refused_start(proxy)
    assert "second.yaml" in said and "ProxyConfig" in said


@pytest.mark.parametrize("content", [b"[" * 200_000, b"{" * 200_000, b"- " * 200_000, b"a: " * 100_000,
                                     b"x" * 2_000_000, b"\xff\xfe\x00\x00", b"a: \x00\n", b"\xc3\x28: 1\n"],
                         ids=["brackets", "braces", "dashes", "colons", "too large", "UTF-32", "NUL", "not UTF-8"])
def test_hostile_yaml_is_refused_at_once(make_proxy, upstream, content):
    proxy = make_proxy(upstream)
    (proxy.config / "policy.yaml").write_bytes(content)
    started = time.monotonic()
    assert "policy.yaml" in refused_start(proxy)
    assert time.monotonic() - started < slack(1)


def test_a_token_is_required_off_loopback(make_proxy, upstream):
    proxy = make_proxy(upstream)
    text = (proxy.config / "proxy.yaml").read_text()
    proxy.write("proxy.yaml", text.replace(f'"127.0.0.1:{proxy.admin_port}"', f'"0.0.0.0:{proxy.admin_port}"'))
    assert "tokenFile" in refused_start(proxy)


# ---- the machine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["port", "admin_port", "outbound"])
def test_a_port_in_use_is_named_with_what_to_do(make_proxy, upstream, which):
    proxy = make_proxy(upstream)
    with socket.create_server(("127.0.0.1", getattr(proxy, which))):
        said = refused_start(proxy)
    assert f"127.0.0.1:{getattr(proxy, which)}" in said
    assert "in use" in said


def test_a_second_proxy_on_the_same_ports_does_not_disturb_the_first(make_proxy, upstream):
    first, second = make_proxy(upstream), make_proxy(upstream)
    first.start()
    second.write("proxy.yaml", (first.config / "proxy.yaml").read_text())
    refused_start(second)
    assert first.get().status == 200


def test_a_caller_is_served_although_descriptors_run_out(make_proxy, upstream):
    proxy = make_proxy(upstream, fd_limit=64).start()
    with proxy.client() as served:
        assert served.get().status == 200
        crowd = []
        for _ in range(150):
            client = proxy.client()
            client.send(b"GET / HTTP/1.1\r\nHost: a")
            crowd.append(client)
        wait_until(lambda: proxy.descriptors() >= 50)
        for _ in range(10):
            assert served.get().status == 200
        wait_until(lambda: "descriptor" in proxy.stderr())
        assert "ulimit" in proxy.stderr()
        # Time the wait, not the crowd: a proxy that spins on accept uses a core.
        before = cpu_seconds(proxy)
        quiet_since = time.monotonic()
        wait_until(lambda: time.monotonic() - quiet_since > 1)
        assert cpu_seconds(proxy) - before < 0.5
        for client in crowd:
            client.close()
    wait_until(lambda: proxy.get().status == 200)


def cpu_seconds(proxy):
    with open(f"/proc/{proxy.process.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_connections_beyond_the_limit_wait_or_are_refused_and_the_others_live(start, upstream):
    proxy = start(spec="limits: {maxConnections: 10}")
    with proxy.client() as served:
        assert served.get().status == 200
        crowd = [proxy.client() for _ in range(40)]
        assert served.get().status == 200
        for client in crowd:
            client.close()
    wait_until(lambda: proxy.get().status == 200)


def test_an_upstream_that_comes_and_goes_is_followed(start, upstream):
    proxy = start()
    for _ in range(3):
        assert proxy.get().status == 200
        upstream.stop_listening()
        assert proxy.get().reason == "connect_refused"
        upstream.listen()
    assert proxy.get().status == 200


def test_a_log_that_nobody_reads_stalls_nothing(make_proxy, upstream):
    import os

    upstream.default = answer(200)
    proxy = make_proxy(upstream)
    reading, writing = os.pipe()
    proxy.process = subprocess.Popen([BINARY, "proxy", "-c", str(proxy.config)], stdin=subprocess.DEVNULL,
                                     stdout=writing, stderr=writing)
    os.close(writing)
    wait_until(proxy.is_ready)
    for _ in range(1500):  # log lines far beyond what the pipe holds
        assert proxy.get("/" + "x" * 200).status == 200
    os.close(reading)
    assert proxy.get().status == 200
