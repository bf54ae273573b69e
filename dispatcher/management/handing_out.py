"""What the commands that hand out tokens share: who sits there, and where the token goes."""

from __future__ import annotations

import getpass

from django.core.management.base import BaseCommand, CommandError

from dispatcher.api.validation import text_error

MAX_LABEL_CHARS = 100


class TokenCommand(BaseCommand):
    """Only the token goes to standard output, so that a script can catch it; it is shown this once."""

    def show(self, token: str, note: str) -> None:
        """Hand it over."""
        self.stderr.write(f"{note}. It is not shown again.")
        self.stdout.write(token)


def check_label(label: str) -> None:
    """CommandError unless the text can stand in tables and logs."""
    if error := text_error(label) or too_long(label, MAX_LABEL_CHARS):
        raise CommandError(f"--label {error}")


def actor() -> str:
    """Who sits at the command line, for the audit trail."""
    try:
        return f"{getpass.getuser()} (manage.py)"
    except (KeyError, OSError):
        return "manage.py"


def too_long(text: str, most: int) -> str:
    """What is wrong with a text of more than ``most`` characters; "" otherwise."""
    return f"must be at most {most} characters long" if len(text) > most else ""
