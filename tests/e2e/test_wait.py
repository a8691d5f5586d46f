"""outrigger wait: until the proxy takes calls."""

import subprocess
import time

from harness.ports import free_port
from harness.proxy import BINARY
from harness.waiting import slack


def wait(*arguments):
    return subprocess.run([BINARY, "wait", *arguments], capture_output=True, text=True, timeout=30)


def test_it_ends_when_the_proxy_is_ready(start):
    proxy = start()
    done = wait("--admin", f"http://127.0.0.1:{proxy.admin_port}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_waits_for_one_that_is_not_there_yet(start):
    proxy = start()
    port = proxy.admin_port
    proxy.stop()
    waiting = subprocess.Popen([BINARY, "wait", "--admin", f"127.0.0.1:{port}"], stderr=subprocess.PIPE)
    time.sleep(0.3)
    assert waiting.poll() is None
    proxy.start()
    assert waiting.wait(slack(10)) == 0


def test_it_gives_up_and_says_why():
    start = time.monotonic()
    done = wait("--timeout", "300ms", "--admin", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1 and "not ready in time" in done.stderr and "connection refused" in done.stderr
    assert 0.3 <= time.monotonic() - start < slack(5)


def test_wrong_usage_is_said():
    for arguments in (["--timeout", "soon"], ["--admin", "nonsense:x"], ["--what", "x"], ["--timeout"]):
        done = wait(*arguments)
        assert done.returncode == 2 and "Try: outrigger wait --help" in done.stderr, arguments
