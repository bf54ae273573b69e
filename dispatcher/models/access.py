"""Tokens of programs, enrolment tokens and node credentials."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class Credential(models.Model):
    """A secret that someone holds; only its SHA-256 is stored. Written by ``dispatcher.credentials``."""

    class Kind(models.TextChoices):
        API = "api", _("API token")
        ENROLMENT = "enrolment", _("enrolment token")
        NODE = "node", _("node credential")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    #: The first characters, to recognise it by.
    prefix = models.CharField(_("begins with"), max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    label = models.CharField(_("label"), max_length=100, blank=True)
    #: Whose rights an API token has.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, verbose_name=_("user"), related_name="+"
    )
    #: The node that a node credential belongs to; or the only node that an enrolment token may enrol.
    node = models.ForeignKey("dispatcher.Node", models.PROTECT, null=True, blank=True, verbose_name=_("node"))
    uses_left = models.IntegerField(_("uses left"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = [
            models.CheckConstraint(condition=~Q(kind="api") | Q(user__isnull=False), name="api_token_has_user"),
            models.CheckConstraint(condition=~Q(kind="node") | Q(node__isnull=False), name="node_token_has_node"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.get_kind_display()})"
