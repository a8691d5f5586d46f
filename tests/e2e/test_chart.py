"""The Helm chart: what it renders is valid, hardened, selects whom it should, and what it refuses it explains."""

import base64
import copy
import hashlib
import itertools
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import jsonpatch
import pytest
import yaml
from harness.api_server import ApiServer
from harness.chart import CHART, INJECTOR_METRICS, NAMESPACE, POD, container, needs_helm, settings, strict, with_files
from harness.injector import NAME, Injector, patch_of
from harness.manifest_checks import CHECKS, deployments, pods
from harness.proxy import BINARY
from harness.selection import selected_by
from harness.tls import Authority

pytestmark = needs_helm

VALUES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
# The oldest that the chart takes, and the newest: one without matchConditions, one with admission policies.
MATRIX = [(values, kube) for values in VALUES for kube in ("1.29.0", "1.36.0")
          if values != "admission-policy" or kube == "1.36.0"]
YAMLLINT = """
extends: default
rules:
  line-length: {max: 130, allow-non-breakable-inline-mappings: true}
  document-start: disable
  braces: {max-spaces-inside: 1}
  comments: {min-spaces-from-content: 2}
"""
YAMLLINT_RENDERED = """
extends: default
rules:
  line-length: disable
  document-start: disable
  indentation: {indent-sequences: whatever}
  trailing-spaces: enable
  commas: disable
  comments-indentation: disable
"""


# ---- the chart as a whole


def test_helm_lint_finds_nothing_to_warn_of(helm):
    for values in VALUES:
        done = helm.run("lint", "--strict", CHART, "--values", CHART / f"ci/{values}-values.yaml")
        assert done.returncode == 0, done.stdout
        assert "[WARNING]" not in done.stdout


def test_every_rendering_passes_the_strict_check(helm, tmp_path):
    """Fields and types of Kubernetes 1.36."""
    for values, kube in MATRIX:
        (tmp_path / f"{values}-{kube}.yaml").write_text(helm.render(values, kube=kube).text)
    assert strict(*sorted(tmp_path.iterdir())) == []


def test_the_strict_check_sees_what_is_no_field_and_no_type(helm, tmp_path):
    broken = helm.render("default").one("Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["imagePullPolcy"] = "Always"
    broken["spec"]["replicas"] = "2"
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    helm.render.cache_clear()
    assert strict(tmp_path / "broken.yaml") == [
        "Deployment.spec.replicas: wants number, is string",
        "Deployment.spec.template.spec.containers[0].imagePullPolcy: unknown field"]


def test_yamllint_has_nothing_to_say(helm, tmp_path):
    sources = [CHART / "Chart.yaml", CHART / "values.yaml", CHART / "alerts.yaml", *sorted((CHART / "ci").iterdir())]
    rendered = []
    for values in VALUES:
        rendered.append(tmp_path / f"{values}.yaml")
        rendered[-1].write_text(helm.render(values, kube="1.36.0").text)
    for rules, files in ((YAMLLINT, sources), (YAMLLINT_RENDERED, rendered)):
        done = subprocess.run(["yamllint", "--strict", "-d", rules, *map(str, files)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_chart_is_of_the_version_of_the_program():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    said = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout
    assert said == f"outrigger {chart['appVersion']}\n"


def leaves(values, path=""):
    for key, value in values.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        else:
            yield here


def test_every_value_has_its_comment_and_its_place_in_the_schema():
    text = (CHART / "values.yaml").read_text()
    schema = json.loads((CHART / "values.schema.json").read_text())
    commented = re.findall(r"^ *# -- .+(?:\n *#.*)*\n *([A-Za-z]+):", text, re.M)
    for leaf in leaves(yaml.safe_load(text)):
        assert set(leaf.split(".")) & set(commented), f"{leaf} has no comment"
        at = schema
        for key in leaf.split("."):
            assert key in at.get("properties", {}) or at.get("additionalProperties") not in (False, None), leaf
            at = at.get("properties", {}).get(key, {"additionalProperties": True})


def test_the_readme_names_every_value():
    readme = (CHART / "README.md").read_text()
    tops = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = [key for key in tops if f"`{key}`" not in readme]
    assert not missing


@pytest.mark.parametrize("mode, verbs", [("webhook", ["kubectl label", "kubectl rollout", "kubectl get"]),
                                         ("none", ["outrigger inject"])])
def test_notes_are_the_commands_that_come_next(helm, mode, verbs):
    with tempfile.TemporaryDirectory() as folder:  # Helm shows notes of an installation only
        copied = pathlib.Path(folder) / "outrigger"
        shutil.copytree(CHART, copied)
        (copied / "templates/notes.yaml").write_text(
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\n'
            'data: {notes: {{ include (print .Template.BasePath "/NOTES.txt") . | quote }}}\n')
        pathlib.Path(folder).chmod(0o755)
        objects = helm.render(None, f"injection.mode={mode}", chart=copied)
    notes = next(one for one in objects if one["metadata"]["name"] == "notes")["data"]["notes"]
    assert re.findall(r"^  (\w+ \w+)", notes, re.M) == verbs


# ---- hardening


@pytest.mark.parametrize("values, kube", MATRIX)
def test_what_is_rendered_is_hardened(helm, values, kube):
    left_out = {"network policy", "disruption budget"} if values == "one-replica" else set()
    objects = helm.render(values, kube=kube)
    found = [f"{name}: {problem}" for name, check in CHECKS.items() if name not in left_out for problem in check(objects)]
    assert not found, "\n".join(found)


def pod(objects):
    return deployments(objects)[0]["spec"]["template"]["spec"]


def without(kind):
    def mutate(objects):
        objects[:] = [thing for thing in objects if thing["kind"] != kind]
    return mutate


def of(kind, change):
    def mutate(objects):
        change(next(thing for thing in objects if thing["kind"] == kind))
    return mutate


def secured(key, value):
    return lambda objects: container(objects)["securityContext"].update({key: value})


MUTATIONS = [
    ("image has a version", lambda o: container(o).update(image="registry.example/outrigger:latest")),
    ("image has a version", lambda o: container(o).update(image="registry.example:5000/outrigger")),
    ("resources", lambda o: container(o)["resources"].pop("limits")),
    ("resources", lambda o: container(o)["resources"]["requests"].pop("cpu")),
    ("not root", secured("runAsNonRoot", False)),
    ("not root", secured("runAsUser", 0)),
    ("read-only root", secured("readOnlyRootFilesystem", False)),
    ("no escalation", secured("allowPrivilegeEscalation", True)),
    ("no escalation", secured("privileged", True)),
    ("no capabilities", secured("capabilities", {"drop": ["ALL"], "add": ["NET_ADMIN"]})),
    ("no capabilities", secured("capabilities", {})),
    ("seccomp", secured("seccompProfile", {"type": "Unconfined"})),
    ("probes", lambda o: container(o).pop("livenessProbe")),
    ("probes", lambda o: container(o).update(readinessProbe=container(o)["livenessProbe"])),
    ("disruption budget", without("PodDisruptionBudget")),
    ("anti-affinity", lambda o: pod(o)["affinity"].clear()),
    ("network policy", without("NetworkPolicy")),
    ("network policy", of("NetworkPolicy", lambda it: it["spec"]["ingress"][0]["ports"].pop())),
    ("service account", lambda o: pod(o).update(serviceAccountName="default")),
    ("no token", lambda o: pod(o).pop("automountServiceAccountToken")),
    ("services", of("Service", lambda it: it["spec"]["selector"].update({"app.kubernetes.io/name": "other"}))),
    ("services", of("Service", lambda it: it["spec"]["ports"][0].update(targetPort="other"))),
    ("webhooks", without("Service")),
    ("selectors", lambda o: deployments(o)[0]["spec"]["selector"]["matchLabels"].update({"extra": "1"})),
    ("stable selectors", lambda o: deployments(o)[0]["spec"]["selector"]["matchLabels"].update(
        {"app.kubernetes.io/version": "0.1.0"})),
    ("apiVersions", of("PodDisruptionBudget", lambda it: it.update(apiVersion="policy/v1beta1"))),
    ("namespaces", of("Service", lambda it: it["metadata"].pop("namespace"))),
    ("namespaces", of("MutatingWebhookConfiguration", lambda it: it["metadata"].update(namespace="shop"))),
    ("labels", of("Secret", lambda it: it["metadata"]["labels"].pop("app.kubernetes.io/part-of"))),
    ("names", lambda o: o.append(o[0])),
    ("volumes", lambda o: container(o)["volumeMounts"][0].update(name="other")),
    ("node", lambda o: pod(o).update(hostNetwork=True)),
    ("node", lambda o: pod(o)["volumes"].append({"name": "root", "hostPath": {"path": "/"}})),
]


@pytest.mark.parametrize("name, mutate", MUTATIONS, ids=[f"{i}-{name}" for i, (name, _) in enumerate(MUTATIONS)])
def test_a_check_catches(helm, name, mutate):
    objects = copy.deepcopy(list(helm.render("default")))
    assert not list(CHECKS[name](objects))
    mutate(objects)
    assert list(CHECKS[name](objects))


def test_every_check_is_shown_to_catch_something():
    assert {name for name, _ in MUTATIONS} == set(CHECKS)


# ---- values


@pytest.mark.parametrize("wrong, says", [
    ("injection.mode=sidecar", "injection.mode must be one of the following"),
    ("injection.mod=webhook", "Additional property mod is not allowed"),
    ("injektion.mode=webhook", "Additional property injektion is not allowed"),
    ("injection.failurePolicy=ignore", "must be one of the following: \"Ignore\", \"Fail\""),
    ("injector.replicas=0", "injector.replicas: Must be greater than or equal to 1"),
    ("injector.replicas=two", "injector.replicas: Invalid type. Expected: integer, given: string"),
    ("injector.resources.limits.memory=128MB", "injector.resources.limits.memory: Does not match pattern"),
    ("webhook.timeoutSeconds=31", "webhook.timeoutSeconds: Must be less than or equal to 30"),
    ("webhook.certs.mode=self", "must be one of the following: \"helm\", \"certManager\", \"existing\""),
    ("webhook.certs.existing.caBundle=abc", "Does not match pattern '^($|-----BEGIN CERTIFICATE-----)'"),
    ("sidecar.skipOutboundPorts=[\"http\"]", "sidecar.skipOutboundPorts.0: Does not match pattern"),
    ("sidecar.skipOutboundPorts=[0]", "Must be greater than or equal to 1"),
    ("sidecar.skipOutboundPorts=[\"6100-6000\"]", "sidecar.skipOutboundPorts: `6100-6000` is no port: ports are 1 to 65535"),
    ("sidecar.includeOutboundPorts=[\"80-99999\"]", "sidecar.includeOutboundPorts: `80-99999` is no port"),
    ("sidecar.skipOutboundCidrs=[\"10.0.0.0/33\"]", "sidecar.skipOutboundCidrs.0: Does not match pattern"),
    ("sidecar.logLevel=loud", "sidecar.logLevel must be one of the following"),
    ("image.digest=sha256:12", "image.digest: Does not match pattern"),
    ("image.tag=latest", "image.tag: `latest` says nothing about what runs: name a version"),
    ("policies={\"payments\":{}}", "Does not match pattern"),
    ("policies={\"shop/payments\":{\"payments.json\":\"x\"}}", "Does not match pattern"),
    ("prometheusRule.disabledAlerts=[\"OutriggerCircuitsOpen\"]", "must be one of the following: \"OutriggerCircuitOpen\""),
])
def test_a_wrong_value_is_refused_in_words(helm, wrong, says):
    assert says in helm.refusal(wrong)


@pytest.mark.parametrize("wrong, says", [
    (["injection.mode=admissionPolicy"], "needs Kubernetes 1.36 (this is v1.33.0)"),
    (["injection.mode=admissionPolicy"], "set injection.mode=webhook"),
    (["injection.mode=admissionPolicy", "injection.admissionPolicy.force=true", "sidecar.interception=none"],
     "sidecar.interception none needs injection.mode webhook"),
    (["injection.mode=admissionPolicy", "injection.admissionPolicy.force=true", "sidecar.nativeSidecar=false"],
     "sidecar.nativeSidecar false needs injection.mode webhook"),
    (["injection.failurePolicy=Fail", "injector.replicas=1"], "needs injector.replicas of 2 or more"),
    (["webhook.certs.mode=existing"], "needs webhook.certs.existing.secretName and webhook.certs.existing.caBundle"),
    (["webhook.certs.existing.secretName=mine"], "webhook.certs.mode is helm: set the mode to existing"),
    (["webhook.certs.certManager.issuerRef={\"name\":\"x\"}"], "webhook.certs.mode is helm: set the mode to certManager"),
])
def test_values_that_do_not_go_together_are_refused_in_words(helm, wrong, says):
    assert says in helm.refusal(*wrong)


def test_v1beta1_of_admission_policies_is_for_those_who_force_it(helm):
    beta = "injection.admissionPolicy.apiVersion=v1beta1"
    assert "is for clusters below Kubernetes 1.36" in helm.refusal("injection.mode=admissionPolicy", beta, kube="1.36.0")
    forced = helm.render(None, "injection.mode=admissionPolicy", beta, "injection.admissionPolicy.force=true", kube="1.34.0")
    assert {thing["apiVersion"] for thing in forced if thing["kind"].startswith("MutatingAdmission")} == {
        "admissionregistration.k8s.io/v1beta1"}


def test_older_clusters_are_refused(helm):
    assert "chart requires kubeVersion: >=1.29.0-0" in helm.refusal(kube="1.28.9")


# ---- the injector


def vocabulary():
    """The keys of annotations, whose defaults the settings of sidecars are."""
    said = subprocess.run([BINARY, "inject", "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  ([a-z-]+) +\S", said.split("Keys,")[1].split("Exit code")[0], re.M))


def test_every_key_of_the_vocabulary_has_a_value_in_the_chart(full):
    assert set(settings(full)) == vocabulary() - {"inject"}


def test_sidecar_values_become_settings_of_the_injector(helm, full):
    assert settings(helm.render("default")) == {
        "image": "outrigger:0.1.0", "policy": "outrigger", "interception": "redirect", "native-sidecar": "true",
        "cpu-request": "10m", "cpu-limit": "none", "memory-request": "16Mi", "memory-limit": "128Mi"}
    assert settings(full) == {
        "image": "registry.example/outrigger:0.1.0@sha256:" + "0123456789abcdef" * 4, "policy": "common,payments",
        "interception": "none", "skip-outbound-ports": "22,3306,6000-6100", "include-outbound-ports": "80",
        "skip-outbound-cidrs": "10.0.0.0/8,fd00::/8", "opaque-ports": "25,9092", "native-sidecar": "false",
        "image-pull-policy": "IfNotPresent", "log-level": "warn", "drain": "refuse", "cpu-request": "50m",
        "cpu-limit": "1", "memory-request": "32Mi", "memory-limit": "256Mi"}


def test_a_limit_that_is_taken_away_is_none(helm):
    without_limits = helm.render(None, "sidecar.resources.limits={\"memory\":null}")
    assert settings(without_limits)["memory-limit"] == "none"


@pytest.mark.parametrize("values", ["default", "full"])
def test_an_injector_starts_with_the_arguments_of_its_deployment(helm, values, tmp_path):
    objects = helm.render(values)
    authority = Authority(tmp_path)
    said = settings(objects)
    injector = Injector(tmp_path, authority.issue(NAME), authority,
                        *(word for key, value in said.items() for word in ("--set", f"{key}={value}"))).start()
    try:
        patched = jsonpatch.apply_patch(POD, patch_of(injector.review(POD)))
        exposed = injector.plain("/metrics")[1]
    finally:
        assert injector.stop() == 0
    sidecar = next(one for kind in ("containers", "initContainers") for one in patched["spec"].get(kind, [])
                   if one["name"] == "outrigger")
    assert sidecar["image"] == said["image"]
    assert sidecar["resources"] == yaml.safe_load((CHART / "values.yaml").read_text())["sidecar"]["resources"] or values == "full"
    assert INJECTOR_METRICS <= set(re.findall(r"^(\w+?)(?:_bucket|_count|_sum)?(?:\{.*\})? ", exposed, re.M))


def test_the_injector_shows_a_certificate_that_the_api_server_trusts(helm, tmp_path):
    objects = helm.render("default")
    secret = objects.one("Secret")["data"]
    for name, data in secret.items():
        (tmp_path / name).write_bytes(base64.b64decode(data))
    bundles = {webhook["clientConfig"]["caBundle"] for webhook in objects.one("MutatingWebhookConfiguration")["webhooks"]}
    assert bundles == {secret["ca.crt"]}
    service = objects.one("Service")["metadata"]
    host = f"{service['name']}.{service['namespace']}.svc"
    done = subprocess.run(["openssl", "verify", "-CAfile", tmp_path / "ca.crt", "-verify_hostname", host, "-purpose",
                           "sslserver", tmp_path / "tls.crt"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    key, of_cert = (subprocess.run(["openssl", *words], capture_output=True, check=True).stdout for words in (
        ["pkey", "-in", tmp_path / "tls.key", "-pubout"], ["x509", "-in", tmp_path / "tls.crt", "-noout", "-pubkey"]))
    assert key == of_cert
    template = deployments(objects)[0]["spec"]["template"]
    assert template["metadata"]["annotations"]["checksum/certs"] == hashlib.sha256(secret["tls.crt"].encode()).hexdigest()
    assert template["spec"]["volumes"][0]["secret"]["secretName"] == objects.one("Secret")["metadata"]["name"]


def test_helm_without_a_cluster_makes_a_new_certificate_each_time(helm):
    """Which is why the README sends users of ArgoCD elsewhere."""
    first, second = (helm.template().stdout for _ in range(2))
    assert first != second


@pytest.fixture
def api_server(pair):
    with pair.app.inside():
        server = ApiServer()
    yield server
    server.close()


def test_a_cluster_keeps_its_certificate_until_30_days_before_its_end(helm, api_server, pair):
    secret = helm.install(pair.app, api_server).one("Secret")
    annotations, data = secret["metadata"]["annotations"], secret["data"]
    assert abs(int(annotations["outrigger.dev/certificate-expires"]) - time.time() - 3650 * 86400) < 600
    api_server.put_secret(secret)
    for days, is_kept in ((3650, True), (31, True), (29, False), (-1, False)):
        annotations["outrigger.dev/certificate-expires"] = str(int(time.time()) + days * 86400)
        objects = helm.install(pair.app, api_server)
        assert (objects.one("Secret")["data"] == data) == is_kept, f"{days} days"
        assert not is_kept or objects.one("Secret")["metadata"] == secret["metadata"]
        bundles = {one["clientConfig"]["caBundle"] for one in objects.one("MutatingWebhookConfiguration")["webhooks"]}
        assert bundles == {objects.one("Secret")["data"]["ca.crt"]}


def test_cert_manager_is_asked_for_the_certificate(helm):
    objects = helm.render("cert-manager")
    webhook = objects.one("MutatingWebhookConfiguration")
    certificates = {one["metadata"]["name"]: one["spec"] for one in objects.all("Certificate")}
    issuers = {one["metadata"]["name"]: one["spec"] for one in objects.all("Issuer")}
    place, name = webhook["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].split("/")
    assert place == NAMESPACE
    assert all("caBundle" not in one["clientConfig"] for one in webhook["webhooks"])
    leaf = certificates[name]
    assert leaf["secretName"] == pod(objects)["volumes"][0]["secret"]["secretName"]
    assert f"{objects.one('Service')['metadata']['name']}.{NAMESPACE}.svc" in leaf["dnsNames"]
    ca = certificates[issuers[leaf["issuerRef"]["name"]]["ca"]["secretName"]]
    assert ca["isCA"] and issuers[ca["issuerRef"]["name"]] == {"selfSigned": {}}
    assert not objects.all("Secret")


def test_cert_manager_may_have_its_issuer(helm):
    objects = helm.render("cert-manager-issuer")
    assert objects.one("Certificate")["spec"]["issuerRef"] == {"name": "company", "kind": "ClusterIssuer",
                                                               "group": "cert-manager.io"}
    assert not objects.all("Issuer")


def test_a_certificate_of_ones_own(helm):
    objects = helm.render("existing")
    assert not objects.all("Secret")
    assert pod(objects)["volumes"][0]["secret"]["secretName"] == "injector-tls"
    bundle = objects.one("MutatingWebhookConfiguration")["webhooks"][0]["clientConfig"]["caBundle"]
    assert base64.b64decode(bundle).startswith(b"-----BEGIN CERTIFICATE-----\n")


def test_without_injection_nothing_runs(helm):
    kinds = {thing["kind"] for thing in helm.render("none")}
    assert kinds == {"ConfigMap", "PodMonitor", "PrometheusRule", "Pod"}  # the pod is that of `helm test`
    kinds = {thing["kind"] for thing in helm.render("admission-policy", kube="1.36.0")}
    assert kinds == {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "Pod"}


def test_webhooks_are_safe_by_default(helm):
    for webhook in helm.render("default").one("MutatingWebhookConfiguration")["webhooks"]:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] == 5
        assert webhook["reinvocationPolicy"] == "IfNeeded"
        assert webhook["sideEffects"] == "None"


def test_match_conditions_are_for_those_who_know_them(helm):
    for kube, is_there in (("1.29.9", False), ("1.30.0", True), ("1.33.0", True)):
        for webhook in helm.render("default", kube=kube).one("MutatingWebhookConfiguration")["webhooks"]:
            assert ("matchConditions" in webhook) == is_there


# ---- who is selected


def is_meant(namespace, namespace_label, pod_label):
    """The rule in words: the namespace's label says yes and the pod's not no; or the pod's says yes and the namespace's
    says nothing; never in namespaces of the cluster, ours, or those named."""
    if namespace in ("kube-system", "kube-node-lease", "kube-public", NAMESPACE, "monitoring"):
        return False
    if namespace_label == "enabled":
        return pod_label != "false"
    return pod_label == "true" and namespace_label != "disabled"


@pytest.mark.parametrize("values, kube", [("full", "1.33.0"), ("admission-policy", "1.36.0")])
def test_who_is_selected(helm, values, kube):
    objects = helm.render(values, "injection.excludedNamespaces=[\"monitoring\"]", kube=kube)
    matrix = list(itertools.product(
        ("shop", "kube-system", "kube-node-lease", "kube-public", NAMESPACE, "monitoring"),
        (None, "enabled", "disabled", "true", ""), (None, "true", "false", "enabled", "")))
    selected = 0
    for namespace, namespace_label, pod_label in matrix:
        by = selected_by(objects, namespace, namespace_label, pod_label)
        assert len(by) <= 1, f"{namespace} {namespace_label} {pod_label} is sent twice, by {by}"
        assert bool(by) == is_meant(namespace, namespace_label, pod_label), f"{namespace} {namespace_label} {pod_label}"
        selected += len(by)
    assert selected == 4 + 3  # in shop: enabled with all but "false"; "true" where the label is none, "true" or ""


# ---- policies


def test_policies_pass_outrigger_check(full, tmp_path):
    folders = with_files([one for one in full.all("ConfigMap") if not one["metadata"]["name"].endswith("dashboard")], tmp_path)
    assert len(folders) == 3
    for folder in folders:
        done = subprocess.run([BINARY, "check", "--strict", folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "# The comment stays.\n" in (tmp_path / "shop/common/default.yaml").read_text()


def test_helm_test_runs_outrigger_check_on_every_configmap_where_it_is(full):
    asked = set()
    for _, meta, spec in pods([thing for thing in full if thing["kind"] == "Pod"]):
        assert meta["annotations"]["helm.sh/hook"] == "test"
        assert meta["labels"]["outrigger.dev/inject"] == "false"
        configmaps = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"]}
        for one in spec["containers"]:
            mount, = one["volumeMounts"]
            assert one["args"] == ["check", mount["mountPath"]]
            asked.add((meta["namespace"], configmaps[mount["name"]]))
    assert asked == {("shop", "common"), ("shop", "payments"), ("warehouse", "common")}


def test_helm_test_without_policies_checks_the_one_in_the_image(helm):
    assert helm.render("default").one("Pod")["spec"]["containers"][0]["args"] == ["check", "/etc/outrigger/default.yaml"]
