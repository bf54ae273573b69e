"""``manage.py tasks``."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from dispatcher.queries import task_search
from dispatcher.states import TaskState
from tests.factories import make_task, make_user, make_view

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command("tasks", *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def test_it_lists_what_matches_newest_first() -> None:
    first, second = make_task(queue="gpu"), make_task(queue="gpu")
    make_task()
    out, err = run("queue:gpu", "state:queued")
    assert [line.split()[0] for line in out.splitlines()] == ["ID", str(second.pk), str(first.pk)]
    assert err.strip() == "2 found; all tasks were searched."


def test_json_is_one_object_a_line() -> None:
    task = make_task(tags=["x"])
    out, _ = run("tag:x", "--json")
    (row,) = map(json.loads, out.splitlines())
    assert (row["id"], row["state"], row["tags"]) == (str(task.pk), "queued", ["x"])


def test_a_full_page_and_a_search_that_ended_early_say_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 2)
    monkeypatch.setattr(task_search, "PATIENCE", 600.0)
    made = [make_task(state=TaskState.FAILED) for _ in range(5)]
    assert run("--limit", "1")[1].strip() == f"1 shown; for what is older add --after {made[4].pk}."
    assert f"down to #{made[2].pk}; older tasks were not searched" in run("state:succeeded")[1]
    assert "all tasks were searched" in run("state:succeeded", "--wider")[1]
    assert str(made[3].pk) in run("--after", str(made[4].pk))[0]


def test_a_bad_query_is_pointed_at_and_exits_with_two() -> None:
    with pytest.raises(CommandError) as refused:
        run("queue:gpu", "stat:failed")
    assert refused.value.returncode == 2
    assert str(refused.value).splitlines()[2:] == [
        "  queue:gpu stat:failed",
        "            ^^^^",
        "",
        "Try: queue:gpu state:failed",
    ]


def test_a_senseless_limit_is_refused() -> None:
    with pytest.raises(CommandError, match="--limit must be from 1 to 500"):
        run("--limit", "0")


def test_help_names_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    shown = capsys.readouterr().out
    assert "args.user.id:42" in shown
    assert "submitter:ci" in shown


def test_a_saved_view_is_looked_for_by_name_or_number() -> None:
    view = make_view(name="Of gpu", q="queue:gpu")
    task, _ = make_task(queue="gpu"), make_task()
    for name in ("Of gpu", str(view.pk)):
        out, _ = run("--view", name, "--json")
        assert [json.loads(line)["id"] for line in out.splitlines()] == [str(task.pk)]
    assert run("--view", "Of gpu", "state:failed", "--json")[0] == ""


def test_a_view_that_is_not_there_or_not_the_only_one_is_an_error() -> None:
    with pytest.raises(CommandError, match="there is no saved view 'x'"):
        call_command("tasks", "--view", "x")
    first, second = (make_view(make_user(name), name="x") for name in ("ada", "bob"))
    with pytest.raises(CommandError, match=f"by its number which: {first.pk} of ada, {second.pk} of bob"):
        call_command("tasks", "--view", "x")


def test_it_lists_in_other_orders_and_goes_on_in_them() -> None:
    made = [make_task(priority=priority).pk for priority in (1, 3, 2)]
    out, err = run("--sort=-priority", "--limit=2")
    assert [line.split()[0] for line in out.splitlines()][1:] == [str(made[1]), str(made[2])]
    cursor = f"{made[2]}.{made[2]}"
    assert err.strip() == f"2 shown; for more add --after {cursor}."
    assert run("--sort=-priority", "--after", cursor)[0].split()[8] == str(made[0])
    assert run("--sort=created", "--limit=1")[1].strip() == f"1 shown; for what is newer add --after {made[0]}."
    with pytest.raises(CommandError, match="--after must be"):
        run("--after", "x")
