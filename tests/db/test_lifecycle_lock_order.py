"""Transactions that lock several of the same rows wait in one order: none of them ends as the victim of a deadlock."""

from __future__ import annotations

import random

import pytest

from dispatcher import lifecycle
from dispatcher.lifecycle import TaskSpec
from dispatcher.models import IdempotencyKey, Task, lanes
from dispatcher.models.lanes import LaneKey, lane_ids
from dispatcher.states import TERMINAL, TaskState
from tests.db.lifecycle_steps import claim, report, result, submit
from tests.db.test_lifecycle_races import at_once
from tests.factories import NOW, make_node

pytestmark = pytest.mark.django_db(transaction=True)


def test_many_ends_and_a_cancel_of_the_same_tasks_at_once() -> None:
    node = make_node()
    for seed in range(8):
        ids = submit(400, max_attempts=1)
        claim(node, limit=1000)
        order = random.Random(seed).sample(ids, len(ids))
        ends = [result(pk, outcome="failed" if place % 2 else "succeeded") for place, pk in enumerate(order)]

        def work(number: int, ids: list[int] = ids, ends: list[object] = ends) -> object:
            return lifecycle.cancel(ids, actor="op", now=NOW) if number else report(node, *ends)

        verdicts, _ = at_once(2, work)
        assert verdicts == ["recorded"] * len(ids)
    assert not Task.objects.exclude(state__in=TERMINAL).exists()
    assert Task.objects.filter(state=TaskState.SUCCEEDED).count() == 8 * 200


def test_the_same_idempotency_keys_in_another_order_at_once() -> None:
    for batch in range(5):
        specs = [TaskSpec(type="echo", idempotency_key=f"{batch}-{n}") for n in range(1500)]
        made = at_once(2, lambda n, specs=specs: lifecycle.submit(specs[:: 1 - 2 * n], submitted_by="a", now=NOW))
        assert [one.task_id for one in made[0]] == [one.task_id for one in reversed(made[1])]
    assert IdempotencyKey.objects.count() == Task.objects.count() == 5 * 1500


def test_new_lanes_are_made_in_one_order_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # Processes iterate over the same set of names in different orders, which one process cannot show.
    made: list[LaneKey] = []
    monkeypatch.setattr(lanes, "_get_or_create", lambda key: made.append(key) or len(made))
    keys = [LaneKey("q", f"type-{n}", "{}") for n in range(50)]
    lane_ids(reversed(keys))
    assert made == sorted(keys)
