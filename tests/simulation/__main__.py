"""``make simulate``: many histories, the first that breaks a rule named by its seed. The last line counts."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.long_run import prepare, run

#: Seeds handed to a process at a time.
BATCH = 25


def main() -> int:
    """Run them; 1 if a rule was broken."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100_000, help="histories (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="at the same time (%(default)s)")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first broken rule")
    options = parser.parse_args()
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    done, broken = _simulate(seeds, processes=options.processes, keep_going=options.keep_going)
    if broken:
        first = min(broken)
        print(f"simulate: {len(broken)} of {done} histories broke a rule, first seed {first};", end=" ")
        print(f"once more: make simulate FIRST={first} SEEDS=1")
    else:
        print(f"simulate: {done} histories, every rule held ({time.monotonic() - began:.1f} s)")
    return int(bool(broken))


def _simulate(seeds: range, *, processes: int, keep_going: bool) -> tuple[int, dict[int, str]]:
    done, broken = 0, dict[int, str]()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=prepare) as pool:
        batches = [seeds[at : at + BATCH] for at in range(0, len(seeds), BATCH)]
        # In the order of the seeds, so that the first to break a rule is the first there is.
        for batch, found in zip(batches, pool.map(run, batches), strict=True):
            done += len(batch)
            broken |= found
            for seed, why in found.items():
                print(f"seed {seed}: {why}")
            if sys.stdout.isatty():
                print(f"{done} of {len(seeds)} …", end="\r", flush=True)
            if broken and not keep_going:
                pool.shutdown(cancel_futures=True)
                break
    return done, broken


if __name__ == "__main__":
    sys.exit(main())
