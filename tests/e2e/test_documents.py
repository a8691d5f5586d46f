"""Which document and which rule a call is under, and what `mode` makes of a block."""

import pytest
from harness.client import Client, encode
from harness.proxy import policy_document
from harness.upstream import Upstream, answer, hang
from harness.waiting import wait_until

REFUSE = "circuitBreaker: {mode: forceOpen}"


def test_the_most_specific_document_wins_whole(start, upstream):
    exact = policy_document("retry: {attempts: 1, backoff: 1ms}", host="127.0.0.1", name="exact")
    proxy = start(REFUSE, documents=[exact])
    upstream.plan(answer(503))
    assert proxy.get().status == 200  # not refused: nothing of "*" is merged in
    assert len(upstream.requests) == 2


def test_a_listed_port_beats_none(start, upstream):
    with_port = policy_document("retry: {attempts: 0}", host="127.0.0.1", port=upstream.port, name="port")
    without = policy_document(REFUSE, host="127.0.0.1", name="no-port")
    assert start(documents=[without, with_port]).get().status == 200


def test_a_document_for_another_port_does_not_apply(start, upstream):
    other = policy_document(REFUSE, host="127.0.0.1", port=upstream.port + 1, name="other-port")
    assert start(documents=[other]).get().status == 200


def test_an_absent_document_changes_nothing(start, upstream):
    upstream.plan(answer(500))
    other = policy_document(REFUSE, host="elsewhere.test", name="elsewhere")
    assert start(documents=[other]).get().status == 500


def test_an_exact_host_beats_a_wildcard(make_proxy, upstream):
    sixth = Upstream("::1", port=upstream.port)
    wildcard = policy_document(REFUSE, host="*.localhost", name="wildcard")
    proxy = make_proxy(f"localhost:{upstream.port}", REFUSE,
                       documents=[wildcard, policy_document("timeouts: {}", host="localhost", name="exact")]).start()
    assert proxy.get().status == 200
    sixth.close()


# ---- rules -----------------------------------------------------------------------------------------------------

RULES = """
    retry: {attempts: 2, backoff: 1ms, budget: {mode: off}}
    rules:
      - name: charge
        matches: [{path: {type: PathPrefix, value: /v1/charge}, method: POST}]
        retry: {attempts: 0}
      - name: any-charge
        matches: [{path: {type: PathPrefix, value: /v1/charge}}]
        retry: {attempts: 1}
"""


@pytest.mark.parametrize("method, path, tries", [
    ("PUT", "/other", 3), ("GET", "/v1/charge", 2), ("GET", "/v1/charge/7", 2), ("GET", "/v1/chargeback", 3),
    ("POST", "/v1/charge", 1),
])
def test_the_first_rule_that_matches_overrides(start, upstream, method, path, tries):
    upstream.default = answer(503)
    start(RULES).request(method, path)
    assert len(upstream.requests) == tries


def test_a_rule_overrides_field_by_field(start, upstream):
    upstream.default = answer(500)
    start("""
        retry: {attempts: 2, backoff: 1ms, codes: [500]}
        rules:
          - name: once
            matches: [{path: {type: Exact, value: /once}}]
            retry: {attempts: 1}
    """).get("/once")
    assert len(upstream.requests) == 2  # attempts from the rule, codes from the target


def test_an_exact_path_matches_nothing_longer(start, upstream):
    proxy = start("""
        rules:
          - name: closed
            matches: [{path: {type: Exact, value: /closed}}]
            circuitBreaker: {mode: forceOpen}
    """)
    assert proxy.get("/closed").reason == "circuit_open"
    assert proxy.get("/closed?x=1").reason == "circuit_open"
    assert proxy.get("/closed/too").status == 200


def test_a_rule_with_its_own_breaker_has_its_own_instance(start, upstream):
    proxy = start("""
        circuitBreaker: {consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s}
        rules:
          - name: fragile
            matches: [{path: {type: PathPrefix, value: /fragile}}]
            circuitBreaker: {consecutiveFailures: 1}
    """)
    upstream.on("/fragile", answer(500))
    proxy.get("/fragile")
    assert proxy.get("/fragile").reason == "circuit_open"
    assert proxy.get("/other").status == 200
    assert proxy.breaker_state(instance="rule:fragile") == "open"
    assert proxy.breaker_state(instance="target") == "closed"


def test_a_rule_without_the_block_shares_the_instance_of_the_target(start, upstream):
    proxy = start("""
        bulkhead: {maxRequests: 1}
        rules:
          - name: quiet
            matches: [{path: {type: PathPrefix, value: /quiet}}]
            retry: {attempts: 0}
    """)
    upstream.on("/hang", hang())
    with proxy.client() as client:
        client.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        assert proxy.get("/quiet").reason == "bulkhead_full"


def test_a_rule_is_named_in_metrics_and_refusals(start, upstream):
    proxy = start("""
        rules:
          - name: closed
            matches: [{path: {type: PathPrefix, value: /closed}}]
            circuitBreaker: {mode: forceOpen}
    """)
    response = proxy.get("/closed")
    assert b'"closed"' in response.body
    proxy.get("/open")
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", rule="closed", outcome="circuit_open") == 1
    assert metrics.sum("outrigger_requests_total", outcome="success") == 1


# ---- modes -----------------------------------------------------------------------------------------------------


def test_force_open_refuses_everything(start, upstream):
    proxy = start(REFUSE)
    assert [proxy.get().reason for _ in range(3)] == ["circuit_open"] * 3
    assert upstream.requests == []
    assert proxy.breaker_state() == "forced_open"


@pytest.mark.parametrize("block", [
    "circuitBreaker: {mode: off, consecutiveFailures: 1}",
    "rateLimit: {mode: off, requests: 1, interval: 60s}",
    "retry: {mode: off, attempts: 5, backoff: 1ms}",
    "timeouts: {mode: off, request: 1ms}",
    "bulkhead: {mode: off, maxRequests: 1}",
])
def test_off_is_as_if_the_block_were_absent(start, upstream, block):
    upstream.default = answer(503, b"theirs", delay=0.05)
    proxy = start(block)
    for _ in range(3):
        assert proxy.get().body == b"theirs"
    assert len(upstream.requests) == 3


def test_a_shadow_breaker_refuses_nothing_and_says_what_it_would_have_done(start, upstream):
    proxy = start("circuitBreaker: {mode: shadow, consecutiveFailures: 3, openFor: 60s, maxOpenFor: 60s}")
    upstream.default = answer(500)
    assert [proxy.get().status for _ in range(6)] == [500] * 6
    assert proxy.metrics().sum("outrigger_shadow_decisions_total") >= 3
    assert proxy.breaker_state() == "open"


def test_a_shadow_breaker_recovers_on_real_outcomes(start, upstream):
    proxy = start("circuitBreaker: {mode: shadow, consecutiveFailures: 3, openFor: 200ms, openJitter: 0}")
    upstream.plan(*[answer(500)] * 3)
    for _ in range(3):
        proxy.get()
    proxy.wait_breaker("half_open")
    for _ in range(3):
        proxy.get()
    assert proxy.breaker_state() == "closed"


def test_a_shadow_rate_limit_refuses_nothing(start, upstream):
    proxy = start("rateLimit: {mode: shadow, requests: 2, interval: 60s}")
    assert [proxy.get().status for _ in range(5)] == [200] * 5
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_shadow_decisions_total") == 3
    assert metrics.sum("outrigger_rejections_total") == 0
    assert metrics.sum("outrigger_rate_limit_tokens") >= 0


def test_a_shadow_bulkhead_refuses_nothing(start, upstream):
    upstream.on("/hang", hang())
    proxy = start("bulkhead: {mode: shadow, maxRequests: 1}")
    with proxy.client() as client:
        client.send(encode("GET", "/hang"))
        upstream.wait_for(1)
        assert proxy.get().status == 200
    assert proxy.metrics().sum("outrigger_shadow_decisions_total") >= 1


def test_a_shadow_limiter_takes_nothing_when_an_enforcing_one_refuses(start, upstream):
    proxy = start(REFUSE + "\nrateLimit: {mode: shadow, requests: 10, interval: 600s}")
    for _ in range(8):
        assert proxy.get().reason == "circuit_open"
    assert proxy.metrics().sum("outrigger_rate_limit_tokens") in (0, 10)  # 10, or never asked


def test_shadow_retries_only_count(start, upstream):
    upstream.default = answer(503)
    proxy = start("retry: {mode: shadow, attempts: 2, backoff: 1ms}")
    assert proxy.get().status == 503
    assert len(upstream.requests) == 1
    assert proxy.metrics().sum("outrigger_shadow_decisions_total") >= 1


def test_shadow_timeouts_only_count(start, upstream):
    upstream.default = answer(200, delay=0.4)
    proxy = start("timeouts: {mode: shadow, request: 100ms, backendRequest: 100ms}")
    assert proxy.get().status == 200
    wait_until(lambda: proxy.metrics().sum("outrigger_shadow_decisions_total") >= 1)


def test_a_document_of_one_target_leaves_the_other_alone(start, upstream, another_upstream):
    document = policy_document(REFUSE, host="127.0.0.1", port=upstream.port, name="one")
    proxy = start(documents=[document])
    with Client(proxy.outbound) as client:
        assert client.get("/", host=upstream.address).reason == "circuit_open"
        assert client.get("/", host=another_upstream.address).status == 200
