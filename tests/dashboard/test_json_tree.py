"""JSON as a tree: exact, bounded, and only ever text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.dashboard import json_tree
from dispatcher.dashboard.json_tree import HEAD_CHARS, MAX_CHARS, MAX_CHILDREN, MAX_DEPTH, MAX_PARTS, Part, tree_html

HOSTILE = "\"'><script>alert(1)</script>&amp;"
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=20), inner, max_size=30),
    max_leaves=60,
)


def unfolded(text: str, at: str = "", first: int = 0) -> Part:
    root, places = Part.whole(text), json_tree.places_of(at)
    assert root is not None
    assert places is not None
    part = root.at(places)
    assert part is not None
    return part.unfold(first)


def parts_of(root: Part) -> Iterator[Part]:
    """The unfolded part and all that is shown within it."""
    yield root
    for child in root.children:
        yield from parts_of(child)


def words_of(markup: str) -> str:
    """What a reader sees."""
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


def test_numbers_stay_what_was_written() -> None:
    written = ["9223372036854775809", "1e400", "-0", "1.10", "12345678901234567890.123456789012345678901", "1E+2"]
    shown = tree_html(f"[{', '.join(written)}]", "/x/")
    assert re.findall(r'class="j-number"><bdi>([^<]*)<', shown) == written


def test_what_people_supply_is_only_ever_text() -> None:
    shown = tree_html(json.dumps({HOSTILE: HOSTILE, "list": [HOSTILE]}), "/x/")
    assert "<script" not in shown
    assert words_of(shown).count(HOSTILE) == 3


def test_values_are_told_apart() -> None:
    shown = tree_html('{"a": "5", "b": 5, "c": null, "d": "***", "e": {}, "f": []}', "/x/")
    kinds = [("string", "5"), ("number", "5"), ("word", "null"), ("masked", "***")]
    assert re.findall(r'class="j-(string|number|word|masked)"><bdi>([^<]*)<', shown) == kinds
    assert re.findall(r'class="j-count">([^<]*)<', shown) == ["{6 fields}", "{}", "[]"]
    assert "(masked)" in shown


def test_a_long_list_is_shown_in_pieces() -> None:
    text = json.dumps({"frames": list(range(250))})
    shown = tree_html(text, "/x/?unmasked=true")
    assert 'href="/x/?unmasked=true&amp;at=0&amp;first=100">150 more: show</a>' in shown
    last = unfolded(text, at="0", first=200)
    assert [child.text for child in last.children] == [str(number) for number in range(200, 250)]
    assert last.children[0].places == (0, 200)
    assert "more: show" not in json_tree.TreeHtml("/x/").tree(last)
    assert "at=0&amp;first=100" in json_tree.TreeHtml("/x/").tree(last)


def test_no_branch_takes_the_room_of_the_others() -> None:
    root = unfolded(json.dumps([list(range(1000)), {"last": 1}]))
    assert root.children[1].children[0].text == "1"


def test_deep_json_is_shown_down_to_a_level_and_from_any_level_on() -> None:
    text = "[" * 200 + "7" + "]" * 200
    assert max(len(part.places) for part in parts_of(unfolded(text))) == MAX_DEPTH
    assert unfolded(text, at=".".join(["0"] * 199)).children[0].text == "7"
    assert tree_html("[" * 100_000, "/x/") == ""


def test_a_long_text_is_folded_and_all_texts_together_are_bounded() -> None:
    one = tree_html(json.dumps("x" * (HEAD_CHARS + 1)), "/x/")
    assert "Show all 301 characters" in one
    many = tree_html(json.dumps(["x" * (MAX_CHARS // 3)] * 5), "/x/")
    assert many.count("Show all") == 3
    assert many.count("they are in Raw") == 2


@pytest.mark.parametrize("text", ["", "nul", '{"a":', '"\\ud800"', "[1] [2]", '{"a": 1'])
def test_what_is_no_json_has_no_tree(text: str) -> None:
    assert tree_html(text, "/x/") == ""


@pytest.mark.parametrize("at", ["1", "0.0", "9999999.1", "0.0.0"])
def test_places_that_are_not_there(at: str) -> None:
    root, places = Part.whole('["a"]'), json_tree.places_of(at)
    assert root
    assert places
    assert root.at(places) is None


@pytest.mark.parametrize("at", ["x", "-1", "1.", "\u0663", "1" * 9, ".".join(["0"] * 601)])
def test_what_names_no_place(at: str) -> None:
    assert json_tree.places_of(at) is None


@given(ANY_JSON, st.integers(0, 200))
def test_any_json_is_shown_within_its_bounds(value: Any, first: int) -> None:
    text = json.dumps(value, ensure_ascii=False)
    root = Part.whole(text)
    assert root is not None
    parts = list(parts_of(root.unfold(first)))
    assert len(parts) <= MAX_PARTS + 1
    assert all(len(part.children) <= MAX_CHILDREN and part.count >= len(part.children) for part in parts)
    shown = json_tree.TreeHtml("/x/").tree(root)
    assert shown.count('class="j-part"') == len(parts)
    if first == 0 and isinstance(value, str | int | float) and not isinstance(value, bool):
        assert words_of(shown) == (value if isinstance(value, str) else text)


@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_at_all_is_taken(text: str, at: str) -> None:
    tree_html(text, "/x/")
    root, places = Part.whole(text), json_tree.places_of(at)
    if root and places:
        root.at(places)
