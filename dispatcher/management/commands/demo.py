"""``manage.py demo``: submit a mix of real work, show its progress, check every result."""

from __future__ import annotations

import threading
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dispatcher import lifecycle
from dispatcher.demo.material import make_material
from dispatcher.demo.mix import check, make_mix
from dispatcher.launch.database_reach import require_database
from dispatcher.launch.life_looks import alive_engines
from dispatcher.models import Node, Task
from dispatcher.states import TERMINAL, NodeState, TaskState

SUBMIT_BATCH = 1000
LOOK_SECONDS = 0.5
# As shells count a program that SIGINT ended.
INTERRUPTED = 130


class Command(BaseCommand):
    """Exit status 1 if a task did not end in time or a result is wrong."""

    help = (
        "Submit a mix of real tasks (checksums, word counts, primes, thumbnails, some that fail or crash), show how "
        "they get on, and check every result. Needs a running engine and nodes with workers.handlers.demo: "
        "see manage.py up."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--tasks", type=int, default=200, help="how many tasks (default: 200)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same mix (default: 1)")
        parser.add_argument("--timeout", type=float, default=600.0, help="give up after so many seconds (default: 600)")
        parser.add_argument("--no-wait", action="store_true", help="submit and return")

    def handle(self, *args: Any, **options: Any) -> None:
        """Submit, watch, check."""
        if options["tasks"] < 1:
            raise CommandError("--tasks must be at least 1")
        require_database()
        root = Path(settings.VAR_DIR) / "demo"
        make_material(root)
        self._warn()
        run = f"run-{int(time.time())}"
        begun = time.monotonic()
        ids = self._submit(options["tasks"], options["seed"], run)
        self.stdout.write(f"submitted {len(ids)} tasks in {time.monotonic() - begun:.2f} s, tag {run}")
        if options["no_wait"]:
            return
        try:
            left = self._watch(ids, begun, options["timeout"])
        except KeyboardInterrupt:
            raise CommandError(
                f"stopped watching; the tasks go on. The dashboard shows those with the tag {run} and can cancel them",
                returncode=INTERRUPTED,
            ) from None
        seconds = time.monotonic() - begun
        if left:
            raise CommandError(f"{left} tasks have not ended after {seconds:.0f} s; see manage.py doctor")
        self._check(root, ids, seconds)

    def _warn(self) -> None:
        if not alive_engines(timezone.now()).exists():
            self.stderr.write(self.style.WARNING("no engine is running: start one with manage.py up (or engine)"))
        elif not Node.objects.filter(state=NodeState.ONLINE).exists():
            self.stderr.write(self.style.WARNING("no node is online: the tasks will wait"))

    def _submit(self, count: int, seed: int, run: str) -> list[int]:
        specs = make_mix(count, run=run, seed=seed)
        ids: list[int] = []
        for start in range(0, count, SUBMIT_BATCH):
            made = lifecycle.submit(specs[start : start + SUBMIT_BATCH], submitted_by="demo", now=timezone.now())
            ids += [row.task_id for row in made]
        return ids

    def _watch(self, ids: list[int], begun: float, timeout: float) -> int:
        """Show progress until all have ended; returns how many have not."""
        pause = threading.Event()
        shown = ""
        while True:
            states = self._states(ids)
            open_tasks = sum(count for state, count in states.items() if state not in TERMINAL)
            line = ", ".join(f"{states[state]} {state.word}" for state in TaskState if states[state])
            if line != shown:
                self.stdout.write(f"{time.monotonic() - begun:6.1f} s  {line}")
                self.stdout.flush()
                shown = line
            if not open_tasks or time.monotonic() - begun > timeout:
                return open_tasks
            pause.wait(LOOK_SECONDS)

    def _states(self, ids: list[int]) -> Counter[TaskState]:
        # Ids of one run lie close together: a range is one walk along the primary key.
        wanted = frozenset(ids)
        rows = Task.objects.filter(id__range=(ids[0], ids[-1])).values_list("id", "state")
        return Counter(TaskState(state) for pk, state in rows if pk in wanted)

    def _check(self, root: Path, ids: list[int], seconds: float) -> None:
        wrong: list[str] = []
        tasks = Task.objects.filter(id__range=(ids[0], ids[-1]), state=TaskState.SUCCEEDED).select_related("lane")
        wanted, checked = frozenset(ids), 0
        for task in tasks.iterator(chunk_size=500):
            if task.pk in wanted:
                checked += 1
                if problem := check(root, task.lane.type, task.payload, task.result):
                    wrong.append(f"#{task.pk} {problem}")
        for problem in wrong[:20]:
            self.stderr.write(self.style.ERROR(problem))
        if wrong:
            raise CommandError(f"{len(wrong)} of {checked} results are wrong")
        self.stdout.write(
            self.style.SUCCESS(f"done in {seconds:.1f} s: {checked} results checked, all right ({len(ids)} tasks)")
        )
