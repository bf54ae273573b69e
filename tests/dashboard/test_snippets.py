"""A task copied as a program, written by the browser's module and read by a shell and by Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from django.conf import settings

#: Exact only as text; quotes, line breaks and letters that shells and languages have their own ways with.
PAYLOAD = '{"n": 12345678901234567890, "t": "it\'s \\"q\\" $HOME `x` \\\\ \\n \\u00e9 \u4efb\U0001f600"}'
_WRITE = """
import { bodyOf, curl, python } from "%s/static/js/snippets.js";
const task = { type: "t", queue: "q", priority: 1, max_attempts: 3, timeout_seconds: null, backoff_seconds: 1,
  backoff_cap_seconds: 2, labels: { a: "b" }, affinity_key: "", tags: ["it's"], payload: process.argv[1] };
const write = { curl, python }[process.argv[2]];
console.log(write("http://here:8000", bodyOf(task)));
"""


def written(name: str) -> str | None:
    node = shutil.which("node")
    if node is None:
        return None
    script = _WRITE % settings.BASE_DIR
    done = subprocess.run(
        [node, "--input-type=module", "-e", script, PAYLOAD, name],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", ["curl", "python"])
def test_the_program_sends_the_task_digit_by_digit(name: str) -> None:
    text = written(name)
    if text is None:
        return  # Without Node.js nothing writes it here.
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
