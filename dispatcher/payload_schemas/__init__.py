"""The JSON Schemas of payloads that nodes send: compiled once, checked at submission. Pure.

A schema comes from a worker node and is trusted with nothing: it is read as data, never fetched, and whoever wrote it
can make neither compiling nor checking take long. A part of a schema that is not understood, or not safe to check, is
never a reason to refuse a payload: the worker checks for itself in any case.
"""

from dispatcher.payload_schemas.checks import Effort
from dispatcher.payload_schemas.compiling import CompiledSchema, compile_schema, schema_error

__all__ = ["CompiledSchema", "Effort", "compile_schema", "schema_error"]
