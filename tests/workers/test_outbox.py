"""Results survive until they are acknowledged: restarts, torn files, a full disk."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from workers import outbox as outbox_module
from workers.outbox import Outbox
from workers.protocol import AttemptRef, TaskResult


def a_result(number: int, size: int = 4, attempt: int = 1) -> TaskResult:
    raw = msgspec.Raw(msgspec.json.encode("x" * size))
    return TaskResult(task_id=f"task-{number}", attempt=attempt, outcome="succeeded", result=raw)


def refs(*numbers: int) -> list[AttemptRef]:
    return [AttemptRef(task_id=f"task-{number}", attempt=1) for number in numbers]


def opened(folder: Path, **limits: int) -> Outbox:
    box = Outbox(folder, **limits)
    box.open(0.0)
    return box


def ids(results: list[TaskResult]) -> list[str]:
    return [result.task_id for result in results]


def take(box: Outbox, now: float = 0.0, max_results: int = 1000, max_bytes: int = 10**9) -> list[str]:
    return ids(box.take(now=now, max_results=max_results, max_bytes=max_bytes))


def test_unacknowledged_results_are_there_after_a_kill(tmp_path: Path) -> None:
    box = opened(tmp_path)
    box.add([a_result(1), a_result(2)], now=0.0)
    box.add([a_result(3)], now=0.0, inline=True)
    # Not closed: that is what a kill looks like to the next start.
    again = Outbox(tmp_path)
    assert ids(again.open(0.0)) == ["task-1", "task-2", "task-3"]
    assert take(again) == ["task-1", "task-2", "task-3"]


def test_a_torn_last_line_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    box = opened(tmp_path)
    box.add([a_result(1), a_result(2)], now=0.0)
    (file,) = tmp_path.glob("outbox-*.jsonl")
    with file.open("r+b") as torn:
        torn.truncate(file.stat().st_size - 5)
    again = Outbox(tmp_path)
    assert ids(again.open(0.0)) == ["task-1"]
    assert "unreadable" in caplog.text


def test_taken_results_stay_until_acknowledged_and_can_be_put_back(tmp_path: Path) -> None:
    box = opened(tmp_path)
    box.add([a_result(n) for n in range(5)], now=0.0)
    first = box.take(now=0.0, max_results=3, max_bytes=10**9)
    assert len(box) == 5
    box.put_back(first)
    assert take(box) == [f"task-{n}" for n in range(5)]
    box.ack(refs(0, 1, 2, 3, 4, 99))
    assert len(box) == 0
    assert take(box) == []


def test_a_report_is_bounded_in_bytes_but_never_empty(tmp_path: Path) -> None:
    box = opened(tmp_path)
    box.add([a_result(1, 5000), a_result(2, 10), a_result(3, 10)], now=0.0)
    assert take(box, max_bytes=1000) == ["task-1"]
    assert take(box, max_bytes=1000) == ["task-2", "task-3"]


def test_an_inline_result_is_reported_if_no_acknowledgement_comes(tmp_path: Path) -> None:
    box = opened(tmp_path)
    box.add([a_result(1), a_result(2)], now=10.0, inline=True)
    assert take(box, now=11.9) == []
    assert box.next_due(11.5) == pytest.approx(0.5)
    box.ack(refs(1))
    assert take(box, now=12.0) == ["task-2"]


def test_files_do_not_grow_and_are_removed_when_all_is_acknowledged(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(outbox_module, "_SEGMENT_BYTES", 2000)
    monkeypatch.setattr(outbox_module, "_CUT_BYTES", 1000)
    box = opened(tmp_path)
    for number in range(100):
        box.add([a_result(number, 300)], now=0.0)
    assert len(list(tmp_path.iterdir())) > 10
    box.ack(refs(*range(50)))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 50 * 400 + 3000
    box.ack(refs(*range(100)))
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 1000
    box.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limits", [{"max_results": 3}, {"max_bytes": 300}])
def test_a_full_outbox_says_so_and_takes_results_all_the_same(tmp_path: Path, limits: dict[str, int]) -> None:
    box = opened(tmp_path, **limits)
    assert not box.is_full
    box.add([a_result(n, 50) for n in range(3)], now=0.0)
    assert box.is_full
    box.add([a_result(9)], now=0.0)
    assert len(box) == 4
    box.ack(refs(0, 1, 2, 9))
    assert not box.is_full


def test_a_full_disk_stops_the_intake_and_loses_nothing(tmp_path: Path, monkeypatch) -> None:
    box = opened(tmp_path)
    box.add([a_result(1)], now=0.0)
    real = os.write

    room = [20]

    def nearly_full(descriptor: int, data: bytes) -> int:
        if not room:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: room.pop()])

    with monkeypatch.context() as patch:
        patch.setattr(outbox_module.os, "write", nearly_full)
        box.add([a_result(2), a_result(3)], now=0.0)
        assert box.is_full
        box.tend(1.0)
        assert box.is_full
    assert take(box) == ["task-1", "task-2", "task-3"]
    box.tend(2.0)
    assert not box.is_full
    assert ids(Outbox(tmp_path).open(0.0)) == ["task-1", "task-2", "task-3"]


def test_waiting_results_are_offered_to_the_poller_after_a_while(tmp_path: Path) -> None:
    box = opened(tmp_path)
    box.add([a_result(1)], now=0.0)
    box.add([a_result(2)], now=5.0)
    look = {"older_than": 2.0, "max_results": 10, "max_bytes": 10**6}
    assert ids(box.waiting(now=1.0, **look)) == []
    assert ids(box.waiting(now=6.0, **look)) == ["task-1"]
    assert ids(box.waiting(now=8.0, **look)) == ["task-1", "task-2"]


def test_only_results_that_have_waited_are_synced(tmp_path: Path, monkeypatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(outbox_module.os, "fsync", synced.append)
    box = opened(tmp_path)
    box.add([a_result(1)], now=0.0)
    box.tend(0.1)
    assert synced == []
    box.tend(0.5)
    box.tend(0.6)
    assert len(synced) == 1
    box.add([a_result(2)], now=1.0)
    box.ack(refs(1, 2))
    box.tend(5.0)
    assert len(synced) == 1
