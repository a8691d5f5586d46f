"""Two network namespaces with a wire between them: one for a program and its proxy, one for the servers that it calls.

    with Namespaces() as pair:
        pair.app.run(["ping", "-c1", pair.server.ipv4], uid=1000)
        with pair.server.inside():               # sockets, threads and processes made here are there
            upstream = Upstream(host=pair.server.ipv4)
        with pair.app.inside():
            proxy = make_proxy(upstream).start()

They have no names: file descriptors hold them, so nothing is left behind, however this process ends, and any number of
test runs may stand side by side. The wire is `eth0` at both ends; whatever `app` does not know is routed to `server`, and
`add_address` gives a namespace more addresses. Needs root; raises NoNamespaces, with the reason, where it cannot be done.
"""

import contextlib
import ctypes
import os
import subprocess
import threading

from .waiting import slack

CLONE_NEWNET = 0x40000000
OWN = "/proc/thread-self/ns/net"
RUN_SECONDS = 10
_libc = ctypes.CDLL(None, use_errno=True)


class NoNamespaces(Exception):
    """Why this machine gives us none."""


def _checked(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


class Namespace:
    """`ipv4` and `ipv6` are its addresses on the wire, as text."""

    def __init__(self, ipv4, ipv6, ip):
        self.ipv4, self.ipv6, self.interface, self._ip = ipv4, ipv6, "eth0", ip
        self._processes = []
        self._fd = None
        problem = []

        def make():  # on a thread of its own, which takes the namespace that it is in with it
            try:
                _checked(_libc.unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)")
                self._fd = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                problem.append(error)

        maker = threading.Thread(target=make)
        maker.start()
        maker.join()
        if problem:
            raise problem[0]

    @property
    def path(self):
        """Names it to other programs for as long as it lives: `nsenter --net=PATH`."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is in it: so are the sockets that it opens, and the threads and processes that it starts."""
        before = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(self._fd, CLONE_NEWNET), "setns")
            try:
                yield self
            finally:
                _checked(_libc.setns(before, CLONE_NEWNET), "setns")
        finally:
            os.close(before)

    def popen(self, command, uid=None, **how):
        """A process in it; as another user where `uid` is given. Whatever still runs at the end is killed."""
        if uid is not None:
            how = {"user": uid, "group": uid, "extra_groups": [], **how}
        with self.inside():
            process = subprocess.Popen([str(word) for word in command], **how)
        self._processes.append(process)
        return process

    def run(self, command, uid=None, check=False, timeout=None, **how):
        """Runs a program to its end: a CompletedProcess, whose stdout and stderr are text."""
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **how}
        process = self.popen(command, uid, **how)
        try:
            out, err = process.communicate(timeout=timeout or slack(RUN_SECONDS))
        finally:
            self._end(process)
        done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        assert not check or done.returncode == 0, f"{' '.join(done.args)}: {done.returncode}\n{out}{err}"
        return done

    def ip(self, *words):
        """`ip WORDS` in it."""
        return self.run([self._ip, *words], check=True)

    def add_address(self, address, interface="lo"):
        """One more, such as 198.51.100.7 or 2001:db8:7::1, with or without a prefix."""
        is_ipv6 = ":" in address
        full = address if "/" in address else address + ("/128" if is_ipv6 else "/32")
        self.ip("address", "add", full, "dev", interface, *(["nodad"] if is_ipv6 else []))

    def _end(self, process):
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()
        self._processes.remove(process)

    def close(self):
        for process in list(self._processes):
            self._end(process)
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Namespaces:
    """`app` and `server`. `ip` is the program of that name."""

    def __init__(self, ip="ip"):
        self._ip = ip
        self.app = self.server = None

    def __enter__(self):
        try:
            self.app = Namespace("192.0.2.1", "2001:db8::1", self._ip)
            self.server = Namespace("192.0.2.2", "2001:db8::2", self._ip)
            self._wire()
        except (OSError, AssertionError) as error:
            self.__exit__()
            raise NoNamespaces(f"this machine gives no network namespaces: {error}") from error
        return self

    def _wire(self):
        self.app.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.server.path)
        for end in (self.app, self.server):
            end.ip("link", "set", "lo", "up")
            end.ip("link", "set", "eth0", "up")
            end.add_address(end.ipv4 + "/24", end.interface)
            end.add_address(end.ipv6 + "/64", end.interface)
        self.app.ip("route", "add", "default", "via", self.server.ipv4)
        self.app.ip("-6", "route", "add", "default", "via", self.server.ipv6)

    def __exit__(self, *_):
        for end in (self.app, self.server):
            if end:
                end.close()
