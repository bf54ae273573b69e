"""Saved views on the page of tasks: choosing, saving, changing, sharing, deleting, all without scripts."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse
from django.test import Client

from dispatcher import roles, saved_views
from dispatcher.dashboard import task_list, task_views
from dispatcher.models import Change, SavedView
from dispatcher.queries import TaskLook, task_search, task_sort
from dispatcher.states import TaskState
from tests.factories import make_error, make_task, make_user, make_view

pytestmark = pytest.mark.django_db


def signed_in(name: str, group: str = "") -> Client:
    user = make_user(name)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def vera() -> Client:
    return signed_in("vera")


@pytest.fixture
def olga() -> Client:
    return signed_in("olga", roles.OPERATOR_GROUP)


def text_of(response: HttpResponse) -> str:
    return unescape(response.content.decode())


def page(client: Client, **params: str) -> str:
    return text_of(client.get(f"/tasks/?{urlencode(params)}"))


def menu(text: str) -> str:
    return text.split('id="view-menu"')[1].split("</form>", maxsplit=1)[0]


def test_the_built_in_views_are_canonical_and_the_one_that_is_shown_is_marked(vera: Client) -> None:
    for name, q, sort in task_views._BUILT_IN:
        assert TaskLook.parse({"q": q}).q == q
        text = menu(page(vera, q=q, sort=sort))
        assert f"View: {name}" in text
        assert f'aria-current="true">{name}</a>' in text
    assert 'href="/tasks/?q=state%3Adispatched%2Crunning"' in text


def test_a_viewer_saves_what_is_shown_and_comes_back_to_it(vera: Client) -> None:
    answer = vera.post("/tasks/views/", {"name": "  Mine,  today ", "q": "queue:gpu STATUS:failed"})
    view = SavedView.objects.get()
    assert (view.name, view.q, view.shared, view.owner.username) == (
        "Mine, today",
        "state:failed queue:gpu",
        False,
        "vera",
    )
    assert answer["Location"] == f"/tasks/?q=state%3Afailed+queue%3Agpu&view={view.pk}"
    text = menu(text_of(vera.get(answer["Location"])))
    assert "View: Mine, today" in text
    assert "Your views" in text
    assert "view-changed" not in text
    told = Change.objects.get(kind="view.saved")
    assert (told.actor, '"Mine, today"' in told.body) == ("vera", True)


def test_a_view_is_also_found_by_what_it_shows(vera: Client) -> None:
    make_view(User.objects.get(), name="By tag", q="tag:x")
    assert "View: By tag" in menu(page(vera, q="tag:x"))
    assert "View: By tag" not in menu(page(vera, q="tag:y"))


def test_another_query_within_a_view_is_a_change_with_a_way_back(vera: Client) -> None:
    view = make_view(User.objects.get(), name="By tag", q="tag:x")
    text = page(vera, q="tag:x state:failed", view=str(view.pk))
    assert 'id="view-changed"' in menu(text)
    assert f'href="/tasks/?q=tag%3Ax&view={view.pk}">Back to how it was saved' in menu(text)
    # Chips, tabs and the field stay in the view.
    assert f'href="/tasks/?q=state%3Afailed&view={view.pk}"' in text
    assert f'<input type="hidden" name="view" value="{view.pk}">' in text.split('id="query"')[1]
    saved = vera.post(f"/tasks/views/{view.pk}/", {"name": "By state", "q": "tag:x state:failed"})
    assert saved["Location"] == f"/tasks/?q=state%3Afailed+tag%3Ax&view={view.pk}"
    view.refresh_from_db()
    assert (view.name, view.q) == ("By state", "state:failed tag:x")
    assert view.changed_at > view.created_at


def test_the_address_of_a_view_leads_to_what_it_shows_now(vera: Client) -> None:
    view = make_view(User.objects.get(), q="tag:x")
    assert vera.get(f"/tasks/?view={view.pk}")["Location"] == f"/tasks/?q=tag%3Ax&view={view.pk}"


def test_only_operators_share_and_everybody_sees_what_is_shared(vera: Client, olga: Client) -> None:
    assert vera.post("/tasks/views/", {"name": "v", "q": "", "shared": "on"}).status_code == 403
    assert not SavedView.objects.exists()
    assert 'name="shared" disabled' in page(vera)
    olga.post("/tasks/views/", {"name": "Everybody's", "q": "tag:x", "shared": "on"})
    olga.post("/tasks/views/", {"name": "Hers", "q": "tag:y"})
    text = menu(page(vera))
    assert "Shared by others" in text
    assert "Everybody's" in text
    assert "olga" in text
    assert "Hers" not in text


def test_what_belongs_to_others_is_not_changed_and_not_there(vera: Client, olga: Client) -> None:
    for shared in (True, False):
        view = make_view(User.objects.get(username="olga"), name=f"shared {shared}", shared=shared)
        for action in ("", "delete/"):
            assert vera.post(f"/tasks/views/{view.pk}/{action}", {"name": "mine", "q": ""}).status_code == 404
        text = page(vera, q="tag:y", view=str(view.pk))
        assert ('id="view-missing"' in text) is not shared
        assert f"/tasks/views/{view.pk}/" not in text
    assert vera.get(f"/tasks/?view={view.pk}").status_code == 200
    assert SavedView.objects.filter(name__startswith="shared").count() == 2


def test_its_owner_deletes_a_view_and_an_admin_one_that_is_shared(vera: Client, olga: Client) -> None:
    own = make_view(User.objects.get(username="vera"), name="own")
    answer = vera.post(f"/tasks/views/{own.pk}/delete/", {"q": "tag:x"})
    assert answer["Location"] == "/tasks/?q=tag%3Ax"
    admin = signed_in("ada", roles.ADMIN_GROUP)
    shared = make_view(User.objects.get(username="olga"), name="shared", shared=True)
    private = make_view(User.objects.get(username="olga"), name="private")
    assert f"/tasks/views/{shared.pk}/delete/" in page(admin, view=str(shared.pk), q="tag:z")
    assert admin.post(f"/tasks/views/{shared.pk}/delete/").status_code == 302
    assert admin.post(f"/tasks/views/{private.pk}/delete/").status_code == 404
    assert list(SavedView.objects.all()) == [private]
    assert [row.actor for row in Change.objects.filter(kind="view.deleted").order_by("id")] == ["vera", "ada"]


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "taken"}, 409, "You have a view of that name already."),
        ({"name": " "}, 400, "A view needs a name."),
        ({"name": "x" * 81}, 400, "A name has at most 80 characters."),
        ({"name": "a\u0007b"}, 400, "A name is one line of printable characters."),
        ({"name": "n", "q": "stat:failed"}, 400, "There is no key stat"),
    ],
)
def test_what_cannot_be_kept_is_said_beside_the_field(
    vera: Client, fields: dict[str, str], status: int, words: str
) -> None:
    make_view(User.objects.get(), name="taken")
    task = make_task(tags=["x"])
    answer = vera.post("/tasks/views/", {"q": "tag:x"} | fields)
    text = text_of(answer)
    assert answer.status_code == status
    assert words in text
    if "q" not in fields:
        # The page is the one that stood there, with the menu open and what was typed.
        assert 'id="view-menu" open' in text
        assert f'data-key="{task.pk}"' in text
        assert 'data-address="/tasks/?q=tag%3Ax"' in text
    assert SavedView.objects.count() == 1


def test_nobody_keeps_more_than_there_is_room_for(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_views, "MAX_PER_USER", 2)
    codes = [vera.post("/tasks/views/", {"name": name, "q": ""}).status_code for name in "abc"]
    assert codes == [302, 302, 409]


def test_views_go_with_the_account(vera: Client) -> None:
    make_view(User.objects.get())
    User.objects.get().delete()
    assert not SavedView.objects.exists()


# --- Columns ----------------------------------------------------------------------------------------


def heads(text: str) -> list[str]:
    """What the columns are called, those that are always there left out."""
    table = text.split("<thead>")[1].split("</thead>", maxsplit=1)[0]
    return re.findall(r'<th scope="col"[^>]*>(?:<a [^>]*>)?([^<]+)<', table)[2:]


def test_the_columns_in_the_address_are_shown_in_their_order(vera: Client) -> None:
    make_task(priority=7, tags=["nightly"], submitted_by="robot")
    assert heads(page(vera)) == ["Queue", "Node", "Try", "Waited", "Ran", "Created"]
    text = page(vera, cols="submitter,tags,priority")
    assert heads(text) == ["Priority", "Tags", "Submitted by"]
    row = text.split('id="task-rows"')[1].split("</tr>")[0]
    assert row.count("<td") == 6
    assert all(f">{value}<" in row for value in ("7", "nightly", "robot"))
    # The row that scripts make is the same.
    assert text.split('<template id="row-task">')[1].split("</template>")[0].count("<td") == 6
    assert 'name="cols" value="priority,tags,submitter"' in text.split('id="query"')[1].split("</form>")[0]


def test_an_unknown_column_is_an_error(vera: Client) -> None:
    assert "there is no column whim" in page(vera, cols="queue,whim")


def test_chosen_columns_are_remembered_until_the_usual_ones_are_asked_for(vera: Client) -> None:
    make_task()
    answer = vera.get("/tasks/?q=tag%3Ax&cols=created&cols=queue&keep=true")
    assert answer["Location"] == "/tasks/?q=tag%3Ax&cols=queue%2Ccreated"
    assert heads(page(vera)) == ["Queue", "Created"]
    # An address that names others stands above what is remembered, and changes nothing of it.
    assert heads(page(vera, cols="node")) == ["Node"]
    assert heads(page(vera)) == ["Queue", "Created"]
    assert vera.get("/tasks/?keep=true")["Location"] == "/tasks/"
    assert heads(page(vera)) == ["Queue", "Node", "Try", "Waited", "Ran", "Created"]


def test_a_view_keeps_the_columns_that_its_address_names(vera: Client) -> None:
    make_task()
    answer = vera.post("/tasks/views/", {"name": "v", "q": "", "cols": "node"})
    assert heads(text_of(vera.get(answer["Location"]))) == ["Node"]


def test_an_error_in_a_column_of_its_own_is_not_in_the_cell_of_the_task_as_well(vera: Client) -> None:
    make_task(state=TaskState.FAILED, error=make_error("ValueError", "bad"))
    for cols in ("", "error"):
        assert page(vera, cols=cols).split('id="task-rows"')[1].split("</tr>")[0].count(">ValueError: bad<") == 1


# --- Order ------------------------------------------------------------------------------------------


def rows(text: str) -> list[int]:
    return [int(pk) for pk in re.findall(r'<tr [^>]*data-key="(\d+)"', text.split('id="task-rows"')[1])]


def head(text: str, label: str) -> str:
    return re.search(rf"<th [^>]*>(?:(?!</th>).)*{label}", text.split("<thead>")[1])[0]  # type: ignore[index]


def test_heads_sort_and_say_how_it_is_sorted(vera: Client) -> None:
    first, second = make_task(priority=5).pk, make_task(tags=["x"]).pk
    text = page(vera)
    assert rows(text) == [second, first]
    assert 'aria-sort="descending"' in head(text, "Created")
    assert 'href="/tasks/?sort=created"' in head(text, "Created")
    text = page(vera, sort="created", q="state:queued")
    assert rows(text) == [first, second]
    assert 'aria-sort="ascending"' in head(text, "Created")
    assert 'href="/tasks/?q=state%3Aqueued"' in head(text, "Created")
    assert 'href="/tasks/?q=state%3Aqueued&sort=-waited"' in head(text, "Waited")
    assert "aria-sort" not in head(text, "Queue")
    text = page(vera, sort="-priority", cols="priority")
    assert rows(text) == [first, second]
    assert 'href="/tasks/?sort=priority&cols=priority"' in head(text, "Priority")
    assert '<option value="-priority" selected>' in text
    # What is new cannot be told by its place.
    assert f'data-newest="{second}"' in text
    assert 'data-newest=""' in page(vera)


def test_an_unknown_order_is_an_error(vera: Client) -> None:
    assert "sort: must be one of created, waited" in page(vera, sort="whim")


def test_it_is_said_within_what_is_sorted(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_sort, "MAX_COUNTED", 2)
    for _ in range(3):
        make_task()
    assert "Sorted within the newest 2 tasks that match; older ones are not in this list." in page(vera, sort="-ran")
    assert "Sorted within" not in page(vera)


def test_the_next_page_of_a_sorted_list_goes_on_in_it(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_list, "PAGE_SIZE", 2)
    made = [make_task(priority=priority).pk for priority in (1, 3, 2)]
    text = page(vera, sort="-priority")
    assert rows(text) == [made[1], made[2]]
    following = re.search(r'href="([^"]+)" rel="next"', text)[1]  # type: ignore[index]
    text = text_of(vera.get(following))
    assert rows(text) == [made[0]]
    assert "First page" in text


# --- Rows for scripts --------------------------------------------------------------------------------


def test_scripts_get_the_rows_that_the_page_has_and_what_follows(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_list, "PAGE_SIZE", 2)
    made = [make_task(tags=["x"]).pk for _ in range(3)]
    text = page(vera, q="tag:x")
    address = re.search(r'data-rows="([^"]+)"', text)[1]  # type: ignore[index]
    first = vera.get(address).json()
    assert [int(row["id"]) for row in first["rows"]] == rows(text) == made[:0:-1]
    assert first["scope"] == "All tasks were searched; 3 match."
    assert f'<span id="scope">{first["scope"]}' in " ".join(text.split())
    assert f'data-next="{first["next"]}"' in text
    rest = vera.get(address, {"q": "tag:x", "after": first["next"]}).json()
    assert ([int(row["id"]) for row in rest["rows"]], rest["next"]) == (made[:1], None)
    assert vera.get("/tasks/rows/?q=stat:x").status_code == 400
    assert vera.get("/tasks/rows/").json()["scope"] == ""


def test_a_page_that_a_search_ended_on_does_not_grow_by_itself(vera: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_search, "WINDOW", 2)
    for tag in ("x", "", "", ""):
        make_task(state=TaskState.EXPIRED if tag else TaskState.FAILED, submitted_by=tag)
    text = page(vera, q="submitter:x")
    assert 'data-next=""' in text
    assert 'id="older"' in text
