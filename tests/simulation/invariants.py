"""The oracle: what clients, workers and nodes know by themselves, held against the database after every step.

The numbers are those of ``docs/reliability.md``. I20 (no secret where it does not belong) is here in its narrow form:
a node is sent nothing but the attempts it was given.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import connection

from dispatcher import events
from dispatcher.lifecycle import TRANSITIONS
from dispatcher.models import StateCount
from dispatcher.rollups import fold
from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState
from tests.simulation.records import TASKS, Claimed, Execution, Row
from workers import protocol

if TYPE_CHECKING:
    from tests.simulation.worker import Worker
    from tests.simulation.world import World

_ALLOWED = {(source, target) for sources, targets in TRANSITIONS.values() for source in sources for target in targets}
_UNCOUNTED = ("released", "rejected")
_EPSILON = 1e-6
#: No attempt takes longer when nothing is amiss: the longest timeout, the grace after it, a look at both.
LONGEST_SECONDS = 10.0

_NODES = "SELECT id, state, incarnation, intent, draining FROM dispatcher_node"
_FEED = "SELECT id, kind, body FROM dispatcher_change WHERE id > %s ORDER BY id"


class Broken(AssertionError):
    """An invariant does not hold. ``rule`` is its number."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


class Oracle:
    """Journals and checks of one history."""

    def __init__(self, world: World) -> None:
        self.world = world
        #: Idempotency keys of the tasks that clients asked for, and task ids they were told of.
        self.invoked: set[str] = set()
        self.retries = 0
        self.acked: set[int] = set()
        self.cancelled: set[int] = set()
        self.executions: dict[tuple[int, int], list[Execution]] = defaultdict(list)
        self.claims: dict[tuple[int, int], Claimed] = {}
        self.states: dict[int, tuple[TaskState, int]] = {}
        self.final: dict[int, tuple[Any, ...]] = {}
        self.recorded: dict[int, str] = {}
        #: Attempts by task that crashed their process or lost their node, counted from the feed.
        self.crashes: Counter[int] = Counter()
        self.told: list[events.TaskChange] = []
        self.refused: list[tuple[int, int, int]] = []
        self.heard_at: dict[int, float] = {}
        self._deadlines: dict[int, Any] = {}
        self._handed_back: set[tuple[int, int]] = set()
        self._listening_since = self._swept_at = 0.0
        self._seen_feed = 0
        self._is_cancel_asked = False
        self._changes = -1
        self._numbers = itertools.count(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT coalesce(max(id), 0) FROM dispatcher_change")
            self._seen_feed = cursor.fetchone()[0]

    def history(self) -> list[tuple[Any, ...]]:
        """What was told of tasks, with numbers that do not depend on what the database numbered before."""
        first = min(self.states, default=0)
        return [(row.task_id - first, row.from_state, row.to_state, row.attempt, row.outcome) for row in self.told]

    # What is known, to spare the engine passes that would find nothing

    def has(self, state: TaskState) -> bool:
        """Whether a task is in this state."""
        return any(known is state for known, _ in self.states.values())

    def has_work(self) -> bool:
        """Whether the assigner may find something: a ready task, or a request to cancel."""
        found, self._is_cancel_asked = self._is_cancel_asked or self.has(TaskState.QUEUED), False
        return found

    # What workers tell

    def pushed(self, worker: Worker, push: protocol.Push) -> None:
        for task in push.tasks:
            claim = self.claims.get((int(task.task_id), task.attempt))
            _hold("I20", claim is not None and claim.node_id == worker.node_id, f"{worker.name} was sent {task}")

    def began(self, worker: Worker, task_id: str, attempt: int) -> Execution:
        number, now = int(task_id), self.world.timeline.t
        claim = self.claims.get((number, attempt))
        assert claim is not None
        mine = self.executions[number, attempt]
        _hold("I7", not mine, f"attempt {attempt} of #{number} runs twice")
        _hold("I12", number not in self.cancelled, f"#{number} runs, though its cancellation was confirmed")
        _hold(
            "I15", claim.outcome not in _UNCOUNTED, f"attempt {attempt} of #{number} runs after being {claim.outcome}"
        )
        for (other, earlier), runs in self.executions.items():
            if other == number and earlier < attempt and any(run.ended is None for run in runs):
                outcome = self.claims[number, earlier].outcome
                _hold("I8", outcome == "lost", f"#{number}: attempt {attempt} beside {earlier}, which was {outcome!r}")
        run = Execution(number, attempt, worker, worker.epoch, now, f"{number}-{attempt}-{next(self._numbers)}")
        mine.append(run)
        return run

    def ended(self, run: Execution, outcome: str) -> None:
        run.ended, run.outcome = self.world.timeline.t, outcome
        if outcome == "released":
            self._handed_back.add((run.task_id, run.attempt))

    # What passes the web side and the engine

    def heard(self, worker: Worker) -> None:
        self.heard_at[worker.node_id] = self.world.timeline.t

    def engine_started(self) -> None:
        self._listening_since = self._swept_at = self.world.timeline.t

    def swept(self) -> None:
        now = self.world.timeline.t
        if now - self._swept_at > self.world.outage_seconds:
            self._listening_since = now
        self._swept_at = now

    def expectations(self, node_id: int, results: Sequence[protocol.TaskResult]) -> list[tuple[int, str]]:
        """Successes that have to count when this is taken in: (task id, result)."""
        found = []
        for item in results:
            number = int(item.task_id)
            state, attempt = self.states.get(number, (TaskState.FAILED, 0))
            claim = self.claims.get((number, item.attempt))
            is_theirs = claim is not None and claim.node_id == node_id and claim.outcome in ("", "lost", *_UNCOUNTED)
            is_current = state not in TERMINAL and attempt == item.attempt
            if item.outcome == "succeeded" and is_theirs and is_current:
                found.append((number, bytes(item.result).decode()))
        return found

    def collected(self, expected: Iterable[tuple[int, str]]) -> None:
        for number, result in expected:
            with connection.cursor() as cursor:
                cursor.execute("SELECT state, result FROM dispatcher_task WHERE id = %s", [number])
                state, stored = cursor.fetchone()
            _hold("I13", state == TaskState.SUCCEEDED and stored == result, f"the success of #{number} did not count")

    def judged(
        self,
        node_id: int,
        results: Sequence[protocol.TaskResult],
        verdicts: Sequence[protocol.Verdict],
        expected: Iterable[tuple[int, str]],
    ) -> None:
        self.collected(expected)
        _hold("I14", len(results) == len(verdicts), "a result without a verdict")
        for item, verdict in zip(results, verdicts, strict=True):
            number = int(item.task_id)
            if verdict.verdict == "recorded" and item.outcome == "succeeded":
                text = bytes(item.result).decode()
                _hold("I13", self.recorded.setdefault(number, text) == text, f"two results of #{number} were recorded")
            elif verdict.verdict == "superseded":
                self.refused.append((number, item.attempt, node_id))

    # The checks

    def check(self) -> None:
        """Everything that has to hold at any time."""
        if connection.vendor == "sqlite":
            changes = connection.connection.total_changes
            if changes == self._changes:
                return
            self._changes = changes
        with connection.cursor() as cursor:
            cursor.execute(_FEED, [self._seen_feed])
            feed = cursor.fetchall()
            cursor.execute(_NODES)
            nodes = {row[0]: row[1:] for row in cursor.fetchall()}
            cursor.execute(TASKS)
            tasks = [Row._make(row) for row in cursor.fetchall()]
        offline: list[int] = []
        for pk, kind, body in feed:
            _hold("I17", pk > self._seen_feed, "the feed went backwards")
            self._seen_feed = pk
            if kind == events.TasksChanged.kind:
                event = events.decode(kind, body)
                assert isinstance(event, events.TasksChanged)
                self.told += event.rows
                for row in event.rows:
                    self._follow(row, nodes)
            elif kind == events.TasksCancelRequested.kind:
                self._is_cancel_asked = True
            elif kind == events.NodeWentOffline.kind:
                offline.append(events.decode(kind, body).node_id)
        self._check_silence(offline, nodes)
        self._check_tasks(tasks, nodes)

    def _follow(self, row: events.TaskChange, nodes: dict[int, tuple[Any, ...]]) -> None:
        target, number = TaskState(row.to_state), row.task_id
        if row.from_state is None:
            _hold("I2", number not in self.states, f"#{number} came into being twice")
            self.states[number] = (target, 0)
            return
        source, attempt = self.states[number]
        _hold("I6", source not in TERMINAL, f"#{number} moved from {source.word} to {target.word}")
        _hold("I6", (source, target) in _ALLOWED, f"#{number} moved from {source.word} to {target.word}")
        if target is TaskState.DISPATCHED:
            self._claimed(row, attempt, nodes)
        elif row.outcome:
            claim = self.claims.get((number, row.attempt))
            _hold("I5", claim is not None, f"#{number} ended in attempt {row.attempt}, which was never given out")
            assert claim is not None
            _hold("I19", row.node_id == claim.node_id, f"node {row.node_id} ended an attempt of node {claim.node_id}")
            self._ended(number, row.attempt, row.outcome, claim, nodes)
        self.states[number] = (target, row.attempt)

    def _claimed(self, row: events.TaskChange, attempt: int, nodes: dict[int, tuple[Any, ...]]) -> None:
        number, node_id = row.task_id, row.node_id
        assert node_id is not None
        _hold("I7", row.attempt == attempt + 1, f"#{number}: attempt {row.attempt} after {attempt}")
        state, _, intent, draining = nodes[node_id]
        fit = state == "online" and intent == "run" and not draining
        _hold("I10", fit, f"#{number} given to node {node_id}, which is {state}, {intent}, draining {draining}")
        _hold("I12", number not in self.cancelled, f"#{number} given out after its cancellation was confirmed")
        self.claims[number, row.attempt] = Claimed(node_id, self.world.timeline.t)

    def _ended(
        self, number: int, attempt: int, outcome: str, claim: Claimed, nodes: dict[int, tuple[Any, ...]]
    ) -> None:
        runs = self.executions.get((number, attempt), [])
        if outcome in _UNCOUNTED:
            kept = bool(runs) and (number, attempt) not in self._handed_back
            _hold("I15", not kept, f"attempt {attempt} of #{number} was {outcome}, but it runs or ran")
        elif outcome == "lost":
            deadline = self._deadlines.get(number)
            is_over = deadline is not None and self.world.is_past(_time(deadline))
            restarted = self.world.incarnation_of.get((number, attempt)) != nodes[claim.node_id][1]
            justified = nodes[claim.node_id][0] == "offline" or is_over or restarted
            _hold("I8", justified, f"attempt {attempt} of #{number} was given up without a reason")
        elif outcome in ("failed", "timed_out", "crashed"):
            _hold("I5", bool(runs), f"attempt {attempt} of #{number} {outcome}, though it never ran")
        if outcome in ("lost", "crashed"):
            self.crashes[number] += 1
        claim.outcome = outcome

    def _check_silence(self, offline: list[int], nodes: dict[int, tuple[Any, ...]]) -> None:
        if not offline:
            return
        now, lease = self.world.timeline.t, self.world.settings["lease_seconds"]
        silences = {pk: now - max(self.heard_at.get(pk, 0.0), self._listening_since) for pk in offline}
        _hold("P10", min(silences.values()) >= lease - _EPSILON, f"lost after a silence of {silences} s")
        # Nobody wonders about the silence of a node that is disabled.
        expected = {pk for pk, (_, _, intent, _) in nodes.items() if intent != "disabled"}
        if len(expected) >= 2 and expected <= set(offline):
            _hold("P11", max(silences.values()) >= 2 * lease - _EPSILON, f"all lost at once after {silences} s")

    def _check_tasks(self, tasks: list[Row], nodes: dict[int, tuple[Any, ...]]) -> None:
        held: Counter[tuple[int, bool]] = Counter()
        _hold("I1", self.acked <= {row.id for row in tasks}, "a task that was acknowledged is gone")
        _hold("I2", len(tasks) <= len(self.invoked) + self.retries, "there are tasks that nobody submitted")
        for row in tasks:
            self._check_row(row)
            if row.state in ACTIVE:
                _hold("I11", row.deadline is not None and row.node_id in nodes, f"#{row.id} is out without a lease")
                is_current = row.incarnation == nodes[row.node_id][1]
                _hold("I11", is_current, f"#{row.id} is with an earlier start of node {row.node_id}")
                self.world.incarnation_of[row.id, row.attempt] = row.incarnation
                held[row.node_id, self.world.is_long(row.id)] += 1
            elif row.state in TERMINAL and row.id not in self.final:
                self._check_end(row)
            self._deadlines[row.id] = row.deadline
            end = (row.state, row.attempt, row.result, row.error)
            _hold("I6", self.final.get(row.id, end) == end, f"#{row.id} changed after its end")
            if row.state in TERMINAL:
                self.final[row.id] = end
        for (node_id, is_long), count in held.items():
            most = self.world.worker(node_id).slots
            _hold("I9", not is_long or count <= most, f"node {node_id} holds {count} long tasks, {most} fit")

    def _check_row(self, row: Row) -> None:
        name, state, known = f"#{row.id}", row.state, self.states.get(row.id)
        _hold("I6", known is not None, f"{name} is not in the feed")
        assert known is not None
        same = known[0] == state or (known[0] in ACTIVE and state in ACTIVE)
        _hold("I6", same and known[1] == row.attempt, f"{name} is {state}/{row.attempt}, the feed says {known}")
        counted = row.attempt - row.released
        _hold("I15", counted <= row.max_attempts, f"{name}: {counted} attempts, {row.max_attempts} allowed")
        crashes = self.crashes[row.id]
        _hold("I16", crashes <= 3, f"{name}: {crashes} crashes")
        _hold("I16", crashes < 3 or state in TERMINAL, f"{name} goes on after {crashes} crashes")
        _hold("I4", (row.result is not None) == (state == TaskState.SUCCEEDED), f"{name} is {state}: {row.result!r}")
        _hold("I11", state != TaskState.SCHEDULED or not row.no_run_at, f"{name} waits for no time")
        _hold("I11", state != TaskState.QUEUED or not row.no_queued_at, f"{name} is ready since never")
        _hold("I3", row.no_finish == (state not in TERMINAL), f"{name} is {state}; finished: {not row.no_finish}")

    def _check_end(self, row: Row) -> None:
        if row.state == TaskState.SUCCEEDED:
            runs = self.executions.get((row.id, row.attempt), [])
            real = [run for run in runs if run.outcome == "succeeded" and f'"{run.digest}"' == row.result]
            _hold("I5", len(real) == 1, f"#{row.id}: nobody made the result {row.result!r} in attempt {row.attempt}")
        elif row.state == TaskState.FAILED:
            last = self.executions.get((row.id, row.attempt), [])
            for_good = any(run.outcome == "failed for good" for run in last)
            excused = for_good or "PoisonTask" in row.error or "NoNodeTakesIt" in row.error
            outcomes = [claim.outcome for (number, _), claim in self.claims.items() if number == row.id]
            counted = sum(1 for outcome in outcomes if outcome not in ("", *_UNCOUNTED))
            enough = excused or counted >= row.max_attempts
            _hold("I22", enough, f"#{row.id} failed after {counted} of {row.max_attempts} attempts: {row.error}")

    def check_only_scheduled_left(self) -> None:
        """Some time after the faults only what waited for its time until now may be left."""
        for number, (state, attempt) in self.states.items():
            if state in ACTIVE:
                seconds = self.world.timeline.t - self.claims[number, attempt].at
                _hold("I21", seconds < LONGEST_SECONDS, f"#{number} is {state.word}, attempt {attempt}, for {seconds}")

    def check_quiet(self) -> None:
        """What has to hold once all faults are healed and everything has come to rest."""
        for number, (state, attempt) in self.states.items():
            _hold("I3", state in TERMINAL, f"#{number} is still {state.word} in attempt {attempt}")
        with connection.cursor() as cursor:
            cursor.execute("SELECT task_id, number, node_id FROM dispatcher_attempt WHERE outcome = 'superseded'")
            kept = set(cursor.fetchall())
        for row in self.refused:
            _hold("I14", row in kept, f"the refused result {row} is not on record")
        if self.world.seed % 4 == 0:
            self._check_counters()

    def _check_counters(self) -> None:
        now = self.world.timeline.now()
        while fold(now=now, limit=500).more:
            pass
        shown: Counter[TaskState] = Counter()
        for row in StateCount.objects.all():
            shown[TaskState(row.state)] += row.count
        counted = Counter(TaskState.RUNNING if s in ACTIVE else s for s, _ in self.states.values())
        _hold("I18", +shown == counted, f"the counters say {dict(+shown)}, the tasks {dict(counted)}")

    def waiting(self) -> list[int]:
        """Tasks that have not come to their end."""
        return [number for number, (state, _) in self.states.items() if state in WAITING | ACTIVE]


def _hold(rule: str, is_true: bool, what: str) -> None:
    if not is_true:
        raise Broken(rule, what)


def _time(value: Any) -> datetime:
    """A time as the driver gives it: without a zone on SQLite."""
    assert isinstance(value, datetime)
    return value if value.tzinfo else value.replace(tzinfo=UTC)
