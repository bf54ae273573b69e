"""Run the benchmark on each database in a process of its own, print a table, and write the figures as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.postgres_server import PostgresServer

DATABASES = ("sqlite", "postgres")


def main() -> int:
    """Exit status 1 if a run did not finish with every task done once."""
    options = _options()
    figures: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "settings": {name: getattr(options, name) for name in ("tasks", "singles", "rounds", "workers", "slots")},
        "runs": {},
    }
    for database in options.db or DATABASES:
        found = _run(database, options)
        if found is None:
            return 1
        figures["runs"][database] = found
    _print(figures["runs"])
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--db", action="append", choices=DATABASES, help="only this database (default: both)")
    parser.add_argument("--tasks", type=int, default=20_000, help="no-op tasks per round (default: 20000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts (default: 3)")
    parser.add_argument("--singles", type=int, default=100, help="single submits on an idle system (default: 100)")
    parser.add_argument("--workers", type=int, default=2, help="worker nodes (default: 2)")
    parser.add_argument("--slots", type=int, default=4, help="slots of each (default: 4)")
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args()


def _run(database: str, options: argparse.Namespace) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory(prefix="taskdist-bench-") as var:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
        environment |= {
            "TASKDIST_VAR": str(Path(var) / "var"),
            "TASKDIST_DATABASE_URL": "",
            "DJANGO_SETTINGS_MODULE": "taskdist_site.settings",
        }
        if database == "sqlite":
            return _run_with(environment, options)
        with PostgresServer(durable=True) as server:
            return _run_with(environment | {"TASKDIST_DATABASE_URL": server.url}, options)


def _run_with(environment: dict[str, str], options: argparse.Namespace) -> dict[str, Any] | None:
    given = {name: getattr(options, name) for name in ("tasks", "rounds", "singles", "workers", "slots")}
    command = [sys.executable, "-m", "benchmarks.measurement", json.dumps(given)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _print(runs: dict[str, dict[str, Any]]) -> None:
    rows = (
        ("end to end, tasks/s (median)", "tasks_per_second", "{:,.0f}"),
        ("submitting, tasks/s (median)", "submitted_per_second", "{:,.0f}"),
        ("submit to start, idle, p50 ms", "idle_start_p50_ms", "{:.1f}"),
        ("submit to start, idle, p99 ms", "idle_start_p99_ms", "{:.1f}"),
        ("CPU, µs per task: web", "cpu_us_web", "{:.0f}"),
        ("CPU, µs per task: engine", "cpu_us_engine", "{:.0f}"),
        ("CPU, µs per task: workers", "cpu_us_workers", "{:.0f}"),
    )
    print("\n| | " + " | ".join(runs) + " |\n|---" + "|---" * len(runs) + "|")
    for label, key, form in rows:
        print(f"| {label} | " + " | ".join(form.format(run[key]) for run in runs.values()) + " |")


if __name__ == "__main__":
    sys.exit(main())
