"""Limits of one web process: connections, bodies, threads. What is too much is refused before anything is accepted."""
