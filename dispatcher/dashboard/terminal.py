"""What terminals obey, and how log lines are shown without it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

#: Escape sequences as a whole, so that nothing is left of them, and control characters but for tab and line feed.
ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


def log_text(value: Any, now: datetime) -> str:
    """A log line without what terminals obey."""
    del now
    return ESCAPES.sub("", str(value or ""))
