"""``python -m tests.pictures.history``: sums of the hours before the first task, for charts that are not bare.

Only the sums per minute: the tasks, attempts and logs of the pictures are all real. The minute of the first task is
made a whole one; it has to be over.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import django

HOURS = 3
#: Queue, type: tasks a minute, run time in ms as (log of the median, spread), share that fails.
LANES = {
    ("search", "search.index"): (560, (3.6, 0.9), 0.0),
    ("media", "media.thumbnail"): (235, (5.0, 0.6), 0.0008),
    ("mail", "mail.send"): (118, (4.2, 0.7), 0.006),
    ("imports", "imports.read"): (24, (5.1, 0.5), 0.016),
    ("reports", "reports.build"): (3, (6.6, 0.2), 0.02),
}
#: Queue: tasks that wait at the end of a minute, at most; and how long the first of them has waited, in ms.
DEPTHS = {"media": (46, 9_000), "search": (30, 1_900), "mail": (14, 900)}
#: Durations drawn for each lane and minute, in proportion to its tasks.
SAMPLES = 120
FIELDS = ["count", "wait_ms_sum", "run_ms_sum", "wait_histogram", "run_histogram"]


def main() -> None:
    """Fill in what is before the first task."""
    django.setup()
    from dispatcher.models import FeedCursor, MinuteRollup, SpanRollup, Task
    from dispatcher.rollups import spans

    first = Task.objects.earliest("id").created_at.replace(second=0, microsecond=0)
    dice, num_minutes = random.Random(41), HOURS * 60
    rows = [
        MinuteRollup(**row)
        for back in range(num_minutes, -1, -1)
        for row in _minute(dice, first - timedelta(minutes=back), 1 - back / num_minutes)
    ]
    unique = ["minute", "queue", "type", "outcome"]
    for start in range(0, len(rows), 500):
        some = rows[start : start + 500]
        MinuteRollup.objects.bulk_create(some, update_conflicts=True, unique_fields=unique, update_fields=FIELDS)
    # Longer ranges are summed anew, from the first minute on.
    FeedCursor.objects.filter(name__in=spans.CURSORS.values()).delete()
    SpanRollup.objects.all().delete()


def _minute(dice: random.Random, minute: datetime, progress: float) -> Iterator[dict[str, object]]:
    """The rows of a minute; ``progress`` rises from 0 to 1 over all of them."""
    tide = 1.02 + 0.24 * math.sin(progress * 21) + 0.1 * math.sin(progress * 67)
    # Some minutes in which another system was slow: what waits, grows, and some of it fails.
    trouble = math.exp(-(((progress - 0.86) / 0.02) ** 2))
    total = sum(rate for rate, _, _ in LANES.values())
    for (queue, kind), (rate, (median, spread), share) in LANES.items():
        count = max(1, round(rate * tide * dice.uniform(0.93, 1.07) * (1 - 0.35 * trouble)))
        failed = sum(dice.random() < share * (1 + 12 * trouble) for _ in range(count))
        num_samples = max(1, SAMPLES * rate // total)
        waits = [dice.lognormvariate(3.7 + 1.9 * trouble, 0.55) for _ in range(num_samples)]
        runs = [dice.lognormvariate(median + 0.9 * trouble, spread) for _ in range(num_samples)]
        common = {"minute": minute, "queue": queue, "type": kind}
        yield common | {"outcome": "created", "count": round(rate * tide)}
        yield common | {"outcome": "succeeded", "count": count - failed} | _durations(waits, runs)
        if failed:
            yield common | {"outcome": "dead", "count": failed}
            yield common | {"outcome": "retried", "count": 2 * failed}
    for queue, (most, longest) in DEPTHS.items():
        fill = 0.16 + 0.84 * trouble + dice.uniform(-0.05, 0.05)
        common = {"minute": minute, "queue": queue, "type": ""}
        yield common | {"outcome": "depth", "count": round(most * fill)}
        yield common | {"outcome": "oldest", "count": round(longest * fill**2)}


def _durations(waits: list[float], runs: list[float]) -> dict[str, object]:
    from dispatcher.rollups import histogram

    return {
        "wait_ms_sum": sum(waits),
        "run_ms_sum": sum(runs),
        "wait_histogram": histogram.encode(histogram.histogram(waits)),
        "run_histogram": histogram.encode(histogram.histogram(runs)),
    }


if __name__ == "__main__":
    main()
