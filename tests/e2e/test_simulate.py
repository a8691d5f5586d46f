"""outrigger simulate: the shipped scenarios and their verdicts, its output, its errors."""

import json
import subprocess

import jsonschema
import pytest
import yaml

from harness.proxy import BINARY, ROOT
from harness.waiting import IS_DEBUG_BUILD

POLICIES = ROOT / "policies"
SCENARIOS = POLICIES / "scenarios"
MET, UNMET, USAGE = 0, 1, 2

# What the first comment of each scenario says of it.
VERDICTS = [
    ("retry-storm-70", "scenarios/policies/retry-budget", MET),
    ("retry-storm-70", "scenarios/policies/retries", UNMET),
    ("retry-storm-70", "default", MET),
    ("retry-storm-93", "default", MET),
    ("retry-storm-93", "scenarios/policies/retry-budget", UNMET),
    ("slow-dependency", "default", MET),
    ("slow-dependency", "scenarios/policies/retries", UNMET),
    ("one-bad-endpoint", "scenarios/policies/endpoint-breakers", MET),
    ("one-bad-endpoint", "default", MET),
    ("one-bad-endpoint", "scenarios/policies/retry-budget", UNMET),
    ("thundering-herd", "default", MET),
    ("thundering-herd", "scenarios/policies/retries", UNMET),
    ("third-party-quota", "third-party-api", MET),
    ("third-party-quota", "scenarios/policies/retries", UNMET),
    ("nested-retries", "scenarios/policies/nested", MET),
    ("nested-retries-unmarked", "scenarios/policies/nested", MET),
    ("fleet-1000", "default", MET),
    ("fleet-1000", "scenarios/policies/retries", UNMET),
]


def simulate(*arguments):
    return subprocess.run([BINARY, "simulate", *map(str, arguments)], capture_output=True, text=True, timeout=120)


def scenario(name):
    return SCENARIOS / f"{name}.yaml"


@pytest.mark.parametrize("name, policy, verdict", VERDICTS)
def test_a_shipped_scenario_ends_as_it_says(name, policy, verdict):
    if IS_DEBUG_BUILD and name == "fleet-1000":
        pytest.skip("a thousand sidecars under a sanitizer take minutes; the release build plays them")
    done = simulate("-c", POLICIES / f"{policy}.yaml", scenario(name))
    assert done.returncode == verdict, done.stdout + done.stderr
    assert done.stderr == ""


def test_every_shipped_scenario_has_a_verdict_and_its_own_command_lines():
    names = {path.stem for path in SCENARIOS.glob("*.yaml")}
    assert names == {name for name, _, _ in VERDICTS}
    for name, policy, _ in VERDICTS:
        line = f"outrigger simulate -c policies/{policy}.yaml policies/scenarios/{name}.yaml"
        shown_in = "nested-retries" if name.startswith("nested-retries") else name
        assert line in scenario(shown_in).read_text(), line


def test_the_storm_at_93_percent_is_over_within_six_seconds_with_twenty_seeds_of_twenty():
    done = simulate("-c", POLICIES / "default.yaml", "--seeds", 20, "--json", scenario("retry-storm-93"))
    told = json.loads(done.stdout)["contenders"][0]
    assert len(told["recoveryBySeed"]) == 20
    assert all(recovery is not None and recovery <= 6 for recovery in told["recoveryBySeed"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    arguments = ("-c", POLICIES / "default.yaml", "--transitions", scenario("retry-storm-70"))
    first = simulate(*arguments, "--seed", 5).stdout
    assert simulate(*arguments, "--seed", 5).stdout == first
    assert simulate(*arguments, "--seed", 6).stdout != first


def test_two_policies_stand_side_by_side():
    done = simulate("--compare", POLICIES / "default.yaml", SCENARIOS / "policies/retries.yaml",
                    scenario("retry-storm-70"))
    assert done.returncode == MET
    goodput = next(line for line in done.stdout.splitlines() if line.strip().startswith("goodput"))
    better, worse = (float(part) for part in goodput.replace("goodput", "").replace("%", "").split())
    assert better > 95 > worse


def test_an_unmet_expectation_is_named_with_its_place_and_what_was_found():
    done = simulate("-c", SCENARIOS / "policies/retries.yaml", scenario("retry-storm-70"))
    assert "UNMET" in done.stdout
    assert "retry-storm-70.yaml:29: recovers within 60s of 70s (found: never)" in done.stdout


@pytest.mark.skipif(IS_DEBUG_BUILD, reason="fifty runs under a sanitizer take minutes")
def test_a_report_is_one_page_that_asks_for_nothing(tmp_path):
    page = tmp_path / "out.html"
    done = simulate("-c", POLICIES / "default.yaml", scenario("retry-storm-93"), "--report", page)
    assert done.returncode == MET, done.stderr
    text = page.read_text()
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert not any(word in text for word in ("http:", "https:", "src=", "url(", "@import"))
    assert text.count("<svg") == 5


@pytest.mark.parametrize("arguments, complaint", [
    ((), "no scenario is named"),
    (("-c",), "a value is missing after -c"),
    (("x.yaml",), "name the policies by -c"),
    (("-c", "a", "--compare", "b", "c", "x.yaml"), "name the policies by -c"),
    (("-c", "a", "x.yaml", "--seeds", "0"), "not a number that can be used here: 0"),
    (("-c", "a", "x.yaml", "y.yaml"), "a second one is y.yaml"),
    (("-c", "a", "x.yaml", "--fast"), "unknown option --fast"),
    (("-c", "/nowhere.yaml", "x.yaml"), "/nowhere.yaml: cannot be read"),
    (("-c", POLICIES / "default.yaml", "/nowhere.yaml"), "/nowhere.yaml: cannot be read"),
])
def test_bad_usage_says_what_to_do(arguments, complaint):
    done = simulate(*arguments)
    assert done.returncode == USAGE
    assert complaint in done.stderr
    assert done.stdout == ""


def test_a_wrong_scenario_is_told_with_its_place(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(scenario("retry-storm-93").read_text().replace("kind: stall", "kind: stal"))
    done = simulate("-c", POLICIES / "default.yaml", wrong)
    assert done.returncode == USAGE
    assert "spec.faults[0].kind: unknown value" in done.stderr and 'did you mean "stall"?' in done.stderr


def test_a_report_that_cannot_be_written_is_exit_code_2(tmp_path):
    done = simulate("-c", POLICIES / "default.yaml", scenario("third-party-quota"), "--report", tmp_path / "no/out.html")
    assert done.returncode == USAGE
    assert "cannot write" in done.stderr


@pytest.mark.skipif(IS_DEBUG_BUILD, reason="speed is measured in the release build")
def test_an_hour_of_a_thousand_calls_a_second_takes_seconds(tmp_path):
    """The gate is 10 s of one core; this one is twice that, for a machine that does other things."""
    hour = tmp_path / "hour.yaml"
    hour.write_text("apiVersion: outrigger.dev/v1alpha1\nkind: Scenario\nmetadata: {name: hour}\nspec:\n"
                    "  duration: 3600s\n  callers: [{rate: 1000}]\n  upstreams:\n    - {name: server, host: "
                    "\"server:8080\", concurrency: 50, serviceTime: {mean: 20ms}}\n"
                    "  faults: [{kind: crash, at: 600s, lasts: 60s}]\n")
    done = subprocess.run(["bash", "-c", f"TIMEFORMAT='%U'; time {BINARY} simulate -c {POLICIES / 'default.yaml'} {hour}"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == MET, done.stderr
    assert float(done.stderr.split()[-1]) < 20


def schema(*arguments):
    return subprocess.run([BINARY, "schema", "--scenario", *arguments], capture_output=True, text=True, check=True).stdout


def test_the_reference_of_scenarios_is_what_the_tables_say():
    readme = (SCENARIOS / "README.md").read_text()
    marker = "a test fails when it is stale. -->\n"
    assert readme.split(marker)[1] == schema("--markdown"), "replace what follows the marker by " \
        "`outrigger schema --scenario --markdown`"


def test_the_json_schema_takes_every_shipped_scenario_and_refuses_slips():
    table = json.loads(schema())
    jsonschema.Draft7Validator.check_schema(table)
    for path in SCENARIOS.glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), table)
    slipped = yaml.safe_load(scenario("retry-storm-93").read_text())
    slipped["spec"]["faults"][0]["kind"] = "stal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(slipped, table)
