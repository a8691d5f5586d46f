"""Reload: new numbers for what lives, nothing dropped, and a bad file changes nothing."""

import os
import pathlib

import pytest
from harness.client import encode
from harness.proxy import Load, policy_document
from harness.upstream import answer
from harness.waiting import stays, wait_until

OPEN_DOOR = "retry: {attempts: 0}"
CLOSED_DOOR = "circuitBreaker: {mode: forceOpen}"


def reloads(proxy, result):
    return proxy.metrics().sum("outrigger_config_reloads_total", result=result)


def test_a_changed_file_is_taken_up(start, upstream):
    proxy = start(OPEN_DOOR)
    assert proxy.get().status == 200
    proxy.set_policy(CLOSED_DOOR)
    wait_until(lambda: proxy.get().reason == "circuit_open")
    proxy.set_policy(OPEN_DOOR)
    wait_until(lambda: proxy.get().status == 200)


def test_a_file_written_in_place_is_taken_up(start, upstream):
    proxy = start(OPEN_DOOR)
    (proxy.config / "policy.yaml").write_text(policy_document(CLOSED_DOOR))
    wait_until(lambda: proxy.get().reason == "circuit_open")


def test_a_new_file_in_the_folder_is_taken_up(start, upstream):
    proxy = start()
    proxy.set_policy(CLOSED_DOOR)
    wait_until(lambda: proxy.get().reason == "circuit_open")


def test_a_removed_file_is_taken_up(start, upstream):
    proxy = start(CLOSED_DOOR)
    assert proxy.get().reason == "circuit_open"
    (proxy.config / "policy.yaml").unlink()
    wait_until(lambda: proxy.get().status == 200)


def test_the_symlink_swap_of_a_config_map_is_taken_up(make_proxy, upstream):
    proxy = make_proxy(upstream)
    mount = proxy.folder / "mount"

    def publish(generation, spec):
        """As kubelet does: a new folder, then one rename of the link that all files go through."""
        data = mount / f"..{generation}"
        data.mkdir(parents=True)
        (data / "policy.yaml").write_text(policy_document(spec))
        fresh = mount / "..data_tmp"
        fresh.symlink_to(data.name)
        os.rename(fresh, mount / "..data")
        link = mount / "policy.yaml"
        if not link.is_symlink():
            link.symlink_to("..data/policy.yaml")

    publish(1, OPEN_DOOR)
    proxy.launch(["proxy", "-c", str(proxy.config), "-c", str(mount)])
    wait_until(proxy.is_ready)
    assert proxy.get().status == 200
    publish(2, CLOSED_DOOR)
    wait_until(lambda: proxy.get().reason == "circuit_open")
    publish(3, OPEN_DOOR)
    wait_until(lambda: proxy.get().status == 200)


def test_sighup_reloads(start, upstream):
    proxy = start(OPEN_DOOR)
    before = reloads(proxy, "success")
    proxy.reload()
    wait_until(lambda: reloads(proxy, "success") > before)
    assert proxy.get().status == 200


def test_a_bad_file_changes_nothing_and_says_where_it_is_bad(start, upstream):
    proxy = start(CLOSED_DOOR)
    proxy.set_policy("retry: {attemps: 3}")
    wait_until(lambda: proxy.metrics().sum("outrigger_config_last_reload_successful") == 0)
    assert proxy.get().reason == "circuit_open"
    assert "policy.yaml:6:" in proxy.stderr() and "attempts" in proxy.stderr()
    assert proxy.admin("/ready").status == 200
    proxy.set_policy(OPEN_DOOR)
    wait_until(lambda: proxy.get().status == 200)
    assert proxy.metrics().sum("outrigger_config_last_reload_successful") == 1


@pytest.mark.parametrize("content", ["", "not: [closed", "\x00", "kind: Nonsense\n"],
                         ids=["empty", "broken", "NUL", "unknown kind"])
def test_whatever_is_in_a_file_the_proxy_goes_on(start, upstream, content):
    proxy = start(OPEN_DOOR)
    proxy.write("policy.yaml", content)
    proxy.reload()
    stays(lambda: proxy.get().status == 200, 0.5)


def test_an_open_circuit_stays_open(start, upstream):
    policy = "circuitBreaker: {{consecutiveFailures: {}, openFor: 60s, maxOpenFor: 60s}}"
    proxy = start(policy.format(3))
    upstream.plan(*[answer(500)] * 3)
    for _ in range(3):
        proxy.get()
    before = reloads(proxy, "success")
    proxy.set_policy(policy.format(9))
    wait_until(lambda: reloads(proxy, "success") > before)
    assert proxy.breaker_state() == "open"
    assert proxy.get().reason == "circuit_open"


def test_tokens_that_are_gone_stay_gone(start, upstream):
    policy = "rateLimit: {{requests: {}, interval: 600s}}"
    proxy = start(policy.format(3))
    assert [proxy.get().status for _ in range(4)] == [200, 200, 200, 429]
    before = reloads(proxy, "success")
    proxy.set_policy(policy.format(4))
    wait_until(lambda: reloads(proxy, "success") > before)
    assert [proxy.get().status for _ in range(3)].count(200) <= 1


def test_what_is_in_flight_stays_counted(start, upstream):
    from harness.upstream import hang

    upstream.on("/hang", hang())
    policy = "bulkhead: {{maxRequests: {}}}"
    proxy = start(policy.format(1))
    with proxy.client() as client:
        client.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        before = reloads(proxy, "success")
        proxy.set_policy(policy.format(2))
        wait_until(lambda: reloads(proxy, "success") > before)
        with proxy.client() as second:
            second.send(encode("GET", "/hang"))
            upstream.wait_for(2)
            assert proxy.get().reason == "bulkhead_full"
    wait_until(lambda: proxy.metrics().sum("outrigger_bulkhead_inflight") == 0)


def test_calls_in_flight_end_as_they_began(start, upstream):
    upstream.on("/slow", answer(200, b"whole", delay=0.8))
    proxy = start("timeouts: {request: 5s}")
    with proxy.client() as client:
        client.send(encode("GET", "/slow"))
        upstream.wait_for(1)
        before = reloads(proxy, "success")
        proxy.set_policy(CLOSED_DOOR)
        wait_until(lambda: reloads(proxy, "success") > before)
        assert client.read_response().body == b"whole"
        assert client.get().reason == "circuit_open"


def test_no_call_fails_while_policies_change_under_load(start, upstream):
    proxy = start("bulkhead: {maxRequests: 50}")
    with Load(proxy, callers=6) as load:
        for number in range(20):
            before = reloads(proxy, "success")
            proxy.set_policy(f"bulkhead: {{maxRequests: {50 + number}}}\nretry: {{attempts: {number % 3}}}")
            wait_until(lambda: reloads(proxy, "success") > before)
            load.wait_calls(20)
    assert load.broken == []
    assert {status for _, status, _ in load.results} == {200}


def test_other_changes_of_the_proxy_config_need_a_restart_and_say_so(start, upstream):
    proxy = start(OPEN_DOOR)
    path = pathlib.Path(proxy.config / "proxy.yaml")
    proxy.write("proxy.yaml", path.read_text() + "  limits: {maxHeaders: 8}\n")
    wait_until(lambda: "restart" in proxy.stderr())
    assert proxy.get("/", [(f"X-{number}", "1") for number in range(10)]).status == 200


def test_the_log_level_reloads(start, upstream):
    proxy = start(OPEN_DOOR, spec="log: {format: json, level: error, access: off}")
    proxy.get("/before")
    text = (proxy.config / "proxy.yaml").read_text()
    proxy.write("proxy.yaml", text.replace("level: error, access: off", "level: info, access: all"))

    def is_logged():
        proxy.get("/after")
        return "/after" in proxy.stderr()

    wait_until(is_logged)
    assert "/before" not in proxy.stderr()
