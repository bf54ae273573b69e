"""The live side of the dashboard: one hub per web process follows the feed, and websockets get what changed.

``docs/live_protocol.md`` says what travels. Nothing here is needed for correctness: every frame only carries what a
fresh read of the database gives.
"""
