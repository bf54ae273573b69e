"""Set-up of all tests: which database they run on, and a folder of their own instead of `var/`.

`pytest` runs on SQLite, in a file; `pytest --db=postgres` on a PostgreSQL started for the run
(TASKDIST_TEST_DB=postgres does the same). With `--no-skips`, or where CI=true, a skipped test counts as failed.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import hypothesis
import pytest
import pytest_django

from tests.postgres_server import PostgresServer, new_database

DATABASES = ("sqlite", "postgres")
CHOICE_VARIABLE = "TASKDIST_TEST_DB"
# Set by the process that starts PostgreSQL, for the pytest-xdist workers it starts afterwards.
SERVER_VARIABLE = "TASKDIST_TEST_SERVER_URL"


def _chosen_database() -> str:
    """Return the database of this run, read before pytest parses its options."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--db", default=os.environ.get(CHOICE_VARIABLE) or DATABASES[0])
    choice = str(parser.parse_known_args(sys.argv[1:])[0].db)
    if choice not in DATABASES:
        raise pytest.UsageError(f"--db must be one of {', '.join(DATABASES)}, not {choice!r}")
    return choice


def _server_url() -> str:
    """Return the URL of the run's PostgreSQL, starting it unless another process of the run has."""
    if SERVER_VARIABLE not in os.environ:
        server = PostgresServer()
        server.start()
        atexit.register(server.stop)
        os.environ[SERVER_VARIABLE] = server.url
    return os.environ[SERVER_VARIABLE]


def _prepare() -> str:
    """Point the settings at the run's own database and folder, load Django; return the database's name.

    Done when this file is imported: the conftest files below may then import models.
    """
    choice = _chosen_database()
    for name in [name for name in os.environ if name.startswith("TASKDIST_")]:
        # Whatever the developer's shell points at must not be touched by a test.
        if name not in (CHOICE_VARIABLE, SERVER_VARIABLE):
            del os.environ[name]
    var = tempfile.mkdtemp(prefix="taskdist-tests-")
    atexit.register(shutil.rmtree, var, ignore_errors=True)
    os.environ |= {
        CHOICE_VARIABLE: choice,
        "TASKDIST_VAR": var,
        "TASKDIST_SECRET_KEY": "Kx7-tests-and-nothing-else-4fQzW9vJm2RbY",
        "DJANGO_SETTINGS_MODULE": "taskdist_site.settings",
    }
    if choice == "postgres":
        os.environ |= {"TASKDIST_DATABASE_URL": _server_url(), "TASKDIST_DATABASE_POOL": "40"}
    from django.conf import settings

    if choice == "sqlite":
        # A file, as in production: several connections and threads share it, which memory cannot show.
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(Path(var) / "tests.sqlite3")
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    django.setup()
    return choice


DATABASE = _prepare()

# How long an example takes, to make or to run, says more about what else the machine does than about the code.
# In CI the examples are the same in every run: what fails there comes from the change, not from the draw.
hypothesis.settings.register_profile(
    "taskdist",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
hypothesis.settings.load_profile("taskdist")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options described at the top of this file."""
    parser.addoption("--db", choices=DATABASES, default=DATABASE, help="the database to test on")
    parser.addoption(
        "--no-skips",
        action="store_true",
        default=os.environ.get("CI") == "true",
        help="count a skipped test as failed; on where CI=true",
    )


def pytest_report_header() -> str:
    """Say in the first lines which database and which Django are tested."""
    return f"database: {DATABASE}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests of faults that only the other database has: ``@pytest.mark.only_on("postgres")``."""
    elsewhere = [item for item in items if (mark := item.get_closest_marker("only_on")) and DATABASE not in mark.args]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in set(elsewhere)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn a skip into a failure where skips are forbidden: what did not run proves nothing."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and item.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which this run forbids: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Do the same for a module that skips itself when it is imported."""
    report = yield
    if report.outcome == "skipped" and collector.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} skipped itself, which this run forbids: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[None]:
    """As pytest-django has it; at the end sessions of threads that tests have left behind do not keep the database."""
    yield
    if DATABASE == "postgres":
        from django.db import connection

        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def forget_what_is_cached() -> None:
    """Empty the caches of rows that never change in production: tests roll them back, and their ids come again."""
    from dispatcher import backlog, task_types, throttle
    from dispatcher.models import lanes
    from dispatcher.queries import counts, failures, front_page, minutes, type_rows

    for cache in (backlog, lanes, counts, failures, front_page, minutes, task_types, throttle, type_rows):
        cache.forget()


@pytest.fixture
def on_postgres() -> bool:
    """Whether this run is on PostgreSQL."""
    return DATABASE == "postgres"


@contextmanager
def new_installation_database() -> Iterator[str]:
    """The value of TASKDIST_DATABASE_URL for real processes: a new database, or "" on SQLite."""
    if DATABASE == "sqlite":
        yield ""
        return
    with new_database(os.environ[SERVER_VARIABLE], f"processes_{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def empty_database_url() -> Iterator[str]:
    """The value of TASKDIST_DATABASE_URL for one test's real processes."""
    with new_installation_database() as url:
        yield url
