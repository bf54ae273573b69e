"""Folding with several engines and with transactions that commit late."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections, transaction

from dispatcher import events
from dispatcher.models import StateCount
from dispatcher.models.feed_reader import FeedReader
from dispatcher.rollups import fold
from dispatcher.states import TaskState
from tests.factories import NOW, make_change, make_lane

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_SECONDS = 60


def in_thread(work: Callable[[], None]) -> threading.Thread:
    """Run ``work`` in a thread of its own, with a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def one_more(lane_id: int, task_id: int = 1) -> None:
    row = events.TaskChange(task_id, None, TaskState.QUEUED.value, 0, lane_id)
    make_change(events.TasksChanged(rows=[row]))


def queued() -> int:
    return sum(StateCount.objects.filter(state=TaskState.QUEUED).values_list("count", flat=True))


def one_more_open(lane: int, number: int) -> Callable[[], None]:
    """A change whose id is taken and which is not committed before the answer is called."""
    written, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            one_more(lane, number)
            written.set()
            assert go_on.wait(PATIENCE_SECONDS)

    thread = in_thread(write)
    assert written.wait(PATIENCE_SECONDS)

    def commit() -> None:
        go_on.set()
        thread.join(PATIENCE_SECONDS)

    return commit


def test_two_engines_fold_every_change_once() -> None:
    lane = make_lane().pk
    for n in range(60):
        one_more(lane, n)
    folded: list[int] = []

    def engine() -> None:
        while (result := fold(NOW, limit=3)).rows:
            folded.append(result.rows)

    threads = [in_thread(engine) for _ in range(2)]
    for n in range(60, 90):
        one_more(lane, n)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
    while (result := fold(NOW)).rows:
        folded.append(result.rows)
    assert queued() == 90
    assert sum(folded) >= 90


def test_a_change_that_commits_after_a_later_one_is_folded(on_postgres: bool) -> None:
    lane = make_lane().pk
    fold(NOW)
    commit = one_more_open(lane, 1)
    if on_postgres:
        # Takes a higher id and commits first. On SQLite the writers take turns, and there is nothing to skip.
        one_more(lane, 2)
        fold(NOW)
        assert queued() == 1
    commit()
    fold(NOW)
    assert queued() == (2 if on_postgres else 1)


def test_a_reader_that_begins_at_the_end_sees_what_commits_later_with_a_smaller_id(on_postgres: bool) -> None:
    lane = make_lane().pk
    one_more(lane, 1)
    commit = one_more_open(lane, 2)
    if on_postgres:
        one_more(lane, 3)
    reader = FeedReader.at_end()
    assert reader.read() == []
    commit()
    assert len(reader.read()) == 1
    assert reader.read() == []


def test_an_id_whose_transaction_was_rolled_back_is_given_up() -> None:
    lane = make_lane().pk
    reader = FeedReader.at_end()
    with transaction.atomic():
        one_more(lane, 1)
        transaction.set_rollback(True)
    one_more(lane, 2)
    assert len(reader.read()) == 1
    # Looked for until every transaction that could have taken it has ended; others of this run may go on for a while.
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 10):
        if not reader.holes:
            break
        assert reader.read() == []
        pause.wait(0.1)
    assert reader.holes == {}


def test_a_fold_that_fails_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    lane = make_lane().pk
    one_more(lane)
    monkeypatch.setattr("dispatcher.rollups.folding._store_nodes", _fail)
    with pytest.raises(RuntimeError):
        fold(NOW)
    assert not connection.in_atomic_block
    assert queued() == 0
    monkeypatch.undo()
    fold(NOW)
    assert queued() == 1


def _fail(_: object) -> None:
    raise RuntimeError("the disk is full")
