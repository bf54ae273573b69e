"""The single checks that schemas are compiled to: functions of a value, its place, and what is found wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

#: Errors that one payload is told of.
MAX_ERRORS: Final = 20
#: Schemas that one value may be checked by within each other: references that go round in a circle end here.
MAX_NESTING: Final = 150
#: Values looked at for one payload, and for all payloads of one request. A step takes about half a microsecond.
PAYLOAD_STEPS: Final = 100_000
REQUEST_STEPS: Final = 1_000_000
_MAX_PATH_CHARS: Final = 200

_encode = msgspec.json.Encoder(order="deterministic").encode


class Wrong(NamedTuple):
    """One error. ``kinds``: the kinds that would have been right, if the kind of the value is what is wrong."""

    path: str
    message: str
    kinds: tuple[str, ...] = ()


class SpentError(Exception):
    """No more is looked at: the effort is spent, or enough errors are known."""


class Effort:
    """What checking may still cost, for all payloads of a request together."""

    def __init__(self, steps: int = REQUEST_STEPS) -> None:
        self.steps = steps


class Run:
    """The check of one payload."""

    __slots__ = ("errors", "left", "nesting")

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.nesting = 0
        self.errors: list[Wrong] = []

    def spend(self, steps: int) -> None:
        """Take so many steps. Raises ``SpentError`` when there are none left."""
        self.left -= steps
        if self.left < 0:
            raise SpentError

    def wrong(self, path: str, message: str, kinds: tuple[str, ...] = ()) -> None:
        """Note an error."""
        self.errors.append(Wrong(path[:_MAX_PATH_CHARS], message, kinds))
        if len(self.errors) >= MAX_ERRORS:
            raise SpentError


Check = Callable[[Any, str, Run], None]

KIND_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "an object",
}


def kind_of(value: Any) -> str:
    """The kind of a decoded JSON value, as JSON Schema calls it; a float is a number even if it is whole."""
    if value is None:
        return "null"
    kinds: dict[type, str] = {
        bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object",
    }  # fmt: skip
    return kinds[type(value)]


def fits_kind(value: Any, kinds: frozenset[str]) -> bool:
    """Whether the value is of one of the kinds."""
    kind = kind_of(value)
    if kind in kinds:
        return True
    if kind == "integer":
        return "number" in kinds
    return kind == "number" and "integer" in kinds and value.is_integer()


def wrong_kind(kinds: Sequence[str], value: Any) -> str:
    """The complaint about a value of another kind."""
    came = kind_of(value)
    words = " or ".join(KIND_WORDS[kind] for kind in kinds)
    return f"must be {words}, not {'a decimal number' if came == 'number' else KIND_WORDS[came]}"


def of_kinds(kinds: tuple[str, ...]) -> Check:
    """``type``"""
    wanted = frozenset(kinds)

    def check(value: Any, path: str, run: Run) -> None:
        if not fits_kind(value, wanted):
            run.wrong(path, wrong_kind(kinds, value), kinds)

    return check


def one_of(values: Sequence[Any]) -> Check:
    """``enum`` and ``const``. JSON equality: 1 and 1.0 are one number, 1 and true are not."""
    known = {_canonical(value) for value in values}
    names = ", ".join(_encode(value).decode() for value in values[:20])
    message = f"must be {'one of ' if len(values) > 1 else ''}{names[:300]}{', …' if len(values) > 20 else ''}"  # noqa: PLR2004

    def check(value: Any, path: str, run: Run) -> None:
        if isinstance(value, (list, dict)):
            run.spend(_size(value))
        if _canonical(value) not in known:
            run.wrong(path, message)

    return check


def within(is_right: Callable[[Any], bool], message: str, *kinds: type) -> Check:
    """A condition on values of these Python types; others are none of its business."""

    def check(value: Any, path: str, run: Run) -> None:
        if type(value) in kinds and not is_right(value):
            run.wrong(path, message)

    return check


def unique_items(value: Any, path: str, run: Run) -> None:
    """``uniqueItems``"""
    if isinstance(value, list):
        run.spend(_size(value))
        if len({_canonical(item) for item in value}) < len(value):
            run.wrong(path, "must not hold the same item twice")


def items(first: Sequence[Check], rest: Check | None) -> Check:
    """``prefixItems`` and ``items``"""

    def check(value: Any, path: str, run: Run) -> None:
        if not isinstance(value, list):
            return
        for index, item in enumerate(value):
            by = first[index] if index < len(first) else rest
            if by is None:
                return
            by(item, f"{path}[{index}]", run)

    return check


def members(known: Mapping[str, Check], required: Sequence[str], rest: Check | bool) -> Check:
    """``properties``, ``required`` and ``additionalProperties``. ``rest``: whether, or how, there may be others."""

    def check(value: Any, path: str, run: Run) -> None:
        if not isinstance(value, dict):
            return
        for name in required:
            if name not in value:
                run.wrong(f"{path}.{name}", "is required")
        for name, member in value.items():
            by = known.get(name)
            if by is not None:
                by(member, f"{path}.{name}", run)
            elif rest is False:
                run.wrong(f"{path}.{name}", _unknown(known))
            elif rest is not True:
                rest(member, f"{path}.{name}", run)

    return check


def any_of(choices: Sequence[Check]) -> Check:
    """``anyOf``. ``oneOf`` too: of two that seem to fit, one may say more than is understood here."""

    def check(value: Any, path: str, run: Run) -> None:
        failures = []
        for choice in choices:
            found = _errors_of(choice, value, path, run)
            if not found:
                return
            failures.append(found)
        _tell(failures, value, path, run)

    return check


def _errors_of(choice: Check, value: Any, path: str, run: Run) -> list[Wrong]:
    """What one choice finds wrong, apart from what else is."""
    before, nesting, run.errors = run.errors, run.nesting, []
    try:
        choice(value, path, run)
    except SpentError:
        if run.left < 0:
            raise
    finally:
        found, run.errors, run.nesting = run.errors, before, nesting
    return found


def _tell(failures: list[list[Wrong]], value: Any, path: str, run: Run) -> None:
    """What is wrong with a value that none of the choices fits: by those that it comes nearest to."""
    near = [found for found in failures if not any(error.kinds and error.path == path for error in found)]
    if not near:
        kinds = dict.fromkeys(kind for found in failures for error in found for kind in error.kinds)
        run.wrong(path, wrong_kind(tuple(kinds), value), tuple(kinds))
    elif len(near) == 1:
        for error in near[0]:
            run.wrong(*error)
    else:
        run.wrong(path, f"fits none of the {len(failures)} forms that it may have")


def all_of(checks: Sequence[Check]) -> Check:
    """Several checks of one value, each looked at."""

    def check(value: Any, path: str, run: Run) -> None:
        run.spend(1)
        run.nesting += 1
        if run.nesting > MAX_NESTING:
            raise SpentError
        for one in checks:
            one(value, path, run)
        run.nesting -= 1

    return check


def never(_value: Any, path: str, run: Run) -> None:
    """The schema ``false``."""
    run.wrong(path, "must not be given")


def _canonical(value: Any) -> Any:
    """Something to compare JSON values by; hashable."""
    if isinstance(value, (list, dict)):
        return ("json", _encode(_whole(value)))
    return (type(value) is bool, value)


def _whole(value: Any) -> Any:
    """The value with whole floats as integers."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {name: _whole(item) for name, item in value.items()} if isinstance(value, dict) else value


def _size(value: Any) -> int:
    """How many values there are in a value."""
    if isinstance(value, list):
        return 1 + sum(map(_size, value))
    return 1 + sum(map(_size, value.values())) if isinstance(value, dict) else 1


def _unknown(known: Mapping[str, Check]) -> str:
    names = ", ".join(known)
    return f"is not known; there is {names[:300]}" if names else "is not known; no members are"
