"""How the attempts on each node ended, per minute."""

from __future__ import annotations

from django.db import models


class NodeMinute(models.Model):
    """Ended attempts of one minute and node, folded from the feed. Kept for a few hours only."""

    minute = models.DateTimeField()
    node_id = models.IntegerField()
    succeeded = models.IntegerField(default=0)
    #: Failed, timed out, crashed or lost.
    failed = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["minute", "node_id"], name="node_minute_unique")]
