"""The addresses of the two-file tutorial, at the root."""

from __future__ import annotations

from django.urls import path, re_path

from dispatcher.api import problems, seed

app_name = "seed"

urlpatterns = [
    path("task", seed.TaskRoute.as_view(), name="task"),
    path("register", seed.RegisterRoute.as_view(), name="register"),
    path("heartbeat", seed.HeartbeatRoute.as_view(), name="heartbeat"),
    path("result", seed.ResultRoute.as_view(), name="result"),
    # Programs get an answer in JSON, not the page for people who lost their way.
    re_path(r"^(?:task|register|heartbeat|result)/", problems.not_found),
]
