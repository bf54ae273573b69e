"""What changed between two versions of a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Document = Mapping[str, Any]
Row = Mapping[str, Any]


class RowChanges(msgspec.Struct):
    """What changed in a list of rows; ``key`` names the member that tells them apart."""

    key: str
    upsert: list[Row]
    remove: list[str]


class Delta(msgspec.Struct, omit_defaults=True):
    """Members to replace, and lists of which only rows changed."""

    data: dict[str, Any] = {}
    rows: dict[str, RowChanges] = {}


def diff(old: Document, new: Document, lists: Mapping[str, str]) -> Delta | None:
    """What makes ``new`` of ``old``; None if they are equal. ``lists`` maps members that are lists of rows to the key
    of their rows. Both documents have the same members.
    """  # fmt: skip
    delta = Delta(data={}, rows={})
    for name, value in new.items():
        if name in lists:
            changes = _rows_changed(old[name], value, lists[name])
            if changes is not None:
                delta.rows[name] = changes
        elif old[name] != value:
            delta.data[name] = value
    return delta if delta.data or delta.rows else None


def _rows_changed(old: Sequence[Row], new: Sequence[Row], key: str) -> RowChanges | None:
    before = {row[key]: row for row in old}
    upsert = [row for row in new if before.get(row[key]) != row]
    present = {row[key] for row in new}
    remove = [_text(row[key]) for row in old if row[key] not in present]
    return RowChanges(key=key, upsert=upsert, remove=remove) if upsert or remove else None


def _text(value: Any) -> str:
    """A key as the browser sees it."""
    return value if isinstance(value, str) else str(msgspec.to_builtins(value))
