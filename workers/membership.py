"""Being a member: register, then heartbeats, in a thread and on a connection of their own."""

from __future__ import annotations

import logging
import math
import threading
import time
from http import HTTPStatus
from typing import Final

import msgspec

from workers.backoff import Backoff, jittered
from workers.client import Answer, Unreachable
from workers.identity import Identity
from workers.node import Node
from workers.protocol import PROTOCOL_VERSION, HeartbeatReply, Register, Registered, Renewed
from workers.registry import type_infos
from workers.reporter import REFUSED_PAUSE_SECONDS, Client

logger = logging.getLogger(__name__)

REGISTER_PATH: Final = "/api/v1/nodes/register"
HEARTBEAT_PATH: Final = "/api/v1/nodes/heartbeat"
CREDENTIAL_PATH: Final = "/api/v1/nodes/credential"
_FIRST_HEARTBEAT_SECONDS: Final = 5.0
#: Until the next heartbeat, when it holds something that the dispatcher waits for.
_SOON_SECONDS: Final = 0.1

_encode = msgspec.json.Encoder().encode
_decode_registered = msgspec.json.Decoder(Registered).decode
_decode_renewed = msgspec.json.Decoder(Renewed).decode
_decode_reply = msgspec.json.Decoder(HeartbeatReply).decode


class Membership:
    """``url`` is the address at which the dispatcher reaches this node."""

    def __init__(
        self,
        node: Node,
        client: Client,
        identity: Identity,
        *,
        url: str,
        labels: dict[str, str],
        queues: list[str],
    ) -> None:
        self._node = node
        self._client = client
        self._identity = identity
        self._url = url
        self._labels = labels
        self._queues = queues
        self._interval = _FIRST_HEARTBEAT_SECONDS
        self._lease_seconds = math.inf
        self._backoff = Backoff()
        self._is_registered = False
        self._last_trouble = ""
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="membership", daemon=True)

    def start(self) -> None:
        """Start the thread; it registers at once."""
        self._thread.start()

    def stop(self) -> None:
        """No more heartbeats."""
        self._stop.set()
        self._wake.set()
        self._thread.join(1.0)

    def beat_now(self) -> None:
        """Do not wait for the next heartbeat's time."""
        self._wake.set()

    def register_again(self) -> None:
        """The dispatcher does not know this start of the node (any more)."""
        self._is_registered = False
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            # Cleared before the round: what is asked for during it causes another.
            self._wake.clear()
            try:
                pause = self._heartbeat() if self._is_registered else self._register()
            except Exception:
                logger.exception("the heartbeat failed; it goes on in a moment")
                pause = self._backoff.next_delay()
            self._wake.wait(pause)
        self._client.close()

    def _register(self) -> float:
        """One try to register; seconds until the next thing to do."""
        node = self._node
        message = Register(
            name=node.name,
            url=self._url,
            boot_id=node.boot_id,
            slots=node.limits.slots,
            labels=self._labels,
            queues=self._queues,
            types=type_infos(node.types),
            version=node.version,
            newest_protocol=PROTOCOL_VERSION,
        )
        sent_at = time.monotonic()
        try:
            answer = self._client.post(REGISTER_PATH, _encode(message))
        except Unreachable as error:
            return self._trouble(f"cannot register: the dispatcher cannot be reached: {error}")
        if not answer.is_ok:
            return self._not_registered(answer)
        reply = _decode_registered(answer.body)
        if not reply.push_key:
            return self._trouble("cannot register: the dispatcher gave no push key, so no push could be trusted")
        if reply.credential:
            self._identity.store(reply.credential)
        self._interval = max(0.1, reply.heartbeat_seconds)
        self._node.registered(reply)
        self._lease_seconds = reply.lease_seconds
        self._renew(sent_at)
        self._is_registered = True
        self._settled()
        logger.info(
            "registered as %s (node %d) at %s with %d slots, protocol %d",
            reply.name, reply.node_id, self._url, node.limits.slots, node.protocol,
        )  # fmt: skip
        self._node.completions.ring()
        # Not at once: should the dispatcher answer 409 to every heartbeat, this stays a slow circle.
        return jittered(self._interval)

    def _not_registered(self, answer: Answer) -> float:
        if answer.status in (401, 403):
            if answer.status == HTTPStatus.UNAUTHORIZED and self._identity.fall_back():
                logger.warning("the stored credential is refused; trying the token that was given")
                return 0.0
            return self._trouble(
                f"the dispatcher refuses this node's token ({answer.status}). Get a new one with "
                "'manage.py node_token' on the dispatcher and start the node with it (--token-file, --token)",
                REFUSED_PAUSE_SECONDS,
            )
        said = answer.body[:300].decode("utf-8", "replace")
        # What is wrong with the registration itself does not pass by itself.
        pause = REFUSED_PAUSE_SECONDS if answer.status in (400, 404, 409, 413, 422) else answer.retry_after
        return self._trouble(f"cannot register: the dispatcher answered {answer.status}: {said}", pause)

    def _heartbeat(self) -> float:
        """One heartbeat; seconds until the next."""
        sent_at = time.monotonic()
        try:
            answer = self._client.post(HEARTBEAT_PATH, _encode(self._node.heartbeat()))
        except Unreachable as error:
            return min(self._interval, self._trouble(f"no heartbeat: the dispatcher cannot be reached: {error}"))
        if answer.status in (401, 403, 409):
            self._is_registered = False
            return 0.0
        if not answer.is_ok:
            return min(
                self._interval,
                self._trouble(f"no heartbeat: the dispatcher answered {answer.status}", answer.retry_after),
            )
        reply = _decode_reply(answer.body)
        self._settled()
        self._interval = max(0.1, reply.heartbeat_seconds)
        self._node.set_desired(reply.status)
        self._node.drain_deadline.set(reply.drain_seconds, time.monotonic())
        self._node.cancel(reply.cancel)
        self._node.supersede(reply.superseded)
        is_awaited = self._node.resolve(reply.resolve)
        # Last: what others have now must not be begun.
        self._renew(sent_at)
        if reply.renew_credential and self._renew_credential():
            # At once: the dispatcher uses the new push key, and lets the old credential end, when it sees the new one.
            return 0.0
        return jittered(_SOON_SECONDS if is_awaited else self._interval)

    def _renew(self, sent_at: float) -> None:
        """The dispatcher has answered what was sent then: the node's lease is good for its length from then on.

        Once it has run out, what only waits here may have been given to others: it is not begun before the dispatcher
        has been heard again and has said what is superseded. What runs goes on: nobody gains by its end until then.
        """
        self._node.pool.start_until(sent_at + self._lease_seconds)

    def _renew_credential(self) -> bool:
        """Fetch and keep a new credential; whether that went well. If not, the next heartbeat brings it up again."""
        try:
            answer = self._client.post(CREDENTIAL_PATH, b"{}")
            if not answer.is_ok:
                logger.warning("no new credential: the dispatcher answered %d", answer.status)
                return False
            reply = _decode_renewed(answer.body)
            self._identity.store(reply.credential)
        except (Unreachable, OSError, msgspec.MsgspecError) as error:
            logger.warning("no new credential: %s", error)
            return False
        self._node.push_keys.replace(reply.push_key)
        logger.info("this node has a new credential")
        return True

    def _trouble(self, what: str, pause: float | None = None) -> float:
        if what != self._last_trouble:
            logger.warning("%s; trying again", what)
            self._last_trouble = what
        delay = self._backoff.next_delay()
        return delay if pause is None else max(delay, jittered(pause))

    def _settled(self) -> None:
        if self._last_trouble:
            logger.info("the dispatcher is there again")
            self._last_trouble = ""
        self._backoff.reset()
