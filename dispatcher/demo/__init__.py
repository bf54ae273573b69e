"""The demo: real files, a mix of real tasks over them, and a check of every result."""
