"""schemathesis over the OpenAPI document. Some hundreds of requests here; ``make fuzz`` sends thousands.

FUZZ_COUNT and FUZZ_SEED choose others; FUZZ_REPORT names a file for what came of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.range import run
from tests.fuzz.schema_cases import SchemaAttack, schema_attacks
from tests.fuzz.schema_range import SchemaRange

COUNT = int(os.environ.get("FUZZ_COUNT", "136"))
KINDS = ("errors", "undocumented")
SEED = int(os.environ.get("FUZZ_SEED", "1"))


@pytest.mark.django_db
def test_answers_are_as_documented_and_lists_answer_after_every_batch() -> None:
    outcome = run(schema_attacks(SEED, COUNT), SchemaRange)
    if path := os.environ.get("FUZZ_REPORT"):
        report = {name: [(n, str(attack), what) for n, attack, what in getattr(outcome, name)] for name in KINDS}
        Path(path).write_text(json.dumps(report | {"codes": outcome.codes, "broken": outcome.broken}))
    assert len(outcome.codes) > COUNT // 2
    assert [(str(attack), status) for _, attack, status in outcome.errors] == []
    assert [(str(attack), complaint) for _, attack, complaint in outcome.undocumented] == []
    assert outcome.broken == []
    assert {200, 201, 400, 401, 403, 404, 409} <= set(outcome.codes)


@pytest.mark.django_db
def test_an_answer_that_the_document_does_not_foresee_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from dispatcher.api import feed

    def counts(*_: Any) -> Any:
        return feed.answer({"queued": 1})

    monkeypatch.setattr(feed.CountsView, "get", counts)
    attack = next(schema_attacks(1, 1, path="/api/v1/counts"))
    outcome = run([SchemaAttack("admin", attack.case, is_aimed=False)], SchemaRange)
    assert len(outcome.undocumented) == 1
