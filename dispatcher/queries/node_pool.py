"""The pool of nodes: its map, its list, and what in it somebody should look at. Stays cheap with a thousand nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from dispatcher.conf import conf
from dispatcher.models import Credential, Node
from dispatcher.queries.counts import LiveCounts, live_counts
from dispatcher.queries.node_filter import PROBLEMS, STATUSES, NodeFilter
from dispatcher.queries.node_rows import rows_of, totals
from dispatcher.queries.node_story import status_of
from dispatcher.queries.shapes import Enrolment, NodeCell, NodeListRow, NodeRow, NodesDocument
from dispatcher.states import NodeState

#: Rows of the list; the map has all that match.
SHOWN = 100
#: A pool larger than this does not tell of each heartbeat that came on time: that would be every row, every 5 s.
TELLS_BEATS = 50
MAX_ENROLMENTS = 10
#: A heartbeat is on time until that many should have come.
_LATE_BEATS = 3.0
_EVERY_NODE = NodeFilter()
_RANKS = {status: rank for rank, status in enumerate(STATUSES)}


def nodes_document(
    now: datetime,
    counts: LiveCounts | None = None,
    *,
    wanted: NodeFilter = _EVERY_NODE,
    shown: int | None = SHOWN,
) -> NodesDocument:
    """The document of the live topic ``nodes``: those nodes that are ``wanted``, listed up to ``shown``."""
    nodes = Node.objects.order_by("name")
    found = list(nodes if wanted.needs_types else nodes.defer("types"))
    rows = rows_of(found, now, counts or live_counts())
    usual = _usual_version(rows)
    listed = [_list_row(row, usual, now, tells_beats=len(rows) <= TELLS_BEATS) for row in rows]
    matching = [
        row
        for row, node in zip(listed, found, strict=True)
        if wanted.matches(row, node.queues, node.types if wanted.needs_types else None)
    ]
    matching.sort(key=lambda row: row["rank"])
    by_status = Counter(row["status"] for row in listed)
    by_status["problem"] = sum(by_status[status] for status in PROBLEMS)
    return NodesDocument(
        nodes=matching[:shown],
        cells=[
            NodeCell(name=row["name"], status=row["status"], rank=row["rank"], slots=row["slots"], busy=row["busy"])
            for row in matching
        ],
        matching=len(matching),
        statuses={status: by_status[status] for status in ("problem", *STATUSES)},
        usual_version=usual,
        enrolments=_enrolments(),
        **totals(rows),
    )


def _list_row(row: NodeRow, usual: str, now: datetime, *, tells_beats: bool) -> NodeListRow:
    status = status_of(row)
    seen = row["last_seen_at"]
    late = timedelta(seconds=_LATE_BEATS * conf().heartbeat_seconds)
    is_on_time = row["state"] == NodeState.ONLINE and seen is not None and now - seen < late
    skew = bool(row["version"] and usual and row["version"] != usual)
    listed = NodeListRow(**row, status=status, rank=_RANKS[status], skew=skew)
    if is_on_time and not tells_beats:
        listed["last_seen_at"] = None
    return listed


def _usual_version(rows: Sequence[NodeRow]) -> str:
    """The version that most nodes online have; of equally many the later in the alphabet."""
    found = Counter(row["version"] for row in rows if row["state"] == NodeState.ONLINE and row["version"])
    return max(found, key=lambda version: (found[version], version), default="")


def _enrolments() -> list[Enrolment]:
    joined = Credential.objects.filter(
        obtained_with__kind=Credential.Kind.ENROLMENT, kind=Credential.Kind.NODE
    ).order_by("-id")
    rows = joined.values_list("obtained_with__prefix", "node__name", "created_at")
    return [Enrolment(token=token, node=node, at=at) for token, node, at in rows[:MAX_ENROLMENTS]]
