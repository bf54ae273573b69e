from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.rollups.histogram import (
    BUCKETS,
    add,
    bucket,
    clamp,
    decode,
    empty,
    encode,
    histogram,
    percentile,
)

durations = st.lists(st.floats(min_value=0, max_value=1e7), min_size=1, max_size=200)


@pytest.mark.parametrize(
    ("ms", "expected"),
    [(0, 0), (0.99, 0), (1, 1), (1.9, 1), (2, 2), (3.9, 2), (4, 3), (1023.9, 10), (1024, 11), (1e9, 23), (1e300, 23)],
)
def test_a_bucket_holds_durations_from_half_its_bound_to_below_it(ms: float, expected: int) -> None:
    assert bucket(ms) == expected


@pytest.mark.parametrize("ms", [-5.0, float("nan"), float("-inf")])
def test_impossible_durations_count_as_none(ms: float) -> None:
    assert clamp(ms) == 0.0
    assert bucket(ms) == 0


@given(durations)
def test_a_histogram_counts_every_duration_in_its_bucket(values: list[float]) -> None:
    counts = histogram(clamp(ms) for ms in values)
    assert len(counts) == BUCKETS
    for index in range(BUCKETS):
        assert counts[index] == sum(bucket(ms) == index for ms in values)


@given(durations, durations)
def test_histograms_add_up(first: list[float], second: list[float]) -> None:
    total = histogram(first)
    add(total, histogram(second))
    assert total == histogram([*first, *second])


@given(durations)
def test_a_histogram_survives_storage(values: list[float]) -> None:
    assert decode(encode(histogram(values))) == histogram(values)


def test_an_empty_histogram_is_stored_as_nothing_and_has_no_percentile() -> None:
    assert encode(empty()) == "[]"
    assert percentile(empty(), 0.5) is None


@given(st.lists(st.floats(min_value=1, max_value=4e6), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_within_a_factor_of_two_of_the_true_one(values: list[float], fraction: float) -> None:
    found = percentile(histogram(values), fraction)
    assert found is not None
    rank = max(0, -(-int(fraction * len(values) * 1000) // 1000) - 1)
    ranked = sorted(values)
    low, high = ranked[max(0, rank - 1)], ranked[min(len(values) - 1, rank + 1)]
    assert low / 2.01 <= found <= high * 2.01


@given(durations)
def test_percentiles_rise(values: list[float]) -> None:
    counts = histogram(values)
    found = [percentile(counts, fraction) or 0.0 for fraction in (0.1, 0.5, 0.95, 0.99, 1.0)]
    assert found == sorted(found)


def test_evenly_spread_durations_give_the_expected_percentiles() -> None:
    counts = histogram(float(ms) for ms in range(1024))
    assert percentile(counts, 0.5) == pytest.approx(512, rel=0.01)
    assert percentile(counts, 0.95) == pytest.approx(973, rel=0.02)
