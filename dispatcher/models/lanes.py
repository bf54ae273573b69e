"""Lanes by key and by id, cached for good: lane rows never change and are never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from django.db import IntegrityError, transaction

from dispatcher.models.queue import Lane


class LaneKey(NamedTuple):
    """What makes a lane."""

    queue: str
    type: str
    #: Canonical JSON, see ``canonical_labels``.
    labels: str


_ids: dict[LaneKey, int] = {}
_lanes: dict[int, Lane] = {}


def lane_ids(keys: Iterable[LaneKey]) -> dict[LaneKey, int]:
    """The ids of these lanes, making those that are new. A new lane is committed with the caller's transaction."""
    found: dict[LaneKey, int] = {}
    # Sorted: two that make the same lanes in different orders would wait for each other.
    for key in sorted(set(keys)):
        known = _ids.get(key)
        found[key] = known if known is not None else _get_or_create(key)
    return found


def is_known(key: LaneKey) -> bool:
    """Whether the lane exists for certain, and with it its queue, without a look into the database."""
    return key in _ids


def lanes_by_id(ids: Iterable[int]) -> dict[int, Lane]:
    """The lanes with these ids; unknown ids are left out."""
    wanted = set(ids)
    missing = wanted - _lanes.keys()
    if missing:
        _lanes.update(Lane.objects.in_bulk(missing))
    return {pk: _lanes[pk] for pk in wanted if pk in _lanes}


def forget() -> None:
    """Empty the cache (tests roll lanes back)."""
    _ids.clear()
    _lanes.clear()


def _get_or_create(key: LaneKey) -> int:
    try:
        # The savepoint keeps the caller's transaction usable when another process makes the lane at the same time.
        with transaction.atomic():
            lane, made = Lane.objects.get_or_create(queue=key.queue, type=key.type, labels=key.labels)
    except IntegrityError:
        lane, made = Lane.objects.get(queue=key.queue, type=key.type, labels=key.labels), False
    if made:
        # Not cached before the caller commits: it may still roll back.
        transaction.on_commit(lambda: _ids.update({key: lane.pk}))
    else:
        _ids[key] = lane.pk
    return lane.pk
