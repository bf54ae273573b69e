"""The truth of an installation's tables, read past everything that is tested."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from typing import Any

import psycopg

from dispatcher.states import TaskState
from tests.launch.installation import Installation


def rows(installed: Installation, sql: str) -> list[tuple[Any, ...]]:
    """What a query without parameters finds."""
    url = installed.environment["TASKDIST_DATABASE_URL"]
    if url:
        with psycopg.connect(url) as connection:
            return connection.execute(sql).fetchall()
    connection = sqlite3.connect(f"file:{installed.var / 'taskdist.sqlite3'}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def counts(installed: Installation) -> dict[str, int]:
    """Tasks per state, counted one by one."""
    found = dict(rows(installed, "SELECT state, count(*) FROM dispatcher_task GROUP BY state"))
    return {state.word: found.get(state.value, 0) for state in TaskState}


def ends_per_task(installed: Installation) -> Counter[int]:
    """How often the feed says of each task that it ended."""
    found: Counter[int] = Counter()
    for (body,) in rows(installed, "SELECT body FROM dispatcher_change WHERE kind = 'tasks.changed'"):
        found.update(row[0] for row in json.loads(body)["rows"] if row[2] >= TaskState.SUCCEEDED)
    return found
