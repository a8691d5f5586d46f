"""Checks the whole tree; prints file:line: problem. With --count the last line is "N passed, N failed" (of rules)."""

import pathlib
import shutil
import subprocess
import sys

import floors
import shape

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROXY = ROOT / "proxy"
TEXT = {".c", ".h", ".def", ".py", ".sh", ".md", ".yaml", ".vtc", ".txt", ".cmake", ".js", ".mjs", ".html", ""}
SKIPPED = {".git", "build", "__pycache__", "corpus", "regressions"}


def tree():
    for path in sorted(ROOT.rglob("*")):
        if path.is_file() and not SKIPPED & set(path.relative_to(ROOT).parts) and path.suffix in TEXT:
            yield path


def c_files(folder):
    return [path for path in sorted(folder.rglob("*.[ch]")) if not SKIPPED & set(path.relative_to(ROOT).parts)]


def each(paths, base, problems, prepare=lambda text: text):
    """Runs a rule over files; returns its findings as printable lines."""
    found = []
    for path in paths:
        text = prepare(path.read_text(errors="replace"))
        found += [f"{path.relative_to(ROOT)}:{line}: {problem}"
                  for line, problem in problems(path.relative_to(base), text)]
    return found


def layout():
    files = [str(path.relative_to(ROOT)) for path in c_files(PROXY) + c_files(ROOT / "tests")]
    if not shutil.which("clang-format"):
        return ["clang-format is not installed: apt-get install clang-format"]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:
        return []
    places = [line.split(": error: ")[0] for line in done.stderr.splitlines() if ": error: " in line]
    first = {place.split(":")[0]: place for place in reversed(places)}
    return [f"{place}: ./dev format lays it out" for place in sorted(first.values())] or [done.stderr]


def main():
    proxy, tests = c_files(PROXY), c_files(ROOT / "tests")
    both, written = proxy + tests, list(tree())
    rules = {
        "a module includes only what its floor allows": each(proxy, PROXY, floors.include_problems),
        "no floor makes a call that is banned there": each(proxy, PROXY, floors.call_problems, shape.bare),
        "no .c is too long": each(both, ROOT, shape.size_problems),
        "no function is too long": each(both, ROOT, shape.function_problems, shape.bare),
        "no function nests too deep": each(both, ROOT, shape.nesting_problems, shape.bare),
        "no struct is typedef'd": each(both, ROOT, shape.typedef_problems, shape.bare),
        "header guards name their file": each(proxy, PROXY, shape.guard_problems),
        "no line is too wide": each(both, ROOT, shape.width_problems),
        "nothing is left over": each(written, ROOT, shape.leftover_problems),
        "clang-format has nothing to say": layout(),
    }
    for rule, found in rules.items():
        if found:
            print(f"FAILED {rule}:")
            print("\n".join("  " + line for line in found))
    failed = sum(1 for found in rules.values() if found)
    print(f"{len(rules) - failed} passed, {failed} failed" if "--count" in sys.argv else
          f"{failed} of {len(rules)} rules broken" if failed else "clean")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
