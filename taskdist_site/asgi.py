"""Entry point of ASGI servers: pages, REST API and websockets."""

from __future__ import annotations

import os
from typing import cast

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.sessions import SessionMiddlewareStack
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")

# Loads the apps, whose models the routes import.
pages = get_asgi_application()

from dispatcher.checks import refuse_unsafe_start  # noqa: E402 (after the apps)
from dispatcher.live.routing import websocket_urlpatterns  # noqa: E402 (after the apps)
from dispatcher.overload import sockets  # noqa: E402 (after the apps)
from dispatcher.overload.gate import Application, Gate  # noqa: E402 (after the apps)
from dispatcher.postgresql.limits import WEB, set_limits  # noqa: E402 (after the apps)

refuse_unsafe_start()
set_limits(WEB)

# The consumer itself checks that a socket was opened by one of our own pages: by scheme and port too, not only by host.
websockets = SessionMiddlewareStack(URLRouter(websocket_urlpatterns))

gate = Gate(cast("Application", pages))
application = ProtocolTypeRouter({"http": gate, "websocket": websockets})
# For daphne, which imports this before it listens; other servers bring limits of their own.
sockets.install(gate.is_full_for)
