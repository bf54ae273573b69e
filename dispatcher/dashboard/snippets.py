"""A task as a program that submits it again. Payloads stay text, so that every digit of them stays as it was."""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

from dispatcher.queries.shapes import TaskDetail

_FIELDS: Final = (
    "type", "queue", "priority", "max_attempts", "timeout_seconds", "backoff_seconds", "backoff_cap_seconds", "labels",
    "affinity_key", "tags",
)  # fmt: skip

_PYTHON: Final = """import os
import urllib.request

body = {body}
request = urllib.request.Request(
    {address},
    data=body.encode(),
    headers={{
        "Authorization": "Bearer " + os.environ["TASKDIST_TOKEN"],
        "Content-Type": "application/json",
    }},
)
with urllib.request.urlopen(request, timeout=30) as answer:
    print(answer.read().decode())
"""


def programs(task: TaskDetail, origin: str) -> dict[str, str]:
    """What a shell and what Python runs to submit a task like this one at ``origin``."""
    fields: dict[str, Any] = {name: task[name] for name in _FIELDS if task[name] is not None}
    body = f'{json.dumps(fields, ensure_ascii=False)[:-1]}, "payload": {task["payload"]}}}'
    address = f"{origin}/api/v1/tasks"
    curl = " \\\n".join(
        (
            f"curl -X POST {shlex.quote(address)}",
            '  -H "Authorization: Bearer $TASKDIST_TOKEN"',
            '  -H "Content-Type: application/json"',
            f"  -d {shlex.quote(body)}",
        )
    )
    # What JSON writes as a string, Python reads as one.
    text = _PYTHON.format(body=json.dumps(body, ensure_ascii=False), address=json.dumps(address))
    return {"curl": curl, "python": text}
