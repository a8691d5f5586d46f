"""All tests of Outrigger, phase by phase, counted. `./dev test` calls this; the last line is "N passed, N failed".

A phase adds to one Tally; details of what failed go to the terminal at once, whole logs to build/test/. A sanitizer
that speaks fails the run even where the test program says that all is well: Criterion exits 0 on a leak.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LOGS = BUILD / "test"
CORES = os.cpu_count() or 1
PHASES = ["lint", "build", "unit", "sim", "fault", "coverage", "fuzz", "e2e", "alone"]
KINDS = ["debug", "release"] + (["clang"] if os.environ.get("CI") else [])  # the fuzzers are clang's, too
UNIT_SECONDS = 120  # a unit test program that runs longer hangs
E2E_SECONDS = 2400
# These load the machine, or compare with a clock: nothing else may run beside them.
ALONE = ["tests/e2e/test_h2_load.py", "tests/e2e/test_tls_load.py", "tests/e2e/test_simulation_reality.py"]
IS_CI = bool(os.environ.get("CI"))
E2E_KINDS = ["debug", "release"] if IS_CI else ["release"]
CI_FUZZ_SECONDS = 60
LINES_SHOWN = 60  # of a failing log; the rest is in build/test/
COLUMNS_SHOWN = 240

built = {}  # kind of build -> whether it succeeded in this run


class Tally:
    """What passed, and what failed with its reason."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def add(self, passed, failed=0):
        self.passed += passed
        self.failed += failed

    def check(self, name, is_good, log=""):
        self.add(int(is_good), int(not is_good))
        if not is_good:
            print(f"FAILED {name}")
            show(log)


def show(log):
    lines = log.rstrip().splitlines()
    if len(lines) > LINES_SHOWN:
        print(f"  ... {len(lines) - LINES_SHOWN} lines before these are in {LOGS.relative_to(ROOT)}/")
    for line in lines[-LINES_SHOWN:]:
        print("  " + line[:COLUMNS_SHOWN])
    sys.stdout.flush()


def head_of(report):
    """What is wrong stands first, in a sanitizer's words as in Criterion's."""
    return "\n".join(report.splitlines()[: LINES_SHOWN // 2 - 1])


def run(command, log_name, timeout, env=None):
    """Runs a command; returns (exit code, all that it wrote), kept as build/test/LOG_NAME.log too."""
    try:
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **(env or {})}, timeout=timeout, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL)
        code, log = done.returncode, done.stdout
    except subprocess.TimeoutExpired as late:
        code, log = 124, as_text(late.stdout) + f"\nkilled after {timeout} s\n"
    (LOGS / f"{log_name}.log").write_text(log)
    return code, log


def as_text(output):
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""


def sanitizer_env(log_path):
    """Sanitizers write to files of their own: any file there is a failure, whatever the exit code says."""
    return {
        "ASAN_OPTIONS": f"log_path={log_path}:detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1",
        "UBSAN_OPTIONS": f"log_path={log_path}:print_stacktrace=1",
        "LSAN_OPTIONS": f"print_suppressions=0:suppressions={ROOT}/tests/lsan.supp",
    }


def sanitizer_reports(log_path):
    return "\n".join(path.read_text(errors="replace") for path in sorted(log_path.parent.glob(log_path.name + ".*")))


# ---- phases ----------------------------------------------------------------------------------------------------


def phase_lint(tally, args):
    code, log = run([sys.executable, "tests/lint/lint.py", "--count"], "lint", 120)
    counted = re.search(r"^(\d+) passed, (\d+) failed$", log, re.M)
    if counted:
        tally.add(int(counted[1]), int(counted[2]))
        if code:
            show(log[: counted.start()])
    else:
        tally.check("lint", False, log)


def compile_kind(tally, kind):
    """Builds build/KIND, once a run; False when that fails."""
    if kind in built:
        return built[kind]
    code, log = run(["./dev", "compile", kind], f"build-{kind}", 900)
    tally.check(f"build {kind} without a warning", code == 0 and "warning:" not in log, log)
    built[kind] = code == 0
    return built[kind]


def check_global_names(tally):
    """A name that two files define is whichever the linker meets first in the archive, and it says nothing."""
    code, log = run(["nm", "-A", "--defined-only", "--extern-only", "build/debug/liboutrigger_all.a"], "names", 60)
    places = {}
    for line in log.splitlines():
        place, kind, name = line.rsplit(" ", 2)
        if kind in "TDBR":
            places.setdefault(name, []).append(place.split(":")[1])
    twice = [f"{name}: in {' and '.join(sorted(files))}" for name, files in places.items() if len(files) > 1]
    tally.check("no name is defined twice", code == 0 and len(places) > 100 and not twice, "\n".join(twice) or log)


def phase_build(tally, args):
    for kind in KINDS:
        compile_kind(tally, kind)
    if built["debug"]:
        check_global_names(tally)


def run_criterion(program):
    """One test program; returns (passed, failed, what to show)."""
    name = f"{program.parent.name}-{program.name}"
    sanitizer = LOGS / f"{name}.sanitizer"
    code, log = run([program, "--timeout", "30", "-j1", "--color=never"], name, UNIT_SECONDS,
                    sanitizer_env(sanitizer))
    said = sanitizer_reports(sanitizer)
    counted = re.search(r"Tested: (\d+) \| Passing: (\d+)", log)
    passed = int(counted[2]) if counted else 0
    failed = int(counted[1]) - passed if counted else 0
    if passed + failed == 0:
        return 0, 1, f"FAILED {name}: no test ran (exit code {code})\n{log}\n{said}"
    if said or (code != 0 and failed == 0):
        failed += 1
    told = "\n".join(line for line in log.splitlines() if line.startswith(("[----]", "[FAIL]")))
    return passed, failed, f"FAILED {name}: exit code {code}\n{head_of(told)}\n{head_of(said)}" if failed else ""


def run_programs(tally, folders):
    programs = [path for folder in folders for path in sorted(folder.iterdir()) if os.access(path, os.X_OK)
                and path.is_file()]
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for passed, failed, text in pool.map(run_criterion, programs):
            tally.add(passed, failed)
            if failed:
                show(text)
    if not programs:
        tally.check("a test program exists", False, "nothing was built: run the build phase first")


def phase_unit(tally, args):
    if compile_kind(tally, "debug"):
        run_programs(tally, sorted(BUILD.glob("debug/unit_*")))


def phase_sim(tally, args):
    if compile_kind(tally, "debug"):
        run_programs(tally, sorted(BUILD.glob("debug/sim")))


def phase_fault(tally, args):
    if compile_kind(tally, "debug"):
        run_programs(tally, sorted(BUILD.glob("debug/fault")))


def phase_coverage(tally, args):
    """proxy/policy and proxy/call: every branch taken by their own unit tests. Nothing is excluded."""
    if not compile_kind(tally, "coverage"):
        return
    for stale in (BUILD / "coverage").rglob("*.gcda"):
        stale.unlink()
    programs = sorted(path for folder in ("unit_policy", "unit_call") for path in BUILD.glob(f"coverage/{folder}/*"))
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        codes = list(pool.map(lambda program: run([program, "-j1"], f"coverage-{program.name}", UNIT_SECONDS)[0],
                              programs))
    tally.check("tests of policy/ and call/ pass in the coverage build", programs and not any(codes),
                f"exit codes {codes}")
    code, log = run(["gcovr", "--root", ".", "--object-directory", "build/coverage", "--branches",
                     "--filter", "proxy/policy/", "--filter", "proxy/call/", "--fail-under-branch", "100",
                     "--fail-under-line", "100", "--sort-uncovered", "build/coverage"], "coverage", 120)
    tally.check("policy/ and call/ have every branch covered", code == 0, log)


def kept_inputs(fuzzer):
    """The folders of inputs that are kept in the tree: the corpus, and what once failed."""
    folders = [ROOT / "tests/fuzz" / kind / fuzzer.name for kind in ("corpus", "regressions")]
    return [str(folder) for folder in folders if folder.is_dir()]


def replay(fuzzer):
    """Every kept input, once."""
    inputs = kept_inputs(fuzzer)
    if not inputs:
        return False, f"{fuzzer.name} has no corpus: put inputs into tests/fuzz/corpus/{fuzzer.name}/"
    code, log = run([fuzzer, "-runs=0", "-timeout=10", "-rss_limit_mb=1024", *inputs], fuzzer.name, 300)
    return code == 0, log


def fuzz(fuzzer, seconds):
    """New inputs for some seconds; what is found stays in build/test/findings/, what is new in build/fuzz/grown/."""
    grown, found = BUILD / "fuzz/grown" / fuzzer.name, LOGS / "findings"
    grown.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    dictionary = ROOT / f"tests/fuzz/{fuzzer.name}.dict"
    command = [fuzzer, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
               f"-artifact_prefix={found}/{fuzzer.name}-", *([f"-dict={dictionary}"] if dictionary.exists() else []),
               str(grown), *kept_inputs(fuzzer)]
    code, log = run(command, f"{fuzzer.name}-grow", seconds + 120)
    return code == 0, log


def phase_fuzz(tally, args):
    if not compile_kind(tally, "fuzz"):
        return
    fuzzers = sorted(path for path in BUILD.glob("fuzz/fuzz/fuzz_*") if path.is_file())
    tally.check("fuzz targets exist", bool(fuzzers), "tests/fuzz/ holds none")
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        for fuzzer, (is_good, log) in zip(fuzzers, pool.map(replay, fuzzers)):
            tally.check(f"{fuzzer.name} replays its corpus", is_good, log)
        if args.fuzz_seconds:
            for fuzzer, (is_good, log) in zip(fuzzers, pool.map(lambda f: fuzz(f, args.fuzz_seconds), fuzzers)):
                tally.check(f"{fuzzer.name} finds nothing in {args.fuzz_seconds} s", is_good, log)
                executed = re.search(r"number_of_executed_units: (\d+)", log)
                if is_good and executed:
                    print(f"  {fuzzer.name}: {int(executed[1]):,} inputs")


def run_e2e(kind, name, what):
    """System tests against build/KIND; returns (passed, failed, log)."""
    program, report = BUILD / kind / "outrigger", LOGS / f"{name}-{kind}.xml"
    if not program.exists():
        return 0, 1, f"{program.relative_to(ROOT)} is not there: build it first"
    env = {"OUTRIGGER": str(program), "OUTRIGGER_KIND": kind, "OUTRIGGER_PEERS": str(BUILD / "peers/bin"),
           "OUTRIGGER_LOGS": str(LOGS / f"{name}-{kind}"), "PYTHONDONTWRITEBYTECODE": "1"}
    code, log = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--durations=10",
                     "-rs", f"--junitxml={report}", *what], f"{name}-{kind}", E2E_SECONDS, env)
    if not report.exists():
        return 0, 1, log
    suite = xml.etree.ElementTree.parse(report).getroot().find("testsuite")
    count = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    passed = count["tests"] - failed - count["skipped"]
    if passed + failed == 0 or (code != 0 and failed == 0):
        failed += 1
    return passed, failed, log


def tell_e2e(tally, kind, result):
    passed, failed, log = result
    tally.add(passed, failed)
    print(f"  {kind} build: {passed} good, {failed} bad")
    if failed:
        print(f"FAILED system tests against the {kind} build")
        show(log)


def phase_e2e(tally, args):
    """All that may run side by side: against the release build, which is twice as fast; in CI under sanitizers, too."""
    workers = CORES if IS_CI else CORES + 2  # most of a test is waiting
    crowd = ["tests/e2e", *(f"--ignore={path}" for path in ALONE), "-n", str(workers), "--dist", "load"]
    for kind in E2E_KINDS:
        compile_kind(tally, kind)
    with concurrent.futures.ThreadPoolExecutor(len(E2E_KINDS)) as pool:
        for kind, result in zip(E2E_KINDS, pool.map(lambda kind: run_e2e(kind, "e2e", crowd), E2E_KINDS)):
            tell_e2e(tally, kind, result)


def phase_alone(tally, args):
    for kind in E2E_KINDS:
        if compile_kind(tally, kind):
            tell_e2e(tally, kind, run_e2e(kind, "alone", ALONE))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("phases", nargs="*", metavar="PHASE", help=" ".join(PHASES))
    parser.add_argument("--fuzz-seconds", type=int, default=CI_FUZZ_SECONDS if IS_CI else 0)
    args = parser.parse_args()
    unknown = [phase for phase in args.phases if phase not in PHASES]
    if unknown:
        parser.error(f"no such phase: {', '.join(unknown)} (there are {', '.join(PHASES)})")
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    tally, started = Tally(), time.monotonic()
    for phase in args.phases or PHASES:
        print(f"== {phase}", flush=True)
        before, at = (tally.passed, tally.failed), time.monotonic()
        globals()[f"phase_{phase}"](tally, args)
        print(f"   {tally.passed - before[0]} good, {tally.failed - before[1]} bad, "
              f"{time.monotonic() - at:.0f} s", flush=True)
    print(f"== {time.monotonic() - started:.0f} s in all; logs are in {LOGS.relative_to(ROOT)}/")
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(1 if tally.failed or not tally.passed else 0)


if __name__ == "__main__":
    main()
