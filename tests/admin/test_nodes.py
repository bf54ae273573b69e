from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from dispatcher import credentials, node_registry
from dispatcher.models import Change, Credential, Node
from dispatcher.states import NodeIntent, NodeState, TaskState
from tests.factories import NOW, make_node, make_task

LIST = "/admin/dispatcher/node/"
pytestmark = pytest.mark.django_db


def act(client: Client, action: str, *nodes: Node, **fields: Any) -> Any:
    body = {"action": action, "_selected_action": [node.pk for node in nodes], "index": "0"} | fields
    return client.post(LIST, body, follow=True)


def confirm(client: Client, action: str, *nodes: Node, **fields: Any) -> Any:
    """Answer the page between the action and its doing."""
    body = {"action": action, "_selected_action": [node.pk for node in nodes], "confirmed": "yes"} | fields
    return client.post(LIST, body, follow=True)


def last_audit() -> Change:
    return Change.objects.exclude(actor="").latest("id")


def text_of(response: Any) -> str:
    return str(response.content.decode())


def test_the_list_shows_load_and_leads_to_the_tasks(staff: Client) -> None:
    node = make_node(
        "gpu-1",
        slots=2,
        labels={"gpu": "yes"},
        types={f"t{n}": {} for n in range(7)},
        intent_reason="hot",
        intent="drain",
    )
    make_node("silent", state=NodeState.OFFLINE, last_seen_at=None)
    make_node("fresh", last_seen_at=datetime.now(UTC) - timedelta(seconds=70))
    for state in (TaskState.RUNNING, TaskState.RUNNING, TaskState.DISPATCHED, TaskState.SUCCEEDED):
        make_task(state=state, node=node)
    page = text_of(staff.get(LIST))
    assert "2/2 +1" in page
    assert "never" in page
    assert re.search(r"7\d s ago", page)
    assert "gpu=yes" in page
    assert "t4 and 2 more" in page
    assert "drain (hot)" in page
    where = f"/admin/dispatcher/task/?node={node.pk}&amp;state__in=2,3"
    assert f'<a href="{where}">3</a>' in page
    assert text_of(staff.get(where.replace("&amp;", "&"))).count("field-state") == 3


@pytest.mark.parametrize(
    ("action", "before", "after", "kind"),
    [
        ("drain", NodeIntent.RUN, NodeIntent.DRAIN, "node.draining"),
        ("disable", NodeIntent.RUN, NodeIntent.DISABLED, "node.disabled"),
        ("resume", NodeIntent.DRAIN, NodeIntent.RUN, "node.resumed"),
    ],
)
def test_what_is_wanted_of_nodes(staff: Client, action: str, before: str, after: str, kind: str) -> None:
    chosen, other = make_node("one", intent=before), make_node("two", intent=before)
    page = act(staff, action, chosen)
    assert 'name="confirmed" value="yes"' in text_of(page)
    assert "one" in text_of(page)
    chosen.refresh_from_db()
    assert chosen.intent == before, "nothing happens before it is confirmed"

    assert "1 node changed." in text_of(confirm(staff, action, chosen, reason="new disk"))
    chosen.refresh_from_db()
    other.refresh_from_db()
    assert (chosen.intent, chosen.intent_reason, other.intent) == (after, "new disk", before)
    change = last_audit()
    assert (change.kind, change.actor) == (kind, "stan")
    assert "new disk" in change.body


def test_a_reason_that_is_no_line_asks_again(staff: Client) -> None:
    node = make_node()
    for reason in ("x" * 201, "a\u202eb"):
        page = confirm(staff, "drain", node, reason=reason)
        assert "errorlist" in text_of(page)
    node.refresh_from_db()
    assert node.intent == NodeIntent.RUN


def test_all_pages_at_once(staff: Client) -> None:
    nodes = [make_node() for _ in range(3)]
    confirm(staff, "drain", nodes[0], select_across="1", reason="")
    assert set(Node.objects.values_list("intent", flat=True)) == {NodeIntent.DRAIN}


def test_credentials_are_revoked(superuser: Client) -> None:
    node, other = make_node("one"), make_node("two")
    tokens = {
        each.name: node_registry.issue_credential(name=each.name, actor="tests", now=NOW) for each in (node, other)
    }
    assert "void at once" in text_of(act(superuser, "revoke_credentials", node))
    assert credentials.authenticate(tokens["one"], now=NOW) is not None
    assert "1 credential revoked." in text_of(confirm(superuser, "revoke_credentials", node))
    assert credentials.authenticate(tokens["one"], now=NOW) is None
    assert credentials.authenticate(tokens["two"], now=NOW) is not None
    assert (last_audit().kind, last_audit().actor) == ("credential.revoked", "root")


def test_an_enrolment_token_is_shown_once_and_is_for_that_node(superuser: Client) -> None:
    node = make_node("one")
    act(superuser, "issue_enrolment_token", node)
    assert not Credential.objects.exists()
    page = confirm(superuser, "issue_enrolment_token", node, hours="1")
    stored = Credential.objects.get()
    assert (stored.kind, stored.node, stored.uses_left) == (Credential.Kind.ENROLMENT, node, 1)
    assert "no-store" in page.headers["Cache-Control"]
    assert text_of(page).count("tde_") == 1
    for where in (LIST, "/admin/dispatcher/credential/", "/admin/"):
        assert text_of(page).split("<code>")[1].split("</code>")[0] not in text_of(superuser.get(where))


@pytest.mark.parametrize("action", ["revoke_credentials", "issue_enrolment_token"])
def test_operators_handle_no_tokens(staff: Client, action: str) -> None:
    node = make_node("one")
    node_registry.issue_credential(name="one", actor="tests", now=NOW)
    assert action not in text_of(staff.get(LIST))
    confirm(staff, action, node, hours="1")
    assert Credential.objects.filter(revoked_at__isnull=True).count() == 1


def test_nodes_are_not_made_changed_or_deleted_by_hand(superuser: Client) -> None:
    node = make_node("one")
    assert superuser.get(f"{LIST}add/").status_code == 403
    page = superuser.get(f"{LIST}{node.pk}/change/")
    assert page.status_code == 200
    assert 'name="_save"' not in text_of(page)
    assert superuser.post(f"{LIST}{node.pk}/change/", {"name": "other"}).status_code == 403
    assert superuser.post(f"{LIST}{node.pk}/delete/", {"post": "yes"}).status_code == 403
    confirm(superuser, "delete_selected", node, post="yes")
    assert Node.objects.filter(name="one").exists()


def test_what_nodes_say_is_shown_as_text(staff: Client) -> None:
    attack = '"><script>alert(1)</script>'
    node = make_node("one", labels={"x": attack}, version=attack[:50], types={attack: {}}, intent_reason=attack)
    make_task(state=TaskState.RUNNING, node=node)
    for where in (LIST, f"{LIST}{node.pk}/change/"):
        page = text_of(staff.get(where))
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
    assert "<script>alert" not in text_of(act(staff, "drain", node))
