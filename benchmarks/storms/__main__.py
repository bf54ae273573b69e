"""Run storms, print a table of figures; exit status 1 if one is missed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.storms import floods, outages
from benchmarks.storms.site import Figure, Site, site

STORMS: dict[str, Callable[[Site, argparse.Namespace], list[Figure]]] = {
    "t6": outages.database_restarts,
    "t11": outages.retry_herd,
    "t12": floods.overload,
    "t16": floods.half_open_sockets,
}


def main() -> int:
    """Each storm has an installation of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storms", description=__doc__)
    parser.add_argument("storm", nargs="*", choices=[*STORMS, []], help="which (default: all)")
    parser.add_argument("--db", action="append", choices=("sqlite", "postgres"), help="on this one (default: both)")
    parser.add_argument("--cycles", type=int, default=15, help="t6: outages (default: 15)")
    parser.add_argument("--seconds", type=float, default=20.0, help="t6: from one to the next (default: 20)")
    parser.add_argument("--tasks", type=int, default=20_000, help="t11: tasks, of which half fail (default: 20000)")
    parser.add_argument("--overload-seconds", type=float, default=60.0, help="t12: how long (default: 60)")
    parser.add_argument("--sockets", type=int, default=2000, help="t16: half-open connections (default: 2000)")
    options = parser.parse_args()
    missed = False
    for name in options.storm or STORMS:
        for kind in options.db or ("sqlite", "postgres"):
            with tempfile.TemporaryDirectory(prefix="taskdist-storm-") as folder, site(kind, Path(folder)) as made:
                figures = STORMS[name](made, options)
            for figure in figures:
                print(f"| {name} | {kind} | {figure.name} | {figure.value} | {figure.wanted} |", flush=True)
                missed = missed or not figure.is_met
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
