from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher.queries import NodeFilter, nodes_document, queue_detail, queues
from dispatcher.queries.node_pool import SHOWN, TELLS_BEATS
from dispatcher.states import BreakerState, NodeIntent, NodeState, TaskState
from tests.factories import NOW, make_lane, make_node, make_queue, make_task

pytestmark = pytest.mark.django_db


def names(text: str = "") -> list[str]:
    return [node["name"] for node in nodes_document(NOW, wanted=NodeFilter.parse(text))["nodes"]]


def a_node_of_each_kind() -> None:
    """Their names tell their order: by what is wrong with them, worst first."""
    make_node("9-offline", state=NodeState.OFFLINE)
    make_node("8-suspect", state=NodeState.SUSPECT)
    make_node("7-breaker", breaker=BreakerState.OPEN)
    make_node("6-trial", breaker=BreakerState.HALF_OPEN)
    make_node("5-refusing", held_until=NOW + timedelta(seconds=9))
    make_task(state=TaskState.RUNNING, node=make_node("4-draining", intent=NodeIntent.DRAIN))
    make_node("3-drained", intent=NodeIntent.DRAIN)
    make_node("2-online")
    make_node("1-disabled", intent=NodeIntent.DISABLED)


def test_problems_come_first_and_each_node_has_one_status() -> None:
    a_node_of_each_kind()
    found = nodes_document(NOW)
    assert [node["name"] for node in found["nodes"]] == sorted(names(), reverse=True)
    assert all(node["name"].endswith(node["status"]) for node in found["nodes"])
    assert [cell["name"] for cell in found["cells"]] == [node["name"] for node in found["nodes"]]
    assert found["statuses"] == {status: 1 for status in found["statuses"] if status != "problem"} | {"problem": 5}


def test_the_filter_narrows_the_list_and_the_map_but_not_the_counts() -> None:
    a_node_of_each_kind()
    found = nodes_document(NOW, wanted=NodeFilter.parse("status:problem -suspect"))
    assert [node["status"] for node in found["nodes"]] == ["offline", "breaker", "trial", "refusing"]
    assert found["matching"] == len(found["cells"]) == 4
    assert found["statuses"]["suspect"] == 1
    assert found["nodes_total"] == 8


def test_nodes_are_found_by_queue_and_by_type() -> None:
    make_node("any")
    make_node("mail", queues=["mail"], types={"render": {}})
    make_node("none", types={})
    assert names("queue:mail") == ["any", "mail", "none"]
    assert names("queue:gpu") == ["any", "none"]
    assert names("type:render") == ["any", "mail"]


def test_the_list_ends_where_the_map_goes_on() -> None:
    for number in range(SHOWN + 2):
        make_node(f"w-{number:03}")
    found = nodes_document(NOW)
    assert (len(found["nodes"]), len(found["cells"]), found["matching"]) == (SHOWN, SHOWN + 2, SHOWN + 2)
    assert len(nodes_document(NOW, shown=None)["nodes"]) == SHOWN + 2


def test_a_large_pool_tells_of_heartbeats_only_when_they_are_late() -> None:
    for number in range(TELLS_BEATS - 1):
        make_node(f"w-{number:03}")
    late = make_node("late", last_seen_at=NOW - timedelta(seconds=20))
    assert all(node["last_seen_at"] for node in nodes_document(NOW)["nodes"])
    make_node("one-more")
    told = {node["name"]: node["last_seen_at"] for node in nodes_document(NOW)["nodes"]}
    assert [name for name, seen in told.items() if seen] == ["late"]
    assert told["late"] == late.last_seen_at


def test_a_version_that_most_do_not_have_stands_out() -> None:
    make_node("a", version="1.3.9")
    make_node("b", version="1.3.9")
    make_node("c", version="1.4.0")
    make_node("d", version="")
    found = nodes_document(NOW)
    assert found["usual_version"] == "1.3.9"
    assert [node["name"] for node in found["nodes"] if node["skew"]] == ["c"]


def test_a_queue_names_the_nodes_that_would_take_its_tasks() -> None:
    make_queue("mail")
    make_queue("gpu")
    a_node_of_each_kind()
    make_node("w-1", queues=["mail"])
    make_node("w-2", queues=["mail"])
    make_node("w-3", queues=["gpu"], draining=True)
    rows = {row["name"]: row for row in queues(NOW)}
    assert (rows["mail"]["served_by"], rows["mail"]["served_by_more"]) == (["2-online", "5-refusing", "6-trial"], 2)
    assert (rows["gpu"]["served_by"], rows["gpu"]["served_by_more"]) == (["2-online", "5-refusing", "6-trial"], 0)


def test_a_queue_without_nodes_says_so() -> None:
    make_queue("mail")
    make_node("w-1", queues=["gpu"])
    [row] = queues(NOW)
    assert (row["served_by"], row["served_by_more"]) == ([], 0)
    found = queue_detail("mail", NOW)
    assert found is not None
    assert (found["nodes"], found["nodes_matching"], found["slots_total"]) == ([], 0, 0)


def test_a_queue_has_its_last_hour_its_nodes_and_the_slots_that_get_work() -> None:
    node = make_node("w-1", queues=["mail"])
    make_node("w-2", queues=["gpu"])
    make_node("w-3", state=NodeState.OFFLINE)
    make_node("w-4", held_until=NOW + timedelta(seconds=9))
    make_task(state=TaskState.RUNNING, node=node, lane=make_lane("mail"))
    make_task(lane=make_lane("mail"))
    found = queue_detail("mail", NOW)
    assert found is not None
    assert [one["name"] for one in found["nodes"]] == ["w-3", "w-4", "w-1"]
    assert (found["slots_busy"], found["slots_total"]) == (1, 8)
    assert (found["queue"]["depth"], found["queue"]["active"]) == (1, 1)
    assert len(found["series"]) == 60
    assert [found["series"][-1]["depth"], found["series"][0]["depth"]] == [1, 0]


@pytest.mark.parametrize("name", ["nobody", "a\x00b", ""])
def test_there_is_no_document_of_a_queue_that_does_not_exist(name: str) -> None:
    assert queue_detail(name, NOW) is None
