"""The control side: what it shows, what it changes, and that it can stall nothing."""

import json
import time
from urllib.parse import quote

import pytest
from harness.client import Client, encode
from harness.ports import free_port
from harness.proxy import Load
from harness.upstream import answer
from harness.waiting import slack, wait_until

SMALL = "circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s}"


def circuits(proxy):
    said = json.loads(proxy.admin("/circuits").body)
    return said if isinstance(said, list) else said["circuits"]


def page_of(identity):
    return "/circuits/" + quote(identity, safe="")


def act(proxy, action, circuit=None):
    identity = (circuit or circuits(proxy)[0])["id"]
    return proxy.admin(page_of(identity), "POST", json.dumps({"action": action}).encode(),
                       [("Content-Type", "application/json")])


@pytest.mark.parametrize("path", ["/ready", "/live", "/metrics", "/policies", "/circuits"])
def test_every_page_answers(start, path):
    assert start(SMALL).admin(path).status == 200


def test_an_unknown_page_is_404_and_a_wrong_method_405(start):
    proxy = start()
    assert proxy.admin("/nothing").status == 404
    assert proxy.admin("/metrics", "POST", b"").status == 405
    assert proxy.admin("/circuits", "DELETE").status in (404, 405)


def test_ready_depends_on_no_upstream(start, upstream):
    upstream.stop_listening()
    proxy = start(SMALL)
    proxy.get()
    assert proxy.admin("/ready").status == 200


def test_policies_says_what_is_loaded_from_where(start):
    proxy = start(SMALL)
    said = proxy.admin("/policies")
    assert said.header("content-type").startswith("application/json")
    assert "policy.yaml" in json.dumps(json.loads(said.body))


def test_circuits_says_how_each_breaker_stands(start, upstream):
    proxy = start(SMALL)
    upstream.plan(*[answer(500)] * 3)
    for _ in range(3):
        proxy.get()
    one, = circuits(proxy)
    assert one["state"] == "open"
    assert one["target"] == upstream.address
    assert "id" in one


def test_an_operator_can_open_close_and_reset_a_circuit(start, upstream):
    proxy = start(SMALL)
    assert proxy.get().status == 200
    assert act(proxy, "force_open").status == 200
    assert proxy.breaker_state() == "forced_open"
    assert proxy.get().reason == "circuit_open"
    assert act(proxy, "close").status == 200
    assert proxy.get().status == 200
    upstream.plan(*[answer(500)] * 3)
    for _ in range(3):
        proxy.get()
    assert proxy.breaker_state() == "open"
    assert act(proxy, "reset").status == 200
    assert proxy.breaker_state() == "closed"


def test_an_operator_can_disable_a_circuit(start, upstream):
    proxy = start(SMALL)
    proxy.get()
    assert act(proxy, "disable").status == 200
    upstream.default = answer(500)
    assert [proxy.get().status for _ in range(6)] == [500] * 6
    assert proxy.breaker_state() == "disabled"


def test_an_action_on_nothing_is_404_and_nonsense_is_400(start):
    proxy = start(SMALL)
    proxy.get()
    assert act(proxy, "close", {"id": "no-such-circuit"}).status == 404
    assert act(proxy, "explode").status == 400


def test_a_get_changes_nothing(start):
    proxy = start(SMALL)
    proxy.get()
    identity = circuits(proxy)[0]["id"]
    proxy.admin(page_of(identity) + "?action=force_open")
    assert proxy.get().status == 200


def test_a_web_page_of_another_origin_changes_nothing(start):
    proxy = start(SMALL)
    proxy.get()
    identity = circuits(proxy)[0]["id"]
    response = proxy.admin(page_of(identity), "POST", b'{"action": "force_open"}',
                           [("Content-Type", "application/json"), ("Origin", "http://evil.example")])
    assert response.status == 403
    assert proxy.get().status == 200


def test_a_large_body_is_refused(start):
    proxy = start(SMALL)
    with Client(proxy.admin_port) as client:
        try:
            client.send(encode("POST", "/circuits/x", [("Content-Length", "1000000")], host="127.0.0.1"))
            client.send(bytes(200_000))
        except OSError:
            pass
        answered = client.read_until_close()
    assert answered == b"" or answered.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    assert proxy.admin("/ready").status == 200


def test_every_transition_is_an_event(start, upstream):
    proxy = start("circuitBreaker: {consecutiveFailures: 3, openFor: 300ms, openJitter: 0}")
    proxy.get()
    with Client(proxy.admin_port) as client:
        client.send(encode("GET", "/events", host="127.0.0.1"))
        response = client.read_head()
        assert response.status == 200
        assert response.header("content-type").startswith("text/event-stream")
        upstream.plan(*[answer(500)] * 3)
        for _ in range(3):
            proxy.get()
        proxy.wait_breaker("half_open")
        for _ in range(3):
            proxy.get()
        received = bytearray(client.buffer)

        def events():
            if received.count(b"half_open") < 2 or b'"closed"' not in received.split(b"half_open")[-1]:
                received.extend(client.socket.recv(65536))
            text = received.decode(errors="replace")
            return [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and
                    line.rstrip().endswith("}")]

        wait_until(lambda: len(events()) >= 3)
        seen = [(event["from"], event["to"]) for event in events() if event["policy"]][:3]
        first = events()[0]
    assert seen == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    assert first["target"] == upstream.address
    assert {"time", "instance", "reason", "at"} <= set(first)
    assert "policy.yaml:" in first["at"]


def test_every_transition_is_a_log_line(start, upstream):
    proxy = start(SMALL)
    upstream.plan(*[answer(500)] * 3)
    for _ in range(3):
        proxy.get()
    wait_until(lambda: any(line.get("from") == "closed" and line.get("to") == "open" for line in proxy.logs()))


def test_callers_beyond_the_connections_of_admin_stall_nothing(start, upstream):
    proxy = start(SMALL)
    hogs = [Client(proxy.admin_port) for _ in range(60)]
    for hog in hogs:
        try:
            hog.send(b"GET /metrics HTTP/1.1\r\nHost: ")
        except OSError:
            pass  # turned away already
    started = time.monotonic()
    assert [proxy.get().status for _ in range(20)] == [200] * 20
    assert time.monotonic() - started < slack(2)
    for hog in hogs:
        hog.close()
    wait_until(proxy.is_ready)


def test_a_slow_sender_is_turned_away(start):
    proxy = start()
    with Client(proxy.admin_port) as client:
        client.send(b"GET /metrics HTTP/1.1\r\n")
        started = time.monotonic()
        client.read_until_close()
        assert time.monotonic() - started < 5 + slack(1.5)


def test_metrics_under_load_stay_whole(start, upstream):
    proxy = start(SMALL)
    with Load(proxy, callers=4) as load:
        for _ in range(20):
            proxy.metrics()
        load.wait_calls(100)
    assert load.broken == []
    assert proxy.metrics().sum("outrigger_requests_total") == len(load.results)


def test_the_metrics_listener_shows_three_pages_only(make_proxy, upstream):
    port = free_port()
    make_proxy(upstream, SMALL, spec=f'metrics: {{listen: "127.0.0.1:{port}"}}').start()

    def status(path, method="GET"):
        with Client(port) as client:
            return client.request(method, path, [("Connection", "close")], host="127.0.0.1").status

    assert [status(path) for path in ("/metrics", "/ready", "/live")] == [200] * 3
    assert [status(path) for path in ("/policies", "/circuits", "/events")] == [404] * 3
    assert status("/circuits/x", "POST") in (404, 405)


def test_off_loopback_a_token_is_needed_to_change_something(make_proxy, upstream, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    proxy = make_proxy(upstream, SMALL)
    text = (proxy.config / "proxy.yaml").read_text()
    proxy.write("proxy.yaml", text.replace(f'admin: {{listen: "127.0.0.1:{proxy.admin_port}"}}',
                                           f'admin: {{listen: "0.0.0.0:{proxy.admin_port}", tokenFile: "{token}"}}'))
    proxy.start()
    proxy.get()
    identity = circuits(proxy)[0]["id"]

    def force_open(headers):
        return proxy.admin(page_of(identity), "POST", b'{"action": "force_open"}',
                           [("Content-Type", "application/json"), *headers]).status

    assert force_open([]) == 401
    assert force_open([("Authorization", "Bearer wrong")]) in (401, 403)
    assert proxy.get().status == 200
    assert force_open([("Authorization", "Bearer s3cret")]) == 200
    assert proxy.get().reason == "circuit_open"
