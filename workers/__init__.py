"""The worker node program: ``python -m workers --help``.

What a module with handlers needs is importable from here: ``from workers import Fail, Retry, TaskContext, task``.
"""

from __future__ import annotations

from workers.context import Fail, Retry, TaskCancelled, TaskContext
from workers.registry import task

__all__ = ["Fail", "Retry", "TaskCancelled", "TaskContext", "task"]
