"""Kubernetes manifests for tests of `outrigger inject`: how another program reads them, what an injection may have
changed, and random ones in random styles."""

import json
import os
import random
import time

import yaml

OURS = {"outrigger", "outrigger-init"}
STATUS = "outrigger.dev/status"


class Loader(yaml.SafeLoader):
    """PyYAML, with times as texts: Kubernetes has none, and a patch cannot hold them."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def templates(document):
    """(pointer, what has `metadata` and `spec` of a pod) of an object, or of those in a list."""
    if not isinstance(document, dict):
        return
    kind = document.get("kind", "")
    if kind.endswith("List") and isinstance(document.get("items"), list):
        for index, item in enumerate(document["items"]):
            if isinstance(item, dict):
                named = {"kind": kind[: -len("List")], **item}
                yield from ((f"/items/{index}{pointer}", template) for pointer, template in templates(named))
        return
    pointer = {"Pod": "", "CronJob": "/spec/jobTemplate/spec/template"}.get(kind, "/spec/template")
    at = document
    for key in pointer.split("/")[1:]:
        at = at.get(key) if isinstance(at, dict) else None
    if isinstance(at, dict):
        yield pointer, at


def differences(before, after):
    """The patches by which `before` becomes `after` if nothing but an injection happened, written without a look at
    what the program thinks of itself: what is ours by its name, put where it belongs."""
    old = dict(templates(before))
    for pointer, template in templates(after):
        annotations = (template.get("metadata") or {}).get("annotations") or {}
        if STATUS in annotations and STATUS not in (((old[pointer].get("metadata") or {}).get("annotations")) or {}):
            yield list(injected(pointer, old[pointer], template))


def missing_parents(pointer, template, keys):
    at = template
    for depth, key in enumerate(keys):
        at = (at or {}).get(key)
        if at is None:
            for rest in range(depth, len(keys)):
                yield {"op": "add", "path": pointer + "".join(f"/{key}" for key in keys[: rest + 1]), "value": {}}
            return


def injected(pointer, old, new):
    status = json.loads(new["metadata"]["annotations"][STATUS])
    for key in ("containers", "initContainers"):
        theirs = [item for item in new["spec"].get(key) or [] if item["name"] not in OURS]
        for index, container in enumerate(theirs):
            added = [item for item in container.get("env") or []
                     if item["name"] in status["env"].get(container["name"], [])]
            if added and not old["spec"][key][index].get("env"):
                yield {"op": "add", "path": f"{pointer}/spec/{key}/{index}/env", "value": []}
            for item in added:
                yield {"op": "add", "path": f"{pointer}/spec/{key}/{index}/env/-", "value": item}
    is_native = "outrigger" in status["initContainers"]
    for key in ("containers", "initContainers"):
        ours = [item for item in new["spec"].get(key) or [] if item["name"] in OURS]
        if ours and not old["spec"].get(key):
            yield {"op": "add", "path": f"{pointer}/spec/{key}", "value": []}
        for index, item in enumerate(ours):  # without a proxy yet, the app's own init containers are not redirected
            place = index if is_native or key == "containers" else "-"
            yield {"op": "add", "path": f"{pointer}/spec/{key}/{place}", "value": item}
    if not old["spec"].get("volumes"):
        yield {"op": "add", "path": f"{pointer}/spec/volumes", "value": []}
    for item in new["spec"]["volumes"]:
        if item["name"].startswith("outrigger-"):
            yield {"op": "add", "path": f"{pointer}/spec/volumes/-", "value": item}
    yield from missing_parents(pointer, old, ["metadata", "annotations"])
    for key in [STATUS, *status["annotations"]]:
        path = key.replace("~", "~0").replace("/", "~1")
        yield {"op": "add", "path": f"{pointer}/metadata/annotations/{path}",
               "value": new["metadata"]["annotations"][key]}


# ---- random manifests --------------------------------------------------------------------------------------------


def seed_of_this_run():
    """OUTRIGGER_SEED repeats a run; the same for all workers of one day otherwise, since they collect tests apart."""
    return os.environ.get("OUTRIGGER_SEED") or time.strftime("%Y-%m-%d")


class Writer:
    """Writes values as YAML in a style that changes from value to value: what people and programs write."""

    def __init__(self, chance):
        self.chance = chance
        self.step = chance.choice([1, 2, 2, 2, 4])
        self.list_step = chance.choice([0, 0, 2, self.step])
        self.comments = chance.random() < 0.6

    def some(self, share):
        return self.chance.random() < share

    def noise(self, indent):
        """Comments and empty lines between things."""
        lines = []
        while self.comments and self.some(0.15):
            lines.append(self.chance.choice(["", " " * indent + "# a comment: with {odd} - things", "  ", "#"]))
        return lines

    def tail(self):
        return self.chance.choice(["", "", "", " ", "  # behind: it"]) if self.comments else ""

    def text(self, value, is_flow=False):
        choices = [json.dumps(value, ensure_ascii=self.some(0.5) and value.isascii()), "'" + value.replace("'", "''") + "'"]
        is_word = value.replace("-", "").replace(".", "").replace("/", "").isalnum()
        if is_word and value[0].isalpha() and yaml.safe_load(value) == value:
            choices += [value] * 4
        return self.chance.choice(choices if value.isprintable() else choices[:1])

    def scalar(self, value):
        if isinstance(value, str):
            return self.text(value)
        return json.dumps(value)

    def flow(self, value):
        gap = self.chance.choice(["", " "])
        wide = self.chance.choice(["", " ", "  "])
        if isinstance(value, dict):
            inner = ("," + wide).join(f"{self.text(key)}: {self.flow(item)}" for key, item in value.items())
            return "{" + gap + inner + gap + "}"
        if isinstance(value, list):
            return "[" + gap + ("," + wide).join(self.flow(item) for item in value) + gap + "]"
        return self.scalar(value)

    def is_block(self, value):
        return bool(value) and isinstance(value, (dict, list)) and not self.some(0.12)

    def literal(self, value, indent):
        mark = "|" if value.endswith("\n") else "|-"
        return [mark] + [" " * indent + line if line else "" for line in value.removesuffix("\n").split("\n")]

    def entry(self, key, value, indent):
        head = f"{self.text(key)}:"
        if value is None and self.some(0.7):
            return [head + self.tail()]
        if isinstance(value, str) and "\n" in value and self.some(0.8) and not value.endswith("\n\n"):
            first, *rest = self.literal(value, indent + self.step)
            return [f"{head} {first}", *rest]
        if self.is_block(value):
            inner = indent + (self.list_step if isinstance(value, list) else self.step)
            return [head + self.tail(), *self.block(value, inner)]
        if isinstance(value, (dict, list)):
            return [f"{head} {self.flow(value)}{self.tail()}"]
        return [f"{head} {self.scalar(value)}{self.tail()}"]

    def block(self, value, indent):
        lines = []
        for item in value.items() if isinstance(value, dict) else value:
            lines += self.noise(indent)
            if isinstance(value, dict):
                entry = self.entry(*item, indent)
                lines += [" " * indent + entry[0], *entry[1:]]
            elif self.is_block(item) and isinstance(item, dict):
                first, *rest = self.block_without_noise(item, indent + 2)
                lines += [" " * indent + "- " + first.lstrip(" "), *rest]
            else:
                lines.append(" " * indent + "- " + self.flow(item))
        return lines

    def block_without_noise(self, value, indent):
        comments, self.comments = self.comments, False
        lines = self.block(value, indent)
        self.comments = comments
        return lines


def random_container(chance, name):
    container = {"name": name, "image": chance.choice(["app:1", "registry.example.com:5000/a/b@sha256:00ff"])}
    if chance.random() < 0.5:
        container["command"] = ["sh", "-c", chance.choice(["echo hi\necho there\n", "a: b # c", "x", "  two\n\nlines\n"])]
    if chance.random() < 0.3:
        container["env"] = chance.choice([[], None, [{"name": "A", "value": "1"}], [{"name": "HTTP_PROXY", "value": "x"}]])
    if chance.random() < 0.3:
        container["args"] = [f"--flag={chance.randrange(9)}", "yes", "0x10", "é✓😀"]
    items = list(container.items())
    chance.shuffle(items)
    return dict(items)


def random_template(chance):
    spec = {"containers": [random_container(chance, f"app-{n}") for n in range(chance.randint(1, 3))]}
    if chance.random() < 0.4:
        spec["initContainers"] = chance.choice([[], [random_container(chance, "first")], None])
    if chance.random() < 0.5:
        spec["volumes"] = chance.choice([[], None, [{"name": "tmp", "emptyDir": {}}],
                                         [{"name": "a", "configMap": {"name": "b"}}, {"name": "c", "emptyDir": None}]])
    if chance.random() < 0.3:
        spec["restartPolicy"] = "Always"
    items = list(spec.items())
    chance.shuffle(items)
    template = {"spec": dict(items)}
    metadata = {}
    if chance.random() < 0.7:
        metadata["labels"] = {"app": "a", "app.kubernetes.io/name": "x"}
    if chance.random() < 0.5:
        metadata["annotations"] = chance.choice(
            [{}, None, {"a": "b"}, {"note": "several\nlines\n"}, {"outrigger.dev/opaque-ports": "25,3306"},
             {"outrigger.dev/policy": "payments", "z": ""}])
    if metadata or chance.random() < 0.3:
        template["metadata"] = metadata or chance.choice([{}, None])
    return dict(sorted(template.items())) if chance.random() < 0.7 else template


def random_object(chance):
    kind, version = chance.choice([("Deployment", "apps/v1"), ("Job", "batch/v1"), ("Pod", "v1"), ("CronJob", "batch/v1"),
                                   ("ConfigMap", "v1")])
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": f"n{chance.randrange(99)}"}}
    if kind == "ConfigMap":
        return {**head, "data": {"a.yaml": "kind: Pod\nspec: {}\n", "b": "yes"}}
    template = random_template(chance)
    if kind == "Pod":
        return {**head, "metadata": {**head["metadata"], **(template.get("metadata") or {})}, "spec": template["spec"]}
    spec = {"template": template}
    return {**head, "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": spec}} if kind == "CronJob" else spec}


def random_document(chance):
    value = random_object(chance)
    if chance.random() < 0.15:
        value = {"apiVersion": "v1", "kind": "List", "items": [value, random_object(chance)]}
    kind = chance.random()
    if kind < 0.15:
        return json.dumps(value, indent=chance.choice([None, 2, 4]))
    if kind < 0.3:
        return yaml.safe_dump(value, default_flow_style=chance.choice([None, False]), sort_keys=False).rstrip("\n")
    return "\n".join(Writer(chance).block(value, 0))


def random_manifest(seed):
    """(text, options)"""
    chance = random.Random(seed)
    text = "\n---\n".join(random_document(chance) for _ in range(chance.randint(1, 12)))
    if chance.random() < 0.3:
        text = "---\n" + text
    if text[-1] != "}" or chance.random() < 0.7:  # a block of text at the end of a file wants its line break
        text += "\n"
    if chance.random() < 0.2:
        text = text.replace("\n", "\r\n")
    options = []
    for option, share in (("interception=none", 0.4), ("native-sidecar=false", 0.3), ("policy=everywhere", 0.3)):
        if chance.random() < share:
            options += ["--set", option]
    return text.encode(), options
