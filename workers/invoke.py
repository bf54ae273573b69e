"""One run of one handler, whatever thread or process it is in: from payload to ``TaskResult``."""

from __future__ import annotations

import asyncio
import os
import re
import time
import traceback
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from workers.context import Fail, Retry, StopReason, TaskCancelled, TaskContext
from workers.protocol import (
    MAX_ERROR_MESSAGE_CHARS,
    MAX_TRACEBACK_CHARS,
    Outcome,
    TaskError,
    TaskResult,
)
from workers.registry import TaskType
from workers.signature import PayloadError, bind

DEFAULT_MAX_RESULT_BYTES: Final = 256 * 1024

RunAsync = Callable[[Coroutine[Any, Any, Any], TaskContext], Any]

#: A run that was stopped ends with the outcome of the same name; nobody asks for that of a superseded one.
_OUTCOMES: Final[dict[StopReason, Outcome]] = {
    "cancelled": "cancelled",
    "timed_out": "timed_out",
    "superseded": "cancelled",
    "released": "released",
}
_IMPOSSIBLE: Final = re.compile("[\0\ud800-\udfff]")
_encode = msgspec.json.Encoder().encode
#: Frames of these files above the handler's own say nothing to its author.
_OWN_FILES: Final = (__file__, bind.__code__.co_filename)


class ResultError(Exception):
    """What the handler returned cannot be a result: it is no JSON, or too large."""


def invoke(
    task_type: TaskType,
    context: TaskContext,
    payload: bytes | msgspec.Raw,
    *,
    run_async: RunAsync,
    max_result_bytes: int = DEFAULT_MAX_RESULT_BYTES,
) -> TaskResult:
    """Run the handler and describe how it ended. Never raises; ``run_ms`` is the time in the handler."""
    began = time.monotonic()
    process = os.getpid()
    try:
        value = task_type.binding.call(context, payload)
        if task_type.is_async:
            value = run_async(value, context)
        _end_if_forked(process, None)
        result = _succeeded(context, value, max_result_bytes)
    except BaseException as error:  # noqa: BLE001
        # Nothing a handler raises, SystemExit included, may end the slot it runs in.
        _end_if_forked(process, error)
        result = _ended_by_error(task_type, context, error)
    result.run_ms = (time.monotonic() - began) * 1000.0
    return result


def _end_if_forked(process: int, error: BaseException | None) -> None:
    """End this process if it is none of ours: a handler's ``os.fork()`` copied the slot too, and one may report."""
    if os.getpid() == process:
        return
    status = 0 if error is None else 1
    if isinstance(error, SystemExit):
        status = error.code if isinstance(error.code, int) else int(bool(error.code))
    elif error is not None:
        traceback.print_exception(error)
    os._exit(status & 0xFF)


def stopped(task_id: str, attempt: int, reason: StopReason, *, run_ms: float = 0.0) -> TaskResult:
    """The result of an attempt that was stopped from outside: killed, given up, or never started."""
    error = None
    if reason == "timed_out":
        error = TaskError(
            type="Timeout", message=f"The attempt was stopped at its timeout, after {run_ms / 1000:.3f} s."
        )
    return TaskResult(task_id=task_id, attempt=attempt, outcome=_OUTCOMES[reason], error=error, run_ms=run_ms)


def _succeeded(context: TaskContext, value: object, max_bytes: int) -> TaskResult:
    if context.is_stop_seen and context.stop_reason is not None:
        # It noticed the stop and left early by returning: what it returned is not the task's result.
        return stopped(context.task_id, context.attempt, context.stop_reason)
    if value is None:
        return TaskResult(task_id=context.task_id, attempt=context.attempt, outcome="succeeded")
    raw, sanitized = encode_result(value, max_bytes)
    return TaskResult(
        task_id=context.task_id, attempt=context.attempt, outcome="succeeded", result=raw, sanitized=sanitized
    )


def encode_result(value: object, max_bytes: int) -> tuple[msgspec.Raw, bool]:
    """The JSON of a result, and whether characters that no database row may hold had to be replaced in it."""
    replaced = False
    try:
        raw = _encode(value)
    except UnicodeEncodeError:
        raw, replaced = _encode(_clean_value(msgspec.to_builtins(value))), True
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultError(f"The result is no JSON: {error}") from None
    if b"\\u0000" in raw and not replaced:
        value = msgspec.json.decode(raw)
        cleaned = _clean_value(value)
        raw, replaced = _encode(cleaned), cleaned != value
    if len(raw) > max_bytes:
        raise ResultError(
            f"The result is {len(raw):,} bytes of JSON; this node takes {max_bytes:,} at most (--max-result-bytes). "
            "Store large results elsewhere and return where they are."
        )
    return msgspec.Raw(raw), replaced


def clean_text(text: str) -> str:
    """``text`` without what JSON or a database refuses: NUL and lone surrogates become U+FFFD."""
    return _IMPOSSIBLE.sub("\ufffd", text)


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean_value(item) for item in value]
    if isinstance(value, dict):
        return {_clean_value(key): _clean_value(item) for key, item in value.items()}
    return value


def _ended_by_error(task_type: TaskType, context: TaskContext, error: BaseException) -> TaskResult:
    reason = context.stop_reason
    if reason is not None and (context.is_stop_seen or isinstance(error, (TaskCancelled, asyncio.CancelledError))):
        return stopped(context.task_id, context.attempt, reason)
    described, truncated = describe_error(error)
    return TaskResult(
        task_id=context.task_id,
        attempt=context.attempt,
        outcome="failed",
        error=described,
        retryable=_is_retryable(task_type, error),
        retry_after_seconds=_after(error),
        truncated=truncated,
    )


def _is_retryable(task_type: TaskType, error: BaseException) -> bool:
    if isinstance(error, Retry):
        return True
    if isinstance(error, (Fail, PayloadError, ResultError)):
        return False
    return task_type.is_retryable(error)


def _after(error: BaseException) -> float | None:
    return max(0.0, error.after) if isinstance(error, Retry) and error.after is not None else None


def describe_error(error: BaseException) -> tuple[TaskError, bool]:
    """Type, message and traceback of an exception, cut to the wire's limits, and whether anything was cut."""
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ in ("builtins", "workers.context")
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    try:
        message = clean_text(str(error))
    except BaseException:  # noqa: BLE001 - __str__ is the handler's code too
        message = f"<{name} whose message cannot be shown>"
    trace = "" if isinstance(error, (PayloadError, ResultError)) else clean_text(_format(error))
    # Of a long message the start tells most, of a long traceback the end.
    is_cut = len(message) > MAX_ERROR_MESSAGE_CHARS or len(trace) > MAX_TRACEBACK_CHARS
    described = TaskError(
        type=name[:200], message=message[:MAX_ERROR_MESSAGE_CHARS], traceback=trace[-MAX_TRACEBACK_CHARS:]
    )
    return described, is_cut


def _format(error: BaseException) -> str:
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _OWN_FILES:
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames, limit=-50))
