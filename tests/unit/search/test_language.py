from __future__ import annotations

import contextlib
from datetime import UTC, date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.search import KEYS, MAX_CHARS, Age, Kind, Moment, Query, SearchError, Term, parse, time_of
from dispatcher.search.terms import quote
from dispatcher.states import TaskState

WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
AGES = st.builds("{}{}".format, st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
DAYS = st.dates(date(1970, 1, 2), date(2199, 12, 30)).map(str)
VALUES = {
    Kind.NAME: WORDS,
    Kind.ID: st.integers(1, 2**63 - 1).map(str),
    Kind.NUMBER: st.integers(-(10**9), 10**9).map(str),
    Kind.DURATION: AGES,
    Kind.TIME: AGES | DAYS | st.builds("{}T{:02}:{:02}+08:00".format, DAYS, st.integers(0, 23), st.integers(0, 59)),
    Kind.MEMBER: WORDS,
}


@st.composite
def terms(draw: st.DrawFn) -> str:
    sign = draw(st.sampled_from(["", "-"]))
    key = draw(st.sampled_from(["", "args.user.id", *KEYS]))
    if not key:
        return sign + quote(draw(WORDS.filter(str.strip)), is_text=True)
    kind, words = (KEYS[key].kind, KEYS[key].words) if key in KEYS else (Kind.MEMBER, ())
    if kind is Kind.DURATION or (kind in (Kind.TIME, Kind.NUMBER) and draw(st.booleans())):
        return f"{sign}{key}:{draw(st.sampled_from(['>', '>=', '<', '<=']))}{draw(VALUES[kind])}"
    values = draw(st.lists(st.sampled_from(words) if words else VALUES[kind], min_size=1, max_size=3))
    return f"{sign}{key}:{','.join(map(quote, values))}"


@given(st.lists(terms(), max_size=6).map(" ".join))
def test_what_the_grammar_allows_is_read_and_its_canonical_text_means_the_same(text: str) -> None:
    query = parse(text)
    assert parse(str(query)) == query
    assert str(parse(str(query))) == str(query)


FRAGMENTS = st.sampled_from(
    [
        "state:",
        "failed",
        "-",
        '"',
        ",",
        ":",
        ">",
        "=",
        " ",
        "\\",
        "args.",
        "created:>",
        "1h",
        "2026-11-01",
        "#",
        "is:",
        "7",
    ]
)


@given(st.lists(FRAGMENTS | st.characters(), max_size=25).map("".join))
def test_any_text_is_read_or_refused_with_a_place_within_it(text: str) -> None:
    query, error = Query(), None
    try:
        query = parse(text)
    except SearchError as refused:
        error = refused
    assert parse(str(query)) == query
    if error is not None:
        assert 0 <= error.start <= error.end <= len(text)
        assert error.said(str) == str(error)


@given(st.text(max_size=60))
def test_suggestions_lead_to_a_query_that_is_read(text: str) -> None:
    """Following one after the other comes to an end."""
    for _ in range(100):
        try:
            parse(text)
        except SearchError as error:
            if not error.suggestion:
                return
            text = error.suggestion
        else:
            return
    pytest.fail(f"suggestions go round in circles: {text!r}")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("  state:failed   queue:gpu,cpu ", "state:failed queue:gpu,cpu"),
        ("STATUS:Failed", "state:failed"),
        ("-type:ping prio:>=5", "-type:ping priority:>=5"),
        ("duration:>30S", "ran:>30s"),
        ("created:<=01.50h", "created:<=1.5h"),
        ("created:>2026-11-01", "created:>2026-11-01"),
        ("created:2026-11-01t10:00Z", "created:2026-11-01T10:00Z"),
        ("created:2026-11-01T10:00", "created:2026-11-01T10:00Z"),
        ("created:>=2026-11-01T10:00:05+08:00", "created:>=2026-11-01T02:00:05Z"),
        ('tag:"two words",x', 'tag:"two words",x'),
        ('tag:"plain"', "tag:plain"),
        ('"a:b" -"OR"', '"a:b" -"OR"'),
        ("args.user.id:42,43", "args.user.id:42,43"),
        ("payload.n:>1.5", "args.n:>1.5"),
        ("#17", "id:17"),
        ("render", "render"),
        ("queue:gpu,gpu", "queue:gpu"),
        ("priority:=-3", "priority:-3"),
        ('tag:">x"', 'tag:">x"'),
        ('tag:"say \\"hi\\" \\\\"', 'tag:"say \\"hi\\" \\\\"'),
        ("type:demo/a-b:c", "type:demo/a-b:c"),
    ],
)
def test_the_canonical_text(text: str, canonical: str) -> None:
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "wrong", "suggestion"),
    [
        ("stat:failed", "stat", "state:failed"),
        ("state:faild queue:gpu", "faild", "state:failed queue:gpu"),
        ("state:retrying", "state:retrying", "is:retrying"),
        ("-state:dead", "state:dead", "-state:failed"),
        ("state:queued,done", "done", "state:queued,succeeded"),
        ("state: failed", "state: ", "state:failed"),
        ("state:", "state:", ""),
        ("state=failed", "state=failed", "state:failed"),
        ("ran>30s", "ran>30s", "ran:>30s"),
        ("ran:30s", "ran:30s", "ran:>30s"),
        ("ran:>30", "30", "ran:>30s"),
        ("state:>failed", ">", "state:failed"),
        ("queue:gpu OR queue:cpu", "OR", "queue:gpu  queue:cpu"),
        ("is:stuk", "stuk", "is:stuck"),
        ("is:xyzzy", "xyzzy", ""),
        ("priority:high", "high", ""),
        ("created:yesterday", "yesterday", ""),
        ("created:2026-02-30", "2026-02-30", ""),
        ("created:0001-01-01", "0001-01-01", ""),
        ("id:0", "0", ""),
        ("args:7", "args", ""),
        ("args..x:7", "args..x", ""),
        ("args.n:>many", "many", ""),
        ('tag:"open', '"open', 'tag:"open"'),
        ('tag:"a"b', "", 'tag:"a" b'),
        ("priority:>1,2", ",", "priority:>1 2"),
        ("a,b", "a,", "a b"),
        ("- x", "-", "x"),
        ("http://x", "http", ""),
        ("colour:red", "colour", ""),
    ],
)
def test_an_error_points_and_suggests(text: str, wrong: str, suggestion: str) -> None:
    with pytest.raises(SearchError) as refused:
        parse(text)
    error = refused.value
    assert text[error.start : error.end] == wrong
    assert error.suggestion == suggestion
    if suggestion:
        parse(suggestion)


def test_an_error_names_what_may_have_been_meant() -> None:
    with pytest.raises(SearchError, match=r"There is no key nod\. Did you mean node\?"):
        parse("nod:w-1")
    with pytest.raises(SearchError, match=r"state has no value faild\. Did you mean failed\?"):
        parse("state:faild")


@pytest.mark.parametrize(
    "text", ["x" * (MAX_CHARS + 1), "a " * 31, "queue:" + ",".join("abcdefghij" * 6), "tag:" + "x" * 201]
)
def test_a_query_is_bounded(text: str) -> None:
    with contextlib.suppress(SearchError):
        query = parse(text)
        # Repeated values count once.
        assert sum(len(term.values) for term in query.terms) <= 50
        assert text.startswith("queue:")


def test_terms_say_where_they_stand() -> None:
    text = 'state:failed  -tag:"a b" x'
    assert [text[term.start : term.end] for term in parse(text).terms] == ["state:failed", '-tag:"a b"', "x"]


def test_terms_are_equal_wherever_they_stand() -> None:
    assert parse("a  b").terms[1] == parse("b").terms[0] == Term("", ("b",))
    assert str(Query()) == ""


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("2026-11-01", timedelta(days=1)),
        ("2026-11-01T10:00Z", timedelta(minutes=1)),
        ("2026-11-01T10:00:30Z", timedelta(seconds=1)),
        ("2026-11-01T10:00:30.5Z", timedelta(microseconds=1)),
    ],
)
def test_a_time_is_as_exact_as_it_was_written(text: str, length: timedelta) -> None:
    moment = time_of(text)
    assert isinstance(moment, Moment)
    assert moment.end - moment.start == length
    assert moment.start.tzinfo is UTC


def test_a_duration_is_an_age() -> None:
    assert time_of("1.5h") == Age(timedelta(minutes=90))


def test_the_words_of_state_are_the_states() -> None:
    assert KEYS["state"].words == tuple(state.word for state in TaskState)
