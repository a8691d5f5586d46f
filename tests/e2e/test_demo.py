"""`outrigger run --demo`: within half a minute, without a key pressed, the whole story."""

import os
import re
import signal
import subprocess
import time

from harness.proxy import BINARY
from harness.waiting import wait_until

STORY_SECONDS = 30


def run_demo(*arguments, env=None, **how):
    return subprocess.Popen([BINARY, "run", "--demo", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env={**os.environ, **(env or {})}, **how)


def test_the_demo_tells_its_story_in_time():
    started = time.monotonic()
    demo = run_demo("--once")
    said, _ = demo.communicate(timeout=STORY_SECONDS + 30)
    assert demo.returncode == 0, said
    assert time.monotonic() - started < STORY_SECONDS + 10
    steps = re.findall(r"breaker +(\w+ -> \w+)", said)
    assert steps[:2] == ["closed -> open", "open -> half_open"] and steps[-1] == "half_open -> closed", said
    assert "refused: circuit_open" in said
    assert len(re.findall(r"^\s*curl ", said, re.M)) == 3
    assert "\x1b[" not in said  # not a terminal: no colour


def test_the_three_lines_that_the_demo_prints_work(tmp_path):
    log = tmp_path / "said"
    with open(log, "w") as out:
        demo = subprocess.Popen([BINARY, "run", "--demo", "--stay"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_until(lambda: len(re.findall(r"^\s*curl .*$", log.read_text(), re.M)) == 3, STORY_SECONDS + 30)
        retry, breaker, limit = re.findall(r"^\s*(curl .*)$", log.read_text(), re.M)
        said = [subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30)
                for line in (retry, breaker, limit)]
        assert "200" in said[0].stdout
        assert "circuit_open" in said[1].stdout
        assert "rate_limited" in said[2].stdout
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(15) == 0
    assert "Traceback" not in log.read_text()


def test_the_demo_leaves_no_process_behind():
    demo = run_demo("--stay")
    line = demo.stdout.readline()
    assert line
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(demo.pid)], capture_output=True, text=True)
    pids = [int(pid) for pid in children.stdout.split()]
    demo.send_signal(signal.SIGTERM)
    demo.communicate(timeout=15)
    assert demo.returncode == 0
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
