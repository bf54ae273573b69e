"""The pictures show every page there is, and each of them once."""

from __future__ import annotations

from collections import Counter

from django.urls import resolve
from django.urls.exceptions import Resolver404

from dispatcher.dashboard.urls import urlpatterns
from tests.pictures.scene import Scene
from tests.pictures.shots import FIRST_RUN, SHOTS

#: Downloads, answers to scripts, forms' targets and redirects: nothing that anybody looks at.
NO_PAGES = {
    "tasks_csv", "task_suggestions", "task_log", "activity_export", "set_language", "revoke_token", "jump",
    "logout", "save_view", "edit_view", "delete_view", "task_rows",
}  # fmt: skip


def shown() -> set[str]:
    found = set()
    for shot in SHOTS:
        try:
            match = resolve(shot.address(Scene()).partition("?")[0])
        except Resolver404:
            continue
        if match.app_name == "dashboard":
            found.add(match.url_name)
    return found


def test_every_page_is_photographed() -> None:
    names = {str(pattern.name) for pattern in urlpatterns}
    assert names - NO_PAGES - shown() == set()
    assert NO_PAGES - names == set()


def test_no_picture_replaces_another() -> None:
    names = Counter(shot.name for shot in [FIRST_RUN, *SHOTS])
    assert [name for name, count in names.items() if count > 1] == []
