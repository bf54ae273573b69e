"""``manage.py node_token``: hand out, renew and take back tokens of nodes."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from dispatcher import credentials, node_registry
from dispatcher.api.validation import name_error
from dispatcher.launch.database_reach import require_database
from dispatcher.management.handing_out import TokenCommand, actor, check_label, too_long
from dispatcher.models import Node

MAX_NAME_CHARS = 100
DEFAULT_EXPIRES_HOURS = 24.0
MAX_EXPIRES_HOURS = 366 * 24.0
MAX_USES = 1000


class Command(TokenCommand):
    """Tokens with which nodes come in, and what they own afterwards."""

    help = "Make, rotate and revoke tokens of worker nodes."

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
        rotate = actions.add_parser(
            "rotate", help="let nodes fetch new credentials in place of theirs, without a pause"
        )
        rotate.add_argument("names", metavar="NAME", nargs="+", help="the nodes' names")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do the one thing asked for. CommandError says what is wrong."""
        check_label(options.get("label", ""))
        require_database()
        do = {"create": self._create, "enrol": self._enrol, "revoke": self._revoke, "rotate": self._rotate}
        do[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        name = options["name"]
        if error := name_error(name) or too_long(name, MAX_NAME_CHARS):
            raise CommandError(f"a node's name {error}")
        token = node_registry.issue_credential(name=name, actor=actor(), now=timezone.now())
        self.show(token, f"credential of the node {name}; start it with --name {name} and this token")

    def _enrol(self, options: dict[str, Any]) -> None:
        uses, hours = options["uses"], options["expires_hours"]
        if not 1 <= uses <= MAX_USES:
            raise CommandError(f"--uses must be from 1 to {MAX_USES}")
        if not 0 < hours <= MAX_EXPIRES_HOURS:
            raise CommandError(f"--expires-hours must be above 0 and at most {MAX_EXPIRES_HOURS:g}")
        now = timezone.now()
        token = credentials.issue_enrolment_token(
            label=options["label"], actor=actor(), now=now, uses=uses, expires_at=now + timedelta(hours=hours)
        )
        self.show(token, f"enrolment token for {uses} node(s), good for {hours:g} h")

    def _revoke(self, options: dict[str, Any]) -> None:
        node = _node(options["name"])
        revoked = credentials.revoke_node(node, actor=actor(), now=timezone.now())
        self.stderr.write(f"{revoked} credential(s) of the node {node.name} revoked")

    def _rotate(self, options: dict[str, Any]) -> None:
        for name in options["names"]:
            node = _node(name)
            asked = credentials.request_rotation(node, actor=actor(), now=timezone.now())
            if not asked:
                raise CommandError(f"{name} has no credential that is good; give it one by `node_token create {name}`")
            self.stderr.write(f"{name} fetches a new credential with its next heartbeat; the old one ends after that")


def _node(name: str) -> Node:
    node = Node.objects.filter(name=name).first()
    if node is None:
        raise CommandError(f"there is no node called {name}")
    return node
