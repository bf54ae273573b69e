"""The addresses of the two-file tutorial, at the root."""

from __future__ import annotations

from django.urls import path

from dispatcher.api import seed

app_name = "seed"

urlpatterns = [
    path("task", seed.TaskRoute.as_view(), name="task"),
    path("register", seed.RegisterRoute.as_view(), name="register"),
    path("heartbeat", seed.HeartbeatRoute.as_view(), name="heartbeat"),
    path("result", seed.ResultRoute.as_view(), name="result"),
]
