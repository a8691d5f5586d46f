"""A program written in Go, with its standard library's HTTP client: `build(go, folder)` is its path.

    client http://HOST:PORT/ 3        prints "200 new", "200 kept", "200 kept"
"""

import os
import pathlib
import subprocess

from .waiting import slack

SOURCE = pathlib.Path(__file__).with_name("go_client") / "main.go"


def build(go, folder):
    """With what the machine's own compiler setting says about cgo: only then is the library at hand as it was packaged,
    and it need not be compiled (a second instead of ten)."""
    env = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOCACHE": str(folder / "cache"),
           "GOPATH": str(folder / "path")}
    env.pop("GOROOT", None)
    program = folder / "client"
    done = subprocess.run([go, "build", "-o", program, SOURCE], env=env, capture_output=True, text=True,
                          timeout=slack(60), stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return program
