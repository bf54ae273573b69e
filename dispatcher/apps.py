"""The dispatcher's Django app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DispatcherConfig(AppConfig):
    """Tasks, nodes and everything that moves them."""

    name = "dispatcher"
    verbose_name = _("Dispatcher")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell Django what ``check --deploy`` looks at, and hear of sign-ins."""
        from django.contrib.auth.signals import user_logged_in

        from dispatcher import checks
        from dispatcher.dashboard import sign_in

        checks.register()
        user_logged_in.connect(sign_in.forgive, dispatch_uid="dispatcher.sign_in")
