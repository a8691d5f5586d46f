"""How an endpoint is chosen among the addresses of one name: in turn, by latency, by a key; and a slow start."""

import json
import subprocess

import pytest
from harness.proxy import BINARY, policy_document
from harness.upstream import answer
from harness.waiting import slack, wait_until

ROUND_ROBIN = "loadBalancer: {algorithm: roundRobin}"
BY_USER = 'loadBalancer: {algorithm: ringHash, key: "header:X-User"}'
PEAK_EWMA = "loadBalancer: {algorithm: peakEwma}"
OUTLIER = "outlier: {consecutiveFailures: 1, ejectFor: 200ms, ejectJitter: 0}"
RETRY = "retry: {attempts: 2, backoff: 1ms, budget: {mode: off}, codes: [503]}"


def call(proxy, count, headers=()):
    assert {proxy.get(headers=headers).status for _ in range(count)} <= {200}


def hosts(servers, *indexes):
    servers.names.set(servers.name, [servers[index].host for index in indexes])


def owner_of(proxy, servers, user):
    """Which upstream a user's call goes to."""
    servers.forget()
    call(proxy, 1, [("X-User", user)])
    return servers.counts().index(1)


def owners(proxy, servers, users=40):
    return {user: owner_of(proxy, servers, f"user-{user}") for user in range(users)}


# ---- in turn


@pytest.mark.parametrize("outlier", ["", OUTLIER])
def test_in_turn_each_gets_the_same(many, proxy_for, outlier):
    servers = many(4)
    proxy = proxy_for(servers, f"{ROUND_ROBIN}\n{outlier}")
    call(proxy, 40)
    assert servers.counts() == [10] * 4


def test_a_call_that_is_refused_takes_nobodys_turn(many, proxy_for):
    servers = many(2)
    proxy = proxy_for(servers, f"{ROUND_ROBIN}\n{OUTLIER}\nrateLimit: {{requests: 6, interval: 1h, burst: 6}}")
    assert [proxy.get().status for _ in range(9)] == [200] * 6 + [429] * 3
    assert servers.counts() == [3, 3]


def test_in_turn_goes_on_when_one_leaves_the_name(many, proxy_for):
    servers = many(3)
    proxy = proxy_for(servers, ROUND_ROBIN)
    call(proxy, 3)
    hosts(servers, 0, 2)

    def has_left():
        servers.forget()
        call(proxy, 4)
        return servers.counts() == [2, 0, 2]

    wait_until(has_left, timeout=slack(10), what="the name without it")
    servers.forget()
    call(proxy, 20)
    assert servers.counts() == [10, 0, 10]


@pytest.mark.parametrize("policy", [ROUND_ROBIN, PEAK_EWMA, "loadBalancer: {algorithm: leastRequest}",
                                    "loadBalancer: {algorithm: ringHash, key: path}"])
def test_a_retry_goes_to_another(many, proxy_for, policy):
    servers = many(3)
    for bad in servers.upstreams[:2]:
        bad.default = answer(503)
    proxy = proxy_for(servers, f"{policy}\n{RETRY}")
    call(proxy, 20)
    assert servers.counts()[2] == 20
    assert max(servers.counts()) == 20


# ---- by a key


def test_a_key_stays_with_its_endpoint(many, proxy_for):
    servers = many(4)
    proxy = proxy_for(servers, BY_USER)
    first = owners(proxy, servers)
    assert set(first.values()) == {0, 1, 2, 3}
    assert owners(proxy, servers) == first


def test_two_sidecars_agree(many, proxy_for):
    servers = many(4)
    one, other = proxy_for(servers, BY_USER), proxy_for(servers, f"{BY_USER}\n{OUTLIER}")
    assert owners(one, servers) == owners(other, servers)


def test_only_the_keys_of_an_endpoint_that_leaves_move(many, proxy_for):
    servers = many(4)
    proxy = proxy_for(servers, BY_USER)
    before = owners(proxy, servers)
    its_user = next(user for user, owner in before.items() if owner == 2)
    hosts(servers, 0, 1, 3)
    wait_until(lambda: owner_of(proxy, servers, f"user-{its_user}") != 2, timeout=slack(10), what="the move")
    after = owners(proxy, servers)
    assert all(after[user] == owner for user, owner in before.items() if owner != 2)
    assert 2 not in after.values()


def test_a_key_whose_endpoint_fails_has_a_second_one(many, proxy_for):
    servers = many(4)
    proxy = proxy_for(servers, f"{BY_USER}\n{RETRY}")
    its_own = owner_of(proxy, servers, "alice")
    servers[its_own].default = answer(503)
    servers.forget()
    call(proxy, 10, [("X-User", "alice")])
    assert servers.counts()[its_own] == 10
    assert sorted(servers.counts()) == [0, 0, 10, 10]


def test_calls_without_the_key_are_spread(many, proxy_for):
    servers = many(3)
    proxy = proxy_for(servers, BY_USER)
    call(proxy, 60)
    assert min(servers.counts()) > 5


def test_the_caller_is_a_key(many, proxy_for):
    servers = many(4)
    proxy = proxy_for(servers, "loadBalancer: {algorithm: ringHash, key: client}")
    call(proxy, 20)
    assert sorted(servers.counts()) == [0, 0, 0, 20]


# ---- by latency


def test_a_slow_endpoint_gets_few_calls(many, proxy_for):
    servers = many(3)
    servers[1].default = answer(200, delay=0.3)
    proxy = proxy_for(servers, PEAK_EWMA)
    call(proxy, 100)
    counts = servers.counts()
    assert 1 <= counts[1] <= 10 and min(counts[0], counts[2]) > 10  # a third, were they equal


def test_an_endpoint_that_fails_quickly_draws_no_crowd(many, proxy_for):
    servers = many(3)
    servers[1].default = answer(503)
    proxy = proxy_for(servers, f"{PEAK_EWMA}\n{RETRY}")
    call(proxy, 60)
    assert servers.counts()[1] <= 3


# ---- slow start


@pytest.mark.parametrize("algorithm", ["leastRequest", "roundRobin", "peakEwma"])
def test_an_endpoint_that_is_new_starts_slowly(many, proxy_for, algorithm):
    servers = many(3)
    hosts(servers, 0, 1)
    proxy = proxy_for(servers, f"loadBalancer: {{algorithm: {algorithm}, slowStart: 1h}}")
    call(proxy, 20)
    assert servers.counts()[2] == 0
    hosts(servers, 0, 1, 2)
    wait_until(lambda: call(proxy, 5) or servers.counts()[2] > 0, timeout=slack(15), what="a call to the new one")
    servers.forget()
    call(proxy, 300)
    least = 0 if algorithm == "peakEwma" else 1  # its first answer may have been a slow one
    assert least <= servers.counts()[2] <= 35  # a tenth of a third is 10


def test_an_endpoint_that_is_back_starts_slowly(many, proxy_for):
    servers = many(2)
    proxy = proxy_for(servers, f"loadBalancer: {{algorithm: roundRobin, slowStart: 1h}}\n{OUTLIER}")
    call(proxy, 20)
    servers[0].default = answer(500)
    wait_until(lambda: proxy.get().status == 500, what="its failure")
    servers[0].default = answer(200)
    wait_until(lambda: call(proxy, 1) or proxy.breaker_state(instance=f"target/outlier:{servers[0].address}") == "closed",
               what="its return")
    servers.forget()
    call(proxy, 300)
    assert 5 <= servers.counts()[0] <= 60  # 1 of 11 is 27


# ---- policies


def test_a_reload_changes_the_algorithm(many, proxy_for):
    servers = many(3)
    proxy = proxy_for(servers, "loadBalancer: {algorithm: ringHash, key: client}")
    call(proxy, 12)
    assert sorted(servers.counts()) == [0, 0, 12]
    proxy.set_policy(ROUND_ROBIN)
    proxy.reload()

    def is_in_turn():
        servers.forget()
        call(proxy, 6)
        return servers.counts() == [2, 2, 2]

    wait_until(is_in_turn, what="round robin")


def test_the_plan_of_a_reload_and_policies_show_it(many, proxy_for, tmp_path):
    servers = many(2)
    proxy = proxy_for(servers, ROUND_ROBIN)
    shown = json.loads(proxy.admin("/policies").body)["policies"][0]["fields"]
    assert shown["loadBalancer.algorithm"] == "roundRobin" and shown["loadBalancer.slowStart"] == "0s"
    folder = tmp_path / "next"
    folder.mkdir()
    for path in proxy.config.iterdir():
        (folder / path.name).write_text(path.read_text())
    (folder / "policy.yaml").write_text(policy_document(BY_USER))
    done = subprocess.run([BINARY, "check", folder, "--against", f"http://127.0.0.1:{proxy.admin_port}", "--format",
                           "json"], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    changes = {change["field"]: (change["before"], change["after"]) for change in json.loads(done.stdout)["plan"]["changes"]}
    assert changes == {"loadBalancer.algorithm": ("roundRobin", "ringHash"), "loadBalancer.key": ("none", "header:x-user")}


def test_a_hash_without_a_key_is_refused_with_its_place(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(policy_document("loadBalancer: {algorithm: ringHash}"))
    done = subprocess.run([BINARY, "check", path], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
    assert done.returncode == 1
    assert "ringHash needs a key" in done.stdout + done.stderr
    assert f"{path}:6:17" in done.stdout + done.stderr
