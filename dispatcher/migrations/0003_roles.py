"""The groups that make an account an operator or an admin (see ``dispatcher.roles``), to choose from in the admin."""

from django.db import migrations

GROUPS = ("operator", "admin")


def make_groups(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for name in GROUPS:
        group.objects.get_or_create(name=name)


class Migration(migrations.Migration):
    dependencies = [
        ("dispatcher", "0002_node_minute"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    # Taking it back leaves the groups: accounts may be in them.
    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
