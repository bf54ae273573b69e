"""Read models: everything that API, pages and live topics show. Nothing here writes.

The shapes are in ``shapes``, the filters of task lists in ``filters``. No function counts or scans tasks without a
bound: numbers come from counters folded from the feed, lists from indexes or from a bounded window of ids.
"""

from dispatcher.queries.audit import AuditFilters, audit_page
from dispatcher.queries.bulk import bulk_document, bulk_page
from dispatcher.queries.bulk_scope import bulk_preview
from dispatcher.queries.catalogue import pool, types
from dispatcher.queries.counts import LiveCounts, live_counts, matching_lanes, waiting_per_queue
from dispatcher.queries.filters import FilterError, TaskFilters
from dispatcher.queries.front_page import overview
from dispatcher.queries.installation import Installation, installation
from dispatcher.queries.node_filter import NodeFilter, NodeFilterError
from dispatcher.queries.node_pool import nodes_document
from dispatcher.queries.node_rows import node_detail, nodes
from dispatcher.queries.node_story import node_series
from dispatcher.queries.queue_detail import queue_detail
from dispatcher.queries.queue_rows import queues, queues_document
from dispatcher.queries.ranges import RangeError, TimeRange, parse_range
from dispatcher.queries.saved_views import saved_view, saved_views
from dispatcher.queries.task_detail import task_detail, task_document
from dispatcher.queries.task_events import task_events
from dispatcher.queries.task_logs import log_line, log_pages, log_tail, task_logs
from dispatcher.queries.task_look import TaskLook
from dispatcher.queries.task_rows import task_rows
from dispatcher.queries.task_search import MAX_LIMIT, task_page
from dispatcher.queries.tasks_document import tasks_document
from dispatcher.queries.time_series import Subject, chart_points, time_series
from dispatcher.queries.tokens import api_tokens
from dispatcher.queries.type_rows import type_detail, types_document
from dispatcher.queries.waiting import waiting

__all__ = [
    "MAX_LIMIT",
    "AuditFilters",
    "FilterError",
    "Installation",
    "LiveCounts",
    "NodeFilter",
    "NodeFilterError",
    "RangeError",
    "Subject",
    "TaskFilters",
    "TaskLook",
    "TimeRange",
    "api_tokens",
    "audit_page",
    "bulk_document",
    "bulk_page",
    "bulk_preview",
    "chart_points",
    "installation",
    "live_counts",
    "log_line",
    "log_pages",
    "log_tail",
    "matching_lanes",
    "node_detail",
    "node_series",
    "nodes",
    "nodes_document",
    "overview",
    "parse_range",
    "pool",
    "queue_detail",
    "queues",
    "queues_document",
    "saved_view",
    "saved_views",
    "task_detail",
    "task_document",
    "task_events",
    "task_logs",
    "task_page",
    "task_rows",
    "tasks_document",
    "time_series",
    "type_detail",
    "types",
    "types_document",
    "waiting",
    "waiting_per_queue",
]
