from __future__ import annotations

from typing import Any

import pytest

from dispatcher.queries import NodeFilter, NodeFilterError


def row(**fields: Any) -> dict[str, Any]:
    return {"name": "w-1", "status": "online", "labels": {"gpu": "yes"}, "version": "1.4.0"} | fields


def holds(text: str, queues: tuple[str, ...] = (), types: tuple[str, ...] | None = None, **fields: Any) -> bool:
    return NodeFilter.parse(text).matches(row(**fields), queues, types)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("W-1", True),
        ("w-2", False),
        ("-w-2", True),
        ("-w-1", False),
        ("status:online", True),
        ("status:offline,online", True),
        ("status:problem", False),
        ("-status:problem", True),
        ("label:gpu", True),
        ("label:gpu=yes", True),
        ("label:gpu=no", False),
        ("label:gpu=no,gpu=yes", True),
        ("label:colour", False),
        ("version:1.4", True),
        ("version:1.5", False),
        ("  w   label:gpu ", True),
        ("w label:colour", False),
    ],
)
def test_terms_hold_together_or_not_at_all(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize("status", ["offline", "suspect", "breaker", "trial", "refusing"])
def test_problems_are_what_somebody_should_look_at(status: str) -> None:
    assert holds("status:problem", status=status)


@pytest.mark.parametrize("status", ["draining", "drained", "online", "disabled"])
def test_what_an_operator_wanted_is_no_problem(status: str) -> None:
    assert not holds("status:problem", status=status)


def test_a_node_that_names_no_queues_serves_all_and_one_that_names_no_types_runs_any() -> None:
    assert holds("queue:mail")
    assert holds("queue:mail", queues=("mail", "gpu"))
    assert not holds("queue:mail", queues=("gpu",))
    assert holds("type:render")
    assert holds("type:render", types=("render",))
    assert not holds("type:render", types=())


def test_types_are_asked_for_only_where_the_filter_needs_them() -> None:
    assert NodeFilter.parse("w -type:render").needs_types
    assert not NodeFilter.parse("w queue:mail").needs_types


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("stat:offline", "Try: status"),
        ("colour:red", "Try: status, label, queue, type, version"),
        ("status:ofline", "Try: offline"),
        ("status:zzz", "Try: problem, offline"),
        ("status:", "“status:” needs a value."),
        ("label:,", "“label:” needs a value."),
        ("w" * 151, "too long"),
        ("w\x00", "not readable"),
    ],
)
def test_what_makes_no_sense_is_said_with_what_does(text: str, hint: str) -> None:
    with pytest.raises(NodeFilterError, match=hint):
        NodeFilter.parse(text)
