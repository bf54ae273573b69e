"""What the database refuses, whoever writes: each rule of the models is broken once, by a statement past the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, models, transaction

from dispatcher import credentials, queues
from dispatcher.models import (
    Attempt,
    BulkSkip,
    BulkTally,
    Credential,
    FeedCursor,
    MinuteRollup,
    NodeMinute,
    SpanRollup,
    StateCount,
    Throttle,
)
from dispatcher.states import NodeState, TaskState
from tests.factories import (
    NOW,
    make_attempt,
    make_bulk_job,
    make_lane,
    make_logs,
    make_node,
    make_progress,
    make_queue,
    make_task,
    make_user,
    make_view,
)

pytestmark = pytest.mark.django_db

T = TaskState
AT = "'2026-11-23 13:00:00'"
#: What an attempt leaves on its task.
NEVER_TAKEN = (
    "attempt = 0, node_id = NULL, incarnation = NULL, dispatched_at = NULL, attempt_deadline = NULL, started_at = NULL"
)


class Breach(NamedTuple):
    """A row that keeps all rules, and what would make it break this one."""

    rule: str
    row: Callable[[], models.Model]
    #: The SET of an UPDATE.
    change: str


def task(state: TaskState, **fields: Any) -> Callable[[], models.Model]:
    return lambda: make_task(state=state, feed=False, **fields)


def refused_attempt() -> Attempt:
    return make_attempt(make_task(state=T.RUNNING, attempt=2), outcome="superseded", queued_at=None, dispatched_at=None)


def ended_attempt() -> Attempt:
    return make_attempt(make_task(state=T.RUNNING, attempt=2))


def silent_node() -> models.Model:
    return make_node(state=NodeState.OFFLINE)


def api_token() -> Credential:
    return _found(credentials.issue_api_token(user=make_user(), label="ci", actor="", now=NOW))


def enrolment_token() -> Credential:
    return _found(credentials.issue_enrolment_token(label="rack 4", actor="", now=NOW))


def node_token() -> Credential:
    return _found(credentials.issue_node_credential(node=make_node(), actor="", now=NOW))


def _found(token: str) -> Credential:
    found = credentials.find(token)
    assert found is not None
    return found


def another_owner() -> Credential:
    make_user()
    return node_token()


def bulk_job(state: str = "running", **fields: Any) -> Callable[[], models.Model]:
    return lambda: make_bulk_job(state=state, **fields)


def bulk_tally() -> BulkTally:
    return BulkTally.objects.create(job=make_bulk_job(), reason="ended", count=1)


def bulk_skip() -> BulkSkip:
    return BulkSkip.objects.create(job=make_bulk_job(), task_id=7, reason="ended")


BREACHES = [
    Breach("task_state_known", task(T.QUEUED), "state = 8"),
    Breach("task_state_known", task(T.QUEUED), "state = -1"),
    Breach("task_active_has_node_and_deadline", task(T.DISPATCHED), NEVER_TAKEN),
    Breach("task_finished_iff_terminal", task(T.QUEUED), f"finished_at = {AT}"),
    Breach("task_finished_iff_terminal", task(T.SUCCEEDED), "finished_at = NULL"),
    Breach("task_scheduled_has_time", task(T.SCHEDULED), "run_at = NULL"),
    Breach("task_queued_has_time", task(T.QUEUED), "queued_at = NULL"),
    *(
        Breach("task_due_no_longer", task(state), f"run_at = {AT}")
        for state in (T.QUEUED, T.DISPATCHED, T.RUNNING, T.SUCCEEDED, T.FAILED)
    ),
    *(
        Breach("task_attempt_has_node", task(state), f"{column} = NULL")
        for column in ("node_id", "incarnation", "queued_at", "dispatched_at", "attempt_deadline")
        for state in (T.SUCCEEDED, T.FAILED)
    ),
    Breach("task_attempt_has_node", task(T.CANCELLED), "node_id = 1"),
    Breach("task_attempt_has_node", task(T.CANCELLED), "incarnation = 1"),
    Breach("task_attempt_has_node", task(T.SCHEDULED), f"started_at = {AT}"),
    Breach("task_attempt_has_node", task(T.QUEUED), f"dispatched_at = {AT}"),
    Breach("task_attempt_has_node", task(T.QUEUED), f"attempt_deadline = {AT}"),
    Breach("task_attempt_has_node", task(T.QUEUED), "attempt = 1"),
    Breach("task_running_iff_started", task(T.RUNNING), "started_at = NULL"),
    Breach("task_running_iff_started", task(T.DISPATCHED), f"started_at = {AT}"),
    Breach("task_result_iff_succeeded", task(T.SUCCEEDED), "result = NULL"),
    *(
        Breach("task_result_iff_succeeded", task(state), "result = 'null'")
        for state in TaskState
        if state is not T.SUCCEEDED
    ),
    Breach("task_succeeded_by_attempt", task(T.SUCCEEDED), NEVER_TAKEN),
    Breach("task_succeeded_by_attempt", task(T.SUCCEEDED), "started_at = NULL"),
    Breach("task_succeeded_by_attempt", task(T.SUCCEEDED), "error = '{}'"),
    Breach("task_failed_by_attempt", task(T.FAILED), NEVER_TAKEN),
    Breach("task_failed_by_attempt", task(T.FAILED), "error = NULL"),
    Breach("task_expired_untried", task(T.EXPIRED), "expires_at = NULL"),
    Breach("task_expired_untried", task(T.EXPIRED, attempt=2), "released = 1"),
    Breach("task_attempts_add_up", task(T.QUEUED), "released = -1"),
    Breach("task_attempts_add_up", task(T.QUEUED), "crashes = -1"),
    Breach("task_attempts_add_up", task(T.RUNNING), "released = 2"),
    Breach("task_attempts_add_up", task(T.RUNNING), "crashes = 2"),
    Breach("task_attempts_add_up", task(T.RUNNING), "released = 1, crashes = 1"),
    Breach("task_attempts_in_bound", task(T.RUNNING), "attempt = 4"),
    Breach("task_attempts_in_bound", task(T.FAILED), "attempt = 5, released = 1"),
    Breach("task_attempts_in_bound", task(T.QUEUED, attempt=2), "attempt = 3"),
    Breach("task_attempts_in_bound", task(T.SCHEDULED, attempt=3, released=1), "released = 0"),
    Breach("task_max_attempts_positive", task(T.CANCELLED), "max_attempts = 0"),
    Breach("task_priority_in_range", task(T.QUEUED), "priority = 101"),
    Breach("task_priority_in_range", task(T.QUEUED), "priority = -101"),
    Breach("task_durations_in_range", task(T.QUEUED), "timeout_seconds = 0"),
    Breach("task_durations_in_range", task(T.QUEUED), "backoff_seconds = -0.5"),
    Breach("task_durations_in_range", task(T.QUEUED), "backoff_cap_seconds = -0.5"),
    Breach("attempt_outcome_known", ended_attempt, "outcome = 'succeeded'"),
    Breach("attempt_has_node", ended_attempt, "node_id = NULL"),
    Breach("attempt_has_node", refused_attempt, "number = 0"),
    Breach("attempt_was_dispatched", ended_attempt, "queued_at = NULL"),
    Breach("attempt_was_dispatched", refused_attempt, "outcome = 'lost'"),
    Breach("progress_in_range", lambda: make_progress(make_task(state=T.RUNNING), 0.5), "fraction = 1.01"),
    Breach("progress_in_range", lambda: make_progress(make_task(state=T.RUNNING), None), "fraction = -0.01"),
    Breach("progress_in_range", lambda: make_progress(make_task(state=T.RUNNING), None), "attempt = 0"),
    Breach("node_has_slots", make_node, "slots = 0"),
    Breach("node_alive_has_lease", make_node, "lease_expires_at = NULL"),
    Breach("node_state_known", make_node, "state = 'asleep'"),
    Breach("node_intent_known", make_node, "intent = 'rest'"),
    Breach("node_breaker_known", make_node, "breaker = 'ajar'"),
    Breach("node_incarnation_iff_booted", silent_node, "incarnation = 0"),
    Breach("node_incarnation_iff_booted", silent_node, "boot_id = ''"),
    Breach("node_alive_has_registered", silent_node, "state = 'online', boot_id = '', incarnation = 0"),
    Breach("node_alive_has_registered", make_node, "registered_at = NULL"),
    Breach("node_alive_has_registered", make_node, "last_seen_at = NULL"),
    Breach("node_numbers_in_range", make_node, "push_failures = -1"),
    Breach("node_numbers_in_range", make_node, "push_key_version = 0"),
    Breach("node_numbers_in_range", make_node, "protocol = 0"),
    Breach("api_token_has_user", api_token, "user_id = NULL"),
    Breach("node_token_has_node", node_token, "node_id = NULL"),
    Breach("token_kind_known", enrolment_token, "kind = 'master', uses_left = NULL"),
    Breach("token_has_one_owner", enrolment_token, "scopes = 'admin'"),
    Breach("token_has_one_owner", another_owner, "user_id = (SELECT max(id) FROM auth_user)"),
    Breach("token_uses_iff_enrolment", enrolment_token, "uses_left = -1"),
    Breach("token_uses_iff_enrolment", enrolment_token, "uses_left = NULL"),
    Breach("token_uses_iff_enrolment", node_token, "uses_left = 1"),
    Breach("token_is_hashed", node_token, "digest = 'tdn_the-token-itself'"),
    Breach("token_push_key_counts_from_one", node_token, "push_key_version = 0"),
    Breach("throttle_not_negative", lambda: Throttle.objects.create(key="k", ends_at=NOW, count=1), "count = -1"),
    Breach("queue_pause_has_time", make_queue, "pause_reason = 'moving'"),
    Breach(
        "queue_pause_has_time",
        lambda: (make_queue(), queues.pause("default", reason="", actor="alice", now=NOW))[1],
        "paused_at = NULL",
    ),
    Breach("bulk_action_known", bulk_job(), "action = 'delete'"),
    Breach("bulk_state_known", bulk_job(), "state = 'asleep'"),
    Breach("bulk_finished_iff_ended", bulk_job(), f"finished_at = {AT}"),
    Breach("bulk_finished_iff_ended", bulk_job(), "state = 'cancelled'"),
    Breach("bulk_paused_has_time", bulk_job(), "state = 'paused'"),
    Breach("bulk_paused_has_time", bulk_job("paused"), "state = 'running'"),
    Breach("bulk_paused_has_time", bulk_job(), "paused_by = 'alice'"),
    Breach("bulk_failed_says_why", bulk_job(), "error = 'it broke'"),
    Breach("bulk_failed_says_why", bulk_job("failed"), "error = ''"),
    Breach("bulk_cursor_in_scope", bulk_job(), "cursor = 0"),
    Breach("bulk_cursor_in_scope", bulk_job(), "newest_id = 999"),
    Breach("bulk_done_has_seen_all", bulk_job(), f"state = 'done', finished_at = {AT}"),
    *(Breach("bulk_counts_in_range", bulk_job(), f"{name} = -1") for name in ("done", "skipped", "failed", "expected")),
    Breach("bulk_counts_in_range", bulk_job(action="cancel"), "asked = -1"),
    Breach("bulk_counts_in_range", bulk_job(action="cancel"), "asked = 1"),
    Breach("bulk_fields_fit_action", bulk_job(), "done = 1, asked = 1"),
    Breach("bulk_fields_fit_action", bulk_job(action="cancel"), "again = TRUE"),
    Breach("bulk_pace_in_range", bulk_job(), "batch_size = 0"),
    Breach("bulk_pace_in_range", bulk_job(), "batch_size = 1001"),
    Breach("bulk_pace_in_range", bulk_job(), "per_second = 0"),
    Breach("bulk_pace_in_range", bulk_job(), "per_second = 10001"),
    Breach("bulk_pace_in_range", bulk_job(), "paused_seconds = -1"),
    Breach("bulk_has_actor", bulk_job(), "actor = ''"),
    Breach("bulk_key_has_digest", bulk_job(), "idempotency_key = 'k'"),
    Breach("bulk_key_has_digest", bulk_job(), "digest = 'x'"),
    Breach("bulk_tally_reason_known", bulk_tally, "reason = 'whim'"),
    Breach("bulk_tally_counts_something", bulk_tally, "count = 0"),
    Breach("bulk_skip_reason_known", bulk_skip, "reason = 'whim'"),
    Breach("view_has_name", make_view, "name = ''"),
    Breach("state_count_state_known", lambda: StateCount.objects.create(lane_id=1, state=0), "state = 2"),
    Breach("state_count_state_known", lambda: StateCount.objects.create(lane_id=1, state=0), "state = 8"),
    Breach("feed_cursor_not_negative", lambda: FeedCursor.objects.create(name="x"), "position = -1"),
]

#: Of each of these a second one like it is refused: by the rule, or by the column that is to be unique.
UNIQUE: dict[str, Callable[[], models.Model]] = {
    "attempt_ended_once": ended_attempt,
    "attempt_refused_once": refused_attempt,
    "bulk_key_once": bulk_job(idempotency_key="k", digest="d" * 64),
    "bulk_tally_once": bulk_tally,
    "bulk_skip_once": bulk_skip,
    "log_chunk_once": lambda: make_logs(make_task(state=T.RUNNING), ["a"]),
    "lane_unique": make_lane,
    "state_count_unique": lambda: StateCount.objects.create(lane_id=1, state=0),
    "minute_rollup_unique": lambda: MinuteRollup.objects.create(minute=NOW, queue="q", type="t", outcome="failed"),
    "span_rollup_unique": lambda: SpanRollup.objects.create(minutes=60, start=NOW, outcome="failed"),
    "node_minute_unique": lambda: NodeMinute.objects.create(minute=NOW, node_id=1),
    "view_name_once": lambda: make_view(User.objects.filter(username="vera").first()),
    "Credential.digest": api_token,
    "Node.name": make_node,
    "Queue.name": make_queue,
}


def execute(sql: str, *params: object) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.rule}: {breach.change[:40]}")
def test_a_row_that_breaks_the_rule_is_refused(breach: Breach) -> None:
    row = breach.row()
    # So do forms see it, which say what is wrong instead of failing.
    row.validate_constraints()
    with pytest.raises(IntegrityError, match=rf"\b{breach.rule}\b"):
        execute(f"UPDATE {row._meta.db_table} SET {breach.change} WHERE {row._meta.pk.column} = %s", row.pk)


@pytest.mark.parametrize("rule", UNIQUE)
def test_a_second_one_is_refused(rule: str) -> None:
    row = UNIQUE[rule]()
    columns = ", ".join(f.column for f in row._meta.concrete_fields if not f.primary_key)
    copy = f"INSERT INTO {row._meta.db_table} ({columns}) SELECT {columns} FROM {row._meta.db_table} WHERE id = %s"
    # SQLite names the columns instead of the rule.
    named = rule if connection.vendor == "postgresql" and "." not in rule else "(?i)unique constraint"
    with pytest.raises(IntegrityError, match=named):
        execute(copy, row.pk)


def test_every_rule_of_the_models_is_broken_above() -> None:
    rules, columns = set(), set()
    for model in apps.get_app_config("dispatcher").get_models():
        rules |= {rule.name for rule in model._meta.constraints}
        columns |= {f"{model.__name__}.{f.name}" for f in model._meta.local_fields if f.unique and not f.primary_key}
    assert {breach.rule for breach in BREACHES} | UNIQUE.keys() == rules | columns


def test_refused_reports_of_an_attempt_may_come_from_several_nodes_and_beside_its_end() -> None:
    task = make_task(state=T.RUNNING, attempt=2)
    make_attempt(task)
    for _ in range(2):
        make_attempt(task, node=make_node(), outcome="superseded", queued_at=None, dispatched_at=None)
    assert Attempt.objects.filter(task=task, number=1).count() == 3
