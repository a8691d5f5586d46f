"""What every bench does alike: cycles of bursts, medians and quartiles, tables, gates."""

import json
import random
import statistics
import subprocess
import sys

from contenders import PROGRAMS

BASELINE = "haproxy"
MB = 1_000_000


def on_core(core, command, timeout):
    """Runs a program of the load on its core; returns what it did and said."""
    return subprocess.run(["taskset", "-c", str(core), *map(str, command)], capture_output=True, text=True,
                          timeout=timeout)


def quartiles(values):
    if len(values) == 1:
        return [values[0]] * 3
    return list(statistics.quantiles(values, n=4, method="inclusive"))


def cpu_of(contender, load):
    """Runs load() -> calls; returns (calls, CPU microseconds per call)."""
    before = contender.cpu_ns()
    calls = load()
    used = contender.cpu_ns() - before
    if used == 0:
        sys.exit("bench: /proc/PID/task/*/schedstat does not count here: the kernel lacks CONFIG_SCHED_INFO")
    return calls, used / 1000 / calls


def cycles_of(contenders, burst, cycles, label):
    """Quartiles of rate, CPU and their ratios; burst(contender) -> (calls per second, CPU us per call)."""
    figures = {contender.name: {"rate": [], "rate_ratio": [], "cpu_us": [], "ratio": []} for contender in contenders}
    for cycle in range(-1, cycles):  # the first warms up and is thrown away
        order = random.sample(contenders, len(contenders))
        seen = {contender.name: burst(contender) for contender in order}
        progress(f"{label}: cycle {cycle + 1} of {cycles}")
        if cycle < 0:
            continue
        for name, (rate, cpu_us) in seen.items():
            figures[name]["rate"].append(rate)
            figures[name]["rate_ratio"].append(rate / seen[BASELINE][0])
            figures[name]["cpu_us"].append(cpu_us)
            figures[name]["ratio"].append(cpu_us / seen[BASELINE][1])
    return {name: {key: quartiles(values) for key, values in rows.items()} for name, rows in figures.items()}


# ---- latency at a fixed rate ------------------------------------------------------------------------------------


def at_rate(port, core, rate, seconds, connections):
    """Calls by rate.c; returns {microseconds: calls}."""
    done = on_core(core, [PROGRAMS / "rate", port, rate, seconds, connections], seconds + 30)
    if done.returncode:
        sys.exit(f"bench: the load at a fixed rate failed: {done.stderr}")
    return dict(json.loads(done.stdout)["histogram"])


def pool(into, histogram):
    for us, count in histogram.items():
        into[us] = into.get(us, 0) + count


def percentile(pooled, share):
    wanted, seen = share * sum(pooled.values()), 0
    for us in sorted(pooled):
        seen += pooled[us]
        if seen >= wanted:
            return us
    return 0


# ---- telling ---------------------------------------------------------------------------------------------------


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def table(header, rows):
    widths = [max(len(str(row[column])) for row in [header, *rows]) for column in range(len(header))]
    for number, row in enumerate([header, *rows]):
        cells = [str(row[0]).ljust(widths[0])] + [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  " + "  ".join(cells))
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


def cpu_table(cpu):
    table(["", "calls/s", "CPU us/call", "quartiles", f"of {BASELINE}", "quartiles"],
          [[name, f"{row['rate'][1]:.0f}", f"{row['cpu_us'][1]:.2f}",
            f"{row['cpu_us'][0]:.2f}-{row['cpu_us'][2]:.2f}", f"{row['ratio'][1]:.3f}",
            f"{row['ratio'][0]:.3f}-{row['ratio'][2]:.3f}"]
           for name, row in sorted(cpu.items(), key=lambda item: item[1]["ratio"][1])])


def judge(gates, result):
    """`gates` are (text, function of the result -> value, limit); a fourth, where there is one, is the goal."""
    for what, value_of, limit, *goal in gates:
        value = value_of(result)
        verdict = {"what": what, "value": value, "limit": limit, "holds": value <= limit}
        yield {**verdict, "goal": goal[0]} if goal else verdict


def tell_gates(gates):
    print()
    for gate in gates:
        verdict = "holds " if gate["holds"] else "BROKEN"
        goal = f"; the goal is {gate['goal']}" if "goal" in gate else ""
        print(f"  {verdict}  {gate['what']}: {gate['value']:.3g} (at most {gate['limit']}{goal})")
