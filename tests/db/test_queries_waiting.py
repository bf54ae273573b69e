from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import snapshots
from dispatcher.models import SchedulerMemory
from dispatcher.queries import waiting
from dispatcher.queries.waiting import MAX_NODES
from dispatcher.scheduling.experience import Experience
from dispatcher.states import BreakerState, NodeIntent, TaskState
from tests.factories import NOW, make_lane, make_node, make_queue, make_task

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.QUEUED])
def test_only_a_ready_task_waits(state: TaskState) -> None:
    make_node("w-1")
    assert waiting(make_task(state=state).pk, NOW) is None
    assert waiting(12345, NOW) is None


def test_a_task_that_fits_waits_for_its_turn_only() -> None:
    make_node("w-1")
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert (found["kind"], found["node"], found["reasons"]) == ("turn", "w-1", [])
    assert found["nodes"] == [{"name": "w-1", "reasons": [], "avoided": False}]


def test_without_any_node_somebody_has_to_act() -> None:
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert (found["kind"], found["node"], found["nodes"]) == ("operator", None, [])
    assert found["reasons"] == [{"code": "no_nodes", "text": "no node has registered yet", "facts": {}}]
    assert found["because"] == [{**found["reasons"][0], "nodes": 0}]
    assert found["text"] == "No node has registered yet; somebody has to act."


def test_a_paused_queue_is_the_reason() -> None:
    make_node("w-1")
    make_queue("mail", pause_reason="SMTP moves", paused_by="bob", paused_at=NOW)
    found = waiting(make_task(queue="mail").pk, NOW)
    assert found is not None
    assert (found["kind"], [reason["code"] for reason in found["reasons"]]) == ("operator", ["queue_paused"])
    assert "SMTP moves" in found["text"]
    assert found["because"][0]["facts"] == {"queue": "mail", "why": "SMTP moves"}
    assert found["besides"] == []


def test_what_the_sentence_says_is_told_by_codes_with_how_many_nodes_each() -> None:
    for name in ("a", "b", "c"):
        make_node(name, intent=NodeIntent.RUN if name == "c" else NodeIntent.DRAIN, types={"other": {}})
    make_queue("mail", pause_reason="", paused_by="bob", paused_at=NOW)
    found = waiting(make_task(queue="mail").pk, NOW)
    assert found is not None
    assert [(cause["code"], cause["nodes"]) for cause in found["because"]] == [("queue_paused", 0)]
    assert [(cause["code"], cause["nodes"]) for cause in found["besides"]] == [("type_not_run", 3)]
    assert found["besides"][0]["facts"] == {"node": "a", "type": "echo"}


def test_every_node_tells_what_keeps_the_task_from_it() -> None:
    make_node("a-drained", labels={"gpu": "yes"}, intent=NodeIntent.DRAIN)
    make_node("b-bare")
    full = make_node("c-full", labels={"gpu": "yes"}, slots=1)
    make_task(state=TaskState.RUNNING, node=full)
    found = waiting(make_task(lane=make_lane(labels={"gpu": "yes"})).pk, NOW)
    assert found is not None
    assert found["kind"] == "transient"
    # The nearest to taking it first: what passes by itself, what somebody has to do, what can never be.
    assert [(row["name"], [reason["code"] for reason in row["reasons"]]) for row in found["nodes"]] == [
        ("c-full", ["node_full"]),
        ("a-drained", ["node_drained"]),
        ("b-bare", ["label_missing"]),
    ]


def test_a_breaker_is_believed_as_the_row_of_its_node_shows_it() -> None:
    make_node("w-1", breaker=BreakerState.OPEN)
    make_node("w-2", intent=NodeIntent.DRAIN)
    make_node("w-3")
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert (found["kind"], found["node"]) == ("turn", "w-3")
    assert [row["name"] for row in found["nodes"] if row["reasons"]] == ["w-1", "w-2"]


def test_speeds_that_engines_have_saved_choose_the_node() -> None:
    slow, fast = make_node("slow"), make_node("w-fast")
    learned = Experience()
    for number in range(20):
        at = NOW.timestamp() + number
        learned.observe(slow.pk, "echo", "succeeded", 9.0, at)
        learned.observe(fast.pk, "echo", "succeeded", 1.0, at)
    SchedulerMemory.objects.create(name=snapshots.EXPERIENCE, body=learned.export(), updated_at=NOW)
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert found["node"] == "w-fast"


def test_what_another_version_has_learned_is_left_alone() -> None:
    make_node("w-1")
    SchedulerMemory.objects.create(name=snapshots.EXPERIENCE, body={"version": 99}, updated_at=NOW)
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert found["node"] == "w-1"


def test_the_node_of_the_attempt_that_failed_is_avoided() -> None:
    bad, good = make_node("bad"), make_node("good")
    task = make_task(attempt=1, node=bad, queued_at=NOW - timedelta(seconds=1))
    found = waiting(task.pk, NOW)
    assert found is not None
    assert found["node"] == good.name
    assert [row["name"] for row in found["nodes"] if row["avoided"]] == ["bad"]


def test_of_many_nodes_those_that_could_take_it_are_named_and_the_others_counted() -> None:
    for number in range(MAX_NODES + 3):
        make_node(f"w-{number:03}", intent=NodeIntent.RUN if number == MAX_NODES else NodeIntent.DRAIN)
    found = waiting(make_task().pk, NOW)
    assert found is not None
    assert (len(found["nodes"]), found["nodes_omitted"]) == (MAX_NODES, 3)
    assert found["nodes"][0]["name"] == f"w-{MAX_NODES:03}"
