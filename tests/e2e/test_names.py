"""Names and their addresses, given by a real name server: they change, are many, or cannot be had."""

import signal

from harness.proxy import Load
from harness.waiting import slack, stays, wait_until


def served(servers):
    return [index for index, count in enumerate(servers.counts()) if count]


def test_every_address_of_a_name_is_used(many, proxy_for):
    servers = many(50)
    proxy = proxy_for(servers)
    wait_until(lambda: proxy.get().status == 200 and len(served(servers)) == 50, timeout=slack(20),
               what="all fifty used")


def test_addresses_that_come_are_used_and_those_that_go_are_left(many, proxy_for, names):
    servers = many(4)
    names.set(servers.name, [servers[0].host, servers[1].host])
    proxy = proxy_for(servers)
    with Load(proxy, callers=2, pause=0.005) as load:
        load.wait_calls(30)
        assert served(servers) == [0, 1]
        names.set(servers.name, [servers[2].host, servers[3].host])
        wait_until(lambda: servers.counts()[2] and servers.counts()[3], what="the new ones used")
        wait_until(lambda: servers[0].open_connections + servers[1].open_connections == 0, what="the old ones left")
        before = servers.counts()[:2]
        load.wait_calls(50)
        assert servers.counts()[:2] == before
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}


def test_a_name_that_cannot_be_asked_for_keeps_its_addresses(many, proxy_for, names):
    servers = many(2)
    proxy = proxy_for(servers)
    assert proxy.get().status == 200
    names.close()
    wait_until(lambda: proxy.get().status == 200 and "dns_failed" in proxy.stderr(), timeout=slack(10),
               what="a failed lookup, and calls that go on")
    assert {proxy.get().status for _ in range(20)} == {200}
    assert proxy.metrics().sum("outrigger_dns_lookups_total", result="failure") >= 1


def test_a_name_server_that_hangs_stops_no_call(many, proxy_for, names):
    servers = many(2)
    proxy = proxy_for(servers)
    with Load(proxy, callers=2, pause=0.005) as load:
        load.wait_calls(20)
        names.process.send_signal(signal.SIGSTOP)
        try:
            stays(lambda: not load.broken, 3)
            load.wait_calls(50)
        finally:
            names.process.send_signal(signal.SIGCONT)
    assert {status for _, status, _ in load.results} == {200}


def test_a_name_that_is_gone_keeps_its_addresses_and_says_so(many, proxy_for, names):
    servers = many(2)
    proxy = proxy_for(servers)
    assert proxy.get().status == 200
    names.set(servers.name, [])
    wait_until(lambda: proxy.get().status == 200 and "dns_failed" in proxy.stderr(), timeout=slack(10),
               what="a failed lookup")
    names.set(servers.name, [servers[1].host])
    wait_until(lambda: proxy.get().status == 200 and "dns_recovered" in proxy.stderr(), timeout=slack(10),
               what="the name back")


def test_a_name_that_never_was_is_a_dns_failure(many, names, make_proxy):
    proxy = make_proxy("nobody.test:80", dns=names.address).start()
    response = proxy.get()
    assert (response.status, response.reason) == (503, "dns_failure")
