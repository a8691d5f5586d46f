"""Who may include whom, and which calls a floor must not make.

The house is built in floors (proxy/README.md has the table): a module includes only what its row allows. That is what
keeps the policy engine free of clocks and sockets, so that it can be tested to the last branch and simulated.
"""

import re

EVERYTHING = "everything"

# module -> (other modules it may include, foreign headers it may include)
MODULES = {
    "base": ([], []),
    "policy": (["base"], []),
    "http": (["base"], []),
    "telemetry": (["base", "policy"], []),
    "call": (["base", "policy", "http"], []),
    "config": (["base", "policy"], ["yaml.h"]),
    "net": (["base"], ["uv.h", "mbedtls/", "ares.h", "ares_"]),
    "codec": (["base", "http", "net"], ["nghttp2/"]),
    "upstream": (["base", "http", "net", "codec"], []),
    "request": (["base", "policy", "http", "telemetry", "call", "config", "net", "codec", "upstream"], []),
    "admin": (EVERYTHING, ["h2o.h", "h2o/", "uv.h", "openssl/"]),
    "inject": (["base", "config", "telemetry"], ["jansson.h", "yaml.h"]),
    "webhook": (EVERYTHING, ["h2o.h", "uv.h"]),
    "sim": (EVERYTHING, []),
    "cli": (EVERYTHING, ["uv.h", "jansson.h"]),
    "main.c": (EVERYTHING, ["uv.h"]),
    "init": (["base"], ["libnftables", "nftables/"]),
}

FOREIGN = re.compile(r"^(uv|h2o|yaml|ares|ares_\w+|jansson)\.h$|"
                     r"^(mbedtls|nghttp2|openssl|h2o|uv|libnftables|nftables)/")
SOCKETS = re.compile(r"^(sys/(socket|un|epoll|select|ioctl)|netinet/\w+|arpa/inet|netdb|poll|net/if)\.h$")
WITHOUT_SOCKETS = {"policy", "http", "telemetry", "call", "config"}

PURE = {"policy", "http", "call"}  # no clock, chance, log, sockets: arguments only
CLOCKS = r"uv_hrtime|uv_now|clock_gettime|gettimeofday|clock|time"
# (modules, or None for all; what must not be called; why)
BANNED = [
    (PURE, CLOCKS, "a pure floor gets `now` as an argument"),
    (PURE, r"rand|random|rand_r|drand48|getrandom|arc4random\w*", "a pure floor gets a struct rng"),
    ({"policy", "http"}, r"malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf",
     "memory is the caller's, or an arena's"),
    (PURE, r"printf|fprintf|puts|fputs|perror|syslog|write|log_\w+", "a pure floor says nothing"),
    (PURE, r"uv_\w+|socket|connect|send|recv|sendmsg|recvmsg|read|open|close", "a pure floor touches no descriptor"),
    ({"codec", "upstream"}, CLOCKS, "one `now` per loop turn, handed down"),
    (None, r"sprintf|vsprintf|strcpy|strcat|gets|strtok|atoi|atol|alloca", "has no bound or no error"),
    (None, r"system|popen", "starts a shell"),
    (None, r"uv_getaddrinfo|getaddrinfo|gethostbyname", "blocks, or shares four threads: c-ares resolves names"),
    (None, r"uv_read_start|uv_write|uv_try_write", "the data path uses uv_poll_t with recv and send"),
    (None, r"phr_\w+", "libh2o exports these names: a global of ours would be called by it"),
]
EXEMPT = {  # module -> calls that it may make although they are banned for all
    "admin": r"uv_read_start|uv_write|uv_try_write",
    "webhook": r"uv_read_start|uv_write|uv_try_write",
    "cli": r"uv_read_start|uv_write|uv_try_write",
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)


def module_of(path):
    """path is relative to proxy/."""
    return path.parts[0]


def include_problems(path, text):
    """Yields (line, problem) for includes that the floor of `path` does not allow."""
    module = module_of(path)
    if module not in MODULES:
        yield 1, f"no floor for {module}: add a row to tests/lint/floors.py and to proxy/README.md"
        return
    modules, foreign = MODULES[module]
    for found in INCLUDE.finditer(text):
        line, kind, name = text.count("\n", 0, found.start()) + 1, found[1], found[2]
        if kind == '"':
            other = name.split("/")[0] if "/" in name else module
            if "/" in name and other not in MODULES:
                yield line, f'"{name}" is in no module: include paths are relative to proxy/'
            elif other != module and modules is not EVERYTHING and other not in modules:
                yield line, f"{module} may not include {other} (it may: {' '.join(modules) or 'libc only'})"
        elif FOREIGN.match(name) and not any(name.startswith(prefix) for prefix in foreign):
            owners = " ".join(owner for owner, row in MODULES.items() if any(name.startswith(f) for f in row[1]))
            yield line, f"{module} may not include <{name}> (only: {owners})"
        elif SOCKETS.match(name) and module in WITHOUT_SOCKETS:
            yield line, f"{module} never sees sockets, but includes <{name}>"


def call_problems(path, code):
    """Yields (line, problem) for banned calls; `code` has neither comments nor string contents."""
    module = module_of(path)
    for modules, names, why in BANNED:
        if modules is not None and module not in modules:
            continue
        for found in re.finditer(rf"(?<![\w.>])({names})\s*\(", code):
            if modules is None and module in EXEMPT and re.fullmatch(EXEMPT[module], found[1]):
                continue
            yield code.count("\n", 0, found.start()) + 1, f"calls {found[1]}(): {why}"
