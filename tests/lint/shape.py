"""The sizes and habits of the house style that a program can check. Too long means a missing noun."""

import re

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_NESTING = 3
MAX_COLUMNS = 100

# Promises that nobody keeps; spelled in halves, or this file would find itself.
LEFTOVERS = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b|\bnot " r"implemented\b")

COMMENT_OR_STRING = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)
CONTROL = re.compile(r"^\s*(?:\}\s*)?(?:else\b|if\b|for\b|while\b|do\b|switch\b|[A-Z_]*FOREACH\w*\b).*\{\s*$")


def bare(text):
    """C without comments and the insides of strings; lines stay where they are."""

    def blank(found):
        token = found[0]
        if token[0] in "\"'":
            return token[0] + token[0]
        return re.sub(r"[^\n]", " ", token)

    return COMMENT_OR_STRING.sub(blank, text)


def functions(code):
    """Yields (name, first line, last line) of every function whose brace stands alone in column 0."""
    lines, start = code.split("\n"), None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 6) : start - 1])
            names = re.findall(r"(\w+)\s*\(", head.rsplit(";", 1)[-1].rsplit("}", 1)[-1])
            yield names[0] if names else "?", start, number
            start = None


def size_problems(path, text):
    lines = text.count("\n")
    if path.suffix == ".c" and lines > MAX_FILE_LINES:
        yield 1, f"{lines} lines (at most {MAX_FILE_LINES})"


def function_problems(path, code):
    for name, first, last in functions(code):
        if last - first + 1 > MAX_FUNCTION_LINES:
            yield first, f"{name} has {last - first + 1} lines (at most {MAX_FUNCTION_LINES})"


def nesting_problems(path, code):
    """Control blocks inside one another. A block that only opens `else` stays on its level."""
    lines = code.split("\n")
    for name, first, last in functions(code):
        stack = []
        for number in range(first + 1, last):
            line = lines[number - 1]
            for _ in range(len(re.findall(r"^\s*\}", line))):
                if stack:
                    stack.pop()
            balance = line.count("{") - line.count("}") + len(re.findall(r"^\s*\}", line))
            for _ in range(max(0, balance)):
                stack.append(bool(CONTROL.match(line)))
            for _ in range(max(0, -balance)):
                if stack:
                    stack.pop()
            if sum(stack) > MAX_NESTING:
                yield number, f"{name} nests {sum(stack)} deep (at most {MAX_NESTING})"
                break


def typedef_problems(path, code):
    for found in re.finditer(r"\btypedef\s+(struct|union|enum)\b", code):
        yield code.count("\n", 0, found.start()) + 1, f"{found[1]}s are never typedef'd"


def guard_problems(path, text):
    if path.suffix != ".h":
        return
    guard = "OUTRIGGER_" + "_".join(part.upper() for part in path.with_suffix("").parts) + "_H"
    guard = re.sub(r"[^A-Z0-9_]", "_", guard)
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        yield 1, f"wants the header guard {guard}"


def leftover_problems(path, text):
    for found in LEFTOVERS.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, f"a leftover: {found[0]}"


def width_problems(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns (at most {MAX_COLUMNS})"
        if line != line.rstrip():
            yield number, "white space at the end"
        if "\t" in line:
            yield number, "a tab"
