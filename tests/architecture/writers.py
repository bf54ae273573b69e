"""Finds, in source text, what writes the rows of a model: the reader behind test_single_writer."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

WRITING_METHODS = frozenset(
    {
        name
        for verb in ("create", "update", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create")
        for name in (verb, f"a{verb}")
    }
)
SAVING_METHODS = frozenset({"save", "asave", "save_base"})
MANAGERS = frozenset({"objects", "_default_manager", "_base_manager"})


@dataclass(frozen=True, slots=True)
class Model:
    """The model whose writers are looked for."""

    name: str
    table: str

    @property
    def statement(self) -> re.Pattern[str]:
        """What an SQL text that writes the table looks like."""
        return re.compile(
            rf'\b(UPDATE|INTO|DELETE\s+FROM|COPY|TRUNCATE|MERGE\s+INTO)\s+(ONLY\s+)?"?{self.table}"?(?![\w"])',
            re.IGNORECASE,
        )


TASK = Model("Task", "dispatcher_task")
NODE = Model("Node", "dispatcher_node")
BULK = Model("BulkJob", "dispatcher_bulkjob")


def writes(source: str, model: Model) -> list[str]:
    """Return each place that writes rows of the model, as `line N: what`, in source order."""
    tree = ast.parse(source)
    found = [
        *_statements(tree, model),
        *_manager_calls(tree, model),
        *_new_instances(tree, model),
        *_saves(tree, model),
    ]
    return [f"line {line}: {what}" for line, what in sorted(found)]


def _statements(tree: ast.AST, model: Model) -> Iterator[tuple[int, str]]:
    inside_joined: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside_joined.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside_joined:
            text = node.value
        else:
            continue
        if match := model.statement.search(text):
            yield node.lineno, f"SQL {match.group(0)!r}"


def _manager_calls(tree: ast.AST, model: Model) -> Iterator[tuple[int, str]]:
    querysets = _queryset_names(tree, model)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name.startswith(model.name) and "QuerySet" in node.name:
            inner = {"self", "super"}
        else:
            inner = set()
        calls = ast.walk(node) if inner else [node]
        for call in calls:
            if (
                isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in WRITING_METHODS
                and _is_queryset(call.func.value, model, querysets | inner)
            ):
                yield call.lineno, f"{ast.unparse(call.func)}(…)"


def _queryset_names(tree: ast.AST, model: Model) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _is_queryset(node.value, model, names):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def _is_queryset(node: ast.expr, model: Model, names: set[str]) -> bool:
    """Return whether an expression is a manager or a queryset of the model, however long its chain of calls."""
    while True:
        if isinstance(node, ast.Attribute):
            if node.attr in MANAGERS and _is_model(node.value, model):
                return True
            if node.attr == f"{model.name.lower()}_set":
                return True
            node = node.value
        elif isinstance(node, ast.Call | ast.Subscript):
            node = node.func if isinstance(node, ast.Call) else node.value
        else:
            return isinstance(node, ast.Name) and node.id in names


def _is_model(node: ast.expr, model: Model) -> bool:
    return (isinstance(node, ast.Name) and node.id == model.name) or (
        isinstance(node, ast.Attribute) and node.attr == model.name
    )


def _new_instances(tree: ast.AST, model: Model) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_model(node.func, model) and _imports(tree, model):
            yield node.lineno, f"{model.name}(…)"


def _saves(tree: ast.AST, model: Model) -> Iterator[tuple[int, str]]:
    """Yield every save of anything in a module that knows the model: which object it is, the text does not tell."""
    if not _imports(tree, model):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SAVING_METHODS:
            yield node.lineno, f"{ast.unparse(node.func)}(…)"


def _imports(tree: ast.AST, model: Model) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("dispatcher")
        and any(alias.name in (model.name, "models") for alias in node.names)
        for node in ast.walk(tree)
    )
