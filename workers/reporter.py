"""Brings results, progress and log lines to the dispatcher, in batches, until they are acknowledged.

One thread, one connection. A report goes out when the last job has ended, when 200 results have gathered, or 5 ms
after the first; while one is on its way, the next gathers. What the dispatcher will not take is singled out, so that
one bad result cannot hold up the others.
"""

from __future__ import annotations

import logging
import threading
import time
from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from workers.backoff import Backoff
from workers.client import Answer, Unreachable
from workers.node import Node
from workers.protocol import (
    MAX_REPORT_RESULTS,
    AttemptRef,
    LogLine,
    Progress,
    Report,
    ReportReply,
    Started,
    TaskError,
    TaskResult,
)

logger = logging.getLogger(__name__)

PATH: Final = "/api/v1/nodes/results"
#: Results in one report, in bytes of JSON.
MAX_REPORT_BYTES: Final = 1_000_000
#: How long the first of several results waits for others, in seconds.
GATHER_SECONDS: Final = 0.005
#: While the credential is refused, in seconds.
REFUSED_PAUSE_SECONDS: Final = 30.0
_TEND_SECONDS: Final = 1.0
#: The dispatcher understood the request and says it can never take it.
_NEVER: Final = (400, 413, 422)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(ReportReply).decode
_Notes = tuple[list[Started], list[Progress], list[LogLine]]


class Client(Protocol):
    """The part of ``DispatcherClient`` that is used here."""

    def post(self, path: str, body: bytes) -> Answer:
        """Send a request."""

    def close(self) -> None:
        """Close the connection."""


class Enrolment(Protocol):
    """The part of ``Membership`` that is used here."""

    def register_again(self) -> None:
        """Register at once."""


class Reporter:
    """``start`` it once; ``finish`` sends what is left and ends it."""

    def __init__(self, node: Node, client: Client, membership: Enrolment) -> None:
        self._node = node
        self._client = client
        self._membership = membership
        self._backoff = Backoff()
        self._retry_at = 0.0
        self._tend_at = 0.0
        self._finish_by: float | None = None
        self._thread = threading.Thread(target=self._run, name="reporter", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def finish(self, seconds: float) -> bool:
        """Send what is left, for up to ``seconds``; whether everything is acknowledged."""
        self._finish_by = time.monotonic() + seconds
        self._retry_at = 0.0
        self._node.completions.ring()
        self._thread.join(seconds + 1.0)
        return len(self._node.outbox) == 0

    def _run(self) -> None:
        while not self._is_finished():
            try:
                self._node.completions.wait(self._pause(time.monotonic()))
                self.round(time.monotonic())
            except Exception:
                # Whatever it was, results are in the outbox and the thread has to live on.
                logger.exception("the reporter failed; it goes on in a moment")
                self._retry_at = time.monotonic() + self._backoff.next_delay()
        self._client.close()

    def _is_finished(self) -> bool:
        if self._finish_by is None:
            return False
        now = time.monotonic()
        if now >= self._finish_by:
            return True
        is_reported = len(self._node.outbox) == 0 and self._node.notes.next_due(now) is None
        return is_reported and not self._node.completions.has_ended

    def _pause(self, now: float) -> float:
        due = [_TEND_SECONDS, max(0.0, self._tend_at - now)]
        if self._finish_by is not None:
            due.append(0.02)
        if now < self._retry_at:
            due.append(self._retry_at - now)
        else:
            due += [
                seconds
                for seconds in (self._node.outbox.next_due(now), self._node.notes.next_due(now))
                if seconds is not None
            ]
        return min(due)

    def round(self, now: float) -> None:
        """Take in what has ended, and report what is due."""
        may_send = now >= self._retry_at
        self._node.settle(self._node.completions.take(patience=GATHER_SECONDS if may_send else 0.0))
        if now >= self._tend_at:
            self._tend_at = now + _TEND_SECONDS
            self._node.tend(now)
        while may_send:
            now = time.monotonic()
            results = self._node.outbox.take(now=now, max_results=MAX_REPORT_RESULTS, max_bytes=MAX_REPORT_BYTES)
            due = self._node.notes.next_due(now)
            # Lines and progress travel with the results at the latest, so that they arrive before the end.
            notes: _Notes = self._node.notes.take(now) if results or due == 0.0 or self._finish_by else ([], [], [])
            if not results and not any(notes):
                return
            may_send = self._send(results, notes)

    def _send(self, results: list[TaskResult], notes: _Notes) -> bool:
        """One report; ``False``: wait before the next."""
        started, progress, logs = notes
        report = Report(boot_id=self._node.boot_id, results=results, started=started, progress=progress, logs=logs)
        try:
            answer = self._client.post(PATH, _encode(report))
        except Unreachable as error:
            return self._failed(results, notes, f"the dispatcher cannot be reached: {error}", None)
        if answer.is_ok:
            return self._accepted(results, answer)
        if answer.status == HTTPStatus.CONFLICT:
            self._membership.register_again()
            return self._failed(results, notes, "the dispatcher asks the node to register", None)
        if answer.status in _NEVER:
            return self._refused(results, notes, answer)
        pause = REFUSED_PAUSE_SECONDS if answer.status in (401, 403) else answer.retry_after
        return self._failed(results, notes, f"the dispatcher answered {answer.status}", pause)

    def _accepted(self, results: list[TaskResult], answer: Answer) -> bool:
        try:
            reply = _decode(answer.body)
        except msgspec.DecodeError as error:
            return self._failed(results, ([], [], []), f"the dispatcher's answer cannot be read: {error}", None)
        self._node.ack(AttemptRef(task_id=v.task_id, attempt=v.attempt) for v in reply.verdicts)
        self._node.cancel(reply.cancel)
        self._node.supersede(reply.superseded)
        judged = {(verdict.task_id, verdict.attempt) for verdict in reply.verdicts}
        left = [result for result in results if (result.task_id, result.attempt) not in judged]
        if left:
            return self._failed(left, ([], [], []), f"the dispatcher gave no verdict on {len(left)} results", None)
        if self._backoff.failures:
            logger.info("results are being reported again")
        self._backoff.reset()
        return True

    def _failed(self, results: list[TaskResult], notes: _Notes, why: str, pause: float | None) -> bool:
        now = time.monotonic()
        delay = self._backoff.next_delay()
        self._retry_at = now + max(delay, pause or 0.0)
        if self._finish_by is not None:
            self._retry_at = min(self._retry_at, now + 0.5)
        self._node.outbox.put_back(results)
        self._node.notes.put_back(*notes, now=now, due_at=self._retry_at)
        if self._backoff.failures in (1, 5) or self._backoff.failures % 50 == 0:
            logger.warning("%s; %d results are kept and tried again", why, len(self._node.outbox))
        return False

    def _refused(self, results: list[TaskResult], notes: _Notes, answer: Answer) -> bool:
        """The dispatcher will never take this report: halve it until the culprit is alone, and report that in words."""
        said = answer.body[:300].decode("utf-8", "replace")
        if any(notes):
            logger.error("the dispatcher refused a report (%d): %s; sending its results alone", answer.status, said)
            return self._send(results, ([], [], [])) if results else True
        if len(results) > 1:
            middle = len(results) // 2
            if not self._send(results[:middle], notes):
                self._node.outbox.put_back(results[middle:])
                return False
            return self._send(results[middle:], notes)
        result = results[0]
        logger.error("the dispatcher refused the result of task %s (%d): %s", result.task_id, answer.status, said)
        if result.error is not None and result.error.type == "ResultRefused":
            # Not even the bare word that it was refused is taken: nothing is left to try.
            self._node.ack([AttemptRef(task_id=result.task_id, attempt=result.attempt)])
            return True
        self._node.outbox.replace(_refusal_of(result, answer.status, said), now=time.monotonic())
        return True


def _refusal_of(result: TaskResult, status: int, said: str) -> TaskResult:
    message = f"The dispatcher refused the result with {status}: {said}"
    return TaskResult(
        task_id=result.task_id,
        attempt=result.attempt,
        outcome="failed",
        error=TaskError(type="ResultRefused", message=message),
        retryable=False,
        run_ms=result.run_ms,
    )
