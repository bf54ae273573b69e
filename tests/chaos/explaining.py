"""Which fault explains that a task ran again: something that was done to its node, or to all, at the time."""

from __future__ import annotations

from tests.chaos.evidence import Evidence, Run

#: How long before a run something may have gone wrong that shows in it: a node that is only just coming back.
BEFORE_SECONDS = 10.0
#: Faults of one node, and faults of what all of them need.
OF_A_NODE = frozenset({"kill_worker", "kill_child", "pause_worker", "network_to", "network_from", "partition", "lag"})
OF_ALL = frozenset({"kill_web", "kill_engine", "pause_web", "pause_engine", "kill_backend", "stop_database"})


def explanation(evidence: Evidence, earlier: Run, later: Run) -> str:
    """Why the task ran again after ``earlier``; empty if nothing explains it."""
    if earlier.how == "failed":
        return "failed as asked"
    for kind, target, begin, end in evidence.faults:
        is_near = begin <= later.start and end >= earlier.start - BEFORE_SECONDS
        if is_near and ((kind in OF_A_NODE and target == earlier.node) or kind in OF_ALL):
            return f"{kind} {target}"
    return ""
