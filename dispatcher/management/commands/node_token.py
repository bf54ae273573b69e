"""``manage.py node_token``: hand out and take back tokens of nodes and of programs."""

from __future__ import annotations

import getpass
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dispatcher import credentials, node_registry
from dispatcher.api.validation import name_error, text_error
from dispatcher.launch.database_reach import require_database
from dispatcher.models import Node

MAX_NAME_CHARS = 100
MAX_LABEL_CHARS = 100
DEFAULT_EXPIRES_HOURS = 24.0
MAX_EXPIRES_HOURS = 366 * 24.0
MAX_USES = 1000


class Command(BaseCommand):
    """Only the token goes to standard output, so that a script can catch it; it is shown this once."""

    help = "Make and revoke tokens of worker nodes, and make API tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the four things to do."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser("create", help="a credential for the node called NAME, made if there is none")
        create.add_argument("name", metavar="NAME", help="the node's name")
        enrol = actions.add_parser("enrol", help="an enrolment token, with which nodes get credentials of their own")
        enrol.add_argument("--uses", type=int, default=1, help="how many nodes may join with it (default: 1)")
        enrol.add_argument(
            "--expires-hours",
            type=float,
            default=DEFAULT_EXPIRES_HOURS,
            metavar="H",
            help=f"for how many hours it is good (default: {DEFAULT_EXPIRES_HOURS:g})",
        )
        enrol.add_argument("--label", default="", help="what it is for; shown in the admin")
        revoke = actions.add_parser("revoke", help="take back all credentials of the node called NAME")
        revoke.add_argument("name", metavar="NAME", help="the node's name")
        api = actions.add_parser("api", help="an API token with the rights of the account USER")
        api.add_argument("user", metavar="USER", help="the account's user name")
        api.add_argument("--label", default="", help="what it is for; shown in the admin")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do the one thing asked for. CommandError says what is wrong."""
        if error := text_error(options.get("label", "")) or _too_long(options.get("label", ""), MAX_LABEL_CHARS):
            raise CommandError(f"--label {error}")
        require_database()
        {"create": self._create, "enrol": self._enrol, "revoke": self._revoke, "api": self._api}[options["action"]](
            options
        )

    def _create(self, options: dict[str, Any]) -> None:
        name = options["name"]
        if error := name_error(name) or _too_long(name, MAX_NAME_CHARS):
            raise CommandError(f"a node's name {error}")
        token = node_registry.issue_credential(name=name, actor=_actor(), now=timezone.now())
        self._show(token, f"credential of the node {name}; start it with --name {name} and this token")

    def _enrol(self, options: dict[str, Any]) -> None:
        uses, hours = options["uses"], options["expires_hours"]
        if not 1 <= uses <= MAX_USES:
            raise CommandError(f"--uses must be from 1 to {MAX_USES}")
        if not 0 < hours <= MAX_EXPIRES_HOURS:
            raise CommandError(f"--expires-hours must be above 0 and at most {MAX_EXPIRES_HOURS:g}")
        now = timezone.now()
        token = credentials.issue_enrolment_token(
            label=options["label"], actor=_actor(), now=now, uses=uses, expires_at=now + timedelta(hours=hours)
        )
        self._show(token, f"enrolment token for {uses} node(s), good for {hours:g} h")

    def _revoke(self, options: dict[str, Any]) -> None:
        node = Node.objects.filter(name=options["name"]).first()
        if node is None:
            raise CommandError(f"there is no node called {options['name']}")
        revoked = credentials.revoke_node(node, actor=_actor(), now=timezone.now())
        self.stderr.write(f"{revoked} credential(s) of the node {node.name} revoked")

    def _api(self, options: dict[str, Any]) -> None:
        user = get_user_model().objects.filter(**{get_user_model().USERNAME_FIELD: options["user"]}).first()
        if user is None:
            raise CommandError(
                f"there is no account called {options['user']}; make one in the admin or by createsuperuser"
            )
        if not user.is_active:
            raise CommandError(f"the account {options['user']} is not active")
        token = credentials.issue_api_token(user=user, label=options["label"], actor=_actor(), now=timezone.now())
        self._show(token, f"API token with the rights of {options['user']}")

    def _show(self, token: str, note: str) -> None:
        self.stderr.write(f"{note}. It is not shown again.")
        self.stdout.write(token)


def _actor() -> str:
    """Who sits at the command line, for the audit trail."""
    try:
        return f"{getpass.getuser()} (manage.py)"
    except (KeyError, OSError):
        return "manage.py"


def _too_long(text: str, most: int) -> str:
    return f"must be at most {most} characters long" if len(text) > most else ""
