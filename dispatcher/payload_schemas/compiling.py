"""From a JSON Schema to checks. Whatever makes no sense in it is left out and named."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from dispatcher.payload_schemas import checks, texts
from dispatcher.payload_schemas.checks import Check, Effort, Run, SpentError
from workers.protocol import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH

_MAX_REF_CHARS: Final = 200
#: For finding out whether a schema takes null.
_NULL_STEPS: Final = 2_000

#: Members that say something to people and tools, and nothing of what is right.
_NOTES: Final = frozenset({
    "$schema", "$id", "$comment", "$defs", "definitions", "title", "description", "default", "examples", "deprecated",
    "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "discriminator",
})  # fmt: skip
_KINDS: Final = frozenset(checks.KIND_WORDS)
_NUMBER: Final = (int, float)

_decode = msgspec.json.Decoder().decode


class CompiledSchema:
    """A schema, ready for checking payloads. ``unchecked``: its keywords that are not looked at, by name."""

    def __init__(self, check: Check, unchecked: frozenset[str]) -> None:
        self._check = check
        self.unchecked = unchecked
        self._takes_null = not self._errors(None, Run(_NULL_STEPS))

    def errors(self, payload: str | bytes | msgspec.Raw, effort: Effort | None = None) -> list[tuple[str, str]]:
        """(field, message) for whatever is wrong with the JSON text of a payload; fields begin with "payload".

        ``null`` stands for an object without members where the schema has no null: that is how workers take it.
        What is left when the effort is spent counts as right.
        """
        value = _decode(payload)
        if value is None and not self._takes_null:
            value = {}
        allowed = checks.PAYLOAD_STEPS if effort is None else min(effort.steps, checks.PAYLOAD_STEPS)
        run = Run(allowed)
        found = self._errors(value, run)
        if effort is not None:
            effort.steps -= allowed - max(run.left, 0)
        return found

    def _errors(self, value: Any, run: Run) -> list[tuple[str, str]]:
        with contextlib.suppress(SpentError, RecursionError):
            self._check(value, "payload", run)
        return [(error.path, error.message) for error in run.errors]


def schema_error(schema: object) -> str:
    """Why a schema cannot be used at all; "" if it can."""
    size = len(msgspec.json.encode(schema))
    if size > MAX_SCHEMA_BYTES:
        return f"is {size} bytes of JSON; the most is {MAX_SCHEMA_BYTES}"
    if _is_deeper(schema, MAX_SCHEMA_DEPTH):
        return f"is nested deeper than {MAX_SCHEMA_DEPTH} levels"
    return ""


def compile_schema(schema: Mapping[str, Any] | bool) -> CompiledSchema:
    """The checks of a schema for which there is no ``schema_error``."""
    compiler = _Compiler(schema)
    try:
        check = compiler.check_of(schema)
    except RecursionError:
        # References, each to another place, hundreds of them.
        return CompiledSchema(checks.all_of(()), frozenset({"$ref"}))
    return CompiledSchema(check, frozenset(compiler.unchecked))


def _is_deeper(value: object, levels: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)


class _Compiler:
    """Compiles one schema. References are to places within it, each compiled once."""

    def __init__(self, root: Mapping[str, Any] | bool) -> None:
        self._root = root
        self._targets: dict[str, list[Check]] = {}
        self.unchecked: set[str] = set()

    def check_of(self, schema: object) -> Check:
        """The check of a schema or a part of one."""
        if schema is False:
            return checks.never
        if not isinstance(schema, dict):
            return checks.all_of(())
        made = [
            *self._kind_checks(schema),
            *self._number_checks(schema),
            *self._text_checks(schema),
            *self._list_checks(schema),
            *self._object_checks(schema),
            *self._combined_checks(schema),
        ]
        self.unchecked |= schema.keys() - _NOTES - _KNOWN
        return checks.all_of(made)

    def _take(self, schema: dict[str, Any], name: str, is_right: Callable[[Any], bool]) -> Any:
        """The value of a keyword; None if it is not there or makes no sense."""
        if name not in schema:
            return None
        if is_right(schema[name]):
            return schema[name]
        self.unchecked.add(name)
        return None

    def _kind_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = []
        kinds = schema.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds == ["string"] and schema.get("format") == "decimal":
            # Decimals are sent either way.
            kinds = ["string", "number"]
        if isinstance(kinds, list) and kinds and all(isinstance(kind, str) and kind in _KINDS for kind in kinds):
            made.append(checks.of_kinds(tuple(dict.fromkeys(kinds))))
        elif kinds is not None:
            self.unchecked.add("type")
        values = self._take(schema, "enum", lambda given: isinstance(given, list) and bool(given))
        if values is not None:
            made.append(checks.one_of(values))
        if "const" in schema:
            made.append(checks.one_of([schema["const"]]))
        return made

    def _number_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = []
        for name, words, is_right in _BOUNDS:
            limit = self._take(schema, name, _is_number)
            if limit is not None:
                by = lambda value, limit=limit, is_right=is_right: is_right(value, limit)  # noqa: E731
                made.append(checks.within(by, f"must be {words} {limit}", *_NUMBER))
        step = self._take(schema, "multipleOf", lambda given: type(given) is int and given > 0)
        if step is not None:
            made.append(checks.within(lambda value: value % step == 0, f"must be a multiple of {step}", *_NUMBER))
        return made

    def _text_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = self._length_checks(schema, str, "minLength", "maxLength", "be {} characters long")
        source = self._take(schema, "pattern", lambda given: isinstance(given, str))
        pattern = None if source is None else texts.safe_pattern(source)
        if pattern is not None:
            made.append(_matching(source, pattern))
        elif source is not None:
            self.unchecked.add("pattern")
        form = self._take(schema, "format", lambda given: isinstance(given, str))
        if form in texts.FORMATS:
            words, is_right = texts.FORMATS[form]
            made.append(checks.within(is_right, f"must be {words}", str))
        elif form is not None:
            self.unchecked.add("format")
        return made

    def _list_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = self._length_checks(schema, list, "minItems", "maxItems", "hold {} items")
        if schema.get("uniqueItems") is True:
            made.append(checks.unique_items)
        first = self._take(schema, "prefixItems", lambda given: isinstance(given, list)) or []
        rest = self._take(schema, "items", lambda given: isinstance(given, (dict, bool)))
        if first or rest is not None:
            by_place = [self.check_of(item) for item in first]
            made.append(checks.items(by_place, None if rest is None else self.check_of(rest)))
        return made

    def _object_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = self._length_checks(schema, dict, "minProperties", "maxProperties", "hold {} members")
        known = self._take(schema, "properties", lambda given: isinstance(given, dict)) or {}
        required = self._take(schema, "required", _is_list_of_names) or []
        rest = self._take(schema, "additionalProperties", lambda given: isinstance(given, (dict, bool)))
        if rest is not None and "patternProperties" in schema:
            # Some of the others are right by a pattern that is not looked at.
            rest = None
            self.unchecked.add("additionalProperties")
        if known or required or rest is not None:
            by_name = {name: self.check_of(part) for name, part in known.items()}
            others = self.check_of(rest) if isinstance(rest, dict) else rest is not False
            made.append(checks.members(by_name, required, others))
        return made

    def _length_checks(self, schema: dict[str, Any], kind: type, low: str, high: str, words: str) -> list[Check]:
        made = []
        least = self._take(schema, low, _is_length)
        if least is not None:
            text = "must not be empty" if least == 1 else "must " + words.format(f"at least {least}")
            made.append(checks.within(lambda value: len(value) >= least, text, kind))
        most = self._take(schema, high, _is_length)
        if most is not None:
            text = "must " + words.format(f"at most {most}")
            made.append(checks.within(lambda value: len(value) <= most, text, kind))
        return made

    def _combined_checks(self, schema: dict[str, Any]) -> list[Check]:
        made = []
        for name in ("anyOf", "oneOf"):
            choices = self._take(schema, name, lambda given: isinstance(given, list) and bool(given))
            if choices is not None:
                made.append(checks.any_of([self.check_of(choice) for choice in choices]))
        every = self._take(schema, "allOf", lambda given: isinstance(given, list))
        made += [self.check_of(part) for part in every or ()]
        ref = self._take(schema, "$ref", lambda given: isinstance(given, str) and len(given) <= _MAX_REF_CHARS)
        if ref is not None:
            target = self._target(ref)
            if target is None:
                self.unchecked.add("$ref")
            else:
                made.append(_later(target))
        return made

    def _target(self, ref: str) -> list[Check] | None:
        """What a reference points at, in a cell that is filled once it is compiled; None: nothing within the schema."""
        if ref in self._targets:
            return self._targets[ref]
        part: Any = self._root
        for step in ref.removeprefix("#").split("/")[1:] if ref.startswith(("#/", "#")) else [None]:
            name = step if step is None else step.replace("~1", "/").replace("~0", "~")
            part = part.get(name) if isinstance(part, dict) else None
        if not isinstance(part, (dict, bool)) or (ref != "#" and not ref.startswith("#/")):
            return None
        cell = self._targets[ref] = [checks.all_of(())]
        cell[0] = self.check_of(part)
        return cell


def _later(cell: list[Check]) -> Check:
    """What the cell holds by the time that something is checked."""

    def check(value: Any, path: str, run: Run) -> None:
        cell[0](value, path, run)

    return check


def _matching(source: str, pattern: texts.Pattern) -> Check:
    def check(value: Any, path: str, run: Run) -> None:
        if isinstance(value, str) and len(value) <= texts.MAX_MATCHED_CHARS:
            run.spend(pattern.steps(len(value)))
            if not pattern.expression.search(value):
                run.wrong(path, f"must match {source}")

    return check


def _is_number(value: Any) -> bool:
    return type(value) in _NUMBER


def _is_length(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_list_of_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_BOUNDS: Final[tuple[tuple[str, str, Callable[[Any, Any], bool]], ...]] = (
    ("minimum", "at least", lambda value, limit: value >= limit),
    ("maximum", "at most", lambda value, limit: value <= limit),
    ("exclusiveMinimum", "more than", lambda value, limit: value > limit),
    ("exclusiveMaximum", "less than", lambda value, limit: value < limit),
)
_KNOWN: Final = frozenset({
    "type", "enum", "const", *(name for name, _, _ in _BOUNDS), "multipleOf", "minLength", "maxLength", "pattern",
    "format", "minItems", "maxItems", "uniqueItems", "prefixItems", "items", "minProperties", "maxProperties",
    "properties", "required", "additionalProperties", "anyOf", "oneOf", "allOf", "$ref",
})  # fmt: skip
