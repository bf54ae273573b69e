"""Real faults of a real database, as callers see them: 503 with a time to come back, and back to work by itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.db import OperationalError, close_old_connections, connection
from django.test import Client

from dispatcher import lifecycle
from dispatcher.models import Credential, Node, Task
from dispatcher.sqlite.turnstile import Turnstile
from dispatcher.states import TaskState
from tests.api.conftest import Caller
from tests.factories import make_task, make_user
from tests.launch.programs import eventually

pytestmark = pytest.mark.django_db(transaction=True)

TASKS = "/api/v1/tasks"


@pytest.fixture(autouse=True)
def usable_connection(transactional_db: None) -> Iterator[None]:
    """Leave no broken connection behind."""
    yield
    close_old_connections()


def other_connection() -> psycopg.Connection[Any]:
    """A connection to the tests' PostgreSQL that is not Django's."""
    parameters = connection.get_connection_params()
    for key in ("pool", "cursor_factory", "context"):
        parameters.pop(key, None)
    return psycopg.connect(**parameters, autocommit=True)


def kill_connection() -> None:
    """Let the server end the connection that the next statement would use."""
    with connection.cursor() as cursor:
        pid = cursor.execute("SELECT pg_backend_pid()").fetchone()[0]
    with closing(other_connection()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


@contextmanager
def session_with(setting: str, value: str) -> Iterator[None]:
    """Django's connection with another setting, until it goes back to the pool."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET {setting} = {value}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"RESET {setting}")


@contextmanager
def full_disk() -> Iterator[None]:
    """No page more for the SQLite file."""
    with connection.cursor() as cursor:
        # Pages that other tests left free would be used first.
        cursor.execute("VACUUM")
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages}")
        try:
            yield
        finally:
            cursor.execute("PRAGMA max_page_count = 1000000000")


@contextmanager
def full_data_disk() -> Iterator[None]:
    """PostgreSQL finds no space for rows of tasks: what it writes for one goes to a device that is always full."""
    table = Task._meta.db_table
    with closing(other_connection()) as other:
        other.execute(
            "CREATE FUNCTION write_to_full_disk() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN COPY (SELECT 1) TO '/dev/full'; RETURN NEW; END $$"
        )
        other.execute(
            f"CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION write_to_full_disk()"
        )
        try:
            yield
        finally:
            other.execute(f"DROP TRIGGER full_disk ON {table}")
            other.execute("DROP FUNCTION write_to_full_disk")


@contextmanager
def no_connection_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Django as a user who may have three connections, all of which others have. Yields what lets those go.

    The server refuses with 53300, as it does when `max_connections` are used up, which the tests share.
    """
    with closing(other_connection()) as owner:
        owner.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 3")
        owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO crowd")
        owner.execute("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO crowd")
        pool = connection.settings_dict["OPTIONS"]["pool"] | {"timeout": 0.3}
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
        monkeypatch.setitem(connection.settings_dict, "USER", "crowd")
        begin_anew()
        try:
            with ExitStack() as crowd:
                for _ in range(3):
                    crowd.enter_context(closing(other_connection()))
                yield crowd.close
        finally:
            monkeypatch.undo()
            begin_anew()
            owner.execute("DROP OWNED BY crowd")
            owner.execute("DROP ROLE crowd")


def begin_anew() -> None:
    """Let Django make another pool, with the settings as they are now."""
    connection.close()
    connection.close_pool()


@contextmanager
def quick_to_give_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait a tenth of a second for other writers instead of five."""
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    connection.close()
    try:
        yield
    finally:
        connection.close()


@pytest.mark.only_on("postgres")
class TestPostgres:
    @pytest.mark.parametrize("path", [TASKS, "/api/v1/nodes", "/api/v1/counts"])
    def test_a_killed_connection_is_503_for_programs_and_the_next_request_works(
        self, viewer: Caller, path: str
    ) -> None:
        assert viewer.read(path).status == 200
        kill_connection()
        answer = viewer.read(path)
        assert (answer.status, answer.is_problem) == (503, True)
        assert 1 <= int(answer.headers["Retry-After"]) <= 3
        close_old_connections()
        assert viewer.read(path).status == 200

    @pytest.mark.parametrize("path", ["/", "/tasks/", "/admin/", "/live/snapshot?topic=overview"])
    def test_a_killed_connection_is_503_on_every_kind_of_page(self, path: str) -> None:
        browser = Client(raise_request_exception=False)
        browser.force_login(make_user("root", is_superuser=True, is_staff=True))
        assert browser.get(path).status_code == 200
        kill_connection()
        answer = browser.get(path)
        assert answer.status_code == 503
        assert "Retry-After" in answer
        assert b"SELECT" not in answer.content
        assert b"terminating" not in answer.content
        is_page = b"<h1>" in answer.content
        assert is_page != path.startswith("/live")
        close_old_connections()
        assert browser.get(path).status_code == 200

    def test_a_login_while_the_connection_is_dead_is_503(self) -> None:
        browser = Client(raise_request_exception=False)
        make_user("vera")
        kill_connection()
        answer = browser.post("/login/", {"username": "vera", "password": "x"})
        assert answer.status_code == 503
        assert b"http-equiv" not in answer.content  # a form that was sent is not sent again by itself

    def test_a_session_that_cannot_be_saved_is_503(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Saved by the middleware, where no view's handler reaches.
        browser = Client(raise_request_exception=False)
        user = make_user("vera")
        user.set_password("right")
        user.save()
        save = SessionStore.save

        def save_dead(self: SessionStore, must_create: bool = False) -> None:
            if not must_create:
                kill_connection()
            save(self, must_create=must_create)

        monkeypatch.setattr(SessionStore, "save", save_dead)
        answer = browser.post("/login/", {"username": "vera", "password": "right"})
        assert answer.status_code == 503
        assert "Retry-After" in answer

    def test_a_locked_table_is_503_after_the_lock_timeout_and_reads_of_others_go_on(self, operator: Caller) -> None:
        with closing(other_connection()) as other, session_with("lock_timeout", "100"):
            with other.transaction():
                other.execute(f"LOCK TABLE {Task._meta.db_table} IN EXCLUSIVE MODE")
                answer = operator.post(TASKS, {"type": "t"})
                assert (answer.status, answer.is_problem) == (503, True)
                assert "busy" in answer.json["detail"]
                assert operator.read(TASKS).status == 200
            assert operator.post(TASKS, {"type": "t"}).status == 201
        assert Task.objects.count() == 1

    def test_a_statement_that_takes_too_long_is_503(self, operator: Caller) -> None:
        with session_with("statement_timeout", "100"), closing(other_connection()) as other, other.transaction():
            other.execute(f"LOCK TABLE {Task._meta.db_table} IN ACCESS EXCLUSIVE MODE")
            answer = operator.read(TASKS)
        assert answer.status == 503

    def test_a_server_that_takes_no_changes_is_503_and_can_be_read(self, operator: Caller) -> None:
        with session_with("default_transaction_read_only", "on"):
            assert operator.post(TASKS, {"type": "t"}).status == 503
            assert operator.read(TASKS).status == 200

    def test_a_pooled_connection_that_the_server_has_closed_is_not_used(self, viewer: Caller) -> None:
        with connection.cursor() as cursor:
            pid = cursor.execute("SELECT pg_backend_pid()").fetchone()[0]
        connection.close()
        with closing(other_connection()) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert viewer.read(TASKS).status == 200

    def test_f32_when_no_connection_is_left_it_is_503_and_goes_on_by_itself(
        self, operator: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert operator.post(TASKS, {"type": "t"}).status == 201
        with no_connection_left(monkeypatch) as let_go:
            with pytest.raises(psycopg.OperationalError, match="too many connections"):
                other_connection()
            for answer in (operator.read(TASKS), operator.post(TASKS, {"type": "t"}), operator.read("/readyz")):
                assert (answer.status, answer.is_problem or "missing" in answer.json) == (503, True)
                assert b"crowd" not in answer.content
            assert operator.read("/healthz").status == 200
            browser = Client(raise_request_exception=False)
            assert browser.post("/login/", {"username": "vera", "password": "x"}).status_code == 503
            let_go()
            assert eventually(lambda: operator.read(TASKS).status == 200, seconds=60)
            assert operator.post(TASKS, {"type": "t"}).status == 201
            assert Task.objects.count() == 2


@pytest.mark.only_on("sqlite")
class TestSqlite:
    def test_a_full_disk_is_503_for_writes_and_reads_go_on(self, operator: Caller) -> None:
        assert operator.post(TASKS, {"type": "t"}).status == 201
        with full_disk():
            big = {"type": "t", "payload": "x" * 200_000}
            answer = operator.post(TASKS, big)
            assert (answer.status, answer.is_problem) == (503, True)
            assert "full" in answer.json["detail"]
            assert int(answer.headers["Retry-After"]) >= 5
            assert operator.read(TASKS).status == 200
            assert operator.read(f"{TASKS}/{Task.objects.get().pk}").status == 200
        assert operator.post(TASKS, big).status == 201
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA integrity_check").fetchone()[0] == "ok"

    def test_a_token_whose_use_cannot_be_noted_still_reads(
        self, operator: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("dispatcher.credentials._no_touch_before", 0.0)
        assert Credential.objects.get().last_used_at is None
        with quick_to_give_up(monkeypatch), self.busy_writer():
            assert operator.read(TASKS).status == 200
        assert Credential.objects.get().last_used_at is None

    def test_a_writer_from_outside_makes_submits_503_until_it_ends(
        self, operator: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with quick_to_give_up(monkeypatch):
            with self.busy_writer():
                answer = operator.post(TASKS, {"type": "t"})
                assert (answer.status, answer.is_problem) == (503, True)
                assert "busy" in answer.json["detail"]
                assert operator.read(TASKS).status == 200
            assert operator.post(TASKS, {"type": "t"}).status == 201
        assert Task.objects.count() == 1

    def test_a_program_that_holds_the_turn_makes_submits_503_until_it_leaves(
        self, operator: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Another connection has the turn, as a process that was stopped in the middle of its transaction does.
        turn = Turnstile(str(connection.settings_dict["NAME"]))
        turn.enter(1.0)
        with quick_to_give_up(monkeypatch):
            assert operator.post(TASKS, {"type": "t"}).status == 503
            turn.leave()
            assert operator.post(TASKS, {"type": "t"}).status == 201
        turn.close()

    @staticmethod
    @contextmanager
    def busy_writer() -> Iterator[None]:
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")


def test_f35_what_a_full_disk_refused_is_taken_once_there_is_room_and_nothing_is_restarted(
    operator: Caller, node: Node, node_caller: Caller
) -> None:
    taken = operator.post(TASKS, {"type": "t"}).json["id"]
    task = make_task(state=TaskState.RUNNING, node=node)
    large = {"type": "t", "payload": "x" * 200_000, "idempotency_key": "k"}
    report = {
        "boot_id": node.boot_id,
        "results": [{"task_id": str(task.pk), "attempt": 1, "outcome": "succeeded", "result": "y" * 200_000}],
    }
    with full_data_disk() if connection.vendor == "postgresql" else full_disk():
        # The node keeps its result: it got no verdict for it.
        for answer in (operator.post(TASKS, large), node_caller.post("/api/v1/nodes/results", report)):
            assert (answer.status, answer.is_problem, "full" in answer.json["detail"]) == (503, True, True)
            assert int(answer.headers["Retry-After"]) >= 5
        for path in (TASKS, f"{TASKS}/{taken}", "/api/v1/nodes", "/healthz"):
            assert operator.read(path).status == 200
    made = operator.post(TASKS, large)
    assert (made.status, operator.post(TASKS, large).json["id"]) == (201, made.json["id"])
    for expected in ("recorded", "duplicate"):
        verdicts = node_caller.post("/api/v1/nodes/results", report).json["verdicts"]
        assert [one["verdict"] for one in verdicts] == [expected]
    assert {str(pk) for pk in Task.objects.values_list("pk", flat=True)} == {taken, str(task.pk), made.json["id"]}


def test_what_was_taken_is_no_error_when_it_cannot_be_read_back(
    operator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = lifecycle.submit

    def submit_then_break(*args: Any, **kwargs: Any) -> Any:
        made = submit(*args, **kwargs)
        monkeypatch.setattr(Task.objects, "filter", broken)
        return made

    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(lifecycle, "submit", submit_then_break)
    answer = operator.post(TASKS, {"type": "t"})
    assert answer.status == 201
    seed = operator.post("/task", {"taskId": "a", "payload": {}})
    assert seed.status == 201
    monkeypatch.undo()
    assert {answer.json["id"], seed.json["id"]} == {str(pk) for pk in Task.objects.values_list("pk", flat=True)}


def test_defects_are_not_taken_for_outages(operator: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_args: Any, **_kwargs: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")

    monkeypatch.setattr(lifecycle, "submit", wrong)
    answer = operator.post(TASKS, {"type": "t"})
    assert answer.status == 500
    assert b"nowhere" not in answer.content
