"""Reasons and sentences that an operator reads."""

from __future__ import annotations

import pytest

from dispatcher.scheduling.decision import decide
from dispatcher.scheduling.explain import explain
from dispatcher.scheduling.reasons import _MEANINGS, ReasonClass, ReasonCode
from dispatcher.scheduling.snapshot import LaneView, NodeView, QueueView, Snapshot, TaskHead
from dispatcher.states import BreakerState, NodeIntent, NodeState
from tests.unit.scheduling.builders import NOW, lane, node, snapshot

TASK = TaskHead(1)
WELL = node(2, 1)


@pytest.mark.parametrize(
    ("one", "view", "code", "reason_class", "text"),
    [
        (lane(), node(queues=frozenset({"x"})), "queue_not_served", "impossible", "node n1 does not serve queue q"),
        (lane(), node(types=frozenset({"x"})), "type_not_run", "impossible", "node n1 cannot run tasks of type t"),
        (lane(gpu="yes"), node(), "label_missing", "impossible", "node n1 has no label gpu=yes"),
        (
            lane(gpu="yes"),
            node(labels={"gpu": "no"}),
            "label_differs",
            "impossible",
            "node n1 has label gpu=no, not gpu=yes",
        ),
        (lane(), node(slots=0), "node_without_slots", "operator", "node n1 offers no slots"),
        (lane(), node(intent=NodeIntent.DISABLED), "node_disabled", "operator", "node n1 is disabled"),
        (lane(), node(intent=NodeIntent.DRAIN), "node_drained", "operator", "node n1 is being drained by an operator"),
        (lane(), node(state=NodeState.OFFLINE), "node_offline", "operator", "node n1 is offline"),
        (
            lane(),
            node(state=NodeState.SUSPECT),
            "node_suspect",
            "transient",
            "node n1 has not been heard from for a while",
        ),
        (lane(), node(draining=True), "node_stopping", "transient", "node n1 is shutting down and takes no more work"),
        (
            lane(),
            node(not_before=NOW + 4.2),
            "node_resting",
            "transient",
            "node n1 is left alone for another 5 s: it was unreachable or asked for a pause",
        ),
        (
            lane(),
            node(breaker=BreakerState.OPEN, breaker_until=NOW + 12),
            "breaker_open",
            "transient",
            "node n1 failed too many tasks in a row and gets none for another 12 s",
        ),
        (
            lane(),
            node(breaker=BreakerState.HALF_OPEN, in_flight={1: 1}),
            "breaker_trial",
            "transient",
            "node n1 failed too many tasks in a row and is being tried with one",
        ),
        (lane(), node(in_flight={1: 4}), "node_full", "transient", "node n1 is full: tasks in flight 4, slots 4"),
    ],
)
def test_each_gate_of_a_node_has_its_reason(
    one: LaneView, view: NodeView, code: str, reason_class: str, text: str
) -> None:
    # A second node keeps the breaker gate out of panic; it serves another queue.
    told = explain(snapshot([one], [view, node(2, queues=frozenset({"other"}))]), one, TASK)
    (reason,) = told.rows[0].reasons
    assert (reason.code, reason.reason_class, reason.node_id, reason.text) == (code, reason_class, 1, text)


def test_every_code_has_a_meaning() -> None:
    assert set(_MEANINGS) == set(ReasonCode)


def test_all_closed_gates_of_a_node_are_told() -> None:
    view = node(intent=NodeIntent.DRAIN, state=NodeState.OFFLINE, in_flight={1: 4})
    row = explain(snapshot([lane(gpu="yes")], [view]), lane(gpu="yes"), TASK).rows[0]
    assert [r.code for r in row.reasons] == ["label_missing", "node_drained", "node_offline", "node_full"]
    assert row.reason_class is ReasonClass.IMPOSSIBLE


def sentence(snap: Snapshot) -> tuple[ReasonClass | None, str]:
    told = explain(snap, snap.lanes[0], TASK)
    return told.reason_class, told.sentence


def test_a_sentence_counts_nodes_by_reason() -> None:
    nodes = [
        node(1, in_flight={1: 4}),
        node(2, in_flight={1: 4}),
        node(3, queues=frozenset("x")),
        node(4, draining=True),
    ]
    assert sentence(snapshot([lane()], nodes)) == (
        ReasonClass.TRANSIENT,
        "No node of 4 can take it: 2 full, 1 not serving queue q, 1 shutting down; this passes by itself.",
    )


def test_one_node_that_waits_for_an_operator_is_better_than_none() -> None:
    nodes = [node(1, intent=NodeIntent.DISABLED), node(2, types=frozenset("x"))]
    assert sentence(snapshot([lane()], nodes)) == (
        ReasonClass.OPERATOR,
        "No node of 2 can take it: 1 disabled, 1 unable to run type t; somebody has to act.",
    )


def test_an_impossible_task_is_called_so() -> None:
    assert sentence(snapshot([lane(gpu="yes")], [node()])) == (
        ReasonClass.IMPOSSIBLE,
        "Node n1 has no label gpu=yes; no registered node can ever run it as declared.",
    )


def test_without_nodes_somebody_has_to_start_one() -> None:
    assert sentence(snapshot([lane()], [])) == (
        ReasonClass.OPERATOR,
        "No node has registered yet; somebody has to act.",
    )


def test_a_paused_queue_tells_why_and_what_comes_after() -> None:
    queues = {"q": QueueView("q", paused=True, pause_reason="maintenance")}
    assert sentence(snapshot([lane()], [node(draining=True)], queues=queues)) == (
        ReasonClass.OPERATOR,
        (
            "Queue q is paused (maintenance); somebody has to act, and besides, "
            "node n1 is shutting down and takes no more work."
        ),
    )
    assert sentence(snapshot([lane()], [node()], queues=queues))[1] == (
        "Queue q is paused (maintenance); somebody has to act."
    )


def test_a_task_that_only_waits_its_turn_is_told_its_node() -> None:
    told = explain(snapshot([lane()], [node(1, in_flight={1: 3}), node(2)]), lane(), TaskHead(1, avoid_node_id=2))
    assert (told.reason_class, told.node_id) == (None, 1)
    assert told.sentence == "Nothing stands in its way: node n1 takes it when its turn comes."
    assert [row.is_avoided for row in told.rows] == [False, True]


def test_a_lane_that_no_snapshot_holds_can_be_explained() -> None:
    assert explain(snapshot([], [node()]), lane(5, type_="new"), TASK).node_id == 1


# --- panic -----------------------------------------------------------------------------------------------------------


def open_nodes(*more: NodeView) -> Snapshot:
    return snapshot(
        [lane(1, range(9))], [node(1, 2, breaker=BreakerState.OPEN), node(2, 2, breaker=BreakerState.OPEN), *more]
    )


def test_breakers_are_not_heeded_when_every_healthy_node_has_an_open_one() -> None:
    ill = [node(3, draining=True), node(4, intent=NodeIntent.DRAIN), node(5, state=NodeState.OFFLINE)]
    assert len(decide(open_nodes(*ill), 99).assignments) == 4


def test_breakers_are_heeded_while_one_healthy_node_is_left() -> None:
    assert {a.node_id for a in decide(open_nodes(node(3, 1)), 99).assignments} == {3}
    assert {a.node_id for a in decide(open_nodes(node(3, 1, breaker=BreakerState.HALF_OPEN)), 99).assignments} == {3}
