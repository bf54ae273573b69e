"""Every address the web tier answers."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("", include("dispatcher.api.urls")),
    path("", include("dispatcher.api.seed_urls")),
]

if find_spec("dispatcher.dashboard") and find_spec("dispatcher.dashboard.urls"):
    urlpatterns.append(path("", include("dispatcher.dashboard.urls")))
