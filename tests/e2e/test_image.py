"""The image: what the Dockerfile makes is small, and both programs run in it as a restricted container's processes do.

There is no Docker here: harness/image.py follows the Dockerfile's stage of the file system. Only with the release build,
which is what the image has.
"""

import os
import pathlib
import re
import subprocess

import pytest
from conftest import ROOT
from harness.image import Container, Dockerfile, build, compressed
from harness.interception import INIT
from harness.proxy import BINARY
from harness.waiting import wait_until

IS_DEBUG_BUILD = os.environ.get("OUTRIGGER_KIND") == "debug"
pytestmark = [pytest.mark.skipif(IS_DEBUG_BUILD, reason="the image has the release build"),
              pytest.mark.skipif(os.getuid() != 0, reason="owners, capabilities and mounts need root")]
MOST_BYTES = 40_000_000
OUTRIGGER, OUTRIGGER_INIT = "/usr/local/bin/outrigger", "/usr/local/bin/outrigger-init"


@pytest.fixture(scope="session")
def tree(open_checkout):
    return build(ROOT, pathlib.Path(BINARY).parent)


@pytest.fixture(scope="session")
def dockerfile():
    return Dockerfile((ROOT / "Dockerfile").read_text())


@pytest.fixture
def container(tree, tmp_path, peer):
    return Container(tree, tmp_path, peer("capsh"))


@pytest.fixture
def run(container):
    def run(*words, security=None):
        return subprocess.run(container.command(words, security), capture_output=True, text=True, timeout=20,
                              stdin=subprocess.DEVNULL, env={})

    return run


def files(tree):
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}


def test_the_image_is_small(tree):
    assert compressed(tree, "gzip", "-9") < MOST_BYTES


def test_the_image_holds_what_is_needed_and_nothing_to_run_but_our_programs(tree):
    programs = {path for path in files(tree) if os.access(tree / path, os.X_OK) and ".so" not in path}
    assert programs == {"usr/local/bin/outrigger", "usr/local/bin/outrigger-init"}
    assert (tree / "etc/ssl/certs/ca-certificates.crt").read_text().count("BEGIN CERTIFICATE") > 100
    assert (tree / "etc/outrigger/default.yaml").read_bytes() == (ROOT / "policies/default.yaml").read_bytes()


def test_every_package_of_the_image_is_loaded_by_one_of_the_programs(tree, dockerfile):
    """A package that is listed for nothing only ages; one that misses would keep the programs from starting."""
    loaded = set()
    for program in (BINARY, INIT):
        said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        loaded |= {pathlib.Path(path).name for path in re.findall(r"=> (\S+)", said)}
    for package in dockerfile.packages():
        deb, = (tree.parent / "debs").glob(f"{package}_*.deb")
        listed = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
        names = {pathlib.Path(line.split()[5]).name for line in listed.splitlines()}
        assert names & (loaded | {"ca-certificates.conf.5.gz", "mozilla"}), f"nothing loads {package}"
        assert (tree / f"var/lib/dpkg/status.d/{package}").read_text().startswith(f"Package: {package}\n")


def test_only_root_may_write_and_all_may_read(tree):
    for path in tree.rglob("*"):
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0), path
        assert path.is_symlink() or not status.st_mode & 0o7022, path
        assert path.is_symlink() or status.st_mode & 0o004, path


def test_the_capability_is_on_outrigger_init_alone(tree):
    capable = {name: os.getxattr(tree / name, "security.capability") for name in files(tree)
               if not (tree / name).is_symlink() and "security.capability" in os.listxattr(tree / name)}
    assert set(capable) == {"usr/local/bin/outrigger-init"}
    flags, permitted = (int.from_bytes(capable["usr/local/bin/outrigger-init"][at:at + 4], "little") for at in (0, 4))
    assert permitted == 1 << 12  # CAP_NET_ADMIN
    assert not flags & 1  # not effective by itself


def test_the_image_runs_as_the_user_of_the_manifests(tree, dockerfile):
    assert dockerfile.setting("USER") == "2102:2102"
    assert dockerfile.setting("ENTRYPOINT") == [OUTRIGGER]
    assert dockerfile.setting("EXPOSE") == "15001 15021"
    assert (tree / "etc/passwd").read_text().startswith("outrigger:x:2102:2102:")


def test_both_programs_start_in_it(run):
    for program in (OUTRIGGER, OUTRIGGER_INIT):
        done = run(program, "--version")
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"outrigger(-init)? \d+\.\d+\.\d+\n", done.stdout)


def test_check_passes_on_the_policy_in_it(run):
    done = run(OUTRIGGER, "check", "--strict", "/etc/outrigger/default.yaml")
    assert (done.returncode, done.stdout) == (0, "ok: 1 policy, 0 rules, 0 warnings\n")


def test_outrigger_init_says_its_rules_without_a_privilege(run):
    done = run(OUTRIGGER_INIT, "--uid", "2102", "--skip-outbound-ports", "22", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert "table inet outrigger" in done.stdout and "redirect to :15001" in done.stdout


def test_outrigger_init_needs_only_what_the_manifest_gives(pair, peer, container):
    """Not root, NET_ADMIN added, no new privileges, a read-only root: the capability on the file does the rest."""
    asked = [OUTRIGGER_INIT, "--uid", "2102"]
    given = {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}}
    done = pair.app.run(container.command(asked, given))
    assert (done.returncode, done.stderr) == (0, "")
    assert "redirect to :15001" in pair.app.run([peer("nft"), "list", "ruleset"], check=True).stdout
    done = pair.app.run(container.command(asked))
    assert done.returncode == 1 and "needs CAP_NET_ADMIN" in done.stderr


def test_the_proxy_runs_in_it_and_has_no_privilege(app, serve, container, tmp_path, dockerfile):
    from harness.upstream import Upstream

    upstream = serve(Upstream)
    process = app.popen(container.command([*dockerfile.setting("ENTRYPOINT"), *dockerfile.setting("CMD")]),
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={})
    fetch = ["curl", "-s", "-x", "http://127.0.0.1:15001", "--max-time", "5", f"http://{upstream.address}/"]
    wait_until(lambda: app.run(fetch).stdout == "ok", what="an answer through the proxy")
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^Uid:\s+2102\s+2102\s+2102\s+2102$", status, re.M)
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"^Cap{kind}:\s+0+$", status, re.M), status
    process.terminate()
    assert process.wait(20) == 0, process.stdout.read()


def test_nothing_in_it_can_be_written(container, tmp_path):
    """The harness's own word: what passes here passes on a read-only root."""
    said = subprocess.run(container.command([OUTRIGGER, "proxy", "-c", "/etc/outrigger/none"]), capture_output=True,
                          text=True, env={})
    assert said.returncode == 2 and "/etc/outrigger/none" in said.stderr
    command = container.command([OUTRIGGER, "--version"])
    command[-1] = command[-1].split(" && exec ")[0] + f" && touch {tmp_path}/container/etc/outrigger/x"
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode != 0 and "Read-only file system" in refused.stderr
