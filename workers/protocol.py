"""The wire contract between dispatcher and worker nodes: JSON over HTTP.

Both sides import this module and nothing else of each other. Field names are what travels. Unknown fields are
ignored, so that a side may add one before the other knows it. A node says which versions it speaks when it registers,
and is told which one is used: the newest that both speak. Version 2 added ``resolve`` and ``resolved`` to heartbeats.
No absolute time crosses the wire: durations are in
seconds (``*_seconds``) or milliseconds (``*_ms``) and mean "ago" or "from now" on the receiver's clock.

node → dispatcher (``Authorization: Bearer <node credential>``)
    POST /api/v1/nodes/register    Register   -> Registered
    POST /api/v1/nodes/heartbeat   Heartbeat  -> HeartbeatReply   (409: register first)
    POST /api/v1/nodes/results     Report     -> ReportReply
    POST /api/v1/nodes/credential             -> Renewed          (after a heartbeat that said ``renew_credential``)

dispatcher → node (signed, see ``sign``)
    POST {url}/tasks               Push       -> 202 PushReply    (429/503 + Retry-After: back-pressure)
    POST {url}/control             Control    -> ControlReply
    GET  {url}/status                         -> NodeStatus
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Literal

import msgspec

#: The newest version that is spoken here.
PROTOCOL_VERSION: Final = 2
#: From this version on, heartbeats resolve attempts.
RESOLVES_BY_HEARTBEAT: Final = 2

HEADER_ID: Final = "X-Taskdist-Id"
HEADER_TIMESTAMP: Final = "X-Taskdist-Timestamp"
HEADER_SIGNATURE: Final = "X-Taskdist-Signature"
#: How far the two clocks may differ before a signature is refused, in seconds.
SIGNATURE_WINDOW_SECONDS: Final = 300
_MAX_TIMESTAMP_CHARS: Final = 12

#: A node answers a push at the latest after this time; tasks done by then travel back in the answer itself.
INLINE_RESULT_MS: Final = 10
#: A task that runs longer than this is reported as started; shorter ones only by their result.
STARTED_AFTER_MS: Final = 50

#: What the schema of a payload may weigh, as JSON, and how deep it may be; beyond that it is not used.
MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_SCHEMA_DEPTH: Final = 24
MAX_REPORT_RESULTS: Final = 1000
MAX_LOG_LINE_CHARS: Final = 8_000
MAX_ERROR_MESSAGE_CHARS: Final = 4_000
MAX_TRACEBACK_CHARS: Final = 16_000

EMPTY_JSON: Final = msgspec.Raw(b"null")

#: How an attempt ended, in the node's words.
#: released: handed back without having run to an end (drain, stop); does not count as an attempt.
Outcome = Literal["succeeded", "failed", "timed_out", "crashed", "cancelled", "released"]

#: What a node shall do: take tasks, finish what it has and take no more, or stop.
DesiredStatus = Literal["run", "drain", "stop"]

#: What the dispatcher made of one result.
#: recorded: it counts now; duplicate: it counted before; superseded: another attempt took over, or the task has ended
#: otherwise; unknown: no such task. In every case the node may forget the result.
VerdictWord = Literal["recorded", "duplicate", "superseded", "unknown"]

#: What a node made of one pushed task.
#: duplicate: this very attempt is already here (or was and is finished); superseded: a later attempt of the task was
#: seen or the attempt was tombstoned. done: finished within the answer; ``result`` is set.
PushWord = Literal["accepted", "duplicate", "superseded", "rejected", "done"]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Base of all messages: keyword-only, defaults left out on the wire."""


class AttemptRef(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One attempt of one task; ``attempt`` counts from 1 and rises at every claim: it is the fence."""

    task_id: str
    attempt: int


class TypeInfo(Message):
    """What a node says of one task type it can run."""

    version: str = ""
    description: str = ""
    timeout_seconds: float | None = None
    #: JSON Schema of the payload, if the handler has one. docs/worker_protocol.md says what of it is checked.
    schema: dict[str, object] | None = None


class Register(Message):
    """Sent at start, and again whenever a heartbeat is answered with 409.

    ``boot_id`` is random per start of the program: a new one tells the dispatcher that every attempt of the old one is
    lost. ``types`` of ``None`` means "any type"; ``queues`` empty means all.
    """

    name: str
    url: str
    boot_id: str
    slots: int = 1
    labels: dict[str, str] = {}
    queues: list[str] = []
    types: dict[str, TypeInfo] | None = None
    version: str = ""
    #: The oldest version that the node makes do with. A dispatcher that speaks only older ones refuses it.
    protocol: int = 1
    #: The newest version that the node speaks.
    newest_protocol: int = 1


class Registered(Message):
    """``push_key`` is given at every registration, ``credential`` once, for an enrolment token."""

    node_id: int
    name: str
    push_key: str
    heartbeat_seconds: float
    lease_seconds: float
    status: DesiredStatus = "run"
    credential: str | None = None
    #: The version that is used from here on. A dispatcher of version 1 does not say.
    protocol: int = 1


class Held(Message):
    """An attempt that is on the node: waiting for a slot, or in one."""

    task_id: str
    attempt: int
    running: bool = False


class Resolved(Message):
    """What the node knows of one attempt."""

    task_id: str
    attempt: int
    state: Literal["held", "running", "finished", "tombstoned"]
    result: TaskResult | None = None


class Heartbeat(Message):
    """A node lives, and holds these."""

    boot_id: str
    held: list[Held] = []
    free_slots: int = 0
    #: True once the node itself wants no more work (SIGTERM).
    draining: bool = False
    #: What the node knows of the attempts that the last reply asked for; without results, these are reported.
    resolved: list[Resolved] = []


class HeartbeatReply(Message):
    """What the node shall do."""

    status: DesiredStatus = "run"
    heartbeat_seconds: float = 5.0
    #: Asked to be cancelled: stop the run and report ``cancelled``.
    cancel: list[AttemptRef] = []
    #: No longer this node's: stop the run, report nothing.
    superseded: list[AttemptRef] = []
    #: As in ``Control``, for a node that cannot be reached; the next heartbeat, sent at once, holds the answer.
    resolve: list[AttemptRef] = []
    #: With ``drain``: hand back, as ``released``, what has not ended in so many seconds; absent: take your time.
    drain_seconds: float | None = None
    #: Fetch another credential in place of the one that this heartbeat was sent with.
    renew_credential: bool = False


class Renewed(Message):
    """A node's next credential and push key. Once it has stored the credential it uses it, and nothing else.

    Requests to the node are signed with the new key from the first use of the credential on; some that were signed
    with the old one may still arrive.
    """

    credential: str
    push_key: str


class TaskError(Message):
    """An exception, as text."""

    type: str
    message: str = ""
    traceback: str = ""


class TaskResult(Message):
    """The end of one attempt. ``result`` is raw JSON; ``truncated`` marks that it or the error was cut to size.

    ``sanitized`` marks that something in it was replaced that no database row may hold, such as NUL by U+FFFD.
    """

    task_id: str
    attempt: int
    outcome: Outcome
    result: msgspec.Raw = EMPTY_JSON
    error: TaskError | None = None
    #: False: do not try again whatever max_attempts says.
    retryable: bool = True
    #: The handler's own wish for the delay before the next attempt.
    retry_after_seconds: float | None = None
    run_ms: float = 0.0
    truncated: bool = False
    sanitized: bool = False


class Started(Message):
    """An attempt that has been running for a while."""

    task_id: str
    attempt: int
    running_ms: float = 0.0


class Progress(Message):
    """How far an attempt is."""

    task_id: str
    attempt: int
    #: 0.0 to 1.0, or None when unknown.
    fraction: float | None = None
    message: str = ""


class LogLine(Message):
    """One line of a running task. ``n`` counts from 1 within the attempt."""

    task_id: str
    attempt: int
    n: int
    text: str
    level: Literal["debug", "info", "warning", "error"] = "info"
    age_ms: float = 0.0


class Report(Message):
    """What happened on a node since its last report; a batch of at most ``MAX_REPORT_RESULTS`` results.

    ``boot_id`` is that of the reporting process; results may stem from an earlier one (replayed outbox).
    """

    boot_id: str
    results: list[TaskResult] = []
    started: list[Started] = []
    progress: list[Progress] = []
    logs: list[LogLine] = []


class Verdict(Message):
    """What became of one result."""

    task_id: str
    attempt: int
    verdict: VerdictWord


class ReportReply(Message):
    """The answer to a report, item by item."""

    verdicts: list[Verdict] = []
    cancel: list[AttemptRef] = []
    superseded: list[AttemptRef] = []


class PushTask(Message):
    """One claimed task."""

    task_id: str
    attempt: int
    type: str
    payload: msgspec.Raw = EMPTY_JSON
    queue: str = "default"
    timeout_seconds: float | None = None
    max_attempts: int = 1


class Push(Message):
    """A batch of claimed tasks. A node with another ``boot_id`` answers 409 and takes none of them."""

    boot_id: str
    tasks: list[PushTask]
    #: Results of earlier answers that are safe in the database now.
    ack: list[AttemptRef] = []


class PushItem(Message):
    """What the node made of one task."""

    task_id: str
    attempt: int
    status: PushWord
    #: For ``rejected``: unknown_type, full, draining, replayed (the same message came before).
    reason: str = ""
    result: TaskResult | None = None


class PushReply(Message):
    """The answer to a push, item by item."""

    items: list[PushItem]


class NodeStatus(Message):
    """The answer to the poller: what is held, and results the node has not been able to report."""

    name: str
    boot_id: str
    slots: int
    held: list[Held] = []
    finished: list[TaskResult] = []
    draining: bool = False
    version: str = ""
    uptime_seconds: float = 0.0


class Control(Message):
    """Orders to a node. Applied in the order of the fields; repeating any of them changes nothing more."""

    boot_id: str
    #: Results that are safe in the dispatcher's database: drop them from the outbox.
    ack: list[AttemptRef] = []
    cancel: list[AttemptRef] = []
    #: Stop the run, report nothing.
    superseded: list[AttemptRef] = []
    #: "Do you have these?" An attempt the node has never seen is tombstoned: it will refuse it if it still arrives.
    resolve: list[AttemptRef] = []
    status: DesiredStatus | None = None


class ControlReply(Message):
    """The answer to orders."""

    resolved: list[Resolved] = []


def sign(key: str, *, message_id: str, timestamp: int, method: str, path: str, body: bytes) -> str:
    """Signature of a request to a node: HMAC-SHA256 over ``id.timestamp.METHOD path.body``, as ``v1=<hex>``.

    ``key`` is the node's own push key, so nothing in a push is accepted by another node; ``timestamp`` is Unix seconds.
    """
    head = f"{message_id}.{timestamp}.{method.upper()} {path}.".encode()
    return "v1=" + hmac.new(key.encode(), head + body, hashlib.sha256).hexdigest()


def is_signed(
    key: str, signature: str, *, message_id: str, timestamp: str, method: str, path: str, body: bytes, now: float
) -> bool:
    """Whether ``signature`` is right for the raw ``body`` and within the window around ``now`` (Unix seconds)."""
    if not key or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > _MAX_TIMESTAMP_CHARS:
        return False
    if abs(now - int(timestamp)) > SIGNATURE_WINDOW_SECONDS:
        return False
    expected = sign(key, message_id=message_id, timestamp=int(timestamp), method=method, path=path, body=body)
    return hmac.compare_digest(expected.encode(), signature.encode())
