"""One bad endpoint of many: it is passed by, and comes back by a probe. The endpoints are the addresses of one name."""

import json
from urllib.parse import quote

import pytest
from harness.upstream import answer, reset
from harness.waiting import slack, wait_until

OUTLIER = "outlier: {consecutiveFailures: 3, ejectFor: 60s, ejectJitter: 0}"
QUICK = "outlier: {consecutiveFailures: 1, ejectFor: 200ms, ejectJitter: 0}"
RETRY = "retry: {attempts: 2, backoff: 1ms, budget: {percent: 100}, codes: [503], on: [connect_failure, reset]}"


def state(proxy, upstream, kind="outlier"):
    return proxy.breaker_state(instance=f"target/{kind}:{upstream.address}")


def statuses(proxy, count):
    return [proxy.get().status for _ in range(count)]


def ejected(proxy):
    return [labels["instance"] for labels, value in
            proxy.metrics().all("outrigger_circuit_breaker_state", state="open") if value == 1]


def test_an_endpoint_that_fails_gets_no_more_calls(many, proxy_for):
    servers = many(3)
    servers[1].default = answer(500)
    proxy = proxy_for(servers, OUTLIER)
    wait_until(lambda: proxy.get() and ejected(proxy), what="an ejection")
    assert ejected(proxy) == [f"target/outlier:{servers[1].address}"]
    servers.forget()
    assert statuses(proxy, 30) == [200] * 30
    counts = servers.counts()
    assert counts[1] == 0 and min(counts[0], counts[2]) > 3
    event = next(entry for entry in proxy.logs() if entry.get("to") == "open")
    assert (event["policy"], event["reason"]) == ("outlier", "consecutive_failures")
    assert event["at"].endswith("policy.yaml:6")


def test_it_comes_back_by_a_good_probe(many, proxy_for):
    servers = many(2)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, QUICK)
    wait_until(lambda: proxy.get() and servers.counts()[0], what="a call to the bad one")
    servers[0].default = answer(200)
    wait_until(lambda: proxy.get() and state(proxy, servers[0]) == "closed", what="the endpoint back")
    moves = [(entry["from"], entry["to"], entry["reason"]) for entry in proxy.logs() if entry.get("policy") == "outlier"]
    assert moves[-1] == ("half_open", "closed", "probes_succeeded")


def test_a_probe_that_fails_keeps_it_out_and_costs_one_call(many, proxy_for):
    servers = many(2)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, QUICK)
    wait_until(lambda: proxy.get() and ejected(proxy), what="an ejection")
    before = servers.counts()[0]
    wait_until(lambda: proxy.get() and servers.counts()[0] == before + 1, what="its probe")
    assert statuses(proxy, 20) == [200] * 20
    assert servers.counts()[0] == before + 1
    assert proxy.metrics().sum("outrigger_circuit_breaker_transitions_total", reason="probe_failed") >= 1


@pytest.mark.parametrize("kind", ["refuses", "resets"])
def test_callers_see_nothing_of_an_endpoint_that_does_not_answer(many, proxy_for, kind):
    servers = many(3)
    if kind == "refuses":
        servers[2].stop_listening()
    else:
        servers[2].default = reset()
    proxy = proxy_for(servers, f"{OUTLIER}\n{RETRY}")
    assert statuses(proxy, 60) == [200] * 60
    assert ejected(proxy) == [f"target/outlier:{servers[2].address}"]


def test_an_endpoint_that_hangs_holds_one_call_at_a_time(many, proxy_for):
    """Nobody has seen a good answer of it: it gets a second call only when the first one is over."""
    servers = many(2)
    servers[0].default = answer(200, delay=60)
    proxy = proxy_for(servers, f"{OUTLIER}\ntimeouts: {{connect: 5s, backendRequest: 20s}}")
    with proxy.client() as waiting:
        while not servers.counts()[0]:  # whoever meets it first
            waiting.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            wait_until(lambda: sum(servers.counts()) > 0, what="a call")
            if servers.counts()[1]:
                waiting.read_response()
                servers.forget()
        assert statuses(proxy, 40) == [200] * 40
        assert servers.counts() == [1, 40]


def test_no_more_are_ejected_than_may_be(many, proxy_for):
    servers = many(4)
    for server in servers.upstreams:
        server.default = answer(500)
    proxy = proxy_for(servers, "outlier: {consecutiveFailures: 1, ejectFor: 60s, maxEjectionPercent: 50}")
    assert statuses(proxy, 40) == [500] * 40
    assert len(ejected(proxy)) == 2
    assert proxy.metrics().sum("outrigger_outlier_ejections_held_total") > 0


ALL_OUT = "outlier: {consecutiveFailures: 1, ejectFor: 60s, maxEjectionPercent: 100, panic: %s}"


def test_in_a_panic_all_are_used_and_it_is_said_once(many, proxy_for):
    servers = many(2)
    for server in servers.upstreams:
        server.default = answer(500)
    proxy = proxy_for(servers, ALL_OUT % "useAll")
    assert statuses(proxy, 10) == [500] * 10
    assert len(ejected(proxy)) == 2 and min(servers.counts()) > 1
    assert proxy.metrics().sum("outrigger_outlier_panics_total") == 8
    assert proxy.stderr().count("outlier_panic") == 1


def test_in_a_panic_calls_are_refused_where_the_policy_says_so(many, proxy_for):
    servers = many(2)
    for server in servers.upstreams:
        server.default = answer(500)
    proxy = proxy_for(servers, ALL_OUT % "refuse")
    assert statuses(proxy, 2) == [500] * 2
    response = proxy.get()
    assert (response.status, response.reason) == (503, "circuit_open")
    assert 0 < int(response.header("retry-after")) <= 72


def test_the_only_endpoint_is_never_ejected(many, proxy_for):
    servers = many(1)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, "outlier: {consecutiveFailures: 1}")
    assert statuses(proxy, 5) == [500] * 5
    assert ejected(proxy) == []


def test_an_ejected_endpoint_is_no_way_out_when_the_others_are_unwell(two, make_proxy):
    """healthCheck.panic and outlier.panic both say: refuse."""
    failing, unwell = two
    failing.default = answer(500)
    failing.on("/healthz", answer(200))
    unwell.on("/healthz", answer(500))
    addresses = ", ".join(f'"{upstream.address}"' for upstream in two)
    proxy = make_proxy("payments.example:80", f"""
discovery: {{addresses: [{addresses}]}}
loadBalancer: {{algorithm: roundRobin}}
healthCheck: {{path: /healthz, interval: 100ms, timeout: 100ms, unhealthyThreshold: 2, panic: refuse}}
outlier: {{consecutiveFailures: 1, ejectFor: 60s, maxEjectionPercent: 50, panic: refuse}}
""").start()
    wait_until(lambda: proxy.get().status and ejected(proxy) == [f"target/outlier:{failing.address}"])
    wait_until(lambda: [value for _, value in proxy.metrics().all(
        "outrigger_endpoint_healthy", instance=f"target/healthCheck:{unwell.address}")] == [0], what="the other is unwell")
    before = [len([request for request in upstream.requests if request.target != "/healthz"]) for upstream in two]
    responses = [proxy.get() for _ in range(5)]
    assert [(response.status, response.reason) for response in responses] == [(503, "no_endpoint")] * 5
    assert [len([request for request in upstream.requests if request.target != "/healthz"])
            for upstream in two] == before


def test_in_shadow_it_decides_and_passes_nobody_by(many, proxy_for):
    servers = many(2)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, "outlier: {mode: shadow, consecutiveFailures: 1, ejectFor: 60s}")
    wait_until(lambda: proxy.get() and servers.counts()[0] > 3, what="calls to the bad one all the same")
    assert ejected(proxy) == [f"target/outlier:{servers[0].address}"]
    assert proxy.metrics().sum("outrigger_shadow_decisions_total", policy="outlier", decision="eject") > 0


def test_an_endpoint_that_leaves_the_name_counts_no_more(many, proxy_for, names):
    servers = many(3)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, OUTLIER)
    wait_until(lambda: proxy.get() and ejected(proxy), what="an ejection")
    names.set(servers.name, [server.host for server in servers.upstreams[1:]])
    wait_until(lambda: proxy.get() and not ejected(proxy), timeout=slack(10), what="the ejection forgotten")


def test_an_operator_may_bring_an_endpoint_back(many, proxy_for):
    servers = many(2)
    servers[0].default = answer(500)
    proxy = proxy_for(servers, OUTLIER)
    wait_until(lambda: proxy.get() and ejected(proxy), what="an ejection")
    one, = [entry for entry in json.loads(proxy.admin("/circuits").body)["circuits"] if entry["state"] == "open"]
    assert one["id"].endswith(f"/outlier:{servers[0].address}")
    assert proxy.admin("/circuits/" + quote(one["id"], safe=""), "POST", b'{"action":"close"}',
                       [("Content-Type", "application/json")]).status == 200
    assert ejected(proxy) == []
