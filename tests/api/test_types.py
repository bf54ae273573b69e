"""Task types over the API and on their pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dispatcher.models import MinuteRollup
from dispatcher.queries import type_rows
from dispatcher.rollups import histogram
from dispatcher.states import NodeState
from tests.api.conftest import Caller
from tests.factories import make_node, make_task, make_user

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scene": {"type": "string", "description": "Where it <lies>.", "pattern": "(a|b)+"},
        "size": {"$ref": "#/$defs/Size"},
        "quality": {"enum": ["low", "high"], "default": "low"},
    },
    "required": ["scene"],
    "$defs": {"Size": {"type": "object", "properties": {"width": {"type": "integer", "minimum": 1}}}},
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def render() -> None:
    told = {"render": {"version": "3", "description": "Render one frame.", "schema": SCHEMA}}
    make_node("w-1", types=told)
    make_node("w-2", types={"render": {"version": "2"}})
    make_node("w-3", types=told)
    make_node("w-4", types={"render": {"version": "1"}}, state=NodeState.OFFLINE)
    make_node("any")


@pytest.mark.usefixtures("render")
def test_a_type_is_told_with_its_schema_versions_and_nodes(viewer: Caller) -> None:
    detail = viewer.read("/api/v1/types/render").json
    assert detail["schema"] == SCHEMA
    assert detail["unchecked"] == ["pattern"]
    assert (detail["type"]["nodes_online"], detail["type"]["nodes_total"]) == (4, 5)
    assert detail["type"]["schemas_differ"] is True
    assert [(offer["version"], offer["is_used"], offer["nodes"]) for offer in detail["offers"]] == [
        ("1", False, []), ("2", False, ["w-2"]), ("3", True, ["w-1", "w-3"]),
    ]  # fmt: skip
    assert len(detail["series"]) == 60


@pytest.mark.usefixtures("render")
def test_the_list_has_types_of_nodes_and_types_of_tasks(viewer: Caller) -> None:
    make_task(task_type="old/one")
    rows = {row["name"]: row for row in viewer.read("/api/v1/types").json["types"]}
    assert set(rows) == {"render", "old/one"}
    assert (rows["render"]["versions"], rows["render"]["has_schema"]) == (["2", "3"], True)
    assert (rows["old/one"]["nodes_online"], rows["old/one"]["failed_share"]) == (1, None)
    # A name may hold slashes.
    assert viewer.read("/api/v1/types/old/one").json["queues"] == ["default"]
    assert viewer.read("/api/v1/types/nowhere").status == 404
    assert viewer.read("/api/v1/types", x="1").status == 400


@pytest.mark.usefixtures("render")
def test_the_page_shows_the_schema_as_text(client: Client) -> None:
    client.force_login(make_user("vera"))
    text = client.get("/types/render/").content.decode()
    assert "Where it &lt;lies&gt;." in text
    assert "size.width" in text
    assert "at least 1" in text
    assert "not checked at submission: pattern" in text
    assert client.get("/types/nowhere/").status_code == 404
    assert "Render one frame." in client.get("/types/").content.decode()


def roll_up(minutes_ago: int, outcome: str, count: int, *, ms: float = 0.0, name: str = "render") -> None:
    now = timezone.now().replace(second=0, microsecond=0)
    times = histogram.encode(histogram.histogram([ms] * count))
    MinuteRollup.objects.create(
        minute=now - timedelta(minutes=minutes_ago), queue="default", type=name, outcome=outcome, count=count,
        wait_histogram=times, run_histogram=times,
    )  # fmt: skip


@pytest.mark.usefixtures("render")
def test_the_last_hour_is_summed_up_by_type() -> None:
    roll_up(70, "succeeded", 1000)
    roll_up(30, "succeeded", 30, ms=100)
    roll_up(5, "dead", 10)
    roll_up(5, "failed", 10, ms=3000)
    roll_up(5, "succeeded", 500, name="other")
    line = type_rows.types_document(timezone.now())["types"][0]
    assert (line["succeeded_last_hour"], line["failed_last_hour"], line["failed_share"]) == (30, 10, 0.25)
    assert (line["history"][-31], line["history"][-6], sum(line["history"])) == (30, 10, 40)
    assert line["run_p95"] is not None
    assert 2000 < line["run_p95"] <= 4096
    # Kept minutes are read again when something is folded into them.
    roll_up(30, "cancelled", 2)
    assert sum(type_rows.types_document(timezone.now())["types"][0]["history"]) == 42
