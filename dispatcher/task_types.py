"""What the nodes can run, by task type, and the schema that payloads of each type are checked by.

Kept in memory and looked at anew at most every two seconds, in one small statement; what a node says of its types is
read once for all nodes that say the same. So a new schema counts a moment after its node has registered.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from dispatcher.models import Node
from dispatcher.payload_schemas import CompiledSchema, compile_schema
from dispatcher.states import NodeIntent, NodeState

REFRESH_SECONDS: Final = 2.0

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Word:
    """What one or several nodes say of a type. ``digest``: of the schema; "" without one."""

    version: str = ""
    description: str = ""
    timeout_seconds: float | None = None
    schema: dict[str, Any] | None = None
    #: Why the schema that came is not used; "" if it is, or none came.
    schema_error: str = ""
    digest: str = ""


class Offer(NamedTuple):
    """A node with a type. ``is_online``: heard from, and not disabled."""

    node: str
    is_online: bool
    registered_at: datetime | None
    word: Word


@dataclass
class TaskType:
    """A type with everyone who runs it, the latest start last."""

    name: str
    offers: list[Offer] = field(default_factory=list)

    @cached_property
    def newest(self) -> Word:
        """What the node says that started last, of those that are online if any are."""
        online = [offer for offer in self.offers if offer.is_online]
        return (online or self.offers)[-1].word

    @cached_property
    def chosen(self) -> Word:
        """The word with the schema that counts: of most nodes that are online; of equally many, of the latest start."""
        votes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        words: dict[str, Word] = {}
        for place, offer in enumerate(self.offers):
            tally = votes[offer.word.digest]
            tally[0] += offer.is_online
            tally[1] = place
            words[offer.word.digest] = offer.word
        return words[max(votes, key=lambda digest: votes[digest])]

    @cached_property
    def compiled(self) -> CompiledSchema | None:
        """The schema that counts, ready for checking; None without one."""
        return None if self.chosen.schema is None else compile_schema(self.chosen.schema)

    @property
    def digests(self) -> set[str]:
        """The schemas that online nodes have; more than one: they differ."""
        return {offer.word.digest for offer in self.offers if offer.is_online}


class _Memory:
    """What is known. Guarded by its lock; ``types`` and ``by_schema`` are replaced, never changed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.read_at: float | None = None
        self.seen: list[tuple[Any, ...]] = []
        self.words: dict[str, dict[str, Word]] = {}
        self.types: dict[str, TaskType] = {}
        self.by_schema: dict[str, TaskType] = {}


_memory = _Memory()


def known() -> Mapping[str, TaskType]:
    """All types that any node has advertised, by name."""
    _refresh()
    return _memory.types


def with_schema() -> Mapping[str, TaskType]:
    """Those of them whose payloads are checked. Call outside of transactions."""
    _refresh()
    return _memory.by_schema


def look_again() -> None:
    """A node of this process's own has registered otherwise than before: look anew at the next call."""
    _memory.read_at = None


def forget() -> None:
    """Empty the cache (tests roll nodes back)."""
    with _memory.lock:
        _memory.read_at = None
        _memory.seen, _memory.words, _memory.types, _memory.by_schema = [], {}, {}, {}


def _refresh() -> None:
    moment = time.monotonic()
    with _memory.lock:
        if _memory.read_at is not None and moment - _memory.read_at < REFRESH_SECONDS:
            return
        # Others go on with what is known.
        _memory.read_at = moment
    rows = list(
        Node.objects.exclude(types_digest=None)
        .order_by("registered_at", "name")
        .values_list("name", "state", "intent", "registered_at", "types_digest")
    )
    if rows != _memory.seen:
        _remake(rows)


def _remake(rows: list[tuple[Any, ...]]) -> None:
    wanted = {row[4] for row in rows}
    words = {digest: known for digest, known in _memory.words.items() if digest in wanted}
    missing = wanted - words.keys()
    if missing:
        for digest, said in _one_of_each(missing):
            words[digest] = {name: _word(info) for name, info in (said or {}).items()}
    types: dict[str, TaskType] = {}
    for name, state, intent, registered_at, digest in rows:
        is_online = state != NodeState.OFFLINE and intent != NodeIntent.DISABLED
        for type_name, word in words.get(digest, {}).items():
            task_type = types.setdefault(type_name, TaskType(type_name))
            task_type.offers.append(Offer(name, is_online, registered_at, word))
    for name, task_type in types.items():
        before = _memory.types.get(name)
        if before is not None and before.chosen.digest == task_type.chosen.digest and "compiled" in before.__dict__:
            task_type.__dict__["compiled"] = before.compiled
    with _memory.lock:
        _memory.seen, _memory.words, _memory.types = rows, words, types
        _memory.by_schema = {name: one for name, one in types.items() if one.chosen.schema is not None}


def _one_of_each(digests: set[str]) -> list[tuple[str, dict[str, Any] | None]]:
    """The types of one node for each digest."""
    nodes = Node.objects.filter(types_digest__in=digests)
    one_each = dict(nodes.values_list("types_digest", "pk")).values()
    return [
        (digest or "", types) for digest, types in nodes.filter(pk__in=one_each).values_list("types_digest", "types")
    ]


def stored_schema(info: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema in what is stored of a type. It is kept as text: PostgreSQL would put its members in another order."""
    schema = info.get("schema")
    schema = msgspec.json.decode(schema) if isinstance(schema, str) else schema
    return schema if isinstance(schema, dict) else None


def _word(info: Mapping[str, Any]) -> Word:
    schema = stored_schema(info)
    return Word(
        version=str(info.get("version", "")),
        description=str(info.get("description", "")),
        timeout_seconds=info.get("timeout_seconds"),
        schema=schema,
        schema_error=str(info.get("schema_error", "")),
        digest="" if schema is None else hashlib.sha256(_encode(schema)).hexdigest()[:12],
    )
