"""Storms: what an installation does while its database goes away or too much is asked of it.

``python -m benchmarks.storms --help``. The figures are T6, T11, T12 and T16 of docs/overload.md.
"""
