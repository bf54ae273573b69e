"""The engine: loops that move tasks. Several engines may run against one PostgreSQL database."""
