"""Losing, late reports, cancelling, retrying, pruning."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dispatcher import lifecycle, node_registry
from dispatcher.lifecycle import FailedAttempt
from dispatcher.models import Attempt, Change, LogChunk, Node, Task, TaskProgress, TaskTag
from dispatcher.models.statements import Success
from dispatcher.states import AttemptOutcome, TaskState
from tests.db.lifecycle_steps import claim, report, result, state_of, submit
from tests.factories import NOW, make_node
from workers import protocol

pytestmark = pytest.mark.django_db


def lose(node: Node) -> None:
    assert lifecycle.lose_held_by([node.pk], reason="silent", now=NOW) == 1


def test_a_late_success_of_a_lost_attempt_counts_until_the_next_claim() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    lose(node)
    assert state_of(task_id) is TaskState.SCHEDULED
    assert report(node, result(task_id)) == ["recorded"]
    assert state_of(task_id) is TaskState.SUCCEEDED


def test_a_late_success_after_the_next_claim_is_superseded() -> None:
    node, other = make_node(), make_node()
    (task_id,) = submit(backoff_seconds=0)
    claim(node)
    lose(node)
    lifecycle.stage(now=NOW + timedelta(seconds=1))
    claim(other)
    assert report(node, result(task_id)) == ["superseded"]
    assert report(other, result(task_id, 2)) == ["recorded"]


def test_a_success_of_an_attempt_thought_not_taken_counts_until_the_next_claim() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    given_back = lifecycle.FailedAttempt(task_id=task_id, attempt=1, outcome=AttemptOutcome.RELEASED)
    assert lifecycle.end([given_back], node_id=None, now=NOW) == {task_id}
    assert report(node, result(task_id)) == ["recorded"]
    assert report(node, result(task_id)) == ["duplicate"]
    assert state_of(task_id) is TaskState.SUCCEEDED


def test_a_success_of_an_attempt_thought_not_taken_is_refused_and_kept_after_the_next_claim() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    given_back = lifecycle.FailedAttempt(task_id=task_id, attempt=1, outcome=AttemptOutcome.RELEASED)
    lifecycle.end([given_back], node_id=None, now=NOW)
    lifecycle.stage(now=NOW + timedelta(seconds=10))
    claim(node, now=NOW + timedelta(seconds=10))
    assert report(node, result(task_id)) == ["superseded"]
    assert report(node, result(task_id)) == ["superseded"]
    kept = Attempt.objects.filter(task_id=task_id, outcome=AttemptOutcome.SUPERSEDED)
    assert [attempt.number for attempt in kept] == [1]
    assert state_of(task_id) is TaskState.DISPATCHED


def test_a_late_failure_of_a_lost_attempt_only_corrects_the_record() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    lose(node)
    before = Task.objects.get(pk=task_id).run_at
    assert report(node, result(task_id, outcome="failed", error=protocol.TaskError(type="E"))) == ["recorded"]
    assert report(node, result(task_id, outcome="failed", error=protocol.TaskError(type="E"))) == ["duplicate"]
    assert (state_of(task_id), Task.objects.get(pk=task_id).run_at) == (TaskState.SCHEDULED, before)
    assert Attempt.objects.get().outcome == AttemptOutcome.FAILED


def test_a_success_after_a_reported_failure_of_the_same_attempt_does_not_count() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    report(node, result(task_id, outcome="failed"))
    assert report(node, result(task_id)) == ["duplicate"]
    assert state_of(task_id) is TaskState.SCHEDULED


def test_the_end_of_a_lost_attempt_in_the_same_report_does_not_cost_the_result_of_the_next_one() -> None:
    node = make_node()
    ids = submit(2, backoff_seconds=0)
    claim(node)
    lifecycle.lose_held_by([node.pk], reason="silent", now=NOW)
    lifecycle.stage(now=NOW + timedelta(seconds=1))
    claim(node)
    # The node could not report for a while: it has the ends of both attempts, and brings the second one twice.
    ends = [result(ids[0], 1), result(ids[1], 1, "failed")]
    ends += [result(ids[0], 2), result(ids[1], 2), result(ids[0], 2)]
    assert report(node, *ends) == ["superseded", "recorded", "recorded", "recorded", "duplicate"]
    assert [state_of(pk) for pk in ids] == [TaskState.SUCCEEDED] * 2
    outcomes = dict(Attempt.objects.filter(number=1).order_by("id").values_list("task_id", "outcome"))
    assert outcomes == {ids[0]: AttemptOutcome.SUPERSEDED, ids[1]: AttemptOutcome.FAILED}


def test_a_success_of_an_attempt_that_failed_is_not_let_in_by_the_loss_of_an_earlier_one() -> None:
    node = make_node()
    (task_id,) = submit(backoff_seconds=0)
    claim(node)
    lose(node)
    lifecycle.stage(now=NOW)
    claim(node)
    report(node, result(task_id, 2, "failed"))
    assert report(node, result(task_id, 2)) == ["duplicate"]
    assert state_of(task_id) is TaskState.SCHEDULED


def test_a_registration_that_is_repeated_loses_nothing() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    message = protocol.Register(name=node.name, url=node.url, boot_id=node.boot_id, slots=9)
    again = node_registry.register(message, node=node, now=NOW)
    assert (again.slots, again.incarnation) == (9, node.incarnation)
    assert state_of(task_id) is TaskState.DISPATCHED


def test_a_new_start_of_a_node_loses_what_the_old_one_held() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    message = protocol.Register(name=node.name, url=node.url, boot_id="another", slots=1)
    node_registry.register(message, node=node, now=NOW)
    assert state_of(task_id) is TaskState.SCHEDULED
    assert Attempt.objects.get().outcome == AttemptOutcome.LOST


def test_an_attempt_past_its_deadline_is_lost() -> None:
    node = make_node()
    (task_id,) = submit(timeout_seconds=10)
    claim(node)
    assert lifecycle.lose_overdue(now=NOW + timedelta(seconds=69)) == 0
    assert lifecycle.lose_overdue(now=NOW + timedelta(seconds=71)) == 1
    assert state_of(task_id) is TaskState.SCHEDULED


def test_cancel_ends_what_waits_asks_for_what_runs_and_leaves_what_has_ended() -> None:
    node = make_node()
    (done,) = submit()
    claim(node)
    report(node, result(done))
    (active,) = submit()
    claim(node)
    (waiting,) = submit()
    outcome = lifecycle.cancel([done, active, waiting, 999], actor="op", now=NOW)
    assert outcome == lifecycle.CancelResult([waiting], [active], [done], [999])
    assert state_of(waiting) is TaskState.CANCELLED
    assert lifecycle.compare({active: 1}, node_id=node.pk)[1] == [protocol.AttemptRef(task_id=str(active), attempt=1)]
    assert report(node, result(active, outcome="cancelled")) == ["recorded"]
    assert state_of(active) is TaskState.CANCELLED
    assert set(Change.objects.exclude(actor="").values_list("actor", flat=True)) >= {"op"}


def test_a_success_that_comes_before_the_cancel_is_confirmed_stands() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    lifecycle.cancel([task_id], actor="op", now=NOW)
    assert report(node, result(task_id)) == ["recorded"]
    assert state_of(task_id) is TaskState.SUCCEEDED


def test_a_cancelled_task_whose_attempt_fails_is_not_retried() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    lifecycle.cancel([task_id], actor="op", now=NOW)
    report(node, result(task_id, outcome="failed"))
    assert state_of(task_id) is TaskState.CANCELLED


def test_retry_makes_a_new_task_and_leaves_the_old_one() -> None:
    node = make_node()
    (old,) = submit(priority=7, tags=["t"], labels={"a": "b"}, timeout_seconds=5)
    (waiting,) = submit()
    claim(node)
    report(node, result(old, outcome="failed", retryable=False))
    outcome = lifecycle.retry([old, waiting, 999], actor="op", now=NOW)
    assert (outcome.not_finished, outcome.unknown) == ([waiting], [999])
    new = Task.objects.get(pk=outcome.created[old])
    assert (new.retry_of, new.priority, new.tag_list, new.timeout_seconds) == (old, 7, ["t"], 5)
    assert (new.state, new.lane.label_map) == (TaskState.QUEUED, {"a": "b"})
    assert state_of(old) is TaskState.FAILED


def test_pruning_deletes_old_finished_tasks_with_all_that_belongs_to_them() -> None:
    node = make_node()
    ended, open_task = submit(2, tags=["t"])
    claim(node)
    lifecycle.record_report(
        protocol.Report(
            boot_id="b",
            results=[result(ended)],
            progress=[protocol.Progress(task_id=str(ended), attempt=1, fraction=0.5)],
            logs=[protocol.LogLine(task_id=str(ended), attempt=1, n=1, text="hello")],
        ),
        node_id=node.pk,
        now=NOW,
    )
    assert lifecycle.prune(finished_before=NOW, now=NOW).deleted == 0
    after = NOW + timedelta(days=1)
    assert lifecycle.prune(finished_before=after, now=after).deleted == 1
    assert list(Task.objects.values_list("pk", flat=True)) == [open_task]
    assert not LogChunk.objects.exists()
    assert not TaskProgress.objects.exists()
    assert TaskTag.objects.count() == 1


def test_a_report_that_is_repeated_changes_nothing() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    message = protocol.Report(
        boot_id="b",
        started=[protocol.Started(task_id=str(task_id), attempt=1, running_ms=100)],
        progress=[protocol.Progress(task_id=str(task_id), attempt=1, fraction=7.0, message="a\x00b")],
        logs=[protocol.LogLine(task_id=str(task_id), attempt=1, n=n, text=f"line {n}") for n in (1, 2)],
    )
    for _ in range(2):
        assert lifecycle.record_report(message, node_id=node.pk, now=NOW) == protocol.ReportReply()
    progress = TaskProgress.objects.get()
    assert (progress.fraction, progress.message) == (1.0, "a\ufffdb")
    chunk = LogChunk.objects.get()
    assert (chunk.first_n, chunk.last_n) == (1, 2)


def test_a_result_that_is_too_large_is_cut_and_marked(settings: object) -> None:
    settings.TASKDIST = {"max_result_bytes": 100}
    node = make_node()
    (task_id,) = submit()
    claim(node)
    report(node, result(task_id, result=protocol.msgspec.Raw(b'"' + b"x" * 200 + b'"')))
    task = Task.objects.get(pk=task_id)
    assert task.truncated
    assert protocol.msgspec.json.decode(task.result).startswith('"xxx')


def test_a_success_for_a_waiting_task_that_was_never_lost_is_refused() -> None:
    node = make_node()
    (task_id,) = submit()
    row = Success(task_id, 0, NOW, "1", False)
    assert lifecycle.succeed([row], node_id=node.pk, run_ms={}, now=NOW) == set()


def test_ending_an_attempt_that_has_moved_on_does_nothing() -> None:
    node = make_node()
    (task_id,) = submit()
    claim(node)
    failed = FailedAttempt(task_id=task_id, attempt=2, outcome=AttemptOutcome.LOST)
    assert lifecycle.end([failed], node_id=None, now=NOW) == set()
    assert not Attempt.objects.exists()
