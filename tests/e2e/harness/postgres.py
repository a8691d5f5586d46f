"""PostgreSQL in a network namespace: no password, user and database `postgres`.

    with cluster(peer("initdb")) as folder:                     # a second of work: once for many tests
        with Postgres(peer, pair.server, folder) as server:
            server.start()                                      # on port 5432, until it answers
            server.ask("select 1")                              # from its own namespace
            server.stop(), server.start(port=7001)
"""

import contextlib
import signal
import subprocess

from .open_folder import open_folder
from .waiting import slack, wait_until

UID = 65534  # it refuses to be root
SETTINGS = """
listen_addresses = '*'
unix_socket_directories = ''
fsync = off
jit = off
shared_buffers = 16MB
dynamic_shared_memory_type = mmap
autovacuum = off
max_wal_senders = 0
wal_level = minimal
"""


def psql(program, host, port, *words):
    """The command line of one who asks nothing of his home folder."""
    return ["env", "HOME=/nonexistent", program, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", port,
            "-U", "postgres", *words]


@contextlib.contextmanager
def cluster(initdb):
    """A folder with the data of a server that has never run, and room for its log."""
    with open_folder(UID) as folder:
        data = folder / "data"
        done = subprocess.run([initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
                               "--no-sync", "--no-instructions"], user=UID, group=UID, extra_groups=[], cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=slack(60))
        assert done.returncode == 0, done.stdout + done.stderr
        with open(data / "postgresql.conf", "a") as file:
            file.write(SETTINGS)
        with open(data / "pg_hba.conf", "a") as file:
            file.write("host all all all trust\n")
        yield folder


class Postgres:
    def __init__(self, peer, namespace, folder):
        self._postgres, self._psql, self._folder = peer("postgres"), peer("psql"), folder
        self._namespace, self.host, self.port = namespace, namespace.ipv4, None
        self._process = None

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def start(self, port=5432):
        """Returns when it answers."""
        self.port = port
        with open(self._folder / "log", "ab") as log:
            self._process = self._namespace.popen(
                [self._postgres, "-D", self._folder / "data", "-p", port], uid=UID, cwd="/",
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self._answers, slack(10), f"PostgreSQL on port {port}")
        return self

    def _answers(self):
        assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
        done = self._namespace.run(psql(self._psql, self.host, self.port, "-c", "select 1"))
        return done.stdout == "1\n"

    def ask(self, query):
        """What psql prints, run beside the server."""
        return self._namespace.run(psql(self._psql, self.host, self.port, "-c", query), check=True).stdout

    def stop(self):
        """At once, as when the machine is gone; who connects now is refused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            try:
                self._process.wait(slack(5))
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
