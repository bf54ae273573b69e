"""Whole-process benchmarks: real servers, real HTTP, durable settings. ``python -m benchmarks --help``."""
