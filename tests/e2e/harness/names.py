"""Names with many addresses: a real name server (dnsmasq), and upstreams on 127.0.1.1, 127.0.1.2, ... behind one name.

    with NameServer(peer("dnsmasq"), tmp_path) as names:
        many = Many(3, names, "shop.test")
        proxy = make_proxy(many.address, policy, dns=names.address).start()
        many[0].default = answer(500)
        ... many.counts() ...
"""

import pathlib
import signal
import socket
import subprocess

from .ports import free_port
from .upstream import Upstream
from .waiting import wait_until


class NameServer:
    """dnsmasq, which knows the names that it is given and no others."""

    def __init__(self, program, folder, services=(), host="127.0.0.1", port=None):
        """`services`: SRV records, as (name, host, port, priority)."""
        self.host, self.port = host, port or free_port()
        self.address = f"{host}:{self.port}"
        self.hosts = pathlib.Path(folder) / "hosts"
        self.names = {}
        self.hosts.write_text("")
        self.process = subprocess.Popen(
            [program, "--no-daemon", "--conf-file=/dev/null", f"--port={self.port}", f"--listen-address={host}",
             "--bind-interfaces", "--no-resolv", "--no-hosts", f"--addn-hosts={self.hosts}", "--local=/test/",
             "--user=root", "--local-ttl=1",
             *(f"--srv-host={name},{host},{port},{priority}" for name, host, port, priority in services)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(self.answers, what="dnsmasq answers")

    def answers(self):
        assert self.process.poll() is None, "dnsmasq ended"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.2)
            probe.sendto(b"\1\2\1\0\0\1\0\0\0\0\0\0\1x\4test\0\0\1\0\1", (self.host, self.port))
            try:
                return len(probe.recv(512)) > 12
            except OSError:
                return False

    def set(self, name, addresses):
        """The addresses of a name, from now on."""
        self.names[name] = list(addresses)
        self.hosts.write_text("".join(f"{address} {name}\n" for name, all_of in self.names.items()
                                      for address in all_of))
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Many:
    """`count` upstreams on one port of as many addresses, behind one name."""

    def __init__(self, count, names, name="many.test"):
        self.names, self.name, self.port = names, name, free_port("0.0.0.0")
        self.upstreams = [Upstream(f"127.0.1.{number}", port=self.port) for number in range(1, count + 1)]
        names.set(name, [upstream.host for upstream in self.upstreams])

    @property
    def address(self):
        return f"{self.name}:{self.port}"

    def __getitem__(self, index):
        return self.upstreams[index]

    def __len__(self):
        return len(self.upstreams)

    def counts(self):
        return [len(upstream.requests) for upstream in self.upstreams]

    def forget(self):
        for upstream in self.upstreams:
            upstream.forget()

    def close(self):
        for upstream in self.upstreams:
            upstream.close()
