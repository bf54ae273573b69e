"""The command line options of a node, as ``--help`` explains them."""

from __future__ import annotations

import argparse
import os
from typing import Any, Final, NoReturn

from workers.invoke import DEFAULT_MAX_RESULT_BYTES

_LEVELS: Final = ("debug", "info", "warning", "error")

_Settings = dict[str, Any]

_DISPATCHER: Final[dict[str, _Settings]] = {
    "--dispatcher": {"metavar": "URL", "help": "its address, such as https://tasks.example.org"},
    "--token": {"default": "", "help": "enrolment token (tde_...) or node credential (tdn_...)"},
    "--token-file": {"metavar": "FILE", "help": "a file that holds the token"},
    "--ca-file": {"metavar": "FILE", "help": "certificates (PEM) to trust for https, instead of the system's"},
}
_WORK: Final[dict[str, _Settings]] = {
    "--import": {
        "dest": "imports", "action": "append", "default": [], "metavar": "MODULE",
        "help": "a module with @task handlers; may repeat",
    },
    "--slots": {
        "default": str(os.cpu_count() or 1), "metavar": "N",
        "help": "tasks that run at once (default: the number of CPUs)",
    },
    "--max-queue": {
        "default": "2000", "metavar": "N", "help": "accepted tasks that may wait for a slot (default %(default)s)",
    },
    "--executor": {
        "choices": ("thread", "process"), "default": "thread",
        "help": "where handlers run that do not say it themselves (default %(default)s)",
    },
    "--label": {
        "action": "append", "default": [], "metavar": "KEY=VALUE", "help": "what tasks may ask of a node; may repeat",
    },
    "--queue": {
        "action": "append", "default": [], "metavar": "NAME",
        "help": "take tasks of this queue only; may repeat (default: all queues)",
    },
    "--command": {
        "action": "append", "default": [], "metavar": "NAME=ARGV",
        "help": """a command as a task type: NAME='["convert", "{input}", "{output}"]'; may repeat""",
    },
    "--commands-file": {
        "metavar": "FILE", "help": "JSON: {NAME: {argv: [...], timeout_seconds: N, description: ...}}",
    },
    "--allow-commands": {"action": "store_true", "help": "without this, no command is ever run"},
    "--drain-seconds": {
        "default": "30", "metavar": "S", "help": "time for running tasks to finish at SIGTERM (default %(default)s)",
    },
    "--max-result-bytes": {
        "default": str(DEFAULT_MAX_RESULT_BYTES), "metavar": "N",
        "help": "largest result, in JSON (default %(default)s)",
    },
}  # fmt: skip
_NODE: Final[dict[str, _Settings]] = {
    "--name": {"help": "its name, unique among all nodes (default: the host's name)"},
    "--bind": {"default": "127.0.0.1", "metavar": "ADDRESS", "help": "address to listen on (default %(default)s)"},
    "--port": {"default": "0", "help": "port to listen on; 0 takes any free one (default %(default)s)"},
    "--advertise-url": {
        "metavar": "URL", "help": "where the dispatcher reaches this node, if that is not http://BIND:PORT",
    },
    "--state-dir": {
        "metavar": "DIR",
        "help": "for the credential and unreported results (default: ~/.local/state/taskdist/NAME)",
    },
    "--outbox-results": {
        "default": "50000", "metavar": "N",
        "help": "unreported results to keep before no more tasks are taken (default %(default)s)",
    },
    "--log-level": {"choices": _LEVELS, "default": "info", "help": "(default %(default)s)"},
}  # fmt: skip
_GROUPS: Final = {"the dispatcher": _DISPATCHER, "the work": _WORK, "this node": _NODE}

_EPILOG: Final = """\
environment:
  TASKDIST_DISPATCHER     same as --dispatcher
  TASKDIST_TOKEN          same as --token, without showing it in the process list
  DJANGO_SETTINGS_MODULE  if set, Django is prepared before the handlers are imported

example:
  TASKDIST_TOKEN=tde_... python -m workers --dispatcher http://127.0.0.1:8000 \\
      --slots 8 --import myapp.tasks --label gpu=yes

SIGTERM or Ctrl-C: take no more tasks, hand back those that wait, finish those that run (--drain-seconds), report, end.
A second one: end now.
"""


class ConfigError(Exception):
    """The node cannot start like this; the message is a sentence that says what to change."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. 'python -m workers --help' lists the options.")


def build_parser() -> argparse.ArgumentParser:
    """The parser; it raises ``ConfigError`` instead of ending the process."""
    parser = _Parser(
        prog="python -m workers",
        description="A worker node: takes tasks that the dispatcher pushes to it, runs them, reports back.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for title, options in _GROUPS.items():
        group = parser.add_argument_group(title)
        for option, settings in options.items():
            group.add_argument(option, **settings)
    return parser
