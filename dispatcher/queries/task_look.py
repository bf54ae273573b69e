"""How a list of tasks is looked at: what for, in which order, with which columns. What a saved view keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dispatcher.queries.filters import FilterError, TaskFilters

#: What a list can show beside state, type and id, in the order in which it is shown.
COLUMNS: Final = (
    "queue", "node", "try", "waited", "ran", "created", "started", "ended", "priority", "tags", "submitter", "error",
)  # fmt: skip
#: Those that it shows unless others are chosen.
USUAL_COLUMNS: Final = ("queue", "node", "try", "waited", "ran", "created")
#: What a list can be sorted by within what was found, the newest so many that match: no index leads along these.
SORTED_WITHIN: Final = ("waited", "ran", "try", "priority", "ended")
#: The order that all tasks can be read in beside the usual one, the newest first, which is "".
OLDEST: Final = "created"
SORTS: Final = (OLDEST, *(sign + name for name in SORTED_WITHIN for sign in ("", "-")))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLook:
    """Canonical: two that show the same are equal."""

    #: In the search language; "" for all tasks.
    q: str = ""
    #: One of ``SORTS``, or "".
    sort: str = ""
    #: Names of ``COLUMNS`` with commas between; "" for the reader's own choice.
    cols: str = ""

    @classmethod
    def parse(cls, params: Mapping[str, Any]) -> TaskLook:
        """From ``q``, ``sort`` and ``cols``, each of them text. ``FilterError`` for what makes no sense."""
        q = TaskFilters.parse({"q": params.get("q", "")}).text
        # As it will be kept, and read again: it may have grown.
        return cls(
            q=TaskFilters.parse({"q": q}).text,
            sort=sort_of(params.get("sort", "")),
            cols=cols_of(params.get("cols", "")),
        )


def sort_of(text: str) -> str:
    """The order called so; ``FilterError`` if there is none."""
    if text and text not in SORTS:
        raise FilterError("sort", f"must be one of {', '.join(SORTS)}")
    return text


def cols_of(text: str) -> str:
    """The columns named with commas between, in the order in which they are shown; ``FilterError`` for unknown ones."""
    wanted = {name for name in text.split(",") if name}
    if unknown := wanted - set(COLUMNS):
        raise FilterError("cols", f"there is no column {min(unknown)[:50]}; there are {', '.join(COLUMNS)}")
    return ",".join(name for name in COLUMNS if name in wanted)
