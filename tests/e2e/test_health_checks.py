"""Endpoints that are asked whether they are well, and passed by when they are not."""

import pytest

from harness.upstream import answer, hang
from harness.waiting import slack, stays, wait_until

TARGET = "payments.example:80"
FAST = "interval: 100ms, timeout: 100ms, unhealthyThreshold: 2, healthyThreshold: 2"


@pytest.fixture
def checked(two, make_proxy):
    """checked(fields, rest): a proxy in front of both, whose endpoints are checked at /healthz."""

    def run(fields="", rest="", kind="path: /healthz, "):
        addresses = ", ".join(f'"{upstream.address}"' for upstream in two)
        return make_proxy(TARGET, f"discovery: {{addresses: [{addresses}]}}\n"
                                  f"healthCheck: {{{kind}{FAST}{fields}}}\n{rest}").start()

    return run


def calls(upstream):
    return [request for request in upstream.requests if request.target != "/healthz"]


def healthy(proxy, address):
    """What the gauge of an endpoint says; None where there is none."""
    found = proxy.metrics().all("outrigger_endpoint_healthy", instance=f"target/healthCheck:{address}")
    return found[0][1] if found else None


def changes(proxy):
    """What was told of endpoints, in its order."""
    return [line for line in proxy.logs() if line.get("policy") == "healthCheck"]


def wait_health(proxy, upstream, is_well):
    wait_until(lambda: healthy(proxy, upstream.address) == is_well, timeout=slack(5), what=f"healthy: {is_well}")


def test_no_check_comes_before_the_first_call(two, checked):
    checked()
    stays(lambda: not two[0].requests and not two[1].requests, 1.3)


def test_a_check_is_a_get_that_says_who_asks(two, checked):
    proxy = checked(", host: health.example")
    assert proxy.get().status == 200
    two[0].wait_for(1)
    wait_until(lambda: any(request.target == "/healthz" for request in two[0].requests), timeout=slack(5))
    check = next(request for request in two[0].requests if request.target == "/healthz")
    assert (check.method, check.header("host"), check.header("user-agent")) == (
        "GET", "health.example", "outrigger-health-check")
    assert check.header("x-outrigger-attempt") is None


@pytest.mark.parametrize("outlier", ["", "outlier: {}"])
def test_an_endpoint_that_is_not_well_is_passed_by_until_it_is(two, checked, outlier):
    proxy = checked(rest=outlier)
    assert proxy.get().status == 200
    wait_until(lambda: any(event["to"] == "healthy" and two[0].address in event["instance"] for event in changes(proxy)),
               timeout=slack(5), what="well at first")
    two[0].on("/healthz", answer(503))
    wait_health(proxy, two[0], 0)
    before = len(calls(two[0]))
    assert [proxy.get().status for _ in range(20)] == [200] * 20
    assert len(calls(two[0])) == before
    event = next(event for event in changes(proxy) if event["to"] == "unhealthy")
    assert (event["instance"], event["reason"]) == (f"target/healthCheck:{two[0].address}", "status_503")
    assert event["at"].endswith("policy.yaml:7")
    two[0].on("/healthz", answer(200))
    wait_health(proxy, two[0], 1)
    wait_until(lambda: proxy.get().status == 200 and len(calls(two[0])) > before, what="it is used again")
    assert proxy.metrics().sum("outrigger_health_checks_total", result="failure") >= 2


@pytest.mark.parametrize("how, reason", [(hang(), "timeout"), (answer(404), "status_404"), (answer(204), "status_204")])
def test_what_is_no_good_answer_is_named(two, checked, how, reason):
    two[0].on("/healthz", how)
    proxy = checked()
    assert proxy.get().status == 200
    wait_health(proxy, two[0], 0)
    wait_until(lambda: any(event["reason"] == reason for event in changes(proxy)), what=f"{reason} in the log")


def test_an_endpoint_that_refuses_connections_is_unhealthy(two, checked):
    proxy = checked()
    assert proxy.get().status == 200
    two[0].stop_listening()
    wait_health(proxy, two[0], 0)
    assert [proxy.get().status for _ in range(10)] == [200] * 10


@pytest.mark.parametrize("outlier", ["", "outlier: {}"])
@pytest.mark.parametrize("panic, status, reason", [("useAll", 200, None), ("refuse", 503, "no_endpoint")])
def test_when_none_is_well_the_policy_says_what_is_done(two, checked, panic, status, reason, outlier):
    for upstream in two:
        upstream.on("/healthz", answer(500))
    proxy = checked(f", panic: {panic}", outlier)
    assert proxy.get().status == 200
    for upstream in two:
        wait_health(proxy, upstream, 0)
    response = proxy.get()
    assert (response.status, response.reason) == (status, reason)


def test_shadow_checks_and_passes_nobody_by(two, checked):
    two[0].on("/healthz", answer(500))
    proxy = checked(", mode: shadow", "loadBalancer: {algorithm: roundRobin}")
    assert proxy.get().status == 200
    wait_health(proxy, two[0], 0)
    before = len(calls(two[0]))
    assert [proxy.get().status for _ in range(4)] == [200] * 4
    assert len(calls(two[0])) == before + 2


def test_a_reload_ends_checks_and_begins_them(two, checked, make_proxy):
    two[0].on("/healthz", answer(500))
    proxy = checked(", panic: refuse")
    assert proxy.get().status == 200
    wait_health(proxy, two[0], 0)
    two[1].on("/healthz", answer(500))
    wait_health(proxy, two[1], 0)
    assert proxy.get().reason == "no_endpoint"
    addresses = ", ".join(f'"{upstream.address}"' for upstream in two)
    proxy.set_policy(f"discovery: {{addresses: [{addresses}]}}\n")
    wait_until(lambda: proxy.get().status == 200, what="no checks any more")
    seen = sum(len(upstream.requests) - len(calls(upstream)) for upstream in two)
    stays(lambda: sum(len(upstream.requests) - len(calls(upstream)) for upstream in two) == seen, 0.5)
    assert healthy(proxy, two[0].address) is None


def test_a_connection_is_enough_for_tcp(two, checked):
    proxy = checked(kind="type: tcp, ")
    two[0].on("/healthz", answer(500))
    assert proxy.get().status == 200
    wait_until(lambda: proxy.metrics().sum("outrigger_health_checks_total", result="success") >= 4, timeout=slack(5))
    two[0].stop_listening()
    wait_health(proxy, two[0], 0)
    assert not [request for upstream in two for request in upstream.requests if request.target == "/healthz"]


@pytest.mark.parametrize("service", ["", "shop.Quotes"])
def test_a_grpc_server_says_itself_whether_it_serves(make_quotes, make_proxy, service):
    quotes = make_quotes()
    quotes.set_health(1, service)
    named = f", service: {service}" if service else ""
    proxy = make_proxy(f"127.0.0.1:{quotes.port}", "protocol: grpc\n"
                       f"healthCheck: {{type: grpc, panic: refuse, {FAST}{named}}}").start()
    proxy.get()  # whatever comes of it: the target is in use
    wait_until(lambda: proxy.metrics().sum("outrigger_health_checks_total", result="success") >= 2, timeout=slack(5))
    for status, reason in ((2, "not_serving"), (1, "serving")):
        quotes.set_health(status, service)
        wait_until(lambda status=status: healthy(proxy, quotes.address) == (1 if status == 1 else 0), timeout=slack(5), what=reason)
        wait_until(lambda: any(event["reason"] == reason for event in changes(proxy)), what=f"{reason} in the log")


def test_a_server_without_that_service_is_unhealthy(make_quotes, make_proxy):
    quotes = make_quotes()
    proxy = make_proxy(f"127.0.0.1:{quotes.port}", "protocol: grpc\n"
                       f"healthCheck: {{type: grpc, service: nobody, {FAST}}}").start()
    proxy.get()
    wait_until(lambda: any(event["reason"] == "grpc_NOT_FOUND" for event in changes(proxy)), timeout=slack(5), what="told by name")


def test_checks_do_not_keep_the_proxy_from_ending(two, checked):
    for upstream in two:
        upstream.on("/healthz", hang())
    proxy = checked()
    assert proxy.get().status == 200
    wait_until(lambda: any(request.target == "/healthz" for request in two[0].requests), timeout=slack(5))
    proxy.stop()


def connects_on_their_way(port):
    """How many TCP connects to this port of 127.0.0.1 have no answer yet."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table]
    return sum(1 for row in rows if row[2] == f"0100007F:{port:04X}" and row[3] == "02")


def test_nor_does_one_that_still_connects(upstream, make_proxy, black_hole):
    before = connects_on_their_way(black_hole.port)
    proxy = make_proxy(TARGET, f'discovery: {{addresses: ["{upstream.address}", "{black_hole.address}"]}}\n'
                               "timeouts: {connect: 50ms}\n"
                               "healthCheck: {path: /, interval: 10s, timeout: 10s}\n").start()
    proxy.get()  # whatever comes of it: the target is in use
    wait_until(lambda: connects_on_their_way(black_hole.port) == before, timeout=slack(5), what="the call's own is over")
    wait_until(lambda: connects_on_their_way(black_hole.port) > before, timeout=slack(10), what="a check's")
    proxy.stop()
