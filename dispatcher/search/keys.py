"""The keys of the language: what can be asked of a task, and what kind of value each takes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dispatcher.search.errors import gettext_noop
from dispatcher.states import ACTIVE, TERMINAL, WAITING, TaskState

#: Begins a key that is followed by the path of a member of the payload.
ARGS: Final = "args."


class Kind(StrEnum):
    """What a value of a key looks like."""

    #: One of a few words.
    WORD = "word"
    #: A name, compared as a whole.
    NAME = "name"
    ID = "id"
    NUMBER = "number"
    DURATION = "duration"
    #: A day, a moment, or an age.
    TIME = "time"
    #: A member of the payload: text or number.
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``meaning`` is for lists of what there is; English, marked for translation."""

    name: str
    kind: Kind
    meaning: str
    example: str
    words: tuple[str, ...] = ()

    @property
    def is_compared(self) -> bool:
        """Whether ``>``, ``>=``, ``<`` and ``<=`` make sense."""
        return self.kind in (Kind.NUMBER, Kind.DURATION, Kind.TIME, Kind.MEMBER)


#: The words of ``is:`` and the states in which a task can be any of it.
FLAGS: Final[dict[str, frozenset[TaskState]]] = {
    "waiting": WAITING,
    "active": ACTIVE,
    "ended": TERMINAL,
    "retrying": frozenset({TaskState.SCHEDULED}),
    "unclaimed": frozenset({TaskState.QUEUED}),
    "paused": WAITING,
    "stuck": ACTIVE | {TaskState.QUEUED},
    "cancelling": ACTIVE,
}

KEYS: Final[dict[str, Key]] = {
    key.name: key
    for key in (
        Key(
            "state", Kind.WORD, gettext_noop("in this state"), "state:failed,expired", tuple(s.word for s in TaskState)
        ),
        Key("is", Kind.WORD, gettext_noop("for which this holds"), "is:stuck", tuple(FLAGS)),
        Key("type", Kind.NAME, gettext_noop("of this type"), "type:render"),
        Key("queue", Kind.NAME, gettext_noop("in this queue"), "queue:gpu,cpu"),
        Key("node", Kind.NAME, gettext_noop("whose current or last attempt is on this node"), "node:w-1"),
        Key("tag", Kind.NAME, gettext_noop("with this tag"), "tag:nightly"),
        Key("id", Kind.ID, gettext_noop("with this id"), "id:17,18"),
        Key("created", Kind.TIME, gettext_noop("submitted then"), "created:<1h"),
        Key("queued", Kind.TIME, gettext_noop("ready then, for the current attempt"), "queued:>2026-11-01"),
        Key("started", Kind.TIME, gettext_noop("started then"), "started:2026-11-01"),
        Key("ended", Kind.TIME, gettext_noop("ended then"), "ended:<=2026-11-01T10:00Z"),
        Key("waited", Kind.DURATION, gettext_noop("ready for so long before the start, or until now"), "waited:>5m"),
        Key("ran", Kind.DURATION, gettext_noop("started so long before the end, or before now"), "ran:>=30s"),
        Key("priority", Kind.NUMBER, gettext_noop("with this priority"), "priority:>0"),
        Key("attempt", Kind.NUMBER, gettext_noop("after so many attempts"), "attempt:>1"),
        Key("error", Kind.NAME, gettext_noop("whose last failure has this in the name of its type"), "error:timeout"),
        Key("retry_of", Kind.ID, gettext_noop("made by a retry of this task"), "retry_of:17"),
        Key("submitter", Kind.NAME, gettext_noop("submitted by this account"), "submitter:ci"),
    )
}

#: Of a path of the payload.
MEMBER: Final = Key(ARGS, Kind.MEMBER, gettext_noop("with this member in the payload"), "args.user.id:42")

#: Other words for keys: what people know from elsewhere.
ALIASES: Final = {
    "prio": "priority",
    "try": "attempt",
    "attempts": "attempt",
    "tags": "tag",
    "worker": "node",
    "name": "type",
    "task": "id",
    "status": "state",
    "finished": "ended",
    "duration": "ran",
    "wait": "waited",
    "user": "submitter",
    "by": "submitter",
    "parent": "retry_of",
}

#: Words for states that people know from elsewhere, and the term to use.
STATE_WORDS: Final = {
    "retrying": "is:retrying",
    "retry": "is:retrying",
    "stuck": "is:stuck",
    "paused": "is:paused",
    "waiting": "is:waiting",
    "active": "is:active",
    "ended": "is:ended",
    "finished": "is:ended",
    "dead": "state:failed",
    "error": "state:failed",
    "failure": "state:failed",
    "done": "state:succeeded",
    "success": "state:succeeded",
    "completed": "state:succeeded",
    "pending": "state:queued",
    "started": "state:running",
}
