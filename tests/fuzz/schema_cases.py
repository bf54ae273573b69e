"""Requests that schemathesis makes out of the OpenAPI document: right ones, and ones that break it on purpose."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from itertools import chain, zip_longest
from typing import Any, NamedTuple

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.generation.feedback import NO_FEEDBACK

from tests.api.schema_checks import closed_document

#: Who sends it; the one that a route is meant for comes most often.
_PEOPLE = ("admin", "admin", "admin", "admin", "reader", "node", "nobody")
_NODES = ("node", "node", "node", "node", "node", "admin", "nobody")


class SchemaAttack(NamedTuple):
    """One request. ``is_aimed``: at the tasks, nodes and queues that there are."""

    who: str
    case: Case
    is_aimed: bool

    def __str__(self) -> str:
        return f"{self.who} {self.case.method} {self.case.formatted_path} {self.case.query} {self.case.body!r}"


def schema_attacks(number: int, count: int, *, path: str = "") -> Iterator[SchemaAttack]:
    """About ``count`` attacks of the seed ``number``; operations take turns.

    What schemathesis draws may differ between processes. ``path``: of the operations of this address alone.
    """
    ways = [
        (operation, mode)
        for operation in _operations()
        if operation.path == path or not path
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        # What has neither parameters nor a body cannot be asked wrongly.
        if mode.is_positive or operation.definition.raw["security"]
    ]
    each = -(-count // len(ways))
    drawn = [_drawn(operation, mode, number, each) for operation, mode in ways]
    yield from (attack for attack in chain.from_iterable(zip_longest(*drawn)) if attack is not None)


@cache
def _operations() -> list[Any]:
    schema = schemathesis.openapi.from_dict(copy.deepcopy(closed_document()))
    return [found.ok() for found in schema.get_all_operations()]


def _drawn(operation: Any, mode: GenerationMode, number: int, most: int) -> list[SchemaAttack]:
    is_for_nodes = {"node": []} in operation.definition.raw["security"]
    who = st.sampled_from(_NODES if is_for_nodes else _PEOPLE)
    # Without the constants that schemathesis reads out of whatever modules are loaded.
    cases = operation.as_strategy(mode, feedback=NO_FEEDBACK)
    drawn: list[SchemaAttack] = []

    @seed(number)
    @settings(
        max_examples=most, database=None, deadline=None, derandomize=False, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(attack=st.builds(SchemaAttack, who, cases, st.booleans()))
    def draw(attack: SchemaAttack) -> None:
        drawn.append(attack)

    draw()
    return drawn
