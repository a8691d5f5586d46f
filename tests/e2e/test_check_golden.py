"""What `outrigger check` says of each code, byte by byte: tests/golden/check/OUTxxxx/.

Each folder holds `input.yaml` (or a folder `input/`), `pretty.txt` and, for some, `json.txt`, `github.txt` and
`sarif.txt`: what the command writes, stderr first, and its exit code. A code without a folder fails. Inputs that git
should not hold (a file of a megabyte, thousands of files) are made here.

After a change of words: OUTRIGGER_UPDATE_GOLDEN=1 pytest tests/e2e/test_check_golden.py, and read the diff.
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from harness.proxy import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/check"
FORMATS = ["pretty", "json", "github", "sarif"]
UPDATE = os.environ.get("OUTRIGGER_UPDATE_GOLDEN") == "1"
DEFINED = re.findall(r'^DIAGNOSTIC\(\w+, "(OUT\d{4})", (\w+), "(.*)"\)$',
                     (ROOT / "proxy/config/diagnostics.def").read_text(), re.M)
CODES = [code for code, _, _ in DEFINED]

HEAD = "apiVersion: outrigger.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {name: p}\nspec: {targets: [{host: a}]}\n"


def many_files(folder):
    (folder / "input").mkdir()
    for number in range(4097):
        (folder / f"input/{number:04}.yaml").touch()


# code -> makes what cannot be kept, in a folder of its own
MADE = {
    "OUT0101": lambda folder: None,  # there is no input at all
    "OUT0102": lambda folder: (folder / "input.yaml").write_text("# " + "x" * (1 << 20)),
    "OUT0103": lambda folder: (folder / "input.yaml").write_bytes(HEAD.encode("utf-16")),
    "OUT0108": many_files,
}


def run(folder, *arguments):
    name = "input" if (folder / "input").is_dir() else "input.yaml"
    return subprocess.run([BINARY, "check", *arguments, name], cwd=folder, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})


def prepared(code, tmp_path):
    if code not in MADE:
        return GOLDEN / code
    MADE[code](tmp_path)
    return tmp_path


@pytest.mark.parametrize("code", CODES)
def test_what_is_said_of_a_code_is_as_kept(code, tmp_path):
    kept = GOLDEN / code
    assert kept.is_dir(), f"{code} has no golden file: make {kept}/input.yaml, and update"
    folder = prepared(code, tmp_path)
    for form in FORMATS:
        path = kept / f"{form}.txt"
        if not path.exists() and not (UPDATE and form == "pretty"):
            assert form != "pretty", f"{path} is missing: update"
            continue
        done = run(folder, "--format", form)
        said = f"{done.stderr}{done.stdout}exit code {done.returncode}\n"
        assert code in said, said
        if UPDATE:
            path.write_text(said)
        assert said == path.read_text(), f"{path} is stale"


def test_no_golden_is_left_over():
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(CODES)


@pytest.mark.parametrize("code", ["OUT0101", "OUT0104", "OUT0203", "OUT0301", "OUT0404"])
def test_exit_codes_are_the_same_in_each_format(code, tmp_path):
    folder = prepared(code, tmp_path)
    for strict in ([], ["--strict"]):
        assert len({run(folder, "--format", form, *strict).returncode for form in FORMATS}) == 1


def finding_lines(code, tmp_path):
    return json.loads(run(prepared(code, tmp_path), "--format=json").stdout)


@pytest.mark.parametrize("code, severity, title", DEFINED)
def test_json_names_the_finding(code, severity, title, tmp_path):
    said = finding_lines(code, tmp_path)
    assert said["version"] == 1
    assert said["errors"] + said["warnings"] >= len(said["findings"]) > 0
    mine = [finding for finding in said["findings"] if finding["code"] == code]
    assert mine and mine[0]["title"] == title and mine[0]["severity"] == severity.lower()
    for finding in said["findings"]:
        assert set(finding) == {"code", "severity", "file", "line", "column", "endColumn", "path", "title", "message",
                                "help", "related"}
        assert finding["endColumn"] is None or finding["endColumn"] > finding["column"]


@pytest.mark.parametrize("code", CODES)
def test_sarif_has_what_the_standard_requires(code, tmp_path):
    said = json.loads(run(prepared(code, tmp_path), "--format", "sarif").stdout)
    assert said["version"] == "2.1.0" and said["$schema"].endswith("sarif-2.1.0.json")
    (once,) = said["runs"]
    driver = once["tool"]["driver"]
    assert driver["name"] and [rule["id"] for rule in driver["rules"]] == CODES
    assert all(rule["shortDescription"]["text"] and rule["defaultConfiguration"]["level"] in ("error", "warning")
               for rule in driver["rules"])
    assert once["results"]
    for result in once["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning") and result["message"]["text"]
        for location in [*result["locations"], *result.get("relatedLocations", [])]:
            physical = location["physicalLocation"]
            assert " " not in physical["artifactLocation"]["uri"]
            region = physical.get("region", {"startLine": 1, "startColumn": 1})
            assert region["startLine"] >= 1 and region["startColumn"] >= 1
            assert region.get("endColumn", region["startColumn"] + 1) > region["startColumn"]


@pytest.mark.parametrize("code", CODES)
def test_github_commands_are_one_line_each(code, tmp_path):
    said = run(prepared(code, tmp_path), "--format", "github").stdout
    for line in said.splitlines():
        assert re.match(r"::(error|warning) file=[^:,]+(,line=\d+,endLine=\d+,col=\d+)?(,endColumn=\d+)?"
                        r",title=OUT\d{4} [^:,]+::\S", line), line


def test_github_escapes_what_would_end_a_field(tmp_path):
    (tmp_path / "a,b:100%.yaml").write_text("kind: x%y\n")
    done = subprocess.run([BINARY, "check", "--format", "github", "a,b:100%.yaml"], cwd=tmp_path, capture_output=True,
                          text=True, timeout=20)
    assert "file=a%2Cb%3A100%25.yaml," in done.stdout
    assert 'unknown value "x%25y"' in done.stdout


def test_an_excerpt_cannot_drive_the_terminal(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: \"\u202ex\u009by\" # \t\u00e9\n", encoding="utf-8")
    done = subprocess.run([BINARY, "check", "a.yaml"], cwd=tmp_path, capture_output=True, timeout=20)
    shown = done.stderr.decode()
    assert "\u202e" not in shown and "\u009b" not in shown and "\x1b" not in shown and "\u00e9" in shown


def test_a_long_line_is_shown_around_the_place(tmp_path):
    (tmp_path / "a.yaml").write_text("{apiVersion: outrigger.dev/v1alpha1, kind: ResiliencePolicy, metadata: {name: p, "
                                     f"labels: {{a: {'x' * 5000}}}}}, spec: {{targets: [{{host: a}}], retyr: {{}}}}}}\n")
    done = subprocess.run([BINARY, "check", "a.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    excerpt = next(line for line in done.stderr.splitlines() if line.startswith("1 |"))
    carets = done.stderr.splitlines()[done.stderr.splitlines().index(excerpt) + 1]
    assert len(excerpt) < 160 and "..." in excerpt
    assert excerpt[carets.index("^"):carets.rindex("^") + 1] == "retyr"


def test_colours_are_for_terminals_only():
    master, slave = os.openpty()
    try:
        for no_colour, expected in (("", True), ("1", False)):
            env = {**os.environ, "NO_COLOR": no_colour, "TERM": "xterm"}
            subprocess.run([BINARY, "check", "input.yaml"], cwd=GOLDEN / "OUT0201", stderr=slave, env=env, timeout=20,
                           stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            assert (b"\x1b[" in os.read(master, 65536)) == expected
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("code, severity, title", DEFINED)
def test_explain_tells_of_each_code(code, severity, title):
    done = subprocess.run([BINARY, "explain", code], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{code} ({severity.lower()}): {title}\n")
    assert "\nWrong:\n" in done.stdout and "\nRight:\n" in done.stdout


def test_explain_lists_all_codes_and_suggests_the_nearest():
    listed = subprocess.run([BINARY, "explain", "--list"], capture_output=True, text=True, timeout=20)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == CODES
    unknown = subprocess.run([BINARY, "explain", "OUT0230"], capture_output=True, text=True, timeout=20)
    assert unknown.returncode == 2
    assert "OUT0203" in unknown.stderr and "--list" in unknown.stderr
