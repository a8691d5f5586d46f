"""What an injected proxy is told on its command line: defaults that give way, labels of the pod, settings."""

import pytest

from harness.proxy import policy_document
from harness.upstream import answer
from harness.waiting import wait_until

LIMITED = "rateLimit: {requests: 1, interval: 1h, burst: 1}"
SELECTED = "selector: {matchLabels: {app: web}}\n" + LIMITED


def is_limited(proxy):
    return [proxy.get().status for _ in range(3)].count(429) > 0


def labels(folder, text):
    path = folder / "labels"
    fresh = folder / "labels.new"
    fresh.write_text(text)
    fresh.rename(path)
    return path


@pytest.fixture
def started(make_proxy, upstream):
    def run(policy, *options, **how):
        proxy = make_proxy(upstream, policy, **how)
        proxy.options += list(map(str, options))
        return proxy.start()

    return run


def test_a_default_holds_until_a_policy_for_the_host_is_there(started, tmp_path):
    defaults = tmp_path / "defaults.yaml"
    defaults.write_text(policy_document(LIMITED, name="default"))
    proxy = started(None, "--defaults", defaults)
    assert is_limited(proxy)
    proxy.set_policy("timeouts: {request: 5s}", name="own")
    wait_until(lambda: not is_limited(proxy))


@pytest.mark.parametrize("text, holds", [('app="web"\n', True), ('app="db"\n', False), ("", False)])
def test_a_policy_with_a_selector_holds_for_pods_of_these_labels(started, tmp_path, text, holds):
    assert is_limited(started(SELECTED, "--pod-labels", labels(tmp_path, text))) is holds


def test_labels_that_change_are_read_again(started, tmp_path):
    proxy = started(SELECTED, "--pod-labels", labels(tmp_path, 'app="db"\n'))
    assert not is_limited(proxy)
    labels(tmp_path, 'app="web"\n')
    wait_until(lambda: is_limited(proxy))


def test_a_setting_holds_over_the_file_and_after_a_reload(started, upstream):
    upstream.on("/", answer(200))
    proxy = started(None, "--set", "log.access=off", spec="log: {access: all, format: json}")
    proxy.get()
    proxy.write("policy.yaml", policy_document("timeouts: {request: 5s}"))
    proxy.wait_log("config_reloaded")
    proxy.get()
    assert not [line for line in proxy.logs() if line.get("event") == "access"]


def test_a_wrong_setting_is_said_before_anything_starts(make_proxy, upstream):
    proxy = make_proxy(upstream)
    proxy.options += ["--set", "log.levle=debug"]
    proxy.launch()
    assert proxy.wait_exit() == 2
    assert '--set: spec.log.levle: unknown key (did you mean "level"?)' in proxy.stderr()
