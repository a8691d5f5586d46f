"""Every example runs with one command and prints its figures."""

import os
import pathlib
import re
import subprocess

from harness.proxy import BINARY
from harness.waiting import IS_DEBUG_BUILD

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def test_the_quickstart_shows_the_difference(peer):
    peer("nginx")
    done = subprocess.run([EXAMPLES / "quickstart/run", "--seconds", "2"], capture_output=True, text=True, timeout=90,
                          stdin=subprocess.DEVNULL, env={**os.environ, "OUTRIGGER": BINARY})
    assert done.returncode == 0, done.stdout + done.stderr
    row = re.compile(r"^\s*(normal day|outage|afterwards)\s+(without|with Outrigger)\s+(\d+)\s+([\d.]+) %\s+(\d+)\s+"
                     r"([\d.]+) ms\s+([\d.]+) ms\s+(\d+)$", re.M)
    seen = {(found[1], found[2]): found for found in row.finditer(done.stdout)}
    assert len(seen) == 6, done.stdout
    assert float(seen["normal day", "with Outrigger"][4]) >= float(seen["normal day", "without"][4])
    assert float(seen["outage", "with Outrigger"][6]) < 100 < float(seen["outage", "without"][6])  # p50 in ms
    assert int(seen["outage", "with Outrigger"][8]) < int(seen["outage", "without"][8])  # calls at nginx
    assert "closed -> open" in done.stdout


def test_three_bad_endpoints_of_ten_are_not_seen(peer):
    peer("dnsmasq"), peer("h2load")
    calls = 4_000 if IS_DEBUG_BUILD else 20_000
    done = subprocess.run([EXAMPLES / "bad-endpoints/run", "--calls", str(calls)], capture_output=True, text=True,
                          timeout=240, stdin=subprocess.DEVNULL, env={**os.environ, "OUTRIGGER": BINARY})
    assert done.returncode == 0, done.stdout + done.stderr
    row = re.compile(r"^\s*(all ten healthy|three bad, \w+ \w+)\s+[\d,]+\s+([\d.]+) %\s+[\d.]+ ms\s+([\d.]+) ms", re.M)
    seen = {found[1]: (float(found[2]), float(found[3])) for found in row.finditer(done.stdout)}
    assert seen["all ten healthy"][0] == 100
    assert seen["three bad, default policy"][0] >= 99.9
    assert seen["three bad, default policy"][1] < 1000  # p99 in ms: far from the 3 s that a hanging endpoint takes
    assert seen["three bad, without outlier"][0] < 99
