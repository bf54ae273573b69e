"""Fill a database with a week of tasks and ask for every page and list: server time, statements, what is too slow.

Exit status 1 if a page is above 150 ms at the 95th percentile (the overview 300), a statement above 2 s, or tasks are
counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.postgres_server import PostgresServer

DEFAULT_TASKS = {"postgres": 1_000_000, "sqlite": 200_000}


def main() -> int:
    """Measure in a process of its own, whose environment names the database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    parser.add_argument("--db", choices=DEFAULT_TASKS, default="postgres")
    parser.add_argument("--tasks", type=int, help="default: 1,000,000 on PostgreSQL, 200,000 on SQLite")
    parser.add_argument("--rounds", type=int, default=20, help="requests per address (default: 20)")
    parser.add_argument("--keep", help="an empty folder (SQLite only): keep the filled database there to look at it")
    options = parser.parse_args()
    tasks = options.tasks or DEFAULT_TASKS[options.db]
    with tempfile.TemporaryDirectory(prefix="taskdist-bench-") as scratch:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TASKDIST_")}
        environment = kept | {
            "TASKDIST_VAR": options.keep or str(Path(scratch) / "var"),
            "TASKDIST_DATABASE_URL": "",
            "TASKDIST_ALLOWED_HOSTS": "testserver",
            "DJANGO_SETTINGS_MODULE": "taskdist_site.settings",
        }
        if options.db == "sqlite":
            return _run(environment, tasks, options.rounds)
        with PostgresServer(durable=True) as server:
            return _run(environment | {"TASKDIST_DATABASE_URL": server.url}, tasks, options.rounds)


def _run(environment: dict[str, str], tasks: int, rounds: int) -> int:
    command = [sys.executable, "-m", "benchmarks.dashboard.measurement", json.dumps({"tasks": tasks, "rounds": rounds})]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
