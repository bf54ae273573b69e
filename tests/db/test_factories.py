"""The factories make every state as the database's own constraints want it."""

from __future__ import annotations

import pytest

from dispatcher.models import Change, Task
from dispatcher.states import TaskState
from tests.factories import make_task

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", TaskState, ids=lambda state: state.word)
def test_a_task_of_every_state_can_be_made(state: TaskState) -> None:
    task = make_task(state=state)
    assert Task.objects.get(pk=task.pk).state == state
    assert Change.objects.filter(kind="tasks.changed").count() >= 1
