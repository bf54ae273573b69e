"""What `manage.py doctor` finds: one line for each thing looked at, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dispatcher.launch.database_reach import first_line
from workers.log_lines import escaped


class Level(StrEnum):
    """How bad it is. Only FAIL makes the command's exit status 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: its name, what was seen, and what to do unless all is well."""

    name: str
    level: Level
    seen: str
    advice: str = ""

    def as_line(self) -> str:
        """Return the finding as a line for people, with its advice on a second one."""
        line = f"{self.level.value:<4}  {self.name:<12} {escaped(self.seen)}"
        return f"{line}\n{'':<19}→ {self.advice}" if self.advice else line

    def as_json(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return asdict(self)


def ok(name: str, seen: str) -> Finding:
    """All is well."""
    return Finding(name, Level.OK, seen)


def warn(name: str, seen: str, advice: str) -> Finding:
    """It works, but not as it should."""
    return Finding(name, Level.WARN, seen, advice)


def fail(name: str, seen: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(name, Level.FAIL, seen, advice)


Look = Callable[[datetime], Iterable[Finding]]


def examine(looks: Iterable[tuple[str, Look]], now: datetime) -> Iterator[Finding]:
    """Yield what the looks find, in order. One that breaks is a finding itself and does not stop the others."""
    for name, look in looks:
        try:
            yield from look(now)
        except Exception as error:  # noqa: BLE001 (whatever it is, the person who asked wants to read it)
            seen = f"could not be looked at: {type(error).__name__}: {first_line(error)}"
            yield fail(name, seen, "If the lines above do not explain it, this is a mistake in taskdist.")
