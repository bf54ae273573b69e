"""What a process of the long run does: a database of its own, and histories in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def prepare() -> None:
    """Give this process a new database, as tests have one."""
    from tests import conftest

    assert conftest.DATABASE, "it points Django at a folder of its own when it is imported"
    from django.db import connection

    connection.creation.create_test_db(verbosity=0)


def run(seeds: Sequence[int]) -> dict[int, str]:
    """Run these histories; why each that broke a rule did."""
    from tests.simulation.world import installation

    with installation():
        return dict(_broken(seeds))


def _broken(seeds: Sequence[int]) -> Iterator[tuple[int, str]]:
    from tests.simulation.world import simulate

    for seed in seeds:
        try:
            simulate(seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, this seed shows it
            # As text: whoever gathers this has not loaded what the exception's class needs.
            yield seed, f"{type(error).__name__}: {error}"
