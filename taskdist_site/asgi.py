"""Entry point of ASGI servers: pages, REST API and websockets."""

from __future__ import annotations

import os
from importlib.util import find_spec

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")

# Loads the apps, which the routing below needs.
pages = get_asgi_application()


def websocket_routes() -> list[object]:
    """Return the websocket routes, imported only now that the apps are loaded."""
    if not (find_spec("dispatcher.live") and find_spec("dispatcher.live.routing")):
        return []
    from dispatcher.live.routing import websocket_urlpatterns

    return list(websocket_urlpatterns)


application = ProtocolTypeRouter(
    {
        "http": pages,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_routes()))),
    }
)
