"""``make fuzz``: hostile requests on both databases at once.

First mutations of good requests, which both have to answer alike; then what schemathesis makes of the OpenAPI document,
whose answers have to be as documented. A line for each counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fuzz.long_run import MUTATIONS, SCHEMA, start, whole_report

DATABASES = ("sqlite", "postgres")
#: Of each kind of finding, so many are shown.
SHOWN = 10
#: Requests out of the document to one mutated request: they take four times as long.
SCHEMA_SHARE = 0.25


def main() -> int:
    """Run it; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="mutated requests on each database (%(default)s)")
    parser.add_argument(
        "--schema-count", type=int, help="requests out of the OpenAPI document on each database (a quarter of these)"
    )
    parser.add_argument("--seed", type=int, default=1, help="other requests (%(default)s)")
    options = parser.parse_args()
    schema_count = options.schema_count
    if schema_count is None:
        schema_count = round(options.count * SCHEMA_SHARE)
    runs = (("fuzz", MUTATIONS, options.count), ("schemathesis", SCHEMA, schema_count))
    # All of them, also after one that found something.
    found = [_is_found(name, test, count, options.seed) for name, test, count in runs if count]
    return int(any(found))


def _is_found(name: str, test: str, count: int, seed: int) -> bool:
    """Run one kind on both databases, and say what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        files = {database: Path(folder) / f"{database}.json" for database in DATABASES}
        runs = {
            database: start(database, count=count, seed=seed, report=file, test=test)
            for database, file in files.items()
        }
        reports = {database: whole_report(runs[database], files[database]) for database in DATABASES}
    kinds = ("errors", "undocumented", "broken")
    for database, report in reports.items():
        print(f"{database}: {dict(sorted(Counter(report['codes']).items()))}")
        for kind in kinds:
            for finding in report.get(kind, [])[:SHOWN]:
                print(f"  {kind}: {str(finding)[:1000]}")
    # schemathesis does not draw the same requests in every process.
    different = _different(reports) if test == MUTATIONS else []
    found = {kind: sum(len(report.get(kind, [])) for report in reports.values()) for kind in kinds}
    last = (
        f"different answers {len(different)}" if test == MUTATIONS else f"undocumented answers {found['undocumented']}"
    )
    print(
        f"{name}: {len(reports[DATABASES[0]]['codes'])} requests on each of {' and '.join(DATABASES)}, seed {seed}:"
        f" server errors {found['errors']}, lists broken {found['broken']}, {last}",
        flush=True,
    )
    return bool(different or any(found.values()))


def _different(reports: dict[str, dict[str, Any]]) -> list[int]:
    """The numbers of the requests that were not answered alike."""
    codes = [reports[database]["codes"] for database in DATABASES]
    different = [number for number, pair in enumerate(zip(*codes, strict=True)) if len(set(pair)) > 1]
    for number in different[:SHOWN]:
        print(f"different: {number} {[part[number] for part in codes]}")
    return different


if __name__ == "__main__":
    sys.exit(main())
