"""The page that the browser side is written from agrees with what is sent."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dispatcher.live import consumer, messages
from dispatcher.queries import shapes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "live_protocol.md").read_text()
EXAMPLES: list[dict[str, Any]] = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


def members(shape: type) -> set[str]:
    return set(shape.__annotations__) | {
        name
        for base in getattr(shape, "__orig_bases__", ())
        if hasattr(base, "__annotations__")
        for name in members(base)
    }


def test_the_overview_of_the_page_has_the_members_of_the_real_one() -> None:
    data = next(example["data"] for example in EXAMPLES if example["type"] == "snapshot" and example["data"])
    assert set(data) == members(shapes.Overview)
    for name, shape in {
        "counts": shapes.Counts,
        "oldest_wait": shapes.OldestWait,
        "series": shapes.SeriesPoint,
        "nodes": shapes.NodeListRow,
        "stuck": shapes.Stuck,
        "failures": shapes.FailureGroup,
    }.items():
        shown = data[name][0] if isinstance(data[name], list) else data[name]
        assert set(shown) == members(shape), name


def test_messages_of_the_page_are_understood() -> None:
    own = [example for example in EXAMPLES if example["type"] == "sub"]
    own += [json.loads(text) for text in re.findall(r'`(\{"type":"(?:sub|unsub|visible|ack|ping)".*?\})`', PAGE)]
    assert {example["type"] for example in own} == {"sub", "unsub", "visible", "ack", "ping"}
    for example in own:
        messages.decode(json.dumps(example))


def test_close_codes_of_the_page_are_those_in_use() -> None:
    codes = [value for name, value in vars(consumer).items() if name.startswith("CLOSE_")]
    assert all(f"| {code} |" in PAGE for code in codes)
