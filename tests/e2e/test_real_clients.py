"""Real clients of real servers, redirected by the real rules: psql and PostgreSQL, redis-cli and Redis, a program in Go."""

import hashlib
import subprocess
import time

import pytest

from harness.go import build
from harness.interception import APP_UID
from harness.open_folder import open_folder
from harness.postgres import Postgres, cluster, psql
from harness.redis import Redis
from harness.upstream import Upstream, answer
from harness.waiting import slack, stays, wait_until

pytestmark = pytest.mark.usefixtures("open_checkout")

UNLISTED = 7001  # not in opaquePorts
PATIENT = "detectTimeout: 60s"  # whoever waited for it would be seen
PEOPLE = 1000  # in a pipeline of Redis


@pytest.fixture(scope="session")
def data(open_checkout, peer):
    with cluster(peer("initdb")) as folder:
        yield folder


@pytest.fixture
def postgres(peer, pair, data):
    with Postgres(peer, pair.server, data) as server:
        yield server


@pytest.fixture(scope="session")
def go_client(peer):
    with open_folder() as folder:
        yield build(peer("go"), folder)


@pytest.fixture
def ask(peer, app):
    """ask(postgres, query): what psql of the app says, as a CompletedProcess."""

    def run(server, query, **how):
        return app.run(psql(peer("psql"), server.host, server.port, "-c", query), uid=APP_UID, **how)

    return run


@pytest.fixture
def begin(peer, app):
    """begin(postgres, query): a psql of the app that runs until it is done, or killed at the end."""

    def run(server, query):
        return app.popen(psql(peer("psql"), server.host, server.port, "-c", query), uid=APP_UID,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return run


@pytest.fixture
def redis_cli(peer, app):
    def run(server, *words, **how):
        return app.run([peer("redis-cli"), "-h", server.host, "-p", server.port, *words], uid=APP_UID, check=True,
                       **how).stdout

    return run


def passed_through(proxy, server):
    return proxy.metrics().sum("outrigger_requests_total", target=server.address, outcome="success")


@pytest.mark.parametrize("port", [5432, UNLISTED])
def test_psql_is_served_at_once_and_gets_all_of_a_large_result(postgres, redirected, ask, port):
    postgres.start(port)
    proxy = redirected(spec=PATIENT)
    began = time.monotonic()
    assert ask(postgres, "select 1", check=True).stdout == "1\n"
    assert time.monotonic() - began < slack(5)
    large = ask(postgres, "select md5(n::text) from generate_series(1, 160000) as n", check=True).stdout
    assert len(large) > 5_000_000
    assert large == "".join(hashlib.md5(str(n).encode()).hexdigest() + "\n" for n in range(1, 160001))
    wait_until(lambda: passed_through(proxy, postgres) == 2)
    assert proxy.metrics().sum("outrigger_tunnel_bytes_total", direction="down") > 5_000_000


@pytest.mark.parametrize("port", [6379, UNLISTED])
def test_redis_cli_sets_and_gets_and_sends_a_pipeline(peer, pair, redirected, redis_cli, tmp_path, port):
    with Redis(peer, pair.server, port=port) as redis:
        proxy = redirected(spec=PATIENT)
        began = time.monotonic()
        assert redis_cli(redis, "set", "greeting", "hello") == "OK\n"
        assert redis_cli(redis, "get", "greeting") == "hello\n"
        assert time.monotonic() - began < slack(10)
        pipeline = tmp_path / "pipeline"
        pipeline.write_text("".join(f"SET person:{number} {'x' * 1000}\r\n" for number in range(PEOPLE)))
        with open(pipeline) as commands:
            said = redis_cli(redis, "--pipe", stdin=commands)
        assert f"errors: 0, replies: {PEOPLE}" in said
        assert redis.ask("dbsize") == f"{PEOPLE + 1}\n"
        wait_until(lambda: passed_through(proxy, redis) == 3)


def test_an_http_client_in_go_is_retried_on_connections_that_are_kept(go_client, app, serve, redirected):
    upstream = serve(Upstream)
    upstream.plan(answer(200), answer(503))
    proxy = redirected("retry: {attempts: 1, backoff: 1ms, budget: {mode: off}}")
    done = app.run([go_client, f"http://{upstream.address}/", 5], uid=APP_UID, check=True)
    assert done.stdout.splitlines() == ["200 new"] + ["200 kept"] * 4
    assert [request.header("x-outrigger-attempt") for request in upstream.requests] == ["1", "1", "2", "1", "1", "1"]
    assert upstream.requests[0].header("user-agent") == "Go-http-client/1.1"
    metrics = proxy.metrics()
    assert metrics.sum("outrigger_requests_total", target=upstream.address, outcome="success_after_retry") == 1
    assert metrics.sum("outrigger_requests_total", target=upstream.address, outcome="success") == 4


def test_a_breaker_opens_while_postgresql_is_down_and_closes_when_it_is_back(postgres, redirected, ask):
    postgres.start()
    proxy = redirected("circuitBreaker: {consecutiveFailures: 3, openFor: 1s, openJitter: 0, halfOpenRequests: 1}")
    assert ask(postgres, "select 1", check=True).stdout == "1\n"
    postgres.stop()
    for _ in range(3):
        assert ask(postgres, "select 1").returncode == 2
    assert proxy.metrics().sum("outrigger_rejections_total", reason="connect_refused") == 3
    proxy.wait_breaker("open")

    def is_sent_away():
        assert ask(postgres, "select 1").returncode == 2
        return proxy.metrics().sum("outrigger_rejections_total", reason="circuit_open") >= 1

    wait_until(is_sent_away, what="a psql that is refused without a connect")
    postgres.start()
    proxy.wait_breaker("half_open")
    assert ask(postgres, "select 2", check=True).stdout == "2\n"
    proxy.wait_breaker("closed")
    assert ask(postgres, "select 3", check=True).stdout == "3\n"


def test_the_eleventh_session_with_postgresql_waits_until_one_of_ten_ends(postgres, pair, redirected, begin):
    postgres.start()
    proxy = redirected("bulkhead: {maxConnections: 10, maxPending: 5, pendingTimeout: 30s}")
    theirs = f"from pg_stat_activity where client_addr = '{pair.app.ipv4}'"

    def sessions():
        return int(postgres.ask(f"select count(*) {theirs}"))

    def queued():
        return proxy.metrics().sum("outrigger_bulkhead_queued")

    ten = [begin(postgres, "select pg_sleep(600)") for _ in range(10)]
    wait_until(lambda: sessions() == 10)
    assert queued() == 0
    eleventh = begin(postgres, "select 'served'")
    wait_until(lambda: queued() == 1)
    stays(lambda: queued() == 1 and eleventh.poll() is None, 0.3)
    assert sessions() == 10
    postgres.ask(f"select pg_cancel_backend(pid) {theirs} limit 1")
    assert eleventh.communicate(timeout=slack(10))[0] == "served\n"
    assert queued() == 0
    assert proxy.metrics().sum("outrigger_rejections_total") == 0
    wait_until(lambda: [session.poll() for session in ten].count(None) == 9)


def test_an_app_that_is_killed_gives_its_place_back_when_postgresql_has_noticed(postgres, redirected, begin):
    """It does not read while a query runs: its own client_connection_check_interval tells it of the end of the app."""
    postgres.start()
    proxy = redirected("bulkhead: {maxConnections: 1, maxPending: 5, pendingTimeout: 30s}")
    first = begin(postgres, "set client_connection_check_interval = '100ms'; select pg_sleep(600)")
    wait_until(lambda: "pg_sleep" in postgres.ask("select query from pg_stat_activity where state = 'active' and "
                                                  "pid <> pg_backend_pid()"))
    second = begin(postgres, "select 'served'")
    proxy.wait_metric(1, "outrigger_bulkhead_queued")
    first.kill()
    assert second.communicate(timeout=slack(10))[0] == "served\n"
