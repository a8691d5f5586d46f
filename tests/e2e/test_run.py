"""`outrigger run`: a command with a proxy of its own, which ends when the command does, however that comes about."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import time

import pytest
from harness.ports import free_port
from harness.proxy import BINARY, policy_document
from harness.upstream import answer
from harness.waiting import DEADLINE, slack, wait_until
from harness.wrapper import descendants, finished, is_gone, proxy_of

RETRY = "retry: {attempts: 2, backoff: 1ms}"
SHOW = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"


@pytest.fixture
def place(tmp_path):
    """Where runs have their temporary folders, and nothing else; at the end of each test all have gone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def run(place, tmp_path):
    """run([OPTION...], COMMAND, ...) starts it; what is not over at the end of the test is killed."""
    started = []

    def start(options, *command, env=None, **how):
        clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **how}
        process = subprocess.Popen([BINARY, "run", *options, *command],
                                   env={**clean, "TMPDIR": str(place), **(env or {})}, **how)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def policies(tmp_path):
    """policies(text...) writes a folder with one file for each."""

    def write(*texts):
        folder = tmp_path / "policies"
        folder.mkdir(exist_ok=True)
        for number, text in enumerate(texts):
            (folder / f"{number}.yaml").write_text(text)
        return str(folder)

    return write


def environment(run, options, tmp_path, **how):
    shown = tmp_path / "environment.json"
    code, _, told = finished(run(options, sys.executable, "-c", SHOW, str(shown), **how))
    assert code == 0, told
    return json.loads(shown.read_text()), told


# what the command sees


def test_the_command_sees_where_the_proxy_and_its_targets_are(run, policies, tmp_path):
    folder = policies(policy_document(RETRY, host="payments", port=8080, name="payments-v2"),
                      policy_document(RETRY, host="*.example.com", name="others"))
    env, told = environment(run, ["-c", folder], tmp_path)
    proxy = env["OUTRIGGER_PROXY_URL"]
    assert proxy.startswith("http://127.0.0.1:")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "grpc_proxy"):
        assert env[name] == proxy
    assert env["NODE_USE_ENV_PROXY"] == "1"
    assert env["NO_PROXY"] == env["no_proxy"] == "127.0.0.1"
    assert env["OUTRIGGER_PAYMENTS_V2_URL"].startswith("http://127.0.0.1:")
    assert not any("OTHERS" in name for name in env)
    for url in (proxy, env["OUTRIGGER_ADMIN_URL"], f"OUTRIGGER_PAYMENTS_V2_URL={env['OUTRIGGER_PAYMENTS_V2_URL']}"):
        assert url in told
    assert len(told.splitlines()) == 2


def test_quiet_says_nothing(run, policies):
    assert finished(run(["-q", "-c", policies(policy_document(RETRY))], "true")) == (0, "", "")


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_our_address_is_added_to_the_users_no_proxy(run, policies, tmp_path, name):
    """Or clients call OUTRIGGER_<NAME>_URL through the proxy, which is a loop."""
    env, _ = environment(run, ["-c", policies(policy_document(RETRY))], tmp_path, env={name: "internal.example"})
    assert env["NO_PROXY"] == env["no_proxy"] == "internal.example,127.0.0.2"


@pytest.mark.parametrize("value, wanted", [("*", "*"), ("a, 127.0.0.2", "a, 127.0.0.2"), ("127.0.0.20", "127.0.0.20,127.0.0.2"),
                                           ("", "127.0.0.2")])
def test_nothing_is_added_to_a_no_proxy_that_covers_us(run, policies, tmp_path, value, wanted):
    env, _ = environment(run, ["-c", policies(policy_document(RETRY))], tmp_path, env={"NO_PROXY": value})
    assert env["NO_PROXY"] == env["no_proxy"] == wanted


def test_a_url_of_a_target_is_no_loop_with_a_no_proxy_of_the_users(run, policies, upstream):
    port = int(upstream.address.split(":")[1])
    folder = policies(policy_document(RETRY, host="localhost", port=port, name="orders"))
    python = "import os, urllib.request; print(urllib.request.urlopen(os.environ['OUTRIGGER_ORDERS_URL']).status)"
    code, said, told = finished(run(["-c", folder], sys.executable, "-c", python, env={"no_proxy": "internal.example"}))
    assert (code, said) == (0, "200\n"), told


def test_without_files_the_safe_defaults_hold(run, upstream):
    upstream.plan(answer(503), answer(200, b"fine"))
    code, said, told = finished(run([], "curl", "-s", f"http://{upstream.address}/"))
    assert (code, said) == (0, "fine"), told
    assert len(upstream.requests) == 2


def test_stdin_and_stdout_are_the_commands(run):
    process = run(["-q", "--"], "cat", stdin=subprocess.PIPE)
    said, told = process.communicate("typed\n" * 10000, timeout=DEADLINE)
    assert (process.returncode, said, told) == (0, "typed\n" * 10000, "")


# calls


def test_a_call_to_the_url_of_a_target_is_retried(run, policies, upstream):
    upstream.plan(answer(503), answer(503), answer(200, b"at last"))
    port = int(upstream.address.split(":")[1])
    folder = policies(policy_document(RETRY, host="localhost", port=port, name="orders"))
    code, said, told = finished(run(["-c", folder], "sh", "-c", 'curl -s "$OUTRIGGER_ORDERS_URL/now"'))
    assert (code, said) == (0, "at last"), told
    assert [request.target for request in upstream.requests] == ["/now"] * 3


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_calls_of_clients_that_heed_the_proxy_variables_are_retried(run, policies, upstream, host):
    """Also to a target on this machine: NO_PROXY names our own ports only."""
    upstream.plan(answer(503), answer(200, b"curl"), answer(503), answer(200, b"urllib"))
    port = int(upstream.address.split(":")[1])
    folder = policies(policy_document(RETRY, host=host, port=port, name="orders"))
    python = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"
    script = f"curl -s http://{host}:{port}/; {sys.executable} -c '{python}' http://{host}:{port}/"
    code, said, told = finished(run(["-c", folder], "sh", "-c", script))
    assert (code, said.strip()) == (0, "curlurllib"), told
    assert len(upstream.requests) == 4


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_listeners_of_the_files_stay_where_they_are(run, policies, upstream, host):
    """Where a policy speaks of 127.0.0.1 itself, the variable names another port, so that NO_PROXY need not."""
    port, admin = free_port(), free_port()
    to = int(upstream.address.split(":")[1])
    folder = policies(f"""apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {{name: local}}
spec:
  admin: {{listen: "127.0.0.1:{admin}"}}
  listeners: [{{listen: "127.0.0.1:{port}", upstream: "{host}:{to}"}}]
""", policy_document(RETRY, host=host, name="orders"))
    upstream.plan(answer(503), answer(200, b"variable"), answer(503), answer(200, b"listener"))
    code, said, told = finished(run(["-c", folder], "sh", "-c", f"""
        curl -s "$OUTRIGGER_ORDERS_URL"; echo " $OUTRIGGER_ORDERS_URL"; curl -s --noproxy '*' http://127.0.0.1:{port}/
        for admin in "$OUTRIGGER_ADMIN_URL" http://127.0.0.1:{admin}; do
            curl -s -o /dev/null -w ' %{{http_code}}' --noproxy '*' "$admin/live"
        done"""))
    answered, url, listener, *live = said.split()
    assert [answered, listener, *live] == ["variable", "listener", "200", "200"], told
    assert (url == f"http://127.0.0.1:{port}") == (host == "localhost")
    assert len(upstream.requests) == 4


def test_files_that_change_are_read_again_while_it_runs(run, policies, upstream, tmp_path):
    port = int(upstream.address.split(":")[1])
    document = policy_document("rateLimit: {requests: 1, interval: 1h}", host="localhost", port=port, name="orders")
    folder, log = policies(document), tmp_path / "log"
    process = run(["-c", folder, "--log", str(log)], "sh", "-c", """while read -r line; do
        curl -s -o /dev/null -w '%{http_code}\n' "$OUTRIGGER_ORDERS_URL"; done""", stdin=subprocess.PIPE, bufsize=1)

    def call():
        process.stdin.write("\n")
        return process.stdout.readline().strip()

    assert [call(), call()] == ["200", "429"]
    policies(document.replace("requests: 1,", "requests: 1000,"))
    wait_until(lambda: call() == "200")
    _, told = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, told
    assert "config_reloaded" in log.read_text() and "config_needs_restart" not in log.read_text()


# how it ends


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -TERM $$", 143)])
def test_the_exit_code_is_the_commands(run, script, code):
    assert finished(run(["-q"], "sh", "-c", script)) == (code, "", "")


def test_what_cannot_be_run_is_said_as_by_a_shell(run, tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("text")
    code, _, told = finished(run(["-q"], "no-such-command"))
    assert code == 127 and told == "outrigger run: no-such-command: command not found\n"
    code, _, told = finished(run(["-q"], str(tmp_path / "missing")))
    assert code == 127 and "no such file" in told
    code, _, told = finished(run(["-q"], str(plain)))
    assert code == 126 and "Permission denied" in told


def test_a_bad_policy_is_told_as_by_check_and_nothing_runs(run, policies, tmp_path):
    folder, trace = policies(policy_document("retry: {atempts: 2}")), tmp_path / "trace"
    code, said, told = finished(run(["-c", folder], "touch", str(trace)))
    assert (code, said) == (2, "") and not trace.exists()
    checked = subprocess.run([BINARY, "check", folder], capture_output=True, text=True)
    assert checked.stderr.split("\nfailed:")[0] in told and "OUT0201" in told


def test_a_port_that_is_taken_is_told_and_nothing_runs(run, policies, upstream, tmp_path):
    folder, trace = policies(f"""apiVersion: outrigger.dev/v1alpha1
kind: ProxyConfig
metadata: {{name: local}}
spec: {{listeners: [{{listen: "{upstream.address}", upstream: "a:1"}}]}}
"""), tmp_path / "trace"
    code, _, told = finished(run(["-c", folder], "touch", str(trace)))
    assert code == 2 and upstream.address in told and not trace.exists()


@pytest.mark.parametrize("arguments", [[], ["-c"], ["--nonsense", "true"], ["--demo", "true"], ["--once", "true"],
                                       ["-c", "/nonexistent", "true"]])
def test_bad_usage_is_told_with_what_to_do(run, arguments):
    code, said, told = finished(run(arguments))
    assert code == 2 and said == "" and ("Try: outrigger run" in told or "OUT0101" in told)


def test_help_fits_a_screen(run):
    code, said, told = finished(run(["--help"]))
    assert code == 0 and told == "" and len(said.splitlines()) <= 32
    assert max(map(len, said.splitlines())) <= 100


# signals

TRAPS = """import signal, sys, time
def on(number, frame):
    print(signal.Signals(number).name, flush=True)
    if number == signal.SIGTERM: sys.exit(7)
for name in ("INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH", "TSTP"):
    signal.signal(getattr(signal, "SIG" + name), on)
print("ready", flush=True)
while True: time.sleep(1)
"""


def test_signals_reach_the_command_which_decides(run):
    process = run(["-q"], sys.executable, "-c", TRAPS)
    assert process.stdout.readline() == "ready\n"
    for name in ("HUP", "QUIT", "USR1", "USR2", "WINCH", "TSTP", "INT", "TERM"):
        process.send_signal(getattr(signal, f"SIG{name}"))
        assert process.stdout.readline() == f"SIG{name}\n"
    assert finished(process) == (7, "", "")


def test_a_second_interrupt_ends_a_command_that_ignores_them(run):
    process = run(["-q"], sys.executable, "-c", TRAPS)
    assert process.stdout.readline() == "ready\n"
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "SIGINT\n"
    assert finished(process)[0] == 137


def test_ctrl_c_of_a_terminal_reaches_the_command_once_and_not_the_proxy(run):
    ours, its = pty.openpty()
    process = run(["-q"], sys.executable, "-c", TRAPS.replace("number == signal.SIGTERM", "number == signal.SIGQUIT"),
                  stdin=its, stdout=its, stderr=its, text=False, preexec_fn=lambda: (os.setsid(), take_terminal(its)))
    os.close(its)

    said = b""

    def has_said(what):
        nonlocal said
        while what not in said:
            said += os.read(ours, 1024)
        return True

    assert has_said(b"ready")
    proxy = proxy_of(process)
    os.write(ours, b"\x03")
    assert has_said(b"SIGINT")
    assert not is_gone(proxy)
    os.write(ours, b"\x1c")  # Ctrl-backslash
    assert has_said(b"SIGQUIT")
    assert process.wait(DEADLINE) == 7
    assert said.count(b"SIGINT") == 1 and said.count(b"SIGQUIT") == 1
    os.close(ours)


def take_terminal(fd):
    import fcntl
    import termios

    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


def state(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def test_when_the_command_stops_so_do_we_until_both_go_on(run):
    process = run(["-q"], "sh", "-c", "echo $$; read -r line; exit 5", stdin=subprocess.PIPE,
                  preexec_fn=lambda: os.setpgid(0, 0))
    child = int(process.stdout.readline())
    process.send_signal(signal.SIGTSTP)
    wait_until(lambda: state(process.pid) == "T" and state(child) == "T")
    process.send_signal(signal.SIGCONT)
    wait_until(lambda: state(process.pid) == "S" and state(child) == "S")
    process.communicate("\n", timeout=DEADLINE)
    assert process.returncode == 5


# nothing stays


def test_nothing_stays_after_a_normal_end(run, place):
    process = run(["-q"], "sh", "-c", "read -r line", stdin=subprocess.PIPE)
    wait_until(lambda: len(descendants(process.pid)) == 2)
    pids = descendants(process.pid)
    assert len(list(place.iterdir())) == 1
    began = time.monotonic()
    assert finished(process)[0] == 1  # end of file
    assert time.monotonic() - began < slack(2)
    assert all(map(is_gone, pids)) and list(place.iterdir()) == []


def test_the_proxy_does_not_wait_for_connections_that_are_left_open(run, upstream):
    upstream.plan(answer(200, delay=60))
    process = run(["-q"], "sh", "-c", f"curl -s http://{upstream.address}/ & while ! read -r line; do :; done; kill $!",
                  stdin=subprocess.PIPE)
    wait_until(lambda: upstream.requests)
    began = time.monotonic()
    process.communicate("\n", timeout=DEADLINE)
    assert time.monotonic() - began < slack(3)


def test_nothing_stays_after_term(run, place):
    process = run(["-q"], "sleep", "1000")
    wait_until(lambda: len(descendants(process.pid)) == 2)
    pids = descendants(process.pid)
    process.terminate()
    assert finished(process)[0] == 143
    assert all(map(is_gone, pids)) and list(place.iterdir()) == []


def test_term_while_it_starts_leaves_nothing(run, place):
    process = run(["-q"], "sleep", "1000")
    wait_until(lambda: list(place.iterdir()) or process.poll() is not None)
    process.terminate()
    assert finished(process)[0] == 143
    assert list(place.iterdir()) == []


def test_nothing_stays_after_kill(run, place):
    process = run(["-q"], "sleep", "1000")
    wait_until(lambda: len(descendants(process.pid)) == 2)
    pids = descendants(process.pid)
    process.kill()
    process.wait(DEADLINE)
    wait_until(lambda: all(map(is_gone, pids)))
    wait_until(lambda: list(place.iterdir()) == [])


def test_the_end_of_the_proxy_is_told_and_the_code_stays_the_commands(run):
    process = run(["-q"], "sh", "-c", "echo up; read -r line; exit 4", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    os.kill(proxy_of(process), signal.SIGKILL)
    assert "the proxy ended by itself (signal 9)" in process.stderr.readline()
    process.communicate("\n", timeout=DEADLINE)
    assert process.returncode == 4


def test_a_pipe_of_the_users_ends_with_the_command(run):
    """The proxy holds no copy of descriptors that it was not meant to have."""
    read, write = os.pipe()
    process = run(["-q"], "sh", "-c", "echo up; read -r line", stdin=subprocess.PIPE,
                  pass_fds=[write])
    os.close(write)
    assert process.stdout.readline() == "up\n"
    proxy = proxy_of(process)
    assert not any(os.readlink(f"/proc/{proxy}/fd/{fd}").startswith("pipe:") and
                   os.stat(f"/proc/{proxy}/fd/{fd}").st_ino == os.fstat(read).st_ino
                   for fd in os.listdir(f"/proc/{proxy}/fd"))
    os.close(read)
    finished(process)


def test_the_log_is_kept_where_it_is_wanted(run, tmp_path):
    log = tmp_path / "kept.log"
    log.write_text("before\n")
    assert finished(run(["-q", "--log", str(log)], "true"))[0] == 0
    assert log.read_text().startswith("before\n") and "started" in log.read_text()
