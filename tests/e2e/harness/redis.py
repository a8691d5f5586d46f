"""Redis in a network namespace; it keeps nothing on disk.

    with Redis(peer, pair.server, port=6379) as server:  # it answers
        server.ask("dbsize")                             # from its own namespace
"""

import subprocess

from .open_folder import open_folder
from .waiting import slack, wait_until

UID = 65534


class Redis:
    def __init__(self, peer, namespace, port=6379):
        self._cli, self._namespace = peer("redis-cli"), namespace
        self.host, self.port = namespace.ipv4, port
        self._opened = open_folder(UID)
        self._folder = self._opened.__enter__()
        with open(self._folder / "log", "ab") as log:
            self._process = namespace.popen(
                [peer("redis-server"), "--port", port, "--bind", self.host, "--protected-mode", "no", "--save", "",
                 "--appendonly", "no", "--dir", self._folder], uid=UID, cwd="/", stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        try:
            wait_until(self._answers, slack(10), f"Redis on port {port}")
        except BaseException:
            self.close()
            raise

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def _answers(self):
        assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
        return self._namespace.run([self._cli, "-h", self.host, "-p", self.port, "ping"]).stdout == "PONG\n"

    def ask(self, *words):
        """What redis-cli prints, run beside the server."""
        return self._namespace.run([self._cli, "-h", self.host, "-p", self.port, *words], check=True).stdout

    def close(self):
        self._process.kill()
        self._process.wait()
        self._opened.__exit__(None, None, None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
