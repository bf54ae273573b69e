"""How runs end: results, errors and stops in the words of the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tests.workers import handlers
from workers import Fail, Retry, TaskCancelled, TaskContext, task
from workers.executor.threads import AsyncLoop
from workers.invoke import clean_text, invoke
from workers.notes import Notes
from workers.protocol import MAX_ERROR_MESSAGE_CHARS, MAX_TRACEBACK_CHARS, TaskResult
from workers.registry import Registry, default_registry


def a_context(**changes: Any) -> TaskContext:
    context = TaskContext("t", 2, 3, Notes())
    for name, value in changes.items():
        setattr(context, name, value)
    return context


def run(handler: Callable[..., Any], payload: Any = None, context: TaskContext | None = None) -> TaskResult:
    registry = Registry()
    task(name="t", registry=registry)(handler)
    return invoke(registry.types["t"], context or a_context(), msgspec.json.encode(payload), run_async=AsyncLoop().run)


def run_named(name: str, payload: Any) -> TaskResult:
    return invoke(default_registry.types[name], a_context(), msgspec.json.encode(payload), run_async=AsyncLoop().run)


def test_a_result_is_the_returned_value_as_json() -> None:
    ended = run_named("t.double", {"n": 21})
    assert (ended.outcome, bytes(ended.result), ended.task_id, ended.attempt) == ("succeeded", b"42", "t", 2)
    assert ended.run_ms > 0


def test_an_async_handler_returns_like_any_other() -> None:
    assert msgspec.json.decode(run_named("t.async", {"n": 4}).result) == {"n": 8, "attempt": 2}


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_async_handler_that_exits_leaves_the_others_their_loop(error: type[BaseException]) -> None:
    loop = AsyncLoop()

    async def leave() -> None:
        raise error

    registry = Registry()
    task(name="leave", registry=registry)(leave)
    ended = invoke(registry.types["leave"], a_context(), b"null", run_async=loop.run)
    assert ended.error is not None
    assert (ended.outcome, ended.error.type) == ("failed", error.__name__)
    other = invoke(default_registry.types["t.async"], a_context(), b'{"n": 4}', run_async=loop.run)
    assert other.outcome == "succeeded"
    loop.close()


def test_a_retry_after_something_else_than_seconds_fails_the_attempt() -> None:
    def handler() -> None:
        raise Retry(after=timedelta(seconds=30))  # type: ignore[arg-type]

    ended = run(handler)
    assert ended.error is not None
    assert (ended.error.type, ended.retryable, ended.retry_after_seconds) == ("TypeError", True, None)
    assert "number of seconds" in ended.error.message


def test_an_error_that_cannot_even_be_shown_is_still_an_end() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise SystemExit

    def handler() -> None:
        raise Unspeakable

    assert run(handler).outcome == "failed"


@pytest.mark.parametrize(
    ("how", "kind", "is_retryable", "after"),
    [
        ("value", "ValueError", True, None),
        ("retry", "Retry", True, 12.5),
        ("fail", "Fail", False, None),
        ("exit", "SystemExit", False, None),
    ],
)
def test_errors_say_whether_to_try_again(how: str, kind: str, is_retryable: bool, after: float | None) -> None:
    ended = run_named("t.fail", {"how": how})
    assert ended.error is not None
    assert (ended.outcome, ended.error.type, ended.retryable, ended.retry_after_seconds) == (
        "failed", kind, is_retryable, after,
    )  # fmt: skip
    assert "in fail\n" in ended.error.traceback
    assert "invoke.py" not in ended.error.traceback


def test_text_that_no_row_may_hold_is_replaced_in_errors() -> None:
    ended = run_named("t.fail", {"how": "value"})
    assert ended.error is not None
    assert ended.error.message == "no good \ufffd \ufffd"
    msgspec.json.encode(ended)


def test_long_errors_are_cut_and_marked() -> None:
    ended = run_named("t.fail", {"how": "long"})
    assert ended.error is not None
    assert ended.truncated
    assert len(ended.error.message) == MAX_ERROR_MESSAGE_CHARS
    assert len(ended.error.traceback) <= MAX_TRACEBACK_CHARS


def test_a_payload_that_does_not_fit_fails_for_good() -> None:
    ended = run_named("t.double", {"n": "x"})
    assert ended.error is not None
    assert (ended.outcome, ended.retryable, ended.error.type) == ("failed", False, "workers.signature.PayloadError")
    assert ended.error.traceback == ""


@pytest.mark.parametrize(("kind", "words"), [("big", "600,002 bytes"), ("set", ""), ("object", "is no JSON")])
def test_results_that_cannot_be_sent_fail_with_the_reason(kind: str, words: str) -> None:
    ended = run_named("t.result", {"kind": kind})
    if not words:
        assert bytes(ended.result) == b"[1]"
        return
    assert ended.error is not None
    assert (ended.outcome, ended.retryable) == ("failed", False)
    assert words in ended.error.message


@pytest.mark.parametrize(("kind", "value"), [("nul", ["a\ufffdb"]), ("surrogate", {"\ufffd": "\ufffd"})])
def test_results_with_impossible_characters_are_mended_and_marked(kind: str, value: Any) -> None:
    ended = run_named("t.result", {"kind": kind})
    assert (ended.outcome, ended.sanitized, ended.truncated) == ("succeeded", True, False)
    assert msgspec.json.decode(ended.result) == value


def test_an_escaped_backslash_is_not_taken_for_a_nul() -> None:
    ended = run(lambda_value, "\\u0000")
    assert not ended.sanitized
    assert msgspec.json.decode(ended.result) == "\\u0000"


def lambda_value(payload: str) -> str:
    return payload


@pytest.mark.parametrize("reason", ["cancelled", "timed_out", "released"])
def test_a_stop_that_was_noticed_ends_in_its_own_word(reason: Any) -> None:
    def raises(context: TaskContext) -> None:
        context.request_stop(reason)
        context.check_cancelled()

    def returns(context: TaskContext) -> str | None:
        context.request_stop(reason)
        return "half" if context.cancelled else None

    def cleans_up_badly(context: TaskContext) -> None:
        context.request_stop(reason)
        if context.cancelled:
            raise RuntimeError("left over")

    assert [run(handler).outcome for handler in (raises, returns, cleans_up_badly)] == [reason] * 3


def test_a_stop_that_came_too_late_to_be_noticed_changes_nothing() -> None:
    def finishes(context: TaskContext) -> str:
        context.request_stop("cancelled")
        return "whole"

    ended = run(finishes)
    assert (ended.outcome, msgspec.json.decode(ended.result)) == ("succeeded", "whole")


def test_a_handler_that_calls_itself_cancelled_has_failed() -> None:
    def invents() -> None:
        raise TaskCancelled

    assert run(invents).outcome == "failed"


def test_sleep_ends_at_once_when_a_stop_is_requested() -> None:
    import threading

    context = a_context()
    asleep = threading.Thread(target=lambda: results.append(run(sleeps, context=context)))
    results: list[TaskResult] = []

    def sleeps(context: TaskContext) -> None:
        context.sleep(60)

    asleep.start()
    context.request_stop("cancelled")
    asleep.join(30)
    assert results[0].outcome == "cancelled"


def test_an_async_handler_is_cancelled_and_may_clean_up() -> None:
    import asyncio

    cleaned: list[bool] = []
    context = a_context()

    async def waits() -> None:
        context.request_stop("cancelled")
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    assert run(waits, context=context).outcome == "cancelled"
    assert cleaned == [True]


def test_log_arguments_that_do_not_fit_are_no_error() -> None:
    notes = Notes()
    context = TaskContext("t", 1, 1, notes)
    context.log.info("100%", 1)
    context.log.info("%d files", 3)
    _, _, lines = notes.take(0.0)
    assert [(line.n, line.text) for line in lines] == [(1, "100% (1,)"), (2, "3 files")]


def test_clean_text_leaves_other_characters_alone() -> None:
    assert clean_text("grün 🌳 \u202e") == "grün 🌳 \u202e"


def test_the_exceptions_of_handlers_are_importable_from_the_package() -> None:
    assert isinstance(Retry(after=1).after, int)
    assert str(Fail("x")) == "x"
    assert handlers.double(2) == 4
