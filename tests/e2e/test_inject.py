"""`outrigger inject`, byte by byte: tests/golden/inject/NAME/ holds `input.yaml` (or .json), `options` where there are some,
and what comes of it: `output.yaml` (none where nothing is written) and `report.txt`, with the exit code.

What the golden files say is also checked without them: the output, read by PyYAML, is the input with Kubernetes' own
kind of patch applied by another program (jsonpatch), no line of the input is lost or changed, the same again changes
nothing, and taking it out again gives the input.

After a change: OUTRIGGER_UPDATE_GOLDEN=1 pytest tests/e2e/test_inject.py, and read the diff.
"""

import functools
import json
import os
import pathlib
import subprocess

import jsonpatch
import pytest
import yaml
from harness.manifests import Loader, differences, random_manifest, seed_of_this_run
from harness.proxy import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/inject"
STRICT = ROOT / "tests/lint/k8s-strict.mjs"
PEERS = pathlib.Path(os.environ.get("OUTRIGGER_PEERS", ROOT / "build/peers/bin"))
UPDATE = os.environ.get("OUTRIGGER_UPDATE_GOLDEN") == "1"
NAMES = sorted(path.name for path in GOLDEN.iterdir())
UNREADABLE = {"bad-yaml", "duplicate-key", "laughs"}
READABLE = [name for name in NAMES if name not in UNREADABLE]
RANDOM_MANIFESTS = 40  # of up to twelve documents


@functools.cache
def inject(text, *options):
    """(what comes out, what is said, exit code)"""
    done = subprocess.run([BINARY, "inject", "-f", "-", *options], input=text, capture_output=True, timeout=60)
    return done.stdout, done.stderr.decode(), done.returncode


def golden(name):
    folder = GOLDEN / name
    (path,) = folder.glob("input.*")
    options = (folder / "options").read_text().split() if (folder / "options").exists() else []
    return path.read_bytes(), options


def documents(text):
    return list(yaml.load_all(text.decode("utf-8-sig"), Loader))


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_is_as_kept(name):
    text, options = golden(name)
    folder = GOLDEN / name
    out, said, code = inject(text, *options)
    report = f"{said}exit code {code}\n"
    if UPDATE:
        (folder / "report.txt").write_text(report)
        (folder / "output.yaml").unlink(missing_ok=True)
        if out:
            (folder / "output.yaml").write_bytes(out)
    assert report == (folder / "report.txt").read_text(), "report.txt is stale"
    kept = folder / "output.yaml"
    assert out == (kept.read_bytes() if kept.exists() else b""), "output.yaml is stale"
    assert bool(out) == (name not in UNREADABLE)


def check_output(text, out):
    """The output says what the input said, and what was added is what the status annotation names."""
    before, after = documents(text), documents(out)
    assert len(before) == len(after)
    for one, other in zip(before, after):
        for patch in differences(one, other):
            one = jsonpatch.apply_patch(one, patch)
        assert one == other


def check_bytes(text, out):
    """Every byte of the input is in the output, in order."""
    wanted = iter(out)
    assert all(byte in wanted for byte in text), "a byte of the input is lost"


def check_round_trip(text, out, options):
    again, said, _ = inject(out, *options)
    assert again == out, f"the same again changed something:\n{said}"
    back, said, code = inject(out, "--remove")
    assert back == text, f"taking it out again did not give the input:\n{said}"


@pytest.mark.parametrize("name", READABLE)
def test_only_what_was_meant_is_added_and_it_can_be_taken_out(name):
    text, options = golden(name)
    out, _, _ = inject(text, *options)
    check_output(text, out)
    if name not in ("nulls", "json"):  # there a null is replaced
        check_bytes(text, out)
    check_round_trip(text, out, options)


@pytest.mark.parametrize("name", [name for name in READABLE if name != "not-by-default"])
def test_other_settings_replace_those_of_before(name):
    text, options = golden(name)
    first, _, _ = inject(text, "--set", "log-level=error", "--set", "policy=a,b")
    renewed, said, _ = inject(first, *options)
    assert renewed == inject(text, *options)[0], said


def strict(path):
    """What is no field, or of another type, in Kubernetes 1.36."""
    done = subprocess.run(["node", STRICT, path], cwd=PEERS.parent / "npm", capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1].startswith("problems: "), done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("  ")]


@pytest.mark.skipif(not STRICT.exists(), reason="tests/lint/k8s-strict.mjs is not there")
@pytest.mark.parametrize("name", READABLE)
def test_what_is_added_are_fields_of_kubernetes(name):
    (path,) = (GOLDEN / name).glob("input.*")
    assert strict(GOLDEN / name / "output.yaml") == strict(path)


def webhook_style(pod):
    """As `kubectl get -o yaml` shows what a webhook has patched: keys sorted, what Kubernetes adds among ours."""
    pod["metadata"]["uid"] = "7d5f"
    pod["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {"sources": []}})
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        container["imagePullPolicy"] = "IfNotPresent"
    return yaml.safe_dump(pod, default_flow_style=False).encode()


@pytest.mark.parametrize("options", [[], ["--set", "interception=none"], ["--set", "native-sidecar=false"],
                                     ["--set", "interception=none", "--set", "native-sidecar=false"]])
def test_what_a_webhook_put_in_is_taken_out(options):
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"app": "p"}},
            "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    out, _, _ = inject(yaml.safe_dump(bare).encode(), *options)
    patched = webhook_style(yaml.safe_load(out))
    left, said, code = inject(patched, "--remove")
    assert code == 0, said
    bare["spec"]["volumes"] = []
    assert yaml.safe_load(left) == yaml.safe_load(webhook_style(bare))


def test_a_pod_of_an_injected_template_counts_as_injected():
    template, _, _ = inject((GOLDEN / "deployment/input.yaml").read_bytes())
    pod = {"apiVersion": "v1", "kind": "Pod", **yaml.safe_load(template)["spec"]["template"]}
    pod["metadata"]["name"] = "payments-7d5f"
    text = webhook_style(pod)
    out, said, code = inject(text)
    assert (out, code) == (text, 0) and "already injected" in said


@pytest.mark.parametrize("number", range(RANDOM_MANIFESTS))
def test_any_manifest_in_any_style_keeps_its_promises(number):
    seed = f"{seed_of_this_run()}-{number}"
    text, options = random_manifest(seed)
    out, said, code = inject(text, *options)
    assert out, f"seed {seed}: {said}\n{text.decode()}"
    assert code == 0, f"seed {seed}: {said}\n{text.decode()}"
    check_output(text, out)
    check_round_trip(text, out, options)


@pytest.mark.parametrize("arguments, said", [
    ([], "name a file"),
    (["-f"], "-f needs a value"),
    (["-f", "-", "-f", "-"], "one file at a time"),
    (["-f", "-", "--set", "policy"], "it takes KEY=VALUE"),
    (["-f", "-", "--set", "polcy=a"], 'did you mean "policy"?'),
    (["-f", "-", "--set", "zzz=a"], "there are inject, policy"),
    (["-f", "-", "--set", "drain=now"], "allowed: serve or refuse"),
    (["-f", "-", "--colour"], "unknown argument --colour"),
    (["-f", "/nowhere.yaml"], "/nowhere.yaml: No such file"),
])
def test_bad_usage_says_what_to_write(arguments, said):
    done = subprocess.run([BINARY, "inject", *arguments], input="", capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and said in done.stderr and done.stdout == ""


def test_help_fits_a_screen():
    done = subprocess.run([BINARY, "inject", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "Example:" in done.stdout
    assert len(done.stdout.splitlines()) <= 40 and max(map(len, done.stdout.splitlines())) <= 100


def test_too_much_is_refused_with_words(tmp_path):
    deep, long = b"[" * 65 + b"]" * 65, tmp_path / "long.yaml"
    out, said, code = inject(deep)
    assert (out, code) == (b"", 1) and "stdin:1:65: nested more than 64 deep" in said
    with long.open("wb") as file:
        file.truncate((64 << 20) + 1)
    done = subprocess.run([BINARY, "inject", "-f", long], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "more than 64 MiB" in done.stderr
    out, said, code = inject("a: b".encode("utf-16"))
    assert (out, code) == (b"", 1) and "UTF-8" in said


def test_settings_and_status_are_one_line_of_json():
    out, _, _ = inject((GOLDEN / "deployment/input.yaml").read_bytes())
    annotations = yaml.safe_load(out)["spec"]["template"]["metadata"]["annotations"]
    status = json.loads(annotations["outrigger.dev/status"])
    assert status["initContainers"] == ["outrigger-init", "outrigger"]
    assert status["created"] == ["initContainers", "volumes", "annotations"]
