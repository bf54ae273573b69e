"""What happens to an installation besides work: people steer it, liars report to it, machines and networks fail."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from dispatcher import lifecycle, node_registry, queues
from dispatcher.models import Node
from tests.simulation.worker import Worker
from workers import protocol

if TYPE_CHECKING:
    from tests.simulation.world import World

#: A clock that was set back is set right this long after the other faults; what depends on no time has ended by then.
CLOCK_WRONG_SECONDS = 20.0


_ALL_WAYS = (("engine", "to"), ("engine", "from"), ("web", "to"), ("web", "from"))


class Misfortunes:
    """Draws what happens, does it, and undoes what heals by itself."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.timeline = world.timeline

    def _cancel(self) -> None:
        if known := sorted(self.world.oracle.states):
            answer = lifecycle.cancel([self.rng.choice(known)], actor="op", now=self.timeline.now())
            self.world.oracle.cancelled.update(answer.cancelled)
            self.world.engine.look_soon()

    def _retry(self) -> None:
        if known := sorted(self.world.oracle.states):
            made = lifecycle.retry([self.rng.choice(known)], actor="op", now=self.timeline.now())
            for old, new in made.created.items():
                self.world.kinds[new] = self.world.kinds[old]
                self.world.oracle.retries += 1

    def _steer_node(self) -> None:
        node = Node.objects.get(pk=self.rng.choice(self.world.workers).node_id)
        act = self.rng.choice((node_registry.drain, node_registry.resume, node_registry.disable))
        act([node], reason="op", actor="op", now=self.timeline.now())

    def _steer_queue(self) -> None:
        queues.ensure(["default"], now=self.timeline.now())
        if self.rng.random() < 0.5:
            queues.pause("default", reason="op", actor="op", now=self.timeline.now())
        else:
            queues.resume("default", actor="op", now=self.timeline.now())

    def _forge(self) -> None:
        """A node reports the end of an attempt that is not its own, or of one that is not there."""
        if not self.world.oracle.claims:
            return
        task_id, attempt = self.rng.choice(list(self.world.oracle.claims))
        attempt += self.rng.choice((0, 0, 1))
        claim = self.world.oracle.claims.get((task_id, attempt))
        others = [worker.node_id for worker in self.world.workers if claim is None or worker.node_id != claim.node_id]
        item = protocol.TaskResult(
            task_id=str(task_id),
            attempt=attempt,
            outcome=self.rng.choice(("succeeded", "failed", "released")),
            result=msgspec.Raw(b'"forged"'),
        )
        lifecycle.record_results([item], node_id=self.rng.choice(others), now=self.timeline.now())

    def _fence(self) -> None:
        """A node reports a made-up end of one of its earlier attempts, after another has taken over."""
        old = [
            (number, attempt, claim)
            for (number, attempt), claim in self.world.oracle.claims.items()
            if self.world.oracle.states[number][1] > attempt
        ]
        if not old and self.timeline.t < self.world.trouble_seconds:
            # Not yet: as soon as there is one.
            self.timeline.at(0.5, self._as_operator, self._fence)
        elif old:
            number, attempt, claim = self.rng.choice(old)
            outcome = self.rng.choice(("succeeded", "failed"))
            item = protocol.TaskResult(
                task_id=str(number), attempt=attempt, outcome=outcome, result=msgspec.Raw(b'"late"')
            )
            lifecycle.record_results([item], node_id=claim.node_id, now=self.timeline.now())

    # Misfortunes

    def crash_worker(self, worker: Worker) -> None:
        """A worker dies, and comes back after a while."""
        worker.kill()
        self.timeline.at(self.rng.choice((0.05, 0.5, 5.0)), worker.start)

    def strike(self) -> None:
        """One of them."""
        weights = [weight for weight, _ in _STRIKES]
        (_, act) = self.rng.choices(_STRIKES, weights)[0]
        act(self)

    def _draw(self) -> tuple[Worker, float]:
        """Whom it hits, and for how many seconds."""
        return self.rng.choice(self.world.workers), self.rng.choice((0.3, 1.0, 2.5, 4.0, 7.0))

    def _kill_worker(self) -> None:
        self.crash_worker(self._draw()[0])

    def _pause_worker(self) -> None:
        worker, seconds = self._draw()
        worker.pause()
        self.timeline.at(seconds, worker.resume)

    def _stop_worker(self) -> None:
        worker, seconds = self._draw()
        worker.terminate()
        self.timeline.at(seconds + 4.0, worker.start)

    def _cut_one_way(self) -> None:
        worker, seconds = self._draw()
        self._cut(worker, seconds, self.rng.choice((("engine", "to"), ("web", "from"))))

    def _cut_off_worker(self) -> None:
        self._cut(*self._draw(), *_ALL_WAYS)

    def _cut_off_all(self) -> None:
        _, seconds = self._draw()
        for worker in self.world.workers:
            self._cut(worker, seconds, *_ALL_WAYS)

    def _kill_engine(self) -> None:
        self.world.engine.kill()
        self.timeline.at(self._draw()[1], self.world.engine.start)

    def _pause_engine(self) -> None:
        self.world.engine.pause()
        self.timeline.at(self._draw()[1], self.world.engine.resume)

    def _kill_dispatcher(self) -> None:
        _, seconds = self._draw()
        for process in (self.world.engine, self.world.web):
            process.kill()
            self.timeline.at(seconds, process.start)

    def _turn_clock(self) -> None:
        self.timeline.offset += self.rng.choice((-3600.0, -20.0, 20.0, 3600.0))

    def _stop_database(self) -> None:
        self.world.has_database = False
        self.timeline.at(min(self._draw()[1], 2.5), self._bring_database)

    def _trouble_network(self) -> None:
        network, choose = self.world.network, self.rng.choice
        network.loss, network.repeats, network.slowness = choose((0.1, 0.3)), choose((0.0, 0.3)), choose((0.0, 0.3))

    def _as_operator(self, *acts: Any) -> None:
        if self.world.has_database and self.world.web.is_up:
            self.rng.choice(acts)()

    def _cut(self, worker: Worker, seconds: float, *ways: tuple[str, str]) -> None:
        how = self.rng.choice(("refuse", "swallow"))
        for other, way in ways:
            pair = (other, worker.name) if way == "to" else (worker.name, other)
            self.world.network.cut[pair] = how
            self.timeline.at(seconds, self.world.network.cut.pop, pair, None)

    def _bring_database(self) -> None:
        self.world.has_database = True

    def _set_clock(self) -> None:
        self.world.oracle.check_only_scheduled_left()
        self.timeline.offset = max(0.0, self.timeline.offset)

    def heal(self) -> None:
        """Everything works again, and nobody holds anything back."""
        self._bring_database()
        self.world.network.heal()
        # Times that people and retries chose are on the wall clock: once it is right again they come.
        self.timeline.at(CLOCK_WRONG_SECONDS, self._set_clock)
        for process in (self.world.web, self.world.engine, *self.world.workers):
            process.resume()
            process.start()
        nodes = list(Node.objects.order_by("id"))
        node_registry.resume(nodes, actor="op", now=self.timeline.now())
        queues.ensure(["default"], now=self.timeline.now())
        queues.resume("default", actor="op", now=self.timeline.now())


def _by_operator(*acts: Callable[[Misfortunes], None]) -> Callable[[Misfortunes], None]:
    def act(self: Misfortunes) -> None:
        self._as_operator(*(functools.partial(each, self) for each in acts))

    return act


#: How often each befalls an installation, in proportion.
_STRIKES: list[tuple[int, Callable[[Misfortunes], None]]] = [
    (3, Misfortunes._kill_worker),
    (2, Misfortunes._pause_worker),
    (1, Misfortunes._stop_worker),
    (1, Misfortunes._cut_one_way),
    (1, Misfortunes._cut_off_worker),
    (1, Misfortunes._cut_off_all),
    (2, Misfortunes._kill_engine),
    (1, Misfortunes._pause_engine),
    (1, Misfortunes._kill_dispatcher),
    (1, Misfortunes._turn_clock),
    (1, Misfortunes._stop_database),
    (2, Misfortunes._trouble_network),
    (1, _by_operator(Misfortunes._steer_node, Misfortunes._steer_queue)),
    (1, _by_operator(Misfortunes._cancel)),
    (1, _by_operator(Misfortunes._retry)),
    (2, _by_operator(Misfortunes._forge)),
    (4, _by_operator(Misfortunes._fence)),
]
