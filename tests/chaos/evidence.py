"""All witnesses of a run side by side: journals of submitter, handlers, rig and nemesis, and the database's rows."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos import journal
from tests.chaos.records import AttemptRow, ChangeRow, Records, TaskRow

Line = dict[str, Any]
#: What the database said at the end, in the folder of a run.
DATABASE = "database.json"


class Run(NamedTuple):
    """One execution of a handler; ``end`` and ``how`` are None if the process died in it."""

    task: int
    attempt: int
    node: str
    boot: str
    pid: int
    start: float
    end: float | None
    how: str | None
    digest: str | None


class Step(NamedTuple):
    """One transition of a task, from the feed: a row of a ``tasks.changed`` event."""

    change: int
    at: float
    task: int
    from_state: int | None
    to_state: int
    attempt: int
    node: str | None
    outcome: str
    lane: int | None


@dataclass
class Evidence:
    """What the checker judges. Times are monotonic, except those of the feed."""

    client: list[Line]
    runs: list[Run]
    #: fault, healed, start, exit.
    rig: list[Line]
    records: Records
    #: False reports, and the verdict on each.
    courier: list[Line] = field(default_factory=list)
    slots: int = 4
    max_crashes: int = 3
    #: Ended tasks as they were read during the run: task → (state, attempt, digest of the result).
    seen_ended: dict[int, tuple[int, int, str | None]] = field(default_factory=dict)
    #: Open tasks that were seen during the run with nothing that would ever happen to them.
    undriven: set[int] = field(default_factory=set)
    #: Numbers of the changes that a follower of the feed was given, in that order; None: nobody followed.
    followed: list[int] | None = None
    #: Where a secret of the run was found in the open.
    leaks: list[str] = field(default_factory=list)

    @cached_property
    def faults(self) -> list[tuple[str, str, float, float]]:
        """(kind, target, begin, end) of what the nemesis did."""
        healed = {line["n"]: line["at"] for line in self.rig if line["e"] == "healed"}
        return [
            (line["kind"], line["target"], line["at"], healed.get(line["n"], float("inf")))
            for line in self.rig
            if line["e"] == "fault"
        ]

    def steps(self) -> dict[int, list[Step]]:
        """The transitions of each task, in the order of the feed: a task's row is locked while its row is written."""
        found: dict[int, list[Step]] = defaultdict(list)
        for change in self.records.changes:
            if change.kind == "tasks.changed":
                for row in change.body["rows"]:
                    task, from_state, to_state, attempt, lane, node, outcome = (*row, None, "", "")[:7]
                    name = self.records.nodes.get(node) if node is not None else None
                    step = Step(change.id, change.at, task, from_state, to_state, attempt, name, outcome or "", lane)
                    found[task].append(step)
        return found

    def runs_by_task(self) -> dict[int, list[Run]]:
        """The executions of each task, by their start."""
        found: dict[int, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.start):
            found[run.task].append(run)
        return found


def save(evidence: Evidence, folder: Path) -> None:
    """Put what the database said beside the journals, so that the run can be judged again when it is long gone."""
    facts = asdict(evidence.records) | {
        "slots": evidence.slots,
        "max_crashes": evidence.max_crashes,
        "seen_ended": evidence.seen_ended,
        "undriven": sorted(evidence.undriven),
        "leaks": evidence.leaks,
    }
    (folder / DATABASE).write_text(json.dumps(facts))


def load(folder: Path) -> Evidence:
    """The evidence of an earlier run."""
    facts = json.loads((folder / DATABASE).read_text())
    found = Records(
        tasks=[TaskRow(*row) for row in facts["tasks"]],
        attempts=[AttemptRow(*row) for row in facts["attempts"]],
        changes=[ChangeRow(*row) for row in facts["changes"]],
        nodes={int(number): name for number, name in facts["nodes"].items()},
        counted={int(state): count for state, count in facts["counted"].items()},
        bound={int(lane): node for lane, node in facts.get("bound", {}).items()},
    )
    return gather(
        folder,
        found,
        slots=facts["slots"],
        max_crashes=facts["max_crashes"],
        seen_ended={int(task): tuple(seen) for task, seen in facts["seen_ended"].items()},
        undriven=set(facts["undriven"]),
        leaks=facts["leaks"],
    )


def gather(folder: Path, records: Records, **more: Any) -> Evidence:
    """The evidence of a run whose journals are in ``folder``."""
    pages = folder / "follower.jsonl"
    return Evidence(
        followed=[number for line in journal.read(pages) for number in line["ids"]] if pages.exists() else None,
        client=journal.read(folder / "client.jsonl"),
        runs=read_runs(folder),
        rig=journal.read(folder / "rig.jsonl"),
        courier=journal.read(folder / "courier.jsonl"),
        records=records,
        **more,
    )


def read_runs(folder: Path) -> list[Run]:
    """What the handlers wrote down so far."""
    return pair([line for path in sorted(folder.glob("runs-*.jsonl")) for line in journal.read(path)])


def pair(lines: list[Line]) -> list[Run]:
    """Starts of handlers with their ends. The same attempt started twice gives two runs."""
    ends: dict[tuple[int, int, str], list[Line]] = defaultdict(list)
    for line in lines:
        if line["e"] == "end":
            ends[line["task"], line["attempt"], line["boot"]].append(line)
    runs = []
    for line in lines:
        if line["e"] == "start":
            matching = ends[line["task"], line["attempt"], line["boot"]]
            end = matching.pop(0) if matching else {}
            runs.append(
                Run(
                    line["task"], line["attempt"], line["node"], line["boot"], line["pid"], line["at"],
                    end.get("at"), end.get("how"), end.get("digest"),
                )
            )  # fmt: skip
    return runs
