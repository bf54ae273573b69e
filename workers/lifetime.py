"""From configuration to a running node and back to nothing: start, wait for a signal, drain, end."""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import IO, Final, Literal

from workers.client import DispatcherClient
from workers.config import NodeConfig
from workers.executor.commands import command_types
from workers.executor.processes import ProcessRunner
from workers.executor.threads import ThreadRunner
from workers.identity import Identity
from workers.loading import LoadError, after_each_task, load_handlers
from workers.membership import Membership
from workers.node import Limits, Node
from workers.options import ConfigError
from workers.outbox import Outbox
from workers.registry import RegistrationError, default_registry
from workers.reporter import Reporter
from workers.server import NodeServer

logger = logging.getLogger("workers")

VERSION: Final = "taskdist-python/1"
#: Time for the last report, in seconds: after a drain, and when there is no time at all.
_FLUSH_SECONDS: Final = 5.0
_HASTY_FLUSH_SECONDS: Final = 2.0
#: Time for handlers to notice that they shall stop, after the drain.
_RELEASE_SECONDS: Final = 2.0
_KILL_SECONDS: Final = 1.0
_TICK_SECONDS: Final = 0.05
_SWITCH_SECONDS: Final = 0.001

Word = Literal["signal", "order"]


class Program:
    """One node program."""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        # SimpleQueue.put is the one thing that a signal handler may safely call while its own thread waits.
        self._words: queue.SimpleQueue[Word] = queue.SimpleQueue()
        self._lock_file = _lock(config.state_dir)
        identity = Identity(config.state_dir, config.token)
        if not identity.is_present:
            raise ConfigError("The node has no token: give --token, --token-file, or the variable TASKDIST_TOKEN.")
        # A handler has no use for it, and what a handler prints may be seen by others.
        os.environ.pop("TASKDIST_TOKEN", None)
        self._processes = self._make_process_runner()
        self.node = self._make_node()
        self._server = _bind(self.node, config)
        url = config.url(self._server.port)
        self._server.advertise(url)
        self._membership = Membership(
            self.node, self._client(identity), identity, url=url, labels=config.labels, queues=config.queues
        )
        self._reporter = Reporter(self.node, self._client(identity), self._membership)

    def _make_process_runner(self) -> ProcessRunner:
        config = self._config
        try:
            return ProcessRunner(
                imports=config.imports,
                commands=config.commands,
                state_dir=config.state_dir,
                max_result_bytes=config.max_result_bytes,
            )
        except OSError as error:
            raise _unusable(config.state_dir, error) from None

    def _make_node(self) -> Node:
        config = self._config
        try:
            load_handlers(config.imports)
        except (LoadError, RegistrationError) as error:
            raise ConfigError(str(error)) from None
        commands = command_types(config.commands, str(config.state_dir / "commands"))
        types = default_registry.types | commands
        if not types:
            raise ConfigError("This node could run nothing: name a module with @task handlers by --import.")
        return Node(
            name=config.name,
            limits=Limits(config.slots, config.max_queue, config.executor),
            types=types,
            outbox=Outbox(config.state_dir / "outbox", max_results=config.outbox_results),
            runners={"thread": ThreadRunner(max_result_bytes=config.max_result_bytes), "process": self._processes},
            after_job=after_each_task(),
            version=VERSION,
        )

    def _client(self, identity: Identity) -> DispatcherClient:
        return DispatcherClient(self._config.dispatcher, lambda: identity.token, ca_file=self._config.ca_file)

    def run(self) -> int:
        """Run until told to stop; the exit status. Raises ``ConfigError`` if the state directory cannot be used."""
        leftovers = self._processes.end_leftovers()
        if leftovers:
            logger.warning("ended %d processes that the last run of this node left behind", leftovers)
        self._processes.guard()
        self.node.on_stop_order = lambda: self._words.put("order")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        # A handler that computes must not hold up heartbeats and answers for 5 ms (Python's default) at every turn.
        sys.setswitchinterval(_SWITCH_SECONDS)
        try:
            self.node.start()
        except OSError as error:
            raise _unusable(self._config.state_dir, error) from None
        if len(self.node.outbox):
            logger.info("%d results of an earlier run will be reported", len(self.node.outbox))
        self._server.start()
        self._membership.start()
        self._reporter.start()
        logger.info(
            "node %s listens on %s:%d; task types: %s",
            self.node.name, self._config.bind, self._server.port, ", ".join(sorted(self.node.types)),
        )  # fmt: skip
        self._words.get()
        return self._shut_down()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._words.put("signal")

    def _shut_down(self) -> int:
        node = self.node
        logger.info("draining: no more tasks are taken, %d are running", len(node.pool.running()))
        node.is_stopping = True
        self._membership.beat_now()
        node.pool.release_waiting(now=time.monotonic())
        is_hurried = not self._wait_idle(self._config.drain_seconds)
        if not node.completions.is_idle:
            self._release_running(is_hurried)
        is_clean = self._reporter.finish(_HASTY_FLUSH_SECONDS if is_hurried else _FLUSH_SECONDS)
        self._membership.stop()
        self._server.close()
        if not is_clean:
            logger.warning("%d results are not acknowledged; the next start reports them", len(node.outbox))
        has_stuck = node.pool.num_stuck > 0 or not node.completions.is_idle or bool(node.pool.running())
        node.close()
        self._lock_file.close()
        logger.info("ended")
        if has_stuck:
            # A thread that does not return would only disturb the interpreter's own end.
            logging.shutdown()
            sys.stderr.flush()
            os._exit(_status(is_hurried))
        return _status(is_hurried)

    def _wait_idle(self, seconds: float) -> bool:
        """Wait for running tasks; ``False`` if another signal came meanwhile."""
        until = time.monotonic() + seconds
        while not self.node.completions.is_idle and time.monotonic() < until:
            try:
                word = self._words.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            if word == "signal":
                return False
        return True

    def _release_running(self, is_hurried: bool) -> None:
        """Hand back what still runs: asked first, then by force. Processes are ended before they are reported."""
        jobs = self.node.pool.running()
        logger.warning("%d tasks did not end in time; they are handed back", len(jobs))
        for job in jobs:
            self.node.pool.stop(job, "released", now=time.monotonic())
        if not is_hurried:
            self._wait_idle(_RELEASE_SECONDS)
        self.node.pool.close()
        self.node.pool.force_all("released", now=time.monotonic())
        self._wait_idle(_KILL_SECONDS)


def _status(is_hurried: bool) -> int:
    return 128 + signal.SIGTERM if is_hurried else 0


def _unusable(state_dir: Path, error: OSError) -> ConfigError:
    where = error.filename or state_dir
    return ConfigError(
        f"The state directory {state_dir} cannot be used: {where}: {error.strerror}. Give another by --state-dir."
    )


def _lock(state_dir: Path) -> IO[str]:
    """Make the state directory and hold it for this process; raises ``ConfigError`` if another has it."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (state_dir / "lock").open("a")
    except OSError as error:
        raise _unusable(state_dir, error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigError(
            f"Another node runs with the state directory {state_dir}. "
            "Stop it, or give this one its own --name or --state-dir."
        ) from None
    return file


def _bind(node: Node, config: NodeConfig) -> NodeServer:
    try:
        return NodeServer(node, host=config.bind, port=config.port)
    except OSError as error:
        raise ConfigError(
            f"Cannot listen on {config.bind} port {config.port}: {error.strerror or error}. "
            "Give another --port or --bind."
        ) from None
