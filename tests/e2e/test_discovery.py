"""Where the addresses of a target come from: written down, in a file that changes, by SRV records."""

import pytest

from harness.names import NameServer
from harness.proxy import Load
from harness.upstream import Upstream
from harness.waiting import slack, wait_until

TARGET = "payments.example:80"  # a name that no name server knows


@pytest.fixture
def servers():
    made = [Upstream() for _ in range(3)]
    yield made
    for upstream in made:
        upstream.close()


def listed(*upstreams):
    return "[" + ", ".join(f'"{upstream.address}"' for upstream in upstreams) + "]"


def counts(servers):
    return [len(server.requests) for server in servers]


def test_calls_go_to_the_addresses_that_are_written_down(servers, make_proxy):
    proxy = make_proxy(TARGET, f"discovery: {{addresses: {listed(*servers)}}}\n"
                               "loadBalancer: {algorithm: roundRobin}").start()
    assert [proxy.get().status for _ in range(6)] == [200] * 6
    assert counts(servers) == [2, 2, 2]
    assert servers[0].requests[0].header("host") == "app.test", "what the app said"
    assert proxy.metrics().sum("outrigger_requests_total", target=TARGET) == 6, "the target's name stays"


def test_a_reload_changes_the_addresses_and_cuts_nothing(servers, make_proxy):
    proxy = make_proxy(TARGET, f"discovery: {{addresses: {listed(servers[0])}}}").start()
    with Load(proxy, callers=2, pause=0.002) as load:
        load.wait_calls(30)
        assert counts(servers)[1:] == [0, 0]
        proxy.set_policy(f"discovery: {{addresses: {listed(servers[1], servers[2])}}}")
        wait_until(lambda: all(counts(servers)[1:]), what="the new ones used")
        wait_until(lambda: servers[0].open_connections == 0, what="the old one left")
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}


def test_a_file_of_addresses_is_read_again_when_it_changes(servers, make_proxy, tmp_path):
    proxy = make_proxy(TARGET, "discovery: {file: addresses.list}")
    proxy.write("addresses.list", f"addresses: {listed(servers[0])}\n")
    proxy.start()
    with Load(proxy, callers=2, pause=0.002) as load:
        load.wait_calls(30)
        proxy.write("addresses.list", f"addresses: {listed(servers[1])}\n")
        wait_until(lambda: counts(servers)[1], what="the new one used")
        wait_until(lambda: servers[0].open_connections == 0, what="the old one left")
        proxy.write("addresses.list", f"addresses: {listed(servers[2])}\n")
        wait_until(lambda: counts(servers)[2], what="the newest used")
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}


@pytest.mark.parametrize("text, said", [
    ("", "the file is empty"),
    ("addresses: []\n", "0 addresses"),
    ("addresses: [nonsense]\n", "the port is missing"),
    ("addresses: [", "addresses.list"),
])
def test_a_file_with_a_mistake_changes_nothing_and_says_where(servers, make_proxy, text, said):
    proxy = make_proxy(TARGET, "discovery: {file: addresses.list}")
    proxy.write("addresses.list", f"addresses: {listed(servers[0])}\n")
    proxy.start()
    assert proxy.get().status == 200
    proxy.write("addresses.list", text)
    wait_until(lambda: "config_reload_failed" in proxy.stderr(), what="the reload refused")
    assert said in proxy.stderr()
    assert proxy.metrics().sum("outrigger_config_last_reload_successful") == 0
    assert [proxy.get().status for _ in range(3)] == [200] * 3
    assert counts(servers) == [4, 0, 0]


def test_a_file_that_is_missing_at_the_start_is_an_error_at_its_place(make_proxy):
    proxy = make_proxy(TARGET, "discovery: {file: addresses.list}").launch()
    assert proxy.wait_exit(slack(10)) == 2
    assert "policy.yaml:6:" in proxy.stderr()
    assert "spec.discovery.file: No such file or directory" in proxy.stderr()


def test_srv_records_name_hosts_and_ports(servers, peer, make_proxy, tmp_path):
    records = [("_http._tcp.pay.test", "a.test", servers[0].port, 10),
               ("_http._tcp.pay.test", "b.test", servers[1].port, 10),
               ("_http._tcp.pay.test", "c.test", servers[2].port, 20)]
    with NameServer(peer("dnsmasq"), tmp_path, records) as names:
        for host in "abc":
            names.set(f"{host}.test", ["127.0.0.1"])
        proxy = make_proxy(TARGET, "discovery: {srv: _http._tcp.pay.test}\nloadBalancer: {algorithm: roundRobin}",
                           dns=names.address).start()
        assert [proxy.get().status for _ in range(4)] == [200] * 4
        assert counts(servers) == [2, 2, 0], "the higher number stands by"
        for host in "ab":
            names.set(f"{host}.test", [])
        wait_until(lambda: proxy.get().status == 200 and "dns_failed" in proxy.stderr(), timeout=slack(10),
                   what="a failed lookup, and calls that go on")


def test_a_service_that_nobody_offers_is_a_dns_failure(peer, make_proxy, tmp_path):
    with NameServer(peer("dnsmasq"), tmp_path) as names:
        proxy = make_proxy(TARGET, "discovery: {srv: _http._tcp.pay.test}", dns=names.address).start()
        response = proxy.get()
        assert (response.status, response.reason) == (503, "dns_failure")


def test_names_among_the_addresses_are_resolved(servers, names, make_proxy):
    names.set("a.test", ["127.0.0.1"])
    proxy = make_proxy(TARGET, f'discovery: {{addresses: ["a.test:{servers[0].port}", "{servers[1].address}"]}}\n'
                               "loadBalancer: {algorithm: roundRobin}", dns=names.address).start()
    assert [proxy.get().status for _ in range(4)] == [200] * 4
    assert counts(servers) == [2, 2, 0]
