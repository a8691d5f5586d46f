"""What tests of `outrigger run` look at: how it ended, what it started, what is left of it."""

import os
import pathlib
import subprocess

from .proxy import BINARY
from .waiting import DEADLINE


def finished(process, timeout=DEADLINE):
    said, told = process.communicate(timeout=timeout)
    return process.returncode, said, told


def descendants(pid):
    """Of a process: pids, whatever their sessions."""
    found = []
    for line in subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout.splitlines():
        child, parent = map(int, line.split())
        if parent == pid:
            found += [child, *descendants(child)]
    return found


def is_gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def proxy_of(process):
    """The pid of its proxy: the child that is our own program."""
    own = os.path.realpath(BINARY)
    return next(pid for pid in descendants(process.pid) if os.path.realpath(f"/proc/{pid}/exe") == own)
