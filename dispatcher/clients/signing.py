"""Headers of a signed request to a node."""

from __future__ import annotations

import secrets
import time

from workers import protocol


def signed_headers(key: str, *, method: str, path: str, body: bytes, ahead: float = 0.0) -> dict[str, str]:
    """The headers that prove to the node that the dispatcher sent this body to this path just now.

    ``ahead``: how many seconds the node's clock is before ours.
    """
    message_id, timestamp = secrets.token_hex(12), int(time.time() + ahead)
    signature = protocol.sign(key, message_id=message_id, timestamp=timestamp, method=method, path=path, body=body)
    return {
        protocol.HEADER_ID: message_id,
        protocol.HEADER_TIMESTAMP: str(timestamp),
        protocol.HEADER_SIGNATURE: signature,
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "taskdist",
    }
