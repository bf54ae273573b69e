"""The tasks of the rig. Each run is witnessed by a synced line at its start and its end, before its result exists."""

from __future__ import annotations

import hashlib
import os
import uuid
from functools import cache
from pathlib import Path
from typing import Any

from tests.chaos.journal import Journal
from workers import TaskCancelled, TaskContext, task

#: New in every process, as a worker's boot id is.
BOOT = uuid.uuid4().hex


@cache
def _journal() -> Journal:
    return Journal(Path(os.environ["CHAOS_JOURNALS"]) / f"runs-{os.environ['CHAOS_NODE']}.jsonl", synced=True)


class AskedToFail(Exception):
    """The submitter wanted this attempt to fail."""


def _run(context: TaskContext, nonce: str, ms: float, fails: int) -> dict[str, str]:
    facts: dict[str, Any] = {
        "task": int(context.task_id),
        "attempt": context.attempt,
        "nonce": nonce,
        "node": os.environ["CHAOS_NODE"],
        "boot": BOOT,
        "pid": os.getpid(),
    }
    # Nobody but this very run can know it before it has written it down.
    secret = f"{nonce}:{context.task_id}:{context.attempt}:{BOOT}:{uuid.uuid4().hex}"
    digest = hashlib.sha256(secret.encode()).hexdigest()[:32]
    _journal().write("start", **facts)
    how = "failed"
    try:
        context.sleep(ms / 1000)
        if context.attempt <= fails:
            raise AskedToFail(nonce)
        how = "succeeded"
    except TaskCancelled:
        how = "stopped"
        raise
    finally:
        _journal().write("end", **facts, how=how, digest=digest if how == "succeeded" else None)
    return {"nonce": nonce, "digest": digest}


@task(name="chaos.work", timeout=30)
def work(context: TaskContext, nonce: str, ms: float, fails: int = 0, password: str = "") -> dict[str, str]:
    """Wait; fail the first ``fails`` attempts. Runs in a thread of the node. The password is of no use but to leak."""
    return _run(context, nonce, ms, fails)


@task(name="chaos.child", timeout=30, executor="process")
def child(context: TaskContext, nonce: str, ms: float, fails: int = 0, password: str = "") -> dict[str, str]:
    """The same in a child process."""
    return _run(context, nonce, ms, fails)


@task(name="chaos.poison", timeout=30)
def poison(context: TaskContext, nonce: str, ms: float = 0) -> None:
    """Write that it begins, then take the whole node with it."""
    facts = {"task": int(context.task_id), "attempt": context.attempt, "nonce": nonce}
    _journal().write("start", **facts, node=os.environ["CHAOS_NODE"], boot=BOOT, pid=os.getpid())
    os.kill(os.getpid(), 9)
