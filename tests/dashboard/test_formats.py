from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone, translation

from dispatcher.dashboard.node_formats import reason_texts
from dispatcher.dashboard.row_formats import FORMATS
from dispatcher.dashboard.waiting_formats import waiting_texts
from dispatcher.scheduling.reasons import _MEANINGS, ReasonCode
from tests.architecture.sources import ROOT

CASES = json.loads((ROOT / "static/js/tests/format_cases.json").read_text())
NOW = datetime.fromisoformat(CASES["now"])


@pytest.mark.parametrize(("name", "value", "expected"), CASES["cases"], ids=lambda part: str(part)[:40])
def test_values_look_as_they_do_in_the_browser(name: str, value: Any, expected: str) -> None:
    # On the server, addresses of files hold the edition.
    assert FORMATS[name](value, NOW) == expected.replace("/static/", settings.STATIC_URL)


ELSEWHERE = [(language, some["zone"], *case) for language, some in CASES["languages"].items() for case in some["cases"]]


@pytest.mark.parametrize(("language", "zone", "name", "value", "expected"), ELSEWHERE, ids=lambda part: str(part)[:40])
def test_in_other_languages_and_zones_too(language: str, zone: str, name: str, value: Any, expected: str) -> None:
    with translation.override(language.lower()), timezone.override(zone):
        assert FORMATS[name](value, NOW) == expected


def test_both_sides_know_the_same_formats() -> None:
    names = (
        "format.js",
        "row_format.js",
        "node_format.js",
        "overview_format.js",
        "bulk_format.js",
        "waiting_format.js",
    )
    scripts = [(ROOT / "static/js" / name).read_text() for name in names]
    tables = [text.split("FORMATS = {", 1)[1].split("\n};", 1)[0] for text in scripts]
    found = {name for table in tables for name in re.findall(r"^  (\w+)[:,]", table, re.MULTILINE)}
    assert found == set(FORMATS)


def test_a_time_may_be_a_datetime() -> None:
    assert FORMATS["ago"](NOW.replace(second=20), NOW) == "10s ago"


@pytest.mark.parametrize("code", ReasonCode)
def test_every_reason_why_a_task_waits_has_words(code: ReasonCode) -> None:
    facts = dict.fromkeys(_MEANINGS[code].facts, 7)
    row = {"reasons": [{"code": code.value, "text": "unsaid", "facts": facts}]}
    assert "unsaid" not in FORMATS["obstacles"](row, NOW)


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_words_that_pages_bring_are_those_that_the_scripts_are_tried_with(language: str) -> None:
    with translation.override(language):
        assert CASES["page_words"][language] == waiting_texts() | reason_texts()
