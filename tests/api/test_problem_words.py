"""Problems that pages show are said in the reader's language; programs are answered in English."""

# ruff: noqa: RUF001 - Chinese has commas and colons of its own

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.utils import translation
from rest_framework.test import APIClient

from dispatcher.api.problem_words import said
from dispatcher.states import TaskState
from tests.api.conftest import Caller
from tests.architecture.sources import ROOT
from tests.factories import make_task, make_user

pytestmark = pytest.mark.django_db
TASKS = "/api/v1/tasks"


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("The task has ended already.", "任务已经结束。"),
        ("must be at most 100", "不得大于 100"),
        ("must be at most 3 characters long", "最多 3 个字符"),
        ("must be a number or null, not true or false", "必须是数字 或 null，不能是布尔值"),
        ("must be text, not a whole number", "必须是文本，不能是整数"),
        ("must be a date, such as 2026-11-24", "必须是日期，例如 2026-11-24"),
        ('must be one of "a", "b"', '必须是以下之一："a", "b"'),
        ("a value in it must be text, not a whole number", "其中一个值必须是文本，不能是整数"),
        ("There is no queue called a {x} b.", "没有名为 a {x} b 的队列。"),
        ("something that nobody has said before", "something that nobody has said before"),
    ],
)
def test_what_was_said_is_said_anew(english: str, chinese: str) -> None:
    with translation.override("zh-hans"):
        assert said(english) == chinese
    with translation.override("en"):
        assert said(english) == english


#: Where the complaints come from that people at a page can meet.
SOURCES = (
    "api/bulk_routes.py", "api/feed.py", "api/nodes.py", "api/queue_routes.py", "api/sight.py", "api/task_input.py",
    "api/tasks.py", "api/types.py", "api/validation.py", "api/views.py", "dashboard/submit_form.py", "faults.py",
    "payload_schemas/checks.py", "payload_schemas/compiling.py", "queries/ranges.py",
)  # fmt: skip
SAYS = {"Problem", "FieldError", "wrong", "RangeError", "Outage"}
#: Put together of parts, which the cases above try.
IN_PARTS = {"must hold 7 7", "unknown; 7"}


def complaints() -> Iterator[str]:
    """Every literal that is handed to what complains, with 7 for what is filled in."""
    for name in SOURCES:
        for node in ast.walk(ast.parse((ROOT / "dispatcher" / name).read_text())):
            callee = node.func if isinstance(node, ast.Call) else None
            called = getattr(callee, "id", getattr(callee, "attr", ""))
            if isinstance(node, ast.Call) and called in SAYS:
                yield from filter(None, map(filled, node.args[:3]))
            if isinstance(node, ast.Return) and node.value is not None and name == "api/validation.py":
                yield from filter(None, [filled(node.value)])


def filled(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
    else:
        text = str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    return text if " " in text else ""


def test_every_complaint_that_a_page_can_cause_is_known() -> None:
    found = set(complaints())
    assert len(found) > 40
    with translation.override("zh-hans"):
        assert sorted(text for text in found if said(text) == text) == sorted(IN_PARTS)


def signed_in() -> APIClient:
    """An operator at a browser."""
    user = make_user("olga")
    user.groups.add(Group.objects.get_or_create(name="operator")[0])
    person = APIClient()
    person.force_login(user)
    return person


def cancelled(client: APIClient) -> str:
    """The detail of what a task answers that has ended already."""
    task = make_task(state=TaskState.SUCCEEDED)
    answer = client.generic("POST", f"{TASKS}/{task.pk}/cancel", b"{}", content_type="application/json")
    assert answer.status_code == 409
    return str(json.loads(answer.content)["detail"])


def test_a_page_gets_its_own_language_and_a_program_english(operator: Caller) -> None:
    person = signed_in()
    assert cancelled(person) == "The task has ended already."
    person.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    assert cancelled(person) == "任务已经结束。"
    # A token speaks for a program, whatever else comes with it.
    operator.cookies = person.cookies
    assert cancelled(operator) == "The task has ended already."
    # Nothing stays behind in the thread.
    assert translation.get_language() == settings.LANGUAGE_CODE


def test_fields_and_the_line_that_sums_them_up_are_translated_together() -> None:
    person = signed_in()
    person.cookies[settings.LANGUAGE_COOKIE_NAME] = "zh-hans"
    answer = person.post(TASKS, {"tasks": [{"type": "echo"}, {"type": "echo", "priority": "x"}]}, format="json").json()
    assert answer["errors"][0]["message"] == "必须是整数，不能是文本"
    assert answer["detail"] == "第 1 项，priority: 必须是整数，不能是文本"
    answer = person.post(TASKS, {"type": "echo", "priority": "x", "tags": 3}, format="json").json()
    assert (len(answer["errors"]), answer["detail"]) in {
        (1, "priority: 必须是整数，不能是文本"),
        (2, "2 处错误，未作任何更改。"),
    }
