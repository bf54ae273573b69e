"""Importing the modules that hold handlers, with Django prepared first where it is asked for."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

logger = logging.getLogger(__name__)


class LoadError(Exception):
    """The handlers cannot be loaded; the message says what to do."""


def load_handlers(modules: Iterable[str]) -> None:
    """Import ``modules``, which register their handlers; the current directory is searched first.

    If DJANGO_SETTINGS_MODULE is set, Django is set up before, so that handlers can use the models.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        _set_up_django()
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
                raise LoadError(
                    f"--import {module}: there is no such module. Run the node where Python finds it, "
                    "or set PYTHONPATH."
                ) from None
            raise


def _set_up_django() -> None:
    # By name, so that nothing here depends on Django unless it is asked for.
    try:
        django = importlib.import_module("django")
    except ModuleNotFoundError:
        raise LoadError(
            "DJANGO_SETTINGS_MODULE is set, but Django is not installed here. Install it beside this program, "
            "or unset the variable."
        ) from None
    django.setup()


def after_each_task() -> Callable[[], None] | None:
    """What to call after each task in its thread: with Django, the closing of connections that must not be kept."""
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return None
    close_old_connections: Callable[[], None] = importlib.import_module("django.db").close_old_connections

    def close() -> None:
        try:
            close_old_connections()
        except Exception:
            # The task is done: a connection that cannot even be closed must cost neither its result nor its slot.
            logger.exception("closing database connections after a task failed")

    return close
