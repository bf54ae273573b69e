"""Tokens of programs, enrolment tokens and node credentials; and who has failed with one lately."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact
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
    #: What an API token is good for (``dispatcher.scopes``), as far as the role of its account allows.
    scopes = models.CharField(_("scopes"), max_length=200, blank=True)
    uses_left = models.IntegerField(_("uses left"), null=True, blank=True)
    #: What its holder got it for: the enrolment token, or the node credential that it takes the place of.
    obtained_with = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    #: From then on the node is told to fetch another credential in place of this one.
    renew_at = models.DateTimeField(_("to be renewed from"), null=True, blank=True)
    #: Which of its node's push keys was handed out with it.
    push_key_version = models.IntegerField(default=1)
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
            models.CheckConstraint(condition=Q(kind__in=["api", "enrolment", "node"]), name="token_kind_known"),
            # Nobody's rights but those of the one owner that the kind has.
            models.CheckConstraint(
                condition=Q(kind="api", node__isnull=True) | Q(~Q(kind="api"), user__isnull=True, scopes=""),
                name="token_has_one_owner",
            ),
            models.CheckConstraint(
                condition=Q(kind="enrolment", uses_left__isnull=False, uses_left__gte=0)
                | Q(~Q(kind="enrolment"), uses_left__isnull=True),
                name="token_uses_iff_enrolment",
            ),
            # As long as a SHA-256 in hexadecimal: no token itself can stand there.
            models.CheckConstraint(condition=Exact(Length("digest"), 64), name="token_is_hashed"),
            models.CheckConstraint(condition=Q(push_key_version__gte=1), name="token_push_key_counts_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.get_kind_display()})"


class Throttle(models.Model):
    """Tries of one kind from one place within a window of time. Written by ``dispatcher.throttle``."""

    #: SHA-256 of what is counted: names that strangers type are not kept in clear, and have one length.
    key = models.CharField(primary_key=True, max_length=64)
    ends_at = models.DateTimeField()
    count = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["ends_at"], name="throttle_by_end")]
        constraints = [models.CheckConstraint(condition=Q(count__gte=0), name="throttle_not_negative")]
