from __future__ import annotations

import pytest

from tests.architecture.sources import PACKAGES, name, python_files
from tests.architecture.writers import BULK, NODE, TASK, Model, writes

#: Where rows of each model may be written. The statements are called by these two only.
WRITERS = {
    TASK: ("dispatcher/lifecycle", "dispatcher/models/statements"),
    NODE: ("dispatcher/node_registry", "dispatcher/models/statements"),
    BULK: ("dispatcher/bulk",),
}

OFFENCES = {
    "manager": "from dispatcher.models import Task\nTask.objects.filter(pk=1).update(state=4)",
    "asynchronous manager": "from dispatcher.models import Task\nasync def f():\n await Task.objects.acreate(state=1)",
    "through the package": "from dispatcher import models\nmodels.Task.objects.all().delete()",
    "queryset in a variable": (
        "from dispatcher.models import Task\nrows = Task.objects.all()\n"
        "fewer = rows.filter(pk=1)\nfewer.update(state=3)"
    ),
    "bulk": "from dispatcher.models import Task\nTask.objects.bulk_create([])",
    "related manager": "def f(lane):\n lane.task_set.update(state=2)",
    "saved instance": "from dispatcher.models import Task\ntask = Task.objects.get(pk=1)\ntask.state = 4\ntask.save()",
    "new instance": "from dispatcher.models import Task\nTask(state=1)",
    "queryset method": "class TaskQuerySet:\n def finish(self):\n  return self.filter(state=3).update(state=4)",
    "SQL": "sql = 'UPDATE dispatcher_task SET state = 4'",
    "SQL over lines": 'sql = """\n  insert into\n    dispatcher_task (id) values (1)"""',
    "quoted SQL": "sql = 'DELETE FROM \"dispatcher_task\" WHERE id = 1'",
    "formatted SQL": "def f(columns):\n return f'UPDATE dispatcher_task SET {columns}'",
    "copy": "sql = 'COPY dispatcher_task (id) FROM STDIN'",
}

HARMLESS = {
    "reading": "from dispatcher.models import Task\nTask.objects.filter(state=1).count()",
    "another table": "sql = 'UPDATE dispatcher_taskprogress SET fraction = 1'",
    "another model": "from dispatcher.models import Queue\nQueue.objects.filter(pk=1).update(name='x')",
    "reading SQL": "sql = 'SELECT id FROM dispatcher_task FOR UPDATE'",
    "a dict": "from dispatcher.models import Task\nfacts = {}\nfacts.update(a=1)",
}


@pytest.mark.parametrize("source", OFFENCES.values(), ids=OFFENCES.keys())
def test_a_second_writer_is_found(source: str) -> None:
    assert writes(source, TASK)


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS.keys())
def test_reading_is_no_offence(source: str) -> None:
    assert writes(source, TASK) == []


@pytest.mark.parametrize("model", WRITERS, ids=lambda model: model.name)
def test_rows_have_a_single_writer(model: Model) -> None:
    offences = [
        f"{name(path)}, {place}"
        for path in python_files(*PACKAGES)
        if not name(path).startswith(WRITERS[model])
        for place in writes(path.read_text(), model)
    ]
    assert offences == [], f"{model.name} rows are written outside {' and '.join(WRITERS[model])}"


@pytest.mark.parametrize("model", WRITERS, ids=lambda model: model.name)
def test_the_writers_are_where_this_test_looks(model: Model) -> None:
    # Guards against a renamed folder: an empty list of allowed writers would hide nothing, but also say nothing.
    written = [
        path
        for path in python_files(*PACKAGES)
        if name(path).startswith(WRITERS[model]) and writes(path.read_text(), model)
    ]
    assert written
