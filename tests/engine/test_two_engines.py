"""Several engines on one PostgreSQL: each task is claimed once, and no node is given more than it has room for."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from django.db import connection, connections
from django.utils import timezone

from dispatcher.engine.assigner import Assigner
from dispatcher.engine.sweeper import Sweeper
from dispatcher.models import Attempt, Task
from dispatcher.models.statements import Claimed
from dispatcher.states import TaskState
from tests.engine.test_passes import submit
from tests.factories import make_node

pytestmark = pytest.mark.django_db(transaction=True)

ENGINES, NODES, SLOTS, TASKS = 3, 4, 5, 200


def test_engines_that_decide_at_once_claim_each_task_once_and_overfill_no_node() -> None:
    if connection.vendor != "postgresql":
        # One engine is all that SQLite is for; two would only wait for each other.
        assert connection.vendor == "sqlite"
        return
    nodes = [make_node(now=timezone.now(), slots=SLOTS) for _ in range(NODES)]
    submit(TASKS)
    # Just now: after a standstill engines begin by degrees.
    Task.objects.update(queued_at=timezone.now())
    taken: list[Claimed] = []
    ready = threading.Barrier(ENGINES)

    def engine() -> None:
        assigner, sweeper = Assigner(taken.extend, lambda _: None), Sweeper()
        ready.wait(30)
        for _ in range(10):
            assigner.run_once(timezone.now())
            sweeper.run_once(timezone.now())
        connections.close_all()

    threads = [threading.Thread(target=engine) for _ in range(ENGINES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({task.id for task in taken}) == len(taken) == NODES * SLOTS
    assert {task.attempt for task in taken} == {1}
    assert Counter(task.node_id for task in taken) == {node.pk: SLOTS for node in nodes}
    assert Task.objects.filter(state=TaskState.DISPATCHED).count() == len(taken)
    assert not Attempt.objects.exists()
