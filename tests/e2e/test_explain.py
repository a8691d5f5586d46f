"""`outrigger explain -c ... METHOD URL`: what a call would get, from which line, and at worst."""

import json
import pathlib
import subprocess

import pytest
from harness.proxy import BINARY

POLICIES = pathlib.Path(__file__).resolve().parents[2] / "policies"

POLICY = """\
apiVersion: outrigger.dev/v1alpha1
kind: ResiliencePolicy
metadata: {name: payments, namespace: shop}
spec:
  targets:
    - host: payments
      ports: [8080]
    - host: "*.pay.example"
  timeouts: {request: 10s, backendRequest: 2s}
  retry:
    attempts: 2
    grpcCodes: [UNAVAILABLE]
    budget: {percent: 10}
  circuitBreaker: {failureRate: {percent: 40}, openFor: 2s, maxOpenFor: 8s, openJitter: 50}
  rules:
    - name: charge
      matches:
        - path: {value: /v1/charge}
          method: POST
      retry: {attempts: 0}
    - name: tenant
      matches: [{headers: [{name: X-Tenant, value: gold}]}, {queryParams: [{name: vip, value: "1"}]}]
      circuitBreaker: {consecutiveFailures: 3}
    - name: quote
      matches: [{grpc: {service: shop.Quotes, method: Get}}]
      retry: {attempts: 1}
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    return path


def explain(*arguments, cwd=None):
    return subprocess.run([BINARY, "explain", *map(str, arguments)], capture_output=True, text=True, timeout=20, cwd=cwd,
                          stdin=subprocess.DEVNULL)


def told(policy, *arguments):
    """The text, and the object, of one call."""
    text = explain("-c", policy, *arguments)
    assert text.returncode == 0, text.stderr
    done = explain("-c", policy, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return text.stdout, json.loads(done.stdout)


def test_the_rule_that_matches_and_why(policy):
    text, said = told(policy, "POST", "http://payments.shop.svc:8080/v1/charge/7")
    assert said["document"] == {"name": "payments", "namespace": "shop", "at": f"{policy}:1",
                                "why": 'exact host "payments" (in namespace shop also payments.shop.svc), '
                                       'port 8080 listed'}
    assert said["rule"] == {"name": "charge", "at": f"{policy}:16", "why": "path under /v1/charge, method POST"}
    assert said["notMatched"] == []
    assert f"rule       charge at {policy}:16: path under /v1/charge, method POST" in text
    assert said["worst"]["tries"] == 1 and said["worst"]["noRetryBecause"] == "attempts is 0"


def test_the_rules_that_do_not_match_and_on_what(policy):
    text, said = told(policy, "GET", "http://eu.pay.example/v1/charge?vip=2", "-H", "x-tenant: iron")
    assert said["document"]["why"] == 'wildcard "*.pay.example", any port'
    assert said["rule"] is None
    assert {rule["name"]: rule["why"] for rule in said["notMatched"]} == {
        "charge": "method GET is not POST",
        "tenant": 'header x-tenant is "iron", not "gold"; query parameter vip is not "1"',
        "quote": "it is no gRPC call, for shop.Quotes/Get"}
    assert "none matches" in text and "not tenant: header x-tenant" in text


def test_each_field_says_where_it_comes_from(policy):
    _, said = told(policy, "GET", "http://payments:8080/", "-H", "X-Tenant: gold")
    fields = said["fields"]
    assert said["rule"]["name"] == "tenant"
    assert fields["circuitBreaker.consecutiveFailures"] == {"value": 3, "from": "rule", "at": f"{policy}:23"}
    assert fields["circuitBreaker.openFor"] == {"value": "2s", "from": "document", "at": f"{policy}:14"}
    assert fields["retry.codes"] == {"value": [502, 503, 504], "from": "default", "at": None}
    assert fields["bulkhead.mode"] == {"value": "off", "from": "absent", "at": None}
    assert fields["timeouts.deadlineHeader"]["value"] is None
    assert fields["loadBalancer.algorithm"] == {"value": "leastRequest", "from": "absent", "at": None}
    assert said["instances"] == {"circuitBreaker": "rule:tenant", "bulkhead": "target", "rateLimit": "target",
                                 "outlier": "target"}


def test_the_worst_case_in_numbers(policy):
    text, said = told(policy, "GET", "http://payments:8080/")
    worst = said["worst"]
    assert (worst["tries"], worst["attemptMs"], worst["backoffMs"]) == (3, 2000, 75)
    assert worst["totalMs"] == 10000  # 6 s of tries and twice a Retry-After of 5 s, cut by `request`
    assert (worst["load"], worst["loadInTheLongRun"]) == (3, 1.1)
    assert worst["circuit"] == {"firstOpenLeastMs": 1000, "firstOpenMostMs": 3000, "longestOpenMs": 12000,
                                "probeMs": 2000}
    assert "3x at most; 1.1x in the long run" in text
    assert "opens on 7 failures in a row, or 40 % failures of at least 20 calls in 10s" in text


def test_a_post_is_repeated_only_with_a_key(policy):
    _, plain = told(policy, "POST", "http://payments:8080/v2")
    _, keyed = told(policy, "POST", "http://payments:8080/v2", "-H", "Idempotency-Key: 1")
    assert plain["worst"]["tries"] == 1 and "Idempotency-Key" in plain["worst"]["noRetryBecause"]
    assert keyed["worst"]["tries"] == 3 and keyed["worst"]["noRetryBecause"] is None


def test_a_grpc_call(policy):
    _, said = told(policy, "POST", "http://payments:8080/shop.Quotes/Get", "-H", "content-type: application/grpc",
                   "-H", "grpc-timeout: 500m")
    assert said["call"]["grpc"] is True
    assert said["rule"]["name"] == "quote" and said["rule"]["why"] == "gRPC shop.Quotes/Get"
    assert said["worst"]["tries"] == 2 and said["worst"]["totalMs"] == 500


def test_without_a_document_it_says_what_holds(policy):
    text, said = told(policy, "GET", "http://payments:9/")
    assert said["document"] is None and said["rule"] is None
    assert said["fields"]["timeouts.connect"] == {"value": "5s", "from": "absent", "at": None}
    assert said["worst"]["totalMs"] is None
    assert "none applies to payments port 9" in text and "waited for without end" in text


def test_a_folder_and_several_files(policy, tmp_path):
    assert told(tmp_path, "GET", "http://payments:8080/")[1]["document"]["name"] == "payments"
    done = explain("-c", policy, "-c", POLICIES / "default.yaml", "GET", "http://else/")
    assert "every host \"*\", any port" in done.stdout


def test_what_a_pod_adds_to_the_files(tmp_path):
    selected = tmp_path / "web.yaml"
    selected.write_text("apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: web}\n"
                        "spec: {selector: {matchLabels: {app: web}}, targets: [{host: \"*\"}]}\n")
    labels = tmp_path / "labels"
    common = ["-c", selected, "--defaults", POLICIES / "default.yaml", "--pod-labels", labels]
    for text, document in (('app="web"\n', "web"), ('app="db"\n', "default")):
        labels.write_text(text)
        assert f"document   {document} at" in explain(*common, "GET", "http://db/").stdout


@pytest.mark.parametrize("arguments, says", [
    (["GET"], "a method and a URL"),
    (["http://payments/"], "a method and a URL"),
    (["GET", "payments/"], "http://payments:8080/v1/charge"),
    (["GET", "https://payments/"], "CONNECT"),
    (["GET", "http://a/", "b"], "one word too many"),
    (["GET", "http://a/", "-H", "x"], "-H 'x-tenant: a'"),
    (["GET", "http://a/", "-H"], "needs a value"),
    (["GET", "http://a/", "--yaml"], "unknown option"),
])
def test_bad_usage_is_2_and_says_what_to_write(policy, arguments, says):
    done = explain("-c", policy, *arguments)
    assert done.returncode == 2 and says in done.stderr and done.stdout == ""


def test_without_policies_or_with_bad_ones_is_2(tmp_path):
    assert explain("GET", "http://a/").returncode == 2
    assert explain().returncode == 2
    bad = tmp_path / "bad.yaml"
    bad.write_text(POLICY.replace("attempts: 2", "atempts: 2"))
    done = explain("-c", bad, "GET", "http://a/")
    assert done.returncode == 2 and "bad.yaml:11:5: spec.retry.atempts" in done.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no *.yaml file" in explain("-c", empty, "GET", "http://a/").stderr


@pytest.mark.parametrize("command", ["check", "explain", "schema", "proxy"])
def test_help_fits_a_screen_and_has_an_example(command):
    done = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True, timeout=20)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) <= 30 and max(map(len, lines)) <= 100
    assert "Example" in done.stdout
