"""``python -m workers``: run a worker node."""

from __future__ import annotations

import logging
import os
import sys

from workers.config import parse
from workers.lifetime import Program
from workers.options import ConfigError


def main() -> int:
    """Start a node and run it to its end; 2 if it cannot start as configured."""
    try:
        config = parse(sys.argv[1:], os.environ)
        logging.basicConfig(
            level=config.log_level.upper(),
            format="%(asctime)s %(levelname)-7s %(message)s",
            stream=sys.stderr,
        )
        return Program(config).run()
    except ConfigError as error:
        sys.stderr.write(f"taskdist worker: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
