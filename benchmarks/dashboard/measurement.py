"""Makes the tables, fills them, measures; the environment names the database. See ``benchmarks.dashboard.__main__``."""

from __future__ import annotations

import json
import sys
import time

import django


def main() -> int:
    """Print a line per address, the slowest first."""
    options = json.loads(sys.argv[1])
    django.setup()
    from django.core.management import call_command

    from benchmarks.dashboard.history import make_history
    from benchmarks.dashboard.pages import measure

    call_command("migrate", verbosity=0)
    started = time.monotonic()
    make_history(options["tasks"])
    print(f"{options['tasks']:,} tasks made in {time.monotonic() - started:.0f} s")
    found = sorted(measure(options["rounds"]), key=lambda figures: -figures.p95)
    print(f"{'p95 ms':>8} {'median':>8} {'slowest statement':>18} {'statements':>11}  address")
    for one in found:
        print(
            f"{one.p95:8.1f} {one.median:8.1f} {one.slowest_statement:18.1f} {one.num_statements:11}  {one.address}"
            + (f"   <-- {', '.join(one.complaints)}" if one.complaints else "")
        )
    return 1 if any(one.complaints for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
