"""CEL of an admission policy, as far as it can be run without an API server: an evaluator for Node (cel.mjs) takes the
expressions with the names of types taken out, and the names are held against the places where they stand."""

import json
import pathlib
import re
import subprocess

TYPED = re.compile(r"\b(JSONPatch|Object(?:\.\w+)*)\s*\{")
FIELD = re.compile(r"([{,]\s*)([A-Za-z]\w*)(\s*:)")
TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|(?:JSONPatch|Object(?:\.\w+)*)\s*\{|[\[\](){}]|,|[A-Za-z]\w*\s*:(?!:)|[^\s]")
PAIRS = {")": "(", "]": "[", "}": "{"}


def type_problems(expression):
    """A construct `Object.a.b{...}` must stand in field b of `Object.a{...}`, or be the value of a patch of that path."""
    stack = []  # (bracket, name of the type or None, [the field whose value comes], [path of a patch])
    for token in TOKEN.findall(expression):
        named = TYPED.fullmatch(token)
        if named:
            owner = next((one for one in reversed(stack) if one[1]), None)
            if owner and owner[1] == "JSONPatch":
                wanted = "Object" + "".join(f".{part}" for part in owner[3][0].split("/") if part and not
                                            (part.isdigit() or part == "-"))
            else:
                wanted = f"{owner[1]}.{owner[2][0]}" if owner else "JSONPatch"
            if named[1] != wanted:
                yield f"{named[1]} stands where {wanted} is"
            stack.append(("{", named[1], [None], [""]))
        elif token in "([{":
            stack.append((token, None, [None], [""]))
        elif token in PAIRS:
            if not stack or stack[-1][0] != PAIRS[token]:
                yield f"unbalanced {token}"
                return
            stack.pop()
        elif stack and token.rstrip()[-1] == ":" and token[0].isalpha():
            stack[-1][2][0] = token.rstrip(": ")
        elif stack and token[0] == "'" and stack[-1][2][0] == "path":
            stack[-1][3][0] = token.strip("'")
    if stack:
        yield f"{len(stack)} brackets are never closed"


def without_types(expression):
    """The same with maps for objects; texts in quotes stay."""
    parts = re.split(r"('(?:[^'\\]|\\.)*')", expression)
    text = "".join(part if part.startswith("'") else f"\0{part}\0" for part in parts)
    bare = re.sub("\0([^\0]*)\0", lambda found: FIELD.sub(r"\1'\2'\3", TYPED.sub("{", found[1])), text)
    return bare


def evaluate(requests, modules):
    """requests: [{"conditions": [...], "variables": [[name, expression]...], "result": expression or None, "object": pod}];
    returns [{"matches": [...], "result": ...}]."""
    program = pathlib.Path(__file__).with_name("cel.mjs")
    done = subprocess.run(["node", str(program)], input=json.dumps(requests), capture_output=True, text=True, timeout=60,
                          cwd=modules.parent)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
