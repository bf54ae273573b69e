from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.models.task import parse_task_id
from dispatcher.queries import FilterError, TaskFilters
from dispatcher.states import TaskState


def parse(query: str, **options) -> TaskFilters:
    return TaskFilters.parse(QueryDict(query), **options)


def test_no_parameters_mean_no_filter() -> None:
    assert parse("") == TaskFilters()
    assert parse("state=&queue=&tag=") == TaskFilters()


def test_several_values_may_be_repeated_or_separated_by_commas() -> None:
    filters = parse("state=failed,queued&state=running&queue=gpu&queue=cpu")
    assert filters.states == {TaskState.FAILED, TaskState.QUEUED, TaskState.RUNNING}
    assert filters.queues == {"gpu", "cpu"}


def test_times_have_a_zone() -> None:
    moment = datetime(2026, 11, 23, 8, 57, 11, tzinfo=UTC)
    assert parse("created_after=2026-11-23T08:57:11Z").created_after == moment
    # Unquoted in a query string, the plus arrives as a space.
    assert parse("created_before=2026-11-23T16:57:11+08:00").created_before == moment


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("stat=failed", "stat"),
        ("state=faild", "state"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-11-23T16:57:11", "created_after"),
        ("created_after=2026-13-41T16:57:11Z", "created_after"),
        ("retry_of=x", "retry_of"),
        ("retry_of=-1", "retry_of"),
        ("retry_of=99999999999999999999", "retry_of"),
        ("node=a&node=b", "node"),
        ("tag=" + "x" * 201, "tag"),
        ("tag=%00", "tag"),
        ("type=" + ",".join(f"t{n}" for n in range(51)), "type"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(query: str, name: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse(query)
    assert refused.value.name == name


def test_an_unknown_name_is_answered_with_the_one_meant() -> None:
    with pytest.raises(FilterError, match="did you mean 'queue'"):
        parse("queu=gpu")


def test_names_of_the_caller_are_left_alone() -> None:
    assert parse("limit=10&queue=gpu", ignore=("limit",)).queues == {"gpu"}


def test_a_mapping_of_strings_is_read_as_well() -> None:
    assert TaskFilters.parse({"state": "failed", "queue": ["a", "b"]}).queues == {"a", "b"}
    with pytest.raises(FilterError):
        TaskFilters.parse({"queue": 7})


@pytest.mark.parametrize(
    "query",
    ["state=failed,running&queue=gpu&type=a,b&node=w-1&tag=x&retry_of=7", "created_after=2026-11-23T08:57:11Z", ""],
)
def test_the_canonical_parameters_mean_the_same(query: str) -> None:
    filters = parse(query)
    assert TaskFilters.parse(filters.params()) == filters


@given(st.dictionaries(st.sampled_from(["state", "queue", "tag", "created_after", "retry_of", "x"]), st.text()))
def test_any_text_is_read_or_refused(params: dict[str, str]) -> None:
    with contextlib.suppress(FilterError):
        TaskFilters.parse(params)


@pytest.mark.parametrize(
    ("text", "expected"), [("17", 17), ("0", None), ("-1", None), ("1e3", None), ("", None), ("\u0661", None)]
)
def test_a_task_id_is_a_string_of_digits(text: str, expected: int | None) -> None:
    assert parse_task_id(text) == expected
