"""`outrigger schema`: a JSON Schema that editors can use: what loads validates, and common slips do not."""

import json
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml
from harness.proxy import BINARY, policy_document

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "policies").glob("*.yaml")) + sorted((ROOT / "examples").glob("*/*.yaml"))


class Loader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: `on` and `off` are words."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run([BINARY, "schema"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    return json.loads(done.stdout)


def check(path):
    return subprocess.run([BINARY, "check", path], capture_output=True, text=True, timeout=20).returncode


def problems(schema, text):
    validator = jsonschema.Draft7Validator(schema)
    return [error.message for document in yaml.load_all(text, Loader) for error in validator.iter_errors(document)]


def test_it_is_draft_07(schema):
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_what_we_ship_validates(schema, path):
    assert problems(schema, path.read_text()) == []


def test_a_file_that_names_its_schema_validates_and_loads(schema, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("# yaml-language-server: $schema=outrigger.schema.json\n" + policy_document(
        "timeouts: {request: 10s, backendRequest: 3s}\nretry: {attempts: 1, codes: [500, 502-504], on: [reset]}\n"
        "circuitBreaker: {failureRate: {percent: 12.5, calls: 100}, scope: endpoint}\n"
        "bulkhead: {maxConnections: unlimited, maxStreams: 7, key: \"header:x-tenant\"}\n"
        "rateLimit: {requests: 10, burst: 20}\n"
        "rules: [{name: a, matches: [{path: {type: Exact, value: /a}, headers: [{name: a, value: b}]}], "
        "retry: {attempts: 0}, rateLimit: {burst: 3}}]"))
    assert problems(schema, path.read_text()) == []
    assert check(path) == 0


@pytest.mark.parametrize("spec", [
    "retry: {atempts: 2}",
    "retry: {attempts: two}",
    "retry: {attempts: 21}",
    "retry: {jitter: random}",
    "retry: {on: [timeouts]}",
    "retry: {codes: [200]}",
    "timeouts: {request: 10}",
    "timeouts: {request: 1.5s}",
    "timeouts: []",
    "circuitBreaker: {scope: host}",
    "circuitBreaker: {failureRate: {percent: 101}}",
    "bulkhead: {maxRequests: 0}",
    "bulkhead: {maxConnections: none}",
    "rateLimit: {interval: 1s}",
    "rateLimit: {requests: 1, key: tenant}",
    "rules: [{matches: []}]",
    "rules: [{name: a, retry: {budget: {percent: 10}}}]",
    "hedge: {}",
])
def test_a_slip_does_not_validate_and_does_not_load(schema, spec, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(policy_document(spec))
    assert problems(schema, path.read_text())
    assert check(path) == 1


@pytest.mark.parametrize("text", [
    "apiVersion: outrigger.dev/v1\nkind: ResiliencePolicy\nmetadata: {name: a}\nspec: {targets: [{host: a}]}\n",
    "apiVersion: outrigger.dev/v1alpha1\nkind: Policy\nmetadata: {name: a}\nspec: {targets: [{host: a}]}\n",
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {}\nspec: {targets: [{host: a}]}\n",
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: a}\nspec: {}\n",
    "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: a}\n",
    "apiVersion: outrigger.dev/v1alpha1\nkind: ProxyConfig\nmetadata: {name: a}\nspec: {listeners: [{listen: \":1\"}]}\n",
    "kind: ProxyConfig\nmetadata: {name: a}\n",
])
def test_a_wrong_document_does_not_validate_and_does_not_load(schema, text, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    assert problems(schema, text)
    assert check(path) == 1
