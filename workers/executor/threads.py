"""Handlers in the slot's own thread, and async handlers on one event loop beside them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any

from workers.context import TaskContext
from workers.executor.job import Job
from workers.invoke import invoke
from workers.protocol import TaskResult


class AsyncLoop:
    """One event loop in a thread of its own, started when the first async handler comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False

    def run(self, coroutine: Coroutine[Any, Any, Any], context: TaskContext) -> Any:
        """Run ``coroutine`` on the loop and wait for its result; a requested stop cancels it."""
        loop = self._ensure()
        ended: concurrent.futures.Future[asyncio.Task[Any]] = concurrent.futures.Future()

        def cancel(task: asyncio.Task[Any]) -> None:
            loop.call_soon_threadsafe(task.cancel)

        def start() -> None:
            task = loop.create_task(coroutine)
            task.add_done_callback(ended.set_result)
            context.on_stop(lambda _reason: cancel(task))

        loop.call_soon_threadsafe(start)
        # Not before the coroutine has really ended: until then it holds its slot.
        task = ended.result()
        context.on_stop(None)
        return task.result()

    def close(self) -> None:
        """Stop the loop; coroutines that still run are left where they are."""
        self._is_closed = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _ensure(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._serve, args=(self._loop,), name="async-handlers", daemon=True).start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._is_closed:
            # These two end an event loop, after the coroutine that raised them: the others go on.
            with contextlib.suppress(SystemExit, KeyboardInterrupt):
                loop.run_forever()
        loop.close()


class ThreadRunner:
    """Runs handlers in the calling slot thread."""

    def __init__(self, *, max_result_bytes: int) -> None:
        self._async = AsyncLoop()
        self._max_result_bytes = max_result_bytes

    def run(self, job: Job) -> TaskResult:
        """Run to the end, in this thread or (async handlers) waiting for the loop."""
        return invoke(
            job.type, job.context, job.payload, run_async=self._async.run, max_result_bytes=self._max_result_bytes
        )

    def kill(self, job: Job) -> bool:
        """Threads cannot be killed."""
        return False

    def close(self) -> None:
        """Stop the loop of async handlers."""
        self._async.close()
