"""The ways to reach the proxy, and the ways from it to an upstream."""

import pytest
from harness.client import Client
from harness.ports import free_port
from harness.proxy import policy_document
from harness.upstream import Upstream
from harness.waiting import slack, wait_until


def test_it_serves_without_any_policy(start, upstream):
    assert start().get().body == b"ok"


def test_a_listener_on_ipv6_reaches_an_upstream_on_ipv6(make_proxy):
    server, port = Upstream("::1"), free_port("::1")
    make_proxy(listeners=[(f"[::1]:{port}", f"[::1]:{server.port}")]).start()
    with Client(("::1", port)) as client:
        assert client.get().status == 200
    server.close()


def test_a_unix_socket_listens(make_proxy, upstream, tmp_path):
    path = str(tmp_path / "app.sock")
    proxy = make_proxy(listeners=[(f"unix:{path}", upstream.address)]).start()
    with Client(path) as client:
        assert client.get("/a").status == 200
        assert client.get("/b").status == 200
    assert proxy.process.poll() is None


def test_a_unix_socket_left_by_a_dead_proxy_is_taken_over(make_proxy, upstream, tmp_path):
    path = str(tmp_path / "app.sock")
    first = make_proxy(listeners=[(f"unix:{path}", upstream.address)]).start()
    first.process.kill()
    first.exit_code = first.process.wait()
    make_proxy(listeners=[(f"unix:{path}", upstream.address)]).start()
    with Client(path) as client:
        assert client.get().status == 200


def test_each_listener_has_its_own_upstream(make_proxy, upstream, another_upstream):
    ports = free_port(), free_port()
    make_proxy(listeners=[(f"127.0.0.1:{ports[0]}", upstream.address),
                          (f"127.0.0.1:{ports[1]}", another_upstream.address)]).start()
    for port in ports:
        with Client(port) as client:
            client.get(f"/{port}")
    assert [request.target for request in upstream.requests] == [f"/{ports[0]}"]
    assert [request.target for request in another_upstream.requests] == [f"/{ports[1]}"]


def test_a_listener_may_have_several_addresses(make_proxy, upstream):
    ports = free_port(), free_port()
    spec = "\n".join(["listeners:", f'  - {{listen: ["127.0.0.1:{ports[0]}", "127.0.0.1:{ports[1]}"], '
                      f'upstream: "{upstream.address}"}}'])
    make_proxy(listeners=[], spec=spec).start()
    for port in ports:
        with Client(port) as client:
            assert client.get().status == 200


def test_a_name_from_the_hosts_file_is_resolved(make_proxy, upstream):
    sixth = Upstream("::1", port=upstream.port)  # localhost may mean either
    proxy = make_proxy(f"localhost:{upstream.port}").start()
    assert proxy.get().status == 200
    assert proxy.metrics().sum("outrigger_requests_total", target=f"localhost:{upstream.port}") == 1
    sixth.close()


def test_a_name_that_does_not_exist_is_a_dns_failure(make_proxy):
    response = make_proxy("no-such-name.invalid:80", "timeouts: {connect: 3s}").start().get()
    assert response.status == 503
    # connect_timeout where this machine's resolver does not answer at all
    assert response.reason in ("dns_failure", "connect_timeout")
    assert response.elapsed < slack(5)


def test_an_upstream_that_is_down_is_connect_refused(start, upstream):
    proxy = start()
    upstream.stop_listening()
    response = proxy.get()
    assert (response.status, response.reason) == (503, "connect_refused")
    upstream.listen()
    assert proxy.get().status == 200


def test_the_outbound_port_serves_absolute_form(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        for path in ("/a?b=c", "/d"):
            response = client.get(f"http://{upstream.address}{path}", host=upstream.address)
            assert response.status == 200
    assert [request.target for request in upstream.requests] == ["/a?b=c", "/d"]
    assert upstream.requests[0].all("host") == [upstream.address]


def test_absolute_form_wins_over_host(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        assert client.get(f"http://{upstream.address}/x", host="elsewhere.test").status == 200
    assert upstream.requests[0].all("host") == [upstream.address]


def test_absolute_form_without_a_path_asks_for_the_root(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        assert client.get(f"http://{upstream.address}", host=upstream.address).status == 200
    assert upstream.requests[0].target == "/"


def test_the_outbound_port_serves_by_host(start, upstream, another_upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        assert client.get("/one", host=upstream.address).status == 200
        assert client.get("/two", host=another_upstream.address).status == 200
    assert [request.target for request in upstream.requests] == ["/one"]
    assert [request.target for request in another_upstream.requests] == ["/two"]


@pytest.mark.parametrize("fields", ["Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a:b\r\n", ""])
def test_a_missing_or_bad_host_on_the_outbound_port_is_400(start, upstream, fields):
    proxy = start()
    with Client(proxy.outbound) as client:
        client.send(f"GET / HTTP/1.1\r\n{fields}\r\n".encode())
        answered = client.read_until_close()
    assert answered == b"" or answered.startswith(b"HTTP/1.1 400")
    assert upstream.requests == []


def test_what_is_no_http_is_closed_on_the_outbound_port(start, upstream):
    proxy = start()
    with Client(proxy.outbound) as client:
        client.send(b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(160))
        client.read_until_close()
    assert upstream.requests == []
    assert proxy.get().status == 200


def test_a_call_to_our_own_port_is_a_loop(start, upstream):
    proxy = start()
    for port in (proxy.outbound, proxy.port):
        with Client(proxy.outbound) as client:
            response = client.get(f"http://127.0.0.1:{port}/", host=f"127.0.0.1:{port}")
            assert (response.status, response.reason) == (508, "loop")


def test_a_call_that_comes_back_is_a_loop(start, upstream):
    proxy = start()
    proxy.get()
    response = proxy.get("/", [("Via", upstream.requests[0].header("via"))])
    assert (response.status, response.reason) == (508, "loop")
    assert len(upstream.requests) == 1


def test_the_via_of_another_proxy_is_no_loop(make_proxy, upstream):
    inner = make_proxy(upstream).start()
    outer = make_proxy(f"127.0.0.1:{inner.port}").start()
    assert outer.get().status == 200
    assert len(", ".join(upstream.requests[0].all("via")).split(", ")) == 2


def test_policies_match_the_upstream_not_the_host_header(start, upstream):
    document = policy_document("circuitBreaker: {mode: forceOpen}", host="app.test", name="by-host")
    assert start(documents=[document]).get().status == 200


def test_policies_on_the_outbound_port_match_the_host(start, upstream):
    document = policy_document("circuitBreaker: {mode: forceOpen}", host="127.0.0.1", port=upstream.port)
    proxy = start(documents=[document])
    with Client(proxy.outbound) as client:
        assert client.get("/", host=upstream.address).reason == "circuit_open"


def test_idle_upstream_connections_leave_after_pool_idle(start, upstream):
    proxy = start("timeouts: {poolIdle: 300ms}")
    assert proxy.get().status == 200
    wait_until(lambda: upstream.open_connections == 0, slack(3))
    assert proxy.get().status == 200
    assert upstream.accepted == 2


def test_a_listener_outlives_its_place_in_the_table_of_targets(start, upstream):
    # 4 096 targets at a time: the listener's own leaves the table first, being the oldest idle one.
    proxy = start()
    assert proxy.get().status == 200
    with Client(proxy.outbound) as client:
        for number in range(4200):
            client.get("/", host=f"127.{number // 250}.{number % 250}.1:1")
    assert proxy.get().status == 200
