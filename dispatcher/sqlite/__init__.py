"""The SQLite engine with a fair queue for writers (``ENGINE: "dispatcher.sqlite"``)."""
