"""Behaviour settings: one frozen dataclass, read once from ``settings.TASKDIST``.

Every field has a unit in its name, a default and a reason. Unknown keys are refused with a suggestion.
"""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

#: The most attempts that a task may be given.
MAX_ATTEMPTS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Conf:
    """All behaviour settings with their defaults."""

    #: How often a node says that it lives.
    heartbeat_seconds: float = 5.0
    #: Silence after which a node gets no new work.
    suspect_after_seconds: float = 15.0
    #: Silence after which what a node held is given to others. At least three heartbeats.
    lease_seconds: float = 30.0
    #: How often the poller asks every node for its status.
    poll_seconds: float = 5.0
    #: How often leases and deadlines are looked at.
    sweep_seconds: float = 2.0
    #: How often due tasks are looked for when nothing wakes the stager.
    stage_seconds: float = 0.5
    #: How often the assigner looks for work when nothing wakes it.
    assign_seconds: float = 1.0
    #: How often the roll-ups follow the feed.
    rollup_seconds: float = 0.25
    #: How often bulk actions that are due are looked for.
    bulk_seconds: float = 0.5
    #: How often old rows are looked for.
    prune_seconds: float = 60.0

    #: Run time allowed to a task that names none.
    default_timeout_seconds: float = 3600.0
    #: The longest run time a task may ask for.
    max_timeout_seconds: float = 7 * 86400.0
    #: What an attempt may take beyond its timeout (waiting on the node, reporting) before it counts as lost.
    attempt_grace_seconds: float = 60.0
    #: Total time for one push to a node, connecting included.
    push_timeout_seconds: float = 10.0
    #: The part of it that making the connection may take.
    connect_timeout_seconds: float = 2.0
    #: The most a node may answer, in bytes.
    max_node_answer_bytes: int = 16 * 1024 * 1024

    #: Counted attempts of a task that names no limit.
    default_max_attempts: int = 3
    #: Longest pause before the first retry; it doubles from retry to retry.
    default_backoff_seconds: float = 2.0
    #: Where that pause stops growing.
    default_backoff_cap_seconds: float = 600.0
    #: Crashes of its process or losses of its node after which a task is failed as poison.
    max_crashes: int = 3
    #: Attempts that do not count (rejected, released) before the task is failed after all.
    max_released: int = 100

    #: The most one request may carry, in bytes.
    max_request_bytes: int = 16 * 1024 * 1024
    #: The most one task's payload may measure, in bytes of JSON.
    max_payload_bytes: int = 256 * 1024
    #: Results beyond this are cut and marked, in bytes of JSON.
    max_result_bytes: int = 256 * 1024
    #: Tasks in one submit request.
    max_submit_tasks: int = 10_000
    #: Tasks that may wait, for their time or for a slot; further submits are answered 503. 0 for no limit.
    max_backlog: int = 1_000_000
    #: The same for each queue, answered 429.
    max_queue_backlog: int = 0
    #: Reports of results a node may send in a second; heartbeats and registrations a tenth of it. More gets 429.
    max_node_requests_per_second: float = 500.0
    #: Tasks claimed in one pass of the assigner.
    claim_batch: int = 1000
    #: Log lines kept per attempt; later ones are dropped and counted.
    max_log_lines: int = 10_000

    #: How long finished tasks stay.
    keep_tasks_days: float = 14.0
    #: How long the change feed stays; operators' actions stay as long as ``keep_audit_days``.
    keep_feed_days: float = 3.0
    #: How long operators' actions stay in the feed.
    keep_audit_days: float = 365.0
    #: How long the figures per minute stay, from which the charts are drawn.
    keep_rollup_days: float = 90.0
    #: How long a repeated submit with the same idempotency key is recognised.
    keep_idempotency_days: float = 7.0

    #: Names of secrets beside those in docs/hardening.md, comma separated; "-name" takes one of those away.
    redact_keys: str = ""
    #: How long a new API token is good for unless something else is asked for.
    api_token_days: float = 90.0
    #: Age at which a node is asked to fetch a new credential in place of its own; 0: only when an operator asks for it.
    node_credential_days: float = 0.0
    #: How long the old credential of a node stays good once its new one has been used.
    credential_overlap_seconds: float = 600.0
    #: Failed sign-ins within a minute, per name and address, after which further tries have to wait; from one address
    #: under any names, ten times as many.
    login_failures_per_minute: int = 10
    #: Requests with a token that is no good, within a minute from one address, after which they are answered 429.
    token_failures_per_minute: int = 100
    #: Proxies of ours in front of the web processes: so many last entries of X-Forwarded-For are believed. 0: none.
    num_proxies: int = 0

    #: Requests that one web process works on at a time, a third of them kept for nodes; on PostgreSQL at most two
    #: fewer than ``TASKDIST_DATABASE_POOL``.
    web_threads: int = 12
    #: How long a request waits for its turn before it is answered 503.
    web_wait_seconds: float = 0.5
    #: Requests that may wait so; further ones are answered 503 by their headers.
    web_backlog: int = 100
    #: Connections of one web process, websockets included.
    max_connections: int = 1000
    #: The same from one address; 0 for no limit, behind a proxy.
    max_connections_per_address: int = 250
    #: How long the headers of a request may take to arrive; bodies must bring 64 KiB in two thirds of it.
    header_seconds: float = 15.0
    #: Bytes of request bodies that one web process holds at a time.
    max_buffered_bytes: int = 256 * 1024 * 1024
    #: Websockets of one session in one web process.
    max_websockets_per_session: int = 20

    #: Networks that node addresses may resolve to (CIDR, comma separated). The default admits this machine only.
    node_networks: str = "127.0.0.0/8,::1/128"
    #: Ports of well-known services (22, 5432, 6379 and the like) that nodes may use all the same, comma separated.
    node_ports: str = ""

    def __post_init__(self) -> None:
        _check_each(self.node_networks, "NODE_NETWORKS", _network, "networks such as 10.1.2.0/24")
        _check_each(self.node_ports, "NODE_PORTS", _port, "ports from 1 to 65535")
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ImproperlyConfigured("TASKDIST: lease_seconds must be at least three times heartbeat_seconds")
        if not self.heartbeat_seconds < self.suspect_after_seconds < self.lease_seconds:
            raise ImproperlyConfigured("TASKDIST: need heartbeat_seconds < suspect_after_seconds < lease_seconds")
        if not 1 <= self.default_max_attempts <= MAX_ATTEMPTS:
            raise ImproperlyConfigured(f"TASKDIST: default_max_attempts must be from 1 to {MAX_ATTEMPTS}")
        if min(self.default_backoff_seconds, self.default_backoff_cap_seconds) < 0:
            raise ImproperlyConfigured("TASKDIST: default_backoff_seconds and its cap must not be negative")


def _check_each(text: str, name: str, read: Callable[[str], object], wanted: str) -> None:
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            read(part)
        except ValueError:
            raise ImproperlyConfigured(
                f"TASKDIST_{name} must hold {wanted}, with commas between them, not {part!r}."
            ) from None


def _network(text: str) -> object:
    return ipaddress.ip_network(text, strict=False)


def _port(text: str) -> int:
    return range(65536)[1:].index(int(text))


@cache
def conf() -> Conf:
    """The settings in force. Raises ``ImproperlyConfigured`` for an unknown key or an impossible combination."""
    given: dict[str, Any] = getattr(settings, "TASKDIST", {})
    known = [f.name for f in fields(Conf)]
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise ImproperlyConfigured(
                f"TASKDIST: unknown setting {key!r}" + (f"; did you mean {close[0]!r}?" if close else "")
            )
    return Conf(**given)


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "TASKDIST":
        conf.cache_clear()


setting_changed.connect(_forget)
