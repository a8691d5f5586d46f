"""The image of the Dockerfile without Docker: its stage `tree` is followed line by line, on this machine.

    tree = build(root, binaries)       # a folder: what is / in the image
    compressed(tree, "gzip", "-9")     # bytes
    Container(tree, ...)               # processes in it

RUN is a shell in the stage's WORKDIR, COPY copies from the checkout or, --from=build, from where the binaries are. What was
downloaded stays until its RUN changes. Root only: owners and capabilities are part of an image.
"""

import fcntl
import hashlib
import json
import re
import shlex
import shutil
import subprocess

STAGE = "tree"
BUILT = "/src/build/release/"
RESTRICTED = {"runAsUser": 2102, "runAsGroup": 2102, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
              "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


class Dockerfile:
    def __init__(self, text):
        text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
        self.lines = [tuple(line.split(None, 1)) for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]

    def stage(self, name):
        """The instructions of a stage, without its FROM; the last stage where `name` is None."""
        stages, current = [], None
        for word, rest in self.lines:
            if word == "FROM":
                current = (rest.split(" AS ")[1] if " AS " in rest else None, [])
                stages.append(current)
            else:
                current[1].append((word, rest))
        return next(lines for stage, lines in stages if stage == name)

    def setting(self, word):
        """What the last instruction WORD of the image says; a list where it is one."""
        said = [rest for key, rest in self.stage(None) if key == word][-1]
        return json.loads(said) if said.startswith("[") else said

    def packages(self):
        return next(rest for word, rest in self.stage(STAGE) if is_download(word, rest)).split("-qq ")[1].split()


def is_download(word, rest):
    return word == "RUN" and "apt-get download" in rest


def build(root, binaries):
    """`root` is the checkout, `binaries` a folder; returns build/image/root of the checkout, made anew when it is old."""
    place = root / "build/image"
    place.mkdir(parents=True, exist_ok=True)
    dockerfile = Dockerfile((root / "Dockerfile").read_text())
    with open(place / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        version = fingerprint(root, binaries)
        made = place / "made"
        if not (made.exists() and made.read_text() == version):
            made.unlink(missing_ok=True)
            follow(dockerfile, root, binaries, place)
            made.write_text(version)
    return place / "root"


def fingerprint(root, binaries):
    parts = [root / "Dockerfile", root / "policies/default.yaml", binaries / "outrigger", binaries / "outrigger-init"]
    return hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts)).hexdigest()


def follow(dockerfile, root, binaries, place):
    downloaded = place / "downloaded"
    shutil.rmtree(place / "root", ignore_errors=True)
    for word, rest in dockerfile.stage(STAGE):
        if is_download(word, rest):
            if not (downloaded.exists() and downloaded.read_text() == rest):
                download(rest, place)
                downloaded.write_text(rest)
        elif word == "RUN":
            run(rest, place)
        elif word == "COPY":
            copy(rest, root, binaries, place)
        else:
            assert word == "WORKDIR", f"harness/image.py does not know {word}"


def download(command, place):
    for lists in ("true", "apt-get update -qq"):  # lists that are old name versions that are gone
        shutil.rmtree(place / "debs", ignore_errors=True)
        if subprocess.run(["sh", "-c", f"{lists} && {command}"], cwd=place, capture_output=True).returncode == 0:
            return
    raise AssertionError(f"is there a network? RUN {command}")


def run(command, place):
    done = subprocess.run(["sh", "-c", command], cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"RUN {command}\n{done.stderr}"


def copy(words, root, binaries, place):
    *sources, to = [word for word in shlex.split(words) if not word.startswith("--")]
    for source in sources:
        if words.startswith("--from=build "):
            name = source.removeprefix(BUILT)
            target = place / to / name
            subprocess.run(["strip", "-o", target, binaries / name], check=True)
            target.chmod(0o755)
        else:
            shutil.copyfile(root / source, place / to)


def compressed(tree, *compressor):
    """Bytes of the layer, as a registry keeps it."""
    tar = subprocess.Popen(["tar", "--create", "--xattrs", "--xattrs-include=*", "--sort=name", "--directory", tree, "."],
                           stdout=subprocess.PIPE)
    packed = subprocess.run([*compressor, "--stdout"], stdin=tar.stdout, capture_output=True, check=True)
    tar.stdout.close()
    assert tar.wait() == 0
    return len(packed.stdout)


class Container:
    """Starts processes in the image as a kubelet's runtime does: its tree and nothing else, read-only, with what is mounted;
    the namespaces of mounts go with the processes, so nothing stays.

        container = Container(tree, tmp_path, capsh, {"/etc/outrigger/policies/shop": folder})
        subprocess.run(container.command(["/usr/local/bin/outrigger", "--version"]))
    """

    def __init__(self, tree, scratch, capsh, volumes=None):
        """`volumes`: path in the container -> folder; they are read-only, too."""
        self._capsh = capsh
        points, place = scratch / "mount-points", scratch / "container"
        for folder in (place, points, *(points / at.lstrip("/") for at in volumes or {})):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (points, *points.rglob("*")):
            folder.chmod(0o755)
        mounts = [["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={points}:{tree}", str(place)],
                  ["mount", "-t", "proc", "-o", "ro", "proc", f"{place}/proc"]]
        for at, folder in (volumes or {}).items():
            mounts += [["mount", "--bind", str(folder), f"{place}{at}"],
                       ["mount", "-o", "remount,bind,ro", f"{place}{at}"]]
        self._mounts, self._place = " && ".join(shlex.join(words) for words in mounts), place

    def command(self, words, security=None):
        """`security`: a container's securityContext; without one that of Pod Security "restricted" as user 2102."""
        security = {**RESTRICTED, **(security or {})}
        assert security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"]
        kept = [f"cap_{name.lower()}" for name in security["capabilities"].get("add", [])]
        dropped = sorted(set(self._known()) - set(kept))
        privileges = [f"--drop={','.join(dropped)}", "--keep=1", "--inh=", f"--gid={security['runAsGroup']}",
                      f"--uid={security['runAsUser']}", f"--caps={','.join(kept)}+p" if kept else "--caps=",
                      *([] if security["allowPrivilegeEscalation"] else ["--no-new-privs"])]
        inside = shlex.join([self._capsh, f"--chroot={self._place}", *privileges, f"--shell={words[0]}", "--", *words[1:]])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{self._mounts} && exec {inside}"]

    def _known(self):
        said = subprocess.run([self._capsh, "--print"], capture_output=True, text=True, check=True).stdout
        return next(line for line in said.splitlines() if line.startswith("Bounding set")).split("=", 1)[1].split(",")
