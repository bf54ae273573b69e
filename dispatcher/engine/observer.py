"""What the engine learns from the feed: run times, speeds and failures of nodes, without waiting for any roll-up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from dispatcher import events, node_registry, snapshots
from dispatcher.models import Node, SchedulerMemory
from dispatcher.models.feed_reader import READ, FeedReader
from dispatcher.models.lanes import lanes_by_id
from dispatcher.scheduling.experience import Experience
from dispatcher.states import BreakerState

SAVE_EVERY = timedelta(seconds=10)


class Observer:
    """Follows the feed and keeps ``Experience``. Belongs to the assigner's thread.

    After a restart it goes on from what was saved at most ``SAVE_EVERY`` ago; what ended in between is not learned
    from, which costs a little knowledge and no correctness.
    """

    def __init__(self) -> None:
        self._reader: FeedReader | None = None
        self.experience = Experience()
        self._saved_at: datetime | None = None
        self._learned = False
        self._shown: dict[int, BreakerState] = {}
        self._cancels: list[tuple[int, int, int]] = []

    def catch_up(self, now: datetime) -> bool:
        """Learn from what was committed since the last call; True if a node or a queue was changed."""
        if self._reader is None:
            self.experience = snapshots.saved_experience()
            self._reader = FeedReader.at_end()
        changed = False
        is_more = True
        while is_more:
            rows = self._reader.read(READ)
            is_more = len(rows) >= READ
            for row in rows:
                if row.kind == events.TasksChanged.kind:
                    self._learn(row.body, row.at)
                elif row.kind == events.TasksCancelRequested.kind:
                    event = events.decode(row.kind, row.body)
                    assert isinstance(event, events.TasksCancelRequested)
                    self._cancels += event.rows
                elif row.kind == events.NodeResumed.kind:
                    self._forgive(row.body)
                changed = changed or row.kind.startswith(("node.", "queue."))
        self._save(now)
        return changed

    def take_cancels(self) -> list[tuple[int, int, int]]:
        """Requests to cancel seen since the last call: (task id, attempt, node id)."""
        taken, self._cancels = self._cancels, []
        return taken

    def show_breakers(self, nodes: Iterable[Node], now: datetime) -> None:
        """Write changed breaker states to the nodes' rows, for people to see."""
        for node in nodes:
            state = self.experience.breaker_state(node.pk, now.timestamp())
            if self._shown.get(node.pk, BreakerState(node.breaker)) != state:
                node_registry.set_breaker(node.pk, state, reason="by the outcomes of its tasks", now=now)
            self._shown[node.pk] = state

    def _learn(self, body: str, at: datetime) -> None:
        event = events.decode(events.TasksChanged.kind, body)
        assert isinstance(event, events.TasksChanged)
        ended = [row for row in event.rows if row.outcome and row.node_id is not None]
        if not ended:
            return
        lanes = lanes_by_id({row.lane_id for row in ended})
        when = at.timestamp()
        self.experience.observe_batch(
            (row.node_id, lanes[row.lane_id].type, row.outcome, (row.run_ms or 0.0) / 1000, when)
            for row in ended
            if row.node_id is not None and row.lane_id in lanes
        )
        self._learned = True

    def _forgive(self, body: str) -> None:
        event = events.decode(events.NodeResumed.kind, body)
        assert isinstance(event, events.NodeResumed)
        self.experience.close_breaker(event.node_id)

    def _save(self, now: datetime) -> None:
        if not self._learned or (self._saved_at is not None and now - self._saved_at < SAVE_EVERY):
            return
        SchedulerMemory.objects.update_or_create(
            name=snapshots.EXPERIENCE, defaults={"body": self.experience.export(), "updated_at": now}
        )
        self._saved_at, self._learned = now, False
