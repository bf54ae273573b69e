"""``manage.py tasks``: find tasks from a terminal, in the search language of the dashboard and the API."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from dispatcher import queries
from dispatcher.launch.database_reach import require_database
from dispatcher.models import SavedView
from dispatcher.models.task import parse_task_id
from dispatcher.queries.shapes import TaskPage, TaskRow
from dispatcher.queries.task_look import OLDEST, SORTS
from dispatcher.queries.task_sort import Reading, parse_cursor, read
from dispatcher.redaction import redactor
from dispatcher.search import KEYS, SearchError
from dispatcher.search.keys import MEMBER

#: As for wrong arguments of any program.
BAD_QUERY: Final = 2
_DEFAULT_LIMIT: Final = 50
_EXAMPLES: Final = """
examples:
  manage.py tasks "state:failed queue:gpu created:<1d"
  manage.py tasks "is:stuck" --json
  manage.py tasks -- "-type:ping ran:>30s args.user.id:42"
"""


class Command(BaseCommand):
    """Print the newest tasks that match; exit status 2 for a query that cannot be understood."""

    help = "List the tasks that match a query, newest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the query and how much to print."""
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = _keys() + _EXAMPLES
        parser.add_argument("query", nargs="*", metavar="QUERY", help="what to search for; all tasks if left out")
        parser.add_argument(
            "--view", metavar="NAME", help="what the saved view of this name or number looks for, as well"
        )
        parser.add_argument(
            "--limit",
            type=int,
            default=_DEFAULT_LIMIT,
            metavar="N",
            help=f"at most so many, up to {queries.MAX_LIMIT} (default: {_DEFAULT_LIMIT})",
        )
        parser.add_argument("--after", metavar="ID", help="go on after this task; what the page before said")
        parser.add_argument("--sort", choices=SORTS, help="another order than the newest first; as --sort=-waited")
        parser.add_argument("--wider", action="store_true", help="look through five times as many tasks")
        parser.add_argument("--json", action="store_true", help="print one JSON object a line instead of a table")

    def handle(self, **options: Any) -> None:
        """Search and print."""
        if not 1 <= options["limit"] <= queries.MAX_LIMIT:
            raise CommandError(f"--limit must be from 1 to {queries.MAX_LIMIT}", returncode=BAD_QUERY)
        cursor = parse_cursor(options["after"] or "")
        if options["after"] and not cursor:
            raise CommandError("--after must be what the page before said", returncode=BAD_QUERY)
        view = _view(options["view"]) if options["view"] is not None else SavedView()
        text = " ".join([*filter(None, [view.q]), *options["query"]])
        try:
            filters = queries.TaskFilters.of_text(text)
        except SearchError as error:
            raise CommandError(pointed(text, error), returncode=BAD_QUERY) from None
        require_database()
        sort = options["sort"] or view.sort
        page = read(filters, Reading.of(cursor, sort=sort, limit=options["limit"], wider=options["wider"]))
        if options["json"]:
            for row in page["rows"]:
                self.stdout.write(msgspec.json.encode(row).decode())
        elif page["rows"]:
            self.stdout.write("\n".join(_table(page["rows"])))
        self.stderr.write(_scope(page, options["limit"], sort))


def _view(name: str) -> SavedView:
    """The saved view, whoever keeps it."""
    require_database()
    number = parse_task_id(name)
    found = list(SavedView.objects.filter(Q(name=name) | Q(pk=number or 0)).select_related("owner").order_by("id"))
    if not found:
        raise CommandError(f"there is no saved view {name!r}", returncode=BAD_QUERY)
    if len(found) > 1:
        them = ", ".join(f"{view.pk} of {view.owner.get_username()}" for view in found)
        raise CommandError(f"there are several views {name!r}; say by its number which: {them}", returncode=BAD_QUERY)
    return found[0]


def pointed(text: str, error: SearchError) -> str:
    """The error below the query, with a mark under what is wrong."""
    # What makes a line of its own, or none at all, would move the mark.
    shown = "".join(char if char.isprintable() else " " for char in text)
    mark = " " * error.start + "^" * max(1, min(error.end, len(text)) - error.start)
    lines = [str(error), "", f"  {shown}", f"  {mark}"]
    if error.suggestion:
        lines += ["", f"Try: {error.suggestion}"]
    mask = redactor().shapes
    return "\n".join(mask(line) for line in lines)


def _keys() -> str:
    width = max(len(key.example) for key in (*KEYS.values(), MEMBER)) + 2
    lines = [f"  {key.example:{width}}{key.meaning}" for key in (*KEYS.values(), MEMBER)]
    head = "all terms have to hold; commas separate alternatives, a minus sign before a term leaves out:\n"
    return head + "\n".join(lines) + f"\n  {'render':{width}}whose type has this in its name, or whose id begins so\n"


def _table(rows: Sequence[TaskRow]) -> list[str]:
    head = ("ID", "STATE", "TYPE", "QUEUE", "NODE", "TRY", "CREATED", "ERROR")
    cells = [
        (
            row["id"],
            row["state"],
            row["type"],
            row["queue"],
            row["node"] or "-",
            f"{row['counted_attempts']}/{row['max_attempts']}",
            _moment(row["created_at"]),
            row["error"] or "",
        )
        for row in rows
    ]
    widths = [max(len(line[place]) for line in (head, *cells)) for place in range(len(head))]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in (head, *cells)
    ]


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _scope(page: TaskPage, limit: int, sort: str) -> str:
    """How far the search went."""
    found = len(page["rows"])
    if sort not in ("", OLDEST):
        within = f", sorted within the newest down to #{page['searched_to']}" if page["searched_to"] else ""
        more = f"; for more add --after {page['next']}" if page["next"] else ""
        return f"{found} shown{within}{more}."
    if page["next"] is None:
        return f"{found} found; all tasks were searched."
    direction, others = ("up", "newer") if sort else ("down", "older")
    if found >= limit:
        return f"{found} shown; for what is {others} add --after {page['next']}."
    return (
        f"{found} found, {direction} to #{page['searched_to']}; {others} tasks were not searched."
        f" Look further by --wider, or --after {page['next']}."
    )
