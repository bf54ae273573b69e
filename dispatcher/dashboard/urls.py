"""The addresses of the pages."""

from __future__ import annotations

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path, re_path

from dispatcher.dashboard import nodes, queues, task_views, types, views
from dispatcher.dashboard.activity import activity, activity_export
from dispatcher.dashboard.bulk import bulk, bulk_job
from dispatcher.dashboard.log_text import log_text
from dispatcher.dashboard.settings_page import set_language, settings_page
from dispatcher.dashboard.sign_in import throttled
from dispatcher.dashboard.task_exports import suggestions, tasks_csv
from dispatcher.dashboard.tokens import revoke_token, tokens

app_name = "dashboard"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("tasks/", task_views.tasks, name="tasks"),
    path("tasks/rows/", task_views.task_rows, name="task_rows"),
    path("tasks/views/", task_views.save_view, name="save_view"),
    re_path(r"^tasks/views/(?P<view_id>[0-9]{1,18})/$", task_views.edit_view, name="edit_view"),
    re_path(r"^tasks/views/(?P<view_id>[0-9]{1,18})/delete/$", task_views.delete_view, name="delete_view"),
    path("tasks/tasks.csv", tasks_csv, name="tasks_csv"),
    path("tasks/suggestions/", suggestions, name="task_suggestions"),
    re_path(r"^tasks/(?P<task_id>[0-9]{1,19})/$", views.task, name="task"),
    re_path(r"^tasks/(?P<task_id>[0-9]{1,19})/(?P<part>payload|result)/$", views.task_value, name="task_value"),
    re_path(r"^tasks/(?P<task_id>[0-9]{1,19})/log\.txt$", log_text, name="task_log"),
    path("nodes/", nodes.nodes, name="nodes"),
    path("nodes/<str:name>/", nodes.node, name="node"),
    path("queues/", queues.queues, name="queues"),
    path("queues/<str:name>/", queues.queue, name="queue"),
    path("bulk/", bulk, name="bulk"),
    re_path(r"^bulk/(?P<job_id>[0-9]{1,19})/$", bulk_job, name="bulk_job"),
    path("activity/", activity, name="activity"),
    path("activity/export/", activity_export, name="activity_export"),
    path("types/", types.types, name="types"),
    path("types/<path:name>/", types.type_page, name="type"),
    path("submit/", views.submit, name="submit"),
    path("settings/", settings_page, name="settings"),
    path("language/", set_language, name="set_language"),
    path("tokens/", tokens, name="tokens"),
    re_path(r"^tokens/(?P<token_id>[0-9]{1,18})/revoke/$", revoke_token, name="revoke_token"),
    path("jump/", views.jump, name="jump"),
    path(
        "login/",
        throttled(LoginView.as_view(template_name="dashboard/login.html", redirect_authenticated_user=True)),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
]
