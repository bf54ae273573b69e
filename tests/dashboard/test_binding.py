from __future__ import annotations

import pytest

from dispatcher.dashboard.binding import compiled, fill, parse_bindings
from tests.factories import NOW


def test_text_and_attributes_are_filled() -> None:
    html = '<a class="x" data-bind="href:id|task_url; text:type"></a>'
    expected = '<a class="x" data-bind="href:id|task_url; text:type" href="/tasks/7/">echo</a>'
    assert fill(html, {"id": "7", "type": "echo"}, NOW) == expected


def test_what_people_supply_is_escaped() -> None:
    html = '<b data-bind="title:name; text:name"></b>'
    filled = fill(html, {"name": '"><script>alert(1)</script>'}, NOW)
    assert "<script>" not in filled
    assert 'title="&quot;&gt;&lt;script&gt;' in filled


def test_flags_are_set_by_truth_and_empty_attributes_left_out() -> None:
    html = '<i data-bind="hidden:tags; title:note"></i><i data-bind="hidden:!tags"></i>'
    assert fill(html, {"tags": [], "note": None}, NOW) == html.replace('"hidden:!tags"', '"hidden:!tags" hidden')


def test_paths_reach_into_the_row_and_survive_gaps() -> None:
    html = '<i data-bind="text:paused.by"></i>'
    assert fill(html, {"paused": {"by": "bob"}}, NOW).endswith(">bob</i>")
    assert fill(html, {"paused": None}, NOW).endswith("></i>")
    assert fill(html, {}, NOW).endswith("></i>")


def test_self_closing_elements_stay_so() -> None:
    assert fill('<use data-bind="href:u"/>', {"u": "#x"}, NOW) == '<use data-bind="href:u" href="#x"/>'


def test_rows_of_inner_lists_are_left_alone() -> None:
    inner = '<ul data-list="t"><li><br><i data-bind="text:name">kept</i></li></ul>'
    html = f'{inner}<b data-bind="text:name"></b>'
    assert fill(html, {"name": "x"}, NOW) == f'{inner}<b data-bind="text:name">x</b>'


def test_start_tags_over_several_lines_are_found_where_they_are() -> None:
    html = '<p>\n  <b\n    data-bind="text:name"></b>\n</p>\n<i data-bind="text:name"></i>'
    assert fill(html, {"name": "x"}, NOW) == html.replace("></b>", ">x</b>").replace("></i>", ">x</i>")


@pytest.mark.parametrize("text", ["text", "text:", ":name", "text:name|no_such_format"])
def test_a_malformed_binding_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot read the binding"):
        parse_bindings(text)


def test_html_without_bindings_is_one_piece() -> None:
    assert compiled("<p>plain</p>") == ("<p>plain</p>",)
