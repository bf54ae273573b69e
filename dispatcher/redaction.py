"""Which names are secret in this installation, and how much of a task somebody sees.

Everything that shows what people or nodes supplied goes through ``redactor()`` on its way out of the database, before
it is shortened: read models, feed, admin, problem documents, logs. What is stored stays whole; nodes get it as it is.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from dispatcher.conf import conf
from workers.redaction import MASK, NOTHING, Redactor, keys_of

__all__ = ["MASK", "Redactor", "Sight", "redactor"]


class Sight(Enum):
    """How much of a task somebody sees."""

    #: Secrets are masked: lists, pages, live frames, and whoever reads a task without saying more.
    MASKED = "masked"
    #: Payload and result as they are: the program that submitted the task. What a node adds may not be its own.
    OWN = "own"
    #: Everything as it is: operators who ask for it, which is put on record.
    ALL = "all"

    @property
    def data(self) -> Redactor:
        """What masks payload and result."""
        return redactor() if self is Sight.MASKED else NOTHING

    @property
    def words(self) -> Redactor:
        """What masks errors, tracebacks, log lines and progress."""
        return NOTHING if self is Sight.ALL else redactor()


def redactor() -> Redactor:
    """The redactor of the settings in force."""
    return _made(conf().redact_keys)


@lru_cache(maxsize=4)
def _made(setting: str) -> Redactor:
    return Redactor(keys_of(setting))
