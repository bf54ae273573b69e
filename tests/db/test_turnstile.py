"""The queue of SQLite's writers: in order, never two at once, never longer than they may wait."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dispatcher.sqlite.turnstile import Queue, Turnstile, TurnTimeout

HOLDER = """
import sys
from dispatcher.sqlite.turnstile import Turnstile
turn = Turnstile(sys.argv[1]); turn.enter(5); print("mine", flush=True); sys.stdin.read()
"""


def test_threads_get_the_turn_in_the_order_in_which_they_asked() -> None:
    queue, order = Queue(), []
    assert queue.acquire(1)
    threads = []
    for number in range(20):
        thread = threading.Thread(target=lambda n=number: (queue.acquire(10), order.append(n), queue.release()))
        thread.start()
        threads.append(thread)
        while len(queue._waiting) <= number:
            thread.join(0.001)
    queue.release()
    for thread in threads:
        thread.join(10)
    assert order == list(range(20))


def test_who_gave_up_is_not_waited_for() -> None:
    queue = Queue()
    assert queue.acquire(1)
    assert not queue.acquire(0.01)
    queue.release()
    assert queue.acquire(0)


def test_a_turn_is_never_given_twice(tmp_path: Path) -> None:
    inside, most = [], []

    def write() -> None:
        turn = Turnstile(str(tmp_path / "db"))
        for _ in range(50):
            turn.enter(30)
            inside.append(1)
            most.append(len(inside))
            inside.pop()
            turn.leave()
        turn.close()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(most), max(most)) == (400, 1)


def test_another_process_that_keeps_the_turn_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    path = str(tmp_path / "db")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        turn = Turnstile(path)
        began = time.monotonic()
        for _ in range(2):
            # Twice: who gives up leaves nothing taken behind.
            with pytest.raises(TurnTimeout):
                turn.enter(0.1)
        assert time.monotonic() - began < 5
        holder.kill()
        holder.wait()
        turn.enter(5)
        turn.leave()
        turn.close()
