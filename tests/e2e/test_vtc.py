"""The wire-level stories in vtc/, told by varnishtest: servers s1.., callers c1.., the proxy between them."""

import contextlib
import os
import pathlib
import signal
import subprocess

import pytest
from harness.ports import free_port
from harness.proxy import BINARY
from harness.waiting import slack, wait_until

FOLDER = pathlib.Path(__file__).resolve().parent / "vtc"
STORIES = sorted(FOLDER.glob("*.vtc"))


@pytest.mark.parametrize("story", STORIES, ids=[story.stem for story in STORIES])
def test_the_story_holds(story, peer, tmp_path):
    ports = {name: str(free_port()) for name in ("PORT", "OUTBOUND", "ADMIN")}
    pid_file = tmp_path / "pid"
    env = {**os.environ, **ports, "OUTRIGGER": BINARY, "PID_FILE": str(pid_file)}
    macros = {"setup": FOLDER / "setup.sh", **{name.lower(): port for name, port in ports.items()}}
    flags = [flag for name, value in macros.items() for flag in ("-D", f"{name}={value}")]
    try:
        done = subprocess.run([peer("varnishtest"), "-t", "60", *flags, str(story)], capture_output=True, text=True,
                              timeout=90, errors="replace", env=env)
    finally:
        end_proxy(pid_file)
    exit_code = done.returncode
    assert exit_code == 0, (done.stdout + done.stderr)[-6000:]


def end_proxy(pid_file):
    """The proxy is nobody's child by now; SIGTERM, and wait until it is gone."""
    if not pid_file.exists():
        return
    pid = int(pid_file.read_text())
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists() or is_zombie(pid), slack(5), "the proxy's end")


def is_zombie(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return True
