#!/usr/bin/env python
"""Run one of the project's commands: `manage.py help` lists them."""

import os
import sys

# Read by Python versions too old for the rest of the project: keep this file free of what 3.6 does not know.
OLDEST_PYTHON = (3, 11)
# As shells count a program that SIGINT ended.
INTERRUPTED = 130


def main() -> int:
    """Run the command on the command line; return the exit status (2: the set-up is at fault)."""
    if sys.version_info < OLDEST_PYTHON:
        sys.stderr.write(
            "taskdist needs Python %d.%d or newer; this is %d.%d. Run it with `make run`, which finds one.\n"
            % (OLDEST_PYTHON + tuple(sys.version_info[:2]))
        )
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db import DatabaseError
    except ImportError:
        sys.stderr.write("Django is not installed for %s. `make run` sets everything up.\n" % sys.executable)
        return 2
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write("%s\n" % error)
        return 2
    except DatabaseError as error:
        if "--traceback" in sys.argv:
            raise
        sys.stderr.write(
            "The database refused: %s. `manage.py doctor` says what to do; --traceback shows where it was.\n"
            % str(error).strip()
        )
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
