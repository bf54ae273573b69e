"""Progress and log lines: what arrives twice, late or in other portions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from dispatcher import lifecycle, queries
from dispatcher.lifecycle.notes import record_notes
from dispatcher.models import LogChunk, Node, TaskProgress
from tests.db.lifecycle_steps import claim, submit
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


def say(node: Node, task_id: int, numbers: Sequence[int], attempt: int = 1) -> None:
    lines = [protocol.LogLine(task_id=str(task_id), attempt=attempt, n=n, text=f"line {n}") for n in numbers]
    record_notes([], lines, node_id=node.pk, now=NOW)


def said(task_id: int) -> list[int]:
    return [line["n"] for line in queries.task_logs(task_id, attempt=1)["lines"]]


def second_attempt(node: Node) -> int:
    """A task whose first attempt was given up as lost and that is on the node again."""
    (task_id,) = submit(backoff_seconds=0)
    claim(node)
    lifecycle.lose_held_by([node.pk], reason="silent", now=NOW)
    lifecycle.stage(now=NOW + timedelta(seconds=1))
    claim(node)
    return task_id


def test_lines_sent_again_together_with_newer_ones_are_stored_once_and_none_is_missing() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    # The answers to the first reports were lost: each time the node sends from the same line on.
    for count in (3, 5, 5, 4, 9):
        say(node, task_id, range(1, count + 1))
    assert said(task_id) == list(range(1, 10))
    assert sorted(LogChunk.objects.values_list("first_n", "last_n")) == [(1, 3), (4, 5), (6, 9)]


def test_lines_of_an_ended_attempt_of_the_node_are_still_welcome() -> None:
    node, other = make_node(), make_node()
    task_id = second_attempt(node)
    say(node, task_id, [1, 2])
    say(other, task_id, [3])
    assert said(task_id) == [1, 2]


def test_late_progress_of_an_earlier_attempt_does_not_hide_that_of_the_current_one() -> None:
    node = make_node()
    task_id = second_attempt(node)
    for attempt, fraction in ((2, 0.5), (1, 0.9)):
        progress = protocol.Progress(task_id=str(task_id), attempt=attempt, fraction=fraction)
        record_notes([progress], [], node_id=node.pk, now=NOW)
    stored = TaskProgress.objects.get()
    assert (stored.attempt, stored.fraction) == (2, 0.5)
