import hashlib

import msgspec
from django.db import migrations, models


def fill_in(apps, schema_editor):
    encode = msgspec.json.Encoder(order="deterministic").encode
    nodes = apps.get_model("dispatcher", "Node").objects
    for node in nodes.exclude(types__isnull=True).only("types").iterator(chunk_size=20):
        if node.types:
            digest = hashlib.sha256(encode(node.types)).hexdigest()[:32]
            nodes.filter(pk=node.pk).update(types_digest=digest)


class Migration(migrations.Migration):

    dependencies = [
        ("dispatcher", "0007_rules"),
    ]

    operations = [
        migrations.AddField(
            model_name="node",
            name="types_digest",
            field=models.CharField(editable=False, max_length=32, null=True),
        ),
        migrations.RunPython(fill_in, migrations.RunPython.noop),
    ]
