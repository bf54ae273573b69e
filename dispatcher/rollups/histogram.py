"""Histograms of durations in buckets that double, and the percentiles read from them. Pure.

Bucket 0 counts durations below 1 ms, bucket b those of [2^(b-1), 2^b) ms; the last one everything above. Histograms of
any minutes, queues and types add up, so a percentile over any range costs a sum.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

BUCKETS = 24
#: What counts for longer than this counts as this: three years, in milliseconds.
_LONGEST_MS = 1e11

Histogram = list[int]

_numbers = msgspec.json.Decoder(list[int]).decode


def empty() -> Histogram:
    """A histogram of nothing."""
    return [0] * BUCKETS


def clamp(ms: float) -> float:
    """A duration that sums and buckets can hold, whatever a node reported."""
    return min(ms, _LONGEST_MS) if ms > 0 else 0.0


def bucket(ms: float) -> int:
    """The bucket of a duration in milliseconds."""
    return min(int(clamp(ms)).bit_length(), BUCKETS - 1)


def histogram(durations: Iterable[float]) -> Histogram:
    """The histogram of durations in milliseconds, which must be clamped."""
    counts = empty()
    # The loops run in C: this is done for every ended attempt.
    for bits, count in Counter(map(int.bit_length, map(int, durations))).items():
        counts[min(bits, BUCKETS - 1)] += count
    return counts


def add(into: Histogram, other: Sequence[int]) -> None:
    """Add ``other``, which may have fewer buckets, to ``into``."""
    for index, count in enumerate(other[:BUCKETS]):
        into[index] += count


def percentile(counts: Sequence[int], fraction: float) -> float | None:
    """The duration in ms below which ``fraction`` (0 to 1) of the durations lie; None for an empty histogram.

    Within a bucket durations are taken as evenly spread, so the answer is off by at most the bucket's width (a factor
    of two). Rounded to three digits.
    """
    total = sum(counts)
    if not total:
        return None
    wanted = fraction * total
    below = 0
    for index, count in enumerate(counts):
        if count and below + count >= wanted:
            low = 0.0 if index == 0 else 2.0 ** (index - 1)
            high = 2.0**index
            return _rounded(low + (high - low) * max(0.0, wanted - below) / count)
        below += count
    return _rounded(2.0 ** (len(counts) - 1))


def encode(counts: Sequence[int]) -> str:
    """As it is stored: a JSON array without the empty buckets at its end."""
    length = max((index + 1 for index, count in enumerate(counts) if count), default=0)
    return json.dumps(list(counts[:length]), separators=(",", ":"))


def decode(text: str) -> Histogram:
    """A stored histogram, with all buckets."""
    counts = empty()
    add(counts, _numbers(text))
    return counts


def add_stored(into: Histogram, text: str) -> None:
    """Add a stored histogram: ``add`` of ``decode``, for thousands of them at once."""
    for index, count in enumerate(_numbers(text)[:BUCKETS]):
        into[index] += count


def _rounded(value: float) -> float:
    return round(value, 2 - math.floor(math.log10(value))) if value > 0 else 0.0
