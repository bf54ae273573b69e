"""Actions on all tasks that match a query, and what the database holds about them.

On SQLite a later migration that alters the job copies the table, and the triggers go with the old one: it has to make
them again. A test notices if it does not.
"""

import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
import django.db.models.lookups
from django.db import migrations, models

#: (name, columns to watch or "" for all, when to refuse)
TRIGGERS = [
    (
        "bulk_job_moves_as_drawn",
        "state",
        "NEW.state <> OLD.state AND NOT CASE OLD.state WHEN 'running' THEN TRUE"
        " WHEN 'paused' THEN NEW.state IN ('running', 'cancelled') ELSE FALSE END",
    ),
    # What was dealt with is not dealt with again, and nobody changes what it is about.
    (
        "bulk_job_goes_down",
        "",
        "NEW.cursor > OLD.cursor OR NEW.done < OLD.done OR NEW.skipped < OLD.skipped OR NEW.failed < OLD.failed"
        " OR NEW.newest_id <> OLD.newest_id OR NEW.action <> OLD.action OR NEW.query <> OLD.query"
        " OR NEW.actor <> OLD.actor OR NEW.again <> OLD.again",
    ),
]


def make_triggers(apps, schema_editor):
    is_postgres = schema_editor.connection.vendor == "postgresql"
    for name, columns, condition in TRIGGERS:
        watched = columns and " OF " + columns
        head = f"CREATE TRIGGER {name} AFTER UPDATE{watched} ON dispatcher_bulkjob FOR EACH ROW WHEN ({condition})"
        refusal = f"SELECT RAISE(ABORT, 'update of dispatcher_bulkjob refused by the rule {name}')"
        # The function is that of 0007_rules.
        rest = "EXECUTE FUNCTION dispatcher_refuse()" if is_postgres else f"BEGIN {refusal}; END"
        schema_editor.execute(f"{head} {rest}", params=None)


def drop_triggers(apps, schema_editor):
    on_table = " ON dispatcher_bulkjob" if schema_editor.connection.vendor == "postgresql" else ""
    for name, _columns, _condition in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on_table}", params=None)


class Migration(migrations.Migration):

    dependencies = [
        ('dispatcher', '0009_drain_deadlines_and_events_of_nodes'),
    ]

    operations = [
        migrations.CreateModel(
            name='BulkJob',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('action', models.CharField(max_length=10, verbose_name='action')),
                ('state', models.CharField(default='running', max_length=10, verbose_name='state')),
                ('query', models.TextField(blank=True, verbose_name='query')),
                ('again', models.BooleanField(default=False, verbose_name='also what was retried before')),
                ('actor', models.CharField(max_length=150, verbose_name='by')),
                ('idempotency_key', models.CharField(blank=True, max_length=200)),
                ('digest', models.CharField(blank=True, max_length=64)),
                ('batch_size', models.IntegerField(verbose_name='batch')),
                ('per_second', models.FloatField(null=True, verbose_name='tasks a second')),
                ('newest_id', models.BigIntegerField()),
                ('cursor', models.BigIntegerField()),
                ('expected', models.BigIntegerField(null=True)),
                ('done', models.BigIntegerField(default=0, verbose_name='done')),
                ('asked', models.BigIntegerField(default=0, verbose_name='asked to stop')),
                ('skipped', models.BigIntegerField(default=0, verbose_name='skipped')),
                ('failed', models.BigIntegerField(default=0, verbose_name='failed')),
                ('created_at', models.DateTimeField(verbose_name='started')),
                ('next_at', models.DateTimeField()),
                ('last_at', models.DateTimeField(null=True)),
                ('paused_at', models.DateTimeField(null=True, verbose_name='paused since')),
                ('paused_by', models.CharField(blank=True, max_length=150, verbose_name='paused by')),
                ('paused_seconds', models.FloatField(default=0.0)),
                ('finished_at', models.DateTimeField(null=True, verbose_name='ended')),
                ('held_by', models.CharField(blank=True, max_length=300, verbose_name='waits because')),
                ('error', models.CharField(blank=True, max_length=300, verbose_name='error')),
            ],
            options={
                'verbose_name': 'bulk action',
                'verbose_name_plural': 'bulk actions',
                'indexes': [models.Index(condition=models.Q(('state', 'running')), fields=['next_at'], name='bulk_due')],
                'constraints': [models.CheckConstraint(condition=models.Q(('action__in', ['retry', 'cancel'])), name='bulk_action_known'), models.CheckConstraint(condition=models.Q(('state__in', ['running', 'paused', 'done', 'cancelled', 'failed'])), name='bulk_state_known'), models.CheckConstraint(condition=models.Q(models.Q(('finished_at__isnull', False), ('state__in', ['done', 'cancelled', 'failed'])), models.Q(models.Q(('state__in', ['done', 'cancelled', 'failed']), _negated=True), ('finished_at__isnull', True)), _connector='OR'), name='bulk_finished_iff_ended'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('state', 'paused')), ('paused_at__isnull', False)), models.Q(models.Q(('state', 'paused'), _negated=True), ('paused_at__isnull', True), ('paused_by', '')), _connector='OR'), name='bulk_paused_has_time'), models.CheckConstraint(condition=models.Q(models.Q(models.Q(('state', 'failed')), models.Q(('error', ''), _negated=True)), models.Q(models.Q(('state', 'failed'), _negated=True), ('error', '')), _connector='OR'), name='bulk_failed_says_why'), models.CheckConstraint(condition=models.Q(('cursor__gte', 1), ('cursor__lte', django.db.models.expressions.CombinedExpression(models.F('newest_id'), '+', models.Value(1)))), name='bulk_cursor_in_scope'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'done'), _negated=True), ('cursor', 1), _connector='OR'), name='bulk_done_has_seen_all'), models.CheckConstraint(condition=models.Q(('asked__gte', 0), ('asked__lte', models.F('done')), ('done__gte', 0), ('failed__gte', 0), ('skipped__gte', 0), models.Q(('expected__isnull', True), ('expected__gte', 0), _connector='OR')), name='bulk_counts_in_range'), models.CheckConstraint(condition=models.Q(models.Q(('action', 'retry'), ('asked__gt', 0), _negated=True), models.Q(('action', 'cancel'), ('again', True), _negated=True)), name='bulk_fields_fit_action'), models.CheckConstraint(condition=models.Q(('batch_size__gte', 1), ('batch_size__lte', 1000), ('paused_seconds__gte', 0), models.Q(('per_second__isnull', True), models.Q(('per_second__gt', 0), ('per_second__lte', 10000)), _connector='OR')), name='bulk_pace_in_range'), models.CheckConstraint(condition=models.Q(('actor', ''), _negated=True), name='bulk_has_actor'), models.CheckConstraint(condition=models.Q(models.Q(('digest', ''), ('idempotency_key', '')), models.Q(models.Q(('idempotency_key', ''), _negated=True), django.db.models.lookups.Exact(django.db.models.functions.text.Length('digest'), 64)), _connector='OR'), name='bulk_key_has_digest'), models.UniqueConstraint(condition=models.Q(('idempotency_key', ''), _negated=True), fields=('actor', 'idempotency_key'), name='bulk_key_once')],
            },
        ),
        migrations.CreateModel(
            name='BulkSkip',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('task_id', models.BigIntegerField()),
                ('reason', models.CharField(max_length=20)),
                ('detail', models.CharField(blank=True, max_length=300)),
                ('job', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='skips', to='dispatcher.bulkjob')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('job', 'task_id'), name='bulk_skip_once'), models.CheckConstraint(condition=models.Q(('reason__in', ['not_ended', 'retried', 'ended', 'changed', 'gone', 'refused'])), name='bulk_skip_reason_known')],
            },
        ),
        migrations.CreateModel(
            name='BulkTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=20)),
                ('count', models.BigIntegerField()),
                ('job', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tallies', to='dispatcher.bulkjob')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('job', 'reason'), name='bulk_tally_once'), models.CheckConstraint(condition=models.Q(('reason__in', ['not_ended', 'retried', 'ended', 'changed', 'gone', 'refused'])), name='bulk_tally_reason_known'), models.CheckConstraint(condition=models.Q(('count__gte', 1)), name='bulk_tally_counts_something')],
            },
        ),
        migrations.RunPython(make_triggers, drop_triggers),
    ]
