"""``make fuzz``: mutated requests on both databases at once, and whether they answer alike. The last line counts."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.long_run import start, whole_report

DATABASES = ("sqlite", "postgres")
#: Of each kind of finding, so many are shown.
SHOWN = 10


def main() -> int:
    """Run it; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="requests on each database (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="other requests (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{name}.json" for name in DATABASES}
        runs = {name: start(name, count=options.count, seed=options.seed, report=files[name]) for name in DATABASES}
        reports = {name: whole_report(runs[name], files[name]) for name in DATABASES}
    codes = [reports[name]["codes"] for name in DATABASES]
    different = [number for number, pair in enumerate(zip(*codes, strict=True)) if len(set(pair)) > 1]
    for name, report in reports.items():
        print(f"{name}: {dict(sorted(Counter(report['codes']).items()))}")
        for finding in (*report["errors"][:SHOWN], *report["broken"][:SHOWN]):
            print(f"  {str(finding)[:1000]}")
    for number in different[:SHOWN]:
        print(f"different: {number} {[part[number] for part in codes]}")
    errors = sum(len(report["errors"]) for report in reports.values())
    broken = sum(len(report["broken"]) for report in reports.values())
    print(
        f"fuzz: {options.count} requests on each of {' and '.join(DATABASES)}, seed {options.seed}:"
        f" server errors {errors}, lists broken {broken}, different answers {len(different)}"
    )
    return int(bool(errors or broken or different))


if __name__ == "__main__":
    sys.exit(main())
