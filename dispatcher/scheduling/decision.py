"""``decide``: which ready task goes to which node now, and why the others wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from dispatcher.scheduling.board import Board, Seat
from dispatcher.scheduling.policies import Scene, picker_for
from dispatcher.scheduling.reasons import Reason, ReasonClass, classify, summarise
from dispatcher.scheduling.snapshot import DEFAULT_POLICY, Assignment, LaneView, Snapshot, TaskHead


@dataclass(frozen=True, slots=True)
class LaneVerdict:
    """Why a lane has ready tasks left that no node can take: one reason for every node, or one per node."""

    lane_id: int
    reasons: tuple[Reason, ...]

    @property
    def reason_class(self) -> ReasonClass:
        """What it takes before the lane moves."""
        return classify(self.reasons)

    @property
    def text(self) -> str:
        """One clause for people, without a full stop."""
        return summarise(self.reasons)


@dataclass(frozen=True, slots=True)
class Decision:
    """``assignments`` in order of service; ``blocked`` by lane id.

    A lane is blocked if tasks are left over which no node could take after the assignments; one that was merely cut
    off by the limit is not. ``memory`` goes into the next snapshot.
    """

    assignments: list[Assignment]
    blocked: dict[int, LaneVerdict]
    memory: Mapping[str, object]


#: Order of service over all lanes: highest priority, then oldest (smallest id), then the lane's place.
_Rank = tuple[int, int, int]


class _Turn:
    """How far a lane has come in a pass; gates are asked once per node, at its start."""

    __slots__ = ("board", "heads", "lane", "pick", "place", "position", "seating")

    def __init__(self, lane: LaneView, place: int, board: Board) -> None:
        self.board = board
        self.lane = lane
        self.place = place
        self.heads = lane.heads
        self.position = 0
        self.seating = board.seat(lane)
        queue = board.snapshot.queues.get(lane.queue)
        scene = Scene(lane.id, self.seating.seats, board.memory_of(lane.queue), board.snapshot.seed)
        self.pick = picker_for(queue.policy if queue is not None else DEFAULT_POLICY, scene).pick

    def rank(self) -> _Rank:
        head = self.heads[self.position]
        return (-head.priority, head.id, self.place)

    def is_done(self) -> bool:
        return self.position >= len(self.heads)

    def serve(self, rival: _Rank | None, limit: int, assignments: list[Assignment]) -> bool:
        """Assign tasks until ``rival`` is due, ``limit`` is reached or none is left; False if no node has room."""
        pick = self.pick
        lane_id = self.lane.id
        for position in range(self.position, min(len(self.heads), self.position + limit - len(assignments))):
            head = self.heads[position]
            if rival is not None and (-head.priority, head.id, self.place) > rival:
                break
            avoid = head.avoid_node_id
            find = self._find_quiet if head.crashes else pick
            seat = find(head, avoid)
            if seat is None and avoid is not None and not (head.is_patient and self._has_other(avoid)):
                seat = find(head, None)
            if seat is None:
                if not head.is_patient:
                    return False
                self.position = position + 1
                continue
            seat.take()
            if head.crashes:
                seat.load.suspects += 1
            assignments.append(Assignment(head.id, lane_id, seat.node_id))
            self.position = position + 1
        return True

    def _find_quiet(self, head: TaskHead, avoid: int | None) -> Seat | None:
        """For a task that crashed before: where it takes the fewest others along if it does so again.

        First of all where no other such task is. So the one that crashes nodes is soon apart from those that were
        only there when it did, and these never come to the number of crashes that makes a task poison. That is worth
        a wait, but no long one: after nodes were lost for another reason, all their tasks are such tasks. Nor does it
        go back to the node it was lost with while it can wait for another: it may be that node that loses its tasks.
        """
        usable = (
            seat
            for seat in self.seating.seats
            if seat.node_id != avoid and not (head.is_patient and seat.load.suspects) and seat.has_room()
        )
        return min(usable, key=_noise, default=None)

    def _has_other(self, node_id: int) -> bool:
        """Whether the lane has any other node, be it full."""
        nodes = self.board.snapshot.nodes
        seated = {seat.node_id for seat in self.seating.seats} | {nodes[place].id for place in self.seating.full}
        return bool(seated - {node_id})


def _noise(seat: Seat) -> tuple[float, ...]:
    return (seat.load.suspects, seat.load.total / seat.load.slots, seat.order)


def decide(snapshot: Snapshot, limit: int) -> Decision:
    """Assign at most ``limit`` ready tasks to nodes with room.

    Tasks are served by priority (highest first), then age, over all lanes; inside a lane in the order of its heads. A
    lane that no node can take drops out and holds up nobody. Equal arguments give equal decisions.
    """
    board = Board(snapshot)
    turns = [_Turn(lane, place, board) for place, lane in enumerate(snapshot.lanes) if lane.heads]
    due = {turn.place: turn for turn in turns}
    order = [turn.rank() for turn in turns if turn.seating.seats]
    heapify(order)
    assignments: list[Assignment] = []
    while order and len(assignments) < limit:
        turn = due[heappop(order)[2]]
        if turn.serve(order[0] if order else None, limit, assignments) and not turn.is_done():
            heappush(order, turn.rank())
    blocked = {
        turn.lane.id: LaneVerdict(turn.lane.id, board.verdict(turn.seating))
        for turn in turns
        if not turn.is_done() and not turn.seating.has_room()
    }
    return Decision(assignments, blocked, board.memory())
