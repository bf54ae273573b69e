"""The REST API: routes, who may use them, and what may come in."""
