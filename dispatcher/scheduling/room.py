"""How many tasks of each lane could be placed now, before any task is looked at."""

from __future__ import annotations

from dispatcher.scheduling.board import Board
from dispatcher.scheduling.snapshot import Snapshot


def room(snapshot: Snapshot) -> dict[int, int]:
    """Per lane id, the number of tasks that the nodes would take if no other lane had any; lanes without are left out.

    An upper bound for ``decide`` with the same snapshot: it tells which heads are worth reading, and how many.
    """
    board = Board(snapshot)
    found: dict[int, int] = {}
    for lane in snapshot.lanes:
        places = sum(seat.load.room(seat.mean) for seat in board.seat(lane).seats)
        if places:
            found[lane.id] = places
    return found
