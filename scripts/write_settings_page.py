"""Write docs/settings.md from the catalogue of variables and the comments in dispatcher/conf.py.

With `--check`, write nothing; exit with status 1 if the page is not what would be written.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

Everything is set by environment variables. An unset and an empty variable mean the default; a value that
cannot be understood is refused at the start, in one sentence. `manage.py doctor` names variables that look
like slips of the keyboard. This page is written by `make docs`.

## The installation
"""

BEHAVIOUR = """
## Behaviour

Each field of `dispatcher/conf.py` has a variable. Durations are in the unit of their name.
"""


def page() -> str:
    """Return the text of the page."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "taskdist_site.settings")
    os.environ.setdefault("TASKDIST_SECRET_KEY", "unused")
    from dispatcher.launch.variables import SITE_VARIABLES, behaviour_variables

    site = [(variable.name, variable.default, variable.meaning) for variable in SITE_VARIABLES]
    behaviour = [(variable.name, variable.default, variable.meaning) for variable in behaviour_variables()]
    return "\n".join([INTRODUCTION, *_table(site), BEHAVIOUR, *_table(behaviour), ""])


def _table(rows: Iterable[tuple[str, str, str]]) -> list[str]:
    return [
        "| variable | default | meaning |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {default} | {meaning.replace('``', '`')} |" for name, default, meaning in rows),
    ]


def main() -> int:
    """Write or check the page."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/settings.md is not up to date. Run: make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
