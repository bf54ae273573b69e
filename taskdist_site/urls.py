"""Every address the web tier answers."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("admin/", admin.site.urls)]

for module in ("dispatcher.api.urls", "dispatcher.dashboard.urls"):
    if find_spec(module.rpartition(".")[0]) and find_spec(module):
        urlpatterns.append(path("", include(module)))
