"""Which task types this node can run: ``@task`` on plain and async functions.

The payload (JSON) is checked against the signature and converted by msgspec before the handler is called; the same
signature gives the JSON Schema that the node sends when it registers.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeVar, overload

import msgspec

from workers.protocol import MAX_SCHEMA_BYTES, TypeInfo
from workers.signature import BindError, Binding, bind

ExecutorName = Literal["thread", "process"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")


class RegistrationError(Exception):
    """A handler cannot be registered; the message says which one, where, and why."""


@dataclass(frozen=True, slots=True)
class TaskType:
    """One task type and how to run it. ``executor`` of ``None`` means the node's default."""

    name: str
    handler: Callable[..., Any]
    binding: Binding
    is_async: bool = False
    timeout_seconds: float | None = None
    version: str = ""
    description: str = ""
    executor: ExecutorName | None = None
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    fail_on: tuple[type[BaseException], ...] = ()

    def is_retryable(self, error: BaseException) -> bool:
        """Whether another attempt may help after ``error``."""
        return isinstance(error, self.retry_on) and not isinstance(error, self.fail_on)


@dataclass(slots=True)
class Registry:
    """Task types by name. Modules with handlers fill the default one when they are imported."""

    types: dict[str, TaskType] = field(default_factory=dict)

    def add(self, task_type: TaskType) -> None:
        """Add a type; a second function under the same name is an error, the same one again (a reload) is not."""
        known = self.types.get(task_type.name)
        if known is not None and _place(known.handler) != _place(task_type.handler):
            raise RegistrationError(
                f"task type {task_type.name!r} is defined twice: by {_place(known.handler)} and by "
                f"{_place(task_type.handler)}. Give one of them another name."
            )
        self.types[task_type.name] = task_type


default_registry: Final = Registry()


@overload
def task(function: Handler, /) -> Handler: ...


@overload
def task(
    *,
    name: str | None = None,
    timeout: float | None = None,
    version: str = "",
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    executor: ExecutorName | None = None,
    retry_on: type[BaseException] | Iterable[type[BaseException]] = (Exception,),
    fail_on: type[BaseException] | Iterable[type[BaseException]] = (),
    registry: Registry | None = None,
) -> Callable[[Handler], Handler]: ...


def task(function: Handler | None = None, /, **options: Any) -> Handler | Callable[[Handler], Handler]:
    """Register a function as the handler of a task type, and return it unchanged.

    ``name`` defaults to ``module.function``; ``timeout`` is in seconds; ``executor="process"`` runs it in a child
    process, which a crash or a timeout may kill without harm to the node. ``schema`` is the JSON Schema of the payload,
    by which the dispatcher checks and people get their form; left out, it is made from the annotations. An error that
    is no ``retry_on`` or is a ``fail_on`` ends the task for good. Raises ``RegistrationError`` at import for whatever
    cannot work.
    """

    def register(handler: Handler) -> Handler:
        _register(handler, **options)
        return handler

    return register if function is None else register(function)


def _register(
    handler: Callable[..., Any],
    *,
    name: str | None = None,
    timeout: float | None = None,
    version: str = "",
    description: str | None = None,
    schema: Mapping[str, Any] | None = None,
    executor: ExecutorName | None = None,
    retry_on: type[BaseException] | Iterable[type[BaseException]] = (Exception,),
    fail_on: type[BaseException] | Iterable[type[BaseException]] = (),
    registry: Registry | None = None,
) -> None:
    if not inspect.isfunction(handler):
        raise RegistrationError(f"@task goes on a function; {handler!r} is none.")
    where = _place(handler)
    name = f"{handler.__module__}.{handler.__qualname__}" if name is None else name
    _check_options(where, name, timeout, executor)
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise RegistrationError(f"{where}: a handler returns its result; it cannot be a generator.")
    try:
        binding = bind(handler)
    except BindError as error:
        raise RegistrationError(f"{where}: {error}") from None
    if schema is not None:
        binding = replace(binding, schema=_given_schema(where, schema))
    target = default_registry if registry is None else registry
    target.add(
        TaskType(
            name=name,
            handler=handler,
            binding=binding,
            is_async=inspect.iscoroutinefunction(handler),
            timeout_seconds=timeout,
            version=version,
            description=_first_line(handler) if description is None else description,
            executor=executor,
            retry_on=_error_types(where, "retry_on", retry_on),
            fail_on=_error_types(where, "fail_on", fail_on),
        )
    )


def _check_options(where: str, name: str, timeout: float | None, executor: str | None) -> None:
    if not _NAME.fullmatch(name):
        raise RegistrationError(
            f"{where}: {name!r} cannot name a task type: up to 100 letters, digits, '_', '.', ':' and '-', "
            "starting with a letter or digit."
        )
    if timeout is not None and not 0 < timeout < float("inf"):
        raise RegistrationError(f"{where}: timeout is a positive number of seconds, not {timeout!r}.")
    if executor not in (None, "thread", "process"):
        raise RegistrationError(f"{where}: executor is 'thread' or 'process', not {executor!r}.")


def _given_schema(where: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = msgspec.json.encode(schema)
        found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (TypeError, msgspec.MsgspecError, RecursionError) as error:
        raise RegistrationError(f"{where}: schema has to be a JSON Schema, an object of JSON: {error}.") from None
    if len(text) > MAX_SCHEMA_BYTES:
        raise RegistrationError(f"{where}: schema is {len(text)} bytes of JSON; the most is {MAX_SCHEMA_BYTES}.")
    return found


def _error_types(
    where: str, option: str, given: type[BaseException] | Iterable[type[BaseException]]
) -> tuple[type[BaseException], ...]:
    kinds = (given,) if isinstance(given, type) else tuple(given)
    for kind in kinds:
        if not _is_error_type(kind):
            raise RegistrationError(f"{where}: {option} takes exception classes, not {kind!r}.")
    return kinds


def _is_error_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)


def _first_line(handler: Callable[..., Any]) -> str:
    lines = (inspect.getdoc(handler) or "").splitlines()
    return lines[0].strip() if lines else ""


def _place(handler: Callable[..., Any]) -> str:
    return f"{handler.__module__}.{handler.__qualname__}"


def type_infos(types: Mapping[str, TaskType]) -> dict[str, TypeInfo]:
    """What is sent at registration of each type: version, description, timeout, payload schema."""
    return {
        name: TypeInfo(
            version=kind.version,
            description=kind.description,
            timeout_seconds=kind.timeout_seconds,
            schema=kind.binding.schema,
        )
        for name, kind in types.items()
    }
