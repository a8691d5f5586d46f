"""./dev bench: CPU, memory and latency of Outrigger beside HAProxy, nginx and a bare TCP relay, in one run.

Method. Every contender runs on one core, the load generator and the upstream on the other; all stay up. A cycle
visits all of them in random order with a burst of load each. CPU per call is the change of /proc/PID/task/*/schedstat
over the calls of the burst; the ratio to HAProxy is taken within the cycle; the figures are medians and quartiles
over the cycles. Absolute numbers differ from machine to machine (and by a fifth from hour to hour), ratios hardly do.
bench_h1.py (HTTP/1.1, what is run by default), bench_h2.py (gRPC), bench_tcp.py (tunnels) and bench_tls.py (TLS to
upstreams) say what is measured.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import resource
import sys
import tempfile

import bench_h1
import bench_h2
import bench_tcp
import bench_tls
from contenders import BUILD, ROOT, versions
from measure import judge, progress, tell_gates

RESULTS = BUILD / "bench"
SUITES = {"h1": bench_h1, "h2": bench_h2, "tcp": bench_tcp, "tls": bench_tls}


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0],
                                     epilog="example: ./dev bench --cycles 3 --rate-runs 2   (a quick look)")
    parser.add_argument("suite", nargs="?", choices=SUITES, default="h1",
                        help="HTTP/1.1 calls, gRPC calls, tunnels, or TLS to the upstream (h1)")
    parser.add_argument("--cycles", type=int, default=8, help="cycles of bursts (8)")
    parser.add_argument("--burst", type=int, default=1, help="seconds of a burst (1)")
    parser.add_argument("--contenders", default="outrigger,haproxy,nginx,relay", help="who takes part")
    parser.add_argument("--gate", action="store_true", help="exit code 1 when a figure is beyond its limit")
    parser.add_argument("--seed", type=int, default=None, help="order of the visits")
    for name, suite in SUITES.items():
        suite.add_arguments(parser.add_argument_group(f"for {name}"))
    return parser.parse_args()


def main():
    args = parse_arguments()
    suite = SUITES[args.suite]
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: two cores are needed, one for the proxies and one for the load")
    if not suite.NEEDED <= set(args.contenders.split(",")):
        sys.exit(f"bench: --contenders must name {' and '.join(sorted(suite.NEEDED))}")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(16384, hard), hard))
    seed = args.seed if args.seed is not None else random.randrange(2**32)
    random.seed(seed)
    at = datetime.datetime.now(datetime.timezone.utc)
    proxy_core, load_core = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory(prefix="outrigger-bench-") as folder:
        result = suite.run(args, pathlib.Path(folder), proxy_core, load_core)
    result = {"at": at.isoformat(timespec="seconds"), "machine": platform.platform(), "seed": seed,
              "settings": vars(args), "versions": versions(), **result}
    result["gates"] = list(judge(suite.gates_of(result), result))
    progress("")
    suite.tell(result)
    tell_gates(result["gates"])
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{at:%Y%m%dT%H%M%SZ}{'' if args.suite == 'h1' else '-' + args.suite}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\n  kept as {path.relative_to(ROOT)}")
    sys.exit(1 if args.gate and not all(gate["holds"] for gate in result["gates"]) else 0)


if __name__ == "__main__":
    main()
