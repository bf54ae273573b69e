"""Every address the web tier answers."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from dispatcher.admin.accounts import change_own_password
from dispatcher.dashboard.sign_in import throttled

urlpatterns: list[URLPattern | URLResolver] = [
    # Before the admin's own: its form also lets somebody who is signed in try the password of another account.
    path("admin/login/", throttled(admin.site.login)),
    # Before the admin's own, which leaves nothing in the audit trail.
    path("admin/password_change/", admin.site.admin_view(change_own_password)),
    path("admin/", admin.site.urls),
    path("", include("dispatcher.api.urls")),
    path("", include("dispatcher.api.seed_urls")),
    path("", include("dispatcher.live.urls")),
    path("", include("dispatcher.dashboard.urls")),
]

# Programs get errors in JSON also where no view was reached.
handler400 = "dispatcher.api.fallback.bad_request"
handler500 = "dispatcher.api.fallback.server_error"
