"""A pod acted out: what a kubelet and a runtime do with an injected manifest, by processes in a network namespace.

    acted = ActedPod(injected["spec"], pair, Container(...))
    acted.start()                        # init containers in their order, probes, hooks, then the app
    acted.sidecar, acted.app             # processes
    acted.stop()                         # SIGTERM in the kubelet's order

Containers of Outrigger's image run in the image (harness/image.py), with the securityContext of the manifest; an app is a
program of this machine as its runAsUser. Volumes are folders that the caller fills; see ConfigMap.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

from .image import Container
from .waiting import slack, wait_until

START_SECONDS, HOOK_SECONDS = 10, 10
GRACE_SECONDS = 30  # terminationGracePeriodSeconds where a pod names none


def is_ours(container):
    return container["image"].split(":")[0] == "outrigger"


class ConfigMap:
    """A folder as the kubelet makes one of a ConfigMap (of labels, of a Secret): files are links into `..data`, which is a link to the
    folder of the present version; a change swaps that one link."""

    def __init__(self, folder, files, mode=0o644, group=0):
        """`files`: name -> text or bytes. `mode` and `group` are the volume's defaultMode and the pod's fsGroup."""
        self._mode, self._group = mode, group
        self.folder, self._version = pathlib.Path(folder), 0
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self.set(files)

    def set(self, files):
        self._version += 1
        fresh = self.folder / f"..2026_11_26_12_00_00.{self._version}"
        fresh.mkdir()
        fresh.chmod(0o755)
        for name, text in files.items():
            (fresh / name).write_bytes(text if isinstance(text, bytes) else text.encode())
            (fresh / name).chmod(self._mode)
            os.chown(fresh / name, 0, self._group)
            with contextlib.suppress(FileExistsError):
                (self.folder / name).symlink_to(f"..data/{name}")
        swap = self.folder / "..data_tmp"
        swap.symlink_to(fresh.name)
        swap.rename(self.folder / "..data")


class ActedPod:
    def __init__(self, spec, pair, tree, capsh, scratch, volumes):
        """`volumes`: name of a volume of the spec -> folder."""
        self.spec, self.pair, self._scratch = spec, pair, scratch
        self._tree, self._capsh, self._volumes = tree, capsh, volumes
        self.processes = {}  # name of container -> Popen, in the order of their start
        self.ended = []  # names, in the order of their end

    # start

    def start(self):
        for container in self.spec.get("initContainers", []):
            self._launch(container)
            if container.get("restartPolicy") == "Always":
                self.wait_started(container)
            else:
                code = self._wait(container["name"], START_SECONDS)
                assert code == 0, f"{container['name']}: exit code {code}\n{self.log(container['name'])}"
        for container in self.spec["containers"]:
            self._launch(container)
            hook = container.get("lifecycle", {}).get("postStart")
            if hook:
                done = self.run_in(container, hook["exec"]["command"])
                assert done.returncode == 0, done.stderr
        return self

    def _words(self, container, words=None):
        words = words or container.get("command", []) + container.get("args", [])
        if not is_ours(container):
            return words
        if words[0][0] != "/":
            words = ["/usr/local/bin/outrigger", *words]  # the image's ENTRYPOINT
        scratch = self._scratch / container["name"]
        scratch.mkdir(exist_ok=True)
        mounts = {mount["mountPath"]: self._volumes[mount["name"]] for mount in container.get("volumeMounts", [])}
        return Container(self._tree, scratch, self._capsh, mounts).command(words, container["securityContext"])

    def _how(self, container):
        env = {entry["name"]: entry["value"] for entry in container.get("env", [])}
        if is_ours(container):
            return {"env": env}
        return {"env": {"PATH": os.environ["PATH"], **env},
                "uid": container.get("securityContext", {}).get("runAsUser", 1000)}

    def _launch(self, container):
        with open(self._scratch / f"{container['name']}.log", "ab") as log:
            self.processes[container["name"]] = self.pair.app.popen(
                self._words(container), stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._how(container))

    def run_in(self, container, words):
        """`kubectl exec`, or a hook."""
        return self.pair.app.run(self._words(container, words), timeout=HOOK_SECONDS, **self._how(container))

    def wait_started(self, container):
        """The kubelet asks from outside the pod, over its address."""
        probe = container["startupProbe"]["httpGet"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        wait_until(lambda: self.probe(probe["path"], ports.get(probe["port"], probe["port"])) == "200", START_SECONDS,
                   f"{container['name']} started; it says:\n{self.log(container['name'])}")

    def probe(self, path, port):
        return self.pair.server.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "2",
                                     f"http://{self.pair.app.ipv4}:{port}{path}"]).stdout

    # while it runs

    @property
    def sidecar(self):
        return self.processes["outrigger"]

    @property
    def app(self):
        return self.processes["app"]

    def log(self, name):
        return (self._scratch / f"{name}.log").read_text(errors="replace")

    def _wait(self, name, seconds):
        code = self.processes[name].wait(slack(seconds))
        self.ended.append(name)
        return code

    # end

    def stop(self):
        """SIGTERM to all containers, once they have ended to native sidecars in reverse order; returns the seconds that it took."""
        began = time.monotonic()
        natives = [container["name"] for container in self.spec.get("initContainers", [])
                   if container.get("restartPolicy") == "Always"]
        self._end([container["name"] for container in self.spec["containers"]], began)
        for name in reversed(natives):
            self._end([name], began)
        return time.monotonic() - began

    def _end(self, names, began):
        for name in names:
            if self.processes[name].poll() is None:
                self.processes[name].send_signal(signal.SIGTERM)
        left = set(names) - set(self.ended)
        while left:
            assert time.monotonic() - began < GRACE_SECONDS, f"{left} would be killed; {self.log('outrigger')[-2000:]}"
            for name in [name for name in left if self.processes[name].poll() is not None]:
                self.ended.append(name)
                left.remove(name)
            time.sleep(0.01)
