"""The addresses of the REST API and of the health checks."""

from __future__ import annotations

from django.urls import include, path, re_path

from dispatcher.api import (
    bulk_routes,
    feed,
    health,
    node_wire,
    nodes,
    problems,
    queue_routes,
    tasks,
    types,
    view_routes,
)
from dispatcher.api.openapi import view as openapi

app_name = "api"

routes = [
    path("tasks", tasks.TasksView.as_view(), name="tasks"),
    path("tasks/cancel", tasks.CancelTasksView.as_view(), name="tasks-cancel"),
    path("tasks/retry", tasks.RetryTasksView.as_view(), name="tasks-retry"),
    path("tasks/<str:task_id>", tasks.TaskView.as_view(), name="task"),
    path("tasks/<str:task_id>/events", tasks.TaskEventsView.as_view(), name="task-events"),
    path("tasks/<str:task_id>/logs", tasks.TaskLogsView.as_view(), name="task-logs"),
    path("tasks/<str:task_id>/cancel", tasks.CancelTaskView.as_view(), name="task-cancel"),
    path("tasks/<str:task_id>/retry", tasks.RetryTaskView.as_view(), name="task-retry"),
    path("bulk", bulk_routes.BulkJobsView.as_view(), name="bulk"),
    path("bulk/preview", bulk_routes.BulkPreviewView.as_view(), name="bulk-preview"),
    path("bulk/<str:job_id>", bulk_routes.BulkJobView.as_view(), name="bulk-job"),
    path("bulk/<str:job_id>/pause", bulk_routes.PauseBulkView.as_view(), name="bulk-pause"),
    path("bulk/<str:job_id>/resume", bulk_routes.ResumeBulkView.as_view(), name="bulk-resume"),
    path("bulk/<str:job_id>/cancel", bulk_routes.CancelBulkView.as_view(), name="bulk-cancel"),
    path("nodes", nodes.NodesView.as_view(), name="nodes"),
    path("nodes/register", node_wire.RegisterView.as_view(), name="node-register"),
    path("nodes/heartbeat", node_wire.HeartbeatView.as_view(), name="node-heartbeat"),
    path("nodes/results", node_wire.ResultsView.as_view(), name="node-results"),
    path("nodes/credential", node_wire.CredentialView.as_view(), name="node-credential"),
    path("nodes/enrolment-tokens", nodes.EnrolmentTokensView.as_view(), name="enrolment-tokens"),
    path("nodes/<str:name>", nodes.NodeView.as_view(), name="node"),
    *(
        path(f"nodes/<str:name>/{action}", nodes.NodeActionView.as_view(), {"action": action}, name=f"node-{action}")
        for action in nodes.ACTIONS
    ),
    path("nodes/<str:name>/rotate", nodes.RotateView.as_view(), name="node-rotate"),
    path("queues", queue_routes.QueuesView.as_view(), name="queues"),
    path("queues/<str:name>", queue_routes.QueueView.as_view(), name="queue"),
    path("queues/<str:name>/pause", queue_routes.PauseView.as_view(), name="queue-pause"),
    path("queues/<str:name>/resume", queue_routes.ResumeView.as_view(), name="queue-resume"),
    path("types", types.TypesView.as_view(), name="types"),
    path("types/<path:name>", types.TypeView.as_view(), name="type"),
    path("views", view_routes.ViewsView.as_view(), name="views"),
    path("views/<str:view_id>", view_routes.ViewView.as_view(), name="view"),
    path("counts", feed.CountsView.as_view(), name="counts"),
    path("series", feed.SeriesView.as_view(), name="series"),
    path("changes", feed.ChangesView.as_view(), name="changes"),
    path("openapi.json", openapi.DocumentView.as_view(), name="openapi"),
]

urlpatterns = [
    path("api/v1/", include(routes)),
    path("healthz", health.live, name="live"),
    path("readyz", health.ready, name="ready"),
    # Last: whatever else begins like the API is answered like the API.
    re_path(r"^api(?:/|$)", problems.not_found),
]
