"""The language in which people say which tasks they want to see: one parser for pages, API and command line.

    state:failed queue:gpu,cpu -type:ping ran:>30s created:<1h args.user.id:42 render

All terms have to hold; values within one are alternatives. Knows no Django and no database: what comes out is a
``Query`` of terms, which read models turn into conditions. ``docs/search.md`` is the page for people.
"""

from dispatcher.search.errors import SearchError
from dispatcher.search.keys import ALIASES, FLAGS, KEYS, Kind
from dispatcher.search.parsing import MAX_CHARS, parse
from dispatcher.search.terms import Query, Term
from dispatcher.search.values import Age, Moment, number_of, seconds_of, time_of

__all__ = [
    "ALIASES",
    "FLAGS",
    "KEYS",
    "MAX_CHARS",
    "Age",
    "Kind",
    "Moment",
    "Query",
    "SearchError",
    "Term",
    "number_of",
    "parse",
    "seconds_of",
    "time_of",
]
