"""The long runs as processes of their own, one for each database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.architecture.sources import ROOT

MUTATIONS = "tests/fuzz/test_mutations.py::test_no_request_is_an_error_of_ours_and_lists_answer_after_every_batch"
SCHEMA = "tests/fuzz/test_schema.py::test_answers_are_as_documented_and_lists_answer_after_every_batch"


def start(database: str, *, count: int, seed: int, report: Path, test: str = MUTATIONS) -> subprocess.Popen[str]:
    """Let ``count`` attacks of a seed loose on a database; what comes of it will be in the file ``report``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKDIST_", "FUZZ_", "PYTEST_"))}
    environment = {**kept, "FUZZ_COUNT": str(count), "FUZZ_SEED": str(seed), "FUZZ_REPORT": str(report)}
    # A long run is no hanging test.
    options = ["-q", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=0", "--show-capture=no", f"--db={database}"]
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, test],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def whole_report(process: subprocess.Popen[str], report: Path) -> dict[str, Any]:
    """What came of a run, once it is over: ``codes``, ``errors``, ``broken``; of the schema also ``undocumented``."""
    said, _ = process.communicate()
    if not report.exists():
        raise RuntimeError(said)
    found: dict[str, Any] = json.loads(report.read_text())
    return found
