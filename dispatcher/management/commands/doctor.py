"""`manage.py doctor`: what is well, what is not, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from dispatcher.launch import database_looks, host_looks, life_looks, safety_looks
from dispatcher.launch.findings import Finding, Level, Look, examine

LOOKS: tuple[tuple[str, Look], ...] = (
    ("versions", host_looks.versions),
    ("settings", host_looks.variables),
    ("safety", safety_looks.surroundings),
    ("files", host_looks.folder),
    ("disk", host_looks.disk),
    ("database", database_looks.database),
)
# These can say nothing without the database, or would say the same again.
LOOKS_INTO_DATABASE: tuple[tuple[str, Look], ...] = (
    ("clock", database_looks.clock),
    ("web", life_looks.web),
    ("migrations", database_looks.migrations),
)
# Nor these without the tables of this version.
LOOKS_INTO_TABLES: tuple[tuple[str, Look], ...] = (
    ("safety", safety_looks.passwords),
    ("engine", life_looks.engines),
    ("nodes", life_looks.nodes),
)


class Command(BaseCommand):
    """Print a finding for each thing looked at; exit status 1 if one of them does not work."""

    help = "Look at everything an installation needs and say what to do. Exit status 1 if something does not work."
    # It explains what a failing system check would only abort on.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, **options: Any) -> None:
        """Look and print; ends the process with status 1 on a failure."""
        now = timezone.now()
        findings: list[Finding] = []
        for looks in (LOOKS, LOOKS_INTO_DATABASE, LOOKS_INTO_TABLES):
            findings += examine(looks, now)
            if any(finding.name == looks[-1][0] and finding.level is Level.FAIL for finding in findings):
                break
        failures = sum(finding.level is Level.FAIL for finding in findings)
        if options["json"]:
            document = {"ok": failures == 0, "findings": [finding.as_json() for finding in findings]}
            self.stdout.write(json.dumps(document, indent=2))
        else:
            for finding in findings:
                self.stdout.write(finding.as_line())
            self.stdout.write(f"\n{failures} of {len(findings)} do not work." if failures else "\nAll is well.")
        if failures:
            sys.exit(1)
