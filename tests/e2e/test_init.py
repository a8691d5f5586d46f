"""outrigger-init: the real rules, in a network namespace with a server at the other end of a wire."""

import contextlib
import ctypes
import os
import pathlib
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import pytest

from harness.proxy import BINARY

INIT = pathlib.Path(BINARY).with_name("outrigger-init")
SO_ORIGINAL_DST = 80  # of SOL_IP and SOL_IPV6
PROXY_PORT, PROXY_UID = 15001, 2102
APP_UID, NOBODY = 1000, 65534
FAR_PORT, SKIPPED_PORT, RANGE_PORT = 8080, 3306, 9005
LISTS = ["--skip-outbound-ports", "22,3306,9000-9010,9005-9020", "--skip-outbound-cidrs",
         "198.51.100.0/24,2001:db8:7::/48,198.51.100.128/25"]
SKIPPED_IPV4, SKIPPED_IPV6 = "198.51.100.7", "2001:db8:7::7"

CALL = """
import socket, sys
host, port, mark = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as call:
    call.settimeout(20)
    if mark:
        call.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    call.connect((host, port))
    print(call.makefile().readline().strip())
"""


def original_destination(connection):
    """What the proxy will ask; None where nothing was redirected. That is ENOENT, or the address that was called: the
    kernel knows of a connection that its rules have seen, and let pass, too."""
    try:
        if connection.family == socket.AF_INET:
            _, port, address, _ = struct.unpack("!HH4s8s", connection.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
        else:
            _, port, _, address, _ = struct.unpack(
                "!HHI16sI", connection.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, 28))
    except FileNotFoundError:  # ENOENT
        return None
    wanted = socket.inet_ntop(connection.family, address), port
    return None if wanted == connection.getsockname()[:2] else wanted


class Teller:
    """Listens in a namespace and tells every caller who it is, and where the caller wanted to go."""

    def __init__(self, name, namespace, host, port):
        self.name = name
        with namespace.inside():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self.listener = socket.create_server((host, port), family=family)
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self.listener.accept()
                with connection:
                    wanted = original_destination(connection)
                    connection.sendall(f"{self.name}{f' for {wanted[0]} {wanted[1]}' if wanted else ''}\n".encode())

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.fixture
def tellers(pair):
    """A proxy that only listens, and servers at the far end that listen on every address."""
    pair.server.add_address(SKIPPED_IPV4)
    pair.server.add_address(SKIPPED_IPV6)
    made = [Teller("proxy", pair.app, host, PROXY_PORT) for host in ("127.0.0.1", "::1")]
    made += [Teller("far", pair.server, host, port) for host in ("0.0.0.0", "::")
             for port in (FAR_PORT, SKIPPED_PORT, RANGE_PORT)]
    made += [Teller("near", pair.app, host, FAR_PORT) for host in ("0.0.0.0", "::")]
    yield made
    for teller in made:
        teller.close()


def who_answers(pair, host, port=FAR_PORT, uid=APP_UID, mark=0):
    done = pair.app.run([sys.executable, "-S", "-c", CALL, host, port, mark], uid=uid, check=True)
    return done.stdout.strip()


def both_families(end):
    return [end.ipv4, end.ipv6]


def init(pair, *arguments, **how):
    return pair.app.run([INIT, *arguments], **how)


def apply(pair, *arguments):
    done = init(pair, *arguments, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def rules(pair, peer):
    """rules() is the whole rule set of `app`, as nft tells it."""
    nft = peer("nft")
    return lambda *words: pair.app.run([nft, *(words or ["list", "ruleset"])], check=True).stdout


# ---- what is redirected


def test_a_call_to_a_far_address_comes_to_the_proxy_which_learns_where_it_was_going(pair, tellers):
    assert "port 15001" in apply(pair)
    for host in both_families(pair.server):
        assert who_answers(pair, host) == f"proxy for {host} {FAR_PORT}"
        assert who_answers(pair, host, uid=0) == f"proxy for {host} {FAR_PORT}"


def test_calls_of_the_proxy_itself_pass(pair, tellers):
    apply(pair)
    for host in both_families(pair.server):
        assert who_answers(pair, host, uid=PROXY_UID) == "far"


def test_another_user_and_another_port_may_be_the_proxys(pair, tellers):
    other = [Teller("other proxy", pair.app, host, 4140) for host in ("127.0.0.1", "::1")]
    apply(pair, "--uid", APP_UID, "--port", 4140)
    for host in both_families(pair.server):
        assert who_answers(pair, host) == "far"
        assert who_answers(pair, host, uid=PROXY_UID) == f"other proxy for {host} {FAR_PORT}"
    for teller in other:
        teller.close()


def test_sockets_with_the_mark_pass(pair, tellers):
    apply(pair, "--mark", "0x539")
    for host in both_families(pair.server):
        assert who_answers(pair, host, uid=0, mark=0x539) == "far"
        assert who_answers(pair, host, uid=0, mark=0x53a) == f"proxy for {host} {FAR_PORT}"


def test_loopback_is_left_alone_and_so_are_the_pods_own_addresses(pair, tellers):
    apply(pair)
    for host in ("127.0.0.1", "127.8.8.8", "::1", *both_families(pair.app)):
        assert who_answers(pair, host) == "near", host


def test_ports_that_are_to_be_skipped_are(pair, tellers):
    apply(pair, *LISTS)
    for host in both_families(pair.server):
        assert who_answers(pair, host, SKIPPED_PORT) == "far"
        assert who_answers(pair, host, RANGE_PORT) == "far"
        assert who_answers(pair, host) == f"proxy for {host} {FAR_PORT}"


def test_networks_that_are_to_be_skipped_are(pair, tellers):
    apply(pair)
    for host in (SKIPPED_IPV4, SKIPPED_IPV6):
        assert who_answers(pair, host) == f"proxy for {host} {FAR_PORT}"
    apply(pair, *LISTS)
    for host in (SKIPPED_IPV4, SKIPPED_IPV6):
        assert who_answers(pair, host) == "far"


def test_only_ports_that_are_included_are_redirected_and_skipping_wins(pair, tellers):
    apply(pair, "--include-outbound-ports", f"{FAR_PORT},{SKIPPED_PORT}", "--skip-outbound-ports", SKIPPED_PORT)
    for host in both_families(pair.server):
        assert who_answers(pair, host) == f"proxy for {host} {FAR_PORT}"
        assert who_answers(pair, host, RANGE_PORT) == "far"
        assert who_answers(pair, host, SKIPPED_PORT) == "far"


def test_without_a_proxy_a_call_fails_at_once(pair):
    apply(pair)
    done = pair.app.run([sys.executable, "-S", "-c", CALL, pair.server.ipv4, FAR_PORT, 0], uid=APP_UID)
    assert "ConnectionRefusedError" in done.stderr


def test_a_connection_that_was_there_before_the_rules_goes_on(pair, tellers):
    with pair.app.inside():
        call = socket.create_connection((pair.server.ipv4, FAR_PORT))
    apply(pair)
    assert call.makefile().readline() == "far\n"
    call.close()


# ---- what becomes of rules


def test_the_same_again_changes_nothing(pair, rules):
    apply(pair, *LISTS)
    once = rules()
    assert "redirect to :15001" in once and "9000-9020" in once and "198.51.100.128" not in once
    apply(pair, *LISTS)
    assert rules() == once


def test_other_options_replace_all_of_the_former_ones(pair, rules):
    apply(pair, "--uid", "7")
    plain = rules()
    apply(pair, *LISTS)
    assert "skuid 7 " not in rules()
    apply(pair, "--uid", "7")
    assert rules() == plain


def test_other_tables_are_left_alone(pair, rules):
    for family in ("inet", "ip", "ip6"):
        rules("add", "table", family, "other")
        rules("add", "chain", family, "other", "output", "{ type filter hook output priority 0; policy accept; }")
        rules("add", "rule", family, "other", "output", "tcp", "dport", "25", "counter", "drop")
    rules("add", "table", "ip", "outrigger")  # of the same name, but another family: somebody else's
    before = rules()
    for arguments in ([], [], ["--remove"], ["--remove"]):
        apply(pair, *arguments)
        assert before.strip() in rules()
    assert rules().strip() == before.strip()


def test_removal_takes_the_rules_away(pair, tellers, rules):
    apply(pair, *LISTS)
    apply(pair, "--remove")
    assert rules() == ""
    for host in both_families(pair.server):
        assert who_answers(pair, host) == "far"


def test_removal_is_harmless_where_there_are_no_rules(pair, rules):
    assert "nothing is redirected" in apply(pair, "--remove")
    assert rules() == ""


@pytest.mark.usefixtures("open_checkout")
def test_a_dry_run_changes_nothing_and_needs_no_privilege(pair, rules):
    done = init(pair, "--dry-run", *LISTS, uid=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "redirect to :15001" in done.stdout
    assert init(pair, "--dry-run", "--remove", uid=NOBODY).returncode == 0
    assert rules() == ""


def test_what_a_dry_run_prints_is_what_is_applied(pair, peer, rules):
    every = [*LISTS, "--mark", "7", "--include-outbound-ports", "1-65535"]
    printed = init(pair, "--dry-run", *every, check=True).stdout
    apply(pair, *every)
    applied = rules()
    apply(pair, "--remove")
    done = pair.app.run(["sh", "-c", f"printf %s '{printed}' | {peer('nft')} -f -"])
    assert done.returncode == 0, done.stderr
    assert rules() == applied


def test_every_network_and_every_port_may_be_skipped(pair, tellers):
    apply(pair, "--skip-outbound-cidrs", "0.0.0.0/0,::/0", "--skip-outbound-ports", "1-65535")
    for host in both_families(pair.server):
        assert who_answers(pair, host) == "far"


def test_lists_as_long_as_may_be_are_taken(pair, rules):
    apply(pair, "--skip-outbound-ports", ",".join(str(1 + 2 * n) for n in range(256)),
          "--skip-outbound-cidrs", ",".join(f"10.0.{n}.4,fd00:{n:x}::/64" for n in range(256)))
    assert "10.0.255.4" in rules() and "fd00:ff::/64" in rules()


# ---- who may


def usable_copy(folder):
    """A copy of the program that every user may run."""
    os.chmod(folder, 0o755)
    return shutil.copy(INIT, folder)


@pytest.fixture
def capable(peer):
    """capable("+ep") is a copy of the program with cap_net_admin as a capability of its file."""
    with tempfile.TemporaryDirectory() as folder:

        def make(how):
            copy = usable_copy(folder)
            done = subprocess.run([peer("setcap"), f"cap_net_admin{how}", copy], capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"files can have no capabilities here: {done.stderr.strip()}")
            return copy

        yield make


def run_as_in_a_pod(pair, peer, program, *arguments, capabilities="cap_net_admin"):
    """As containerd starts it for runAsNonRoot, drop: [ALL], add: [NET_ADMIN], allowPrivilegeEscalation: false."""
    known = subprocess.run([peer("capsh"), "--print"], capture_output=True, text=True, check=True).stdout
    bounding = next(line for line in known.splitlines() if line.startswith("Bounding set"))
    dropped = ",".join(sorted(set(bounding.split("=", 1)[1].split(",")) - set(capabilities.split(","))))
    return pair.app.run([peer("capsh"), f"--drop={dropped}", "--keep=1", f"--gid={NOBODY}", f"--uid={NOBODY}",
                         f"--caps={capabilities}+p" if capabilities else "--caps=", "--no-new-privs",
                         f"--shell={program}", "--", *arguments])


@pytest.mark.parametrize("how", ["+ep", "+p"])
def test_another_user_than_root_needs_only_the_capability_on_the_file(pair, peer, capable, rules, how):
    done = pair.app.run([capable(how)], uid=NOBODY)
    assert (done.returncode, done.stderr) == (0, "")
    assert "redirect to :15001" in rules()


@pytest.mark.parametrize("how", ["+ep", "+p"])
def test_a_pod_that_gives_net_admin_alone_is_enough(pair, peer, capable, rules, how):
    done = run_as_in_a_pod(pair, peer, capable(how))
    assert (done.returncode, done.stderr) == (0, "")
    assert "redirect to :15001" in rules()


def test_a_pod_without_net_admin_hears_of_it(pair, peer, capable, rules):
    done = run_as_in_a_pod(pair, peer, capable("+p"), capabilities="")
    assert done.returncode == 1
    assert "needs CAP_NET_ADMIN" in done.stderr and "interception: none" in done.stderr
    assert rules() == ""


@pytest.mark.usefixtures("open_checkout")
def test_without_the_capability_it_says_what_is_missing(pair, rules):
    done = init(pair, uid=NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs CAP_NET_ADMIN" in done.stderr and "add: [NET_ADMIN]" in done.stderr
    assert rules() == ""


@pytest.mark.usefixtures("open_checkout")
def test_in_a_namespace_of_ones_own_nobody_needs_to_be_root(pair, peer):
    there = subprocess.run(["unshare", "-Urn", "true"], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True)
    if there.returncode != 0:
        pytest.skip(f"users other than root get no namespaces: {there.stderr.decode().strip()}")
    done = pair.app.run(["unshare", "-Urn", "sh", "-c", f"{INIT} --mark 7 && {peer('nft')} list ruleset"], uid=NOBODY)
    assert done.returncode == 0, done.stderr
    assert "meta mark 0x00000007 return" in done.stdout


class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.POINTER(Filter))]


SOCKET_CALL = {"x86_64": 41, "aarch64": 198}


def without_netfilter():
    """From here on socket(AF_NETLINK, ..., NETLINK_NETFILTER) says EPROTONOSUPPORT, as kernels and sandboxes without
    netfilter do."""
    load, if_equal, answer = 0x20, 0x15, 0x06
    steps = [(load, 0, 0, 0), (if_equal, 0, 5, SOCKET_CALL[platform.machine()]),
             (load, 0, 0, 16), (if_equal, 0, 3, 16),  # the first argument: AF_NETLINK
             (load, 0, 0, 32), (if_equal, 0, 1, 12),  # the third one: NETLINK_NETFILTER
             (answer, 0, 0, 0x00050000 | 93), (answer, 0, 0, 0x7fff0000)]
    program = Program(len(steps), (Filter * len(steps))(*(Filter(*step) for step in steps)))
    libc = ctypes.CDLL(None)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(program), 0, 0) != 0:
        raise OSError("no seccomp")


@pytest.mark.skipif(platform.machine() not in SOCKET_CALL, reason="no number of socket() for this processor")
def test_a_kernel_without_nf_tables_is_told_of_with_what_to_do_instead(pair):
    for arguments in ([], ["--remove"]):
        done = init(pair, *arguments, preexec_fn=without_netfilter)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no nf_tables" in done.stderr and "interception: none" in done.stderr


# ---- usage


@pytest.mark.parametrize("arguments, named", [
    (["--port", "70000"], ["--port", "`70000`", "1 to 65535"]),
    (["--skip-outbound-ports", "22,http"], ["--skip-outbound-ports", "`http`", "1 to 65535"]),
    (["--skip-outbound-cidrs", "10.0.0.1/8"], ["--skip-outbound-cidrs", "`10.0.0.1/8`", "10.0.0.0/8"]),
    (["--uid", "outrigger"], ["--uid", "`outrigger`", "number"]),
    (["--frobnicate"], ["`--frobnicate`", "--help"]),
])
def test_a_bad_argument_is_named_with_what_is_allowed(arguments, named):
    done = subprocess.run([INIT, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    for word in named:
        assert word in done.stderr


def test_help_fits_a_screen_with_an_example():
    done = subprocess.run([INIT, "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 96 and "Example:" in lines


def test_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run([INIT, "--dry-run"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
