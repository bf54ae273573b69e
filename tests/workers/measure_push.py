"""How long a signed push of no-op tasks takes over loopback, and what it costs the node.

.venv/bin/python -m tests.workers.measure_push [TASKS] [PUSHES]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.workers.dispatcher_double import DispatcherDouble
from tests.workers.node_process import NodeProcess
from tests.workers.signed import a_task, ref


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


def main(num_tasks: int = 200, num_pushes: int = 300) -> None:
    dispatcher = DispatcherDouble(heartbeat_seconds=5.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        NodeProcess(dispatcher, Path(folder) / "state", "--slots", "4", imports=("workers.handlers.demo",)) as node,
    ):
        took: list[float] = []
        words: dict[str, int] = {}
        ack = []
        before = cpu_seconds(node.process.pid)
        began = time.perf_counter()
        for _ in range(num_pushes):
            tasks = [a_task("demo.noop", {"n": 1}) for _ in range(num_tasks)]
            start = time.perf_counter()
            items = node.client.push(*tasks, ack=ack)
            took.append((time.perf_counter() - start) * 1000)
            ack = [ref(task) for task, item in zip(tasks, items, strict=True) if item.status == "done"]
            for item in items:
                words[item.status] = words.get(item.status, 0) + 1
        wall = time.perf_counter() - began
        cpu = cpu_seconds(node.process.pid) - before
        took.sort()
        total = num_tasks * num_pushes
        sys.stdout.write(
            f"{num_pushes} pushes of {num_tasks}: median {statistics.median(took):.2f} ms, "
            f"p99 {took[int(len(took) * 0.99)]:.2f} ms; node CPU {cpu / total * 1e6:.1f} us/task; "
            f"{total / wall:,.0f} tasks/s with this client; {words}\n"
        )
    dispatcher.close()


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
