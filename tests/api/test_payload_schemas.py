"""Submission checks payloads by the schemas that the nodes advertise: 422, field by field, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from dispatcher import node_registry, task_types
from dispatcher.models import Lane, Node, Queue, Task
from dispatcher.states import NodeState
from tests.api.conftest import Answer, Caller
from tests.factories import NOW, make_node
from workers import protocol

TASKS = "/api/v1/tasks"
RENDER = {
    "type": "object",
    "properties": {"scene": {"type": "string"}, "frame": {"type": "integer", "minimum": 1}},
    "required": ["scene"],
    "additionalProperties": False,
}
GOOD: dict[str, Any] = {"type": "render", "payload": {"scene": "a", "frame": 2}}
BAD: dict[str, Any] = {"type": "render", "payload": {"frame": 0}}

pytestmark = pytest.mark.django_db


def register(name: str, schema: dict[str, Any] | None = None, *, type_name: str = "render", version: str = "1") -> Node:
    """The node has started and says what it runs."""
    node = Node.objects.filter(name=name).first() or make_node(name)
    message = protocol.Register(
        name=name,
        url="http://127.0.0.1:9",
        boot_id=f"boot-{name}-{version}",
        types={type_name: protocol.TypeInfo(version=version, schema=schema)},
    )
    return node_registry.register(message, node=node, now=NOW)


@pytest.fixture
def render() -> Node:
    return register("w-1", RENDER)


def nothing_stored() -> bool:
    return not (Task.objects.exists() or Lane.objects.exists() or Queue.objects.exists())


def refused(answer: Answer, *fields: tuple[int | None, str]) -> bool:
    return (
        answer.status == 422
        and answer.type == "application/problem+json"
        and answer.json["type"] == "urn:taskdist:problem:payload-mismatch"
        and answer.fields == list(fields)
        and nothing_stored()
    )


@pytest.mark.usefixtures("render")
def test_one_task_is_refused_field_by_field(operator: Caller) -> None:
    answer = operator.post(TASKS, BAD)
    assert refused(answer, (None, "payload.scene"), (None, "payload.frame"))
    assert [error["message"] for error in answer.json["errors"]] == ["is required", "must be at least 1"]
    assert operator.post(TASKS, GOOD).status == 201


@pytest.mark.usefixtures("render")
def test_of_a_batch_with_one_bad_task_none_is_stored(operator: Caller) -> None:
    others = [GOOD, {"type": "other", "payload": "anything"}]
    for body in ([*others, BAD], {"tasks": [*others, BAD]}):
        assert refused(operator.post(TASKS, body), (2, "payload.scene"), (2, "payload.frame"))
    assert operator.post(TASKS, others).status == 201


@pytest.mark.usefixtures("render")
def test_the_tutorials_route_checks_as_well(operator: Caller) -> None:
    body = {"taskId": "a", "type": "render", "payload": {"scene": 5}}
    assert refused(operator.post("/task", body), (None, "payload.scene"))
    assert operator.post("/task", body | {"payload": {"scene": "a"}}).status == 201


@pytest.mark.usefixtures("render")
def test_what_is_malformed_is_400_whatever_the_schema_says(operator: Caller) -> None:
    answer = operator.post(TASKS, BAD | {"priority": 1000})
    assert (answer.status, answer.fields) == (400, [(None, "priority")])


@pytest.mark.usefixtures("render")
def test_an_operators_retry_of_an_old_payload_is_not_checked(operator: Caller) -> None:
    register("w-1", None, version="0")
    task_id = operator.post(TASKS, BAD).json["id"]
    operator.post(f"{TASKS}/{task_id}/cancel", {})
    register("w-1", RENDER, version="2")
    assert operator.post(f"{TASKS}/{task_id}/retry", {}).status == 201


def test_types_without_a_schema_and_unknown_types_take_anything(operator: Caller) -> None:
    register("w-1", None)
    assert operator.post(TASKS, BAD).status == 201
    assert operator.post(TASKS, {"type": "unheard-of", "payload": [1]}).status == 201


def test_the_schema_of_most_online_nodes_counts(operator: Caller) -> None:
    lenient = {"type": "object"}
    register("w-1", RENDER)
    register("w-2", lenient)
    register("w-3", lenient)
    assert operator.post(TASKS, BAD).status == 201
    Node.objects.filter(name="w-3").update(state=NodeState.OFFLINE)
    register("w-1", RENDER, version="2")
    task_types.look_again()
    # One against one: the latest start has the last word, here by name, for both started at once.
    assert task_types.known()["render"].digests == {offer.word.digest for offer in task_types.known()["render"].offers}
    Node.objects.filter(name="w-2").update(state=NodeState.OFFLINE)
    task_types.look_again()
    assert operator.post(TASKS, BAD).status == 422


def test_the_last_schema_goes_on_counting_when_no_node_is_online(operator: Caller) -> None:
    register("w-1", RENDER)
    Node.objects.update(state=NodeState.OFFLINE)
    task_types.look_again()
    assert operator.post(TASKS, BAD).status == 422


def test_a_node_that_comes_back_without_the_schema_takes_it_away(operator: Caller) -> None:
    register("w-1", RENDER)
    assert operator.post(TASKS, BAD).status == 422
    register("w-1", None, version="2")
    assert operator.post(TASKS, BAD).status == 201


def test_a_schema_that_is_too_large_hurts_nobody_and_is_noted(operator: Caller) -> None:
    register("w-1", {"title": "x" * protocol.MAX_SCHEMA_BYTES, "type": "string"})
    assert operator.post(TASKS, BAD).status == 201
    assert "the most is 65536" in task_types.known()["render"].newest.schema_error


def test_members_keep_the_order_in_which_the_node_gave_them() -> None:
    names = ["zebra", "apple", "mango", "b"]
    register("w-1", {"type": "object", "properties": {name: {"type": "string"} for name in names}})
    schema = task_types.known()["render"].chosen.schema
    assert schema is not None
    assert list(schema["properties"]) == names


def test_what_many_nodes_say_alike_is_read_once(operator: Caller, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        register(f"w-{number}", RENDER)
    task_types.forget()
    with django_assert_max_num_queries(3):
        assert len(task_types.known()["render"].offers) == 20
    with django_assert_max_num_queries(0):
        task_types.with_schema()


def test_schemas_of_a_masked_word_show_no_secret(operator: Caller) -> None:
    register("w-1", {"properties": {"key": {"enum": ["AKIAIOSFODNN7EXAMPLE"]}}})
    answer = operator.post(TASKS, {"type": "render", "payload": {"key": "AKIAIOSFODNN7EXAMPLF"}})
    assert answer.status == 422
    assert b"AKIA" not in answer.content
