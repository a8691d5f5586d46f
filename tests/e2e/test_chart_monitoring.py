"""The Helm chart's alerts, PodMonitors and dashboard: they fire where they should, and ask for what is there."""

import itertools
import json
import re
import subprocess

import pytest
import yaml
from conftest import ROOT
from harness.chart import CHART, INJECTOR_METRICS, container, needs_helm
from harness.manifest_checks import deployments

pytestmark = needs_helm

KUBE_STATE_METRICS = {"kube_pod_labels", "kube_pod_info", "kube_namespace_labels", "kube_pod_status_phase",
                      "kube_pod_init_container_info", "kube_pod_container_info"}


def metric_names():
    """name -> labels, as in an exposition."""
    names = {}
    for name, kind, _, _, labels in re.findall(r'^METRIC\(\w+, "(\w+)", (\w+), "(\w*)", (\w+), "([\w,]*)"',
                                               (ROOT / "proxy/telemetry/metrics.def").read_text(), re.M):
        for suffix in {"COUNTER": ["_total"], "HISTOGRAM": ["_bucket", "_sum", "_count"], "GAUGE": [""]}[kind]:
            names[name + suffix] = set(filter(None, labels.split(","))) | ({"le"} if suffix == "_bucket" else set())
    assert len(names) > 40
    return names


def metrics_in(expression):
    """(name, labels that it is selected by) of each metric."""
    for name, selector in re.findall(r"\b((?:outrigger|process|kube)_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def check_metrics(expressions):
    known, of_scrape = metric_names(), {"namespace", "pod", "container"}
    used = set()
    for expression in expressions:
        for name, labels in metrics_in(expression):
            used.add(name)
            if name in known:
                assert labels <= known[name] | of_scrape, f"{name} has no label {labels - known[name] - of_scrape}"
            else:
                assert name in INJECTOR_METRICS | KUBE_STATE_METRICS, f"there is no metric {name} (in {expression})"
    return used


def test_a_metric_or_label_that_is_not_there_is_seen():
    for wrong in ("outrigger_retry_total", 'outrigger_retries_total{outcome="x"}', "outrigger_requests"):
        with pytest.raises(AssertionError):
            check_metrics([wrong])


def rules(objects):
    return objects.one("PrometheusRule")["spec"]["groups"]


def test_alerts_fire_where_they_should_and_only_there(helm, peer, tmp_path):
    groups = rules(helm.render(None, "prometheusRule.enabled=true"))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    tests = (ROOT / "tests/e2e/chart/alerts_test.yaml").read_text()
    (tmp_path / "alerts_test.yaml").write_text(tests)
    for words in (["check", "rules", "rules.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([peer("promtool"), *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    for alert in groups[0]["rules"]:
        assert alert["alert"] in tests, f"nothing shows that {alert['alert']} fires"


def test_alerts_use_metrics_that_are_there(full):
    used = check_metrics(rule["expr"] for group in rules(full) for rule in group["rules"])
    assert KUBE_STATE_METRICS < used and used & INJECTOR_METRICS


def test_alerts_are_labelled_and_left_out_as_asked(helm, full):
    everything = {rule["alert"] for rule in rules(full)[0]["rules"]}
    assert len(everything) == 5
    assert all(rule["labels"]["team"] == "platform" and "severity" in rule["labels"] for rule in rules(full)[0]["rules"])
    assert {rule["alert"] for rule in rules(helm.render("none"))[0]["rules"]} == everything - {"OutriggerPodNotInjected"}
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["prometheusRule"]["properties"]["disabledAlerts"]["items"]["enum"]) == everything


def test_pod_monitors_find_the_ports_that_are_there(full):
    sidecars, injector = full.all("PodMonitor")
    assert sidecars["spec"]["namespaceSelector"] == {"any": True}
    assert sidecars["spec"]["podMetricsEndpoints"][0]["port"] == "or-metrics"
    assert sidecars["spec"]["podMetricsEndpoints"][0]["honorLabels"] is True
    template = deployments(full)[0]["spec"]["template"]
    assert injector["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert injector["spec"]["podMetricsEndpoints"][0]["port"] in [port["name"] for port in container(full)["ports"]]


@pytest.fixture
def dashboard(full):
    configmap = next(one for one in full.all("ConfigMap") if one["metadata"]["name"].endswith("dashboard"))
    assert configmap["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert configmap["metadata"]["annotations"] == {"grafana_folder": "Outrigger"}
    return json.loads(configmap["data"]["outrigger.json"])


def expressions_of(dashboard):
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return panels + [one["expr"] for one in dashboard["annotations"]["list"]]


def test_the_dashboard_asks_for_metrics_that_are_there(dashboard):
    used = check_metrics(expressions_of(dashboard))
    check_metrics(one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")
    assert {"outrigger_requests_total", "outrigger_circuit_breaker_state", "outrigger_retries_total",
            "outrigger_retry_budget_available", "outrigger_bulkhead_inflight", "outrigger_rate_limit_tokens",
            "outrigger_request_duration_seconds_bucket", "outrigger_config_reloads_total"} < used


def test_the_dashboard_speaks_promql(dashboard, peer, tmp_path):
    variables = {"$__rate_interval": "5m", "$namespace": ".*", "$pod": ".*", "$target": ".*"}
    recorded = []
    for number, expression in enumerate(expressions_of(dashboard)):
        for name, value in variables.items():
            expression = expression.replace(name, value)
        assert "$" not in expression
        recorded.append({"record": f"panel:{number}", "expr": expression})
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    done = subprocess.run([peer("promtool"), "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(recorded)} rules found" in done.stdout


def test_the_panels_of_the_dashboard_do_not_overlap(dashboard):
    taken = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
