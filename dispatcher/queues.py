"""The only writer of queues: make, pause, resume, edit. Every change is in the feed with its actor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from dispatcher import events
from dispatcher.models import Change, Queue
from dispatcher.scheduling.snapshot import DEFAULT_POLICY


class UnknownQueue(LookupError):
    """There is no queue of that name."""


def ensure(names: Iterable[str], *, now: datetime, actor: str = "") -> None:
    """Make the queues that do not exist yet."""
    wanted = set(names)
    if not wanted:
        return
    missing = wanted - set(Queue.objects.filter(name__in=wanted).values_list("name", flat=True))
    for name in sorted(missing):
        create(name, now=now, actor=actor)


def create(name: str, *, now: datetime, actor: str = "", policy: str = DEFAULT_POLICY, description: str = "") -> Queue:
    """Make the queue, or return it if it exists already (someone else may have been first)."""
    with transaction.atomic():
        queue, made = Queue.objects.get_or_create(
            name=name, defaults={"created_at": now, "policy": policy, "description": description}
        )
        if made:
            Change.objects.append(events.QueueCreated(queue=name), now=now, actor=actor)
    return queue


def pause(name: str, *, reason: str, actor: str, now: datetime) -> Queue:
    """Hand out no more tasks of this queue. Pausing a paused queue changes nothing."""
    with transaction.atomic():
        queue = _locked(name)
        if queue.paused_at is None:
            queue.paused_at, queue.paused_by, queue.pause_reason = now, actor, reason
            queue.save(update_fields=["paused_at", "paused_by", "pause_reason"])
            Change.objects.append(events.QueuePaused(queue=name, reason=reason), now=now, actor=actor)
    return queue


def resume(name: str, *, actor: str, now: datetime) -> Queue:
    """Hand out tasks again."""
    with transaction.atomic():
        queue = _locked(name)
        if queue.paused_at is not None:
            queue.paused_at, queue.paused_by, queue.pause_reason = None, "", ""
            queue.save(update_fields=["paused_at", "paused_by", "pause_reason"])
            Change.objects.append(events.QueueResumed(queue=name), now=now, actor=actor)
    return queue


def edit(name: str, *, actor: str, now: datetime, policy: str | None = None, description: str | None = None) -> Queue:
    """Change the policy or the description."""
    with transaction.atomic():
        queue = _locked(name)
        queue.policy = queue.policy if policy is None else policy
        queue.description = queue.description if description is None else description
        queue.save(update_fields=["policy", "description"])
        Change.objects.append(events.QueueEdited(queue=name, reason=f"policy {queue.policy}"), now=now, actor=actor)
    return queue


def _locked(name: str) -> Queue:
    try:
        return Queue.objects.select_for_update().get(name=name)
    except Queue.DoesNotExist:
        raise UnknownQueue(name) from None
