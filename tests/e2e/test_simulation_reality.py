"""What `outrigger simulate` says is what happens: the real proxy, in front of a real server that behaves as the scenario
declares, lands where the simulation lands."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import time
from datetime import datetime

import pytest

from harness.ports import free_port
from harness.proxy import BINARY, ROOT
from harness.waiting import IS_DEBUG_BUILD

pytestmark = pytest.mark.skipif(IS_DEBUG_BUILD, reason="real load at real speed needs the release build")

HARNESS = pathlib.Path(__file__).parent / "harness"
IS_CI = bool(os.environ.get("CI"))
SERVER = "concurrency: 3, serviceTime: {distribution: fixed, mean: 10ms}"  # 300 calls a second
SEEDS = 5
HEADER = "apiVersion: outrigger.dev/v1alpha1\n"
TIMEOUTS = "timeouts: {connect: 1s, request: 10s, backendRequest: 3s}\n"
DEFAULT = (ROOT / "policies/default.yaml").read_text()


def policy(blocks):
    lines = "\n".join("  " + line for line in (TIMEOUTS + blocks).splitlines())
    return f'{HEADER}kind: ResiliencePolicy\nmetadata: {{name: p}}\nspec:\n  targets: [{{host: "*"}}]\n{lines}\n'


class Story:
    """A scenario, once as a file for the simulation and once as it really happens."""

    def __init__(self, folder, rate, seconds, faults, policies):
        self.folder, self.rate, self.seconds, self.faults, self.policies = folder, rate, seconds, faults, policies
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)

    def simulated(self):
        """Means over the seeds: goodput, amplification; and the first seed's time to trip and to recover."""
        faults = "".join(f"    - {{kind: {fault['kind']}, at: {fault['at']}s, lasts: {fault['lasts']}s, "
                         f"percent: {fault.get('percent', 100)}}}\n" for fault in self.faults)
        scenario = self.folder / "scenario.yaml"
        scenario.write_text(f"{HEADER}kind: Scenario\nmetadata: {{name: s}}\nspec:\n  duration: {self.seconds}s\n"
                            f"  callers: [{{rate: {self.rate}}}]\n  upstreams: [{{name: server, host: "
                            f"\"127.0.0.1:{self.port}\", roundTrip: 0s, {SERVER}}}]\n  faults:\n{faults}")
        file = self.folder / "policy.yaml"
        file.write_text(self.policies)
        runs = []
        for seed in range(1, SEEDS + 1):
            done = subprocess.run([BINARY, "simulate", "-c", file, "--seed", str(seed), "--json", scenario],
                                  capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            runs.append(json.loads(done.stdout)["contenders"][0])
        return {"goodput": sum(run["goodput"] for run in runs) / SEEDS,
                "amplification": sum(run["amplification"] for run in runs) / SEEDS,
                "trip": runs[0]["faults"][0]["timeToTrip"], "recovery": runs[0]["faults"][-1]["timeToRecover"]}

    def real(self, make_proxy):
        server = subprocess.Popen([sys.executable, HARNESS / "fifo_server.py", str(self.port), "3", "0.010"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline() == "ready\n"
            proxy = make_proxy(f"127.0.0.1:{self.port}", spec="log: {format: json, level: info, access: \"off\"}",
                               documents=[self.policies]).start()
            begins, wall = time.monotonic() + 1, time.time() + 1
            server.stdin.write(json.dumps({"begins": begins, "faults": self.faults}) + "\n")
            server.stdin.flush()
            load = subprocess.run([sys.executable, HARNESS / "open_load.py", str(proxy.port), str(self.rate),
                                   str(self.seconds), "7", repr(begins)], capture_output=True, text=True,
                                  timeout=self.seconds + 60)
            assert load.returncode == 0, load.stderr
            return self.told(json.loads(load.stdout), proxy, wall)
        finally:
            server.kill()
            server.wait()

    def told(self, calls, proxy, wall):
        attempts = proxy.metrics().sum("outrigger_attempts_total")
        good = sum(1 for _, status in calls if status == 200)
        opened = [datetime.fromisoformat(entry["time"].replace("Z", "+00:00")).timestamp() - wall
                  for entry in proxy.logs() if entry.get("to") == "open"]
        first = self.faults[0]
        trips = [at - first["at"] for at in opened if at >= first["at"]]
        return {"goodput": good / len(calls), "amplification": attempts / len(calls),
                "trip": min(trips) if trips else None, "recovery": self.recovery(calls)}

    def recovery(self, calls):
        """Seconds after the last fault from which on 95 % end well, in that second and in all the rest together (a
        machine that holds its breath for a moment is no relapse)."""
        end = int(self.faults[-1]["at"] + self.faults[-1]["lasts"])

        def is_good(first, last):
            here = [status for at, status in calls if first <= at < last]
            return sum(status == 200 for status in here) >= 0.95 * len(here)

        return next((second - end for second in range(end, self.seconds)
                     if is_good(second, second + 1) and is_good(second, self.seconds)), None)


STORIES = {
    "a stall at 70 % of capacity under default.yaml":
        (210, 30, [{"kind": "stall", "at": 8, "lasts": 8}], DEFAULT),
    "40 % of errors under retries with a budget":
        (100, 30, [{"kind": "errors", "at": 8, "lasts": 12, "percent": 40}],
         policy("retry: {attempts: 2, budget: {percent: 20, interval: 10s}}\n")),
    "an outage under a failure rate":
        (150, 30, [{"kind": "errors", "at": 8, "lasts": 10, "percent": 100}],
         policy("circuitBreaker: {consecutiveFailures: 0, failureRate: {percent: 50, window: 10s, minRequests: 20}, "
                "openFor: 1s, maxOpenFor: 2s}\n")),
}


def usual(names):
    """With CI=true all of them; else the first, since each takes its time by the clock."""
    return list(names) if IS_CI else list(names)[:1]


@pytest.mark.parametrize("name", usual(STORIES))
def test_the_real_proxy_lands_where_the_simulation_lands(name, make_proxy, tmp_path):
    rate, seconds, faults, policies = STORIES[name]
    story = Story(tmp_path / "story", rate, seconds * 2 if IS_CI else seconds, faults, policies)
    expected, found = story.simulated(), story.real(make_proxy)
    print(f"\n{name}: simulated {expected}, real {found}")
    assert found["goodput"] == pytest.approx(expected["goodput"], rel=0.10)
    assert found["amplification"] == pytest.approx(expected["amplification"], rel=0.10)
    assert (found["trip"] is None) == (expected["trip"] is None)
    if expected["trip"] is not None:
        assert found["trip"] == pytest.approx(expected["trip"], abs=1)


VERDICTS = {  # policies, and whether the storm ends while we watch
    "default.yaml": (DEFAULT, True),
    "two retries": (policy('retry: {attempts: 2, budget: {mode: "off"}}\n'), False),
    "two retries under a budget of 20 %": (policy("retry: {attempts: 2, budget: {percent: 20}}\n"), False),
}


@pytest.mark.parametrize("name", usual(VERDICTS))
def test_the_storm_ends_or_does_not_as_simulated(name, make_proxy, tmp_path):
    policies, ends = VERDICTS[name]
    story = Story(tmp_path / "story", 280, 60 if IS_CI else 40, [{"kind": "stall", "at": 5, "lasts": 10}], policies)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        simulation = pool.submit(story.simulated)
        found = story.real(make_proxy)
        expected = simulation.result()
    print(f"\n{name}: simulated {expected}, real {found}")
    assert (expected["recovery"] is not None) == ends
    assert (found["recovery"] is not None) == ends
    if ends:
        assert found["recovery"] <= 6
        assert found["amplification"] <= 1.1
