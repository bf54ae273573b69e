"""Every rule about states, attempts, leases and tokens that the database can hold is held by it from here on.

Rows that break one stop the migration, which names them. Only where an earlier version could make such a row, and what
it should be is beyond doubt, it is put right: tasks with no attempt allowed (a setting of 0) had one all the same, and a
refused result that was reported twice at the same moment is kept once.

On PostgreSQL no table is locked while its rows are held against the rules; see ``AddRules``. For that each step commits on its own.
On SQLite all of it happens, or nothing.

On SQLite a later migration that alters the task or the node copies the table, and the triggers go with the old one: it
has to make them again. A test notices if it does not.
"""

from django.db import connection, migrations, models, transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Length
from django.db.models.lookups import Exact

from dispatcher.migrations._rules import AddRules, ValidateRules

RULES = [
    AddRules(
        "attempt",
        [
            models.CheckConstraint(condition=models.Q(('outcome__in', ['failed', 'timed_out', 'crashed', 'lost', 'rejected', 'released', 'superseded', 'cancelled'])), name='attempt_outcome_known'),
            models.CheckConstraint(condition=models.Q(('node__isnull', False), ('number__gte', 1)), name='attempt_has_node'),
            models.CheckConstraint(condition=models.Q(('outcome', 'superseded'), models.Q(('dispatched_at__isnull', False), ('queued_at__isnull', False)), _connector='OR'), name='attempt_was_dispatched'),
            models.UniqueConstraint(condition=models.Q(('outcome', 'superseded'), _negated=True), fields=('task', 'number'), name='attempt_ended_once'),
            models.UniqueConstraint(condition=models.Q(('outcome', 'superseded')), fields=('task', 'number', 'node'), name='attempt_refused_once'),
        ],
    ),
    AddRules(
        "credential",
        [
            models.CheckConstraint(condition=models.Q(('kind__in', ['api', 'enrolment', 'node'])), name='token_kind_known'),
            models.CheckConstraint(condition=models.Q(models.Q(('kind', 'api'), ('node__isnull', True)), models.Q(models.Q(('kind', 'api'), _negated=True), ('scopes', ''), ('user__isnull', True)), _connector='OR'), name='token_has_one_owner'),
            models.CheckConstraint(condition=models.Q(models.Q(('kind', 'enrolment'), ('uses_left__gte', 0), ('uses_left__isnull', False)), models.Q(models.Q(('kind', 'enrolment'), _negated=True), ('uses_left__isnull', True)), _connector='OR'), name='token_uses_iff_enrolment'),
            models.CheckConstraint(condition=Exact(Length('digest'), 64), name='token_is_hashed'),
            models.CheckConstraint(condition=models.Q(('push_key_version__gte', 1)), name='token_push_key_counts_from_one'),
        ],
    ),
    AddRules(
        "feedcursor",
        [
            models.CheckConstraint(condition=models.Q(('position__gte', 0)), name='feed_cursor_not_negative'),
        ],
    ),
    AddRules(
        "node",
        [
            models.CheckConstraint(condition=models.Q(('state__in', ['online', 'suspect', 'offline'])), name='node_state_known'),
            models.CheckConstraint(condition=models.Q(('intent__in', ['run', 'drain', 'disabled'])), name='node_intent_known'),
            models.CheckConstraint(condition=models.Q(('breaker__in', ['closed', 'open', 'half_open'])), name='node_breaker_known'),
            models.CheckConstraint(condition=models.Q(models.Q(('boot_id', ''), ('incarnation', 0)), models.Q(models.Q(('boot_id', ''), _negated=True), ('incarnation__gte', 1)), _connector='OR'), name='node_incarnation_iff_booted'),
            models.CheckConstraint(condition=models.Q(('state', "offline"), models.Q(('incarnation__gte', 1), ('last_seen_at__isnull', False), ('registered_at__isnull', False)), _connector='OR'), name='node_alive_has_registered'),
            models.CheckConstraint(condition=models.Q(('protocol__gte', 1), ('push_failures__gte', 0), ('push_key_version__gte', 1)), name='node_numbers_in_range'),
        ],
    ),
    AddRules(
        "queue",
        [
            models.CheckConstraint(condition=models.Q(('paused_at__isnull', False), models.Q(('pause_reason', ''), ('paused_by', '')), _connector='OR'), name='queue_pause_has_time'),
        ],
    ),
    AddRules(
        "statecount",
        [
            models.CheckConstraint(condition=models.Q(('state__in', [0, 1, 3, 4, 5, 6, 7])), name='state_count_state_known'),
        ],
    ),
    AddRules(
        "task",
        [
            models.CheckConstraint(condition=models.Q(models.Q(('state', 1), _negated=True), ('queued_at__isnull', False), _connector='OR'), name='task_queued_has_time'),
            models.CheckConstraint(condition=models.Q(('state__in', [0, 6, 7]), ('run_at__isnull', True), _connector='OR'), name='task_due_no_longer'),
            models.CheckConstraint(condition=models.Q(models.Q(('attempt', 0), ('attempt_deadline__isnull', True), ('dispatched_at__isnull', True), ('incarnation__isnull', True), ('node__isnull', True), ('started_at__isnull', True)), models.Q(('attempt__gt', 0), ('attempt_deadline__isnull', False), ('dispatched_at__isnull', False), ('incarnation__isnull', False), ('node__isnull', False), ('queued_at__isnull', False)), _connector='OR'), name='task_attempt_has_node'),
            models.CheckConstraint(condition=models.Q(models.Q(models.Q(('state', 3), _negated=True), ('started_at__isnull', False), _connector='OR'), models.Q(models.Q(('state', 2), _negated=True), ('started_at__isnull', True), _connector='OR')), name='task_running_iff_started'),
            models.CheckConstraint(condition=models.Q(models.Q(('state', 4), ('result__isnull', False)), models.Q(models.Q(('state', 4), _negated=True), ('result__isnull', True)), _connector='OR'), name='task_result_iff_succeeded'),
            models.CheckConstraint(condition=models.Q(models.Q(('state', 4), _negated=True), models.Q(('attempt__gt', 0), ('error__isnull', True), ('started_at__isnull', False)), _connector='OR'), name='task_succeeded_by_attempt'),
            models.CheckConstraint(condition=models.Q(models.Q(('state', 5), _negated=True), models.Q(('attempt__gt', 0), ('error__isnull', False)), _connector='OR'), name='task_failed_by_attempt'),
            models.CheckConstraint(condition=models.Q(models.Q(('state', 7), _negated=True), models.Q(('attempt__lte', models.F('released')), ('expires_at__isnull', False)), _connector='OR'), name='task_expired_untried'),
            models.CheckConstraint(condition=models.Q(('crashes__gte', 0), ('crashes__lte', CombinedExpression(models.F('attempt'), '-', models.F('released'))), ('released__gte', 0)), name='task_attempts_add_up'),
            models.CheckConstraint(condition=models.Q(('max_attempts__gt', CombinedExpression(models.F('attempt'), '-', models.F('released'))), models.Q(models.Q(('state__in', [0, 1]), _negated=True), ('max_attempts__gte', CombinedExpression(models.F('attempt'), '-', models.F('released')))), _connector='OR'), name='task_attempts_in_bound'),
            models.CheckConstraint(condition=models.Q(('max_attempts__gte', 1)), name='task_max_attempts_positive'),
            models.CheckConstraint(condition=models.Q(('priority__range', (-100, 100))), name='task_priority_in_range'),
            models.CheckConstraint(condition=models.Q(models.Q(('timeout_seconds__isnull', True), ('timeout_seconds__gt', 0), _connector='OR'), ('backoff_cap_seconds__gte', 0), ('backoff_seconds__gte', 0)), name='task_durations_in_range'),
        ],
    ),
    AddRules(
        "taskprogress",
        [
            models.CheckConstraint(condition=models.Q(('attempt__gte', 1), models.Q(('fraction__isnull', True), ('fraction__range', (0.0, 1.0)), _connector='OR')), name='progress_in_range'),
        ],
    ),
    AddRules(
        "throttle",
        [
            models.CheckConstraint(condition=models.Q(('count__gte', 0)), name='throttle_not_negative'),
        ],
    ),
]

#: What may follow upon a state that has not ended: ``dispatcher/lifecycle/transitions.py``, as it is now.
MOVES = (
    "CASE OLD.state WHEN 0 THEN NEW.state IN (1, 4, 6, 7) WHEN 1 THEN NEW.state IN (2, 4, 6, 7)"
    " WHEN 2 THEN NEW.state IN (0, 3, 4, 5, 6) WHEN 3 THEN NEW.state IN (0, 4, 5, 6) ELSE FALSE END"
)

#: All of a task but ``sanitized``, which is set right after the end, in the same transaction.
FINAL = (
    "id", "lane_id", "state", "priority", "attempt", "released", "crashes", "max_attempts", "node_id", "incarnation",
    "created_at", "run_at", "queued_at", "dispatched_at", "started_at", "finished_at", "expires_at", "attempt_deadline",
    "cancel_requested_at", "timeout_seconds", "backoff_seconds", "backoff_cap_seconds", "affinity_key", "tags",
    "submitted_by", "retry_of", "payload", "result", "error", "truncated",
)  # fmt: skip
OLD_ROW = ", ".join(f"OLD.{column}" for column in FINAL)
NEW_ROW = ", ".join(f"NEW.{column}" for column in FINAL)

#: (name, table, columns to watch or "" for all, when to refuse); DIFFERS stands for the database's own word.
TRIGGERS = [
    ("task_moves_as_drawn", "dispatcher_task", "state", f"NEW.state <> OLD.state AND NOT ({MOVES})"),
    (
        "task_attempt_rises_by_claim",
        "dispatcher_task",
        "state, attempt, released, crashes",
        "NEW.attempt <> OLD.attempt + CASE WHEN OLD.state = 1 AND NEW.state = 2 THEN 1 ELSE 0 END"
        " OR NEW.released < OLD.released OR NEW.crashes < OLD.crashes",
    ),
    (
        "task_ended_stays",
        "dispatcher_task",
        "",
        f"OLD.state IN (4, 5, 6, 7) AND ({OLD_ROW}) DIFFERS ({NEW_ROW})",
    ),
    ("node_incarnation_rises", "dispatcher_node", "incarnation", "NEW.incarnation < OLD.incarnation"),
]

REFUSE = """
CREATE OR REPLACE FUNCTION dispatcher_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'update of % refused by the rule %', TG_TABLE_NAME, TG_NAME
        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END $$
"""


def make_triggers(apps, schema_editor):
    with transaction.atomic(using=schema_editor.connection.alias):
        drop_triggers(apps, schema_editor)
        is_postgres = schema_editor.connection.vendor == "postgresql"
        if is_postgres:
            schema_editor.execute(REFUSE, params=None)
        for name, table, columns, condition in TRIGGERS:
            # AFTER: before it PostgreSQL would have to lock each row a second time, to look at it.
            head = f"CREATE TRIGGER {name} AFTER UPDATE{columns and ' OF ' + columns} ON {table} FOR EACH ROW WHEN "
            if is_postgres:
                rest = f"({condition.replace('DIFFERS', 'IS DISTINCT FROM')}) EXECUTE FUNCTION dispatcher_refuse()"
            else:
                rest = (
                    f"{condition.replace('DIFFERS', 'IS NOT')}"
                    f" BEGIN SELECT RAISE(ABORT, 'update of {table} refused by the rule {name}'); END"
                )
            schema_editor.execute(head + rest, params=None)


def drop_triggers(apps, schema_editor):
    is_postgres = schema_editor.connection.vendor == "postgresql"
    for name, table, _columns, _condition in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if is_postgres else ""))
    if is_postgres:
        schema_editor.execute("DROP FUNCTION IF EXISTS dispatcher_refuse()")


def mend(apps, schema_editor):
    """What earlier versions could leave behind."""
    alias = schema_editor.connection.alias
    tasks = apps.get_model("dispatcher", "Task").objects.using(alias)
    tasks.filter(max_attempts__lt=1).update(max_attempts=1)
    refused = apps.get_model("dispatcher", "Attempt").objects.using(alias).filter(outcome="superseded")
    same = refused.filter(task_id=OuterRef("task_id"), number=OuterRef("number"), node_id=OuterRef("node_id"))
    refused.filter(Exists(same.filter(pk__lt=OuterRef("pk")))).delete()


class Migration(migrations.Migration):
    dependencies = [("dispatcher", "0006_credentials")]

    @property
    def atomic(self):
        """See above: in one transaction the lock of the first step would be held until the last has ended."""
        return connection.vendor != "postgresql"

    operations = [
        migrations.RunPython(mend, migrations.RunPython.noop),
        *RULES,
        migrations.RunPython(make_triggers, drop_triggers),
        *(ValidateRules(rules) for rules in RULES),
    ]
