"""`outrigger check`: the same errors as at the start, as an exit code for a pipeline."""

import pathlib
import subprocess

import pytest
from harness.proxy import BINARY, policy_document

POLICIES = pathlib.Path(__file__).resolve().parents[2] / "policies"


def check(*arguments):
    return subprocess.run([BINARY, "check", *map(str, arguments)], capture_output=True, text=True, timeout=20,
                          stdin=subprocess.DEVNULL)


@pytest.fixture
def policy_file(tmp_path):
    def write(spec, name="policy.yaml"):
        path = tmp_path / name
        path.write_text(spec if "kind:" in spec else policy_document(spec))
        return path

    return write


def test_a_good_file_is_0(policy_file):
    assert check(policy_file("retry: {attempts: 2}")).returncode == 0


def test_an_error_is_1_with_its_place(policy_file):
    done = check(policy_file("retry: {attemps: 2}"))
    assert done.returncode == 1
    assert "policy.yaml:6:" in done.stdout + done.stderr
    assert "did you mean" in done.stdout + done.stderr


def test_an_unreadable_file_is_2(tmp_path):
    done = check(tmp_path / "no-such.yaml")
    assert done.returncode == 2
    assert "no-such.yaml" in done.stderr


def test_no_file_is_2():
    assert check().returncode == 2


def test_a_warning_is_0_and_with_strict_1(policy_file):
    # A try that may take longer than the whole call can never be repeated.
    path = policy_file("timeouts: {request: 1s, backendRequest: 5s}\nretry: {attempts: 3}")
    relaxed, strict = check(path), check("--strict", path)
    assert "warning" in relaxed.stdout + relaxed.stderr
    assert (relaxed.returncode, strict.returncode) == (0, 1)


def test_several_files_are_judged_together(policy_file):
    done = check(policy_file("retry: {attempts: 1}", "a.yaml"),
                 policy_file(policy_document("retry: {attempts: 1}", name="b"), "b.yaml"))
    assert done.returncode == 1
    assert "b.yaml" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["default.yaml", "third-party-api.yaml", "internal-service.yaml"])
def test_the_policies_that_we_ship_are_good_even_strictly(name):
    done = check("--strict", POLICIES / name)
    assert done.returncode == 0, done.stdout + done.stderr
