from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dispatcher.launch.holding import HeldByAnother, Holding
from dispatcher.launch.keeper import follow
from tests.architecture.sources import ROOT
from tests.launch.programs import PARENT, STUBBORN, eventually, is_running, numbers_after

# A supervisor that is killed without a word once its children are ready.
KILLED_SUPERVISOR = """
import os, signal, sys
from pathlib import Path
from dispatcher.launch.holding import Holding
from dispatcher.launch.supervisor import Supervisor
from tests.launch.programs import eventually, numbers_after, program
folder = Path(sys.argv[1])
(folder / "log").mkdir()
holding = Holding(folder)
holding.take(patience_seconds=0)
supervisor = Supervisor(
    working_dir=Path.cwd(), log_dir=folder / "log", holding=holding.descriptor, say=print, is_deserted=lambda: False
)
supervisor.start([program("worker", sys.argv[2])])
assert eventually(lambda: numbers_after("ready", folder / "log" / "worker.log"))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_follows_which_groups_are_left() -> None:
    assert follow(["+10\n", "+11\n", "-10\n", "+12\n", "garbage\n", "\n"]) == {11, 12}


@pytest.mark.parametrize("source", [PARENT, STUBBORN], ids=["obedient", "stubborn"])
def test_nothing_is_left_when_the_supervisor_is_killed(tmp_path: Path, source: str) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED_SUPERVISOR, str(tmp_path), source], cwd=ROOT, check=False)
    assert ended.returncode == -9
    log = tmp_path / "log" / "worker.log"
    pids = numbers_after("ready", log)[:1] + numbers_after("child", log)
    assert pids

    # The folder stays held until the children are gone, and can be taken then.
    holding = Holding(tmp_path)
    holding.take(patience_seconds=60)
    holding.release()
    assert eventually(lambda: not any(is_running(pid) for pid in pids))


def test_a_second_holder_learns_who_the_first_is(tmp_path: Path) -> None:
    import os

    with Holding(tmp_path) as first:
        first.take(patience_seconds=0)
        with pytest.raises(HeldByAnother) as caught:
            Holding(tmp_path).take(patience_seconds=5)
        assert caught.value.pid == os.getpid()
    with Holding(tmp_path) as second:
        second.take(patience_seconds=0)
