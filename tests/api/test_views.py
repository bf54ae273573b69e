from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from dispatcher.models import SavedView
from tests.api.conftest import Caller
from tests.factories import make_user, make_view

pytestmark = pytest.mark.django_db


def names(caller: Caller) -> list[str]:
    return [row["name"] for row in caller.read("/api/v1/views").json["views"]]


def test_a_view_is_saved_read_changed_and_deleted(operator: Caller) -> None:
    made = operator.post("/api/v1/views", {"name": "Failures", "q": "queue:gpu STATUS:failed", "shared": True})
    assert made.status == 201
    row = made.json
    assert made.headers["Location"] == f"/api/v1/views/{row['id']}"
    assert {name: row[name] for name in ("name", "q", "sort", "cols", "owner", "shared")} == {
        "name": "Failures", "q": "state:failed queue:gpu", "sort": "", "cols": "", "owner": "otto", "shared": True,
    }  # fmt: skip
    path = f"/api/v1/views/{row['id']}"
    assert operator.read(path).json == row
    changed = operator.send("PATCH", path, {"shared": False, "name": "Mine"}).json
    assert (changed["name"], changed["q"], changed["shared"]) == ("Mine", row["q"], False)
    assert operator.send("DELETE", path).json["name"] == "Mine"
    assert operator.read(path).status == 404
    assert operator.send("DELETE", path).status == 404


def test_ones_own_come_first_then_what_others_share(operator: Caller) -> None:
    others = make_user("vera")
    make_view(others, name="a shared", shared=True)
    make_view(others, name="b private")
    make_view(User.objects.get(username="otto"), name="z own")
    assert names(operator) == ["z own", "a shared"]


def test_what_belongs_to_others_can_be_read_if_shared_and_not_changed(operator: Caller) -> None:
    others = make_user("vera")
    shared, private = (make_view(others, name=str(is_shared), shared=is_shared) for is_shared in (True, False))
    assert operator.read(f"/api/v1/views/{shared.pk}").status == 200
    assert operator.read(f"/api/v1/views/{private.pk}").status == 404
    for view in (shared, private):
        for method in ("PATCH", "DELETE"):
            assert operator.send(method, f"/api/v1/views/{view.pk}", {} if method == "PATCH" else None).status == 404
    assert SavedView.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"name": "taken"}, 409, None),
        ({"name": ""}, 400, "name"),
        ({"name": "  "}, 400, "name"),
        ({"name": "x" * 81}, 400, "name"),
        ({"name": "n", "q": "stat:failed"}, 400, "q"),
        ({"name": "n", "sort": "whim"}, 400, "sort"),
        ({"name": "n", "cols": "queue,whim"}, 400, "cols"),
        ({"name": "n", "columns": "queue"}, 400, "columns"),
        ({"q": ""}, 400, "name"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_the_field(
    operator: Caller, body: dict[str, Any], status: int, field: str | None
) -> None:
    make_view(User.objects.get(username="otto"), name="taken")
    answer = operator.post("/api/v1/views", body)
    assert answer.status == status
    if field:
        assert answer.json["errors"][0]["field"] == field
    assert SavedView.objects.count() == 1


def test_columns_come_in_the_order_in_which_they_are_shown(operator: Caller) -> None:
    row = operator.post("/api/v1/views", {"name": "n", "cols": "created,queue,queue"}).json
    assert row["cols"] == "queue,created"
