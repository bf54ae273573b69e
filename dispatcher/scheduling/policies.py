"""Load-balancing policies by name: which of the nodes with room takes the next task of a lane.

A policy is a class made once per lane and pass from a ``Scene``, with one method ``pick``. To add one, write it here
(or in a module imported here) under ``@policy("name")``; nothing else names it. Policies choose among seats with room
only and never account: ``decide`` takes the seat after ``pick`` returned it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heapify, heappop, heappush, heapreplace
from itertools import accumulate
from math import ceil, log
from random import Random
from typing import Final, Protocol

from dispatcher.scheduling.board import Seat
from dispatcher.scheduling.snapshot import DEFAULT_POLICY, TaskHead

#: Speeds within this factor of the best count as equal, so that noise in measurements decides nothing.
SPEED_TIE: Final = 1.25
#: A key whose node has many tasks goes elsewhere beyond this multiple of the node's fair share.
AFFINITY_BOUND: Final = 1.25
#: Sorts any node that would queue the task behind every node that starts it at once.
_NO_FREE_SLOT: Final = 1_000_000
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Scene:
    """What a policy is made from."""

    lane_id: int
    seats: list[Seat]
    #: A number per node id, shared by the lanes of the queue; the policy may change it, and it lives on.
    memory: dict[int, int]
    seed: int


class Picker(Protocol):
    """A policy at work for one lane in one pass."""

    def __init__(self, scene: Scene) -> None: ...

    def pick(self, task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The seat for ``task``, never on node ``avoid``; None if no seat (but that one) has room."""


POLICIES: Final[dict[str, type[Picker]]] = {}


def policy(name: str) -> Callable[[type[Picker]], type[Picker]]:
    """Class decorator: make a policy known by ``name``. ``ValueError`` if the name is taken."""

    def add(picker: type[Picker]) -> type[Picker]:
        if name in POLICIES:
            raise ValueError(f"there are two policies called {name!r}")
        POLICIES[name] = picker
        return picker

    return add


def picker_for(name: str, scene: Scene) -> Picker:
    """The policy called ``name`` for this scene; an unknown name falls back to the default, so that work goes on."""
    return POLICIES.get(name, POLICIES[DEFAULT_POLICY])(scene)


class ScorePicker:
    """Base of policies that score nodes: the lowest ``key`` wins, then the node's place in the snapshot.

    A key may only grow as its node fills; then entries that are out of date stand too far forward, never too far
    back, and are put right when they come up.
    """

    def __init__(self, scene: Scene) -> None:
        self.heap = [self._entry(seat) for seat in scene.seats if seat.has_room()]
        heapify(self.heap)

    def key(self, seat: Seat) -> tuple[float, ...]:
        """How dear the seat is as its node is loaded now; the cheapest is picked."""
        raise NotImplementedError

    def pick(self, _task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The cheapest seat with room."""
        heap = self.heap
        while heap:
            entry = heap[0]
            seat = entry[2]
            if seat.keyed_at != seat.load.total:
                if not seat.has_room():
                    heappop(heap)
                else:
                    heapreplace(heap, self._entry(seat))
            elif seat.node_id == avoid:
                heappop(heap)
                other = self.pick(_task, None)
                heappush(heap, entry)
                return other
            else:
                return seat
        return None

    def _entry(self, seat: Seat) -> tuple[tuple[float, ...], int, Seat]:
        seat.keyed_at = seat.load.total
        return self.key(seat), seat.order, seat


@policy("fastest")
class Fastest(ScorePicker):
    """The fastest node with a free slot, of equally fast ones the least utilised.

    When no slot is free the credit windows fill evenly by work done per second, so that queues end together.
    """

    def __init__(self, scene: Scene) -> None:
        best = max((seat.speed for seat in scene.seats), default=1.0)
        #: How many ties slower than the best each node is, by place.
        self.tiers = {seat.order: int(log(best / seat.speed) / log(SPEED_TIE)) for seat in scene.seats}
        super().__init__(scene)

    def key(self, seat: Seat) -> tuple[float, ...]:
        """Tier of speed, then utilisation; without a free slot, time to work off what is there."""
        load = seat.load
        if load.total < load.slots:
            return (self.tiers[seat.order], load.total / load.slots)
        return (_NO_FREE_SLOT, load.total / (load.slots * seat.speed))


@policy("least_loaded")
class LeastLoaded(ScorePicker):
    """The node with the fewest tasks in flight per slot."""

    def key(self, seat: Seat) -> tuple[float, ...]:
        """Tasks in flight per slot."""
        return (seat.load.total / seat.load.slots,)


@policy("spread")
class Spread(ScorePicker):
    """The node with the fewest tasks of this lane, so that a node lost takes as few of a kind as can be."""

    def key(self, seat: Seat) -> tuple[float, ...]:
        """Tasks of the lane, then tasks per slot; nodes without a free slot last."""
        load = seat.load
        zone = 0 if load.total < load.slots else _NO_FREE_SLOT
        return (zone, seat.mine, load.total / load.slots)


@policy("binpack")
class BinPack:
    """The fullest node with a free slot, so that others stay empty and can be switched off."""

    def __init__(self, scene: Scene) -> None:
        self.seats = scene.seats

    def pick(self, _task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The fullest seat with room."""
        # Scanned each time: filling a node makes it more attractive, which a heap of old scores would miss.
        usable = (seat for seat in self.seats if seat.node_id != avoid and seat.has_room())
        return min(usable, key=self._key, default=None)

    def _key(self, seat: Seat) -> tuple[float, ...]:
        load = seat.load
        filled = load.total / load.slots
        return (0, -filled) if filled < 1.0 else (_NO_FREE_SLOT, filled)


@policy("round_robin")
class RoundRobin:
    """Smooth weighted round robin by slots over the nodes with room: weights 5, 1, 1 give a a b a c a a.

    Each turn every node gains its weight; the highest takes the task and pays the sum of the weights. The standing is
    one per queue and lives on in memory.
    """

    def __init__(self, scene: Scene) -> None:
        self.seats = scene.seats
        self.standing = scene.memory

    def pick(self, _task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The seat whose turn it is; one turn is played."""
        standing = self.standing
        best: Seat | None = None
        best_score = total = 0
        for seat in self.seats:
            if seat.node_id == avoid or not seat.has_room():
                continue
            weight = seat.load.slots
            total += weight
            score = standing[seat.node_id] = standing.get(seat.node_id, 0) + weight
            if best is None or score > best_score:
                best, best_score = seat, score
        if best is not None:
            standing[best.node_id] -= total
        return best


@policy("power_of_two")
class PowerOfTwo:
    """Draws two different nodes, each with a chance in proportion to its slots, and takes the less utilised.

    Needs no exact counts to be good, so it suits several engines that see each other's work late. Equal snapshots
    (with equal seeds) draw alike.
    """

    def __init__(self, scene: Scene) -> None:
        self.random = Random(scene.seed * 1_000_003 + scene.lane_id)
        self._sit([seat for seat in scene.seats if seat.has_room()])

    def pick(self, _task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The less utilised of two drawn seats with room."""
        barred = [i for i, seat in enumerate(self.seats) if seat.node_id == avoid] if avoid is not None else []
        first = self._draw(barred)
        if first is None:
            return None
        # The list may have been made anew by the draw.
        barred = [i for i, seat in enumerate(self.seats) if seat is first or seat.node_id == avoid]
        second = self._draw(barred)
        if second is None:
            return first
        return min(first, second, key=lambda seat: seat.load.total / seat.load.slots)

    def _sit(self, seats: list[Seat]) -> None:
        self.seats = seats
        #: Where each seat's share of the line ends.
        self.ends = list(accumulate(seat.load.slots for seat in seats))

    def _draw(self, barred: list[int]) -> Seat | None:
        """A seat with room, by weight, none of the ``barred`` places (ascending); full ones are forgotten."""
        while len(self.seats) > len(barred):
            weights = [self.seats[i].load.slots for i in barred]
            point = self.random.random() * (self.ends[-1] - sum(weights))
            for i, weight in zip(barred, weights, strict=True):
                if point >= self.ends[i] - weight:
                    point += weight
            seat = self.seats[bisect_right(self.ends, point)]
            if seat.has_room():
                return seat
            kept = [self.seats[i] for i in barred]
            self._sit([other for other in self.seats if other is not seat])
            barred = [i for i, other in enumerate(self.seats) if other in kept]
        return None


@policy("affinity")
class Affinity:
    """Tasks with the same key go to the same node, for the sake of its caches.

    Each key ranks the nodes by a weighted rendezvous hash, so a node that comes or goes moves only its own share of
    keys. A node takes its keys while it has a free slot, and into its credit window up to ``AFFINITY_BOUND`` times its
    fair share of what is in flight; beyond that the next node of the ranking does. Tasks without a key, and those no
    node of the ranking takes, go by the default policy.
    """

    def __init__(self, scene: Scene) -> None:
        self.seats = scene.seats
        self.slots = sum(seat.load.slots for seat in scene.seats)
        self.rankings: dict[str, list[Seat]] = {}
        self.fallback = POLICIES[DEFAULT_POLICY](scene)

    def pick(self, task: TaskHead, avoid: int | None, /) -> Seat | None:
        """The first seat of the key's ranking that is open to it, else what the default policy picks."""
        for seat in self._ranking(task.affinity_key):
            if seat.node_id != avoid and seat.has_room() and self._is_within_bound(seat):
                return seat
        return self.fallback.pick(task, avoid)

    def _ranking(self, key: str) -> list[Seat]:
        if not key:
            return []
        ranking = self.rankings.get(key)
        if ranking is None:
            ranking = self.rankings[key] = rendezvous(key, self.seats)
        return ranking

    def _is_within_bound(self, seat: Seat) -> bool:
        load = seat.load
        if load.total < load.slots:
            return True
        in_flight = sum(other.load.total for other in self.seats) + 1
        return load.total < ceil(AFFINITY_BOUND * in_flight * load.slots / self.slots)


def rendezvous(key: str, seats: list[Seat]) -> list[Seat]:
    """``seats`` as ``key`` prefers them: each is first for a share of all keys in proportion to its slots."""
    base = int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest())

    def cost(seat: Seat) -> float:
        uniform = (_mixed(base ^ _mixed(seat.node_id)) + 0.5) / (_MASK + 1)
        return -log(uniform) / seat.load.slots

    return sorted(seats, key=cost)


def _mixed(value: int) -> int:
    """64 well-mixed bits of an integer (the finaliser of splitmix64)."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
