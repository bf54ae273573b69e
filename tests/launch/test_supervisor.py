from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatcher.launch import supervisor as supervisor_module
from dispatcher.launch.holding import Holding
from dispatcher.launch.supervisor import Supervisor
from tests.architecture.sources import ROOT
from tests.launch.programs import FAILING, OBEDIENT, PARENT, STUBBORN, eventually, is_running, numbers_after, program

# Pythons are started, perhaps on a busy machine.
PATIENCE_SECONDS = 60


class Stage:
    """A supervisor in a folder of its own, with what it said."""

    def __init__(self, folder: Path) -> None:
        self.log_dir = folder / "log"
        self.log_dir.mkdir()
        self.said: list[str] = []
        self.holding = Holding(folder)
        self.holding.take(patience_seconds=0)
        self.deserted = False
        self.supervisor = Supervisor(
            working_dir=ROOT,
            log_dir=self.log_dir,
            holding=self.holding.descriptor,
            say=self.said.append,
            is_deserted=lambda: self.deserted,
        )

    def pids(self, name: str, word: str = "ready") -> list[int]:
        return numbers_after(word, self.log_dir / f"{name}.log")

    def is_ready(self, *names: str) -> bool:
        return all(self.pids(name) for name in names)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.supervisor.stop()
    stage.holding.release()


def test_it_stops_everything_in_order_and_leaves_nothing(stage: Stage) -> None:
    stage.supervisor.start([program("web", OBEDIENT, stop_rank=2), program("local-1", PARENT, stop_rank=0)])
    assert stage.supervisor.run_until(lambda: stage.is_ready("web", "local-1"), PATIENCE_SECONDS)
    pids = stage.pids("web") + stage.pids("local-1") + stage.pids("local-1", "child")
    assert len(pids) == 3

    assert stage.supervisor.stop() == []

    assert eventually(lambda: not any(is_running(pid) for pid in pids))


def test_a_process_that_dies_is_started_again_and_it_says_so(stage: Stage) -> None:
    stage.supervisor.start([program("engine", PARENT)])
    assert stage.supervisor.run_until(lambda: stage.is_ready("engine"), PATIENCE_SECONDS)
    [first], [orphan] = stage.pids("engine"), stage.pids("engine", "child")

    os.kill(first, signal.SIGKILL)

    assert stage.supervisor.run_until(lambda: len(stage.pids("engine")) == 2, PATIENCE_SECONDS)
    assert any("engine" in line and "SIGKILL" in line and "0.5 s" in line for line in stage.said)
    # What the dead process had started is not left beside the new one.
    assert eventually(lambda: not is_running(orphan))


def test_a_process_that_fails_is_started_after_growing_pauses_with_its_last_words(stage: Stage) -> None:
    stage.supervisor.start([program("web", FAILING)])
    assert stage.supervisor.run_until(
        lambda: len([line for line in stage.said if "status 3" in line]) == 3, PATIENCE_SECONDS
    )
    ends = [line for line in stage.said if "ended with" in line]
    assert [end.partition("again in ")[2].partition(" s")[0] for end in ends] == ["0.5", "1", "2"]
    # The words of the latest process only, not those of the ones before it.
    assert len([line for line in stage.said if "pod bay doors" in line]) == 3


def test_a_process_that_does_not_obey_is_killed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "WORKERS_SECONDS", 0.2)
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS", 0.5)
    stage.supervisor.start([program("local-1", STUBBORN)])
    assert stage.supervisor.run_until(lambda: stage.is_ready("local-1"), PATIENCE_SECONDS)
    begun = time.monotonic()

    assert stage.supervisor.stop() == ["local-1"]

    assert time.monotonic() - begun < 5
    assert not is_running(stage.pids("local-1")[0])


def test_problems_in_a_log_are_shown_with_the_name_of_the_process(stage: Stage) -> None:
    source = "print('12:00:00 INFO all well'); print('12:00:01 ERROR dispatcher: no disk', flush=True);" + OBEDIENT
    stage.supervisor.start([program("engine", source)])
    assert stage.supervisor.run_until(lambda: stage.said, PATIENCE_SECONDS)
    assert stage.said == ["engine  | 12:00:01 ERROR dispatcher: no disk"]


def test_stopping_twice_and_before_the_start_is_fine(stage: Stage) -> None:
    assert stage.supervisor.stop() == []
    assert stage.supervisor.stop() == []
    stage.supervisor.start([program("web", OBEDIENT)])
    assert not (stage.log_dir / "web.log").exists()


def test_a_closed_terminal_is_the_end(stage: Stage) -> None:
    stage.supervisor.start([program("web", OBEDIENT)])
    assert stage.supervisor.run_until(lambda: stage.is_ready("web"), 15)
    stage.deserted = True
    stage.supervisor.run()
    assert stage.supervisor.stop() == []


def test_a_killed_keeper_is_replaced_by_one_that_knows_the_children(stage: Stage) -> None:
    stage.supervisor.start([program("web", OBEDIENT)])
    assert stage.supervisor.run_until(lambda: stage.is_ready("web"), 15)
    keeper = stage.supervisor._keeper
    keeper.kill()
    keeper.wait()

    stage.supervisor.look(time.monotonic())

    # Its input ends, as when the supervisor is killed.
    stage.supervisor._end_keeper()
    assert eventually(lambda: not is_running(stage.pids("web")[0]))
