"""The log of a task as a file: whole, in order, masked, and never whole in memory."""

from __future__ import annotations

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client

from dispatcher.queries import log_pages
from dispatcher.queries.task_logs import MAX_LINES
from tests.factories import NOW, make_logs, make_task, make_user

pytestmark = pytest.mark.django_db


def text_of(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return b"".join(answer).decode()


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(make_user())
    return client


def test_the_file_has_every_line_of_every_attempt_in_order(viewer: Client) -> None:
    task = make_task()
    make_logs(task, ["three"], first_n=3)
    make_logs(task, ["one", "two"])
    make_logs(task, ["again"], attempt=3)
    text = text_of(viewer, f"/tasks/{task.pk}/log.txt")
    at = f"{NOW:%Y-%m-%dT%H:%M:%S}.000Z"
    assert text.splitlines() == [
        f"{place}\t{at}\tinfo\t{words}"
        for place, words in (("1.1", "one"), ("1.2", "two"), ("1.3", "three"), ("3.1", "again"))
    ]
    assert text_of(viewer, f"/tasks/{task.pk}/log.txt?attempt=3").startswith("3.1\t")
    answer = viewer.get(f"/tasks/{task.pk}/log.txt?attempt=1&line=2")
    assert (answer.content, answer["Content-Type"]) == (b"two\n", "text/plain; charset=utf-8")


def test_secrets_and_what_terminals_obey_are_not_in_it(viewer: Client) -> None:
    task = make_task()
    make_logs(task, ["\x1b[31mpassword=hunter22\x1b[0m \x1b]0;title\x07end"])
    for path in (f"/tasks/{task.pk}/log.txt", f"/tasks/{task.pk}/log.txt?attempt=1&line=1"):
        text = b"".join(viewer.get(f"{path}")).decode()
        assert "hunter22" not in text
        assert "password=*** end" in text
        assert "\x1b" not in text


@pytest.mark.parametrize("query", ["line=9&attempt=1", "line=1&attempt=2"])
def test_a_line_that_is_not_there_is_not_found(viewer: Client, query: str) -> None:
    task = make_task()
    make_logs(task, ["one"])
    assert viewer.get(f"/tasks/{task.pk}/log.txt?{query}").status_code == 404
    assert viewer.get("/tasks/999999/log.txt").status_code == 404


def test_a_long_log_is_read_page_by_page() -> None:
    task = make_task()
    for first in range(1, 3 * MAX_LINES, 500):
        make_logs(task, ["x"] * 500, first_n=first, feed=False)
    pages = log_pages(task.pk, None)
    assert [len(page) for page in pages] == [MAX_LINES] * 3
    # One page is all that is read for one page.
    assert len(next(log_pages(task.pk, None))) == MAX_LINES


@pytest.mark.django_db(transaction=True)
async def test_under_asgi_it_is_sent_bit_by_bit_as_well() -> None:
    client = AsyncClient()
    await client.aforce_login(await sync_to_async(make_user)())
    task = await sync_to_async(make_task)()
    for first in (1, 1001):
        await sync_to_async(make_logs)(task, ["x"] * 1000, first_n=first)
    answer = await client.get(f"/tasks/{task.pk}/log.txt")
    assert answer.is_async
    parts = [part async for part in answer.streaming_content]
    assert len(parts) == 2
    text = b"".join(parts).decode()
    assert [int(line.split("\t")[0].partition(".")[2]) for line in text.splitlines()] == list(range(1, 2001))
