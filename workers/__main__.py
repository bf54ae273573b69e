"""``python -m workers``: run a worker node."""

from __future__ import annotations

import logging
import os
import sys

from workers.config import parse
from workers.lifetime import Program
from workers.log_lines import SafeFormatter
from workers.options import ConfigError
from workers.redaction import Redactor, keys_of


def log_to_stderr(level: str) -> None:
    """Log from ``level`` on, without secrets; the dispatcher's variable for their names holds here too."""
    redactor = Redactor(keys_of(os.environ.get("TASKDIST_REDACT_KEYS", "")))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter("%(asctime)s %(levelname)-7s %(message)s", redactor=lambda: redactor))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def main() -> int:
    """Start a node and run it to its end; 2 if it cannot start as configured."""
    try:
        config = parse(sys.argv[1:], os.environ)
        log_to_stderr(config.log_level)
        return Program(config).run()
    except ConfigError as error:
        sys.stderr.write(f"taskdist worker: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
