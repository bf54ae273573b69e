from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from msgspec import structs

from dispatcher import events
from dispatcher.api import health
from dispatcher.models import Change, EngineProcess, Queue
from dispatcher.redaction import redactor
from dispatcher.states import TaskState
from tests.api.conftest import Answer, Caller, now
from tests.factories import make_change, make_engine, make_queue, make_task

pytestmark = pytest.mark.django_db


class TestQueues:
    """Making, editing, pausing."""

    def test_make_edit_pause_resume(self, operator: Caller) -> None:
        made = operator.post("/api/v1/queues", {"name": "night", "policy": "spread", "description": "slow"})
        assert (made.status, made.json) == (
            201,
            {"name": "night", "policy": "spread", "description": "slow", "paused": None},
        )
        edited = operator.patch("/api/v1/queues/night", {"description": "slower"})
        assert (edited.json["policy"], edited.json["description"]) == ("spread", "slower")
        paused = operator.post("/api/v1/queues/night/pause", {"reason": "maintenance"})
        assert (paused.json["paused"]["by"], paused.json["paused"]["reason"]) == ("otto", "maintenance")
        assert Queue.objects.get(name="night").is_paused
        assert operator.post("/api/v1/queues/night/resume").json["paused"] is None
        kinds = list(Change.objects.filter(actor="otto").order_by("id").values_list("kind", flat=True))
        assert kinds == ["queue.created", "queue.edited", "queue.paused", "queue.resumed"]

    def test_a_second_of_the_same_name(self, operator: Caller) -> None:
        make_queue("night", description="mine")
        assert operator.post("/api/v1/queues", {"name": "night", "description": "yours"}).status == 409
        assert Queue.objects.get(name="night").description == "mine"

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"name": "a/b"}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"name": "q", "policy": "magic"}, "policy"),
            ({"name": "q", "description": "x" * 201}, "description"),
            ({"name": "q", "description": "a\nb"}, "description"),
            ({"name": "q", "paused_at": None}, "paused_at"),
            ({"policy": "spread"}, "name"),
        ],
    )
    def test_what_is_refused(self, operator: Caller, body: Any, field: str) -> None:
        assert operator.post("/api/v1/queues", body).fields == [(None, field)]
        assert not Queue.objects.exists()

    def test_an_edit_may_not_rename(self, operator: Caller) -> None:
        make_queue("night")
        assert operator.patch("/api/v1/queues/night", {"name": "day"}).fields == [(None, "name")]
        assert operator.patch("/api/v1/queues/nowhere", {"description": ""}).status == 404

    def test_list(self, viewer: Caller) -> None:
        make_task(queue="night", now=now())
        rows = {row["name"]: row for row in viewer.read("/api/v1/queues").json["queues"]}
        assert rows["night"]["depth"] == 1

    def test_one(self, operator: Caller, viewer: Caller) -> None:
        where = operator.post("/api/v1/queues", {"name": "a+b:c@d"}).headers["Location"]
        make_task(queue="a+b:c@d", now=now())
        row = viewer.read(where).json
        assert [row] == viewer.read("/api/v1/queues").json["queues"]
        assert (row["name"], row["depth"]) == ("a+b:c@d", 1)
        assert viewer.read("/api/v1/queues/nowhere").status == 404

    def test_a_misspelt_field_is_guessed(self, operator: Caller) -> None:
        make_queue("night")
        for path, field, meant in (("queues", "polciy", "policy"), ("queues/night/pause", "resaon", "reason")):
            answer = operator.post(f"/api/v1/{path}", {"name": "q", field: "x"} if path == "queues" else {field: "x"})
            assert f"did you mean {meant}?" in answer.json["detail"]

    def test_lists_take_no_parameters(self, viewer: Caller) -> None:
        for path in ("queues", "nodes", "counts"):
            assert viewer.read(f"/api/v1/{path}", order="name").fields == [(None, "order")]


class TestFeed:
    """Counts and changes."""

    def test_counts(self, viewer: Caller) -> None:
        make_task(now=now())
        make_task(now=now())
        make_task(state=TaskState.FAILED, now=now())
        counts = viewer.read("/api/v1/counts").json
        assert (counts["queued"], counts["failed"], counts["succeeded"]) == (2, 1, 0)

    def test_pages_give_every_change_once(self, viewer: Caller) -> None:
        Change.objects.all().delete()
        made = [make_change(events.QueueCreated(queue=f"q{n}"), at=now()).pk for n in range(5)]
        seen: list[int] = []
        position = str(made[0] - 1)
        for _ in range(4):
            page = viewer.read("/api/v1/changes", after=position, limit="2").json
            seen += [int(change["id"]) for change in page["changes"]]
            position = page["next"]
        assert seen == made
        assert position == str(made[-1])
        assert viewer.read("/api/v1/changes", after=position).json == {"changes": [], "next": position}

    def test_facts_are_json(self, viewer: Caller) -> None:
        make_change(events.QueuePaused(queue="q", reason="r"), actor="otto", at=now())
        change = viewer.read("/api/v1/changes").json["changes"][-1]
        assert (change["kind"], change["actor"], change["facts"]) == (
            "queue.paused",
            "otto",
            {"queue": "q", "reason": "r"},
        )

    def test_only_what_someone_did(self, viewer: Caller) -> None:
        Change.objects.all().delete()
        make_change(events.QueueCreated(queue="a"), at=now())
        last = make_change(events.QueueCreated(queue="b"), actor="otto", at=now()).pk
        make_change(events.QueueCreated(queue="c"), at=now())
        page = viewer.read("/api/v1/changes", audited="true").json
        assert [change["id"] for change in page["changes"]] == [str(last)]
        assert page["next"] == str(last + 1)

    def test_no_fact_of_ours_has_a_name_that_is_masked(self) -> None:
        names = {
            f"{kind}.{field.encode_name}"
            for kind, event in events.CATALOGUE.items()
            for field in structs.fields(event)
            if redactor().is_secret(field.encode_name)
        }
        assert names == set()

    def test_a_page_ends_before_a_gap_that_may_yet_be_filled(self, viewer: Caller) -> None:
        first = make_change(events.QueueCreated(queue="a"), at=now()).pk
        late = Change(id=first + 2, at=now(), kind="queue.created", body='{"queue":"c"}')
        late.save(force_insert=True)
        position = str(first - 1)
        page = viewer.read("/api/v1/changes", after=position).json
        assert ([change["id"] for change in page["changes"]], page["next"]) == ([str(first)], str(first))
        # The next page begins with the gap: nothing yet.
        assert viewer.read("/api/v1/changes", after=str(first)).json["changes"] == []
        Change(id=first + 1, at=now(), kind="queue.created", body='{"queue":"b"}').save(force_insert=True)
        page = viewer.read("/api/v1/changes", after=str(first)).json
        assert [change["id"] for change in page["changes"]] == [str(first + 1), str(first + 2)]

    def test_a_gap_that_stays_is_passed_over(self, viewer: Caller) -> None:
        old = now() - timedelta(seconds=11)
        first = make_change(events.QueueCreated(queue="a"), at=old).pk
        Change(id=first + 5, at=old, kind="queue.created", body='{"queue":"b"}').save(force_insert=True)
        page = viewer.read("/api/v1/changes", after=str(first)).json
        assert [change["id"] for change in page["changes"]] == [str(first + 5)]

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"after": "x"}, "after"),
            ({"after": "9" * 19}, "after"),
            ({"limit": "0"}, "limit"),
            ({"audited": "yes"}, "audited"),
            ({"actor": "otto"}, "actor"),
        ],
    )
    def test_parameters(self, viewer: Caller, params: dict[str, str], field: str) -> None:
        assert viewer.read("/api/v1/changes", **params).fields == [(None, field)]


class TestHealth:
    """Without credentials."""

    def test_live(self, nobody: Caller) -> None:
        assert nobody.read("/healthz").json == {"status": "ok"}

    def test_ready_with_an_engine(self, nobody: Caller) -> None:
        make_engine(now=now())
        assert (nobody.read("/readyz").status, nobody.read("/readyz").json) == (200, {"status": "ok"})

    def test_not_ready_without_an_engine(self, nobody: Caller) -> None:
        make_engine(now=now())
        EngineProcess.objects.update(last_seen_at=now() - timedelta(seconds=31))
        answer = nobody.read("/readyz")
        assert (answer.status, answer.json["missing"]) == (503, "engine")

    def test_not_ready_while_a_loop_of_the_only_engine_does_not_come_round(self, nobody: Caller) -> None:
        make_engine(now=now())
        EngineProcess.objects.update(
            loops={
                "assigner": {"interval_seconds": 1.0, "last_good_seconds_ago": 3.0},
                "sweeper": {"interval_seconds": 2.0, "last_good_seconds_ago": 21.0},
                "pruner": {"interval_seconds": 60.0, "last_good_seconds_ago": 500.0},
            }
        )
        answer = nobody.read("/readyz")
        assert (answer.status, answer.json["missing"]) == (503, "engine loops")
        assert EngineProcess.objects.get().late_loops(now()) == ["sweeper"]
        make_engine("engine-2", now=now())
        assert nobody.read("/readyz").status == 200

    def test_not_ready_without_a_database(self, nobody: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone() -> bool:
            raise DatabaseError

        monkeypatch.setattr(health, "_database_answers", gone)
        answer = nobody.read("/readyz")
        assert (answer.status, answer.json["missing"]) == (503, "database")

    def test_not_ready_before_the_migrations(self, nobody: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(health, "_is_migrated", lambda: False)
        assert nobody.read("/readyz").json["missing"] == "migrations"

    def test_only_to_be_read(self, nobody: Caller) -> None:
        for path in ("/healthz", "/readyz"):
            assert Answer(nobody.generic("POST", path)).status == 405
            assert Answer(nobody.generic("HEAD", path)).content == b""
