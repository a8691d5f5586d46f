"""`outrigger check FILE --against ADMIN`: what a reload would change in a running proxy, and that the reload then does
just that."""

import json
import socket
import subprocess
import threading

import pytest
from harness.ports import free_port
from harness.proxy import BINARY, policy_document
from harness.upstream import answer
from harness.waiting import wait_until

POLICY = """\
timeouts: {request: 10s, backendRequest: 2s}
retry: {attempts: 2}
circuitBreaker: {consecutiveFailures: 2, openFor: 60s, openJitter: 0}
bulkhead: {maxRequests: 10}
rateLimit: {requests: 1000, interval: 1h, burst: 1000}
rules:
  - name: charge
    matches: [{path: {value: /charge}, method: POST}]
    retry: {attempts: 0}
    circuitBreaker: {consecutiveFailures: 9}
  - name: read
    matches: [{method: GET}]
    retry: {attempts: 1}
"""


def check(*arguments):
    return subprocess.run([BINARY, "check", *map(str, arguments)], capture_output=True, text=True, timeout=30,
                          stdin=subprocess.DEVNULL)


class Planned:
    """A running proxy, and files that may come next."""

    def __init__(self, proxy, folder):
        self.proxy, self.folder = proxy, folder
        self.url = f"http://127.0.0.1:{proxy.admin_port}"
        folder.mkdir()
        for path in proxy.config.iterdir():
            (folder / path.name).write_text(path.read_text())

    def write(self, spec, **how):
        (self.folder / "policy.yaml").write_text(spec if "kind:" in spec else policy_document(spec, **how))
        return self

    def plan(self):
        done = check(self.folder, "--against", self.url, "--format", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["plan"]

    def changes(self):
        return {(change["document"], change["rule"], change["field"]): (change["before"], change["after"])
                for change in self.plan()["changes"]}

    def outcomes(self):
        return {(instance["instance"], part["part"]): (part["now"], part["outcome"])
                for instance in self.plan()["instances"] for part in instance["parts"]}

    def text(self):
        return check(self.folder, "--against", self.url).stdout


@pytest.fixture
def planned(start, tmp_path, upstream):
    proxy = start(POLICY)
    proxy.get("/")
    proxy.post("/charge")
    return Planned(proxy, tmp_path / "next")


def test_the_same_files_change_nothing(planned):
    assert "the same bytes: a reload does nothing" in planned.text()
    plan = planned.plan()
    assert plan["changes"] == plan["documents"] == plan["rules"] == []


def test_a_comment_changes_no_value(planned):
    planned.write(policy_document(POLICY) + "# a remark\n")
    assert planned.changes() == {}
    assert "no value changes" in planned.text()


def test_values_of_documents_and_rules(planned):
    planned.write(POLICY.replace("attempts: 2}", "attempts: 3, codes: [503]}").replace("attempts: 0", "attempts: 1"))
    assert planned.changes() == {("test", None, "retry.attempts"): (2, 3),
                                 ("test", None, "retry.codes"): ([502, 503, 504], [503]),
                                 ("test", "charge", "retry.attempts"): (0, 1)}
    assert "test.charge: retry.attempts 0 \u2192 1\n" in planned.text()
    assert "test: retry.codes [502, 503, 504] \u2192 [503]\n" in planned.text()


def test_targets_and_protocol(planned):
    document = policy_document(POLICY).replace('[{host: "*"}]', '[{host: "*"}, {host: "::1", ports: [80, 81]}]')
    planned.write(document.replace("targets:", "protocol: http1\n  targets:"))
    assert planned.changes() == {("test", None, "targets"): (["*"], ["*", "[::1]:80", "[::1]:81"]),
                                 ("test", None, "protocol"): (None, "http1")}
    assert "test: protocol nothing \u2192 http1\n" in planned.text()


def test_rules_come_go_move_and_match_otherwise(planned):
    moved = POLICY.split("rules:")[0] + """rules:
  - {name: read, matches: [{method: HEAD}], retry: {attempts: 1}}
  - {name: charge, matches: [{path: {value: /charge}, method: POST}], retry: {attempts: 0},
     circuitBreaker: {consecutiveFailures: 9}}
  - {name: new, retry: {attempts: 7}}
"""
    planned.write(moved)
    assert planned.changes() == {
        ("test", None, "order of rules"): (["charge", "read"], ["read", "charge"]),
        ("test", "read", "matches"): (["method GET"], ["method HEAD"]),
        ("test", "new", "retry.attempts"): (2, 7)}
    assert [(note["rule"], note["change"]) for note in planned.plan()["rules"]] == [("new", "added")]
    planned.write(POLICY.split("rules:")[0])
    assert [(note["rule"], note["change"]) for note in planned.plan()["rules"]] == [("charge", "removed"),
                                                                                    ("read", "removed")]


def test_documents_come_and_go_and_the_proxy_needs_a_restart(planned):
    planned.write(policy_document(POLICY, name="other"))
    proxy = planned.folder / "proxy.yaml"
    proxy.write_text(proxy.read_text() + "  limits: {maxConnections: 5}\n")
    plan = planned.plan()
    assert [(note["document"], note["change"]) for note in plan["documents"]] == [("other", "added"),
                                                                                  ("test", "removed")]
    assert [(change["field"], change["needsRestart"]) for change in plan["changes"]] == [("limits.maxConnections", True)]
    assert "ProxyConfig: limits.maxConnections 10000 \u2192 5 (needs a restart)" in planned.text()
    assert planned.outcomes()[("target", "circuitBreaker")] == ("closed", "starts empty")
    assert "policy other holds for its target then" in planned.text()


def test_state_is_kept_unless_its_shape_changes(planned):
    planned.write(POLICY.replace("maxRequests: 10", "maxRequests: 20").replace("attempts: 2", "attempts: 1"))
    kept = planned.outcomes()
    assert kept[("target", "circuitBreaker")] == ("closed", "keeps its state")
    assert kept[("target", "bulkhead")] == ("0 in flight, 0 waiting", "keeps its state")
    assert kept[("target", "rateLimit")][1] == "keeps its state"
    assert kept[("rule:charge", "circuitBreaker")] == ("closed", "keeps its state")
    assert ("rule:charge", "bulkhead") not in kept  # the target's serves its calls
    planned.write(POLICY.replace("openFor: 60s", "scope: endpoint, openFor: 60s")
                  .replace("maxRequests: 10", "maxRequests: 10, key: path").replace("burst: 1000", "burst: 9, key: path")
                  .replace("attempts: 2", "attempts: 2, budget: {interval: 20s}"))
    lost = planned.outcomes()
    assert lost[("target", "circuitBreaker")][1] == "starts empty"
    assert lost[("target", "bulkhead")][1] == "starts empty"
    assert lost[("target", "rateLimit")][1] == "starts full"
    assert lost[("target", "retry budget")][1] == "starts empty"
    planned.write(POLICY.replace("circuitBreaker: {consecutiveFailures: 9}", "timeouts: {request: 1s}"))
    assert planned.outcomes()[("rule:charge", "circuitBreaker")][1] == "ends"


def test_what_it_says_of_an_open_circuit_is_what_the_reload_does(planned, upstream):
    proxy = planned.proxy
    upstream.default = answer(503)
    wait_until(lambda: proxy.request("PUT", "/").reason == "circuit_open", what="the circuit open")
    kept = POLICY.replace("consecutiveFailures: 2", "consecutiveFailures: 5, failureRate: {window: 20s}")
    planned.write(kept)
    part = planned.outcomes()[("target", "circuitBreaker")]
    assert part == ("open", "keeps its state") and "but its window changes" in planned.text()
    proxy.set_policy(kept)
    proxy.wait_log("config_reloaded")
    assert proxy.breaker_state(instance="target") == "open"
    planned.write(kept.replace("openFor: 60s", "scope: endpoint, openFor: 60s"))
    assert planned.outcomes()[("target", "circuitBreaker")] == ("open", "starts empty")


def test_force_open_comes_and_goes(start, tmp_path):
    proxy = start("circuitBreaker: {mode: forceOpen}\ntimeouts: {request: 5s}")
    proxy.get("/")
    planned = Planned(proxy, tmp_path / "next").write("circuitBreaker: {}\ntimeouts: {request: 5s}")
    assert planned.outcomes()[("target", "circuitBreaker")] == ("forced_open", "starts empty")
    proxy.set_policy("circuitBreaker: {}\ntimeouts: {request: 5s}")
    proxy.wait_log("config_reloaded")
    assert proxy.breaker_state(instance="target") == "closed"
    planned.write("circuitBreaker: {mode: forceOpen}\ntimeouts: {request: 5s}")
    assert planned.outcomes()[("target", "circuitBreaker")] == ("closed", "is forced open")
    planned.write("circuitBreaker: {mode: off}\ntimeouts: {request: 5s}")
    assert planned.outcomes()[("target", "circuitBreaker")] == ("closed", "is switched off")


def test_circuits_by_endpoint_are_counted(start, tmp_path):
    proxy = start("circuitBreaker: {scope: endpoint}\ntimeouts: {request: 5s}")
    proxy.get("/")
    planned = Planned(proxy, tmp_path / "next").write("circuitBreaker: {scope: endpoint}\ntimeouts: {request: 6s}")
    assert planned.outcomes()[("target", "circuitBreaker")] == ("1 endpoint", "keeps its state")


def test_files_with_errors_have_no_plan(planned):
    planned.write(POLICY.replace("attempts: 2", "atempts: 2"))
    done = check(planned.folder, "--against", planned.url)
    assert done.returncode == 1 and "plan of" not in done.stdout


@pytest.mark.parametrize("url, says", [
    ("http://payments:15020", "the host is no IP address"),
    ("ftp://x", "http://127.0.0.1:15020"),
])
def test_a_bad_url_is_2(planned, url, says):
    done = check(planned.folder, "--against", url)
    assert done.returncode == 2 and says in done.stderr


def test_an_unreachable_proxy_is_2_and_says_what_to_do(planned):
    done = check(planned.folder, "--against", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "connection refused" in done.stderr and "admin.listen" in done.stderr
    other = check(planned.folder, "--against", f"http://127.0.0.1:{planned.proxy.port}")
    assert other.returncode == 2
    assert check(planned.folder, "--against", planned.url, "--format", "sarif").returncode == 2
    assert check(planned.folder, "--against").returncode == 2


def test_policies_shows_effective_values_of_many_documents(start, tmp_path):
    documents = [policy_document("retry: {attempts: 3}\nrules:\n" + "\n".join(
        f"  - {{name: r{rule}, matches: [{{path: {{value: /{rule}}}}}], retry: {{backoff: {rule + 1}ms}}}}"
        for rule in range(40)), host=f"h{number}", name=f"d{number}") for number in range(20)]
    proxy = start(documents=documents)
    said = json.loads(proxy.admin("/policies").body)
    assert len(said["policies"]) == 20
    for policy in said["policies"]:
        assert policy["fields"]["retry.attempts"] == 3 and policy["fields"]["bulkhead.mode"] == "off"
        assert [rule["fields"]["retry.backoff"] for rule in policy["rules"]] == [f"{n + 1}ms" for n in range(40)]
        assert all("timeouts.mode" not in rule["fields"] for rule in policy["rules"])
    assert said["proxy"]["fields"]["limits.maxHeaders"] == 100
    assert json.loads(proxy.admin("/instances").body) == {"instances": []}


@pytest.mark.parametrize("answer, says", [
    (b"HTTP/1.1 200 OK\r\n\r\n{\"hash\": \"\\u001b[2J\", \"policies\": []}", "plan of a reload"),
    (b"HTTP/1.1 200 OK\r\n\r\n[]", "no JSON object"),
    (b"HTTP/1.1 200 OK\r\n\r\n{\"hash\":", "no JSON object"),
    (b"HTTP/1.1 404 \x1b[2J\r\n\r\n", "answers GET /policies with"),
    (b"220 ftp\r\n", "no HTTP answer"),
    (b"", "no HTTP answer"),
])
def test_what_is_no_admin_port_is_said_and_cannot_drive_the_terminal(planned, answer, says):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            for _ in range(2):
                connection, _ = server.accept()
                connection.recv(4096)
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        done = check(planned.folder, "--against", f"http://127.0.0.1:{server.getsockname()[1]}")
    assert says in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.returncode == (0 if "plan of" in says else 2)
