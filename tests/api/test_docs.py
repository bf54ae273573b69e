"""docs/api.md: its examples work as they stand, in their order, and leave out no route."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from dispatcher import lifecycle, node_registry
from dispatcher.api import problems
from dispatcher.models import Node, Task
from dispatcher.models.statements import Claim
from tests.api.conftest import Answer, Caller, now, token_of
from tests.factories import make_engine, make_user

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
pytestmark = pytest.mark.django_db


def examples() -> list[str]:
    """The curl commands of the page, one line each."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ")
    return [f"curl {part.strip()}" for part in re.split(r"^curl ", lines, flags=re.MULTILINE) if part.strip()]


def run(command: str, names: dict[str, str]) -> Answer:
    """Do what curl would do."""
    words = shlex.split(re.sub(r"\$(\w+)", lambda match: names[match[1]], command))[1:]
    method, headers, data, url = "", {}, None, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            data = words.pop(0).encode()
        else:
            url = word
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    method = method or ("POST" if data else "GET")
    meta = {
        f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items() if name != "Content-Type"
    }
    content_type = headers.get("Content-Type", "application/octet-stream")
    return Answer(Caller().generic(method, path, data or b"", content_type=content_type, **meta))


def names_for_the_page() -> dict[str, str]:
    return {
        "URL": "http://testserver",
        "TOKEN": token_of(make_user("admin", is_superuser=True)),
        "NODE_TOKEN": node_registry.issue_credential(name="gpu-1", actor="tests", now=now()),
        "ID": "",
        "JOB": "",
        "VIEW": "",
        "TUTORIAL_ID": "",
    }


def test_every_example_works() -> None:
    make_engine(now=now())
    names = names_for_the_page()
    commands = examples()
    assert len(commands) > 30
    for command in commands:
        if "/result" in command and "gpu-1" in command:
            names["TUTORIAL_ID"] = _given_to(Node.objects.get(name="gpu-1"))
        answer = run(command, names)
        assert 200 <= answer.status < 300, (command, answer)
        note_ids(names, command, answer)


def note_ids(names: dict[str, str], command: str, answer: Answer) -> None:
    """Keep the ids that later examples ask for."""
    if "/bulk" in command and "job" in answer.json:
        names["JOB"] = answer.json["job"]["id"]
    if "/views" in command and "id" in answer.json:
        names["VIEW"] = answer.json["id"]
    if not names["ID"]:
        names["ID"] = answer.json["id"]


def _given_to(node: Node) -> str:
    """The id of the task of the tutorial, in the hands of the node."""
    task = Task.objects.latest("id")
    lifecycle.claim([Claim(task.pk, task.attempt, node.pk, node.incarnation)], now=now())
    return str(task.pk)


def patterns(resolver: Any, prefix: str = "/") -> list[str]:
    """The addresses below a resolver, with <> for each parameter."""
    found = []
    for each in resolver.url_patterns:
        where = prefix + re.sub(r"\(\?P<\w+>([^()]*)\)|<[^>]+>", lambda m: m[1] or "<>", str(each.pattern)).strip("^$")
        if isinstance(each, URLResolver):
            found += patterns(each, where)
        elif isinstance(each, URLPattern) and each.callback is not problems.not_found:
            found.append(where)
    return found


def test_no_route_is_left_out() -> None:
    page = "\n".join(examples())
    ours = [
        where
        for module in ("dispatcher.api.urls", "dispatcher.api.seed_urls")
        for where in patterns(get_resolver(module))
    ]
    assert len(ours) > 20
    missing = []
    for where in ours:
        # A pattern with alternatives stands for each of them.
        for choice in re.findall(r"[\w]+(?:\|[\w]+)+", where)[:1] or [""]:
            for word in choice.split("|"):
                path = where.replace(choice, word) if choice else where
                path = re.escape(path.replace("[^/]+", "<>")).replace("<>", r"[\w$.-]+")
                if not re.search(rf'"\$URL{path}(?:["?])', page):
                    missing.append(path)
    assert not missing


def test_fields_of_a_task_are_all_explained() -> None:
    from dispatcher.api.task_input import TaskInput

    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    explained = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert set(TaskInput.__struct_fields__) <= explained
