"""What `manage.py doctor` looks at in what runs: web tier, engine, loops, worker nodes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from dispatcher.conf import conf
from dispatcher.launch.findings import Finding, fail, ok, warn
from dispatcher.launch.holding import announced_address
from dispatcher.launch.programs import Address
from dispatcher.launch.reachability import answers
from dispatcher.models import EngineProcess, Node
from dispatcher.states import NodeIntent, NodeState

# An engine renews its row every few seconds; after this it is dead or stuck.
ENGINE_SILENCE = timedelta(seconds=20)
# As `dispatcher.engine` says it of a node that refused a signature.
REFUSED = "it answered 401"


def web(_now: datetime) -> Iterator[Finding]:
    """Look whether the web tier answers on this machine."""
    running = announced_address(Path(settings.VAR_DIR))
    address = running or Address(host=settings.TASKDIST_HOST, port=settings.TASKDIST_PORT)
    if answers(address):
        yield ok("web", f"answers at {address.url}/")
        return
    seen = f"does not answer at {address.url}/"
    elsewhere = "If it listens elsewhere, set TASKDIST_HOST and TASKDIST_PORT."
    if running:
        yield fail("web", seen, f"Its log is {settings.VAR_DIR}/log/web.log.")
    elif connection.vendor == "postgresql":
        # The web tier of an installation on several machines need not be on this one.
        yield warn("web", seen, f"Unless it runs on another machine, start it. {elsewhere}")
    else:
        yield fail("web", seen, f"Start it with `make run`. {elsewhere}")


def engines(now: datetime) -> Iterator[Finding]:
    """Look whether an engine is alive, and when its loops made their last pass."""
    alive = list(alive_engines(now))
    if not alive:
        last = EngineProcess.objects.order_by("-last_seen_at").first()
        seen = (
            f"none alive; the last was seen {last.last_seen_at:%Y-%m-%d %H:%M:%S} UTC" if last else "none has ever run"
        )
        yield fail("engine", seen, "Start it with `make run` (or `manage.py engine`); its log is var/log/engine.log.")
    for engine in alive:
        yield ok("engine", f"process {engine.pid} on {engine.host}, since {engine.started_at:%Y-%m-%d %H:%M:%S} UTC")
        late = engine.late_loops(now)
        for name, health in sorted(engine.loops.items()):
            since_report = (now - engine.last_seen_at).total_seconds()
            yield _loop(name, health, since_report=since_report, is_late=name in late)


def alive_engines(now: datetime) -> QuerySet[EngineProcess]:
    """Return the engines that were seen a moment ago."""
    return EngineProcess.objects.filter(last_seen_at__gt=now - ENGINE_SILENCE)


def nodes(now: datetime) -> Iterator[Finding]:
    """Look which worker nodes are there and take work."""
    known = list(Node.objects.exclude(intent=NodeIntent.DISABLED))
    if not known:
        yield warn("nodes", "none has registered", "`make run` starts two; README.md shows how to add a machine.")
        return
    alive = [node for node in known if node.state != NodeState.OFFLINE]
    if not alive:
        advice = "Start them again; their logs are in var/log/ where `make run` started them."
        yield fail("nodes", f"all {len(known)} are offline: no task can run", advice)
    for node in known:
        yield _node(node, now)


def _loop(name: str, health: dict[str, Any], *, since_report: float, is_late: bool) -> Finding:
    silent = health.get("last_good_seconds_ago")
    errors = int(health.get("errors", 0))
    label = f"{name} loop"
    if silent is None:
        return warn("engine", f"{label} has not made a pass yet", "Look again in a minute.")
    # It may have made its report, or a pass, since we looked at our clock.
    ago = max(0.0, float(silent) + since_report)
    seen = f"{label}: last good pass {ago:.0f} s ago, {errors} errors"
    if is_late:
        last = health.get("last_error") or "none"
        advice = f"Last error: {last}. Without one it is stuck: restart the engine and keep var/log/engine.log."
        return fail("engine", seen, advice)
    if errors:
        return warn("engine", seen, f"The last one: {health.get('last_error', '')}. See var/log/engine.log.")
    return ok("engine", seen)


def _node(node: Node, now: datetime) -> Finding:
    if node.last_seen_at is None:
        return warn("nodes", f"{node.name} has never been seen", "Start its worker, or disable the node in the admin.")
    ago = max(0.0, (now - node.last_seen_at).total_seconds())
    seen = f"{node.name}: {node.state}, {node.slots} slots, last heartbeat {ago:.0f} s ago"
    if node.state == NodeState.OFFLINE:
        return warn("nodes", seen, f"Look at its log and at the way from it to the dispatcher ({node.url}).")
    if node.state == NodeState.SUSPECT:
        advice = "It gets no new work, and loses what it holds when its lease ends. Look at its log and at the network."
        return warn("nodes", seen, advice)
    if ago > conf().suspect_after_seconds:
        advice = "Look at its log and whether the web tier and an engine run: nobody has noticed its silence yet."
        return warn("nodes", seen, advice)
    if node.push_failures:
        advice = f"Check firewall, TASKDIST_NODE_NETWORKS and its address: {node.url}."
        if REFUSED in node.trouble:
            advice = "It does not know the key that requests to it are signed with: restart it, then it registers anew."
        return warn("nodes", f"{seen}, {node.push_failures} failed requests in a row: {node.trouble}", advice)
    return ok("nodes", seen)
