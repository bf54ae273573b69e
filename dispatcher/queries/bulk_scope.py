"""What an action on all tasks that match would be about: exact numbers up to a bound, which is told where it is met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from dispatcher.models import Task
from dispatcher.models.bulk import BulkAction, BulkReason
from dispatcher.queries.filters import TaskFilters
from dispatcher.queries.shapes import BulkPreview
from dispatcher.queries.task_search import search
from dispatcher.queries.tasks_document import lane_counts
from dispatcher.states import TERMINAL, TaskState

#: Beyond so many tasks it is not counted on.
MAX_COUNTED = 50_000
#: Windows of tasks that are looked through for matching ones, where no index leads to them.
MAX_LOOKS = 10
SAMPLE = 5
_CHUNK = 1000


def bulk_preview(action: BulkAction, filters: TaskFilters, *, again: bool = False) -> BulkPreview:
    """Count what matches now. Tasks go on meanwhile: what a job finds may differ by what has happened since."""
    ids, floor = _matching(filters)
    states: Counter[TaskState] = Counter()
    left: Counter[BulkReason] = Counter()
    for chunk in _chunks(ids):
        of_chunk = _states(filters, chunk)
        states.update(of_chunk.values())
        left.update(_reasons(action, of_chunk, again=again))
    # Some may have been deleted since.
    count = states.total()
    return BulkPreview(
        action=action.value,
        query=filters.text,
        again=again,
        count=count,
        is_exact=not floor,
        estimate=_estimate(filters) if floor else count,
        will=count - left.total(),
        left={reason.value: n for reason, n in sorted(left.items())},
        states={state.word: n for state, n in sorted(states.items())},
        sample=[str(pk) for pk in ids[:SAMPLE]],
        searched_to=str(floor) if floor else None,
    )


def _matching(filters: TaskFilters) -> tuple[list[int], int]:
    """Ids of matching tasks, newest first, and down to which id was looked, 0 for all."""
    ids: list[int] = []
    after: int | None = None
    for _ in range(MAX_LOOKS):
        limit = MAX_COUNTED - len(ids)
        found = search(filters, after=after, limit=limit)
        ids += found.ids
        if len(found.ids) >= limit:
            # Whether these were all is not known without a look at the next.
            more = search(filters, after=ids[-1], limit=1)
            return ids, ids[-1] if more.ids or more.floor else 0
        if not found.floor:
            return ids, 0
        after = found.floor + 1
    return ids, (after or 1) - 1


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _states(filters: TaskFilters, ids: Sequence[int]) -> dict[int, TaskState]:
    if len(filters.states) == 1:
        return dict.fromkeys(ids, next(iter(filters.states)))
    rows = Task.objects.filter(id__in=ids).values_list("id", "state")
    return {pk: TaskState(state) for pk, state in rows}


def _reasons(action: BulkAction, states: dict[int, TaskState], *, again: bool) -> Iterator[BulkReason]:
    """Why some of these would be left as they are."""
    if action is BulkAction.CANCEL:
        yield from (BulkReason.ENDED for state in states.values() if state in TERMINAL)
        return
    yield from (BulkReason.NOT_ENDED for state in states.values() if state not in TERMINAL)
    ended = [pk for pk, state in states.items() if state in TERMINAL]
    if not again and ended:
        before = Task.objects.filter(retry_of__in=ended).values_list("retry_of", flat=True).distinct()
        yield from (BulkReason.RETRIED for _ in before)


def _estimate(filters: TaskFilters) -> int | None:
    counts = lane_counts(filters)
    if counts is None:
        return None
    numbers: dict[str, int] = dict(counts)  # type: ignore[arg-type]  # all of its members are numbers
    return sum(numbers[state.word] for state in filters.states or TaskState)
