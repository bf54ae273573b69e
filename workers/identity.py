"""Who the node is to the dispatcher: the enrolment token it was given, and the credential it got for it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

ENROLMENT_PREFIX: Final = "tde_"
_TOKEN: Final = re.compile(r"[!-~]{8,500}")


class Identity:
    """The token in use. A credential received at enrolment is kept in the state directory and used from then on."""

    def __init__(self, state_dir: Path, token: str) -> None:
        self._path = state_dir / "credential"
        self._given = token
        self._stored = self._read()
        self._uses_stored = bool(self._stored) and (not token or token.startswith(ENROLMENT_PREFIX))

    @property
    def token(self) -> str:
        """What to send as ``Authorization: Bearer``."""
        return self._stored if self._uses_stored else self._given

    @property
    def is_present(self) -> bool:
        """Whether there is any token at all."""
        return bool(self.token)

    def store(self, credential: str) -> None:
        """Keep the node's own credential, readable by its owner alone, and use it from now on."""
        fresh = self._path.with_name("credential.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(credential + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._stored = credential
        self._uses_stored = True

    def fall_back(self) -> bool:
        """The stored credential was refused: use the enrolment token, if there is one. Whether there is."""
        if self._uses_stored and self._given:
            self._uses_stored = False
            return True
        return False

    def _read(self) -> str:
        try:
            text = self._path.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return text if _TOKEN.fullmatch(text) else ""


def is_token(text: str) -> bool:
    """Whether ``text`` can be sent as a bearer token."""
    return _TOKEN.fullmatch(text) is not None
