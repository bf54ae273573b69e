"""Views of the list of tasks that somebody keeps by a name. Only ``dispatcher.saved_views`` writes these rows."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import BaseConstraint, CheckConstraint, Q, UniqueConstraint

MAX_NAME_CHARS: Final = 80

VIEW_RULES: list[BaseConstraint] = [
    CheckConstraint(condition=~Q(name=""), name="view_has_name"),
    UniqueConstraint(fields=["owner", "name"], name="view_name_once"),
]


class SavedView(models.Model):
    """What to look for, in which order, with which columns: the address of a page of tasks, under a name."""

    #: What somebody keeps goes with their account.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=MAX_NAME_CHARS)
    #: In the search language, in its canonical form; "" for all tasks.
    q = models.TextField(blank=True)
    #: "" for the newest first.
    sort = models.CharField(max_length=20, blank=True)
    #: Names with commas between; "" for the reader's own choice.
    cols = models.CharField(max_length=200, blank=True)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints = VIEW_RULES
        indexes = [models.Index(fields=["name"], name="view_shared", condition=Q(shared=True))]

    def __str__(self) -> str:
        return self.name
