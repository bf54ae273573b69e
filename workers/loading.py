"""Importing the modules that hold handlers, with Django prepared first where it is asked for."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from workers.registry import RegistrationError

logger = logging.getLogger(__name__)

_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


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
        _import(module)


def _import(module: str) -> None:
    if not _MODULE.fullmatch(module) or module.endswith(".py"):
        raise LoadError(f"--import {module!r}: write the module's name with dots, such as myapp.tasks.")
    try:
        importlib.import_module(module)
    except RegistrationError:
        raise
    except Exception as error:  # noqa: BLE001 - a module may raise anything
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module):
            raise LoadError(
                f"--import {module}: there is no such module. Run the node where Python finds it, or set PYTHONPATH."
            ) from None
        # Where it happened is for the module's author to see.
        traceback.print_exc()
        raise LoadError(f"--import {module}: the module cannot be loaded: {type(error).__name__}: {error}.") from None


def _is_part(missing: str | None, module: str) -> bool:
    """Whether the module that was not found is the wanted one or a package above it, and not one that it imports."""
    return missing is not None and (module == missing or module.startswith(missing + "."))


def _set_up_django() -> None:
    # By name, so that nothing here depends on Django unless it is asked for.
    try:
        django = importlib.import_module("django")
    except ModuleNotFoundError:
        raise LoadError(
            "DJANGO_SETTINGS_MODULE is set, but Django is not installed here. Install it beside this program, "
            "or unset the variable."
        ) from None
    settings = os.environ["DJANGO_SETTINGS_MODULE"]
    try:
        django.setup()
    except Exception as error:  # noqa: BLE001 - so may settings
        if not (isinstance(error, ModuleNotFoundError) and _is_part(error.name, settings)):
            traceback.print_exc()
        raise LoadError(
            f"Django cannot be prepared with DJANGO_SETTINGS_MODULE={settings}: {type(error).__name__}: {error}. "
            "Mend the settings, or unset the variable."
        ) from None
    # LOGGING in the settings switches off every logger that it does not name, unless it says otherwise.
    for name, known in logging.root.manager.loggerDict.items():
        if isinstance(known, logging.Logger) and name.partition(".")[0] == "workers":
            known.disabled = False


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
