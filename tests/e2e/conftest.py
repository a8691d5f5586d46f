"""Fixtures: `upstream`, `start` (a proxy in front of it), and the other programs that tests talk to."""

import contextlib
import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness.h2_upstream import RawUpstream  # noqa: E402 (after the path)
from harness.interception import INIT, OUTBOUND, PROXY_UID  # noqa: E402
from harness.chart import Helm  # noqa: E402
from harness.names import Many, NameServer  # noqa: E402
from harness.netns import Namespaces, NoNamespaces  # noqa: E402
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
def lasting_grpc_server():
    from harness.grpc_peer import GrpcServer

    server = GrpcServer()
    yield server
    server.close()


@pytest.fixture
def quotes(lasting_grpc_server):
    """A gRPC server that many tests share; it remembers nothing of those before."""
    lasting_grpc_server.forget()
    return lasting_grpc_server


@pytest.fixture
def make_quotes():
    """Starts a gRPC server of the test's own, for what the shared one would not survive."""
    from harness.grpc_peer import GrpcServer

    made = []

    def make(**how):
        made.append(GrpcServer(**how))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def dial():
    """dial(proxy) is a gRPC channel to its listener, dial(proxy, "outbound", server) one through its outbound port (the
    authority says where to), dial(proxy, "tunnel", server) one that asks the outbound port for a tunnel first."""
    from harness.grpc_peer import GrpcCaller

    made = []

    def call(proxy, way="listener", server=None, **options):
        if way == "listener":
            caller = GrpcCaller(f"127.0.0.1:{proxy.port}", **options)
        elif way == "outbound":
            caller = GrpcCaller(f"127.0.0.1:{proxy.outbound}", authority=server.address, **options)
        else:
            caller = GrpcCaller(server.address, tunnel=f"http://127.0.0.1:{proxy.outbound}", **options)
        caller.proxy = proxy
        made.append(caller)
        return caller

    yield call
    for caller in made:
        caller.close()


@pytest.fixture(scope="session")
def peer():
    """The path of another program: build/peers/bin/NAME, or what the system has."""

    def find(name):
        path = PEERS / name
        found = str(path) if path.exists() else shutil.which(name)
        assert found, f"{name} is missing: run the tests with ./dev test, which fetches it"
        return found

    return find


@pytest.fixture(scope="session")
def helm(peer, open_checkout):
    return Helm(peer("helm"))


@pytest.fixture(scope="session")
def full(helm):
    return helm.render("full")


@pytest.fixture
def names(peer, tmp_path):
    """A name server of the test's own."""
    with NameServer(peer("dnsmasq"), tmp_path) as server:
        yield server


@pytest.fixture
def pair(peer):
    """Two network namespaces of the test's own: `app` and `server`."""
    with contextlib.ExitStack() as stack:
        try:
            namespaces = stack.enter_context(Namespaces(peer("ip")))
        except NoNamespaces as why:
            pytest.skip(str(why))
        yield namespaces


@pytest.fixture(scope="session")
def open_checkout():
    """For tests that run programs of the checkout as other users, who must be able to get there."""
    for folder in [ROOT, *ROOT.parents]:
        if not folder.stat().st_mode & 0o001:
            pytest.skip(f"other users may not enter {folder}: check out elsewhere to run this test")


@pytest.fixture
def two():
    """Two upstreams."""
    made = [Upstream(), Upstream()]
    yield made
    for upstream in made:
        upstream.close()


@pytest.fixture
def app(pair):
    """The test itself is where the app is: its proxy is, and what it asks of it."""
    with pair.app.inside():
        yield pair.app


@pytest.fixture
def serve(pair):
    """serve(Kind, ...): a server in the other namespace, on all of its addresses or on the one given."""
    made = []

    def start(kind, *args, host=None, **how):
        with pair.server.inside():
            made.append(kind(*args, host=host or pair.server.ipv4, **how))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def redirected(app, make_proxy):
    """redirected(policy): the proxy, and the rules in force."""

    def run(policy=None, spec=""):
        proxy = make_proxy(None, policy, spec=f"{OUTBOUND}\n{spec}").start()
        app.run([INIT, "--uid", PROXY_UID], check=True)
        return proxy

    return run


@pytest.fixture
def many(names):
    """many(count): upstreams behind one name."""
    made = []

    def make(count):
        made.append(Many(count, names))
        return made[-1]

    yield make
    for upstreams in made:
        upstreams.close()


@pytest.fixture
def proxy_for(make_proxy, names):
    """proxy_for(upstreams, policy) runs a proxy in front of them, which asks that name server."""

    def run(upstreams, policy=None, **how):
        return make_proxy(upstreams.address, policy, dns=names.address, **how).start()

    return run
