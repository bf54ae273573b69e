"""What a token may be good for. A token does what its scopes name, as far as the role of its account allows it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from django.utils.translation import gettext, gettext_noop


class Scope(StrEnum):
    """One kind of right. None implies another: a token that submits and looks at what came of it has two."""

    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    NODES_READ = "nodes:read"
    OPERATE = "operate"
    ADMIN = "admin"

    @property
    def meaning(self) -> str:
        """What it opens, in words for people."""
        return gettext(_MEANINGS[self])


_MEANINGS: Final = {
    Scope.TASKS_READ: gettext_noop("see tasks, logs, queues, counts and the feed"),
    Scope.TASKS_WRITE: gettext_noop("submit, cancel and retry tasks"),
    Scope.NODES_READ: gettext_noop("see nodes"),
    Scope.OPERATE: gettext_noop("drain, resume and disable nodes; make, edit, pause and resume queues"),
    Scope.ADMIN: gettext_noop("make enrolment tokens, rotate credentials of nodes"),
}
_ORDER: Final[dict[str, int]] = {scope: place for place, scope in enumerate(Scope)}


def join(scopes: Iterable[Scope]) -> str:
    """Scopes as they are stored and shown: each once, in the order of the catalogue, with a blank between."""
    return " ".join(sorted(set(scopes), key=lambda scope: _ORDER[scope]))


def split(text: str) -> frozenset[Scope]:
    """The scopes in a stored text. A word that this version does not know opens nothing."""
    return frozenset(Scope(word) for word in text.split() if word in _WORDS)


def unknown(words: Iterable[str]) -> list[str]:
    """Those of the words that name no scope."""
    return [word for word in words if word not in _WORDS]


_WORDS: Final = frozenset(scope.value for scope in Scope)
