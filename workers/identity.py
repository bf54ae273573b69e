"""Who the node is to the dispatcher: the token it was given, and the credential it got for it.

The credential is kept in the state directory, in two lines: itself, and which token it was got with.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Final

ENROLMENT_PREFIX: Final = "tde_"
_TOKEN: Final = re.compile(r"[!-~]{8,500}")


class Identity:
    """The token in use. A credential received at enrolment or renewal is kept, and used from then on.

    A node that is started with another credential than the one it got this for uses the one that it was given.
    """

    def __init__(self, state_dir: Path, token: str) -> None:
        self._path = state_dir / "credential"
        self._given = token
        self._stored, origin = self._read()
        is_ours = not token or token.startswith(ENROLMENT_PREFIX) or origin == _digest(token)
        self._uses_stored = bool(self._stored) and is_ours

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
            file.write(f"{credential}\n{_digest(self._given)}\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._stored = credential
        self._uses_stored = True

    def fall_back(self) -> bool:
        """The stored credential was refused: use the token that was given, if there is one. Whether there is."""
        if self._uses_stored and self._given:
            self._uses_stored = False
            return True
        return False

    def _read(self) -> tuple[str, str]:
        """The credential that is kept, and the digest of the token it was got with; "" for what there is not."""
        try:
            credential, _, origin = self._path.read_text().strip().partition("\n")
        except (OSError, UnicodeDecodeError):
            return "", ""
        return (credential, origin) if _TOKEN.fullmatch(credential) else ("", "")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether ``text`` can be sent as a bearer token."""
    return _TOKEN.fullmatch(text) is not None
