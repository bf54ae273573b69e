"""A task copied as a program, read by a shell and by Python."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dispatcher.dashboard.snippets import programs
from dispatcher.queries import task_detail
from tests.factories import make_task

pytestmark = pytest.mark.django_db

#: Exact only as text; quotes, line breaks and letters that shells and languages have their own ways with.
PAYLOAD = '{"n": 12345678901234567890, "t": "it\'s \\"q\\" $HOME `x` \\\\ \\n \\u00e9 \u4efb\U0001f600"}'


@pytest.mark.parametrize("name", ["curl", "python"])
def test_the_program_sends_the_task_digit_by_digit(name: str) -> None:
    task = make_task(task_type="t", payload=PAYLOAD, tags=["it's"])
    found = task_detail(task.pk)
    assert found
    text = programs(found, "http://here:8000")[name]
    assert "http://here:8000/api/v1/tasks" in text
    assert "TASKDIST_TOKEN" in text
    if name == "python":
        program = text.partition("with urllib")[0] + "print(request.data.decode())"
        command = [sys.executable, "-c", program]
    else:
        command = ["bash", "-c", 'curl() { printf %s "${@: -1}"; }; ' + text]
    environment = {"TASKDIST_TOKEN": "t", "PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert PAYLOAD in done.stdout
    assert json.loads(done.stdout)["tags"] == ["it's"]
