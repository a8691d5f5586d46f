"""/metrics: valid for Prometheus, true in its numbers, bounded in its size."""

import subprocess

import pytest
from harness.client import Client
from harness.upstream import answer, hang, reset

EVERYTHING = """
    timeouts: {backendRequest: 300ms}
    retry: {attempts: 1, backoff: 1ms}
    circuitBreaker: {consecutiveFailures: 50}
    bulkhead: {maxRequests: 10, maxPending: 5}
    rateLimit: {requests: 1000, interval: 1s}
    rules:
      - name: special
        matches: [{path: {type: PathPrefix, value: /special}}]
        retry: {attempts: 0}
"""


@pytest.fixture
def busy_proxy(start, upstream):
    """A proxy that has seen a bit of everything."""
    proxy = start(EVERYTHING)
    upstream.on("/fail", answer(503, keep=False))  # so that /reset meets a fresh connection
    upstream.on("/reset", reset())
    upstream.on("/hang", hang())
    for path in ("/", "/special", "/fail", "/reset", "/hang", "/"):
        proxy.get(path)
    proxy.post("/fail")
    return proxy


def test_promtool_finds_nothing_to_say(busy_proxy, peer):
    text = busy_proxy.admin("/metrics").body
    done = subprocess.run([peer("promtool"), "check", "metrics"], input=text, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert done.stderr == b"" and done.stdout == b""


def test_the_plain_format_is_named(busy_proxy):
    response = busy_proxy.admin("/metrics")
    assert response.header("content-type").startswith("text/plain; version=0.0.4")


def test_openmetrics_is_spoken_where_it_is_accepted(busy_proxy):
    response = busy_proxy.admin("/metrics", headers=[("Accept", "application/openmetrics-text; version=1.0.0")])
    assert response.header("content-type").startswith("application/openmetrics-text")
    assert response.body.endswith(b"# EOF\n")


def test_each_call_is_counted_once(busy_proxy):
    metrics = busy_proxy.metrics()
    name = "outrigger_requests_total"
    assert metrics.sum(name) == 7
    assert metrics.sum(name, outcome="success") == 3
    assert metrics.sum(name, outcome="failure_after_retry") == 2  # /fail and /reset as GET
    assert metrics.sum(name, outcome="failure") == 1  # /fail as POST
    assert metrics.sum(name, outcome="timeout") == 1
    assert metrics.sum(name, rule="special") == 1


def test_attempts_are_what_the_upstream_saw(busy_proxy, upstream):
    metrics = busy_proxy.metrics()
    assert metrics.sum("outrigger_attempts_total") == len(upstream.requests)
    assert metrics.sum("outrigger_attempts_total", result="reset") == 2
    assert metrics.sum("outrigger_attempts_total", result="timeout") == 2


def test_a_histogram_agrees_with_itself(busy_proxy):
    metrics = busy_proxy.metrics()
    name = "outrigger_request_duration_seconds"
    buckets = [(labels["le"], value) for labels, value in metrics.all(name + "_bucket")]
    values = [value for _, value in buckets]
    assert values == sorted(values)
    assert buckets[0][0] == "0.005" and buckets[-2][0] in ("10", "10.0") and buckets[-1][0] == "+Inf"
    assert metrics.sum(name + "_count") == values[-1] == 7
    assert metrics.sum(name + "_sum") >= 0.6


def test_zeros_are_exported_before_anything_goes_wrong(start, upstream):
    proxy = start(EVERYTHING)
    proxy.get()
    metrics = proxy.metrics()
    states = {labels["state"]: value for labels, value in metrics.all("outrigger_circuit_breaker_state")}
    assert states == {"closed": 1, "open": 0, "half_open": 0, "forced_open": 0, "disabled": 0}
    assert metrics.all("outrigger_rejections_total") and metrics.sum("outrigger_rejections_total") == 0
    assert metrics.all("outrigger_retries_total") and metrics.sum("outrigger_retries_total") == 0


@pytest.mark.parametrize("name", [
    "outrigger_config_last_reload_successful", "outrigger_config_info", "outrigger_build_info",
    "outrigger_loop_lag_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total",
    "process_open_fds", "process_start_time_seconds",
])
def test_the_process_reports_on_itself(start, name):
    found = [sample for sample in start().metrics().samples if sample[0].startswith(name)]
    assert found and found[0][2] >= 0


def test_connections_are_counted_by_side(start, upstream):
    proxy = start()
    with proxy.client() as client:
        client.get()
        metrics = proxy.metrics()
        assert metrics.sum("outrigger_connections", side="downstream") == 1
        assert metrics.sum("outrigger_connections", side="upstream") == 1


def test_the_target_is_written_in_lower_case(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        client.get("/", host=f"LOCALHOST:{upstream.port}")
        client.get("/", host=f"localhost:{upstream.port}")
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", target=f"localhost:{upstream.port}") == 2


def test_targets_beyond_the_limit_fold_into_one(make_proxy, upstream):
    proxy = make_proxy(upstream, EVERYTHING, spec="limits: {maxSeries: 1000}").start()
    with Client(proxy.outbound) as client:
        for number in range(60):
            client.get("/", host=f"127.0.0.{number + 1}:{upstream.port}")
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total") == 60
    assert metrics.sum("outrigger_requests_total", target="_other") > 0
    assert metrics.sum("outrigger_series_dropped_total") > 0
    assert len([sample for sample in metrics.samples if sample[0].startswith("outrigger_")]) < 2000


def test_reading_changes_nothing(busy_proxy):
    def figures():
        return {(name, tuple(sorted(labels.items()))): value for name, labels, value in busy_proxy.metrics().samples
                if name.endswith("_total") and not name.startswith("process_")}

    before = figures()
    for path in ("/metrics", "/circuits", "/policies", "/ready", "/live"):
        assert busy_proxy.admin(path).status == 200
    assert figures() == before
