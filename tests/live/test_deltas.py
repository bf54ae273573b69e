from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.live.deltas import diff
from dispatcher.live.messages import encode
from tests.live.browser import applied

MOMENT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LISTS = {"series": "minute", "nodes": "name"}

values = st.one_of(st.none(), st.integers(0, 3), st.text(max_size=3), st.lists(st.integers(0, 2), max_size=2))
nodes = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("abcde"), "load": st.integers(0, 2)}),
    unique_by=lambda row: row["name"],
).map(lambda rows: sorted(rows, key=lambda row: row["name"]))
series = st.lists(st.integers(0, 6), unique=True).map(
    lambda minutes: [{"minute": MOMENT + timedelta(minutes=n), "count": n % 2} for n in sorted(minutes)]
)
documents = st.fixed_dictionaries({"counts": values, "failures": values, "nodes": nodes, "series": series})


def seen(value):
    """The value as a browser has it."""
    return json.loads(encode(value))


@given(documents, documents)
def test_a_delta_makes_the_new_document_of_the_old_one(old, new) -> None:
    delta = diff(old, new, LISTS)
    if delta is None:
        assert old == new
    else:
        assert applied(seen(old), seen(delta)) == seen(new)


@given(documents)
def test_equal_documents_make_no_delta(document) -> None:
    assert diff(document, dict(document), LISTS) is None


def test_only_what_changed_travels() -> None:
    old = {
        "counts": {"queued": 1},
        "nodes": [{"name": "a", "n": 1}, {"name": "b", "n": 1}],
        "series": [],
        "failures": 0,
    }
    new = {"counts": {"queued": 1}, "nodes": [{"name": "b", "n": 2}], "series": [], "failures": 0}
    assert seen(diff(old, new, LISTS)) == {
        "rows": {"nodes": {"key": "name", "upsert": [{"name": "b", "n": 2}], "remove": ["a"]}}
    }
