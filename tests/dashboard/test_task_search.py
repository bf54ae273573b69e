"""The page of tasks by its query: field, chips, errors, what was searched, suggestions, CSV."""

from __future__ import annotations

import csv
import json
from html import unescape
from io import StringIO
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.test import Client

from dispatcher.dashboard import task_exports
from dispatcher.queries import task_search
from dispatcher.states import TaskState
from tests.factories import make_error, make_node, make_task, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    cache.clear()
    client = Client()
    client.force_login(make_user())
    return client


def shown(client: Client, **params: str) -> str:
    return unescape(client.get(f"/tasks/?{urlencode(params)}").content.decode())


def test_a_query_is_shown_as_it_is_understood_with_a_chip_for_each_term(viewer: Client) -> None:
    task, other = make_task(queue="gpu"), make_task()
    text = shown(viewer, q="queue:gpu   STATUS:queued -tag:x")
    assert 'name="q" value="state:queued queue:gpu -tag:x"' in text
    assert f'data-key="{task.pk}"' in text
    assert f'data-key="{other.pk}"' not in text
    # Each chip leads to the list without it.
    assert "/tasks/?q=queue%3Agpu+-tag%3Ax" in text
    assert "/tasks/?q=state%3Aqueued+queue%3Agpu" in text
    assert 'aria-label="Remove queue:gpu"' in text


def test_the_older_parameters_become_a_query(viewer: Client) -> None:
    assert 'value="state:failed queue:gpu node:w-1"' in shown(viewer, state="failed", queue="gpu", node="w-1")


def test_tabs_keep_the_rest_of_the_query(viewer: Client) -> None:
    assert 'href="/tasks/?q=state%3Afailed+queue%3Agpu"' in shown(viewer, q="queue:gpu")


def test_an_error_points_suggests_and_shows_no_task(viewer: Client) -> None:
    task = make_task()
    text = shown(viewer, q="queue:gpu stat:failed")
    assert "There is no key stat. Did you mean state?" in text
    assert "queue:gpu <mark>stat</mark>:failed" in text
    assert 'href="/tasks/?q=queue%3Agpu+state%3Afailed"' in text
    assert 'value="queue:gpu stat:failed"' in text
    assert 'aria-invalid="true"' in text
    assert "Nothing was searched" in text
    assert f'data-key="{task.pk}"' not in text


def test_what_was_searched_is_said_with_a_way_to_widen_it(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 3)
    make_task(state=TaskState.SUCCEEDED)
    for _ in range(5):
        make_task(state=TaskState.FAILED)
    text = shown(viewer, q="state:succeeded")
    assert "Searched the newest 3 of about 6 tasks; 0 match." in text
    assert 'href="/tasks/?q=state%3Asucceeded&wider=true"' in text
    text = shown(viewer, q="state:succeeded", wider="true")
    assert "All tasks were searched; 1 matches." in text
    assert "wider=true" not in text.split('id="scope"')[1].split("</p>")[0]


def test_no_match_shows_the_query_and_offers_to_remove_the_last_filter(viewer: Client) -> None:
    text = shown(viewer, q="state:failed queue:gpu")
    assert "<code>state:failed queue:gpu</code>" in text
    assert 'id="remove-last" href="/tasks/?q=state%3Afailed"' in text


def test_suggestions_hold_keys_words_and_known_names(viewer: Client) -> None:
    make_node("w-1")
    make_task(task_type="render", queue="gpu", tags=["nightly"])
    keys = {key["name"]: key for key in viewer.get("/tasks/suggestions/").json()["keys"]}
    assert "failed" in keys["state"]["values"]
    assert keys["tag"]["values"] == ["nightly"]
    assert keys["queue"]["values"] == ["gpu"]
    assert keys["node"]["values"] == ["w-1"]
    assert keys["type"]["values"] == ["render"]
    assert keys["args."]["example"] == "args.user.id:42"
    make_task(queue="later")
    assert "later" not in json.dumps(viewer.get("/tasks/suggestions/").json())


def table(client: Client, **params: str) -> list[dict[str, str]]:
    answer = client.get(f"/tasks/tasks.csv?{urlencode(params)}")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(StringIO(answer.content.decode())))


def test_csv_holds_what_matches(viewer: Client) -> None:
    make_task()
    failed = make_task(state=TaskState.FAILED, error=make_error("ValueError", "a,b"), tags=["x", "y"])
    (row,) = table(viewer, q="state:failed")
    assert (row["id"], row["tags"], row["error"]) == (str(failed.pk), "x y", "ValueError: a,b")
    assert len(table(viewer)) == 2


def test_csv_holds_no_formula(viewer: Client) -> None:
    make_task(tags=["=1+1"])
    assert table(viewer)[0]["tags"] == "'=1+1"


def test_csv_is_bounded_and_goes_on_from_page_to_page(viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_exports.queries, "MAX_LIMIT", 2)
    monkeypatch.setattr(task_exports, "MAX_CSV_ROWS", 4)
    made = [make_task().pk for _ in range(6)]
    assert [int(row["id"]) for row in table(viewer)] == made[:1:-1]


def test_csv_of_a_bad_query_leads_to_the_page_that_says_so(viewer: Client) -> None:
    answer = viewer.get("/tasks/tasks.csv?q=stat%3Afailed")
    assert (answer.status_code, answer["Location"]) == (302, "/tasks/?q=stat%3Afailed")
