"""``manage.py api_token``: make, list and revoke tokens of programs."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.utils import timezone

from dispatcher import credentials, queries, roles, scopes
from dispatcher.launch.database_reach import require_database
from dispatcher.management.handing_out import TokenCommand, actor, check_label
from dispatcher.models import Credential
from dispatcher.scopes import Scope

MAX_DAYS = 3660.0

_SCOPES = "\n".join(f"  {scope:<12} {scope.meaning}" for scope in Scope)


class Command(TokenCommand):
    """API tokens of all accounts, for whoever may use the database."""

    help = "Make, list and revoke API tokens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the three things to do."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        create = actions.add_parser(
            "create",
            help="a token in the name of the account USER",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"scopes, as far as the role of the account allows them:\n{_SCOPES}",
        )
        create.add_argument("user", metavar="USER", help="the account's user name")
        create.add_argument("--label", default="", help="what it is for; shown in lists")
        create.add_argument(
            "--scopes", metavar="S,S", help="what it is good for, by commas (default: all that the role allows)"
        )
        create.add_argument(
            "--expires-days",
            metavar="N",
            help='for how many days it is good, or "never" (default: TASKDIST_API_TOKEN_DAYS)',
        )
        shown = actions.add_parser("list", help="the tokens that are live, newest first")
        shown.add_argument("user", metavar="USER", nargs="?", help="of this account alone")
        shown.add_argument("--all", action="store_true", help="those that are revoked or expired as well")
        revoke = actions.add_parser("revoke", help="take tokens back, at once and for good")
        revoke.add_argument(
            "tokens", metavar="TOKEN", nargs="+", help="its number or its beginning, as `list` shows it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do the one thing asked for. CommandError says what is wrong."""
        check_label(options.get("label", ""))
        require_database()
        {"create": self._create, "list": self._list, "revoke": self._revoke}[options["action"]](options)

    def _create(self, options: dict[str, Any]) -> None:
        user, now = _account(options["user"]), timezone.now()
        if not user.is_active:
            raise CommandError(f"the account {options['user']} is not active")
        expires_at = _expiry(options["expires_days"], now)
        try:
            token = credentials.issue_api_token(
                user=user,
                label=options["label"],
                wanted=_wanted(options["scopes"]),
                expires_at=expires_at,
                actor=actor(),
                now=now,
            )
        except credentials.ScopeRefused as error:
            has = scopes.join(roles.scopes_of(user))
            raise CommandError(f"{error}; it allows {has or 'nothing'}") from None
        made = credentials.find(token)
        until = f"{made.expires_at:%Y-%m-%d %H:%M} UTC" if made is not None and made.expires_at else "it is revoked"
        self.show(token, f"API token of {options['user']} for {made.scopes if made else ''}, good until {until}")

    def _list(self, options: dict[str, Any]) -> None:
        user = _account(options["user"]) if options["user"] else None
        rows = queries.api_tokens(timezone.now(), user=user, with_ended=options["all"])
        for row in rows:
            cells = (
                str(row["id"]),
                f"{row['prefix']}…",
                row["user"],
                row["scopes"],
                row["ended"] or _until(row["expires_at"]),
                f"used {row['last_used_at']:%Y-%m-%d %H:%M}" if row["last_used_at"] else "never used",
                row["label"],
            )
            self.stdout.write("  ".join(cells).rstrip())
        if not rows:
            self.stderr.write("There are none." if options["all"] else "There are none that are live.")

    def _revoke(self, options: dict[str, Any]) -> None:
        found = [_token(text) for text in options["tokens"]]
        for credential in found:
            credentials.revoke(credential, actor=actor(), now=timezone.now())
            self.stderr.write(f"{credential.prefix}… of {credential.user} revoked")


def _account(name: str) -> Any:
    user = get_user_model().objects.filter(**{get_user_model().USERNAME_FIELD: name}).first()
    if user is None:
        raise CommandError(f"there is no account called {name}; make one in the admin or by createsuperuser")
    return user


def _wanted(text: str | None) -> list[Scope] | None:
    if text is None:
        return None
    words = [word for word in text.replace(",", " ").split() if word]
    if not words or scopes.unknown(words):
        wrong = ", ".join(scopes.unknown(words)) or "nothing"
        raise CommandError(f"--scopes: {wrong} is no scope; there are {', '.join(Scope)}")
    return [Scope(word) for word in words]


def _expiry(text: str | None, now: datetime) -> Any:
    if text is None:
        return "default"
    if text == "never":
        return None
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days <= MAX_DAYS:
        raise CommandError(f'--expires-days must be "never" or a number above 0 and at most {MAX_DAYS:g}')
    return now + timedelta(days=days)


def _until(moment: datetime | None) -> str:
    return "never expires" if moment is None else f"until {moment:%Y-%m-%d %H:%M}"


def _token(text: str) -> Credential:
    """The token of that number or beginning; the whole token does as well."""
    rows = Credential.objects.filter(kind=Credential.Kind.API).select_related("user")
    beginning = text.removesuffix("…")
    if beginning.startswith("tdk_"):
        rows = rows.filter(prefix=beginning[:12])
    elif text.isascii() and text.isdigit() and len(text) <= 18:  # noqa: PLR2004 - what a column of 64 bits can hold
        rows = rows.filter(pk=int(text))
    else:
        rows = rows.none()
    found = list(rows[:2])
    if len(found) != 1:
        raise CommandError(f"there is no API token {text}; `manage.py api_token list` shows numbers and beginnings")
    return found[0]
