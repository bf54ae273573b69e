"""Whether a secret of the run stands where anybody may read it: logs, events, lists."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.chaos.records import Records


def leaks(folder: Path, records: Records, secrets: Mapping[str, str], answers: Iterable[str]) -> list[str]:
    """Places where one of the ``secrets`` (name → value) is found. ``answers``: what the API showed of all tasks."""
    texts = {f"log/{path.name}": path.read_text(errors="replace") for path in sorted((folder / "log").iterdir())}
    texts["the feed"] = "\n".join(json.dumps(change.body) for change in records.changes)
    texts["a list of the API"] = "\n".join(answers)
    return [
        f"{name} in {place}"
        for place, text in texts.items()
        for name, value in secrets.items()
        if value and value in text
    ]
