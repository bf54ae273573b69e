"""What can be subscribed to: which document a topic is about, and which news make it worth reading again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from dispatcher import queries
from dispatcher.events import TaskChange
from dispatcher.live.deltas import Document
from dispatcher.live.messages import ErrorCode, TasksParams
from dispatcher.live.news import News
from dispatcher.models.lanes import lanes_by_id
from dispatcher.models.task import parse_task_id
from dispatcher.queries import NodeFilter, NodeFilterError, shapes
from dispatcher.queries.audit import AuditFilters, newest_action
from dispatcher.queries.counts import LiveCounts
from dispatcher.queries.filters import FilterError, TaskFilters, is_of_lane
from dispatcher.queries.node_pool import SHOWN
from dispatcher.queries.tasks_document import MAX_NEW, Screen, count_new, lane_counts, tasks_document
from dispatcher.states import ACTIVE, TaskState


class TopicError(ValueError):
    """There is no such topic, or its parameters make no sense."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class PassReads:
    """What several topics read in one pass, read once."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    @cached_property
    def counts(self) -> LiveCounts:
        """The counts of tasks."""
        return queries.live_counts()


class Topic(ABC):
    """One document. ``note`` and ``read`` are called by the hub's thread only.

    News that are ``lost`` make ``read`` look at everything again.
    """

    #: What subscribers call it, and the shape of its document: types of the scripts are made from these.
    pattern: ClassVar[str] = ""
    shape: ClassVar[type | None] = None
    #: Members that are lists of rows, and the key of their rows.
    lists: ClassVar[Mapping[str, str]] = {}
    #: Read again after so many seconds even without news: heartbeats and the clock make none.
    max_age: ClassVar[float] = 1.0
    #: Whether ``note`` looks into the news.
    wants_details: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def key(self) -> Hashable:
        """Equal for subscriptions that see the same document."""
        return self.name

    def note(self, news: News) -> bool:
        """Whether the news may have changed the document."""
        return news.moved

    @abstractmethod
    def read(self, reads: PassReads) -> Document | None:
        """The document as of now; None if what it is about does not exist."""


class OverviewTopic(Topic):
    """``overview``"""

    pattern: ClassVar = "overview"
    shape: ClassVar = shapes.Overview
    lists: ClassVar = {"series": "minute", "nodes": "name", "cells": "name"}

    def read(self, reads: PassReads) -> Document:
        return queries.overview(reads.now, reads.counts)


class NodesTopic(Topic):
    """``nodes``, ``nodes:q=<filter>``, ``nodes:all=1``, ``nodes:q=<filter>&all=1``"""

    pattern: ClassVar = "nodes"
    shape: ClassVar = shapes.NodesDocument
    lists: ClassVar = {"nodes": "name", "cells": "name"}

    def __init__(self, name: str, wanted: NodeFilter, *, shows_all: bool) -> None:
        super().__init__(name)
        self._wanted = wanted
        self._shown = None if shows_all else SHOWN

    def read(self, reads: PassReads) -> Document:
        return queries.nodes_document(reads.now, reads.counts, wanted=self._wanted, shown=self._shown)


class QueuesTopic(Topic):
    """``queues``"""

    pattern: ClassVar = "queues"
    shape: ClassVar = shapes.QueuesDocument
    lists: ClassVar = {"queues": "name"}

    def read(self, reads: PassReads) -> Document:
        return queries.queues_document(reads.now, reads.counts)


class QueueTopic(Topic):
    """``queue:<name>``"""

    pattern: ClassVar = "queue:<name>"
    shape: ClassVar = shapes.QueueDetail
    lists: ClassVar = {"series": "minute", "nodes": "name"}

    def __init__(self, name: str, queue: str) -> None:
        super().__init__(name)
        self._queue = queue

    def read(self, reads: PassReads) -> Document | None:
        return queries.queue_detail(self._queue, reads.now, reads.counts)


class NodeTopic(Topic):
    """``node:<name>``"""

    pattern: ClassVar = "node:<name>"
    shape: ClassVar = shapes.NodeDetail
    lists: ClassVar = {"tasks": "id", "series": "minute", "events": "id"}

    def __init__(self, name: str, node: str) -> None:
        super().__init__(name)
        self._node = node

    def read(self, reads: PassReads) -> Document | None:
        return queries.node_detail(self._node, reads.now, reads.counts)


class TypesTopic(Topic):
    """``types``"""

    pattern: ClassVar = "types"
    shape: ClassVar = shapes.TypesDocument
    lists: ClassVar = {"types": "name"}

    def read(self, reads: PassReads) -> Document:
        return queries.types_document(reads.now)


class TypeTopic(Topic):
    """``type:<name>``"""

    pattern: ClassVar = "type:<name>"
    shape: ClassVar = shapes.TypeDetail
    lists: ClassVar = {"series": "minute"}

    def __init__(self, name: str, task_type: str) -> None:
        super().__init__(name)
        self._type = task_type

    def read(self, reads: PassReads) -> Document | None:
        return queries.type_detail(self._type, reads.now)


class TaskTopic(Topic):
    """``task:<id>``"""

    pattern: ClassVar = "task:<id>"
    shape: ClassVar = shapes.TaskDocument
    lists: ClassVar = {"attempts": "id", "logs": "id"}
    #: Retries of the task, and what its node does beside it, make no news of the task itself.
    max_age: ClassVar = 5.0
    wants_details: ClassVar = True

    def __init__(self, name: str, task_id: int) -> None:
        super().__init__(name)
        self._task_id = task_id
        self._waits = False

    def note(self, news: News) -> bool:
        # Why it waits depends on what else there is.
        return news.lost or news.pruned or self._task_id in news.touched or (self._waits and news.moved)

    def read(self, reads: PassReads) -> Document | None:
        document = queries.task_document(self._task_id, reads.now)
        self._waits = document is not None and document["waiting"] is not None
        return document


class ActivityTopic(Topic):
    """``activity:<who=…&about=…>``: which action is the newest one that matches."""

    pattern: ClassVar = "activity:<query>"
    shape: ClassVar = shapes.ActivityDocument

    def __init__(self, name: str, filters: AuditFilters) -> None:
        super().__init__(name)
        self._filters = filters

    def read(self, reads: PassReads) -> Document:
        return {"newest": newest_action(self._filters)}


class BulkTopic(Topic):
    """``bulk``: the newest actions on all tasks that match."""

    pattern: ClassVar = "bulk"
    shape: ClassVar = shapes.BulkPage
    lists: ClassVar = {"jobs": "id"}

    def read(self, reads: PassReads) -> Document:
        return queries.bulk_page()


class BulkJobTopic(Topic):
    """``bulk:<id>``"""

    pattern: ClassVar = "bulk:<id>"
    shape: ClassVar = shapes.BulkDocument
    lists: ClassVar = {"left": "reason"}

    def __init__(self, name: str, job_id: int) -> None:
        super().__init__(name)
        self._job_id = job_id

    def read(self, reads: PassReads) -> Document | None:
        return queries.bulk_document(self._job_id)


class TasksTopic(Topic):
    """``tasks``: reads only what the news are about, and all of it from time to time."""

    pattern: ClassVar = "tasks"
    shape: ClassVar = shapes.TasksDocument
    lists: ClassVar = {"rows": "id"}
    max_age: ClassVar = 10.0
    wants_details: ClassVar = True

    def __init__(self, name: str, screen: Screen) -> None:
        super().__init__(name)
        self._screen = screen
        self._rows: dict[int, Any] = {}
        self._new = 0
        self._touched: set[int] = set()
        self._count_again = True
        self._all_again = True
        self._lanes: dict[int, bool] = {}
        self._states = _told_apart_no_more(screen.filters.states)

    @property
    def key(self) -> Hashable:
        return ("tasks", self._screen)

    def _is_my_lane(self, lane_id: int) -> bool:
        known = self._lanes.get(lane_id)
        if known is None:
            lane = lanes_by_id((lane_id,)).get(lane_id)
            known = lane is not None and self._screen.filters.takes_lane(lane.queue, lane.type)
            self._lanes[lane_id] = known
        return known

    def note(self, news: News) -> bool:
        self._all_again = self._all_again or news.lost or news.pruned
        self._touched |= news.touched & self._screen.ids
        if not self._count_again and self._new < MAX_NEW:
            self._count_again = any(self._may_be_new(change) for change in news.changes)
        counts_moved = bool(news.changes) and self._screen.filters.is_by_lane
        return self._all_again or bool(self._touched) or self._count_again or counts_moved

    def _may_be_new(self, change: TaskChange) -> bool:
        """Whether the change may bring a task onto the page, or take one away that was counted."""
        if change.task_id in self._screen.ids or not self._is_my_lane(change.lane_id):
            return False
        # Other conditions come true and cease to be with any change of the task.
        if self._screen.filters.node or not all(map(is_of_lane, self._screen.filters.more)):
            return True
        if not self._states:
            return change.from_state is None
        return change.to_state in self._states or change.from_state in self._states

    def read(self, reads: PassReads) -> Document:
        screen = self._screen
        if self._all_again:
            whole = tasks_document(screen, reads.counts)
            self._rows = {int(row["id"]): row for row in whole["rows"]}
            self._new = whole["new"]
        else:
            found = {int(row["id"]): row for row in queries.task_rows(self._touched)}
            self._rows = {
                pk: found.get(pk, row) for pk, row in self._rows.items() if pk in found or pk not in self._touched
            }
            self._new = count_new(screen) if self._count_again else self._new
        self._touched, self._count_again, self._all_again = set(), False, False
        return {
            "rows": list(self._rows.values()),
            "new": self._new,
            "new_is_capped": self._new >= MAX_NEW,
            "counts": lane_counts(screen.filters, reads.counts),
        }


def parse_topic(name: str, params: TasksParams | None) -> Topic:
    """The topic called ``name``; raises ``TopicError``."""
    word, _, rest = name.partition(":")
    if word == "tasks" and not rest:
        return TasksTopic(name, _screen(params or TasksParams()))
    if params is not None:
        raise TopicError("bad_params", f"the topic {word!r} has no parameters")
    if word in _PLAIN and name == word:
        return _PLAIN[word](name)
    if word in _NUMBERED and (number := parse_task_id(rest)):
        return _NUMBERED[word](name, number)
    if word == "nodes":
        given = dict(parse_qsl(rest, max_num_fields=10))
        return NodesTopic(name, _node_filter(given.get("q", "")), shows_all=given.get("all") == "1")
    if word == "activity":
        return ActivityTopic(name, _audit_filters(rest))
    if word == "type" and rest and rest.isprintable():
        return TypeTopic(name, rest)
    if word == "node" and rest and rest.isprintable():
        return NodeTopic(name, rest)
    if word == "queue" and rest and rest.isprintable():
        return QueueTopic(name, rest)
    raise TopicError("unknown_topic", "there is no such topic")


_NUMBERED: dict[str, Callable[[str, int], Topic]] = {"task": TaskTopic, "bulk": BulkJobTopic}
_PLAIN: dict[str, Callable[[str], Topic]] = {
    "overview": OverviewTopic, "queues": QueuesTopic, "types": TypesTopic, "bulk": BulkTopic,
}  # fmt: skip


def _node_filter(text: str) -> NodeFilter:
    try:
        return NodeFilter.parse(text)
    except NodeFilterError as error:
        raise TopicError("bad_params", str(error)) from None


def _audit_filters(query: str) -> AuditFilters:
    given = dict(parse_qsl(query, max_num_fields=10))
    try:
        return AuditFilters(given.get("who", ""), given.get("about", ""))
    except ValueError as error:
        raise TopicError("bad_params", str(error)) from None


def _screen(params: TasksParams) -> Screen:
    try:
        filters = TaskFilters.parse(params.filters)
    except FilterError as error:
        raise TopicError("bad_params", str(error)) from None
    ids = [parse_task_id(text) for text in params.ids]
    after, newest = (None if text is None else parse_task_id(text) for text in (params.after, params.newest))
    if None in ids or (params.after is not None and after is None) or (params.newest is not None and newest is None):
        raise TopicError("bad_params", "ids, after and newest must be task ids")
    return Screen(filters, frozenset(pk for pk in ids if pk is not None), after, params.limit, newest)


def _told_apart_no_more(states: frozenset[TaskState]) -> frozenset[int]:
    """The states as the feed tells them: it does not always tell the two active ones apart."""
    return frozenset(state.value for state in (states | ACTIVE if states & ACTIVE else states))
