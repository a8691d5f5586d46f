"""Injected pods, acted out: the commands, users, capabilities, volumes and order of signals that the manifest says."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT
from harness.acted_pod import ActedPod, ConfigMap
from harness.chart import Helm
from harness.image import build
from harness.injector import admission_review, patch_of
from harness.injector import pod as bare_pod
from harness.proxy import BINARY, policy_document
from harness.upstream import Upstream
from harness.waiting import wait_until

IS_DEBUG_BUILD = os.environ.get("OUTRIGGER_KIND") == "debug"
pytestmark = [pytest.mark.skipif(IS_DEBUG_BUILD, reason="the image has the release build"),
              pytest.mark.skipif(os.getuid() != 0, reason="network namespaces and mounts need root")]

POLICY = policy_document("retry: {attempts: 0}", name="payments")
LIMITED = policy_document("rateLimit: {requests: 1, interval: 1h}", name="payments")
IDLE = "import signal; signal.pause()"
# On SIGTERM it makes a call, says what came of it, and ends: what a queue worker does that hands its work back.
LAST_CALL = """
import http.client, signal, sys, time, urllib.request
def end(*_):
    time.sleep(0.3)
    try:
        print("last call:", urllib.request.urlopen(sys.argv[1], timeout=5).status, flush=True)
    except OSError as error:
        print("last call:", error, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="session")
def tree(open_checkout):
    return build(ROOT, pathlib.Path(BINARY).parent)


def python(text, *words):
    return {"name": "app", "image": "app:1", "command": [sys.executable, "-c", text, *words]}


def injected(app, annotations=None, init=(), **spec):
    """The pod after `outrigger inject`."""
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": "shop", "namespace": "shop", "labels": {"app": "shop"},
                        "annotations": {"outrigger.dev/policy": "payments", **(annotations or {})}},
           "spec": {"containers": [app], **({"initContainers": list(init)} if init else {}), **spec}}
    done = subprocess.run([BINARY, "inject", "-f", "-"], input=yaml.safe_dump(pod, sort_keys=False), capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.fixture
def policies(tmp_path):
    return ConfigMap(tmp_path / "volumes/payments", {"payments.yaml": POLICY})


@pytest.fixture
def act(pair, peer, tree, tmp_path, policies):
    """act(pod) starts it."""

    def start(pod):
        labels = ConfigMap(tmp_path / "volumes/labels", {"labels": "".join(
            f'{key}="{value}"\n' for key, value in pod["metadata"]["labels"].items())})
        volumes = {"outrigger-policies-0": policies.folder, "outrigger-pod": labels.folder}
        assert {volume["name"] for volume in pod["spec"]["volumes"]} == set(volumes)
        return ActedPod(pod["spec"], pair, tree, peer("capsh"), tmp_path, volumes).start()

    return start


@pytest.fixture
def upstream(serve):
    return serve(Upstream)


@pytest.fixture
def ask(pair):
    """What the app does: a call as user 1000; returns (status, reason, body)."""

    def ask(url, *options, uid=1000):
        done = pair.app.run(["curl", "-s", "--max-time", "5", "-w", "\n%{http_code} %header{x-outrigger-reason}", *options, url],
                            uid=uid)
        body, _, rest = done.stdout.rpartition("\n")
        status, _, reason = rest.partition(" ")
        return int(status), reason, body

    return ask


def admin(pair, path):
    return pair.app.run(["curl", "-s", f"http://127.0.0.1:15020{path}"], check=True).stdout


def is_intercepted(upstream):
    return upstream.requests[-1].header("x-outrigger-attempt") == "1"


def test_a_pod_starts_and_its_calls_are_taken(act, ask, upstream, pair):
    pod = act(injected(python(IDLE)))
    assert list(pod.processes) == ["outrigger-init", "outrigger", "app"]
    assert ask(f"http://{upstream.address}/") == (200, "", "ok")
    assert is_intercepted(upstream)
    assert '"payments"' in admin(pair, "/policies") and "payments.yaml" in admin(pair, "/policies")
    pod.stop()


def test_the_sidecar_has_no_privilege_and_the_app_keeps_its_own(act):
    pod = act(injected(python(IDLE)))
    status = pathlib.Path(f"/proc/{pod.sidecar.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == ["2102"] * 4 and fields["Gid"].split() == ["2102"] * 4
    assert fields["NoNewPrivs"] == "1"
    assert {fields[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    pod.stop()


def test_kubelet_and_prometheus_reach_the_port_of_metrics_and_no_other(act, pair):
    pod = act(injected(python(IDLE)))
    container = pod.spec["initContainers"][1]
    live = container["livenessProbe"]["httpGet"]
    assert pod.probe(live["path"], live["port"]) == "200"
    assert pod.probe("/metrics", container["ports"][0]["containerPort"]) == "200"
    assert pod.probe("/metrics", 15020) == "000"  # the admin port is on loopback
    assert pod.probe("/circuits", 15021) == "404"
    pod.stop()


def test_init_containers_of_the_app_are_taken_too(act, upstream):
    fetch = "import sys, urllib.request; sys.exit(urllib.request.urlopen(sys.argv[1], timeout=5).status != 200)"
    migrate = {**python(fetch, f"http://{upstream.address}/"), "name": "migrate"}
    pod = act(injected(python(IDLE), init=[migrate]))
    assert list(pod.processes) == ["outrigger-init", "outrigger", "migrate", "app"]
    assert is_intercepted(upstream)
    pod.stop()


def test_a_configmap_that_changes_is_in_force_without_a_restart(act, ask, upstream, policies, pair):
    pod = act(injected(python(IDLE)))
    url = f"http://{upstream.address}/"
    assert [ask(url)[0] for _ in range(3)] == [200, 200, 200]
    policies.set({"payments.yaml": LIMITED})
    wait_until(lambda: ask(url)[1] == "rate_limited", what="the limit")
    policies.set({"payments.yaml": LIMITED.replace("requests", "request")})
    wait_until(lambda: "outrigger_config_last_reload_successful 0" in admin(pair, "/metrics"), what="a mistake that is seen")
    assert ask(url)[1] == "rate_limited"  # the former policy goes on
    policies.set({"payments.yaml": POLICY})
    wait_until(lambda: ask(url)[0] == 200, what="the policy of before")
    pod.stop()


def test_ports_and_networks_that_are_skipped_are_not_taken(act, ask, upstream):
    pod = act(injected(python(IDLE), {"outrigger.dev/skip-outbound-ports": str(upstream.port)}))
    assert ask(f"http://{upstream.address}/")[0] == 200
    assert not is_intercepted(upstream)
    pod.stop()


def test_a_native_sidecar_ends_after_the_app_whose_last_call_it_takes(act, upstream):
    pod = act(injected(python(LAST_CALL, f"http://{upstream.address}/")))
    wait_until(lambda: "ready" in pod.log("app"), what="the app")
    seconds = pod.stop()
    assert pod.log("app").splitlines()[-1] == "last call: 200"
    assert is_intercepted(upstream)
    assert pod.ended == ["outrigger-init", "app", "outrigger"]
    assert (pod.app.returncode, pod.sidecar.returncode) == (0, 0), pod.log("outrigger")
    assert seconds < 10


def test_an_ordinary_sidecar_that_is_told_to_end_with_the_app_takes_its_last_call(act, upstream):
    pod = act(injected(python(LAST_CALL, f"http://{upstream.address}/"), {"outrigger.dev/native-sidecar": "false"}))
    assert list(pod.processes) == ["outrigger-init", "outrigger", "app"]
    wait_until(lambda: "ready" in pod.log("app"), what="the app")
    pod.stop()
    assert pod.log("app").splitlines()[-1] == "last call: 200"
    assert is_intercepted(upstream)
    assert (pod.app.returncode, pod.sidecar.returncode) == (0, 0), pod.log("outrigger")


def test_a_job_finishes(act, upstream):
    """Native: when its containers have ended the kubelet ends the sidecar, with nobody left to ask it anything."""
    work = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).status)"
    pod = act(injected(python(work, f"http://{upstream.address}/"), restartPolicy="Never"))
    assert pod.app.wait(10) == 0
    assert pod.stop() < 5
    assert pod.log("app") == "200\n" and is_intercepted(upstream)
    assert pod.sidecar.returncode == 0


def test_a_job_with_an_ordinary_sidecar_may_tell_it_to_go(act, ask, upstream):
    pod = act(injected(python("pass"), {"outrigger.dev/native-sidecar": "false"}, restartPolicy="Never"))
    assert pod.app.wait(10) == 0
    assert ask("http://127.0.0.1:15020/quit", "-X", "POST")[0] in (200, 202)
    assert pod.sidecar.wait(10) == 0


def test_without_interception_the_environment_leads_to_the_sidecar(act, upstream):
    fetch = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).status)"
    manifest = injected(python(fetch, f"http://{upstream.address}/"), {"outrigger.dev/interception": "none"})
    for container in manifest["spec"]["initContainers"] + manifest["spec"]["containers"]:
        assert "add" not in container.get("securityContext", {}).get("capabilities", {})
    pod = act(manifest)
    assert list(pod.processes) == ["outrigger", "app"]
    assert pod.app.wait(10) == 0
    assert pod.log("app") == "200\n" and is_intercepted(upstream)
    pod.stop()


def test_refusals_name_the_policy_in_the_configmap(act, ask, upstream, policies):
    policies.set({"payments.yaml": LIMITED})
    pod = act(injected(python(IDLE)))
    url = f"http://{upstream.address}/"
    ask(url)
    status, reason, body = ask(url)
    assert (status, reason) == (429, "rate_limited")
    said = json.loads(body)
    assert said["policy"] == "payments" and said["at"].startswith("/etc/outrigger/policies/payments/payments.yaml:")
    pod.stop()


def test_the_injector_of_the_chart_answers_an_api_server(pair, peer, tree, tmp_path, open_checkout):
    """Its Deployment acted out: image, user, arguments, Secret, probes; and the webhook's URL, CA and time limit."""
    program = pathlib.Path(peer("helm"))
    if not program.exists():
        pytest.skip("npm's packages are not there: its registry could not be reached by ./dev test")
    objects = Helm(program).render("default")
    spec = objects.one("Deployment")["spec"]["template"]["spec"]
    secret = {name: base64.b64decode(data) for name, data in objects.one("Secret")["data"].items()}
    volume, = spec["volumes"]
    certs = ConfigMap(tmp_path / "certs", secret, volume["secret"]["defaultMode"], spec["securityContext"]["fsGroup"])
    acted = ActedPod(spec, pair, tree, peer("capsh"), tmp_path, {volume["name"]: certs.folder}).start()
    acted.wait_started(spec["containers"][0])

    webhook = objects.one("MutatingWebhookConfiguration")["webhooks"][0]
    to = webhook["clientConfig"]["service"]
    (tmp_path / "ca.pem").write_bytes(base64.b64decode(webhook["clientConfig"]["caBundle"]))
    host = f"{to['name']}.{to['namespace']}.svc"
    done = pair.server.run(["curl", "-sS", "--max-time", webhook["timeoutSeconds"], "--cacert", tmp_path / "ca.pem", "--resolve",
                            f"{host}:8443:{pair.app.ipv4}", "-H", "Content-Type: application/json", "--data-binary",
                            json.dumps(admission_review(bare_pod())), f"https://{host}:8443{to['path']}"], check=True)
    assert "outrigger-init" in json.dumps(patch_of(json.loads(done.stdout)))
    assert acted.probe("/live", 15021) == "200"
    assert acted.stop() < 10
    assert acted.processes["injector"].returncode == 0, acted.log("injector")
