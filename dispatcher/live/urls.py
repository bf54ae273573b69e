"""Addresses of the snapshots for those without a websocket."""

from __future__ import annotations

from django.urls import path

from dispatcher.live.views import snapshot

urlpatterns = [path("live/snapshot", snapshot, name="live-snapshot")]
