"""JSON Schemas of the types that bodies are decoded by and answers are made of.

msgspec writes such schemas itself, but not for messages with raw JSON among their defaults, which ours have.
"""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from workers import protocol

_REFERENCE: Final = "#/components/schemas/"
#: Types that would have the name of another.
_NAMES: Final[dict[type, str]] = {
    protocol.TypeInfo: "TypeAdvertised",
    protocol.Progress: "ProgressReported",
    protocol.LogLine: "LogLineReported",
}
_BOUNDS: Final = {
    "ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "pattern": "pattern",
}  # fmt: skip


class Schemas:
    """The schemas of a document; structs and typed dictionaries stand once among ``components``, by their names."""

    def __init__(self, conditions: Mapping[type, Mapping[str, dict[str, Any]]] | None = None) -> None:
        """``conditions``: of members of a class, what its type does not say."""
        self.components: dict[str, Any] = {}
        self._conditions = conditions or {}
        self._classes: dict[str, type] = {}

    def of(self, *given: Any) -> dict[str, Any]:
        """The schema of a type, or of either of several."""
        found = [self._schema(types.type_info(each)) for each in given]
        return found[0] if len(found) == 1 else {"anyOf": found}

    def _schema(self, kind: types.Type) -> dict[str, Any]:
        """``kind``: what msgspec knows of a type. Raises ``TypeError`` for kinds that no body of ours has."""
        match kind:
            case types.Metadata():
                return self._schema(kind.type) | dict(kind.extra_json_schema or {})
            case types.AnyType() | types.RawType() | types.CustomType(cls=builtins.object):
                return {}
            case types.UnionType():
                return _either([self._schema(each) for each in kind.types])
            case types.LiteralType():
                return {"type": "string", "enum": list(kind.values)}
            case types.ListType():
                return {"type": "array", "items": self._schema(kind.item_type)} | _lengths(kind, "Items")
            case types.DictType():
                return self._mapping(kind)
            case types.StructType() | types.TypedDictType():
                return self._named(kind)
        return _plain(kind)

    def _mapping(self, kind: types.DictType) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object"} | _lengths(kind, "Properties")
        if values := self._schema(kind.value_type):
            schema["additionalProperties"] = values
        names = self._schema(kind.key_type)
        return schema if names == {"type": "string"} else schema | {"propertyNames": names}

    def _named(self, kind: types.StructType | types.TypedDictType) -> dict[str, Any]:
        name = _NAMES.get(kind.cls, kind.cls.__name__)
        if self._classes.setdefault(name, kind.cls) is not kind.cls:
            raise TypeError(f"two types are called {name}: {kind.cls} and {self._classes[name]}")
        if name not in self.components:
            # Before its members, which may hold the type itself.
            self.components[name] = {}
            self.components[name] = self._object(kind)
        return {"$ref": _REFERENCE + name}

    def _object(self, kind: types.StructType | types.TypedDictType) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "object"}
        if text := inspect.getdoc(kind.cls):
            schema["description"] = text.replace("``", "`")
        more = self._conditions.get(kind.cls, {})
        schema["properties"] = {
            field.encode_name: self._member(field) | more.get(field.encode_name, {}) for field in kind.fields
        }
        if required := [field.encode_name for field in kind.fields if field.required]:
            schema["required"] = required
        if isinstance(kind, types.StructType) and kind.forbid_unknown_fields:
            schema["additionalProperties"] = False
        return schema

    def _member(self, field: types.Field) -> dict[str, Any]:
        schema = self._schema(field.type)
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if default is msgspec.NODEFAULT:
            return schema
        return schema | {"default": msgspec.json.decode(msgspec.json.encode(default))}


def schema_of(kind: Any) -> dict[str, Any]:
    """The schema of a type that needs no components: a text, a number, a list of such."""
    return Schemas().of(kind)


def _plain(kind: types.Type) -> dict[str, Any]:
    """The schema of a text, a number, a time, true or false, or null."""
    match kind:
        case types.StrType():
            return {"type": "string"} | _lengths(kind, "Length") | _bounds(kind)
        case types.IntType():
            return {"type": "integer", "format": "int64"} | _bounds(kind)
        case types.FloatType():
            return {"type": "number", "format": "double"} | _bounds(kind)
        case types.BoolType():
            return {"type": "boolean"}
        case types.NoneType():
            return {"type": "null"}
        case types.DateTimeType():
            return {"type": "string", "format": "date-time"}
    raise TypeError(f"no schema for {kind}")


def _either(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """One of several; plain kinds without conditions as a list of their names, which is easier to read."""
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _lengths(kind: Any, what: str) -> dict[str, int]:
    found = {f"min{what}": kind.min_length, f"max{what}": kind.max_length}
    return {name: value for name, value in found.items() if value is not None}


def _bounds(kind: types.Type) -> dict[str, Any]:
    found = {word: getattr(kind, name, None) for name, word in _BOUNDS.items()}
    return {word: value for word, value in found.items() if value is not None}
