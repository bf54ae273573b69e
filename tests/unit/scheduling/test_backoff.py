"""Delays before retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.scheduling.backoff import delay


def test_the_range_doubles_up_to_the_cap() -> None:
    assert [delay(n, 2.0, 50.0, 0.5) for n in range(1, 8)] == [1.0, 2.0, 4.0, 8.0, 16.0, 25.0, 25.0]


def test_jitter_is_full() -> None:
    assert delay(3, 2.0, 50.0, 0.0) == 0.0
    assert delay(3, 2.0, 50.0, 0.999) == pytest.approx(7.992)


@given(
    st.integers(1, 10**9),
    st.floats(0, 1e308),
    st.floats(0, 1e308),
    st.floats(0, 1, exclude_max=True),
)
def test_no_delay_is_negative_or_beyond_the_cap(failures: int, base: float, cap: float, rand: float) -> None:
    assert 0.0 <= delay(failures, base, cap, rand) <= cap


@pytest.mark.parametrize(
    "bad",
    [(0, 1, 1, 0), (1, -1, 1, 0), (1, 1, -1, 0), (1, 1, 1, 1.0), (1, float("nan"), 1, 0), (1, 1, float("inf"), 0)],
)
def test_arguments_out_of_range_are_refused(bad: tuple[int, float, float, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        delay(*bad)
