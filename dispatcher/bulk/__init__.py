"""Actions on all tasks that match a query: the only writer of bulk jobs.

``jobs`` starts, pauses, resumes and stops them; ``batches`` does one batch of one, through the lifecycle. A loop of the
engine calls it.
"""

from dispatcher.bulk.batches import work
from dispatcher.bulk.jobs import BulkRequest, JobEnded, KeyUsed, UnknownJob, cancel, pause, resume, start

__all__ = ["BulkRequest", "JobEnded", "KeyUsed", "UnknownJob", "cancel", "pause", "resume", "start", "work"]
