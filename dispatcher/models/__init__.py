"""The nouns: tables, constraints, indexes and named querysets. What may happen to them is written elsewhere.

Task rows change only through ``dispatcher.lifecycle``, node rows only through ``dispatcher.node_registry``.
"""

from dispatcher.models.access import Credential, Throttle
from dispatcher.models.attempt import Attempt, IdempotencyKey, LogChunk, TaskOrigin, TaskProgress, TaskTag
from dispatcher.models.bulk import BulkJob, BulkSkip, BulkTally
from dispatcher.models.feed import Change, FeedCursor, MinuteRollup, SpanRollup, StateCount
from dispatcher.models.node import EngineProcess, Node, SchedulerMemory
from dispatcher.models.node_minute import NodeMinute
from dispatcher.models.queue import Lane, Queue
from dispatcher.models.saved_view import SavedView
from dispatcher.models.task import Task

__all__ = [
    "Attempt",
    "BulkJob",
    "BulkSkip",
    "BulkTally",
    "Change",
    "Credential",
    "EngineProcess",
    "FeedCursor",
    "IdempotencyKey",
    "Lane",
    "LogChunk",
    "MinuteRollup",
    "Node",
    "NodeMinute",
    "Queue",
    "SavedView",
    "SchedulerMemory",
    "SpanRollup",
    "StateCount",
    "Task",
    "TaskOrigin",
    "TaskProgress",
    "TaskTag",
    "Throttle",
]
