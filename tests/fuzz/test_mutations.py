"""T13: mutated requests on every route. Some hundreds here; ``make fuzz`` lets 20,000 loose on both databases.

FUZZ_COUNT and FUZZ_SEED choose others; FUZZ_REPORT names a file for what came of it, to be compared.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.fuzz.corpus import attacks
from tests.fuzz.long_run import start, whole_report
from tests.fuzz.range import run

COUNT = int(os.environ.get("FUZZ_COUNT", "400"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.django_db
def test_no_request_is_an_error_of_ours_and_lists_answer_after_every_batch() -> None:
    outcome = run(attacks(SEED, COUNT))
    if path := os.environ.get("FUZZ_REPORT"):
        report = {"codes": outcome.codes, "errors": list(map(str, outcome.errors)), "broken": outcome.broken}
        Path(path).write_text(json.dumps(report))
    assert len(outcome.codes) == COUNT
    assert outcome.errors == []
    assert outcome.broken == []
    # Most are refused, for different reasons, and some are let in.
    assert {200, 201, 400, 401, 403, 404, 405, 415} <= set(outcome.codes)


@pytest.mark.only_on("postgres")
def test_both_databases_answer_alike(tmp_path: Path, db: None) -> None:
    other = start("sqlite", count=COUNT, seed=SEED, report=tmp_path / "sqlite.json")
    codes = run(attacks(SEED, COUNT)).codes
    assert codes == whole_report(other, tmp_path / "sqlite.json")["codes"]
