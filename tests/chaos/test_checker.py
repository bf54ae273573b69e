"""The checker against doctored evidence: each predicate has to catch the lie that is its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import Evidence, Run, load, pair, save
from tests.chaos.records import AttemptRow, ChangeRow, Records, TaskRow
from tests.chaos.secrecy import leaks

KEY, OTHER = "key-1", "key-2"
RESULT = {"nonce": KEY, "digest": "d2"}
#: Task 1 was lost with node w1, which was killed, and succeeded as attempt 2 on w2; task 2 was cancelled in time.
STEPS = [
    [1, None, 1, 0, 7],
    [1, 1, 2, 1, 7, 11],
    [1, 2, 3, 1, 7, 11],
    [1, 3, 0, 1, 7, 11, "lost"],
    [1, 0, 1, 1, 7],
    [1, 1, 2, 2, 7, 12],
    [1, 3, 4, 2, 7, 12, "succeeded"],
    [2, None, 0, 0, 7],
    [2, 0, 6, 0, 7],
]


def changes(steps: list[list[Any]]) -> list[ChangeRow]:
    return [ChangeRow(n, 100.0 + n, "tasks.changed", {"rows": [step]}) for n, step in enumerate(steps, start=1)]


def truthful() -> Evidence:
    """A run in which something happened and nothing is wrong."""
    return Evidence(
        client=[
            {"e": "invoked", "at": 0.0, "keys": [KEY]},
            {"e": "unknown", "at": 1.0, "keys": [KEY], "status": 0},
            {"e": "acked", "at": 2.0, "keys": [KEY], "ids": [1], "status": 200},
            {"e": "invoked", "at": 2.0, "keys": [OTHER]},
            {"e": "acked", "at": 2.1, "keys": [OTHER], "ids": [2], "status": 201},
            {"e": "cancel", "at": 2.2, "task": 2, "status": 200, "outcome": "cancelled"},
        ],
        runs=[
            Run(1, 1, "w1", "boot-a", 100, 3.0, None, None, None),
            Run(1, 2, "w2", "boot-b", 200, 8.0, 8.1, "succeeded", "d2"),
        ],
        rig=[
            {"e": "fault", "at": 3.5, "n": 0, "kind": "kill_worker", "target": "w1", "seconds": 0.0},
            {"e": "healed", "at": 3.6, "n": 0},
        ],
        records=Records(
            tasks=[
                TaskRow(1, 4, 2, 0, 1, 8, "w2", KEY, RESULT, None),
                TaskRow(2, 6, 0, 0, 0, 8, None, OTHER, None, None),
            ],
            attempts=[AttemptRow(1, 1, "w1", "lost", "")],
            changes=changes(STEPS),
            nodes={11: "w1", 12: "w2"},
            counted={4: 1, 6: 1},
        ),
        seen_ended={1: (4, 2, "d2")},
        followed=list(range(1, len(STEPS) + 1)),
    )


def task(evidence: Evidence, **facts: Any) -> None:
    """Doctor the row of task 1."""
    evidence.records.tasks[0] = evidence.records.tasks[0]._replace(**facts)


def steps(evidence: Evidence, change: Callable[[list[list[Any]]], None]) -> None:
    """Doctor the feed."""
    doctored = [list(step) for step in STEPS]
    change(doctored)
    evidence.records.changes[:] = changes(doctored)


def lose_the_row(evidence: Evidence) -> None:
    del evidence.records.tasks[0]


def swap_the_content(evidence: Evidence) -> None:
    task(evidence, nonce="somebody's")


def make_a_row_twice(evidence: Evidence) -> None:
    evidence.records.tasks.append(evidence.records.tasks[0]._replace(id=3))


def answer_with_two_tasks(evidence: Evidence) -> None:
    evidence.client.append({"e": "acked", "at": 3.0, "keys": [KEY], "ids": [2], "status": 200})


def make_a_row_of_nothing(evidence: Evidence) -> None:
    evidence.records.tasks.append(evidence.records.tasks[1]._replace(id=3, nonce="nobody's"))


def leave_it_open(evidence: Evidence) -> None:
    task(evidence, state=3, result=None)


def drop_the_result(evidence: Evidence) -> None:
    task(evidence, result=None)


def make_up_a_result(evidence: Evidence) -> None:
    task(evidence, result={"nonce": KEY, "digest": "made up"})


def take_the_result_of_the_earlier_attempt(evidence: Evidence) -> None:
    evidence.runs[0] = evidence.runs[0]._replace(end=9.0, how="succeeded", digest="d1")
    task(evidence, result={"nonce": KEY, "digest": "d1"})


def take_the_result_of_another_node(evidence: Evidence) -> None:
    task(evidence, node="w1")


def change_what_had_ended(evidence: Evidence) -> None:
    evidence.seen_ended[1] = (5, 1, None)


def end_it_twice(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows.append([1, 3, 4, 2, 7, 12, "succeeded"]))


def move_it_after_its_end(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows.append([1, 4, 0, 2, 7, 12]))


def claim_an_attempt_twice(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows.insert(6, [1, 1, 2, 2, 7, 12]))


def skip_an_attempt(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows.__delitem__(1))


def run_an_attempt_twice(evidence: Evidence) -> None:
    evidence.runs.append(evidence.runs[1]._replace(start=8.5, end=8.6))


def claim_before_it_was_given_up(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows.insert(1, rows.pop(5)))


def run_the_earlier_attempt_later(evidence: Evidence) -> None:
    evidence.runs[0] = evidence.runs[0]._replace(start=9.0)


def fill_more_than_the_slots(evidence: Evidence) -> None:
    evidence.runs += [Run(10 + n, 1, "w2", "boot-b", 200, 8.0, 9.0, "succeeded", "x") for n in range(4)]


def give_to_a_silent_node(evidence: Evidence) -> None:
    evidence.records.changes.insert(0, ChangeRow(0, 90.0, "node.suspected", {"node_id": 12, "name": "w2"}))


def leave_nothing_to_wait_for(evidence: Evidence) -> None:
    evidence.undriven.add(1)


def show_a_secret(evidence: Evidence) -> None:
    evidence.leaks.append("an API token in log/web.log")


def believe_a_false_report(evidence: Evidence) -> None:
    evidence.courier.append({"e": "forged", "at": 8.05, "task": 1, "attempt": 1, "node": "w2", "verdict": "recorded"})


def start_what_was_cancelled(evidence: Evidence) -> None:
    evidence.runs.append(Run(2, 1, "w2", "boot-b", 200, 9.0, 9.1, "succeeded", "x"))


def finish_what_was_cancelled(evidence: Evidence) -> None:
    evidence.records.tasks[1] = evidence.records.tasks[1]._replace(state=4, result={"nonce": OTHER, "digest": "x"})


def drop_a_refused_result(evidence: Evidence) -> None:
    evidence.records.changes.append(ChangeRow(50, 150.0, "results.refused", {"rows": [[1, 1, 11, "succeeded"]]}))


def try_too_often(evidence: Evidence) -> None:
    task(evidence, max_attempts=1)


def run_again_for_nothing(evidence: Evidence) -> None:
    evidence.rig.clear()


def go_on_with_poison(evidence: Evidence) -> None:
    task(evidence, crashes=3, state=1, result=None)


def fail_before_its_time(evidence: Evidence) -> None:
    task(evidence, state=5, result=None, error={"type": "AttemptLost"})


def count_wrongly(evidence: Evidence) -> None:
    evidence.records.counted[4] = 2


def run_on_a_node_that_it_was_not_given_to(evidence: Evidence) -> None:
    evidence.runs[1] = evidence.runs[1]._replace(node="w3")


def end_by_another_node(evidence: Evidence) -> None:
    steps(evidence, lambda rows: rows[3].__setitem__(5, 12))


def leave_a_change_out(evidence: Evidence) -> None:
    assert evidence.followed is not None
    evidence.followed.remove(4)


def give_a_change_late(evidence: Evidence) -> None:
    evidence.followed = [1, 2, 3, 5, 4, 6, 7, 8, 9]


def stop_the_feed(evidence: Evidence) -> None:
    evidence.followed = [1, 2]
    evidence.records.changes.append(ChangeRow(10, 200.0, "node.online", {"name": "w1"}))


LIES = [
    ("I1", lose_the_row),
    ("I1", swap_the_content),
    ("I2", make_a_row_twice),
    ("I2", answer_with_two_tasks),
    ("I2", make_a_row_of_nothing),
    ("I3", leave_it_open),
    ("I4", drop_the_result),
    ("I5", make_up_a_result),
    ("I5", take_the_result_of_the_earlier_attempt),
    ("I5", take_the_result_of_another_node),
    ("I5", believe_a_false_report),
    ("I13", change_what_had_ended),
    ("I6", end_it_twice),
    ("I6", move_it_after_its_end),
    ("I7", claim_an_attempt_twice),
    ("I7", skip_an_attempt),
    ("I7", run_an_attempt_twice),
    ("I8", claim_before_it_was_given_up),
    ("I8", run_the_earlier_attempt_later),
    ("I9", fill_more_than_the_slots),
    ("I10", give_to_a_silent_node),
    ("I11", leave_nothing_to_wait_for),
    ("I17", leave_a_change_out),
    ("I17", give_a_change_late),
    ("I17", stop_the_feed),
    ("I20", show_a_secret),
    ("I12", start_what_was_cancelled),
    ("I12", finish_what_was_cancelled),
    ("I14", drop_a_refused_result),
    ("I15", try_too_often),
    ("I15", run_again_for_nothing),
    ("I16", go_on_with_poison),
    ("I22", fail_before_its_time),
    ("I18", count_wrongly),
    ("I19", run_on_a_node_that_it_was_not_given_to),
    ("I19", end_by_another_node),
]


def test_a_true_story_is_believed() -> None:
    verdict = check(truthful())
    assert verdict.breaches == []
    assert verdict.line == "lost 0 doubled 0 forged 0 stuck 0"
    assert verdict.figures["duplicates"] == 1


@pytest.mark.parametrize(("invariant", "lie"), LIES, ids=[lie.__name__ for _, lie in LIES])
def test_a_lie_is_caught_and_its_task_named(invariant: str, lie: Callable[[Evidence], None]) -> None:
    evidence = truthful()
    lie(evidence)
    verdict = check(evidence)
    found = [breach for breach in verdict.breaches if breach.invariant == invariant]
    assert found, verdict.breaches
    assert not verdict.is_good
    assert invariant in ("I17", "I18", "I20") or found[0].task is not None


@pytest.mark.parametrize(
    ("lie", "line"),
    [
        (lose_the_row, "lost 1 doubled 0 forged 0 stuck 0"),
        (end_it_twice, "lost 0 doubled 1 forged 0 stuck 0"),
        (make_up_a_result, "lost 0 doubled 0 forged 1 stuck 0"),
        (believe_a_false_report, "lost 0 doubled 0 forged 1 stuck 0"),
        (leave_it_open, "lost 0 doubled 0 forged 0 stuck 1"),
    ],
)
def test_the_last_line_counts_tasks(lie: Callable[[Evidence], None], line: str) -> None:
    evidence = truthful()
    evidence.seen_ended.clear()
    lie(evidence)
    assert check(evidence).line == line


def test_a_handler_that_failed_as_asked_needs_no_fault() -> None:
    evidence = truthful()
    evidence.rig.clear()
    evidence.runs[0] = evidence.runs[0]._replace(end=3.1, how="failed")
    assert check(evidence).is_good


def test_a_fault_of_another_node_explains_nothing() -> None:
    evidence = truthful()
    evidence.rig[0]["target"] = "w2"
    assert {breach.invariant for breach in check(evidence).breaches} == {"I15"}


def test_an_unknown_submit_may_have_made_a_task_or_not() -> None:
    evidence = truthful()
    for key in ("key-3", "key-4"):
        evidence.client += [{"e": "invoked", "at": 5.0, "keys": [key]}, {"e": "given_up", "at": 6.0, "keys": [key]}]
    evidence.records.tasks.append(TaskRow(3, 6, 0, 0, 0, 8, None, "key-3", None, None))
    evidence.records.changes += changes([[3, None, 6, 0, 7]])
    evidence = replace(evidence, records=replace(evidence.records, counted={4: 1, 6: 2}))
    verdict = check(evidence)
    assert verdict.breaches == []
    assert verdict.figures["recovered"] == 1


def test_a_run_cut_off_by_a_kill_has_no_end() -> None:
    line = {"task": 1, "attempt": 1, "node": "w1", "boot": "b", "pid": 5}
    runs = pair(
        [
            {"e": "start", "at": 1.0, **line},
            {"e": "end", "at": 2.0, "how": "succeeded", "digest": "d", **line},
            {"e": "start", "at": 3.0, **line, "attempt": 2},
        ]
    )
    assert [(run.attempt, run.end, run.digest) for run in runs] == [(1, 2.0, "d"), (2, None, None)]


def test_the_evidence_of_a_run_can_be_kept_and_judged_again(tmp_path: Path) -> None:
    told = truthful()
    told.undriven.add(1)
    for name, lines in (("client", told.client), ("rig", told.rig)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    save(told, tmp_path)
    kept = load(tmp_path)
    assert (kept.records, kept.seen_ended, kept.undriven) == (told.records, told.seen_ended, told.undriven)
    assert (kept.client, kept.rig) == (told.client, told.rig)
    assert "I11" in {breach.invariant for breach in check(kept).breaches}


@pytest.mark.parametrize("place", ["log", "feed", "list"])
def test_a_secret_is_found_wherever_it_stands(tmp_path: Path, place: str) -> None:
    evidence, secrets = truthful(), {"an API token": "td_secret"}
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "web.log").write_text("GET /?token=td_secret" if place == "log" else "nothing")
    if place == "feed":
        evidence.records.changes.append(ChangeRow(99, 200.0, "node.held", {"reason": "td_secret"}))
    answers = ['{"tasks": ["td_secret"]}'] if place == "list" else ["{}"]
    (found,) = leaks(tmp_path, evidence.records, secrets, answers)
    assert found.startswith("an API token in ")
    assert place in found
