"""The Helm chart's CEL, run by an evaluator: whom webhooks and admission policies take, and the pod that a policy makes."""

import copy
import json
import subprocess

import jsonpatch
import pytest
import yaml
from harness import cel
from harness.chart import MODULES, POD, needs_helm, settings, strict
from harness.manifest_checks import CHECKS
from harness.proxy import BINARY

pytestmark = needs_helm


def pod_with(annotations=None, **spec):
    made = copy.deepcopy(POD)
    if annotations:
        made["metadata"]["annotations"] = annotations
    made["spec"].update(spec)
    return made


def conditions(objects):
    for thing in objects.all("MutatingWebhookConfiguration"):
        return [one["expression"] for one in thing["webhooks"][0]["matchConditions"]]
    return [one["expression"] for one in objects.one("MutatingAdmissionPolicy")["spec"]["matchConditions"]]


def evaluate(objects, pods_, with_result=False):
    request = {"conditions": conditions(objects), "variables": [], "result": None}
    if with_result:
        spec = objects.one("MutatingAdmissionPolicy")["spec"]
        request["variables"] = [[one["name"], one["expression"]] for one in spec["variables"]]
        request["result"] = cel.without_types(spec["mutations"][0]["jsonPatch"]["expression"])
    return cel.evaluate([{**request, "object": one} for one in pods_], MODULES)


def test_match_conditions_of_webhooks_let_new_pods_through_only(helm):
    asked = [POD, pod_with({"a": "b"}), pod_with({"outrigger.dev/status": "{}"}), pod_with({"kubernetes.io/config.mirror": "x"})]
    answers = evaluate(helm.render("default"), asked)
    assert [all(one["matches"]) for one in answers] == [True, True, False, False]


def test_an_admission_policy_names_types_by_their_place(helm):
    expression = helm.render("admission-policy", kube="1.36.0").one("MutatingAdmissionPolicy")["spec"]["mutations"][0][
        "jsonPatch"]["expression"]
    assert list(cel.type_problems(expression)) == []
    assert list(cel.type_problems(expression.replace("Object.spec.volumes.configMap{", "Object.spec.configMap{"))) == [
        "Object.spec.configMap stands where Object.spec.volumes.configMap is"]
    assert list(cel.type_problems(expression[:-3]))


def test_an_admission_policy_leaves_alone_what_it_cannot_do(helm):
    refused = [
        pod_with(hostNetwork=True), pod_with({"outrigger.dev/status": "{}"}),
        pod_with({"outrigger.dev/interception": "none"}), pod_with({"outrigger.dev/native-sidecar": "false"}),
        pod_with(securityContext={"runAsUser": 2102}),
        pod_with(containers=[{"name": "app", "securityContext": {"runAsUser": 2102}}]),
        pod_with(containers=[{"name": "outrigger"}]), pod_with(initContainers=[{"name": "outrigger-init"}])]
    taken = [POD, pod_with(hostNetwork=False), pod_with({"outrigger.dev/interception": "redirect"}),
             pod_with(securityContext={"runAsUser": 1000}), pod_with(initContainers=[{"name": "migrate"}])]
    answers = evaluate(helm.render("admission-policy", kube="1.36.0"), refused + taken)
    assert [all(one["matches"]) for one in answers] == [False] * len(refused) + [True] * len(taken)


def test_an_admission_policy_makes_a_whole_pod(helm, tmp_path):
    annotations = {"outrigger.dev/policy": "shop, quotes", "outrigger.dev/skip-outbound-ports": "5432",
                   "outrigger.dev/log-level": "debug"}
    asked = [POD, pod_with(annotations, initContainers=[{"name": "migrate", "image": "app:1"}],
                           volumes=[{"name": "data", "emptyDir": {}}])]
    bare, told = [jsonpatch.apply_patch(one, answer["result"]) for one, answer in zip(
        asked, evaluate(helm.render("admission-policy", kube="1.36.0"), asked, with_result=True))]
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump_all([bare, told]))
    assert strict(tmp_path / "pods.yaml") == []

    init, sidecar = bare["spec"]["initContainers"]
    assert (init["name"], sidecar["name"], sidecar["restartPolicy"]) == ("outrigger-init", "outrigger", "Always")
    assert init["args"] == ["--uid", "2102", "--skip-outbound-ports", "22,6000-6100", "--skip-outbound-cidrs", "10.0.0.0/8"]
    assert sidecar["args"] == [
        "proxy", "--defaults", "/etc/outrigger/default.yaml", "-c", "/etc/outrigger/policies/common",
        "-c", "/etc/outrigger/policies/payments", "--pod-labels", "/etc/outrigger/pod/labels",
        "--set", "metrics.listen=[::]:15021", "--set", "log.level=warn", "--set", "opaquePorts=[25,9092]",
        "--set", "drain.mode=serve"]
    volumes = {volume["name"]: volume for volume in bare["spec"]["volumes"]}
    assert volumes["outrigger-policies-1"]["configMap"] == {"name": "payments", "optional": True}
    assert [mount["mountPath"] for mount in sidecar["volumeMounts"]] == [
        "/etc/outrigger/policies/common", "/etc/outrigger/policies/payments", "/etc/outrigger/pod"]
    assert init["securityContext"]["capabilities"] == {"add": ["NET_ADMIN"], "drop": ["ALL"]}
    assert json.loads(bare["metadata"]["annotations"]["outrigger.dev/status"])["version"] == "0.1.0"

    assert [one["name"] for one in told["spec"]["initContainers"]] == ["outrigger-init", "outrigger", "migrate"]
    assert told["spec"]["initContainers"][0]["args"][2:4] == ["--skip-outbound-ports", "5432"]
    assert "log.level=debug" in told["spec"]["initContainers"][1]["args"]
    volumes = {volume["name"]: volume for volume in told["spec"]["volumes"]}
    assert volumes["outrigger-policies-0"]["configMap"] == {"name": "shop", "optional": False}
    assert set(volumes) == {"data", "outrigger-pod", "outrigger-policies-0", "outrigger-policies-1"}
    assert set(annotations) < set(told["metadata"]["annotations"])


@pytest.mark.parametrize("annotations", [
    {}, {"outrigger.dev/policy": "shop, quotes"}, {"outrigger.dev/policy": "shop"},
    {"outrigger.dev/skip-outbound-ports": "5432"}, {"outrigger.dev/include-outbound-ports": "80,8000-8999"},
    {"outrigger.dev/skip-outbound-cidrs": "fd00::/8"}, {"outrigger.dev/log-level": "error"}])
def test_an_admission_policy_and_outrigger_inject_make_the_same_pod(helm, annotations):
    """All but the note of who did it, and `optional: false`, which CEL cannot leave out."""
    objects = helm.render("admission-policy", kube="1.36.0")
    given = settings(helm.render("admission-policy", "injection.mode=webhook", kube="1.36.0"))
    asked = pod_with(annotations, initContainers=[{"name": "migrate", "image": "app:1"}])
    by_policy = jsonpatch.apply_patch(asked, evaluate(objects, [asked], with_result=True)[0]["result"])
    sets = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run([BINARY, "inject", "-f", "-", *sets], input=yaml.safe_dump(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    by_inject = yaml.safe_load(done.stdout)
    for made in (by_policy, by_inject):
        del made["metadata"]["annotations"]["outrigger.dev/status"]
        for volume in made["spec"]["volumes"]:
            if volume.get("configMap", {}).get("optional") is False:
                del volume["configMap"]["optional"]
    assert by_policy == by_inject


def test_what_an_admission_policy_adds_is_hardened(helm):
    objects = helm.render("admission-policy", kube="1.36.0")
    made = jsonpatch.apply_patch(POD, evaluate(objects, [POD], with_result=True)[0]["result"])
    made["spec"]["containers"] = made["spec"].pop("initContainers")
    for name in ("image has a version", "resources", "not root", "read-only root", "no escalation", "seccomp"):
        assert list(CHECKS[name]([made])) == []
