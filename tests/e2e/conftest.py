"""Fixtures: `upstream`, `start` (a proxy in front of it), and the other programs that tests talk to."""

import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness.h2_upstream import RawUpstream  # noqa: E402 (after the path)
from harness.proxy import Proxy, sanitizer_env  # noqa: E402
from harness.upstream import BlackHole, Upstream  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = pathlib.Path(os.environ.get("OUTRIGGER_PEERS", ROOT / "build/peers/bin"))


@pytest.fixture(scope="session", autouse=True)
def sanitizers(tmp_path_factory):
    """For every process that is started without a Proxy around it: a sanitizer's word there fails the run, too."""
    folder = tmp_path_factory.mktemp("sanitizers")
    os.environ.update(sanitizer_env(folder / "report"))
    yield
    assert not list(folder.iterdir()), "".join(path.read_text(errors="replace") for path in folder.iterdir())


@pytest.fixture
def upstream():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def another_upstream():
    server = Upstream()
    yield server
    server.close()


@pytest.fixture
def h2_upstream():
    server = RawUpstream()
    yield server
    server.close()


@pytest.fixture
def black_hole():
    hole = BlackHole()
    yield hole
    hole.close()


@pytest.fixture
def make_proxy(tmp_path):
    """Writes the configuration of a proxy without starting it; whatever runs at the end is stopped and checked."""
    made = []

    def make(*args, **kwargs):
        proxy = Proxy(tmp_path / f"proxy-{len(made)}", *args, **kwargs)
        made.append(proxy)
        return proxy

    yield make
    failures = []
    for proxy in made:
        if hasattr(proxy, "process"):
            try:
                proxy.stop()
            except AssertionError as failure:
                failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture
def start(make_proxy, upstream):
    """start(policy) runs a proxy with one listener in front of `upstream`, that policy for every target."""

    def run(policy=None, *, to=None, **kwargs):
        return make_proxy(to or upstream, policy, **kwargs).start()

    return run


@pytest.fixture(scope="session")
def peer():
    """The path of another program: build/peers/bin/NAME, or what the system has."""

    def find(name):
        path = PEERS / name
        found = str(path) if path.exists() else shutil.which(name)
        assert found, f"{name} is missing: run the tests with ./dev test, which fetches it"
        return found

    return find
