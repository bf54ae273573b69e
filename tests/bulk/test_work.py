"""Actions on all tasks that match: what is done to which tasks, at what pace, and what is left and why."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatcher import backlog, bulk, lifecycle
from dispatcher.bulk import batches as working
from dispatcher.engine.bulk_worker import BulkWorker
from dispatcher.models import BulkJob, BulkSkip, BulkTally, Change, Task
from dispatcher.models.bulk import BulkAction, BulkState
from dispatcher.queries import TaskFilters, bulk_document, bulk_preview, bulk_scope
from dispatcher.rollups import fold
from dispatcher.states import TaskState
from tests.factories import NOW, make_node, make_task

pytestmark = pytest.mark.django_db


def start(action: str = "retry", params: dict[str, str] | None = None, **fields: Any) -> BulkJob:
    request = {"batch_size": 3, "per_second": None} | fields
    filters = TaskFilters.parse({"state": "failed"} if params is None else params)
    job, _ = bulk.start(bulk.BulkRequest(action=BulkAction(action), filters=filters, **request), actor="olga", now=NOW)
    return job


def run(job: BulkJob, *, now: datetime = NOW, batches: int = 100) -> BulkJob:
    """So many batches, or all that are due now."""
    for _ in range(batches):
        if not bulk.work(job.pk, now=now):
            break
    job.refresh_from_db()
    return job


def failed(count: int, **fields: Any) -> list[Task]:
    return [make_task(state=TaskState.FAILED, **fields) for _ in range(count)]


def retried() -> list[int]:
    """The tasks that were retried, each as often as it was."""
    return sorted(Task.objects.exclude(retry_of=None).values_list("retry_of", flat=True))


def left(job: BulkJob) -> dict[str, int]:
    return dict(BulkTally.objects.filter(job=job).values_list("reason", "count"))


def test_every_task_that_matches_is_retried_once_and_nothing_else() -> None:
    tasks, others = failed(10), [make_task(state=TaskState.SUCCEEDED), make_task(), *failed(2, queue="other")]
    job = run(start(params={"state": "failed", "queue": "default"}))
    assert retried() == [task.pk for task in tasks]
    assert (job.state, job.done, job.skipped, job.failed, job.expected) == ("done", 10, 0, 0, 10)
    assert not Task.objects.filter(retry_of__in=[task.pk for task in others]).exists()


def test_what_comes_after_the_start_is_not_in_the_scope_and_least_of_all_what_the_job_makes() -> None:
    failed(4)
    job = start()
    later = failed(3)
    run(job, batches=1)
    # Even one that the job has made and that fails at once.
    made = Task.objects.exclude(retry_of=None).latest("id")
    make_task(state=TaskState.FAILED, retry_of=made.retry_of, tags=made.tag_list)
    assert run(job).done == 4
    assert not Task.objects.filter(retry_of__gt=job.newest_id).exists()
    fresh = Task.objects.filter(id__gt=job.newest_id, state=TaskState.FAILED, retry_of=None)
    assert set(fresh.values_list("id", flat=True)) == {task.pk for task in later}


def test_new_tasks_have_the_jobs_tag_and_name_who_began_it() -> None:
    (old,) = failed(1, tags=["nightly", "bulk-999"])
    job = run(start())
    new = Task.objects.get(retry_of=old.pk)
    assert (new.tag_list, new.submitted_by) == (["nightly", f"bulk-{job.pk}"], "olga")
    found = TaskFilters.parse({"tag": f"bulk-{job.pk}", "state": "queued"})
    undo, _ = bulk.start(bulk.BulkRequest(action=BulkAction.CANCEL, filters=found), actor="olga", now=NOW)
    assert run(undo).done == 1
    assert Task.objects.get(pk=new.pk).state == TaskState.CANCELLED


def test_a_task_that_was_retried_before_is_left_unless_that_is_wanted() -> None:
    tasks = failed(3)
    lifecycle.retry([tasks[0].pk], actor="otto", now=NOW)
    job = run(start())
    assert (job.done, job.skipped, left(job)) == (2, 1, {"retried": 1})
    assert BulkSkip.objects.get().task_id == tasks[0].pk
    assert run(start(again=True)).done == 3


def test_what_has_not_ended_is_left_with_its_reason() -> None:
    failed(2)
    waiting, running = make_task(), make_task(state=TaskState.RUNNING)
    job = run(start(params={"queue": "default"}))
    assert (job.done, job.skipped, left(job)) == (2, 2, {"not_ended": 2})
    assert set(BulkSkip.objects.values_list("task_id", flat=True)) == {waiting.pk, running.pk}


def test_cancelling_ends_what_waits_asks_for_what_runs_and_leaves_what_has_ended() -> None:
    waiting, running, ended = make_task(), make_task(state=TaskState.RUNNING), failed(1)[0]
    job = run(start("cancel", {"queue": "default"}))
    assert (job.done, job.asked, job.skipped, left(job)) == (2, 1, 1, {"ended": 1})
    states = dict(Task.objects.values_list("id", "state"))
    assert states == {waiting.pk: TaskState.CANCELLED, running.pk: TaskState.RUNNING, ended.pk: TaskState.FAILED}
    assert Task.objects.get(pk=running.pk).cancel_requested_at == NOW


def test_a_task_that_matches_no_longer_when_its_turn_comes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    task, node = make_task(), make_node()
    job = start("cancel", {"state": "queued"})
    look = working._do

    def claimed_meanwhile(*args: Any) -> bool:
        # Between the search and the transaction.
        Task.objects.filter(pk=task.pk).update(
            state=TaskState.DISPATCHED, attempt=1, node=node, incarnation=1, dispatched_at=NOW, attempt_deadline=NOW
        )
        return look(*args)

    monkeypatch.setattr(working, "_do", claimed_meanwhile)
    job = run(job)
    assert (job.done, left(job)) == (0, {"changed": 1})
    assert Task.objects.get(pk=task.pk).cancel_requested_at is None


def test_a_task_that_was_deleted_meanwhile_is_left_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = failed(2)
    job, look = start(), working._do

    def deleted_meanwhile(*args: Any) -> bool:
        Task.objects.filter(pk=tasks[0].pk).delete()
        return look(*args)

    monkeypatch.setattr(working, "_do", deleted_meanwhile)
    job = run(job)
    assert (job.done, left(job)) == (1, {"gone": 1})


def test_the_rate_paces_the_batches() -> None:
    failed(10)
    job = run(start(batch_size=4, per_second=2.0))
    assert (job.done, job.next_at) == (4, NOW + timedelta(seconds=2))
    assert run(job, now=NOW + timedelta(seconds=1.9)).done == 4
    # After a long time away it goes on at its rate, and does not catch up.
    assert run(job, now=NOW + timedelta(hours=1)).done == 8


def test_a_pause_holds_and_goes_on_where_it_was() -> None:
    failed(7)
    job = run(start(), batches=1)
    bulk.pause(job.pk, actor="otto", now=NOW)
    job = run(job, now=NOW + timedelta(minutes=1))
    assert (job.state, job.done, job.paused_by) == ("paused", 3, "otto")
    bulk.resume(job.pk, actor="otto", now=NOW + timedelta(minutes=2))
    job = run(job, now=NOW + timedelta(minutes=2))
    assert (job.state, job.done, job.paused_seconds) == ("done", 7, 120)
    assert len(retried()) == len(set(retried())) == 7


def test_a_job_that_was_stopped_does_no_more() -> None:
    failed(7)
    job = run(start(), batches=1)
    bulk.cancel(job.pk, actor="otto", now=NOW)
    assert run(job).state == BulkState.CANCELLED
    assert len(retried()) == 3
    with pytest.raises(bulk.JobEnded):
        bulk.resume(job.pk, actor="otto", now=NOW)
    with pytest.raises(bulk.UnknownJob):
        bulk.cancel(job.pk + 1, actor="otto", now=NOW)


def test_a_pause_between_the_search_and_the_batch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    failed(4)
    job, look = start(), working._do

    def paused_meanwhile(*args: Any) -> bool:
        bulk.pause(job.pk, actor="otto", now=NOW)
        return look(*args)

    monkeypatch.setattr(working, "_do", paused_meanwhile)
    assert bulk.work(job.pk, now=NOW) is False
    assert retried() == []


def test_what_does_not_fit_into_the_backlog_is_tried_later_and_not_lost(settings: Any) -> None:
    settings.TASKDIST = {"max_queue_backlog": 5}
    tasks = failed(8)
    job = run(start(batch_size=8))
    assert (job.state, job.done) == ("running", 5)
    assert "tasks waiting" in job.held_by
    assert job.next_at > NOW
    lifecycle.cancel(list(Task.objects.filter(state=TaskState.QUEUED).values_list("id", flat=True)), actor="", now=NOW)
    while fold(now=NOW).rows:
        pass
    backlog.forget()
    job = run(job, now=job.next_at)
    assert (job.state, job.done, job.held_by) == ("done", 8, "")
    assert retried() == [task.pk for task in tasks]


def test_one_that_the_database_refuses_is_counted_as_failed_and_keeps_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = failed(7)
    bad = failed(1)[0]
    retry = lifecycle.retry

    def refuse(task_ids: list[int], **fields: Any) -> Any:
        made = retry(task_ids, **fields)
        if bad.pk in task_ids:
            Task.objects.filter(retry_of=bad.pk).update(max_attempts=0)
        return made

    monkeypatch.setattr(lifecycle, "retry", refuse)
    job = run(start(batch_size=8))
    assert (job.state, job.done, job.failed, job.skipped) == ("done", 7, 1, 0)
    assert retried() == [task.pk for task in tasks]
    skip = BulkSkip.objects.get()
    assert (
        skip.task_id,
        skip.reason,
        "max_attempts_positive" in skip.detail or "attempts_in_bound" in skip.detail,
    ) == (bad.pk, "refused", True)


def test_a_query_that_is_understood_no_longer_ends_the_job_with_its_reason() -> None:
    failed(1)
    job = start()
    row = {f.attname: getattr(job, f.attname) for f in BulkJob._meta.concrete_fields} | {"query": "colour:red"}
    BulkJob.objects.all().delete()
    job = run(BulkJob.objects.create(**row))
    assert (job.state, "colour" in job.error) == ("failed", True)
    assert Change.objects.get(kind="bulk.failed").body


def test_only_the_first_of_those_left_are_kept_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working, "MAX_KEPT", 4)
    for _ in range(6):
        make_task()
    job = run(start(params={"state": "queued"}))
    assert left(job) == {"not_ended": 6}
    assert BulkSkip.objects.count() == 4
    document = bulk_document(job.pk)
    assert document is not None
    assert [(one["reason"], one["count"], len(one["tasks"])) for one in document["left"]] == [("not_ended", 6, 4)]


def test_the_feed_tells_who_began_paused_and_stopped_it_and_its_batches_bury_nothing() -> None:
    failed(4)
    job = run(start(), batches=1)
    bulk.pause(job.pk, actor="otto", now=NOW)
    bulk.resume(job.pk, actor="vera", now=NOW)
    bulk.cancel(job.pk, actor="ada", now=NOW)
    trail = Change.objects.exclude(actor="").order_by("id").values_list("kind", "actor")
    assert list(trail) == [
        ("bulk.started", "olga"), ("bulk.paused", "otto"), ("bulk.resumed", "vera"), ("bulk.cancelled", "ada"),
    ]  # fmt: skip
    batch = Change.objects.filter(kind="tasks.changed").latest("id")
    assert f'"bulk":{job.pk}' in batch.body


def test_the_same_key_makes_one_job() -> None:
    failed(1)
    first = start(idempotency_key="k")
    assert start(idempotency_key="k").pk == first.pk
    with pytest.raises(bulk.KeyUsed):
        start(idempotency_key="k", batch_size=2)
    assert start().pk != first.pk


def test_the_loop_works_until_nothing_is_due_and_sleeps_until_the_next() -> None:
    failed(5)
    job = start(batch_size=2, per_second=20.0)
    loop = BulkWorker()
    assert loop.run_once(NOW)
    assert not loop.run_once(NOW)
    assert loop.interval == pytest.approx(0.1)
    assert loop.run_once(NOW + timedelta(seconds=0.1))
    assert loop.run_once(NOW + timedelta(seconds=0.2))
    job.refresh_from_db()
    assert job.state == BulkState.DONE
    assert not loop.run_once(NOW + timedelta(seconds=9))


def test_jobs_take_turns() -> None:
    failed(6)
    first, second = start(batch_size=1, per_second=1.0), start("cancel", {"state": "queued"}, batch_size=1)
    loop = BulkWorker()
    for second_passed in range(12):
        while loop.run_once(NOW + timedelta(seconds=second_passed)):
            pass
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("done", "done")


def test_the_preview_counts_what_would_be_done_and_what_would_be_left() -> None:
    tasks = failed(5)
    make_task()
    lifecycle.retry([tasks[4].pk], actor="a", now=NOW)
    preview = bulk_preview(BulkAction.RETRY, TaskFilters.parse({"queue": "default"}))
    assert (preview["count"], preview["will"], preview["is_exact"]) == (7, 4, True)
    assert preview["left"] == {"not_ended": 2, "retried": 1}
    assert preview["states"] == {"failed": 5, "queued": 2}
    job = run(start(params={"queue": "default"}))
    assert (job.done, left(job)) == (preview["will"], preview["left"])
    wish = bulk_preview(BulkAction.CANCEL, TaskFilters.parse({"state": "failed,queued"}))
    assert (wish["will"], wish["left"]) == (6, {"ended": 5})


def test_the_preview_says_where_it_stopped_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = failed(6)
    monkeypatch.setattr(bulk_scope, "MAX_COUNTED", 4)
    cut = bulk_preview(BulkAction.RETRY, TaskFilters.parse({"state": "failed"}))
    assert (cut["count"], cut["is_exact"], cut["searched_to"], cut["estimate"]) == (4, False, str(tasks[2].pk), 6)
    tagged = bulk_preview(
        BulkAction.RETRY, TaskFilters.parse({"state": "failed", "created_after": "2020-01-01T00:00:00Z"})
    )
    assert (tagged["is_exact"], tagged["estimate"]) == (False, None)
    monkeypatch.setattr(bulk_scope, "MAX_COUNTED", 6)
    whole = bulk_preview(BulkAction.RETRY, TaskFilters.parse({"state": "failed"}))
    assert (whole["count"], whole["is_exact"], whole["searched_to"]) == (6, True, None)
