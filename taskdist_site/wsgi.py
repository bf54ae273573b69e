"""Entry point of WSGI servers: the pages and the REST API, without websockets."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")

application = get_wsgi_application()

from dispatcher.checks import refuse_unsafe_start  # noqa: E402 (after the apps)
from dispatcher.postgresql.limits import WEB, set_limits  # noqa: E402 (after the apps)

refuse_unsafe_start()
set_limits(WEB)
